// Package erasure is how a context drops what it holds of a person, and proves it.
//
// Owns: the table erased_rows in every context's database that holds something of
// people. It knows pseudonyms, table names and numbers only.
//
// Invariants: the rows and their count go in one transaction; an erasure that is
// delivered twice counts once.
//
// Start reading at Begin.
package erasure

import (
	"context"
	"embed"

	"rapport/event"
	"rapport/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate makes the table of proofs in a context's database, a migration set of its
// own beside relay's and the context's.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	return db.Migrate(ctx, "erasure", migrations)
}

// Erasure is one person's in one transaction.
type Erasure struct {
	tx     *sqldb.Tx
	cause  event.Event
	person event.PersonID
	counts map[string]int64
	order  []string
	err    error
}

// Begin begins the erasure of a person that an event asks for.
func Begin(tx *sqldb.Tx, cause event.Event, person event.PersonID) *Erasure {
	return &Erasure{tx: tx, cause: cause, person: person, counts: map[string]int64{}}
}

// Drop runs a statement with the person as $1 and counts the rows it changed under
// the table's name. After an error nothing more is run; End gives it.
func (e *Erasure) Drop(table, query string) *Erasure {
	if e.err != nil {
		return e
	}
	n, err := e.tx.Exec(query, e.person)
	if e.err = err; err != nil {
		return e
	}
	return e.Count(table, n)
}

// Count adds rows that were dropped in another way.
func (e *Erasure) Count(table string, n int64) *Erasure {
	if _, has := e.counts[table]; !has {
		e.order = append(e.order, table)
	}
	e.counts[table] += n
	return e
}

// End writes the counts, once for an event.
func (e *Erasure) End() error {
	for _, table := range e.order {
		if e.err != nil {
			break
		}
		_, e.err = e.tx.Exec(`insert into erased_rows (event_id, person_id, tbl, n, at) values ($1, $2, $3, $4, $5) on conflict (event_id, tbl) do nothing`,
			e.cause.ID, e.person, table, e.counts[table], e.cause.Time)
	}
	return e.err
}

// Counts gives by table what a database dropped of a person, and the id of the event
// that asked for it; empty before it did.
func Counts(ctx context.Context, db *sqldb.DB, person event.PersonID) (cause string, counts map[string]int64, err error) {
	counts = map[string]int64{}
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select event_id, tbl, n from erased_rows where person_id = $1 order by event_id, tbl`, person)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var table string
			var n int64
			if err := rows.Scan(&cause, &table, &n); err != nil {
				return err
			}
			counts[table] += n
		}
		return rows.Err()
	})
	return cause, counts, err
}
