package fold

import (
	"fmt"
	"math"
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
		return s.Presser.worth(AskingDefault)
	}
	if w := worth(1); w < .5 {
		t.Errorf("right presses are worth %v", w)
	}
	if w := worth(.5); w > .1 {
		t.Errorf("coin flips are worth %v", w)
	}
	if w := worth(0); w != 0 {
		t.Errorf("wrong presses are worth %v", w)
	}
	if s := New(); s.Presser.worth(AskingDefault) <= 0 {
		t.Error("the first press is worth nothing")
	}
}

// TestAskingIsLearnedFromAllOwners: the share of right presses comes back, and one
// owner with many presses does not speak for all.
func TestAskingIsLearnedFromAllOwners(t *testing.T) {
	t.Parallel()
	r := policy.NewStream([32]byte{8})
	of := func(right float64) []Presser {
		all := make([]Presser, 400)
		for i := range all {
			for range 3 {
				e := .8 * r.Float64()
				if r.Float64() > (1+(2*right-1)*e)/2 { // against what is believed
					e = -e
				}
				all[i].Seen += e * e
				all[i].Agreed += e
			}
		}
		return all
	}
	for _, right := range []float64{.5, .7, .85, 1} {
		if got := Asking(of(right)); math.Abs(got-(2*right-1)) > .12 {
			t.Errorf("presses right in %v of the cases: %v, want about %v", right, got, 2*right-1)
		}
	}
	if got := Asking(nil); math.Abs(got-AskingDefault) > 1e-12 {
		t.Errorf("of nobody: %v", got)
	}
	loud := append(of(.85), Presser{Seen: 1e6, Agreed: -1e6})
	if got := Asking(loud); got < .5 {
		t.Errorf("one owner takes it to %v", got)
	}
}
