package sequential

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
)

// In many runs of a skewed variable, looked at after each number, the mean is
// outside at some time in at most α of them; and the interval does close.
func TestSequenceHoldsAtEveryTime(t *testing.T) {
	t.Parallel()
	const runs, n, alpha = 400, 500, .05
	missed, width := 0, 0.
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 21))
		s := NewSequence(-1, 1, alpha)
		mean, out := .9*.5-.1, false // .5 mostly, −1 in a tenth
		for range n {
			v := .5
			if r.Float64() < .1 {
				v = -1
			}
			if err := s.Add(v); err != nil {
				t.Fatal(err)
			}
			lo, hi := s.Interval()
			if lo < -1 || hi > 1 || lo > hi {
				t.Fatal("interval", lo, hi)
			}
			out = out || mean < lo || mean > hi
		}
		if out {
			missed++
		}
		lo, hi := s.Interval()
		width += (hi - lo) / runs
	}
	t.Logf("the mean is ever outside in %d of %d runs; width after %d: %.3f", missed, runs, n, width)
	if share := float64(missed) / runs; share > alpha {
		t.Errorf("the mean is outside at some time in %.3f of runs", share)
	}
	if width > .4 {
		t.Errorf("after %d numbers the interval is still %.3f wide", n, width)
	}
}

func TestSequenceRefusesAndGoesOn(t *testing.T) {
	t.Parallel()
	s := NewSequence(0, 1, .05)
	if lo, hi := s.Interval(); lo != 0 || hi != 1 || s.Mean() != .5 {
		t.Error("before the first", lo, hi, s.Mean())
	}
	for range 50 {
		_ = s.Add(.7)
	}
	before := s
	for _, v := range []float64{math.NaN(), math.Inf(1), -.01, 1.01} {
		if s.Add(v) == nil || s != before {
			t.Errorf("%v was taken", v)
		}
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again Sequence
	if err := json.Unmarshal(raw, &again); err != nil || again != s {
		t.Fatalf("%v %+v", err, again)
	}
	if lo, hi := again.Interval(); !(lo > .5 && lo < .7 && hi > .7) || math.Abs(again.Mean()-.7) > 1e-12 {
		t.Error(lo, hi, again.Mean())
	}
}

// live lets a canary run on ratings from a satisfaction of .7, its own sessions
// so much worse, and says what it decides and when.
func live(run uint64, share, worse float64, most int) (string, int) {
	r := rand.New(rand.NewPCG(run, 9))
	c := NewCanary(share, -1, 1, .05)
	for n := range most {
		with := c.Gets(key(r))
		s := .7 + .16*r.NormFloat64()
		if with {
			s -= worse
		}
		if d, err := c.Add(with, rated(s)); err != nil || d != Keep {
			return d, n
		}
	}
	return Keep, most
}

// Nothing differs: a canary looked at after every session reverts in at most α of
// runs, and neither adopts in more.
func TestCanaryOfNothing(t *testing.T) {
	t.Parallel()
	const runs = 400
	got := map[string]int{}
	for run := range uint64(runs) {
		d, _ := live(run, .2, 0, 1500)
		got[d]++
	}
	t.Logf("of %d canaries of nothing, 1,500 sessions each: %v", runs, got)
	if got[Revert] > runs/20 {
		t.Errorf("%d of %d reverted", got[Revert], runs)
	}
}

func TestCanaryFindsWhatIsWorse(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		share, worse float64
		want         string
		within       int
	}{{.2, .13, Revert, 800}, {.5, .2, Revert, 300}, {.5, -.13, Adopt, 500}} {
		late, wrong := 0, 0
		for run := range uint64(100) {
			d, n := live(run, x.share, x.worse, 3000)
			if d != x.want {
				wrong++
			}
			if n > x.within {
				late++
			}
		}
		if wrong > 0 || late > 50 {
			t.Errorf("satisfaction %.2f worse on a share of %.1f: %d of 100 not %s, %d later than %d sessions", x.worse, x.share, wrong, x.want, late, x.within)
		}
	}
}

func TestCanaryStays(t *testing.T) {
	t.Parallel()
	c := NewCanary(.5, -1, 1, .05)
	k := key(rand.New(rand.NewPCG(1, 1)))
	if first := c.Gets(k); c.Gets(k) != first {
		t.Error("equal keys, other answers")
	}
	if d, err := c.Add(true, math.NaN()); d != Keep || err == nil {
		t.Error(d, err)
	}
	for range 200 {
		_, _ = c.Add(true, -1)
		_, _ = c.Add(false, 1)
	}
	if c.Decided != Revert || c.Gets(k) {
		t.Fatal(c.Decided)
	}
	for range 2000 {
		_, _ = c.Add(true, 1)
		_, _ = c.Add(false, -1)
	}
	if c.Decided != Revert {
		t.Error("a revert was taken back")
	}
}

func key(r *rand.Rand) (k [32]byte) {
	for i := range k {
		k[i] = byte(r.Uint32())
	}
	return k
}

// rated is the session level that a satisfaction gets.
func rated(s float64) float64 {
	switch {
	case s >= .85:
		return 1
	case s >= .62:
		return .5
	case s >= .40:
		return -.25
	}
	return -1
}
