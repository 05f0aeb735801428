package actions

import (
	"math"
	"testing"

	"rapport/learning/fold"
	"rapport/learning/step"
	"rapport/policy"
)

// TestThePlainFormIsTheProducts: the plain regressions of the separate form believe what
// the product's blocks believe of the same episodes, and move levels and weights alike.
func TestThePlainFormIsTheProducts(t *testing.T) {
	t.Parallel()
	ours, theirs := newProduct(true), newPlain(Plain)
	script := Script(3, 120)
	for i := range script.list {
		e := &script.list[i]
		if err := ours.learn(e); err != nil {
			t.Fatal(err)
		}
		if err := theirs.learn(e); err != nil {
			t.Fatal(err)
		}
	}
	b, err := ours.fold.Believe(&ours.state)
	if err != nil {
		t.Fatal(err)
	}
	for j := range step.D {
		i := ofTrait(j)
		for k, pair := range [...][2]float64{{b.M[1+j], theirs.main.m[i]}, {b.M[1+step.D+j], theirs.main.m[i+1]}} {
			if math.Abs(pair[0]-pair[1]) > 1e-6 {
				t.Errorf("trait %d, number %d: %v and %v", j, k, pair[0], pair[1])
			}
		}
	}
	apart := 0.
	for j, v := range theirs.x {
		apart += math.Abs(v - ours.state.Theta[j])
	}
	if apart > step.StepBound*step.D {
		t.Errorf("the levels are %v and %v", ours.state.Theta, theirs.x)
	}
	_, weights := ours.policy()
	for k, v := range theirs.weights {
		if math.Abs(v-weights[k]) > 1e-4 { // 32 bits
			t.Errorf("%s: %v and %v", fold.Action(k), weights[k], v)
		}
	}
	if ours.state.Theta == policy.Neutral() || weights[0] == starts[0] {
		t.Error("nothing moved")
	}
	if d := ours.state.B/ours.state.A - theirs.main.b/theirs.main.a; math.Abs(d) > 1e-6 {
		t.Errorf("the noise differs by %v", d)
	}
}

// TestAWeightThatHadNoPartStays: an episode moves the weight of its action only, by a
// step at most, in every form; the fixed one moves none.
func TestAWeightThatHadNoPartStays(t *testing.T) {
	t.Parallel()
	script := Script(5, 150)
	for _, f := range append([]Form{Plain}, Forms...) {
		l, moved := f.learner(), 0
		_, before := l.policy()
		for i := range script.list {
			e := &script.list[i]
			if err := l.learn(e); err != nil {
				t.Fatal(err)
			}
			_, after := l.policy()
			for k := range after {
				d := math.Abs(after[k] - before[k])
				if d > 0 {
					moved++
				}
				if d > step.StepBound+1e-6 || d > 0 && fold.Action(k) != e.action {
					t.Fatalf("%s: %s moved by %v in an episode of %s", f, fold.Action(k), d, e.action)
				}
			}
			before = after
		}
		if (moved > 0) != (f != Fixed) {
			t.Errorf("%s: %d moves", f, moved)
		}
	}
}

// TestTheIdealIsBest: nothing is more satisfying than the owner's ideal in any world.
func TestTheIdealIsBest(t *testing.T) {
	t.Parallel()
	r := policy.NewStream([32]byte{9})
	for _, w := range Worlds {
		o := person{ideal: policy.Neutral(), importance: policy.Traits{2, 1, 1, 1}, weight: fold.Actions{.3}, matters: fold.Actions{1.2}, shift: fold.Actions{w.Shift}}
		if got, best := w.satisfaction(&o, &o.ideal, 0, .3); got != best || best != 1-w.Shift {
			t.Errorf("%s: %v at the ideal, best %v", w.Name, got, best)
		}
		for range 200 {
			var x policy.Traits
			for j := range x {
				x[j] = r.Float64()
			}
			if got, best := w.satisfaction(&o, &x, 0, r.Float64()); got > best {
				t.Fatalf("%s: %v is better than the best %v", w.Name, got, best)
			}
		}
	}
}

// TestStatesAreAsLargeAsStored: the sizes reported are those of encoded states.
func TestStatesAreAsLargeAsStored(t *testing.T) {
	t.Parallel()
	if jointBytes(step.P, step.D)-7*int(fold.NActions) != step.Size {
		t.Errorf("by the formula the trait block takes %d bytes, it takes %d", jointBytes(step.P, step.D)-7*int(fold.NActions), step.Size)
	}
	if rest := fold.Size - Separate.StateBytes(); rest != 16+16*step.D+4+2+step.D+4*step.D+8*step.D+5*8+16*12+16+4 {
		t.Errorf("beside trait block and action blocks an encoded state has %d bytes", rest)
	}
}

func TestARunIsAFunctionOfItsSeed(t *testing.T) {
	t.Parallel()
	play := func(seed uint64) float64 {
		lives, err := Worlds[0].Play(Joint, seed, 3, 30)
		if err != nil {
			t.Fatal(err)
		}
		return lives[2].Regret[1]
	}
	if a, b, c := play(7), play(7), play(8); a != b || a == c {
		t.Errorf("regrets %v, %v and, of another seed, %v", a, b, c)
	}
}
