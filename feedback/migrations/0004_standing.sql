-- projections: standing (how an owner and their agent stand, from the agents topic), protections (people), more of agents and decisions
-- +goose Up
create table standing (
    agent_id   text    not null,
    person_id  text    not null, -- its owner at the time
    level      text    not null, -- of the relationship: new, familiar, close, dear; empty before it is told
    first_at   bigint  not null, -- start of the first talk, 0 before it ended
    talks      bigint  not null, -- that ended
    session_id text    not null, -- the last of them
    ended_at   bigint  not null,
    duration   bigint  not null, -- microseconds
    spoke      bigint  not null, -- messages of the agent
    began      boolean not null, -- the person began it
    protected  boolean not null,
    primary key (agent_id, person_id)
);
create index standing_person on standing (person_id, ended_at);

create table protections (
    person_id text    not null primary key,
    protected boolean not null,
    until     bigint  not null -- 0 for no end
);

alter table agents add column asking text not null default '';      -- off, gentle, normal, eager; empty: normal
alter table agents add column ask_every bigint not null default 10; -- also after every so many talks; 0 never
alter table agents add column listening boolean not null default true; -- it lives and learns

alter table decisions add column new_tone double precision not null default 0; -- the farthest that a trait was rendered from the policy
