-- records: prompts (what a person was asked, and what became of it), ask_budgets (how much people want to be asked)
-- +goose Up
create table prompts (
    prompt_id   text   not null primary key,
    person_id   text   not null,
    agent_id    text   not null,
    kind        text   not null, -- after_session, inline, check_in
    session_id  text   not null, -- the talk it is about, empty for a check-in
    message_id  text   not null, -- the answer it is about, of an inline one
    reason      text   not null, -- code
    state       text   not null, -- asked, shown, skipped, answered
    asked_at    bigint not null,
    shown_at    bigint not null, -- 0 for never, as the next two
    skipped_at  bigint not null,
    answered_at bigint not null,
    feedback_id text   not null, -- that answered
    expires_at  bigint not null
);
create index prompts_person on prompts (person_id, asked_at);
create index prompts_agent on prompts (person_id, agent_id, asked_at);

create table ask_budgets (
    person_id text   not null primary key,
    budget    bigint not null, -- prompts in any seven days across all agents
    at        bigint not null
);
