-- projections: agents, decisions, sessions, episodes (from the agents topic), messages (rooms), erased (people), participants, baselines (sets and sums over several topics)
-- +goose Up
create table agents (
    agent_id text    not null primary key,
    owner_id text    not null,
    version  bigint  not null,
    traits   text    not null, -- JSON object of levels
    retired  boolean not null
);

create table decisions (
    decision_id text    not null primary key,
    agent_id    text    not null,
    session_id  text    not null,
    episode_id  text    not null,
    start       bigint  not null, -- the episode's
    room_id     text    not null,
    message_id  text    not null,
    context     text    not null,
    tags        text    not null, -- JSON list
    protected   boolean not null,
    lean_trait  text    not null, -- the trait rendered farthest from the policy, empty below .02
    lean_sign   bigint  not null,
    at          bigint  not null
);
create index decisions_message on decisions (message_id) where message_id <> '';

create table sessions (
    session_id text    not null primary key,
    agent_id   text    not null,
    room_id    text    not null,
    context    text    not null,
    protected  boolean not null,
    imported   boolean not null,
    last_at    bigint  not null
);

create table episodes (
    session_id text   not null,
    episode_id text   not null,
    start      bigint not null,
    messages   bigint not null, -- of the agent
    primary key (session_id, episode_id)
);

create table participants (
    session_id text not null,
    person_id  text not null,
    primary key (session_id, person_id)
);
create index participants_person on participants (person_id);

create table messages (
    message_id  text    not null primary key,
    agent_id    text    not null, -- its author; empty: a person
    room_id     text    not null,
    sequence    bigint  not null,
    session_id  text    not null,
    decision_id text    not null,
    context     text    not null,
    tags        text    not null, -- JSON list
    sentiment   double precision not null,
    words       bigint  not null,
    chars       bigint  not null,
    questions   bigint  not null,
    protected   boolean not null,
    imported    boolean not null,
    at          bigint  not null
);
create index messages_said on messages (room_id, sequence) where agent_id <> '';

create table baselines (
    person_id     text   not null primary key,
    sessions      bigint not null,
    turns         bigint not null,
    chars         bigint not null,
    pauses        bigint not null, -- count, then sums of thousandths of ln(ms)
    pause_sum     bigint not null,
    pause_squares bigint not null,
    replies       bigint not null,
    reply_sum     bigint not null,
    reply_squares bigint not null
);

create table erased (
    person_id text not null primary key
);
