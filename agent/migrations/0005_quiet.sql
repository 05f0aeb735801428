-- records: agents. Hours in which an agent begins nothing, by its owner's clock.
-- +goose Up
alter table agents add column quiet_zone text not null default ''; -- of the IANA database; '' where none were set
alter table agents add column quiet_from bigint not null default 0;
alter table agents add column quiet_to bigint not null default 0;
