package fold

import (
	"math"
	"testing"

	"rapport/learning/fusion"
	"rapport/policy"
)

// TestAfterAChangeOfTaste: a change of taste is noticed, counts for forty episodes with
// evidence, and the levels follow; who likes the same all the time is never taken for
// somebody else.
func TestAfterAChangeOfTaste(t *testing.T) {
	t.Parallel()
	r := policy.NewStream([32]byte{9})
	s, f := Started(policy.Neutral()), Folder{}
	live := func(n int, humor float64) (noticed int) {
		for range n {
			before := s.Lost
			e := Entry{At: 1, ID: "e", About: Episode{Decided: true, Consent: true, Rendered: s.Theta}}
			for j := range e.About.Rendered {
				e.About.Rendered[j] = min(1, max(0, s.Theta[j]+.2*(r.Float64()-.5)))
			}
			d := e.About.Rendered[policy.Humor] - humor
			e.About.Put(Contribution{Feedback: "f", Rater: "o", Owner: true, Source: fusion.OwnerRating, Value: max(-1, 1-5*d*d+.2*r.Normal()), Share: 1})
			if err := f.Apply(&s, &e); err != nil {
				t.Fatal(err)
			}
			switch {
			case f.Drifted:
				noticed++
				if s.Lost != lostEpisodes {
					t.Fatalf("%d episodes are left after a change", s.Lost)
				}
			case s.Lost != before-min(before, 1):
				t.Fatalf("%d episodes were left, then %d", before, s.Lost)
			}
		}
		return noticed
	}
	if n := live(120, .3); n != 0 || s.Lost != 0 || math.Abs(s.Theta[policy.Humor]-.3) > .1 {
		t.Fatalf("%d changes where there was none, humor is %v", n, s.Theta[policy.Humor])
	}
	if n := live(25, .95); n == 0 {
		t.Fatal("a change of taste was not noticed")
	}
	live(60, .95)
	if math.Abs(s.Theta[policy.Humor]-.95) > .15 {
		t.Errorf("humor is %v long after the change", s.Theta[policy.Humor])
	}
	if b := s.Append(nil); !new(State).Read(b) {
		t.Error("the state cannot be read")
	}
	f.Apply(&s, &Entry{Act: &Act{Kind: Transferred}})
	if s.Lost != 0 {
		t.Error("a new owner begins lost")
	}
}
