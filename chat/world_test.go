package chat_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/chat"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// world is a chat with a clock of its own and a cast: ada and bob are people,
// luna is ada's agent, fox is bob's.
type world struct {
	testing.TB
	*chat.Service
	db    *sqldb.DB
	clock atomic.Int64
	heard int64 // outbox rows that events has given
}

const (
	ada, bob, eve = event.PersonID("ada"), event.PersonID("bob"), event.PersonID("eve")
	luna, fox     = event.AgentID("luna"), event.AgentID("fox")
)

// cast answers for account and agent.
type cast struct{}

var peopleNames = map[event.PersonID]string{ada: "Ada L.", bob: "Bob", eve: "Eve"}
var agentNames = map[event.AgentID]string{luna: "Luna Bright", fox: "Fox", "late": "Late"}

func (cast) Names(_ context.Context, ids []event.PersonID) (map[event.PersonID]string, error) {
	return pick(peopleNames, ids), nil
}

func (cast) AgentNames(_ context.Context, ids []event.AgentID) (map[event.AgentID]string, error) {
	return pick(agentNames, ids), nil
}

func (cast) AgentSlugs(_ context.Context, ids []event.AgentID) (map[event.AgentID]string, error) {
	return pick(map[event.AgentID]string{luna: "luna", fox: "fox-2"}, ids), nil
}

func pick[K comparable](all map[K]string, ids []K) map[K]string {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(k K, _ string) bool { return !slices.Contains(ids, k) })
	return out
}

const day event.Micros = 1_800_000_000_000_000 // some day, in microseconds

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, db: sqldbtest.Open(t)}
	w.clock.Store(day)
	var err error
	w.Service, err = chat.New(t.Context(), w.db, chat.Options{Clock: w.time, People: cast{}, Agents: cast{}, Slugs: cast{}})
	if err != nil {
		t.Fatal(err)
	}
	w.hear(w.agent(luna, ada, true), w.agent(fox, bob, true))
	return w
}

func (w *world) time() time.Time { return time.UnixMicro(w.clock.Load()) }

func (w *world) pass(d time.Duration) { w.clock.Add(int64(d / time.Microsecond)) }

// as is the context of a logged-in person.
func as(p event.PersonID, scopes ...authz.Scope) context.Context {
	return authz.With(context.Background(), authz.Principal{Person: p, Token: "t-" + string(p), Scopes: append(scopes, authz.ScopeChat)})
}

func (w *world) event(p event.Payload) event.Event {
	return event.New("test", event.NewID(), w.clock.Load(), p)
}

func (w *world) agent(id event.AgentID, owner event.PersonID, alive bool) event.Event {
	return w.event(event.AgentCreated{AgentState: event.AgentState{AgentID: id, OwnerID: owner, Alive: alive}})
}

// hear delivers events as the relay would.
func (w *world) hear(events ...event.Event) {
	w.Helper()
	c := w.Consumer()
	for _, e := range events {
		if !slices.Contains(c.Types, e.Type) || !slices.Contains(c.Topics, e.Topic()) {
			w.Fatalf("chat does not listen to %s", e.Type)
		}
	}
	if err := w.db.Write(context.Background(), func(tx *sqldb.Tx) error { return c.Handle(context.Background(), tx, events) }); err != nil {
		w.Fatal(err)
	}
}

// events gives what was emitted since the last call.
func (w *world) events() []event.Event {
	w.Helper()
	var out []event.Event
	err := w.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select n, body from outbox where n > $1 order by n`, w.heard)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var body []byte
			var e event.Event
			if err := rows.Scan(&w.heard, &body); err != nil {
				return err
			}
			if err := json.Unmarshal(body, &e); err != nil {
				return err
			}
			if err := e.Check(); err != nil {
				return err
			}
			out = append(out, e)
		}
		return rows.Err()
	})
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// types names the events emitted since the last call.
func (w *world) types() []event.Type {
	w.Helper()
	var out []event.Type
	for _, e := range w.events() {
		out = append(out, e.Type)
	}
	return out
}

// payloads picks the payloads of one type out of events.
func payloads[P event.Payload](t testing.TB, events []event.Event) []P {
	t.Helper()
	var out []P
	var want P
	for _, e := range events {
		if e.Type != want.EventType() {
			continue
		}
		p, err := event.As[P](e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func (w *world) talk(p event.PersonID, a event.AgentID) chat.Room {
	w.Helper()
	r, err := w.Talk(as(p), a)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) group(p event.PersonID, n chat.NewRoom) chat.Room {
	w.Helper()
	r, err := w.CreateRoom(as(p), n, "")
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) post(p event.PersonID, r chat.Room, text string) chat.Message {
	w.Helper()
	m, err := w.Post(as(p), r.ID, chat.NewMessage{Text: text}, "")
	if err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *world) reply(a event.AgentID, r chat.Room, decision, text string) event.MessageID {
	w.Helper()
	id, err := w.PostReply(context.Background(), chat.Reply{DecisionID: event.DecisionID(decision), AgentID: a, RoomID: r.ID, Text: text})
	if err != nil {
		w.Fatal(err)
	}
	return id
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) refused(code string, err error) {
	w.Helper()
	if !fault.Is(err, code) {
		w.Errorf("got %v, want fault %s", err, code)
	}
}

func same(t testing.TB, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// dump is every row of a table.
func dump(t testing.TB, db *sqldb.DB, tables ...string) map[string][][]any {
	t.Helper()
	out := map[string][][]any{}
	err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
		for _, table := range tables {
			rows, err := tx.Query(`select * from ` + table + ` order by 1, 2`)
			if err != nil {
				return err
			}
			cols, err := rows.Columns()
			if err != nil {
				return err
			}
			for rows.Next() {
				row, dest := make([]any, len(cols)), make([]any, len(cols))
				for i := range row {
					dest[i] = &row[i]
				}
				if err := rows.Scan(dest...); err != nil {
					return err
				}
				out[table] = append(out[table], row)
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// undo takes the newest message of a room out of the tables, as if its transaction
// had failed.
func (w *world) undo(r chat.Room, id event.MessageID) {
	w.Helper()
	w.must(w.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`delete from messages where message_id = $1`, id); err != nil {
			return err
		}
		_, err := tx.Exec(`update rooms set last_seq = last_seq - 1 where room_id = $1`, r.ID)
		return err
	}))
}
