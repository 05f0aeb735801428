package relay

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/internal/eventlog"
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
		{"put before", func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into outbox (n, id, topic, key, type, body, at) select 0, 'before', topic, key, type, body, at from outbox where id = 'e1'`)
			return err
		}, []string{"before"}},
		{"taken away", func(tx *sqldb.Tx) error { _, err := tx.Exec(`delete from outbox where id = 'e1'`); return err }, nil},
		{"taken away before", func(tx *sqldb.Tx) error { _, err := tx.Exec(`delete from outbox where id = 'e0'`); return err }, nil},
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
			rows, err := p.front(t.Context())
			if err != nil || len(rows) != 3 {
				t.Fatal(rows, err)
			}
			if err := db.Write(t.Context(), c.meant); err != nil {
				t.Fatal(err)
			}
			if err := p.remove(t.Context(), rows, nil); err != nil {
				t.Fatal(err)
			}
			var left []string
			rows, err = p.front(t.Context())
			for _, r := range rows {
				left = append(left, r.ID)
			}
			if d := cmp.Diff(c.left, left); d != "" || err != nil {
				t.Error(d, err)
			}
		})
	}
}

// What was handed over is published without being read, and never instead of what lies
// before it, between it, or in its place.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	put := func(n int, id string) func(tx *sqldb.Tx) error {
		return func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into outbox (n, id, topic, key, type, body, at) select $1, $2, topic, key, type, body, at from outbox where id = 'e2'`, n, id)
			return err
		}
	}
	for _, c := range []struct {
		name  string
		meant func(tx *sqldb.Tx) error // after three were emitted
		front bool
		want  []string
	}{
		{"as it was", func(*sqldb.Tx) error { return nil }, true, []string{"e1", "e2", "e3"}},
		{"emitted behind", func(tx *sqldb.Tx) error { return Emit(tx, said("e4", "a", 9)) }, true, []string{"e1", "e2", "e3", "e4"}},
		{"another process emits between", func(tx *sqldb.Tx) error {
			if err := put(4, "e4")(tx); err != nil {
				return err
			}
			return Emit(tx, said("e5", "a", 9))
		}, false, []string{"e1", "e2", "e3", "e4", "e5"}},
		{"put before", put(0, "e0"), false, []string{"e0", "e1", "e2", "e3"}},
		{"put behind", put(7, "e7"), true, []string{"e1", "e2", "e3"}},
		{"taken away", func(tx *sqldb.Tx) error { _, err := tx.Exec(`delete from outbox where id = 'e1'`); return err }, false, []string{"e2", "e3"}},
		{"published by another, others in their place", func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`update outbox set id = 'new' || id`)
			return err
		}, false, []string{"newe1", "newe2", "newe3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db, log := openDB(t, dir, "feedback"), openLog(t, dir)
			p := newPublisher(New(log), "feedback", db)
			sleepers.Lock()
			id, err := Identity(t.Context(), db)
			sleepers.of[id] = []*publisher{p}
			sleepers.Unlock()
			t.Cleanup(func() {
				sleepers.Lock()
				defer sleepers.Unlock()
				delete(sleepers.of, id)
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				emit(t, db, said(fmt.Sprint("e", i+1), "a", i))
			}
			if err := db.Write(t.Context(), c.meant); err != nil {
				t.Fatal(err)
			}
			if front, err := p.areFront(t.Context(), slices.Clone(p.handed)); front != c.front || err != nil {
				t.Errorf("the handed rows are the front: %v, want %v; %v", front, c.front, err)
			}
			if n, err := p.publish(t.Context()); n != len(c.want) || err != nil {
				t.Fatal(n, err)
			}
			r, err := log.Read(t.Context(), "g", []string{event.TopicAgents}, func(context.Context, eventlog.Partition) (eventlog.Position, error) { return 0, nil })
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			records, err := r.Next(t.Context(), 100)
			var got []string
			for _, r := range records {
				got = append(got, r.ID)
			}
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Error(d, err)
			}
		})
	}
}

// Rows that are handed over out of their order, or with one missing, are read again.
func TestUnbroken(t *testing.T) {
	t.Parallel()
	of := func(all ...int64) (rows []row) {
		for _, n := range all {
			rows = append(rows, row{n: n})
		}
		return rows
	}
	for _, c := range []struct {
		rows []row
		want bool
	}{{of(), false}, {of(4), true}, {of(4, 5, 6), true}, {of(4, 6, 5, 7), false}, {of(4, 6), false}, {of(5, 4), false}} {
		if unbroken(c.rows) != c.want {
			t.Errorf("%v", c.rows)
		}
	}
}
