package rater

import (
	"crypto/sha256"
	"math"
	"testing"

	"pgregory.net/rapid"

	"rapport/policy"
)

func stream(name string) policy.Stream { return policy.NewStream(sha256.Sum256([]byte(name))) }

// The formula of the design page, written the long way.
func TestStandingFollowsTheFormula(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var s Standing
		want := 0.
		for range rapid.IntRange(1, 60).Draw(rt, "thumbs") {
			value := rapid.SampledFrom([]float64{-1, -.5, .5, 1}).Draw(rt, "value")
			expected := rapid.Float64Range(-2.5, 2.5).Draw(rt, "expected")
			s = s.After(value, expected, .05, .8)
			p := math.Max(.1, math.Min(.97, (1.05+.8*expected)/2))
			if value > 0 {
				want += math.Log(p / .03)
			} else {
				want += math.Log((1 - p) / .97)
			}
			want = math.Max(-6, math.Min(6, want))
		}
		if math.Abs(float64(s)/1e6-want) > 1e-4 {
			rt.Fatalf("standing %v, want %v", float64(s)/1e6, want)
		}
		rep := 1 / (1 + math.Exp(-math.Log(.85/.15)-float64(s)/1e6))
		if math.Abs(s.Reputation()-rep) > 1e-4 || s.Excluded() != (rep < .5) && math.Abs(rep-.5) > 1e-4 {
			rt.Fatalf("reputation %v excluded %v, want %v", s.Reputation(), s.Excluded(), rep)
		}
	})
}

func TestStandingIgnoresWhatSaysNothing(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range [][4]float64{{0, .5, 0, .8}, {nan, .5, 0, .8}, {inf, .5, 0, .8}, {1, nan, 0, .8}, {1, -inf, 0, .8}, {1, .5, nan, .8}, {1, .5, 0, inf}} {
		if s := Standing(7).After(c[0], c[1], c[2], c[3]); s != 7 {
			t.Errorf("%v moved a standing to %d", c, s)
		}
	}
	if s := Standing(0).After(1, 1e308, 1e308, 1e308); s <= 0 || s > standingLimit {
		t.Errorf("numbers too large gave %d", s)
	}
}

func TestAnAdversaryIsExcludedAndMayComeBack(t *testing.T) {
	t.Parallel()
	var s Standing
	if s.Excluded() || s.Reputation() != .85 {
		t.Fatalf("a stranger has the reputation %v", s.Reputation())
	}
	n := 0
	for ; !s.Excluded(); n++ {
		s = s.After(-1, .6, 0, .8)
	}
	if n < 2 || n > 4 {
		t.Errorf("excluded after %d thumbs down on good sessions", n)
	}
	for range 1000 {
		s = s.After(-1, .6, 0, .8)
	}
	if s != -standingLimit {
		t.Errorf("a thousand more lead to %d", s)
	}
	for n = 0; s.Excluded(); n++ {
		s = s.After(1, .6, 0, .8)
	}
	if n != 2 { // log(.74/.03) each
		t.Errorf("back after %d thumbs up", n)
	}
}

// 28 always-negative guests among 300, as in the design's simulation.
func TestStandingFindsAdversariesAndSparesTheHonest(t *testing.T) {
	t.Parallel()
	r := stream("guests")
	found, wronged := 0, 0
	for guest := range 300 {
		var s Standing
		for range 40 {
			expected := 1.2*r.Float64() - .3
			up := r.Float64() < .03
			if guest >= 28 {
				up = r.Float64() < (1+.8*expected)/2
			}
			value := -1.
			if up {
				value = 1
			}
			s = s.After(value, expected, 0, .8)
		}
		if s.Excluded() && guest < 28 {
			found++
		} else if s.Excluded() {
			wronged++
		}
	}
	if found != 28 || wronged != 0 {
		t.Errorf("found %d of 28, wronged %d of 272", found, wronged)
	}
}

func TestOwnLogarithmAndExponential(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		x := rapid.Float64Range(1e-6, 1e6).Draw(rt, "x")
		if got, want := logOf(x), math.Log(x); math.Abs(got-want) > 1e-13*math.Max(1, math.Abs(want)) {
			rt.Fatalf("log %v = %v, want %v", x, got, want)
		}
		y := rapid.Float64Range(-20, 20).Draw(rt, "y")
		if got, want := expOf(y), math.Exp(y); math.Abs(got-want) > 1e-13*want {
			rt.Fatalf("exp %v = %v, want %v", y, got, want)
		}
	})
}

// Stored numbers: a change here is a new formula version.
func TestStandingIsFixedForever(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value, expected float64
		want            Standing
	}{{1, .6, 3_205_453}, {-1, .6, -1_316_614}, {1, -2, 1_203_973}, {-1, -2, -74_901}, {-1, 2, -3_476_099}} {
		if got := Standing(0).After(c.value, c.expected, 0, .8); got != c.want {
			t.Errorf("%v where %v was expected: %d, want %d", c.value, c.expected, got, c.want)
		}
	}
}
