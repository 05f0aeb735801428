-- records: how much owners want to be asked about their agents
-- +goose Up
alter table agents add column asking text not null default 'normal'; -- off, gentle, normal, eager
alter table agents add column ask_every bigint not null default 10;  -- also after every so many talks; 0 never
