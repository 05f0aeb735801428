package app

import (
	"context"

	"rapport/gateway"
	"rapport/internal/fault"
	"rapport/internal/journal"
	"rapport/internal/sqldb"
)

// opened is a journal of decisions with the rows that it held.
type opened struct {
	gateway.Journal
	rows  []journal.Row
	close func() error
}

// openJournal opens the journal of decisions: two files of the data directory, or where
// the databases are on a server, so that another machine finds it, a schema there.
func (a *App) openJournal(ctx context.Context) (err error) {
	j := &a.journal
	if a.cfg.Postgres == "" {
		files, rows, err := journal.Open(a.cfg.Data)
		if err != nil {
			return fault.New(fault.Unavailable, "journal_unavailable", "The journal in %s cannot be opened: see that its disk has space and is writable.", a.cfg.Data).Because(err)
		}
		j.Journal, j.rows, j.close = files, rows, files.Close
		return nil
	}
	db, err := sqldb.Open(ctx, sqldb.Options{DSN: a.cfg.Postgres, Name: "journal"})
	if err != nil {
		return err
	}
	j.close = db.Close
	j.Journal, j.rows, err = gateway.OpenTable(ctx, db)
	return err
}
