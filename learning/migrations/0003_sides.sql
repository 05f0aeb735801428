-- rl_sides is a projection: a fold of the log that can be dropped and rebuilt.
-- +goose Up

-- Episodes that could be held out at the owner's start, and whether they were.
create table rl_sides (
    agent_id   text    not null,
    episode_id text    not null,
    held_out   boolean not null,
    primary key (agent_id, episode_id)
);
