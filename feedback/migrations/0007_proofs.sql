-- records: erasures goes; what was dropped of whom is in erased_rows, as in every context
-- +goose Up
drop table erasures;
