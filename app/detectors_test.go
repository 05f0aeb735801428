package app

import (
	"bytes"
	"testing"

	"rapport/feedback/signal"
	"rapport/learning/fusion"
)

// Every detector that feedback has is a source that the learner has a loading for, with
// the same noise; what is only there or not is known to be.
func TestEveryDetectorHasALoading(t *testing.T) {
	t.Parallel()
	for _, d := range signal.Detectors() {
		s := fusion.SourceOf(d.ID)
		if d.ID == signal.Reaction { // counted as what guests say
			continue
		}
		if s == fusion.Behaviour || s.Usual() != d.Noise || s.Mark() != (d.Min == d.Max) {
			t.Errorf("%s: source %d, noise %v for %v, mark %v", d.ID, s, s.Usual(), d.Noise, s.Mark())
		}
	}
}

// What an owner does in a talk reaches the learner, each thing by its detector, and they
// read it in words; of somebody who did not allow it nothing is kept.
func TestWhatPeopleDo(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, bob := r.person("Ada"), r.person("Bob")
	luna := ada.make("Luna", nil)
	luna.say("Tell me about the mountains, I love the mountains.")
	luna.say("Which of the mountains would you climb?")
	guest := luna.with(bob)
	guest.say("Tell me about bread.")
	guest.say("Which bread do you like?")
	r.settle()
	var e struct {
		Ratings []struct{ Channel, Did, By string }
		Guests  *struct{ People int }
	}
	ada.must("GET", luna.path("/explanation"), nil, &e)
	did := map[string]int{}
	for _, x := range e.Ratings {
		if x.By != "you" || x.Did == "" {
			t.Errorf("%+v", x)
		}
		did[x.Did]++
	}
	if did["you asked on"] != 1 || did["how quickly you answered"] != 1 || did["whether your answer put something right"] != 1 || e.Guests != nil {
		t.Errorf("%+v", e)
	}
	for _, table := range []string{"feedback_events", "baselines"} {
		if bytes.Contains(dump(t, r.App, "feedback", table), []byte(bob.ID)) {
			t.Errorf("%s holds something of who did not allow it", table)
		}
	}
}
