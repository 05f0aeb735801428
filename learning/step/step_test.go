package step

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/floats"
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

// drawPrior draws a prior of one to MaxK kinds with full precisions.
func drawPrior(t *rapid.T) *Prior {
	return priorOf(rapid.IntRange(1, MaxK).Draw(t, "kinds"), rapid.Uint64().Draw(t, "prior"))
}

// priorOf is a prior of k kinds of owners that like different things.
func priorOf(k int, seed uint64) *Prior {
	r, components, sum := stream(seed, 12), make([]Component, k), 0.
	for i := range components {
		c := &components[i]
		*c = DefaultPrior().Components[0]
		c.Weight = .1 + r.Float64()
		sum += c.Weight
		for j := range c.Mean {
			c.Mean[j] += .15 * r.Normal()
		}
		for j := range c.Slope {
			c.Slope[j] = .6 * r.Float64()
		}
		for range 3 { // any positive definite matrix: the default one and some products
			var v Vec
			for a := range v {
				v[a] = 1.5 * r.Normal()
				for b := range a + 1 {
					c.Precision[row(a)+b] += v[a] * v[b]
				}
			}
		}
	}
	for i := range components {
		components[i].Weight /= sum
	}
	p, err := NewPrior(.1+.2*r.Float64(), components)
	if err != nil {
		panic(err)
	}
	return p
}

func symmetric(v *[Tri]float64) *mat.SymDense {
	out := mat.NewSymDense(P, nil)
	for i := range P {
		for j := range i + 1 {
			out.SetSym(i, j, v[row(i)+j])
		}
	}
	return out
}

// oracle is a belief computed the long way.
type oracle struct {
	r        []float64
	m        []*mat.VecDense
	inv      []*mat.SymDense
	evidence float64
}

func consult(t *rapid.T, p *Prior, start *policy.Traits, s *mat.SymDense, h *mat.VecDense, yy, n float64) (o oracle) {
	factored := func(m mat.Symmetric) *mat.Cholesky {
		var chol mat.Cholesky
		if !chol.Factorize(m) {
			t.Fatal("not positive definite")
		}
		return &chol
	}
	for k := range p.Components {
		c := &p.Components[k]
		mu, q := mat.NewVecDense(P, nil), symmetric(&c.Precision)
		for i := range P {
			mu.SetVec(i, c.Mean[i])
			if i >= 1 && i <= D {
				mu.SetVec(i, c.Mean[i]+c.Slope[i-1]*(2*start[i-1]-1))
			}
		}
		q.ScaleSym(p.Noise, q)
		var pull, rhs, m mat.VecDense
		pull.MulVec(q, mu)
		rhs.AddVec(&pull, h)
		var lambda, inv mat.SymDense
		lambda.AddSym(q, s)
		chol := factored(&lambda)
		if err := chol.InverseTo(&inv); err != nil {
			t.Fatal(err)
		}
		if err := chol.SolveVecTo(&m, &rhs); err != nil {
			t.Fatal(err)
		}
		o.m, o.inv = append(o.m, &m), append(o.inv, &inv)
		o.r = append(o.r, math.Log(c.Weight)+.5*(factored(q).LogDet()-chol.LogDet())+.5*(mat.Dot(&rhs, &m)-mat.Dot(mu, &pull)-yy)/p.Noise-.5*n*math.Log(2*math.Pi*p.Noise))
	}
	o.evidence = floats.LogSumExp(o.r)
	for k := range o.r {
		o.r[k] = math.Exp(o.r[k] - o.evidence)
	}
	return o
}

// TestAgainstAnOracle recomputes posterior, evidence, residual and forgetting the
// long way with gonum.
func TestAgainstAnOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		prior := DefaultPrior()
		if rapid.Bool().Draw(rt, "mixture") {
			prior = drawPrior(rt)
		}
		s, got := New(drawLevels(rt)), new(Belief)
		big, h, yy, n := mat.NewSymDense(P, nil), mat.NewVecDense(P, nil), 0., 0.
		near := func(what string, got, want float64) {
			if !(math.Abs(got-want) <= 1e-7*(1+math.Abs(want))) {
				rt.Fatalf("%s %v, want %v", what, got, want)
			}
		}
		a, b, c := 10., 10*prior.Noise, 0.
		for range rapid.IntRange(1, 12).Draw(rt, "observations") {
			x, active := drawLevels(rt), policy.Mask(rapid.Uint16Range(0, 255).Draw(rt, "active"))
			y, w := rapid.Float64Range(-2.5, 2.5).Draw(rt, "y"), rapid.Float64Range(.01, 3.4).Draw(rt, "w")
			f := s.Features(&x, active)
			keep := math.Pow(.995, min(w, 1))
			// predict with the forgotten data, then take the observation in
			big.ScaleSym(keep, big)
			h.ScaleVec(keep, h)
			yy, n = keep*yy+w*y*y, keep*n+1
			phi := mat.NewVecDense(P, f[:])
			var e, t float64
			before := consult(rt, prior, &s.Start, big, h, 0, 0)
			for k, r := range before.r {
				e += r * (y - mat.Dot(phi, before.m[k]))
			}
			for k, r := range before.r {
				off := y - mat.Dot(phi, before.m[k]) - e
				t += r * (1/w + mat.Inner(phi, before.inv[k], phi) + off*off*a/b)
			}
			z := e / math.Sqrt(b/a*t)
			c = max(0, c-min(3, max(-3, z))*min(1, math.Sqrt(w))-.35)
			a, b = a+.5, b+.5*e*e/t
			if a > 60 {
				a, b = 60, b*60/a
			}
			big.SymRankOne(big, w, phi)
			h.AddScaledVec(h, w*y, phi)
			drifted, err := s.ObserveInto(prior, got, &f, y, w)
			if err != nil {
				rt.Fatal(err)
			}
			if drifted != (c > 5) {
				rt.Fatalf("drift %v at CUSUM %v", drifted, c)
			}
			if drifted {
				big.ScaleSym(.03, big)
				h.ScaleVec(.03, h)
				yy, n, c = .03*yy, .03*n, 0
			}
			near("a", s.A, a)
			near("b", s.B, b)
			near("c", s.C, c)
			near("Σwy²", s.YY, yy)
			near("n", s.N, n)
		}
		if again := s.Believe(prior, new(Belief)); again.M != got.M || again.cov != got.cov || again.R != got.R || again.Scale != got.Scale {
			rt.Fatal("Believe after Observe is another belief")
		}
		want := consult(rt, prior, &s.Start, big, h, yy, n)
		near("evidence", got.LogEvidence(), want.evidence)
		m, left := mat.NewVecDense(P, nil), 0.
		for k, r := range want.r {
			if r < rare {
				want.r[k] = 0
				continue
			}
			m.AddScaledVec(m, r, want.m[k])
			left += r
		}
		m.ScaleVec(1/left, m)
		for i := range P {
			near("mean", got.M[i], m.AtVec(i))
		}
		cov := func(i, j int) (v float64) {
			for k, r := range want.r {
				v += r / left * (b/a*want.inv[k].At(i, j) + (want.m[k].AtVec(i)-m.AtVec(i))*(want.m[k].AtVec(j)-m.AtVec(j)))
			}
			return v
		}
		for j := range D {
			near("linear", got.cov[j][0], cov(1+j, 1+j))
			near("both", got.cov[j][1], cov(1+j, 1+D+j))
			near("quadratic", got.cov[j][2], cov(1+D+j, 1+D+j))
		}
		// a sample is the mean plus L⁻ᵀn: its covariance is the inverse
		for k, r := range got.R[:len(want.r)] {
			near("kind", r, want.r[k]/left)
			if r == 0 {
				continue
			}
			var sum Vec
			for i := range P {
				var v Vec
				v[i] = 1
				got.kinds[k].l.backward(&v)
				for l := range P {
					sum[l] += v[l] * v[l]
				}
			}
			for l := range P {
				near("sample variance", sum[l], want.inv[k].At(l, l))
			}
		}
	})
}

func TestMoveIsBoundedFencedAndGated(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, p := New(drawLevels(rt)), drawPrior(rt)
		for range rapid.IntRange(0, 30).Draw(rt, "observations") {
			x := drawLevels(rt)
			f := around(&x, policy.AllTraits)
			s.Observe(p, &f, rapid.Float64Range(-2, 2).Draw(rt, "y"), rapid.Float64Range(0, 2).Draw(rt, "w"))
		}
		var fence Fence
		for j := range D {
			fence.Lo[j] = rapid.Float64Range(0, s.Theta[j]).Draw(rt, "lo")
			fence.Hi[j] = rapid.Float64Range(s.Theta[j], 1).Draw(rt, "hi")
			fence.Gate[j] = .5244
		}
		fence.May = policy.Mask(rapid.Uint16Range(0, 255).Draw(rt, "may"))
		before, b := s.Theta, s.Believe(p, new(Belief))
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
		s, p := New(drawLevels(rt)), drawPrior(rt)
		b := s.Believe(p, new(Belief))
		for range rapid.IntRange(0, 60).Draw(rt, "observations") {
			x := drawLevels(rt)
			f := s.Features(&x, policy.AllTraits)
			if _, err := s.ObserveInto(p, b, &f, max(-2.5, 1-8*(x[0]-.2)*(x[0]-.2)), 1); err != nil {
				rt.Fatal(err)
			}
		}
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
			for i, c := range s.Features(x, policy.AllTraits) {
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
			if loss := f(&theta) - f(&c); loss > budget+1e-9 || budget < lossFloor {
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
	f := around(&x, policy.AllTraits)
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
	for _, k := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("K=%d", k), func(b *testing.B) {
			s, p := New(policy.Neutral()), priorOf(k, 1)
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
				f := around(&x, policy.AllTraits)
				if _, err := s.ObserveInto(p, &belief, &f, r.Float64(), .2); err != nil {
					b.Fatal(err)
				}
				s.Move(&belief, &fence)
			}
			b.ReportMetric(belief.R[0], "r")
		})
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

// around are the features of a state that started in the middle.
func around(x *policy.Traits, active policy.Mask) Vec {
	s := New(policy.Neutral())
	return s.Features(x, active)
}

// TestRebaseCarriesTheEvidenceOver: the same observations around another start.
func TestRebaseCarriesTheEvidenceOver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		one, other := New(drawLevels(rt)), New(drawLevels(rt))
		for range rapid.IntRange(1, 30).Draw(rt, "observations") {
			x, y := drawLevels(rt), rapid.Float64Range(-1, 1).Draw(rt, "y")
			f, g := one.Features(&x, policy.AllTraits), other.Features(&x, policy.AllTraits)
			one.add(&f, y, 1)
			other.add(&g, y, 1)
		}
		one.Rebase(other.Start)
		if one.Start != other.Start {
			rt.Fatal("the start is not the one asked for")
		}
		for i, v := range other.S {
			if math.Abs(one.S[i]-v) > 1e-9*(1+math.Abs(v)) {
				rt.Fatalf("S[%d] is %v, want %v", i, one.S[i], v)
			}
		}
		for i, v := range other.H {
			if math.Abs(one.H[i]-v) > 1e-9*(1+math.Abs(v)) {
				rt.Fatalf("H[%d] is %v, want %v", i, one.H[i], v)
			}
		}
	})
}

// TestMovesMustBeSureTogether: of moves that are each more likely right than wrong,
// those are made that are surely right in sum.
func TestMovesMustBeSureTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, p := New(policy.Neutral()), drawPrior(rt)
		b := s.Believe(p, new(Belief))
		for range rapid.IntRange(1, 20).Draw(rt, "observations") {
			x := drawLevels(rt)
			f := s.Features(&x, policy.AllTraits)
			if _, err := s.ObserveInto(p, b, &f, rapid.Float64Range(-1, 1).Draw(rt, "y"), 1); err != nil {
				rt.Fatal(err)
			}
		}
		fence := Fence{May: policy.AllTraits, Together: rapid.Float64Range(0, 3).Draw(rt, "together")}
		for j := range fence.Hi {
			fence.Hi[j] = 1
		}
		alone, before := s, s.Theta
		free := fence
		free.Together = 0
		wanted := alone.Move(b, &free)
		moved := s.Move(b, &fence)
		if moved&^wanted != 0 {
			rt.Fatalf("%v moved, without the bound only %v", moved.Traits(), wanted.Traits())
		}
		mean, d := 0., Vec{}
		for _, j := range moved.Traits() {
			m, _ := b.Difference(j, before[j], s.Theta[j])
			mean += m
			z0, z1 := b.z(int(j), before[j]), b.z(int(j), s.Theta[j])
			d[1+j], d[1+D+j] = z1-z0, z1*z1-z0*z0
		}
		variance := 0. // the long way: Σ r_k (Scale·dᵀΛ_k⁻¹d + (d·(m_k−m))²)
		for k, r := range b.R {
			if r == 0 {
				continue
			}
			v, off := Vec{}, 0.
			for i := range P {
				var unit Vec
				unit[i] = 1
				b.kinds[k].l.backward(&unit)
				for l, u := range unit {
					v[i] += u * d[l]
				}
				off += d[i] * (b.kinds[k].m[i] - b.M[i])
			}
			variance += r * off * off
			for _, u := range v {
				variance += r * b.Scale * u * u
			}
		}
		if moved != 0 && mean < (fence.Together-1e-6)*math.Sqrt(variance) {
			rt.Fatalf("moved %v with a gain of %v ± %v, want %v deviations", moved.Traits(), mean, math.Sqrt(variance), fence.Together)
		}
	})
}
