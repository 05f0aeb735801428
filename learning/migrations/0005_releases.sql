-- rl_releases and rl_release_agents are records: what was released to all agents, and who got what while that was tried.
-- +goose Up

-- One release of the start that fresh agents get.
create table rl_releases (
    id          text   not null primary key,
    stage       text   not null, -- shadow, canary, adopted, reverted
    by          text   not null, -- job, operator
    proposed_at bigint not null,
    changed_at  bigint not null, -- when the stage was reached
    reason      text   not null, -- of the newest stage, in words
    draw        text   not null, -- the key by which fresh agents fall on a side
    looked      bigint not null, -- sessions at the gate's newest look
    body        text   not null  -- JSON: from, to, the gate's decision, both sides of the canary
);

-- Owners who made an agent while a release was tried, until it is over: the first such agent counts, once.
create table rl_release_owners (
    release_id text    not null,
    owner_id   text    not null,
    agent_id   text    not null,
    at         bigint  not null,
    got        boolean not null, -- the new start
    counted    boolean not null,
    primary key (release_id, owner_id)
);
