-- rl_parameters is a record: versions of the population-wide parameters, which agents adopt by number.
-- The column of rl_learners belongs to a projection.
-- +goose Up

-- kind is prior, calibration or reputation; versions count from 1, 0 is the default of each kind. A row never changes.
create table rl_parameters (
    kind    text   not null,
    version bigint not null,
    at      bigint not null,
    body    bytea  not null, -- JSON
    note    text   not null,
    primary key (kind, version)
);

-- How many of the first entries are merged into a state that cannot be taken apart any more.
alter table rl_learners add column merged bigint not null default 0;
