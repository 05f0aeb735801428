-- rl_jobs is a record: the runs of jobs that serve all agents.
-- +goose Up

-- One run; name and due are its id. A run is under way while done_at is 0 and its lease holds.
create table rl_jobs (
    name        text   not null,
    due         bigint not null,
    holder      text   not null, -- of the lease
    lease_until bigint not null,
    done_at     bigint not null, -- 0 until then
    outcome     text   not null, -- changed, unchanged, refused, failed
    note        text   not null, -- what came of it, in words
    primary key (name, due)
);
