package relay

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/sqldb"
)

// What was emitted or put into the outbox while its front was on its way to the log
// stays, wherever it lies; what is gone already is no hindrance.
func TestOutboxLosesOnlyWhatIsOnTheLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		meant func(tx *sqldb.Tx) error
		left  []string
	}{
		{"emitted behind", func(tx *sqldb.Tx) error { return Emit(tx, said("later", "a", 9)) }, []string{"later"}},
		{"put between", func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into outbox (n, id, topic, key, type, body, at) select n, 'between', topic, key, type, body, at from outbox where id = 'e1'`)
			return err
		}, []string{"between"}},
		{"put before", func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into outbox (n, id, topic, key, type, body, at) select 0, 'before', topic, key, type, body, at from outbox where id = 'e1'`)
			return err
		}, []string{"before"}},
		{"taken away", func(tx *sqldb.Tx) error { _, err := tx.Exec(`delete from outbox where id = 'e1'`); return err }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := openDB(t, dir, "feedback")
			p := newPublisher(New(openLog(t, dir)), "feedback", db)
			for i := range 3 {
				emit(t, db, said(fmt.Sprint("e", i), "a", i))
			}
			if mine, err := p.hold(t.Context()); err != nil || !mine {
				t.Fatal(mine, err)
			}
			ns, records, err := p.front(t.Context())
			if err != nil || len(ns) != 3 {
				t.Fatal(ns, err)
			}
			if err := db.Write(t.Context(), c.meant); err != nil {
				t.Fatal(err)
			}
			if err := p.remove(t.Context(), ns, records, nil); err != nil {
				t.Fatal(err)
			}
			var left []string
			_, records, err = p.front(t.Context())
			for _, r := range records {
				left = append(left, r.ID)
			}
			if d := cmp.Diff(c.left, left); d != "" || err != nil {
				t.Error(d, err)
			}
		})
	}
}
