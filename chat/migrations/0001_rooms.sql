-- records: rooms, members, consents, invitations, messages, reactions, sessions, departures, taken; projections: agents, people
-- +goose Up
create table rooms (
    room_id     text    not null primary key,
    title       text    not null,
    direct      boolean not null,           -- made for one person and one agent; nobody else comes in
    source      text    not null,           -- the foreign platform it lives on, '' for here
    created_by  text    not null,
    created_at  bigint  not null,
    last_seq    bigint  not null,           -- sequence of the newest message
    last_change bigint  not null            -- number of the newest change; the event id of the stream
);

create table members (
    room_id   text   not null,
    member_id text   not null,
    kind      text   not null check (kind in ('person', 'agent')),
    inviter   text   not null,
    joined_at bigint not null,
    left_at   bigint not null,              -- 0 while in the room
    primary key (room_id, member_id)
);
create index members_member on members (member_id, room_id);

create table consents (
    room_id   text    not null,
    person_id text    not null,
    consent   boolean not null,
    at        bigint  not null,
    primary key (room_id, person_id)
);
create index consents_person on consents (person_id);

create table invitations (
    person_id text   not null,
    agent_id  text   not null,
    room_id   text   not null,
    at        bigint not null,
    primary key (person_id, agent_id, room_id, at)
);

create table messages (
    message_id  text             not null primary key,
    room_id     text             not null,
    seq         bigint           not null,  -- 1, 2, 3 … in the room
    changed     bigint           not null,  -- number of the room's change that this message saw last
    kind        text             not null,  -- of the author
    author_id   text             not null,
    text        text             not null,
    reply_to    text             not null,
    decision_id text             not null,
    at          bigint           not null,
    occurred_at bigint           not null,  -- by the foreign clock, 0 for here
    edited_at   bigint           not null,
    deleted_at  bigint           not null,
    chars       bigint           not null,
    sentiment   double precision not null,
    consent     boolean          not null   -- the author's, when it was said
);
create unique index messages_seq on messages (room_id, seq);
create index messages_changed on messages (room_id, changed) where changed > seq; -- see changes in live.go

create table reactions (
    message_id text   not null,
    person_id  text   not null,
    emoji      text   not null,
    at         bigint not null,
    primary key (message_id, person_id, emoji)
);
create index reactions_person on reactions (person_id);

create table sessions (
    session_id text    not null primary key,
    room_id    text    not null,
    agent_id   text    not null,
    started_by text    not null,            -- '' when the agent began
    started_at bigint  not null,
    first_seq  bigint  not null,
    last_seq   bigint  not null,
    last_at    bigint  not null,            -- when something was said last, by the server's clock
    heard_at   bigint  not null,            -- the same by the clock of the messages
    ended_at   bigint  not null,            -- 0 while it lives
    protected  boolean not null,
    imported   boolean not null
);
create unique index sessions_live on sessions (room_id, agent_id) where ended_at = 0;
create index sessions_idle on sessions (last_at) where ended_at = 0;

create table departures (
    session_id text    not null,
    person_id  text    not null,
    left_after boolean not null,            -- the agent's message was the last thing said
    primary key (session_id, person_id)
);

create table taken (
    item_id text   not null primary key,    -- hash of source and id of an ingested item that is no message
    at      bigint not null
);

create table agents (
    agent_id text    not null primary key,
    owner_id text    not null,
    alive    boolean not null,
    retired  boolean not null
);

create table people (
    person_id text    not null primary key,
    protected boolean not null,
    until     bigint  not null              -- 0: protected without end
);
