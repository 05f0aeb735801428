-- records: more of feedback_events; projections: arrivals (since when a person has an account, from people), more of messages
-- +goose Up
alter table feedback_events add column part_of text not null default '';          -- the correction that this was measured on
alter table feedback_events add column origin text not null default '';           -- bucket of the network it came from, of two weeks; empty: unknown
alter table feedback_events add column weight double precision not null default 1; -- what it counts for, less with signs that one person is behind many accounts
create index feedback_events_parts on feedback_events (part_of) where part_of <> '';
create index feedback_events_reactions on feedback_events (message_id) where channel = 'reaction';

create table arrivals (
    person_id text   not null primary key,
    at        bigint not null
);

alter table messages add column edited_at bigint not null default 0;
alter table messages add column deleted boolean not null default false;
create index messages_deleted on messages (decision_id) where deleted;
