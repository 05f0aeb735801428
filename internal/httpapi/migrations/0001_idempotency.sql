-- records: idempotency (answers that were given, kept for two days)
-- +goose Up
create table idempotency (
    scope  text   not null primary key, -- hash of person, token and key
    person text   not null,
    body   text   not null,             -- hash of what was asked
    answer text   not null,             -- JSON
    at     bigint not null
);
create index idempotency_person on idempotency (person);
create index idempotency_at on idempotency (at);
