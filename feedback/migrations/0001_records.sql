-- records: feedback_events (raw signals, append-only with supersede and retract), waiting (given before what it is about arrived), erasures (proof)
-- +goose Up
create table feedback_events (
    feedback_id    text    not null primary key,
    slot           text    not null, -- what can hold one live row: a session and a rater; a message, a rater and a kind
    live           boolean not null, -- not superseded, not withdrawn
    agent_id       text    not null,
    owner_id       text    not null, -- the agent's owner when it was given
    rater_id       text    not null,
    role           text    not null,
    source         text    not null,
    channel        text    not null, -- of the events, and comment, correction
    signal         text    not null, -- detector and version of a behaviour
    value          text    not null, -- the word that was given
    score          double precision, -- null: no number was given
    trait          text    not null,
    sign           bigint  not null,
    message_id     text    not null,
    decision_id    text    not null,
    session_id     text    not null,
    room_id        text    not null,
    sentiment      double precision,
    comment        text    not null,
    correction     text    not null,
    protected      boolean not null,
    imported       boolean not null,
    emitted        boolean not null, -- an event tells of it
    created_at     bigint  not null, -- when this server accepted it
    occurred_at    bigint  not null, -- a foreign clock's word, for display; 0 for none
    supersedes     text    not null,
    retracted_at   bigint  not null  -- 0 while it stands
);
create unique index feedback_events_slot on feedback_events (slot) where live;
create index feedback_events_agent on feedback_events (agent_id, created_at);
create index feedback_events_rater on feedback_events (rater_id, created_at);
create index feedback_events_implicit on feedback_events (agent_id) where source = 'implicit';

create table waiting (
    feedback_id text   not null primary key,
    rater_id    text   not null,
    awaits      text   not null, -- id of the message, decision, session or agent
    slot        text   not null, -- of a reaction, so that it can be taken back; empty otherwise
    body        text   not null, -- JSON, may hold the rater's words
    created_at  bigint not null,
    reason      text   not null  -- code of the refusal when it arrived, else empty
);
create index waiting_awaits on waiting (awaits);
create index waiting_rater on waiting (rater_id, created_at);
create index waiting_created on waiting (created_at);

create table erasures (
    event_id  text   not null primary key,
    person_id text   not null, -- a pseudonym without a mapping from now on
    at        bigint not null,
    signals   bigint not null, -- rows that were dropped
    waiting   bigint not null
);
