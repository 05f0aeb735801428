-- records: outbox, dead_letters, parked. Bookkeeping of deliveries: seen, positions, leases, identity.
-- +goose Up

-- What the log does not have yet, in the order n.
create table outbox (
  n     bigint not null,
  id    text   not null,
  topic text   not null,
  key   text   not null,
  type  text   not null,
  body  bytea  not null,
  at    bigint not null,
  primary key (n, id)
);

-- Who this database is, so that a commit wakes its own publisher.
create table identity (
  one bigint primary key check (one = 1),
  id  text not null
);

-- Every event that a group took in, for 14 days, so that a second delivery is
-- known: rows of packed marks of 8 bytes of the id and 8 of the body.
create table seen (
  grp   text   not null,
  topic text   not null,
  part  bigint not null,
  n     bigint not null,
  at    bigint not null,
  ids   bytea  not null,
  primary key (grp, topic, part, n)
);

-- How far a group is in a partition, and a sketch of how many keys it met there.
create table positions (
  grp      text   not null,
  topic    text   not null,
  part     bigint not null,
  position bigint not null,
  keys     bytea  not null,
  primary key (grp, topic, part)
);

-- What a group could not handle. position is where it lay; released is where on
-- the log it was taken after all, 0 while it waits.
create table dead_letters (
  n        bigint  primary key,
  id       text    not null unique,
  grp      text    not null,
  event_id text    not null,
  topic    text    not null,
  key      text    not null,
  type     text    not null,
  body     bytea   not null,
  part     bigint  not null,
  position bigint  not null,
  reason   text    not null,
  parked   boolean not null,
  at       bigint  not null,
  replays  bigint  not null,
  replayed bigint  not null,
  released bigint  not null
);
create index dead_letters_key on dead_letters (grp, topic, key, n);

-- Keys whose events wait behind one that met a mistake of ours.
create table parked (
  grp   text   not null,
  topic text   not null,
  key   text   not null,
  part  bigint not null,
  at    bigint not null,
  primary key (grp, topic, key)
);

create table leases (
  name   text   primary key,
  holder text   not null,
  until  bigint not null
);
