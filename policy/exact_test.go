package policy

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestExpAndLn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		x := rapid.Float64Range(-700, 700).Draw(rt, "x")
		if got, want := Exp(x), math.Exp(x); math.Abs(got-want) > 1e-15*want {
			rt.Fatalf("Exp(%v) = %v, want %v", x, got, want)
		}
		x = math.Exp(x)
		if got, want := Ln(x), math.Log(x); math.Abs(got-want) > 1e-15*max(1, math.Abs(want)) {
			rt.Fatalf("Ln(%v) = %v, want %v", x, got, want)
		}
		x = 1 + rapid.Float64Range(-.3, .3).Draw(rt, "near one")
		if got, want := Ln(x), math.Log(x); math.Abs(got-want) > 1e-15*math.Abs(want) {
			rt.Fatalf("Ln(%v) = %v, want %v", x, got, want)
		}
	})
	for x, want := range map[float64]float64{0: 1, math.Inf(-1): 0, -701: 0, math.NaN(): 0, -1e300: 0} {
		if got := Exp(x); got != want {
			t.Errorf("Exp(%v) = %v, want %v", x, got, want)
		}
	}
	if Exp(1e9) != Exp(700) || math.IsInf(Exp(700), 0) {
		t.Error("exp of a large number is not held")
	}
	for x, want := range map[float64]float64{1: 0, 0: math.Inf(-1), -1: math.Inf(-1), math.NaN(): math.Inf(-1), math.Inf(1): math.Inf(1)} {
		if got := Ln(x); got != want {
			t.Errorf("Ln(%v) = %v, want %v", x, got, want)
		}
	}
}
