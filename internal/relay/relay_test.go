package relay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
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
	db, err := sqldb.Open(t.Context(), sqldbtest.Options(t, filepath.Join(dir, name+".db"), name))
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

// echoing is a log as Kafka is one: it does not know ids, so what is appended
// again lies on it again. Some records are also appended a second time by
// themselves, later.
type echoing struct {
	eventlog.Log
	mu    sync.Mutex
	rnd   *rand.Rand
	share float64 // of the records that come again
	keeps bool    // what comes again is kept by the log itself
	later []eventlog.Record
}

const echoMark = "~"

func (l *echoing) Append(ctx context.Context, records []eventlog.Record) error {
	l.mu.Lock()
	var out []eventlog.Record
	for _, r := range records {
		if l.share > 0 && l.rnd.Float64() < l.share {
			l.later = append(l.later, r)
		}
		out = append(out, r)
	}
	for len(l.later) > 0 && l.rnd.Float64() < l.share {
		out = append(out, l.later[0])
		l.later = l.later[1:]
	}
	l.mark(out)
	l.mu.Unlock()
	return l.Log.Append(ctx, out)
}

// mark makes ids that the log does not know.
func (l *echoing) mark(records []eventlog.Record) {
	for i := range records {
		if !l.keeps {
			records[i].ID += echoMark + event.NewID()
		}
	}
}

// flush appends what would come later now.
func (l *echoing) flush(ctx context.Context) error {
	l.mu.Lock()
	out := l.later
	l.later = nil
	l.mu.Unlock()
	l.mark(out)
	return l.Log.Append(ctx, out)
}

func (l *echoing) Read(ctx context.Context, group string, topics []string, from func(context.Context, eventlog.Partition) (eventlog.Position, error)) (eventlog.Reader, error) {
	r, err := l.Log.Read(ctx, group, topics, from)
	return echoReader{r}, err
}

type echoReader struct{ eventlog.Reader }

func (r echoReader) Next(ctx context.Context, max int) ([]eventlog.Record, error) {
	records, err := r.Reader.Next(ctx, max)
	records = slices.Clone(records) // others may read them, too
	for i := range records {
		records[i].ID, _, _ = strings.Cut(records[i].ID, echoMark)
	}
	return records, err
}
