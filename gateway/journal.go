package gateway

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"

	"rapport/internal/journal"
	"rapport/internal/sqldb"
)

// Journal keeps rows durable until they are stored in the tables. On a machine of its
// own it is a pair of files, which nothing is faster than; where the databases are on
// a server it is a table there, since another machine may take over. Rows are
// numbered from 1 without a gap; Open gives those that are there.
type Journal interface {
	Append(n int64, row []byte) error // durable when it answers nil
	Trim(stored int64)                // rows up to it are needed no more
	Scrub() (done bool, err error)    // overwrites those; false: try again later
}

//go:embed journal/*.sql
var journalMigrations embed.FS

// tableJournal is a journal in a database.
type tableJournal struct{ db *sqldb.DB }

// OpenTable makes the table of a journal and gives its rows. db should be written to by
// nobody else, or rows wait for them.
func OpenTable(ctx context.Context, db *sqldb.DB) (j Journal, all []journal.Row, err error) {
	files, err := fs.Sub(journalMigrations, "journal")
	if err == nil {
		err = db.Migrate(ctx, "journal", files)
	}
	if err != nil {
		return nil, nil, err
	}
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select n, decisions from journal order by n`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r journal.Row
			if err := rows.Scan(&r.N, &r.Data); err != nil {
				return err
			}
			all = append(all, r)
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	return tableJournal{db}, all, err
}

func (j tableJournal) Append(n int64, row []byte) error {
	return j.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into journal (n, decisions) values ($1, $2)`, n, string(row))
		return err
	})
}

func (j tableJournal) Trim(stored int64) {
	if err := j.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`delete from journal where n <= $1`, stored)
		return err
	}); err != nil && !lost(err) {
		slog.Error("the journal was not trimmed", "err", err)
	}
}

// Scrub has nothing to do: what was deleted is the database's matter.
func (j tableJournal) Scrub() (done bool, err error) { return true, nil }
