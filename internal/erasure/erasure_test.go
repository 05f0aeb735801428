package erasure

import (
	"maps"
	"testing"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// TestErasure: rows of one person go, are counted by table, also where there were
// none, and once however often the event comes; a failed step leaves everything.
func TestErasure(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, _ func() *sqldb.DB) {
		ctx := t.Context()
		if err := Migrate(ctx, db); err != nil {
			t.Fatal(err)
		}
		do := func(queries ...string) {
			t.Helper()
			if err := db.Write(ctx, func(tx *sqldb.Tx) error {
				for _, q := range queries {
					if _, err := tx.Exec(q); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		do(`create table notes (person text not null, words text not null)`, `create table empty_ones (person text not null)`,
			`insert into notes (person, words) values ('p', 'one'), ('p', 'two'), ('q', 'three')`)
		asked := event.New("account", "e1", 5, event.AccountErased{PersonID: "p"})
		erase := func(more string) error {
			return db.Write(ctx, func(tx *sqldb.Tx) error {
				e := Begin(tx, asked, "p").Drop("notes", `delete from notes where person = $1`).Drop("empty_ones", `delete from empty_ones where person = $1`).Count("told", 2).Count("told", 1)
				if more != "" {
					e.Drop("broken", more)
				}
				return e.End()
			})
		}
		if err := erase(`delete from no_such_table where person = $1`); err == nil {
			t.Error("a step that cannot be is taken")
		}
		if cause, n, err := Counts(ctx, db, "p"); cause != "" || len(n) != 0 || err != nil {
			t.Errorf("after a failure: %q %v %v", cause, n, err)
		}
		for range 2 {
			if err := erase(""); err != nil {
				t.Fatal(err)
			}
		}
		cause, n, err := Counts(ctx, db, "p")
		if err != nil || cause != "e1" || !maps.Equal(n, map[string]int64{"notes": 2, "empty_ones": 0, "told": 3}) {
			t.Errorf("%q %v %v", cause, n, err)
		}
		if _, n, _ := Counts(ctx, db, "q"); len(n) != 0 {
			t.Errorf("q was not erased: %v", n)
		}
		dump, err := db.Dump(ctx, "notes")
		if err != nil || string(dump) != "-- notes\nperson=\"q\" words=\"three\"\n" {
			t.Errorf("%s %v", dump, err)
		}
	})
}
