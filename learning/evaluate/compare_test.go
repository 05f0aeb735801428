package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// compared lets sessions come one by one, a twentieth of them held out, and says
// whether anybody who looks after each would ever have said that one side is
// better, and after how many sessions.
func compared(run uint64, better float64, sessions int) (said float64, at int) {
	r := rand.New(rand.NewPCG(run, 77))
	var as, held Arm
	for n := range sessions {
		out := r.Float64() < .05
		s := .7 + .16*r.NormFloat64()
		if out {
			s -= better
		}
		arm := &as
		if out {
			arm = &held
		}
		w := 1.
		if r.Float64() < .5 {
			w = .3 // a thumb
		}
		_ = arm.Add(rated(s), w)
		if e, err := Compare(as, held, .1); err == nil && (e.Lo > 0 || e.Hi < 0) {
			return math.Copysign(1, e.Lo), n
		}
	}
	return 0, sessions
}

func TestCompareMayBeLookedAtAfterEverySession(t *testing.T) {
	t.Parallel()
	const runs = 400
	yes, no := 0, 0
	for run := range uint64(runs) {
		switch said, _ := compared(run, 0, 1200); said {
		case 1:
			yes++
		case -1:
			no++
		}
	}
	t.Logf("where nothing differs, looked at after each of 1,200 sessions: %d of %d ever say yes, %d no", yes, runs, no)
	if yes+no > runs/10 {
		t.Errorf("%d of %d said something where there is nothing", yes+no, runs)
	}
	found, when := 0, 0
	for run := range uint64(100) {
		if said, n := compared(run, .2, 1200); said == 1 {
			found++
			when += n
		}
	}
	t.Logf("satisfaction .2 better: said in %d of 100, after %d sessions on average", found, when/max(1, found))
	if found < 90 {
		t.Errorf("an improvement of .2 is found in %d of 100", found)
	}
}

func TestCompareByHandAndBad(t *testing.T) {
	t.Parallel()
	var a, b Arm
	for i := range 16 {
		if err := a.Add(float64(i%2), 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Compare(a, b, .1); err == nil {
		t.Error("an empty side is compared")
	}
	for range 8 {
		_ = b.Add(.25, 2)
	}
	e, err := Compare(a, b, .1)
	if err != nil || math.Abs(e.Value-.25) > 1e-12 {
		t.Fatal(e, err)
	}
	va, both := .25*16/15, .25*16/15*16/24
	if want := math.Sqrt(va/16 + both/8); math.Abs(e.SE-want) > 1e-12 {
		t.Errorf("SE %v, want %v", e.SE, want)
	}
	if e.Hi-e.Value < 2.6*e.SE || e.Hi-e.Value > 3.2*e.SE || math.Abs(e.Hi+e.Lo-2*e.Value) > 1e-12 {
		t.Errorf("%+v", e)
	}
	before := a
	for _, bad := range [][2]float64{{math.NaN(), 1}, {1, math.NaN()}, {math.Inf(1), 1}, {1, -1}} {
		if a.Add(bad[0], bad[1]) == nil || a != before {
			t.Errorf("%v was taken", bad)
		}
	}
	if err := a.Add(5, 0); err != nil || a != before {
		t.Error("a value of no weight counts")
	}
	_ = b.Add(3, 1e9)
	if _, err := Compare(a, b, .1); err == nil {
		t.Error("one session is a side")
	}
}
