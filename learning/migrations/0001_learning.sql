-- All tables here are projections: folds of the log that can be dropped and rebuilt.
-- +goose Up

-- The learner of an agent: how many entries its list has, and the newest one.
create table rl_learners (
    agent_id text   not null primary key,
    entries  bigint not null,
    newest   bytea  not null
);

-- All entries but the newest, 32 in a chunk.
create table rl_entries (
    agent_id text   not null,
    chunk    bigint not null,
    first_at bigint not null, -- the first entry's start
    entries  bytea  not null,
    primary key (agent_id, chunk)
);

-- The state before entry number "place", before every chunk but the first; at -1 the state before the newest entry.
create table rl_checkpoints (
    agent_id text   not null,
    place    bigint not null,
    state    bytea  not null,
    primary key (agent_id, place)
);

-- Feedback that was withdrawn, so that a late arrival of it changes nothing.
create table rl_withdrawn (
    agent_id    text not null,
    feedback_id text not null,
    primary key (agent_id, feedback_id)
);

-- What each live feedback was counted as, so that it can be taken back.
create table rl_signals (
    agent_id    text   not null,
    feedback_id text   not null,
    at          bigint not null,
    body        bytea  not null,
    primary key (agent_id, feedback_id)
);

-- What an agent is now. canon is the same in the learner's own form.
create table rl_agent_projection (
    agent_id           text    not null primary key,
    version            bigint  not null,
    retired            boolean not null,
    canon              bytea   not null,
    owner_id           text    not null,
    autonomy_level     bigint  not null,
    updated_at         bigint  not null,
    personality_traits text    not null, -- JSON
    tone_weights       text    not null, -- JSON
    current_mood       text    not null, -- JSON
    policy             text    not null  -- JSON
);

-- Aggregated feedback. Sums are millionths; topics is JSON {tag: [sum, count]}.
create table rl_feedback_projection (
    agent_id         text   not null primary key,
    revision         bigint not null, -- changes of evidence so far
    positive_count   bigint not null,
    negative_count   bigint not null,
    score_sum        bigint not null,
    score_count      bigint not null,
    engagement_sum   bigint not null,
    engagement_count bigint not null,
    reward_sum       bigint not null,
    reward_count     bigint not null,
    last_feedback_at bigint not null,
    topics           text   not null
);

-- How close a person and an agent are: warmth (millionths) as it was at "at", halving every 30 days.
create table rl_relationships (
    agent_id     text   not null,
    person_id    text   not null,
    interactions bigint not null,
    warmth       bigint not null,
    at           bigint not null,
    last_seen_at bigint not null, -- end of the last session, 0 before the first
    level        text   not null,
    primary key (agent_id, person_id)
);

-- What an agent did. Both columns are JSON.
create table rl_behaviour_projection (
    agent_id       text not null primary key,
    last_n_actions text not null,
    distribution   text not null
);

-- Ended sessions, for the conversation success rate.
create table rl_sessions (
    agent_id   text    not null,
    session_id text    not null,
    ended_at   bigint  not null,
    abandoned  boolean not null,
    primary key (agent_id, session_id)
);

-- What was proposed or held back, and what became of it. body is the event's JSON without the policy.
create table rl_proposals (
    agent_id    text   not null,
    proposal_id text   not null,
    at          bigint not null,
    parent      bigint not null,
    outcome     text   not null, -- waiting, applied, refused, held
    gate        text   not null, -- of a refusal
    body        text   not null,
    primary key (agent_id, proposal_id)
);
