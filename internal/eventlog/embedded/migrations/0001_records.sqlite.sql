-- records: records. The log is the truth; nothing here can be rebuilt.
-- +goose Up
create table records (
    -- autoincrement: a position is never given twice, even after the last record was removed by hand.
    position integer primary key autoincrement,
    topic text not null,
    key text not null,
    id text not null unique,
    type text not null,
    value bytea not null
);
create index records_topic on records (topic, position);
