-- records: mapping_rules, rule_state, rule_runs, rule_sessions, rule_ratings, audible, episodes. projections: none.
-- +goose Up

-- Every version of the mapping rules that there ever was, and what became of it. In
-- force is the newest that is published; going back withdraws those after it.
alter table mapping_rules rename to mapping_rules_before;
create table mapping_rules (
  version bigint not null primary key,
  status  text   not null check (status in ('proposed', 'tried', 'published', 'withdrawn', 'refused', 'reverted')),
  body    text   not null,
  at      bigint not null,                    -- since when it has its status
  base    bigint not null default 0,          -- the version it was made from; 0 for the built-in one
  author  text   not null default '',         -- operator, or the model that proposed it
  note    text   not null default '',         -- why
  effects text   not null default '',         -- what a proposal did on the persona test set, JSON; '' before it was put to it
  share   double precision not null default 0, -- of the sessions that it is, or was, tried on
  trial   text   not null default '',         -- a sequential.Canary; '' where it never was tried
  outcome text   not null default ''          -- why a trial ended, in words
);
insert into mapping_rules (version, status, body, at) select version, status, body, at from mapping_rules_before;
drop table mapping_rules_before;

-- One row. n counts what changed of rules, trials and curves: who remembers them compares it.
create table rule_state (
  id bigint not null primary key,
  n  bigint not null
);
insert into rule_state (id, n) values (1, 1);

-- One asking of a model for other rules; the row is its lease.
create table rule_runs (
  due         bigint not null primary key,
  lease_until bigint not null,
  done_at     bigint not null, -- 0 while it runs
  note        text   not null
);

-- Sessions on which a version is tried, and what people thought of them, until the trial is over.
create table rule_sessions (
  agent_id   text    not null,
  session_id text    not null,
  version    bigint  not null,
  got        boolean not null, -- it has the version, else the one in force
  counted    boolean not null,
  primary key (agent_id, session_id)
);
create table rule_ratings (
  feedback_id text             not null primary key,
  agent_id    text             not null,
  session_id  text             not null,
  channel     text             not null,
  score       double precision not null,
  at          bigint           not null
);
create index rule_ratings_session on rule_ratings (agent_id, session_id);

-- What levels do to a model's replies.
create table audible (
  provider      text   not null,
  model         text   not null,
  trait         text   not null,
  rules_version bigint not null,
  at            bigint not null,
  body          text   not null, -- an audible.Curve
  primary key (provider, model, trait)
);

alter table episodes add column rules_tried bigint not null default 0; -- the version that was on trial when the session began; 0 for none
alter table episodes add column rules_got boolean not null default false; -- the session was drawn to get it
