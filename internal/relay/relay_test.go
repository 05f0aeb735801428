package relay

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/sqldb"
)

// openLog gives an embedded log in a folder.
func openLog(t testing.TB, dir string) *embedded.Log {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// openDB gives a database with relay's tables.
func openDB(t testing.TB, dir, name string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Options{Path: filepath.Join(dir, name+".db"), Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

// start runs a relay until the test ends, or the function given back is called.
func start(t testing.TB, r *Relay) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var err error
	done := false
	stop = func() error {
		cancel()
		if !done {
			err, done = <-ended, true
		}
		return err
	}
	t.Cleanup(func() { stop() })
	return stop
}

func idle(t testing.TB, r *Relay) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := r.Idle(ctx); err != nil {
		t.Fatal("idle:", err)
	}
}

// said is an event about an agent; n goes into its body.
func said(id, agent string, n int) event.Event {
	return event.New("feedback", id, event.Micros(n), event.FeedbackRetracted{
		FeedbackID: event.FeedbackID(fmt.Sprint(n)), AgentID: event.AgentID(agent), Reason: "test"})
}

func emit(t testing.TB, db *sqldb.DB, events ...event.Event) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *sqldb.Tx) error { return Emit(tx, events...) }); err != nil {
		t.Fatal(err)
	}
}

var _ eventlog.Log = (*embedded.Log)(nil)
