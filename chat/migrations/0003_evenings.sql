-- records: more of rooms, evenings among them; projections: passes (people), what opens such a room
-- +goose Up
alter table rooms add column theme text not null default '';      -- of an evening
alter table rooms add column ends_at bigint not null default 0;   -- nothing is said there from then on; 0 for no end
alter table rooms add column pass text not null default '';       -- that opened it
create unique index rooms_pass on rooms (pass) where pass <> '';

create table passes (
    pass      text   not null primary key,
    person_id text   not null
);
