package learning

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"rapport/event"
	"rapport/policy"
)

// mixtures gives the mixtures among events, oldest first.
func mixtures(t *testing.T, events []event.Event) (out []policy.Mixture) {
	t.Helper()
	for _, e := range events {
		if e.Type != (event.ExplorationUpdated{}).EventType() {
			continue
		}
		p, err := event.As[event.ExplorationUpdated](e)
		if err != nil {
			t.Fatal(err)
		}
		var m policy.Mixture
		if err := json.Unmarshal(p.Mixture, &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// Some sessions are held out only while there is something learned to compare,
// and while the owner wants to know.
func TestWhoIsHeldOut(t *testing.T) {
	t.Parallel()
	b, s := newBench(t), newStory("a")
	next := func(what string, share float64) {
		t.Helper()
		b.feed(1, s.events[len(s.events)-1])
		m := mixtures(t, b.emitted())
		if len(m) != 1 {
			t.Fatalf("%s: %d mixtures", what, len(m))
		}
		if m[0].Holdout != share {
			t.Errorf("%s: %v of the sessions held out, want %v", what, m[0].Holdout, share)
		}
		if share > 0 && m[0].Start != policy.Traits(s.baseline) {
			t.Errorf("%s: at %v, the start is %v", what, m[0].Start, s.baseline)
		}
	}
	next("a new agent", 0)
	s.doc.Traits[policy.Humor] = .52
	s.change(event.ChangeLearned)
	next("something was learned", policy.DefaultHoldout)
	s.doc.Exploration.HoldoutOff = true
	s.change(event.ChangeSettings)
	next("turned off", 0)
	b.s = open(b.s.db) // another process reads what was kept of it
	s.session(s.doc.Traits)
	b.feed(1, s.events[len(s.events)-1])
	s.add(s.feedback(event.ChannelSession, 1))
	next("still turned off", 0)
	s.doc.Exploration.HoldoutOff = false
	s.change(event.ChangeSettings)
	next("turned on", policy.DefaultHoldout)
	s.learning = false
	s.change(event.ChangePaused)
	next("paused", 0)
	s.learning = true
	s.change(event.ChangeResumed)
	next("resumed", policy.DefaultHoldout)
	s.doc.Exploration.Strategy = policy.StrategyOff
	s.change(event.ChangeSettings)
	next("no exploration", 0)
	s.doc.Exploration.Strategy = policy.StrategyMixture
	s.baseline[policy.Humor] = .52
	s.change(event.ChangeEdited, "humor")
	next("the owner made it the start", 0)
}

// compared makes sessions of which every 20th is held out, rated a word or the
// other, and asks.
func (s *story) compared(n int, held, now string) {
	for i := range n {
		out := i%20 == 0
		s.session(s.doc.Traits)
		e := &s.events[len(s.events)-1]
		p, err := event.As[event.ReplyGenerated](*e)
		if err != nil {
			panic(err)
		}
		p.HoldoutShare, p.Holdout = .05, out
		*e = event.New("test", e.ID, e.Time, p)
		f := s.feedback(event.ChannelSession, 0)
		if f.Level = now; out {
			f.Level = held
		}
		if i%3 == 1 { // not everybody says the same
			f.Level = "meh"
		}
		s.add(f)
	}
}

func (b *bench) holdout(t *testing.T, agent string) Comparison {
	t.Helper()
	p, err := b.s.Learning(t.Context(), event.AgentID(agent), 2e15)
	if err != nil {
		t.Fatal(err)
	}
	return p.Holdout
}

func TestBetterThanWhenYouBegan(t *testing.T) {
	t.Parallel()
	b, s := newBench(t), newStory("a")
	b.feed(50, s.events...)
	if c := b.holdout(t, "a"); c.Word != BetterUnknown || c.Better != nil || c.Interval != nil || c.N+c.Holdouts != 0 {
		t.Errorf("a new agent: %+v", c)
	}
	from := len(s.events)
	s.compared(130, "not_great", "loved")
	b.feed(50, s.events[from:]...)
	if c := b.holdout(t, "a"); c.Word != BetterUnknown || c.Better != nil || c.Holdouts != 7 || c.N != 123 {
		t.Errorf("seven held out: %+v", c)
	}
	from = len(s.events)
	s.compared(270, "not_great", "loved")
	b.feed(50, s.events[from:]...)
	c := b.holdout(t, "a")
	if c.Word != BetterYes || c.Holdouts != 21 || c.N != 379 || *c.Better < .8 || *c.Better > 1.6 || !(c.Interval[0] > 0) {
		t.Errorf("plainly better: %+v", c)
	}
	// the bytes do not depend on batches, and a replay gives the same
	before := b.dump("rl_sides")
	again := newBench(t)
	again.feed(7, s.events...)
	if got := again.dump("rl_sides"); got != before {
		t.Error("sides depend on batches")
	}
	again.feed(50, slices.Clone(s.events[from:])...)
	if got := again.dump("rl_sides"); got != before {
		t.Error("events that come twice change sides")
	}
	// who sets the start anew begins anew
	s.baseline[policy.Humor], s.doc.Traits[policy.Humor] = .8, .8
	s.change(event.ChangeEdited, "humor")
	from = len(s.events)
	s.compared(300, "loved", "not_great")
	b.feed(50, s.events[from-1:]...)
	if c := b.holdout(t, "a"); c.Word != BetterNo || c.Holdouts != 15 || c.N != 285 || !(c.Interval[1] < 0) {
		t.Errorf("plainly worse since: %+v", c)
	}
	// a guest's word and sessions that could not be held out say nothing
	from = len(s.events)
	s.session(s.doc.Traits)
	s.add(s.feedback(event.ChannelSession, 1))
	f := s.feedback(event.ChannelReaction, 1)
	f.Role, f.RaterID = event.RoleParticipant, "guest"
	s.add(f)
	b.feed(50, s.events[from:]...)
	if c := b.holdout(t, "a"); c.N != 285 {
		t.Errorf("%+v", c)
	}
	known, err := b.s.Satisfaction(t.Context(), "a")
	if err != nil || len(known) != 701 {
		t.Fatalf("%d episodes, %v", len(known), err)
	}
	for id, k := range known {
		if math.Abs(k.Weight-1) > 1e-9 || k.Value < -1 || k.Value > 1 {
			t.Errorf("%s: %+v", id, k)
		}
	}
	if x, err := b.s.Start(t.Context(), "a"); err != nil || x[policy.Humor] != .8 {
		t.Error(x, err)
	}
	if _, err := b.s.Start(t.Context(), "nobody"); err == nil {
		t.Error("nobody has a start")
	}
	s.add(event.AgentRetired{AgentID: "a"})
	b.feed(1, s.events[len(s.events)-1])
	if got := b.dump("rl_sides"); len(got) > len("rl_sides [agent_id episode_id held_out]\n") {
		t.Errorf("a retired agent leaves\n%s", got)
	}
}
