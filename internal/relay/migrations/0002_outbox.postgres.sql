-- records: outbox, its rows known by their number alone.
-- +goose Up
create table numbered (
  n     bigint primary key,
  id    text   not null,
  topic text   not null,
  key   text   not null,
  type  text   not null,
  body  bytea  not null,
  at    bigint not null
);
insert into numbered (n, id, topic, key, type, body, at) select row_number() over (order by n, id), id, topic, key, type, body, at from outbox;
drop table outbox;
alter table numbered rename to outbox;
