-- records: agents, texts, versions, levels, proposals, audit, platform. projections: known_people, talks.
-- +goose Up

create table agents (
  id            text    not null primary key,
  owner_id      text    not null,
  slug          text    not null unique,
  name          text    not null,
  created_at    bigint  not null,
  updated_at    bigint  not null,
  version       bigint  not null, -- the newest
  owner_version bigint  not null, -- the newest that was not made by learning
  texts         bigint  not null, -- revision of the texts in force
  acts          bigint  not null, -- rows of audit; who changes the agent moves it on
  document      text    not null, -- of the newest version
  baseline      text    not null, -- the owner's start, levels by trait
  learning      boolean not null,
  stops         bigint  not null, -- kill switches that are on: 1 owner, 2 operator, 4 everywhere
  pace          text    not null,
  approval      text    not null,
  mood_off      boolean not null,
  mood_valence  double precision not null, -- the owner's baseline
  mood_arousal  double precision not null,
  retired       boolean not null
);
create index agents_owner on agents (owner_id, id);
create index agents_name on agents (owner_id, name, id);
create index agents_created on agents (owner_id, created_at, id);

-- What people wrote about an agent; rows go when it is retired.
create table texts (
  agent_id text   not null,
  revision bigint not null,
  body     text   not null,
  at       bigint not null,
  primary key (agent_id, revision)
);

create table versions (
  agent_id text   not null,
  version  bigint not null,
  parent   bigint not null,
  document text   not null,
  texts    bigint not null,
  kind     text   not null,
  by       text   not null, -- owner, learning, platform
  actor    text   not null,
  cause    text   not null, -- proposal id or audit id
  causes   text   not null, -- feedback ids
  verdicts text   not null,
  at       bigint not null,
  primary key (agent_id, version)
);

-- Each level a trait ever had: the drift of versions, by trait. since is the
-- version at which drift began to be counted anew.
create table levels (
  agent_id text   not null,
  trait    text   not null,
  version  bigint not null,
  since    bigint not null,
  level    double precision not null,
  at       bigint not null,
  primary key (agent_id, trait, version)
);

create table proposals (
  agent_id text   not null,
  id       text   not null,
  status   text   not null, -- waiting, approved, refused, superseded, stale
  event    text   not null, -- the rl.agent.policy.updated
  at       bigint not null,
  decided  bigint not null,
  primary key (agent_id, id)
);
create index proposals_waiting on proposals (agent_id, status, at, id);

create table audit (
  id       text   not null primary key,
  agent_id text   not null,
  seq      bigint not null,
  at       bigint not null,
  actor    text   not null, -- a person id, learning
  by       text   not null, -- owner, learning, platform
  act      text   not null,
  cause    text   not null,
  evidence text   not null, -- feedback ids
  before   text   not null, -- what the act changed, before it
  after    text   not null,
  verdicts text   not null,
  version  bigint not null, -- in force afterwards
  unique (agent_id, seq)
);

create table platform (
  one     bigint  primary key check (one = 1),
  stopped boolean not null
);

-- From account.created and account.erased.
create table known_people (
  person_id text    not null primary key,
  since     bigint  not null,
  erased    boolean not null
);

-- From session.ended: how many there were, and how far the mood is from its
-- baseline, as of a time.
create table talks (
  agent_id text   not null primary key,
  sessions bigint not null,
  valence  double precision not null,
  arousal  double precision not null,
  at       bigint not null
);
