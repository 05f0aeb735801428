package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// world is two contexts and a log in a folder. "feedback" says numbers about
// agents; "learning" lines up what it hears of each agent and emits an answer for
// each; "feedback" lines up the answers. A line shows what was lost, taken twice
// or out of order.
type world struct {
	dir                string
	hook               func(where, op string) error                // of all three files; may be nil
	place              func(context.Context) (eventlog.Log, error) // where the log is; nil: in the folder
	wrap               func(eventlog.Log) eventlog.Log
	trouble            func(group string, e event.Event) error // asked before an event takes effect; may be nil
	flaw               flaw
	opened             int
	migrate            bool // the template's files only; the others are copies
	log                eventlog.Log
	feedback, learning *sqldb.DB
	relay              *Relay
}

var lines = fstest.MapFS{"0001_line.sql": {Data: []byte(`-- projections: line. records: given.
-- +goose Up
create table line (agent text primary key, list text not null);
create table given (id text primary key, agent text not null, n bigint not null);
`)}}

// memory is a file system in memory where there is one: what a sync is worth is
// sqldb's own test, and here are thousands.
var memory = func() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}()

// template is a folder with the world's files, migrated, made once.
var template = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(memory, "relay")
	if err != nil {
		return "", err
	}
	w := &world{dir: dir, migrate: true}
	err = w.open(context.Background())
	w.close()
	return dir, err
})

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	if sqldbtest.OnPostgres() { // a world takes half a second to make
		crashStep, lives = max(crashStep, 9), 4
	}
	code := m.Run()
	if dir, err := template(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// open opens or reopens all files. The relay does not run yet.
func (w *world) open(ctx context.Context) (err error) {
	options := func(name string) sqldb.Options {
		o := sqldb.Options{Path: filepath.Join(w.dir, name+".db"), Name: name}
		if name != "log" {
			o = sqldbtest.Options(inTime{}, o.Path, name)
		}
		if w.hook != nil {
			o.Hook = func(op string) error { return w.hook(name, op) }
		}
		return o
	}
	place := w.place
	if place == nil {
		place = func(ctx context.Context) (eventlog.Log, error) {
			l, err := embedded.OpenOptions(ctx, options("log"))
			if err != nil {
				return nil, err
			}
			return l, nil
		}
	}
	if w.log, err = place(ctx); err != nil {
		return err
	}
	context := func(name string) (*sqldb.DB, error) {
		db, err := sqldb.Open(ctx, options(name))
		if err != nil {
			return nil, err
		}
		if w.migrate {
			err = errors.Join(Migrate(ctx, db), db.Migrate(ctx, "context", lines))
		}
		return db, err
	}
	var err1, err2 error
	w.feedback, err1 = context("feedback")
	w.learning, err2 = context("learning")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	log := w.log
	if w.wrap != nil {
		log = w.wrap(w.log)
	}
	w.relay = New(log)
	w.relay.flaw = w.flaw
	w.opened++
	later := time.Duration(w.opened) * time.Minute // so that a dead process's lease has lapsed
	w.relay.now = func() time.Time { return time.Now().Add(later) }
	w.relay.AddOutbox("feedback", w.feedback)
	w.relay.AddOutbox("learning", w.learning)
	w.relay.AddConsumer(w.listener("feedback", w.feedback))
	w.relay.AddConsumer(w.listener("learning", w.learning))
	return nil
}

func (w *world) close() {
	for _, db := range []*sqldb.DB{w.feedback, w.learning} {
		if db != nil {
			db.Close()
		}
	}
	if w.log != nil {
		w.log.Close()
	}
	w.log, w.feedback, w.learning = nil, nil, nil
}

// listener is the consumer of either context.
func (w *world) listener(group string, db *sqldb.DB) Consumer {
	c := Consumer{Group: group, DB: db, Topics: []string{event.TopicAgents}, Max: 16}
	c.Types = []event.Type{event.FeedbackRetracted{}.EventType()}
	if group == "feedback" {
		c.Types = []event.Type{event.RelationshipUpdated{}.EventType()}
	}
	c.Handle = Each(func(ctx context.Context, tx *sqldb.Tx, e event.Event) error {
		if w.trouble != nil {
			if err := w.trouble(group, e); err != nil {
				return err
			}
		}
		n := numberOf(e)
		if _, err := tx.Exec(`insert into line (agent, list) values ($1, $2) on conflict (agent) do update set list = line.list || excluded.list`,
			e.Subject, n+" "); err != nil {
			return err
		}
		if group == "feedback" {
			return nil
		}
		answer := event.RelationshipUpdated{AgentID: event.AgentID(e.Subject), PersonID: "p", Level: n}
		id := event.DerivedID("learning", 1, e.ID, answer.EventType(), e.Subject, 0)
		return Emit(tx, event.New("learning", id, e.Time, answer).CausedBy(e))
	})
	return c
}

// numberOf is the number an event carries.
func numberOf(e event.Event) string {
	if e.Type == (event.RelationshipUpdated{}).EventType() {
		p, err := event.As[event.RelationshipUpdated](e)
		if err != nil {
			panic(err)
		}
		return p.Level
	}
	p, err := event.As[event.FeedbackRetracted](e)
	if err != nil {
		panic(err)
	}
	return string(p.FeedbackID)
}

// give says numbers about agents in one transaction, as agent → number pairs.
func (w *world) give(ctx context.Context, pairs ...pair) error {
	return w.feedback.Write(ctx, func(tx *sqldb.Tx) error {
		for _, p := range pairs {
			e := said(fmt.Sprintf("said-%d", p.n), p.agent, p.n)
			if _, err := tx.Exec(`insert into given (id, agent, n) values ($1, $2, $3)`, e.ID, p.agent, p.n); err != nil {
				return err
			}
			if err := Emit(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

type pair struct {
	agent string
	n     int
}

// lines reads the lines of a context.
func linesOf(ctx context.Context, db *sqldb.DB) (map[string]string, error) {
	out := map[string]string{}
	err := db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select agent, list from line`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var agent, list string
			if err := rows.Scan(&agent, &list); err != nil {
				return err
			}
			out[agent] = strings.TrimSpace(list)
		}
		return rows.Err()
	})
	return out, err
}

// givenOf reads what was given, in order.
func givenOf(ctx context.Context, db *sqldb.DB) (out []pair, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select agent, n from given order by n`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p pair
			if err := rows.Scan(&p.agent, &p.n); err != nil {
				return err
			}
			out = append(out, p)
		}
		return rows.Err()
	})
	return out, err
}

// expect compares both contexts' lines with what was given, apart from the
// numbers that were set aside: nothing lost, nothing twice, in order per agent.
func (w *world) expect(ctx context.Context, acked []pair, aside ...int) error {
	want := map[string]string{}
	for _, p := range acked {
		if !slices.Contains(aside, p.n) {
			want[p.agent] = strings.TrimSpace(want[p.agent] + " " + strconv.Itoa(p.n))
		}
	}
	for name, db := range map[string]*sqldb.DB{"learning": w.learning, "feedback": w.feedback} {
		got, err := linesOf(ctx, db)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("lines of %s (-want +got):\n%s", name, diff)
		}
	}
	return nil
}

// newDir is a copy of the template.
func newDir(t testing.TB) string {
	t.Helper()
	sqldbtest.Options(t, "", "learning")
	from, err := template()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(memory, "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if sqldbtest.OnPostgres() { // the template has the log only
		w := &world{dir: dir, migrate: true}
		if err := w.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.close()
	}
	return dir
}

// inTime is where newDir has found the server, or ended the test without it.
type inTime struct{}

func (inTime) Helper()                         {}
func (inTime) Skip(args ...any)                { panic(fmt.Sprint(args...)) }
func (inTime) Fatalf(text string, args ...any) { panic(fmt.Sprintf(text, args...)) }

// newWorld opens a world that ends with the test.
func newWorld(t testing.TB, change func(w *world)) *world {
	t.Helper()
	w := &world{dir: newDir(t)}
	if change != nil {
		change(w)
	}
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func TestEffectsHappenOnceAndInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	start(t, w.relay)
	var all []pair
	for i := range 100 {
		p := pair{fmt.Sprintf("agent-%d", i%7), i}
		all = append(all, p)
		if err := w.give(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	idle(t, w.relay)
	if err := w.expect(t.Context(), all); err != nil {
		t.Error(err)
	}
	for _, n := range w.relay.Counts() {
		if n.Handled != 100 || n.SetAside+n.Parked+n.Duplicates != 0 {
			t.Errorf("%+v", n)
		}
	}
}
