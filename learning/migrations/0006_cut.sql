-- The column of rl_withdrawn belongs to a projection: a fold of the log that can be dropped and rebuilt.
-- +goose Up

-- When it was withdrawn: what is older than the entries kept is cut with them. 0 where nobody noted it.
alter table rl_withdrawn add column at bigint not null default 0;
