-- records: people, foreign_people (who a foreign platform's people are here), sessions, tokens, links, erasures (proof), operator_acts (audit)
-- +goose Up
create table people (
    person_id       text    not null primary key,
    handle          text    unique,              -- to log in with; null for a foreign platform's people
    name            text    not null,
    password        text    not null,            -- PHC string, empty without one
    operator        boolean not null,
    created         bigint  not null,
    entered         bigint  not null,            -- first login, 0 before
    protected       boolean not null,
    protected_until bigint  not null,            -- 0 for no end
    protected_by    text    not null             -- self, operator or empty
);

create table foreign_people (
    source      text not null,
    external_id text not null,
    person_id   text not null,
    primary key (source, external_id)
);
create index foreign_people_person on foreign_people (person_id);

create table sessions (
    hash       text    not null primary key,     -- SHA-256 of the secret
    session_id text    not null unique,
    person_id  text    not null,
    by_link    boolean not null,
    created    bigint  not null,
    expires    bigint  not null
);
create index sessions_person on sessions (person_id);
create index sessions_expires on sessions (expires);

create table tokens (
    token_id  text    not null primary key,
    hash      text    not null unique,           -- SHA-256 of the secret
    person_id text    not null,
    name      text    not null,
    scopes    text    not null,                  -- JSON list
    source    text    not null,                  -- of an ingest token: the foreign platform
    local     boolean not null,                  -- of this machine's command line
    created   bigint  not null,
    expires   bigint  not null                   -- 0 for never
);
create index tokens_person on tokens (person_id);

create table links (
    hash      text   not null primary key,
    person_id text   not null,
    expires   bigint not null
);
create index links_person on links (person_id);
create index links_expires on links (expires);

create table erasures (
    person_id text   not null primary key,       -- the pseudonym, all that is left
    erased    bigint not null
);

create table operator_acts (
    act_id    text   not null primary key,
    person_id text   not null,                   -- who
    token_id  text   not null,                   -- with which token or session
    act       text   not null,                   -- export, trace, backup, rebuild, replay
    subject   text   not null,                   -- of what
    at        bigint not null
);
create index operator_acts_at on operator_acts (at);
