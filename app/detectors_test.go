package app

import (
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
