-- records: decisions. Only those that are open are looked for as such.
-- +goose Up
drop index decisions_open;
create index decisions_open on decisions (at) where state = 'open' and turn_id = '';
