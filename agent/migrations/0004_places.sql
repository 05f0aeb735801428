-- projections: places and looks, from points.spent (people): what owners bought with mentor points
-- +goose Up
create table places (
  spend_id  text not null primary key,
  person_id text not null
);
create index places_person on places (person_id);

create table looks (
  spend_id  text   not null primary key,
  agent_id  text   not null,
  person_id text   not null, -- who bought it
  look      text   not null,
  at        bigint not null
);
create index looks_agent on looks (agent_id, at);
