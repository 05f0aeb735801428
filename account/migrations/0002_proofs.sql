-- records: erasures (proof): with the receipt that its person can ask with, and what every context dropped
-- +goose Up
alter table erasures add column receipt text not null default '';   -- SHA-256 of the secret
alter table erasures add column finished bigint not null default 0; -- 0 while it is under way
alter table erasures add column body text not null default '';      -- JSON: rows by context and table
update erasures set finished = erased;                              -- those from before kept no count
create index erasures_receipt on erasures (receipt);
create index erasures_finished on erasures (finished);
