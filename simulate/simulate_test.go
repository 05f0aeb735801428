package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/event"
	"rapport/policy"
)

func TestTaste(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		taste := NewTaste(r)
		if s := taste.Satisfaction(taste.Ideal); s != 1 {
			rt.Fatalf("the ideal satisfies by %v", s)
		}
		if !taste.Ideal.Valid() {
			rt.Fatalf("ideal %v", taste.Ideal)
		}
		sum := 0.0
		for _, w := range taste.Importance {
			sum += w
		}
		if sum < 4.999 || sum > 5.001 {
			rt.Fatalf("importances sum to %v", sum)
		}
		var x policy.Traits
		for j := range x {
			x[j] = rapid.Float64Range(0, 1).Draw(rt, "x")
		}
		if s := taste.Satisfaction(x); s < 0 || s > 1 {
			rt.Fatalf("satisfaction %v", s)
		}
		if _, _, any := taste.Press(taste.Ideal, r); any {
			rt.Fatal("somebody pressed a button at their ideal")
		}
	})
}

func TestPressesAreMostlyRight(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	right, all := 0, 0
	for range 3000 {
		taste := NewTaste(r)
		x := policy.Neutral()
		trait, sign, any := taste.Press(x, r)
		if !any {
			continue
		}
		all++
		if (taste.Ideal[trait] > x[trait]) == (sign > 0) {
			right++
		}
	}
	if share := float64(right) / float64(all); share < .82 || share > .88 {
		t.Errorf("%.3f of presses are right, .85 wanted", share)
	}
}

// fake is a pipeline that does nothing but write down what is asked of it.
type fake struct {
	mu     sync.Mutex
	people int
	days   time.Duration
	did    map[string]int
	fail   string
}

func (f *fake) do(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did[what]++
	if what == f.fail {
		return errors.New(what + " is broken")
	}
	return nil
}

func (f *fake) AddPerson(context.Context, string) (event.PersonID, error) {
	f.people++
	return event.PersonID(fmt.Sprint("p", f.people)), f.do("person")
}
func (f *fake) AddAgent(_ context.Context, owner event.PersonID, _ string) (event.AgentID, error) {
	return event.AgentID("agent of " + owner), f.do("agent")
}
func (f *fake) Talk(_ context.Context, p event.PersonID, a event.AgentID, _ string) (Reply, error) {
	return Reply{Message: "m", Session: event.SessionID(string(p) + string(a)), Rendered: policy.Neutral()}, f.do("talk")
}
func (f *fake) Rate(context.Context, event.PersonID, event.SessionID, string) error {
	return f.do("rate")
}
func (f *fake) Thumb(context.Context, event.PersonID, event.MessageID, bool) error {
	return f.do("thumb")
}
func (f *fake) Tone(context.Context, event.PersonID, event.MessageID, policy.Trait, int) error {
	return f.do("tone")
}
func (f *fake) End(context.Context, event.PersonID, event.AgentID) error { return f.do("end") }
func (f *fake) Settle(context.Context) error                             { return f.do("settle") }
func (f *fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.days += d
}

func live(t *testing.T, seed uint64) (*World, *fake) {
	t.Helper()
	f := &fake{did: map[string]int{}}
	w, err := New(t.Context(), f, Options{Seed: seed, Agents: 3, People: 7, Sessions: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Live(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, f
}

func TestASeedIsAWorld(t *testing.T) {
	t.Parallel()
	w, f := live(t, 7)
	again, g := live(t, 7)
	if d := cmp.Diff(f.did, g.did); d != "" || w.Counts != again.Counts {
		t.Errorf("the same seed did something else: %s", d)
	}
	for i, c := range w.Companions {
		if c.Taste != again.Companions[i].Taste {
			t.Errorf("%s has another taste", c.Name)
		}
	}
	if other, _ := live(t, 8); other.Counts == w.Counts {
		t.Error("another seed did the same")
	}
	n := w.Counts
	if n.Sessions < 30 || f.did["talk"]*2 != n.Messages || f.did["rate"] != n.Ratings || f.did["thumb"] != n.Thumbs || f.did["tone"] != n.Presses || f.did["end"] != n.Sessions {
		t.Errorf("counted %+v, did %v", n, f.did)
	}
	if f.days < 10*24*time.Hour {
		t.Errorf("ten days took %v", f.days)
	}
	if len(w.Guests) != 4 || w.Companions[0].First == 0 || w.Companions[0].Last == 0 {
		t.Errorf("%d guests, satisfaction %v → %v", len(w.Guests), w.Companions[0].First, w.Companions[0].Last)
	}
}

func TestABrokenPipelineEndsTheWorld(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"talk", "end", "settle"} {
		f := &fake{did: map[string]int{}, fail: what}
		w, err := New(t.Context(), f, Options{Seed: 1, Sessions: 3})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Live(t.Context()); err == nil {
			t.Errorf("%s is broken, and nobody noticed", what)
		}
	}
	if _, err := New(t.Context(), &fake{did: map[string]int{}}, Options{Agents: 5, People: 2}); err == nil {
		t.Error("two people own five agents")
	}
}
