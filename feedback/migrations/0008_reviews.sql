-- records: reviewers, review_consents, assignments, reviews, points (the ledger), goals; projections: reputations (people), an index of sessions
-- +goose Up
create table reviewers (
    person_id  text   not null primary key,
    state      text   not null, -- invited, active, left, excluded
    reason     text   not null, -- an operator's words to them, of an exclusion
    invited_at bigint not null,
    changed_at bigint not null
);

create table review_consents (
    person_id text    not null,
    agent_id  text    not null, -- empty: in talks with any agent
    consent   boolean not null,
    at        bigint  not null,
    primary key (person_id, agent_id)
);

create table assignments (
    assignment_id text   not null primary key,
    person_id     text   not null, -- the reviewer
    message_id    text   not null, -- the last answer of the exchange
    agent_id      text   not null,
    room_id       text   not null,
    session_id    text   not null,
    state         text   not null, -- open, done, skipped, gone: somebody took their consent back, or the words are no more
    day           bigint not null,
    at            bigint not null,
    shown_at      bigint not null, -- when its words were first given; 0 before
    expires_at    bigint not null
);
create unique index assignments_session on assignments (person_id, session_id);
create index assignments_message on assignments (message_id);

create table reviews (
    review_id     text   not null primary key, -- and, once it counts, the feedback's id
    assignment_id text   not null unique,
    reviewer_id   text   not null,
    owner_id      text   not null, -- the agent's, when it was given
    agent_id      text   not null,
    message_id    text   not null,
    in_character  text   not null,
    helpful       text   not null,
    kindly        text   not null,
    note          text   not null, -- empty once it was withdrawn
    digest        text   not null, -- of the note's words
    took          bigint not null, -- microseconds from first sight
    state         text   not null, -- counted, aside, refused, withdrawn
    findings      text   not null, -- JSON list of codes
    appeal        text   not null, -- the reviewer's words to who decides
    reason        text   not null, -- who decided's words to the reviewer
    found_helpful bigint not null, -- when the owner said so; 0 for never
    at            bigint not null,
    decided_at    bigint not null  -- 0 without an operator
);
create index reviews_reviewer on reviews (reviewer_id, at);
create index reviews_agent on reviews (agent_id, at);
create index reviews_owner on reviews (owner_id, reviewer_id);
create index reviews_digest on reviews (digest) where digest <> '';
create index reviews_aside on reviews (at) where state = 'aside';
create index reviews_helpful on reviews (found_helpful) where found_helpful > 0;

create table points (
    entry_id  text   not null primary key,
    person_id text   not null,
    kind      text   not null, -- review, helpful, taken_back, spent
    amount    bigint not null, -- what is there is the sum
    cause     text   not null, -- the review
    item      text   not null, -- of what was bought
    agent_id  text   not null,
    look      text   not null,
    day       bigint not null,
    at        bigint not null
);
create index points_person on points (person_id, at);

create table goals (
    goal_id    text   not null primary key,
    title      text   not null,
    counts     text   not null, -- helpful_notes, reviews
    target     bigint not null,
    starts_at  bigint not null,
    ends_at    bigint not null,
    effect     text   not null, -- look, archetype
    name       text   not null, -- of the look or archetype
    created_at bigint not null,
    reached_at bigint not null -- 0 before
);

create table reputations (
    person_id text   not null primary key,
    version   bigint not null,
    agreement double precision not null
);

create index sessions_reviewable on sessions (agent_id, last_at) where ended;
