-- records: emoji_meanings (what an owner says that emoji mean to them); projections: more of baselines
-- +goose Up
create table emoji_meanings (
    owner_id text   not null,
    emoji    text   not null,
    meaning  double precision not null, -- -1…1; 0: nothing
    at       bigint not null,
    primary key (owner_id, emoji)
);

alter table baselines add column pause_sizes text not null default ''; -- how often a pause of which size came, see signal.Pauses; base 64
