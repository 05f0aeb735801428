package fold

import (
	"fmt"
	"testing"

	"rapport/learning/fusion"
	"rapport/policy"
)

// TestPressesAreWorthWhatTheyPredict: of an owner who asks for what their ratings
// ask for too a press is soon worth everything, of one who presses the other way or
// at random soon little.
func TestPressesAreWorthWhatTheyPredict(t *testing.T) {
	t.Parallel()
	worth := func(right float64) float64 {
		r := policy.NewStream([32]byte{7})
		s, f := Started(policy.Neutral()), Folder{}
		for k := range 150 {
			x := policy.Neutral()
			for j := range x {
				x[j] = .2 + .6*r.Float64()
			}
			d := x[policy.Humor] - .9 // the owner likes humor at .9
			e := &Entry{At: int64(k), ID: fmt.Sprintf("%03d", k), About: Episode{Decided: true, Consent: true, Rendered: x}}
			e.About.Put(Contribution{Feedback: "a", Rater: "o", Owner: true, Source: fusion.OwnerRating, Value: max(-1, 1-4*d*d+.1*r.Normal()), Share: 1})
			toward := int8(1)
			if r.Float64() > right {
				toward = -1
			}
			if k%3 == 0 {
				e.About.Put(Contribution{Feedback: "b", Rater: "o", Owner: true, Toward: toward, Trait: policy.Humor, Share: 1})
			}
			if err := f.Apply(&s, e); err != nil {
				t.Fatal(err)
			}
		}
		return s.Presser.worth()
	}
	if w := worth(1); w != 1 {
		t.Errorf("right presses are worth %v", w)
	}
	if w := worth(.5); w > .35 {
		t.Errorf("coin flips are worth %v", w)
	}
	if w := worth(0); w != 0 {
		t.Errorf("wrong presses are worth %v", w)
	}
	if s := New(); s.Presser.worth() <= 0 {
		t.Error("the first press is worth nothing")
	}
}
