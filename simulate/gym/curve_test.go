package gym

import (
	"math"
	"testing"
)

// At the marks the curve is what is read there.
func TestCurve(t *testing.T) {
	t.Parallel()
	var of []*Run
	for seed := range uint64(3) {
		r, _ := Main().NewPopulation(seed).Play(0, 20, 60, Static)
		of = append(of, r)
	}
	run := Join(of)
	curve := run.Curve()
	for k, mark := range Marks[:2] {
		want := run.Of(func(a *Agent) float64 { return a.Regret[k] })
		if got := curve[mark-1]; math.Abs(got.Mean-want.Mean) > 1e-9 || math.Abs(got.Half-want.Half) > 1e-9 {
			t.Errorf("after %d sessions the curve is at %v, read is %v", mark, got, want)
		}
	}
}
