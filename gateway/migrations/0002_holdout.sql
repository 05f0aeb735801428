-- records: episodes. What each was drawn from, for who judges another policy from the log, and which were held out.
-- +goose Up
alter table episodes add column holdout_share double precision not null default 0; -- how likely the session was to be held out; 0 where it could not be
alter table episodes add column holdout boolean not null default false;
alter table episodes add column mixture text not null default ''; -- a policy.Mixture; '' where nothing was drawn
