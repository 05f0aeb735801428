-- records: decisions. Only those that nobody asked for are counted.
-- +goose Up
drop index decisions_unasked;
create index decisions_unasked on decisions (agent_id, at) where unasked;
