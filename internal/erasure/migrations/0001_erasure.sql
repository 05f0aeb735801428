-- records: erased_rows (what was dropped of people who were erased: proof)
-- +goose Up
create table erased_rows (
    event_id  text   not null,  -- the account.erased that asked for it
    person_id text   not null,  -- the pseudonym
    tbl       text   not null,  -- which table; also when nothing of theirs was in it
    n         bigint not null,  -- rows dropped, or emptied of words
    at        bigint not null,
    primary key (event_id, tbl)
);
create index erased_rows_person on erased_rows (person_id);
