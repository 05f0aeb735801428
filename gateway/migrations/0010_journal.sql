-- records: journaled. Up to where the rows of the journal are stored here.
-- +goose Up
create table journaled (
  id bigint not null primary key,
  n  bigint not null -- the newest row of which everything is stored
);
insert into journaled (id, n) values (1, 0);
