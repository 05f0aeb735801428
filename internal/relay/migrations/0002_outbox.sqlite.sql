-- records: outbox, its rows known by their number alone, which is the place of the row.
-- +goose Up
create table numbered (
  n     integer primary key,
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
