-- records: indexes of feedback_events by which judgements are weighed, without the many behaviours; one that a list of an agent's feedback serves as well goes
-- +goose Up
create index feedback_events_judged on feedback_events (agent_id, created_at) where channel <> 'behaviour';
create index feedback_events_origin on feedback_events (rater_id, created_at) where origin <> '';
drop index feedback_events_implicit;
