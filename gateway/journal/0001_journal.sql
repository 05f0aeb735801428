-- records: journal. Decisions, until they are in the tables of the gateway.
-- +goose Up

-- One row for all decisions that became durable together. There are never many: an
-- index would be written more than it is read.
create table journal (
  n         bigint not null,
  decisions text   not null -- two lines each: an entry, the body
);
