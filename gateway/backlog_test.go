package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/internal/journal"
	"rapport/internal/sqldb"
)

// asks is a caller's question.
func asks(n int, caller string) question {
	return question{decision: event.DecisionID(fmt.Sprintf("d%03d", n)), agent: mira, person: ann, direct: true, addressed: true, consent: true, caller: caller}
}

// ask decides, and ends the reply when end says so. It says whether the decision is
// durable.
func (w *world) ask(ctx context.Context, s *Service, q question, end bool) bool {
	p, committed, err := s.decide(ctx, q)
	if err != nil || committed() != nil {
		return false
	}
	if end {
		s.finishLater(ctx, q, p, outcome{finish: "stop"})
	}
	return true
}

// busyUntilItDies lets callers ask at once until the process dies at its opth write or
// commit, and gives the decisions that were acknowledged.
func (w *world) busyUntilItDies(op int, rnd *rand.Rand) (acked []event.DecisionID) {
	var mu sync.Mutex
	ops := 0
	w.mu.Lock()
	w.hook = func(string) error {
		mu.Lock()
		defer mu.Unlock()
		if ops++; ops >= op {
			return errors.New("power is gone")
		}
		return nil
	}
	w.mu.Unlock()
	var wait sync.WaitGroup
	ends := rnd.IntN(3)
	for i := range 6 {
		wait.Go(func() {
			for n := range 8 {
				q := asks(100*i+n, fmt.Sprint("caller", i%3))
				if !w.ask(w.t.Context(), w.s, q, n%3 < ends) {
					return
				}
				mu.Lock()
				acked = append(acked, q.decision)
				mu.Unlock()
				if n == 4 {
					_ = w.s.Settle(w.t.Context())
				}
			}
		})
	}
	wait.Wait()
	w.mu.Lock()
	w.hook = nil
	w.mu.Unlock()
	_ = w.db.Close()
	return acked
}

// whole says what is wrong with what is stored, given what was acknowledged.
func (w *world) whole(acked []event.DecisionID) error {
	stored := map[event.DecisionID]bool{}
	told := map[event.DecisionID]int{}
	for _, e := range w.told() {
		told[e.DecisionID]++
	}
	var counted int64
	err := w.db.Read(w.t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select decision_id, state from decisions`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id event.DecisionID
			var state string
			if err := rows.Scan(&id, &state); err != nil {
				return err
			}
			stored[id] = true
			if n := told[id]; n > 1 || (n == 1) != (state == "done") {
				return fmt.Errorf("%s is %s and was told %d times", id, state, n)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		_, err = tx.Get(`select coalesce(sum(n), 0) from replies`, nil, &counted)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range acked {
		if !stored[id] {
			return fmt.Errorf("%s was acknowledged and is lost", id)
		}
	}
	if counted != int64(len(stored)) {
		return fmt.Errorf("%d decisions, %d counted among replies", len(stored), counted)
	}
	if n := w.count(`select count(*) from decisions d where not exists (select 1 from callers c where d.body like '%' || c.session_id || '%')`); n != 0 {
		return fmt.Errorf("%d decisions in sessions of nobody", n)
	}
	if n := w.count(`select count(*) from decisions d where not exists (select 1 from episodes e where d.body like '%' || e.episode_id || '%')`); n != 0 {
		return fmt.Errorf("%d decisions in no episode", n)
	}
	return nil
}

// The process dies at any write or commit, with callers at work: what was acknowledged
// is stored by the next one, once, with all that belongs to it.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	lost, runs := 0, 60
	if testing.Short() {
		runs = 18
	}
	for i := range runs {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 1))
		op := 1 + i*120/runs + rnd.IntN(2)
		forgetful := i%6 == 5 // its journal remembers nothing, which must be seen
		w := newWorld(t, func(o *Options) { o.Replies = 1 << 20 })
		w.meet(mira)
		acked := w.busyUntilItDies(op, rnd)
		if forgetful {
			db, err := sqldb.Open(t.Context(), w.options())
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Write(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(`delete from journal`); return err }); err != nil {
				t.Fatal(err)
			}
			_ = db.Close()
		}
		for range 2 { // the second finds nothing to do
			w.open()
			err := w.whole(acked)
			switch {
			case forgetful && err != nil:
				lost++
			case !forgetful && err != nil:
				t.Fatalf("seed %d, died at %d: %v", seed, op, err)
			}
			_ = w.db.Close()
		}
	}
	if lost == 0 {
		t.Error("a journal that remembers nothing was not seen")
	}
}

// What is stored from the journal is what is stored without a crash.
func TestTheJournalTellsAll(t *testing.T) {
	t.Parallel()
	dump := func(crash bool) []byte {
		w := newWorld(t, func(o *Options) { o.Replies = 1 << 20 })
		w.meet(mira, otto)
		w.hear(event.AgentUpdated{AgentState: state(mira, 2), Change: event.Change{By: "owner"}})
		at := w.now
		for i, q := range []question{asks(1, "a"), asks(2, "a"), asks(3, "b"), {decision: "d4", agent: otto, person: bob, session: "s", direct: true, consent: true},
			{decision: "d5", agent: otto, fromAgent: true, room: hall, seq: 3, addressed: true, protected: true, cause: &event.Event{ID: "e", Root: "r", TraceParent: "t"}},
			{decision: "d6", agent: otto, room: hall, seq: 3, cause: &event.Event{ID: "e2"}}} {
			w.now = at.AddDate(0, 0, i/3)
			if !w.ask(t.Context(), w.s, q, false) {
				t.Fatal("not durable")
			}
		}
		w.now = at
		if crash {
			w.mu.Lock()
			w.hook = func(string) error { return errors.New("power is gone") }
			w.mu.Unlock()
			_ = w.s.Settle(t.Context())
			_ = w.db.Close()
			w.mu.Lock()
			w.hook = nil
			w.mu.Unlock()
			w.now = at
			w.open()
			if n := w.count(`select count(*) from decisions`); n != 6 {
				t.Fatalf("%d decisions after the crash", n)
			}
		}
		w.settle()
		var out []byte
		for _, table := range []string{"decisions", "episodes", "callers", "replies"} {
			raw, err := w.db.Dump(t.Context(), table)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, raw...)
		}
		for _, e := range w.told() {
			raw, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, raw...)
		}
		return out
	}
	if diff := cmp.Diff(string(dump(false)), string(dump(true))); diff != "" {
		t.Error(diff)
	}
}

// A tone button is pressed while the decision it follows is on its way: both episodes
// are stored, and the next decision is in the second.
func TestSteerOvertakesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	q := asks(1, "")
	q.session = "s1"
	p, committed, err := w.s.decide(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	press := func() {
		if err := w.s.Steer(t.Context(), "f1", mira, "s1", ann, event.Direction{Trait: "humor", Sign: 1}); err != nil {
			t.Fatal(err)
		}
	}
	press()
	if err := committed(); err != nil {
		t.Fatal(err)
	}
	press() // again: nothing more
	q.decision = "d2"
	next, committed, err := w.s.decide(t.Context(), q)
	if err != nil || committed() != nil {
		t.Fatal(err)
	}
	w.settle()
	press()
	if !next.body.Commanded || next.body.EpisodeID == p.body.EpisodeID || next.body.X[0] <= p.body.X[0] {
		t.Errorf("the decision after the press: %+v", next.body)
	}
	if n := w.count(`select count(*) from episodes`); n != 2 {
		t.Errorf("%d episodes", n)
	}
}

// What is on its way when an agent's owner is erased goes, too.
func TestErasedWhileOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	for i := range 3 {
		if !w.ask(t.Context(), w.s, asks(i, "a"), true) {
			t.Fatal("not durable")
		}
	}
	w.hear(event.AgentRetired{AgentID: mira, Erased: true})
	if done, err := w.s.Scrub(t.Context()); !done || err != nil {
		t.Fatal(done, err)
	}
	for _, q := range []string{`select count(*) from decisions`, `select count(*) from episodes`, `select count(*) from journal`} {
		if n := w.count(q); n != 0 {
			t.Errorf("%s: %d", q, n)
		}
	}
}

// Somebody who has had today's replies is told so at once, whatever is still on its way.
func TestTheLimitCountsWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Replies = 10 })
	w.meet(mira)
	var wait sync.WaitGroup
	var mu sync.Mutex
	silent := 0
	for i := range 40 {
		wait.Go(func() {
			p, committed, err := w.s.decide(t.Context(), asks(i, ""))
			if err != nil || committed() != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if slices.Contains(p.body.Reasons, "daily_limit") || p.body.Action == "silence" {
				silent++
			}
		})
	}
	wait.Wait()
	if silent != 30 {
		t.Errorf("%d of 40 were declined, with 10 allowed", silent)
	}
	if r := w.repliesOf(ann); r.Today != 10 {
		t.Errorf("%+v", r)
	}
}

// What was answered one after another is told in that order, however it was stored.
func TestToldInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	var want, got []event.DecisionID
	for i := range 200 {
		q := asks(i, "a")
		p, committed, err := w.s.decide(t.Context(), q)
		if err != nil || committed() != nil {
			t.Fatal(err)
		}
		if rnd.IntN(3) == 0 {
			w.settle() // between a decision and its outcome
		}
		w.s.finishLater(t.Context(), q, p, outcome{finish: "stop"})
		if rnd.IntN(9) == 0 {
			w.settle()
		}
		want = append(want, q.decision)
	}
	for _, e := range w.told() {
		got = append(got, e.DecisionID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seed %d: %s", seed, diff)
	}
}

// full is a journal on a disk that is full.
type full struct{}

func (full) Append(int64, []byte) error    { return journal.ErrBroken }
func (full) Trim(int64)                    {}
func (full) Scrub() (done bool, err error) { return true, nil }

// Where nothing can be written down nothing is said, and who asks reads why.
func TestAJournalThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Journal = full{} })
	w.meet(mira)
	srv := w.serve()
	for _, body := range []string{hi, strings.Replace(hi, "{", `{"stream":true,`, 1)} {
		resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", body)
		if resp.StatusCode == 200 && !strings.Contains(body, "stream") || !strings.Contains(raw, "nothing is answered") || strings.Contains(raw, "Hello") {
			t.Errorf("%d %s", resp.StatusCode, raw)
		}
	}
	w.settle()
	if n := w.count(`select count(*) from decisions`); n != 0 {
		t.Errorf("%d decisions", n)
	}
}

// A press whose transaction failed is stored when it comes again.
func TestSteerAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	press := func() error {
		return w.s.Steer(t.Context(), "f1", mira, "s1", ann, event.Direction{Trait: "humor", Sign: 1})
	}
	undone := errors.New("undone")
	if err := w.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		return errors.Join(w.s.steer(tx, "f1", talk{mira, "s1"}, ann, event.Direction{Trait: "humor", Sign: 1}), undone)
	}); !errors.Is(err, undone) || w.count(`select count(*) from episodes`) != 0 {
		t.Fatal(err)
	}
	for range 2 {
		if err := press(); err != nil {
			t.Fatal(err)
		}
		if n := w.count(`select count(*) from episodes where feedback_id = 'f1'`); n != 1 {
			t.Errorf("%d episodes of the press", n)
		}
	}
}
