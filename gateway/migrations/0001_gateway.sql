-- records: turns, decisions, episodes, callers, mapping_rules. projections: agents, tail.
-- +goose Up

-- From agent.* and agent.exploration.updated: what a reply is made from, without
-- texts.
create table agents (
  agent_id    text    not null primary key,
  owner_id    text    not null,
  folded      bigint  not null, -- events that made this row; a cache compares it
  owner_acts  bigint  not null, -- acts of the owner: each opens new episodes
  version     bigint  not null,
  document    text    not null,
  alive       boolean not null,
  mood        text    not null, -- an event.Mood
  mixture     text    not null, -- '' before the first
  mix_version bigint  not null,
  revision    bigint  not null
);

-- From message.created: the end of every room's talk.
create table tail (
  room_id   text   not null,
  seq       bigint not null,
  kind      text   not null,
  author_id text   not null,
  primary key (room_id, seq)
);

-- One consideration of one message by one agent.
create table turns (
  turn_id     text   not null primary key,
  message_id  text   not null,
  agent_id    text   not null,
  session_id  text   not null,
  seq         bigint not null,
  event       text   not null, -- the message.created, ids and numbers only
  state       text   not null check (state in ('waiting', 'leased', 'done')),
  due         bigint not null,
  lease       bigint not null, -- counts leases; who commits must hold the newest
  lease_until bigint not null,
  unique (message_id, agent_id)
);
create index turns_open on turns (state, due);
create index turns_session on turns (agent_id, session_id, state);

-- The part of a session under one variation.
create table episodes (
  episode_id  text    not null primary key,
  agent_id    text    not null,
  session_id  text    not null,
  ordinal     bigint  not null,
  start       bigint  not null,
  version     bigint  not null,
  revision    bigint  not null,
  owner_acts  bigint  not null,
  protected   boolean not null,
  commanded   boolean not null,
  person_id   text    not null, -- who commanded
  feedback_id text    not null, -- by which press; '' for none
  x           text    not null,
  free        bigint  not null,
  log_density double precision, -- null when commanded
  unique (agent_id, session_id, ordinal)
);

-- One reply, or one decision to stay silent. body is the event without its outcome.
create table decisions (
  decision_id text    not null primary key,
  agent_id    text    not null,
  turn_id     text    not null, -- '' for callers that keep the texts
  at          bigint  not null,
  state       text    not null check (state in ('open', 'done')),
  action      text    not null, -- '' while open
  unasked     boolean not null, -- no person asked for it: counts against the daily cap
  body        text    not null
);
create index decisions_unasked on decisions (agent_id, unasked, at);
create index decisions_open on decisions (state, turn_id);

-- Sessions of callers that keep the texts.
create table callers (
  caller     text   not null primary key, -- hash of token, agent and user
  session_id text   not null,
  last_at    bigint not null
);

create table mapping_rules (
  version bigint not null primary key,
  status  text   not null check (status in ('published', 'withdrawn')),
  body    text   not null,
  at      bigint not null
);
