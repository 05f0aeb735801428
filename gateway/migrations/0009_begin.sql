-- records: turns, also those that no message asked for. projections: agents, with what keeps them from beginning anything.
-- +goose Up
alter table turns add column kind text not null default 'reply'; -- reply, opening, begin; event is message.created, room.joined, session.ended
alter table agents add column paused boolean not null default false;
alter table agents add column quiet text not null default ''; -- an event.Quiet; '' where the owner set none
