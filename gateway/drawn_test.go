package gateway

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/policy"
)

// learned is a mixture around levels with more humor than the start has, with a
// share held out.
func learned(id event.AgentID, version, revision int64, share float64) event.ExplorationUpdated {
	theta := policy.Neutral()
	theta[policy.Humor] = .6
	m := policy.NewMixture(theta, []policy.Traits{theta}, policy.Exploration{Epsilon: 1, Strategy: policy.StrategyMixture}, policy.Bounds{}, 0)
	m.HoldOut(policy.Neutral(), share)
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return event.ExplorationUpdated{AgentID: id, Version: version, Revision: revision, Mixture: raw}
}

func inSession(id string) func(*event.MessageCreated) {
	return func(m *event.MessageCreated) {
		m.Sessions = []event.MessageSession{{AgentID: mira, SessionID: event.SessionID(id)}}
	}
}

// Sessions are held out with the probability that is logged with each, stay on
// their side whatever is learned meanwhile, and sit at the start.
func TestSomeSessionsAreHeldOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "before anything is learned", inSession("old"))
	w.work(w.s)
	if d := w.told()[0]; d.Holdout || d.HoldoutShare != 0 {
		t.Fatalf("held out before anything was learned: %+v", d)
	}
	humor := func(d *policy.Document) { d.Traits[policy.Humor] = .6 }
	w.hear(event.AgentUpdated{AgentState: state(mira, 2, humor), Change: event.Change{Kind: event.ChangeLearned, By: "learning"}}, learned(mira, 2, 2, .3))
	const n = 60
	for i := range n {
		w.said(person(ann), "hello", inSession(fmt.Sprint("s", i)))
	}
	w.work(w.s)
	side := map[event.SessionID]bool{}
	held := 0
	for _, d := range w.told()[1:] {
		side[d.SessionID] = d.Holdout
		if d.HoldoutShare != .3 || d.LogDensity == nil {
			t.Fatalf("%+v", d)
		}
		if !d.Holdout {
			if d.Free != uint16(policy.AllTraits) {
				t.Error("who is not held out does not vary")
			}
			continue
		}
		held++
		for j, v := range d.X {
			if v != .5 {
				t.Errorf("held out, but %s is %v", policy.Trait(j), v)
			}
		}
		if d.Free != 0 || math.Abs(*d.LogDensity-math.Log(.3)) > 1e-12 {
			t.Errorf("held out with free set %b and density %v", d.Free, *d.LogDensity)
		}
	}
	if held < 8 || held > 30 {
		t.Fatalf("%d of %d held out, at .3 each", held, n)
	}
	drawn, err := w.s.Drawn(t.Context(), mira)
	if err != nil {
		t.Fatal(err)
	}
	if len(drawn) != 1+n-held {
		t.Errorf("%d variations drawn, want %d", len(drawn), 1+n-held)
	}
	for i, d := range drawn {
		if got := d.Mixture.LogDensity(d.X, d.Free); math.Abs(got-d.LogDensity) > 1e-9 {
			t.Errorf("variation %d: density %v, its mixture says %v", i, d.LogDensity, got)
		}
		if i > 0 && d.Start <= drawn[i-1].Start {
			t.Error("not in order of time")
		}
	}

	// An act of the owner opens a new episode; the session stays on its side.
	w.hear(event.AgentUpdated{AgentState: state(mira, 3, humor), Change: event.Change{Kind: event.ChangePinned, By: "owner"}}, learned(mira, 3, 3, .3))
	for i := range n {
		w.said(person(ann), "and again", inSession(fmt.Sprint("s", i)))
	}
	w.work(w.s)
	again := w.told()[1+n:]
	if len(again) != n {
		t.Fatal(len(again))
	}
	for _, d := range again {
		if d.Holdout != side[d.SessionID] || d.PolicyVersion != 3 {
			t.Errorf("session %s changed sides at version %d", d.SessionID, d.PolicyVersion)
		}
	}
}

func TestProtectedSessionsAreNeverHeldOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.hear(learned(mira, 1, 2, .999))
	w.said(person(ann), "help", inSession("p"), func(m *event.MessageCreated) { m.Protected = true })
	w.said(person(ann), "hello", inSession("h"))
	w.work(w.s)
	told := w.told()
	if told[0].Holdout || told[0].HoldoutShare != 0 {
		t.Errorf("a protected session: %+v", told[0])
	}
	if !told[1].Holdout {
		t.Error("another is not held out at .999")
	}
	// A tone button moves a held-out session too; it counts on its side.
	w.pass(time.Second)
	if err := w.s.Steer(t.Context(), "f1", mira, "h", ann, event.Direction{Trait: "humor", Sign: 1}); err != nil {
		t.Fatal(err)
	}
	w.said(person(ann), "more", inSession("h"))
	w.work(w.s)
	if d := w.told()[2]; !d.Holdout || !d.Commanded || d.LogDensity != nil || math.Abs(d.X[policy.Humor]-.65) > 1e-9 {
		t.Errorf("after a press: %+v", d)
	}
	if drawn, err := w.s.Drawn(t.Context(), mira); err != nil || len(drawn) != 0 {
		t.Errorf("%v %v", drawn, err)
	}
	x, err := w.s.Decision(authz.With(t.Context(), authz.Principal{Person: ann}), told[1].DecisionID)
	if err != nil || x.Cause != CauseHoldout {
		t.Errorf("%+v %v", x, err)
	}
}
