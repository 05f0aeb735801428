-- records: links, by which people come into a group
-- +goose Up
create table links (
    room_id    text   not null,
    person_id  text   not null, -- who made it
    hash       text   not null, -- of its secret
    expires_at bigint not null,
    primary key (room_id, person_id)
);
create unique index links_hash on links (hash);
create index links_person on links (person_id);
