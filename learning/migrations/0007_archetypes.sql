-- The column of rl_releases belongs to a record.
-- +goose Up

-- Whose start a release changes: that of agents made for this archetype, 0 for those made for none.
alter table rl_releases add column archetype bigint not null default 0;
