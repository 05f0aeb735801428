package population

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"rapport/learning/step"
)

// Whatever is given, the result holds a prior that can be used, and an error has a
// name.
func TestAbsurdStatistics(t *testing.T) {
	t.Parallel()
	honest, _ := newWorld(12, 4).agents(40, 30)
	odd := []float64{0, 1, -1, 1e-300, 1e300, -1e300, 1e8, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}
	var last *Version
	rapid.Check(t, func(rt *rapid.T) {
		all := append([]Statistics(nil), honest...)
		for i := range rapid.IntRange(0, 6).Draw(rt, "absurd agents") {
			s := &all[i]
			value := rapid.SampledFrom(odd)
			switch rapid.IntRange(0, 5).Draw(rt, "where") {
			case 0:
				s.S[rapid.IntRange(0, step.Tri-1).Draw(rt, "i")] = value.Draw(rt, "S")
			case 1:
				s.H[rapid.IntRange(0, p-1).Draw(rt, "i")] = value.Draw(rt, "H")
			case 2:
				s.YY = value.Draw(rt, "YY")
			case 3:
				s.N = value.Draw(rt, "N")
			case 4: // consistent, but of an absurd size
				f := rapid.SampledFrom([]float64{1e-300, 1e-12, 1e12, 1e100}).Draw(rt, "factor")
				for k := range s.S {
					s.S[k] *= f
				}
				for k := range s.H {
					s.H[k] *= f
				}
				s.YY *= f
			case 5:
				s.Owner, s.Agent = all[0].Owner, fmt.Sprint("twin ", i)
			}
		}
		r, err := Fit(all, last, rapid.Uint64().Draw(rt, "seed"))
		if err != nil && !errors.Is(err, ErrCollapse) {
			rt.Fatalf("unexpected error %v", err)
		}
		if _, err := step.NewPrior(r.Version.Prior.Noise, r.Version.Prior.Components); err != nil {
			rt.Fatal(err)
		}
		if back, err := ReadVersion(r.Version.Append(nil)); err != nil || !back.Prior.Equal(r.Version.Prior) {
			rt.Fatalf("the version cannot be read: %v", err)
		}
		for _, c := range r.Version.Prior.Components {
			for j := range dims {
				if math.Abs(c.Mean[1+j]) > 3 || math.Abs(c.Mean[1+dims+j]) > 3 {
					rt.Fatalf("an absurd prior: %v", c.Mean)
				}
			}
		}
		last = &r.Version
	})
}
