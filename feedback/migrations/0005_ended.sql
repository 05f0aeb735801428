-- projections: which sessions are over
-- +goose Up
alter table sessions add column ended boolean not null default false;
