package feedback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

// world is the context with a clock that tests turn, and what the others would
// tell it. Luna belongs to ann; ben is a guest in her session s1 with the
// decisions d1 (episode e1) and d2, d3 (episode e2); cid knows none of them.
type world struct {
	t      testing.TB
	s      *Service
	db     *sqldb.DB
	mu     sync.Mutex
	at     time.Time
	steers []string
	steer  error
	events []event.Event // all that happened
	n      int
}

var day0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	w := &world{t: t, db: sqldbtest.Open(t), at: day0}
	o.Clock, o.Steer = w.now, w
	s, err := New(t.Context(), w.db, o)
	if err != nil {
		t.Fatal(err)
	}
	w.s = s
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) Steer(_ context.Context, _ event.FeedbackID, agent event.AgentID, session event.SessionID, person event.PersonID, d event.Direction) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steers = append(w.steers, fmt.Sprintf("%s %s %s %s%+d", agent, session, person, d.Trait, d.Sign))
	return w.steer
}

// happens tells of payloads, a second apart.
func (w *world) happens(payloads ...event.Payload) {
	w.t.Helper()
	for _, p := range payloads {
		w.n++
		e := event.New("test", fmt.Sprintf("ev-%03d", w.n), w.now().UnixMicro(), p)
		w.events = append(w.events, e)
		if err := deliver(w.s, w.db, e); err != nil {
			w.t.Fatalf("%s: %v", e.Type, err)
		}
		w.later(time.Second)
	}
}

func deliver(s *Service, db *sqldb.DB, events ...event.Event) error {
	return db.Write(context.Background(), func(tx *sqldb.Tx) error { return s.handle(context.Background(), tx, events) })
}

func state(agent event.AgentID, owner event.PersonID) event.AgentState {
	d := policy.Default(string(agent))
	body, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return event.AgentState{AgentID: agent, OwnerID: owner, Version: 1, Policy: body, Learning: true, Alive: true}
}

func decision(id string, episode string, at int64, rendered policy.Traits) event.ReplyGenerated {
	return event.ReplyGenerated{DecisionID: event.DecisionID(id), AgentID: "luna", OwnerID: "ann", PersonID: "ann", RoomID: "r1", SessionID: "s1",
		EpisodeID: event.EpisodeID(episode), EpisodeStart: at, Action: "reply", Context: event.ContextDMWithOwner, Tags: []string{"humor"},
		Rendered: rendered[:], X: rendered[:], Consent: true}
}

func agentSays(id string, seq int64, decision string) event.MessageCreated {
	return event.MessageCreated{RoomID: "r1", MessageID: event.MessageID(id), Author: event.Member{Kind: event.KindAgent, AgentID: "luna"}, Sequence: seq,
		Sessions: []event.MessageSession{{AgentID: "luna", SessionID: "s1"}}, DecisionID: event.DecisionID(decision),
		Features: event.Features{Detector: 1, Words: 12, Chars: 60, Sentences: 1, Questions: 1, Sentiment: .3}, Members: 3, People: 2, Consent: true}
}

// personSays has words that tell nothing; an answer speaks to luna.
func personSays(id, person string, seq int64, replyTo string) event.MessageCreated {
	turn := &event.Turn{Detector: 1}
	if replyTo != "" {
		turn = &event.Turn{Detector: 1, To: "luna", Chance: 1, About: event.MessageID(replyTo), First: true}
	}
	return event.MessageCreated{Turn: turn, Features: event.Features{Detector: 2, Variance: 1},
		RoomID: "r1", MessageID: event.MessageID(id), Author: event.Member{Kind: event.KindPerson, PersonID: event.PersonID(person)}, Sequence: seq,
		ReplyTo: event.MessageID(replyTo), Sessions: []event.MessageSession{{AgentID: "luna", SessionID: "s1"}}, Members: 3, People: 2, Consent: true}
}

// scene plays the talk.
func (w *world) scene() {
	w.t.Helper()
	funny := policy.Neutral()
	funny[policy.Humor], funny[policy.Brevity] = .62, .45
	plain := policy.Neutral()
	plain[policy.Curiosity] = .515
	w.happens(
		event.AgentCreated{AgentState: state("luna", "ann")},
		event.AgentCreated{AgentState: state("mark", "cid")},
		event.SessionStarted{SessionID: "s1", AgentID: "luna", RoomID: "r1", StartedBy: "ann"},
		personSays("m1", "ann", 1, ""),
		decision("d1", "e1", 100, funny), agentSays("m2", 2, "d1"),
		personSays("m3", "ben", 3, ""),
		decision("d2", "e2", 200, plain), agentSays("m4", 4, "d2"),
		decision("d3", "e2", 200, plain), agentSays("m5", 5, "d3"),
	)
	w.drain()
}

// drain gives what was emitted since the last call.
func (w *world) drain() []event.Event {
	w.t.Helper()
	var out []event.Event
	err := w.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select body from outbox order by n`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var body []byte
			var e event.Event
			if err := rows.Scan(&body); err != nil {
				return err
			}
			if err := json.Unmarshal(body, &e); err != nil {
				return err
			}
			out = append(out, e)
		}
		if err := rows.Close(); err != nil {
			return err
		}
		_, err = tx.Exec(`delete from outbox`)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func created(t testing.TB, events []event.Event) []event.FeedbackCreated {
	t.Helper()
	var out []event.FeedbackCreated
	for _, e := range events {
		if e.Type != (event.FeedbackCreated{}).EventType() {
			continue
		}
		p, err := event.As[event.FeedbackCreated](e)
		if err != nil {
			t.Fatal(err)
		}
		if string(p.FeedbackID) != e.ID {
			t.Errorf("event %s tells of %s", e.ID, p.FeedbackID)
		}
		out = append(out, p)
	}
	return out
}

func retracted(t testing.TB, events []event.Event) []event.FeedbackRetracted {
	t.Helper()
	var out []event.FeedbackRetracted
	for _, e := range events {
		if e.Type != (event.FeedbackRetracted{}).EventType() {
			continue
		}
		p, err := event.As[event.FeedbackRetracted](e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func by(person event.PersonID) authz.Principal {
	return authz.Principal{Person: person, Token: "t-" + string(person), Scopes: []authz.Scope{authz.ScopeFeedback}}
}

func (w *world) give(person event.PersonID, o Opinion) Receipt {
	w.t.Helper()
	r, err := w.s.Give(w.t.Context(), by(person), "", o)
	if err != nil {
		w.t.Fatalf("%s: %+v: %v", person, o, err)
	}
	return r
}

// as is an Authenticator by the header X-Person.
type as struct{}

func (as) Authenticate(r *http.Request) (authz.Principal, error) {
	if person := r.Header.Get("X-Person"); person != "" {
		return by(event.PersonID(person)), nil
	}
	return authz.Principal{}, nil
}

func (w *world) api() http.Handler {
	api := httpapi.New("test", as{})
	w.s.Routes(api)
	return api.Handler()
}

type answer struct {
	status int
	body   string
	header http.Header
}

func ask(h http.Handler, person, method, path, body string, headers ...string) answer {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Person", person)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return answer{rec.Code, rec.Body.String(), rec.Header()}
}

func (a answer) receipt(t testing.TB) Receipt {
	t.Helper()
	var r Receipt
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return r
}

func (w *world) count(query string, args ...any) int {
	w.t.Helper()
	var n int
	err := w.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Get(query, args, &n)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

var errSteer = errors.New("no session at hand")
