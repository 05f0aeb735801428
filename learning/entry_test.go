package learning

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/event"
	"rapport/learning/fusion"
	"rapport/policy"
)

func someEntries() []*Entry {
	return []*Entry{
		{At: 5, ID: "x", Act: &Act{Kind: actEdited, Touched: 3, Levels: policy.Neutral(), Hi: policy.Neutral(), Pinned: 4, Pace: 2, Learning: true}},
		{At: 7, ID: event.HashID("a"), About: Episode{Decided: true, DecidedAt: 8, Decision: "d", Rendered: policy.Traits{.1, .25, 1}, Consent: true,
			Contributions: []Contribution{
				{Feedback: "a", Rater: event.HashID("r"), At: 9, Owner: true, Source: fusion.OwnerThumb, Value: -1, Share: .333333},
				{Feedback: event.HashID("b"), Rater: "g", Source: fusion.Guest, Toward: -1, Trait: policy.Brevity, Share: 1, Measured: 2, Levels: policy.Traits{0, .5}},
			}}},
	}
}

func TestEntriesReadBack(t *testing.T) {
	t.Parallel()
	for _, e := range someEntries() {
		e.About.Contributions = sortedContributions(e.About.Contributions)
		b := e.append(nil)
		back, err := readEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Error(diff)
		}
	}
}

func sortedContributions(cs []Contribution) []Contribution {
	var e Episode
	for _, c := range cs {
		e.put(c)
	}
	return e.Contributions
}

func TestUUIDsArePackedAndComeBack(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "a", event.HashID("x"), "01234567-89AB-cdef-0123-456789abcdef", "01234567-89ab-cdef-0123-456789abcdeg"} {
		r := reader{b: appendID(nil, id)}
		if got := r.id(); got != id || r.bad || len(r.b) != 0 {
			t.Errorf("%q reads back as %q", id, got)
		}
	}
}

func TestStateReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := life(rt, 8)
		_ = s
		var list []*Entry
		for _, e := range someEntries() {
			e.About.Contributions = sortedContributions(e.About.Contributions)
			list = append(list, e)
		}
		state := Fold(list)
		b := state.append(nil)
		if len(b) != StateSize || StateSize > 2500 {
			rt.Fatalf("%d bytes, StateSize says %d", len(b), StateSize)
		}
		var back State
		if !back.read(b) || back != state {
			rt.Fatal("another state came back")
		}
		b[0]++
		if back.read(b) {
			rt.Fatal("a state of another generation was read")
		}
	})
}

func FuzzReadEntry(f *testing.F) {
	for _, e := range someEntries() {
		f.Add(e.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := readEntry(b)
		if err != nil {
			return
		}
		if got := e.append(nil); !bytes.Equal(got, b) {
			t.Fatalf("read\n%x\nwritten\n%x", b, got)
		}
		Fold([]*Entry{e})
	})
}

func FuzzReadState(f *testing.F) {
	s := Fold(someEntries()[:1])
	f.Add(s.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s State
		if s.read(b) {
			if got := s.append(nil); !bytes.Equal(got, b) {
				t.Fatal("a state that was read is written differently")
			}
		}
	})
}
