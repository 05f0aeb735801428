-- records: cards, enrichments, origins, natives.
-- +goose Up

-- The card that an agent was imported from, as it was.
create table cards (
  agent_id  text   not null primary key,
  container text   not null, -- json, png, charx
  spec      bigint not null, -- version of the specification: 1, 2, 3
  card      text   not null, -- its JSON, byte for byte
  file      bytea  not null, -- the picture or archive it came in, empty for JSON
  notices   text   not null, -- JSON list of sentences
  findings  text   not null, -- JSON list of places where something hidden stood
  at        bigint not null
);

-- What a model suggested to fill in what is missing of an agent.
create table enrichments (
  agent_id text   not null,
  id       text   not null,
  status   text   not null, -- waiting, accepted, refused, superseded, unusable
  body     text   not null, -- JSON: the suggested fields, with what they would replace
  model    text   not null,
  demo     boolean not null, -- no model was asked
  at       bigint not null,
  expires  bigint not null,
  decided  bigint not null,
  primary key (agent_id, id)
);
create index enrichments_at on enrichments (agent_id, at, id);

-- Where an agent comes from, when nobody wrote it here.
create table origins (
  agent_id text   not null primary key,
  kind     text   not null, -- card, native
  source   text   not null, -- the container of the card, or the native agent's id
  version  bigint not null, -- of the native agent, 0 for a card
  at       bigint not null
);

-- Agents of the platform, in the order that an editor gave them.
create table natives (
  agent_id text   not null primary key,
  kind     text   not null, -- featured, story_character, mentor, group_moderator, event_personality, premium
  position bigint not null
);
create index natives_order on natives (position, agent_id);
