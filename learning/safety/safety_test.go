package safety

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"rapport/policy"
)

func TestGatesAreTheirProbabilities(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pace     string
		approval bool
		p        float64
	}{{Careful, false, .9}, {Normal, false, .7}, {Fast, false, .6}, {"", false, .7}, {Fast, true, .9}, {Normal, true, .9}} {
		g := GateOf(c.pace, c.approval)
		if phi := .5 * math.Erfc(-g.Z/math.Sqrt2); g.P != c.p || math.Abs(phi-c.p) > 1e-12 {
			t.Errorf("%s: gate %v, Φ(z) = %v, want %v", c.pace, g.P, phi, c.p)
		}
	}
}

func TestTogetherIsSurerThanEach(t *testing.T) {
	t.Parallel()
	for _, pace := range []string{Careful, Normal, Fast, ""} {
		g, each := Together(pace), GateOf(pace, false)
		if phi := .5 * math.Erfc(-g.Z/math.Sqrt2); math.Abs(phi-g.P) > 1e-12 || g.P <= each.P {
			t.Errorf("%q: together %v, Φ(z) = %v, each %v", pace, g, phi, each)
		}
	}
}

func TestFlatteryNeedsMoreThanApproval(t *testing.T) {
	t.Parallel()
	box := policy.Range{Lo: 0, Hi: 1}
	if r := Fence(policy.Empathy, box, .6, true); math.Abs(r.Hi-.65) > 1e-12 || r.Lo != 0 {
		t.Errorf("empathy may go to %v", r)
	}
	if r := Fence(policy.Directness, box, .6, true); math.Abs(r.Lo-.55) > 1e-12 || r.Hi != 1 {
		t.Errorf("directness may go to %v", r)
	}
	if r := Fence(policy.Assertiveness, box, .6, false); r != box {
		t.Errorf("with behaviour assertiveness may go to %v", r)
	}
	if r := Fence(policy.Humor, box, .6, true); r != box {
		t.Errorf("humor may go to %v", r)
	}
}

func TestPropose(t *testing.T) {
	t.Parallel()
	level := rapid.Float64Range(0, 1)
	draw := func(rt *rapid.T, limits policy.Bounds) (x policy.Traits) {
		for j := range x {
			r := limits.Of(policy.Trait(j))
			x[j] = math.Round((r.Lo+level.Draw(rt, "level")*(r.Hi-r.Lo))*1e6) / 1e6
		}
		return x
	}
	rapid.Check(t, func(rt *rapid.T) {
		limits := policy.Bounds{policy.Empathy: {Lo: .3, Hi: 1}, policy.Sarcasm: {Lo: .1, Hi: .9}}
		r := Request{
			Canonical: draw(rt, limits), Target: draw(rt, nil), Limits: limits,
			Pinned:    policy.Mask(rapid.Uint16Range(0, 255).Draw(rt, "pinned")),
			Steps:     rapid.IntRange(1, 12).Draw(rt, "steps"),
			Withdrawn: rapid.Bool().Draw(rt, "withdrawn"),
		}
		r.WeekAgo = r.Canonical
		r.WeekAgo[0] = level.Draw(rt, "last week")
		to, verdicts := Propose(r)
		for j := range to {
			moved := to[j] - r.Canonical[j]
			switch {
			case moved == 0:
				continue
			case r.Pinned.Has(policy.Trait(j)):
				rt.Fatalf("pinned %s moved", policy.Trait(j))
			case !limits.Of(policy.Trait(j)).Has(to[j]):
				rt.Fatalf("%s left its bounds: %v", policy.Trait(j), to[j])
			case r.Withdrawn:
				continue
			case math.Abs(moved) > StepBound*float64(r.Steps)+1e-6:
				rt.Fatalf("%s moved by %v in %d steps", policy.Trait(j), moved, r.Steps)
			case math.Abs(to[j]-r.WeekAgo[j]) > max(DriftBound, math.Abs(r.Canonical[j]-r.WeekAgo[j]))+1e-6:
				rt.Fatalf("%s drifted to %v from %v", policy.Trait(j), to[j], r.WeekAgo[j])
			}
		}
		for _, c := range policy.Forbidden() {
			if c.Holds(to) && !c.Holds(r.Canonical) {
				rt.Fatalf("%s was proposed", c.Name)
			}
		}
		for _, v := range verdicts {
			if v.OK != (v.Note == "") {
				rt.Fatalf("verdict %+v", v)
			}
		}
	})
}

func TestAForbiddenCombinationIsNotCompleted(t *testing.T) {
	t.Parallel()
	from := policy.Neutral()
	from[policy.Sarcasm], from[policy.Empathy] = .69, .39
	to := from
	to[policy.Sarcasm], to[policy.Humor] = .71, .52
	got := Permit(from, to)
	if got[policy.Sarcasm] != .69 || got[policy.Humor] != .52 {
		t.Errorf("got %v", got)
	}
}
