-- projections: indexes by which something to review is found
-- +goose Up
create index sessions_ended on sessions (last_at) where ended and not protected and not imported;
create index messages_reviewable on messages (session_id) where agent_id <> '' and not imported;
create index agents_owner on agents (owner_id);
