-- records: turns. How often the author of a message asked for another try after one that failed.
-- +goose Up
alter table turns add column tries bigint not null default 0;
