package step

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/mat"
	"pgregory.net/rapid"

	"rapport/policy"
)

func drawLevels(t *rapid.T) (x policy.Traits) {
	for j := range x {
		x[j] = rapid.Float64Range(0, 1).Draw(t, "level")
	}
	return x
}

// TestAgainstAnOracle recomputes posterior, residual and forgetting the long way
// with gonum.
func TestAgainstAnOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := New(drawLevels(rt))
		big, h := mat.NewSymDense(P, nil), mat.NewVecDense(P, nil)
		posterior := func() (*mat.SymDense, *mat.VecDense) {
			l, rhs := mat.NewSymDense(P, nil), mat.NewVecDense(P, nil)
			for i := range P {
				for j := range i + 1 {
					l.SetSym(i, j, big.At(i, j))
				}
				p, m := .2/.25, .4
				if i > D {
					p, m = .2/(.25*.25), -.35
				} else if i > 0 {
					p, m = .2/(.35*.35), .35*(2*s.Start[i-1]-1)
				}
				l.SetSym(i, i, l.At(i, i)+p)
				rhs.SetVec(i, p*m+h.AtVec(i))
			}
			var chol mat.Cholesky
			if !chol.Factorize(l) {
				rt.Fatal("not positive definite")
			}
			var inv mat.SymDense
			var m mat.VecDense
			if err := chol.InverseTo(&inv); err != nil {
				rt.Fatal(err)
			}
			if err := chol.SolveVecTo(&m, rhs); err != nil {
				rt.Fatal(err)
			}
			return &inv, &m
		}
		a, b, c := 10., 2., 0.
		for range rapid.IntRange(1, 12).Draw(rt, "observations") {
			x, active := drawLevels(rt), policy.Mask(rapid.Uint16Range(0, 255).Draw(rt, "active"))
			y, w := rapid.Float64Range(-2.5, 2.5).Draw(rt, "y"), rapid.Float64Range(.01, 3.4).Draw(rt, "w")
			f := Features(&x, active)
			keep := math.Pow(.995, min(w, 1))
			// predict with the forgotten data, then take the observation in
			big.ScaleSym(keep, big)
			h.ScaleVec(keep, h)
			inv, m := posterior()
			phi := mat.NewVecDense(P, f[:])
			e := y - mat.Dot(phi, m)
			t := 1/w + mat.Inner(phi, inv, phi)
			z := e / math.Sqrt(b/a*t)
			c = max(0, c-min(3, max(-3, z))*min(1, math.Sqrt(w))-.35)
			a, b = a+.5, b+.5*e*e/t
			if a > 60 {
				a, b = 60, b*60/a
			}
			big.SymRankOne(big, w, phi)
			h.AddScaledVec(h, w*y, phi)
			drifted := s.Observe(DefaultPrior(), &f, y, w)
			if drifted != (c > 5) {
				rt.Fatalf("drift %v at CUSUM %v", drifted, c)
			}
			if drifted {
				big.ScaleSym(.1, big)
				h.ScaleVec(.1, h)
				c = 0
			}
		}
		inv, m := posterior()
		got := s.Believe(DefaultPrior(), new(Belief))
		near := func(what string, got, want float64) {
			if math.Abs(got-want) > 1e-7*(1+math.Abs(want)) {
				rt.Fatalf("%s %v, want %v", what, got, want)
			}
		}
		near("a", s.A, a)
		near("b", s.B, b)
		near("c", s.C, c)
		for i := range P {
			near("mean", got.M[i], m.AtVec(i))
		}
		for j := range D {
			near("linear", got.inv[j][0], inv.At(1+j, 1+j))
			near("both", got.inv[j][1], inv.At(1+j, 1+D+j))
			near("quadratic", got.inv[j][2], inv.At(1+D+j, 1+D+j))
		}
		// a sample is the mean plus L⁻ᵀn: its covariance is the inverse
		var sum [P]float64
		for i := range P {
			var v Vec
			v[i] = 1
			got.backward(&v)
			for k := range P {
				sum[k] += v[k] * v[k]
			}
		}
		for k := range P {
			near("sample variance", sum[k], inv.At(k, k))
		}
	})
}

func TestMoveIsBoundedFencedAndGated(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := New(drawLevels(rt))
		for range rapid.IntRange(0, 30).Draw(rt, "observations") {
			x := drawLevels(rt)
			f := Features(&x, policy.AllTraits)
			s.Observe(DefaultPrior(), &f, rapid.Float64Range(-2, 2).Draw(rt, "y"), rapid.Float64Range(0, 2).Draw(rt, "w"))
		}
		var fence Fence
		for j := range D {
			fence.Lo[j] = rapid.Float64Range(0, s.Theta[j]).Draw(rt, "lo")
			fence.Hi[j] = rapid.Float64Range(s.Theta[j], 1).Draw(rt, "hi")
			fence.Gate[j] = .5244
		}
		fence.May = policy.Mask(rapid.Uint16Range(0, 255).Draw(rt, "may"))
		before, b := s.Theta, s.Believe(DefaultPrior(), new(Belief))
		moved := s.Move(b, &fence)
		for j := range D {
			d := policy.Trait(j)
			if moved.Has(d) == (s.Theta[j] == before[j]) && s.Theta[j] != before[j] {
				rt.Fatalf("%s moved unsaid", d)
			}
			if !fence.May.Has(d) && s.Theta[j] != before[j] {
				rt.Fatalf("%s may not move and did", d)
			}
			if math.Abs(s.Theta[j]-before[j]) > StepBound+1e-12 || s.Theta[j] < fence.Lo[j] || s.Theta[j] > fence.Hi[j] {
				rt.Fatalf("%s moved from %v to %v in [%v,%v]", d, before[j], s.Theta[j], fence.Lo[j], fence.Hi[j])
			}
			if moved.Has(d) && b.Better(d, before[j], s.Theta[j]) < .699 {
				rt.Fatalf("%s moved at P %v", d, b.Better(d, before[j], s.Theta[j]))
			}
		}
	})
}

func TestAskingMovesTheBeliefTheRightWay(t *testing.T) {
	t.Parallel()
	for _, sign := range []float64{1, -1} {
		s := New(policy.Neutral())
		x := policy.Neutral()
		x[policy.Humor] = .7
		before := s.Believe(DefaultPrior(), new(Belief)).Better(policy.Humor, .65, .65+.1*sign)
		s.Ask(&x, policy.Humor, sign, 1)
		after := s.Believe(DefaultPrior(), new(Belief))
		if got := after.Better(policy.Humor, .65, .65+.1*sign); got <= before {
			t.Errorf("asked %+v: P went from %v to %v", sign, before, got)
		}
		if got := after.Better(policy.Empathy, .5, .6); math.Abs(got-s.Believe(DefaultPrior(), new(Belief)).Better(policy.Curiosity, .5, .6)) > 1e-12 {
			t.Errorf("asked for humor, empathy is now %v", got)
		}
	}
}

func TestExpectedLossOfCentresIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := New(drawLevels(rt))
		for range rapid.IntRange(0, 60).Draw(rt, "observations") {
			x := drawLevels(rt)
			f := Features(&x, policy.AllTraits)
			s.Observe(DefaultPrior(), &f, 1-8*(x[0]-.2)*(x[0]-.2), 1)
		}
		b := s.Believe(DefaultPrior(), new(Belief))
		theta, lo, hi := drawLevels(rt), policy.Traits{}, policy.Traits{}
		for j := range hi {
			hi[j] = 1
		}
		lo[3], hi[3] = theta[3], theta[3] // pinned
		var out [policy.DefaultCentres]policy.Traits
		r := stream(3, 4)
		budget := b.Centres(&theta, &lo, &hi, &r, &out)
		f := func(x *policy.Traits) float64 {
			v := 0.
			for i, c := range Features(x, policy.AllTraits) {
				v += c * b.M[i]
			}
			return v
		}
		for _, c := range out {
			if math.Abs(c[3]-theta[3]) > 1e-12 {
				rt.Fatal("a pinned trait varies")
			}
			for j := range c {
				if math.Abs(c[j]-theta[j]) > policy.DefaultRho+1e-12 || c[j] < -1e-12 || c[j] > 1+1e-12 {
					rt.Fatalf("centre %v outside the box of %v", c[j], theta[j])
				}
			}
			if loss := f(&theta) - f(&c); loss > budget+1e-9 || budget < .01 {
				rt.Fatalf("a centre costs %v, the budget is %v", loss, budget)
			}
		}
	})
	for _, c := range [][3]float64{{-1, .2, .05}, {.3, -1, .1}, {-.4, -.1, .02}, {0, -.5, .1}} {
		root := firstRoot(c[0], c[1], c[2])
		if v := c[0]*root*root + c[1]*root + c[2]; math.Abs(v) > 1e-12 || root <= 0 || root > 1 {
			t.Errorf("root of %v is %v, value there %v", c, root, v)
		}
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	for w := 0.; w <= 1; w += .01 {
		if got, want := forget(w), math.Pow(.995, w); math.Abs(got-want) > 2e-16 {
			t.Errorf("λ^%v = %v, want %v", w, got, want)
		}
	}
}

func TestStateReadsBack(t *testing.T) {
	t.Parallel()
	s := New(policy.Neutral())
	x := policy.Traits{.1, .2, .3, .4, .5, .6, .7, .8}
	f := Features(&x, policy.AllTraits)
	s.Observe(DefaultPrior(), &f, .5, 1)
	b := s.Append(nil)
	if len(b) != Size || Size > 1640 {
		t.Errorf("a state takes %d bytes, Size says %d", len(b), Size)
	}
	var back State
	if !back.Read(b) {
		t.Fatal("refused")
	}
	if diff := cmp.Diff(s, back); diff != "" {
		t.Error(diff)
	}
	if back.Read(b[:Size-1]) {
		t.Error("a short state was read")
	}
	copy(b, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f})
	if back.Read(b) {
		t.Error("NaN was read")
	}
}

func BenchmarkEntry(b *testing.B) {
	s := New(policy.Neutral())
	fence := Fence{May: policy.AllTraits}
	for j := range fence.Hi {
		fence.Hi[j], fence.Gate[j] = 1, .52
	}
	r := stream(1, 2)
	var belief Belief
	b.ReportAllocs()
	for b.Loop() {
		var x policy.Traits
		for j := range x {
			x[j] = r.Float64()
		}
		f := Features(&x, policy.AllTraits)
		s.Observe(DefaultPrior(), &f, r.Float64(), .2)
		s.Move(s.Believe(DefaultPrior(), &belief), &fence)
	}
}

func BenchmarkCentres(b *testing.B) {
	s := New(policy.Neutral())
	lo, hi := policy.Traits{}, policy.Traits{1, 1, 1, 1, 1, 1, 1, 1}
	r := stream(1, 2)
	belief := s.Believe(DefaultPrior(), new(Belief))
	var out [policy.DefaultCentres]policy.Traits
	b.ReportAllocs()
	for b.Loop() {
		belief.Centres(&s.Theta, &lo, &hi, &r, &out)
	}
}
