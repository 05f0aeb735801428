-- records: what a message is about, found when it was said or edited
-- +goose Up
alter table messages add column to_agent text not null default ''; -- the agent that a person's message surely speaks to
alter table messages add column about text not null default '';    -- the message of that agent that it answers
create index messages_about on messages (about, author_id) where about <> '';
