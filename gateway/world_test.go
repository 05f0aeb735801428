package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/discover"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

const (
	ann  event.PersonID = "ann"
	bob  event.PersonID = "bob"
	mira event.AgentID  = "mira"
	otto event.AgentID  = "otto"
	hall event.RoomID   = "hall"
)

// world is a gateway with everything around it faked: chat, agent, the model, the
// clock. Events are handed to the handler as the relay does, and read from the
// outbox.
type world struct {
	t  testing.TB
	s  *Service
	db *sqldb.DB

	mu       sync.Mutex
	now      time.Time
	lines    map[event.RoomID][]Line
	posted   []Reply
	postFail error
	typing   int
	deltas   []string
	troubles []Trouble
	openings []string
	place    *Place // nil: the agent is not in the room
	model    *model
	seq      map[event.RoomID]int64
	n        int
	hook     func(op string) error  // of the database; may be nil
	options  func() sqldb.Options   // of the database
	open     func()                 // opens the database again, as a new process
	persona  func() compile.Persona // of all agents; may be nil
	named    map[string]string      // by id of a person or agent
	shown    func()                 // when a piece is shown live; may be nil
}

// model is a provider that says what it is told and shows what it was asked.
type model struct {
	mu     sync.Mutex
	asked  []provider.Request
	say    []string
	fail   error
	before func()        // before every piece
	hold   chan struct{} // not nil: waits for it before the first piece
	finish string
	forget bool                         // what it was asked
	refuse func(provider.Request) error // may be nil
}

func (m *model) Stream(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
	m.mu.Lock()
	if !m.forget {
		m.asked = append(m.asked, r)
	}
	say, fail, hold, before, finish := m.say, m.fail, m.hold, m.before, m.finish
	if m.refuse != nil {
		if err := m.refuse(r); err != nil {
			say, fail = nil, err
		}
	}
	m.mu.Unlock()
	res := provider.Result{Finish: finish, Model: "test-1", PromptTokens: 5, ReplyTokens: 3}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return res, &provider.Error{Code: provider.CodeCancelled, Provider: "test", Err: ctx.Err()}
		}
	}
	for _, p := range say {
		if before != nil {
			before()
		}
		if err := emit(p); err != nil {
			return res, err
		}
	}
	return res, fail
}

func (m *model) requests() []provider.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]provider.Request(nil), m.asked...)
}

func (m *model) set(f func(*model)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), lines: map[event.RoomID][]Line{}, seq: map[event.RoomID]int64{}, named: map[string]string{},
		model: &model{say: []string{"Hello ", "there."}, finish: provider.FinishStop}}
	hook := func(op string) error {
		w.mu.Lock()
		h := w.hook
		w.mu.Unlock()
		if h == nil {
			return nil
		}
		return h(op)
	}
	path := filepath.Join(t.TempDir(), "gateway.db")
	w.options = func() sqldb.Options {
		o := sqldbtest.Options(t, path, "gateway")
		o.Hook = hook
		return o
	}
	w.open = func() {
		o := w.options()
		db, err := sqldb.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		w.db = db
		w.s = w.service(change...)
	}
	w.open()
	return w
}

// service makes a gateway over the world's database: another process of it.
func (w *world) service(change ...func(*Options)) *Service {
	w.t.Helper()
	m := compile.Model{Provider: "test", ID: "llama-test", Vendor: compile.VendorOllama}
	o := Options{Clock: w.clock, Key: []byte("0123456789abcdef0123456789abcdef"),
		Models:   discover.Found{Registry: compile.Registry{Default: []compile.Model{m}, Providers: map[string]compile.Model{"test": m}}, Why: "settings"},
		Use:      map[string]provider.Provider{"test": w.model},
		Profiles: w, Talks: w, Poster: w, Places: w, Live: w, Directory: w, Finder: w}
	for _, c := range change {
		c(&o)
	}
	s, err := New(w.t.Context(), w.db, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Millisecond)
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// The questions of the gateway.

func (w *world) nameOf(m event.Member) string {
	if name, ok := w.named[m.ID()]; ok {
		return name
	}
	return "Name of " + m.ID()
}

func (w *world) ProfileOf(_ context.Context, id event.AgentID) (compile.Persona, error) {
	if w.persona != nil {
		return w.persona(), nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return compile.Persona{Name: strings.ToUpper(string(id)), Description: "A lighthouse keeper.", Openings: w.openings}, nil
}

func (w *world) Texts(_ context.Context, room event.RoomID, _ event.AgentID, limit int) ([]Line, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lines[room]
	return append([]Line(nil), l[max(0, len(l)-limit):]...), nil
}

func (w *world) PostReply(_ context.Context, r Reply) (event.MessageID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.postFail != nil {
		return "", w.postFail
	}
	id := event.MessageID("m-" + string(r.DecisionID))
	for _, p := range w.posted {
		if p.DecisionID == r.DecisionID {
			return id, nil
		}
	}
	if r.Begin != nil && r.Begin.After != w.seq[r.RoomID] {
		return "", fault.New(fault.Forbidden, "talk_went_on", "x")
	}
	if r.Begin != nil {
		w.seq[r.RoomID]++
	}
	w.posted = append(w.posted, r)
	return id, nil
}

func (w *world) Place(_ context.Context, room event.RoomID, _ event.AgentID) (Place, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.place == nil {
		return Place{}, fault.New(fault.NotFound, "room_unknown", "x")
	}
	p := *w.place
	p.Sequence = w.seq[room]
	return p, nil
}

func (w *world) Typing(event.RoomID, event.AgentID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.typing++
}

func (w *world) Delta(_ event.RoomID, _ event.AgentID, _ event.DecisionID, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown != nil {
		w.shown()
	}
	w.deltas = append(w.deltas, text)
}

func (w *world) Trouble(_ event.RoomID, _ event.AgentID, t Trouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubles = append(w.troubles, t)
}

func (w *world) AgentsOf(_ context.Context, p event.PersonID) ([]Card, error) {
	if p != ann {
		return nil, nil
	}
	return []Card{{ID: mira, Slug: "mira", Created: 1e12}, {ID: otto, Slug: "otto", Created: 2e12}}, nil
}

func (w *world) BySlug(_ context.Context, ref string) (event.AgentID, error) {
	if ref == "mira" || ref == "otto" {
		return event.AgentID(ref), nil
	}
	return "", fault.New(fault.NotFound, "agent_unknown", "There is no such agent.")
}

func (w *world) replies() []Reply {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Reply(nil), w.posted...)
}

// hear hands payloads to the handler as events.
func (w *world) hear(payloads ...event.Payload) {
	w.t.Helper()
	for _, p := range payloads {
		w.n++
		e := event.New("test", "e"+strconv.Itoa(w.n), w.clock().UnixMicro(), p)
		if err := w.db.Write(w.t.Context(), func(tx *sqldb.Tx) error { return w.s.Consumer().Handle(w.t.Context(), tx, []event.Event{e}) }); err != nil {
			w.t.Fatal(err)
		}
	}
}

// state is an agent of ann's at a version.
func state(id event.AgentID, version int64, change ...func(*policy.Document)) event.AgentState {
	d := policy.Default(string(id))
	d.Version, d.AutonomyLevel = version, 1
	for _, c := range change {
		c(&d)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return event.AgentState{AgentID: id, OwnerID: ann, Version: version, Policy: raw, Learning: true, Alive: true, Pace: "normal"}
}

// explore gives the agent a mixture around its neutral levels.
func explore(id event.AgentID, version, revision int64) event.ExplorationUpdated {
	m := policy.NewMixture(policy.Neutral(), []policy.Traits{policy.Neutral()}, policy.Exploration{Epsilon: 1, Strategy: policy.StrategyMixture}, policy.Bounds{}, 0)
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return event.ExplorationUpdated{AgentID: id, Version: version, Revision: revision, Mixture: raw}
}

func (w *world) meet(ids ...event.AgentID) {
	for _, id := range ids {
		w.hear(event.AgentCreated{AgentState: state(id, 1)}, explore(id, 1, 1))
	}
}

// said makes a message and hands its event over.
func (w *world) said(author event.Member, text string, change ...func(*event.MessageCreated)) event.MessageID {
	w.t.Helper()
	m := event.MessageCreated{RoomID: hall, Author: author, Direct: true, People: 1, Members: 2, Consent: true, Addressed: []event.AgentID{mira},
		Sessions: []event.MessageSession{{AgentID: mira, SessionID: "s1"}}, Features: event.Features{Chars: len(text), Tags: []string{"smalltalk"}}}
	for _, c := range change {
		c(&m)
	}
	w.seq[m.RoomID]++
	m.Sequence = w.seq[m.RoomID]
	m.MessageID = event.MessageID(fmt.Sprintf("%s-%d", m.RoomID, m.Sequence))
	w.mu.Lock()
	w.lines[m.RoomID] = append(w.lines[m.RoomID], Line{MessageID: m.MessageID, Author: author, Name: w.nameOf(author), Text: text})
	w.mu.Unlock()
	w.hear(m)
	return m.MessageID
}

func person(id event.PersonID) event.Member {
	return event.Member{Kind: event.KindPerson, PersonID: id}
}
func agently(id event.AgentID) event.Member { return event.Member{Kind: event.KindAgent, AgentID: id} }

// work finishes all turns that are open now, one after another, on a service.
func (w *world) work(s *Service) {
	w.t.Helper()
	for {
		t, err := s.lease(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if t == nil {
			return
		}
		if err := s.process(w.t.Context(), t); err != nil {
			w.t.Fatal(err)
		}
	}
}

// told gives the decisions in the outbox, in order.
func (w *world) told() (out []event.ReplyGenerated) {
	w.t.Helper()
	w.settle()
	err := w.db.Read(w.t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select body from outbox order by n, id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var raw []byte
			var e event.Event
			if err := rows.Scan(&raw); err != nil {
				return err
			}
			if err := json.Unmarshal(raw, &e); err != nil {
				return err
			}
			if e.Type != (event.ReplyGenerated{}).EventType() {
				continue
			}
			p, err := event.As[event.ReplyGenerated](e)
			if err != nil {
				return err
			}
			out = append(out, p)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) count(query string, args ...any) (n int64) {
	w.t.Helper()
	if err := w.db.Read(w.t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Get(query, args, &n); return err }); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// settle waits until what was decided is in the tables.
func (w *world) settle() {
	w.t.Helper()
	if err := w.s.Settle(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}
