-- records: replies, how many somebody got in a day; projections: boosts (people), bought for twice as many
-- +goose Up
create table replies (
  person_id text   not null,
  day       bigint not null, -- UTC
  n         bigint not null,
  primary key (person_id, day)
);

create table boosts (
  spend_id  text   not null primary key,
  person_id text   not null,
  at        bigint not null
);
create index boosts_person on boosts (person_id, at);
