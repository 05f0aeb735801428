package fold

import (
	"fmt"
	"testing"

	"rapport/learning/fusion"
	"rapport/learning/safety"
	"rapport/policy"
)

// pushed lets guests who see every level praise more humour and blame less, in 100
// sessions of nine signals each, between the ratings of an owner. It gives by how much the level
// differs from what it is without them, and what they counted for.
func pushed(t *testing.T, seed byte, ratings, raters int, doubt uint8, taste func(humor float64, r *policy.Stream) float64) (moved, counted float64) {
	t.Helper()
	r := policy.NewStream([32]byte{seed})
	list := []*Entry{{At: 1, ID: "a", Act: &Act{Kind: Created, Levels: policy.Neutral(), Baseline: policy.Neutral(), Hi: ones(), Learning: true, Alive: true, Pace: PaceOf(safety.Normal)}}}
	bare := []*Entry{list[0]}
	s, f, guests := New(), Folder{}, 0
	if err := f.Apply(&s, list[0]); err != nil {
		t.Fatal(err)
	}
	n := 100 + ratings
	for k := range n {
		x := s.Theta
		for j := range x {
			x[j] = min(1, max(0, x[j]+.12*r.Normal()))
		}
		e := &Entry{At: int64(k + 2), ID: fmt.Sprintf("e%04d", k), About: Episode{Decided: true, Consent: true, Rendered: x}}
		if ratings > 0 && (k+1)*ratings/n != k*ratings/n {
			e.About.Put(Contribution{Feedback: "o", Rater: "owner", Owner: true, Source: fusion.OwnerRating, Value: taste(x[policy.Humor], &r), Share: 1})
			e.About.Put(Contribution{Feedback: "p", Rater: "owner", Owner: true, Source: fusion.Engagement, Value: .65, Share: 1})
		}
		b := *e
		b.About.Contributions = append([]Contribution(nil), e.About.Contributions...)
		if len(e.About.Contributions) == 0 {
			value := -1.
			if x[policy.Humor] >= s.Theta[policy.Humor] {
				value = 1
			}
			for q := range 9 {
				e.About.Put(Contribution{Feedback: fmt.Sprint("g", q), Rater: fmt.Sprint("guest", guests%raters), Source: fusion.Guest, Value: value, Share: 1, Doubt: doubt})
			}
			guests++
		}
		list, bare = append(list, e), append(bare, &b)
		if err := f.Apply(&s, e); err != nil {
			t.Fatal(err)
		}
	}
	w, err := Of(bare, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	return s.Theta[policy.Humor] - w.Theta[policy.Humor], s.Guests
}

// TestOneGuestIsBounded: what one account counts for is at most a third of what guests
// may, and it turns a trait by at most the steps that an owner with so many ratings
// could take.
func TestOneGuestIsBounded(t *testing.T) {
	t.Parallel()
	pleased := func(float64, *policy.Stream) float64 { return .5 }
	dry := func(humor float64, r *policy.Stream) float64 {
		return min(1, max(-1, .6-3*(humor-.4)*(humor-.4)+.3*r.Normal()))
	}
	for _, c := range []struct {
		ratings, raters int
		doubt           uint8
		taste           func(float64, *policy.Stream) float64
		share           float64
	}{
		{0, 1, 0, pleased, 1. / 3}, {24, 1, 0, pleased, 1. / 3}, {100, 1, 0, pleased, 1. / 3}, {100, 1, 0, dry, 1. / 3}, {300, 1, 0, dry, 1. / 3},
		{0, 10, 0, pleased, 1}, {100, 10, 0, dry, 1},
		{24, 10, 2, pleased, 1. / 3}, {100, 10, 3, dry, 1. / 3}, // many that look like one
	} {
		most := 0.
		for seed := range byte(12) {
			moved, counted := pushed(t, seed, c.ratings, c.raters, c.doubt, c.taste)
			most = max(most, moved)
			// The owner's information is at most a rating and its behaviour's share for each.
			if limit := c.share * (guestShare*1.5*float64(c.ratings) + guestFloor); counted > limit+1e-9 {
				t.Errorf("%d ratings, %d raters: they count %v ratings, at most %v", c.ratings, c.raters, counted, limit)
			}
		}
		if limit := c.share * safety.StepBound * (guestShare*float64(c.ratings) + guestFloor); most > limit+1e-9 {
			t.Errorf("%d ratings, %d raters with %d signs: a level was turned by %v, at most %v", c.ratings, c.raters, c.doubt, most, limit)
		}
	}
}
