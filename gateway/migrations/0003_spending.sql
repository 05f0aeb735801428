-- records: spending. What owners and agents spent in a day, where budgets are set.
-- +goose Up
create table spending (
  day    text   not null, -- UTC, as 2026-11-23
  kind   text   not null check (kind in ('owner', 'agent')),
  id     text   not null,
  tokens bigint not null,
  cost   bigint not null, -- millionths of the unit that prices are in
  primary key (day, kind, id)
);
