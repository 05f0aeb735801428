package learning

import (
	"fmt"
	"math"
	"testing"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/policy"
)

// TestPressesAreLearnedFromAllOwners: at night the presses of all owners say what one is
// worth, a version says so, and agents that adopt it go by it.
func TestPressesAreLearnedFromAllOwners(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		right  float64 // share of presses in the direction of what the owner likes
		lo, hi float64
	}{{1, .45, 1}, {0, 0, .05}} {
		b := newBench(t)
		r := policy.NewStream([32]byte{11})
		for i := range 4 {
			s := newStory(fmt.Sprint("a", i))
			if i == 1 {
				s.owner, s.events = "owner-a0", nil // who has two agents
				s.add(event.AgentCreated{AgentState: s.state()})
			}
			b.feed(1, s.events...)
			for range 40 {
				x := policy.Neutral()
				x[policy.Humor] = .2 + .6*r.Float64()
				d := x[policy.Humor] - .9
				news := []event.Event{s.session(x), s.add(s.feedback(event.ChannelSession, max(-1, 1-4*d*d)))}
				f := s.feedback(event.ChannelTone, 0)
				f.Direction = &event.Direction{Trait: "humor", Sign: 1}
				if r.Float64() >= c.right {
					f.Direction.Sign = -1
				}
				b.feed(Batch, append(news, s.add(f))...)
			}
		}
		b.emitted()
		pressers, err := b.s.Pressers(t.Context())
		if err != nil || len(pressers) != 3 {
			t.Fatalf("%d owners, %v", len(pressers), err)
		}
		due := event.Micros(1_700_000_000_000_000 + 86_400e6)
		if run, err := b.s.RunJob(t.Context(), "calibrate", due); err != nil || run.Outcome != RunChanged {
			t.Fatalf("%+v, %v", run, err)
		}
		p, err := b.s.Published(t.Context())
		if got := p.Calibration.Asking; err != nil || !(got >= c.lo && got <= c.hi) || math.Abs(got-fold.Asking(pressers)) > 1e-6 {
			t.Errorf("presses right in %v of the cases are right by %v more often than wrong, %v", c.right, got, err)
		}
		lib := b.library()
		if got := lib.Asking(p.Versions.Calibration); got != p.Calibration.Asking {
			t.Errorf("the library says %v", got)
		}
	}
}
