package step

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/policy"
)

// lived is a state after some sessions of an owner who likes little of everything.
func lived(p *Prior, sessions int) (s State, b *Belief) {
	s, b = New(policy.Neutral()), new(Belief)
	r := stream(uint64(sessions), 3)
	for range sessions {
		var x policy.Traits
		y := 1.
		for j := range x {
			x[j] = r.Float64()
			y -= (x[j] - .2) * (x[j] - .2)
		}
		f := around(&x, policy.AllTraits)
		if _, err := s.ObserveInto(p, b, &f, y+.2*r.Normal(), 3*r.Float64()); err != nil {
			panic(err)
		}
	}
	return s, b
}

// know says whether a belief says anything but that all levels are equal.
func know(b *Belief) bool {
	theta, lo, hi := policy.Neutral(), policy.Traits{}, policy.Traits{1, 1, 1, 1, 1, 1, 1, 1}
	s, fence := New(theta), Fence{Lo: lo, Hi: hi, May: policy.AllTraits}
	r := stream(1, 1)
	var out [policy.DefaultCentres]policy.Traits
	b.Centres(&theta, &lo, &hi, &r, &out)
	level, sd := b.Ideal(policy.Humor)
	return s.Move(b, &fence) != 0 || b.Better(policy.Humor, .2, .7) != .5 || out != [policy.DefaultCentres]policy.Traits{
		theta, theta, theta, theta, theta, theta, theta, theta, theta, theta, theta, theta, theta, theta, theta, theta} ||
		level != .5 || sd != 1/math.Sqrt(12)
}

func TestWhatCannotBeObservedChangesNothing(t *testing.T) {
	t.Parallel()
	good := around(&policy.Traits{.1, .2, .3, .4, .5, .6, .7, .8}, policy.AllTraits)
	with := func(i int, v float64) Vec { f := good; f[i] = v; return f }
	nan, inf := math.NaN(), math.Inf(1)
	for name, c := range map[string]struct {
		f    Vec
		y, w float64
		want error
	}{
		"a good one":          {good, 1, 1, nil},
		"at the limits":       {with(3, -2), -2.5, 1000, nil},
		"no weight":           {good, 1, 0, nil},
		"hardly any weight":   {good, 1, 1e-300, nil},
		"NaN feature":         {with(2, nan), 1, 1, ErrObservation},
		"infinite feature":    {with(16, -inf), 1, 1, ErrObservation},
		"enormous feature":    {with(5, 1e9), 1, 1, ErrObservation},
		"NaN value":           {good, nan, 1, ErrObservation},
		"infinite value":      {good, inf, 1, ErrObservation},
		"value beyond 2.5":    {good, -2.500001, 1, ErrObservation},
		"negative weight":     {good, 1, -1, ErrObservation},
		"NaN weight":          {good, 1, nan, ErrObservation},
		"infinite weight":     {good, 1, inf, ErrObservation},
		"unbelievable weight": {good, 1, 1001, ErrObservation},
	} {
		for _, p := range []*Prior{DefaultPrior(), priorOf(3, 1)} {
			s, b := lived(p, 20)
			before := s
			_, err := s.ObserveInto(p, b, &c.f, c.y, c.w)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if changed := s != before; changed != (c.want == nil && c.w > 0) {
				t.Errorf("%s: state changed: %v", name, changed)
			}
			if c.want != nil && (know(b) || b.Err != err) {
				t.Errorf("%s: a belief is left", name)
			}
			if c.want == nil && !know(b) {
				t.Errorf("%s: no belief is left", name)
			}
		}
	}
	s, _ := lived(DefaultPrior(), 5)
	before := s
	x := policy.Neutral()
	for name, ask := range map[string]func() error{
		"toward":    func() error { return s.Ask(&x, policy.Humor, nan, 1) },
		"share":     func() error { return s.Ask(&x, policy.Humor, 1, -1) },
		"level":     func() error { return s.Ask(&policy.Traits{nan}, 0, 1, 1) },
		"far level": func() error { return s.Ask(&policy.Traits{7}, 0, 1, 1) },
		"trait":     func() error { return s.Ask(&x, D, 1, 1) },
	} {
		if err := ask(); !errors.Is(err, ErrObservation) || s != before {
			t.Errorf("asked with a bad %s: %v, state changed: %v", name, err, s != before)
		}
	}
}

func TestAStateThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	f := around(&policy.Traits{.1, .2, .3, .4, .5, .6, .7, .8}, policy.AllTraits)
	for name, break_ := range map[string]func(s *State){
		"negative diagonal":     func(s *State) { s.S[row(4)+4] = -100 },
		"not positive definite": func(s *State) { s.S[row(9)+3] += 50 },
		"NaN in S":              func(s *State) { s.S[row(7)+2] = math.NaN() },
		"infinite S":            func(s *State) { s.S[0] = math.Inf(1) },
		"enormous S":            func(s *State) { s.S[row(16)+16] = 1e300 },
		"NaN in H":              func(s *State) { s.H[3] = math.NaN() },
		"enormous H":            func(s *State) { s.H[3] = 1e200 },
		"no noise":              func(s *State) { s.A, s.B = 10, math.NaN() },
		"negative noise":        func(s *State) { s.A, s.B = 10, -3 },
		"negative shape":        func(s *State) { s.A = -9 },
		"NaN drift":             func(s *State) { s.C = math.NaN() },
		"H without S":           func(s *State) { s.S, s.H[2] = [Tri]float64{}, 1 },
		"negative Σwy²":         func(s *State) { s.YY = -1 },
		"infinite count":        func(s *State) { s.N = math.Inf(1) },
		"NaN levels":            func(s *State) { s.Start[1] = math.NaN() },
	} {
		for _, p := range []*Prior{DefaultPrior(), priorOf(4, 2)} {
			s, b := lived(p, 30)
			break_(&s)
			before := s.Append(nil)
			if _, err := s.ObserveInto(p, b, &f, 1, 1); !errors.Is(err, ErrState) {
				t.Errorf("%s: observing gives %v", name, err)
			}
			if know(b) {
				t.Errorf("%s: a belief is left", name)
			}
			if diff := cmp.Diff(before, s.Append(nil)); diff != "" {
				t.Errorf("%s: the state changed", name)
			}
			if !errors.Is(s.Believe(p, b).Err, ErrState) || know(b) {
				t.Errorf("%s: it is believed", name)
			}
		}
	}
	if know(&Belief{}) {
		t.Error("the zero belief knows something")
	}
}

func TestTenMillionObservations(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("seconds")
	}
	p := priorOf(4, 3)
	s, b := lived(p, 10)
	r := stream(9, 9)
	var fs [64]Vec
	for i := range fs {
		var x policy.Traits
		for j := range x {
			x[j] = r.Float64()
		}
		fs[i] = around(&x, policy.AllTraits)
	}
	for i := range 10_000_000 {
		f := &fs[i%len(fs)]
		y, w := 2.5*float64(i%3-1), 3.4*float64(i%5)/4
		if i%20_000 > 0 {
			s.add(f, y, w)
			continue
		}
		if _, err := s.ObserveInto(p, b, f, y, w); err != nil {
			t.Fatalf("observation %d: %v", i, err)
		}
	}
	var back State
	if !back.Read(s.Append(nil)) {
		t.Fatal("the state is none any more")
	}
	// what is forgotten bounds the sums: w/(1−λ^min(w,1)) with w up to 3.4
	if limit := 3.4 / .005; s.S[0] > limit*1.01 || s.N > limit {
		t.Errorf("ΣwΦΦ of the intercept is %v, n %v, want at most %v", s.S[0], s.N, limit)
	}
	if !know(b) {
		t.Error("nothing is believed")
	}
}

// FuzzStep gives any bytes as a state, a prior and an observation: what is refused
// changes nothing, what is taken leaves a state.
func FuzzStep(f *testing.F) {
	good, _ := lived(DefaultPrior(), 40)
	few, _ := lived(priorOf(2, 5), 2)
	f.Add(good.Append(nil), priorOf(1, 1).Append(nil), []byte{}, .5, 1., uint16(255))
	f.Add(few.Append(nil), priorOf(4, 1).Append(nil), []byte{1, 2, 3, 4, 5, 6, 7, 8}, -2.5, 3.4, uint16(7))
	f.Add(good.Append(nil), DefaultPrior().Append(nil), []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, math.Inf(1), math.NaN(), uint16(0))
	f.Fuzz(func(t *testing.T, state, prior, feature []byte, y, w float64, at uint16) {
		var s State
		if !s.Read(state) {
			return
		}
		p, err := ReadPrior(prior)
		if err != nil {
			if !errors.Is(err, ErrPrior) {
				t.Fatal(err)
			}
			p = DefaultPrior()
		}
		x := policy.Neutral()
		features := around(&x, policy.Mask(at)&policy.AllTraits)
		if len(feature) >= 8 {
			features[at%P] = math.Float64frombits(binary.LittleEndian.Uint64(feature))
		}
		before := s
		b := new(Belief)
		drifted, err := s.ObserveInto(p, b, &features, y, w)
		if err != nil {
			if !errors.Is(err, ErrObservation) && !errors.Is(err, ErrState) || s != before || drifted || know(b) {
				t.Fatalf("%v left something", err)
			}
			return
		}
		var back State
		if !back.Read(s.Append(nil)) || back != s {
			t.Fatal("what is left is no state")
		}
		again := s.Believe(p, new(Belief))
		if again.M != b.M || again.cov != b.cov || again.R != b.R {
			t.Fatal("Believe is another belief")
		}
		sum := 0.
		for _, r := range b.R {
			sum += r
		}
		if !(math.Abs(sum-1) < 1e-12) {
			t.Fatalf("kinds sum to %v", sum)
		}
		fence := Fence{Lo: policy.Traits{.1, .9}, Hi: policy.Traits{.5, .95, 1, 1, 1, 1}, May: policy.Mask(at)}
		s.Move(b, &fence)
		for j := range D {
			if d := policy.Trait(j); s.Theta[j] != before.Theta[j] && (!fence.May.Has(d) || !(s.Theta[j] >= fence.Lo[j] && s.Theta[j] <= fence.Hi[j]) ||
				!(math.Abs(s.Theta[j]-before.Theta[j]) <= StepBound+1e-12)) {
				t.Fatalf("%s moved from %v to %v", d, before.Theta[j], s.Theta[j])
			}
		}
	})
}

func TestAPriorIsRefused(t *testing.T) {
	t.Parallel()
	good := priorOf(2, 4)
	for name, c := range map[string]func(p *Prior){
		"no noise":          func(p *Prior) { p.Noise = 0 },
		"NaN noise":         func(p *Prior) { p.Noise = math.NaN() },
		"nobody":            func(p *Prior) { p.Components = nil },
		"too many":          func(p *Prior) { p.Components = append(p.Components, priorOf(3, 1).Components...) },
		"weights":           func(p *Prior) { p.Components[0].Weight *= 1.01 },
		"no weight":         func(p *Prior) { p.Components[0].Weight, p.Components[1].Weight = 0, 1 },
		"NaN weight":        func(p *Prior) { p.Components[1].Weight = math.NaN() },
		"infinite mean":     func(p *Prior) { p.Components[1].Mean[3] = math.Inf(1) },
		"enormous mean":     func(p *Prior) { p.Components[1].Mean[3] = 1e300 },
		"NaN slope":         func(p *Prior) { p.Components[1].Slope[7] = math.NaN() },
		"NaN precision":     func(p *Prior) { p.Components[0].Precision[152] = math.NaN() },
		"indefinite":        func(p *Prior) { p.Components[1].Precision[row(5)+2] += 1e3 },
		"singular":          func(p *Prior) { clear(p.Components[1].Precision[row(16):]) },
		"negative variance": func(p *Prior) { p.Components[1].Precision[0] = -1 },
	} {
		p := priorOf(2, 4)
		c(p)
		if _, err := NewPrior(p.Noise, p.Components); !errors.Is(err, ErrPrior) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ReadPrior(p.Append(nil)); !errors.Is(err, ErrPrior) || errors.Is(err, ErrFormula) {
			t.Errorf("%s, read: %v", name, err)
		}
	}
	b := good.Append([]byte("before"))
	back, err := ReadPrior(b[6:])
	if err != nil || !back.Equal(good) || !good.Equal(back) || back.Equal(priorOf(2, 5)) || back.Equal(nil) {
		t.Errorf("it does not read back: %v", err)
	}
	if diff := cmp.Diff(good, back); diff != "" {
		t.Error(diff)
	}
	b = b[6:]
	for _, n := range []int{0, 1, 9, 10, len(b) - 1} {
		if _, err := ReadPrior(b[:n]); !errors.Is(err, ErrPrior) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := ReadPrior(append(b, 0)); !errors.Is(err, ErrPrior) {
		t.Errorf("a byte more: %v", err)
	}
	b[0] = Formula + 1
	if _, err := ReadPrior(b); !errors.Is(err, ErrFormula) || !errors.Is(err, ErrPrior) {
		t.Errorf("another formula version: %v", err)
	}
	components := good.Components
	p, _ := NewPrior(good.Noise, components)
	components[0].Mean[0] = 7
	if p.Components[0].Mean[0] == 7 {
		t.Error("a prior changes with what it was made of")
	}
}

// TestAKindGivenTwiceIsOneKind splits a component into equal parts.
func TestAKindGivenTwiceIsOneKind(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		one := priorOf(1, rapid.Uint64().Draw(rt, "prior"))
		shares := rapid.SliceOfN(rapid.Float64Range(.01, 1), 2, MaxK).Draw(rt, "shares")
		parts, sum := make([]Component, len(shares)), 0.
		for _, v := range shares {
			sum += v
		}
		for i, v := range shares {
			parts[i] = one.Components[0]
			parts[i].Weight = v / sum
		}
		many, err := NewPrior(one.Noise, parts)
		if err != nil {
			rt.Fatal(err)
		}
		near := func(what string, a, b float64) {
			if !(math.Abs(a-b) <= 1e-9*(1+math.Abs(a))) {
				rt.Fatalf("%s: %v with one kind, %v with %d equal ones", what, a, b, len(shares))
			}
		}
		a, b := New(drawLevels(rt)), State{}
		b = a
		ba, bb := new(Belief), new(Belief)
		fence := Fence{Hi: policy.Traits{1, 1, 1, 1, 1, 1, 1, 1}, May: policy.AllTraits}
		for range rapid.IntRange(1, 20).Draw(rt, "observations") {
			x := drawLevels(rt)
			f := around(&x, policy.AllTraits)
			y, w := rapid.Float64Range(-2.5, 2.5).Draw(rt, "y"), rapid.Float64Range(.01, 3.4).Draw(rt, "w")
			if _, err := a.ObserveInto(one, ba, &f, y, w); err != nil {
				rt.Fatal(err)
			}
			if _, err := b.ObserveInto(many, bb, &f, y, w); err != nil {
				rt.Fatal(err)
			}
			a.Move(ba, &fence)
			b.Move(bb, &fence)
			near("noise", a.B, b.B)
			near("drift", a.C, b.C)
		}
		near("evidence", ba.LogEvidence(), bb.LogEvidence())
		for i := range ba.M {
			near("mean", ba.M[i], bb.M[i])
		}
		for j := range D {
			for i := range 3 {
				near("covariance", ba.cov[j][i], bb.cov[j][i])
			}
			near("level", a.Theta[j], b.Theta[j])
		}
		ra, rb := stream(1, 1), stream(1, 1)
		var oa, ob [policy.DefaultCentres]policy.Traits
		ba.Centres(&a.Theta, &fence.Lo, &fence.Hi, &ra, &oa)
		bb.Centres(&a.Theta, &fence.Lo, &fence.Hi, &rb, &ob)
		for q := range oa {
			for j := range oa[q] {
				near("centre", oa[q][j], ob[q][j])
			}
		}
	})
}

// TestKindsGetTheirShareOfCentres has two kinds that like opposite levels and are
// sure of it.
func TestKindsGetTheirShareOfCentres(t *testing.T) {
	t.Parallel()
	up := DefaultPrior().Components[0]
	for i := range P {
		up.Precision[row(i)+i] = 1e6
	}
	for j := range D {
		up.Mean[1+j], up.Slope[j] = 2, 0
	}
	down := up
	for j := range D {
		down.Mean[1+j] = -2
	}
	up.Weight, down.Weight = .3, .7
	p, err := NewPrior(.2, []Component{up, down})
	if err != nil {
		t.Fatal(err)
	}
	s := New(policy.Neutral())
	b := s.Believe(p, new(Belief))
	lo, hi := policy.Traits{}, policy.Traits{1, 1, 1, 1, 1, 1, 1, 1}
	total, most, least := 0, 0, policy.DefaultCentres
	r := stream(4, 4)
	const rounds = 2000
	for range rounds {
		var out [policy.DefaultCentres]policy.Traits
		b.Centres(&s.Theta, &lo, &hi, &r, &out)
		ups := 0
		for _, c := range out {
			if c[0] > .5 {
				ups++
			}
		}
		total, most, least = total+ups, max(most, ups), min(least, ups)
	}
	if least != 4 || most != 5 {
		t.Errorf("a kind of .3 gets %d to %d of 16 centres, want 4 or 5", least, most)
	}
	if mean := float64(total) / rounds / policy.DefaultCentres; math.Abs(mean-.3) > .003 {
		t.Errorf("a kind of .3 gets %v of the centres", mean)
	}
}

// TestDensitiesAroundCentresIntegrateToOne sums the density that would be logged
// over one and two free traits.
func TestDensitiesAroundCentresIntegrateToOne(t *testing.T) {
	t.Parallel()
	for seed, free := range []policy.Mask{
		policy.MaskOf(policy.Humor), policy.MaskOf(policy.Brevity), policy.MaskOf(policy.Humor, policy.Empathy), policy.MaskOf(policy.Empathy, policy.Brevity),
	} {
		p := priorOf(1+seed, uint64(seed))
		s, b := lived(p, 10*seed)
		s.Theta[policy.Brevity] = .97
		lo, hi := policy.Traits{}, policy.Traits{1, 1, 1, 1, 1, 1, 1, 1}
		r := stream(uint64(seed), 5)
		var out [policy.DefaultCentres]policy.Traits
		s.Believe(p, b).Centres(&s.Theta, &lo, &hi, &r, &out)
		m := policy.NewMixture(s.Theta, out[:], policy.Exploration{Epsilon: 1, Strategy: policy.StrategyMixture}, nil, policy.AllTraits&^free)
		axes := m.Free().Traits()
		if m.Free() != free {
			t.Fatalf("free are %v", axes)
		}
		n := 4000
		if len(axes) == 2 {
			n = 300
		}
		var integrate func(x policy.Traits, axes []policy.Trait) float64
		integrate = func(x policy.Traits, axes []policy.Trait) (sum float64) {
			if len(axes) == 0 {
				return math.Exp(m.LogDensity(x, free))
			}
			j := axes[0]
			width := (m.Hi[j] - m.Lo[j]) / float64(n)
			for i := range n {
				x[j] = m.Lo[j] + (float64(i)+.5)*width
				sum += integrate(x, axes[1:]) * width
			}
			return sum
		}
		if got := integrate(m.Theta, axes); math.Abs(got-1) > 1e-4 {
			t.Errorf("over %v the density comes to %v", axes, got)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	p := priorOf(4, 1)
	s, b := lived(p, 3)
	f := around(&policy.Traits{.1, .2, .3, .4, .5, .6, .7, .8}, policy.AllTraits)
	fence := Fence{Hi: policy.Traits{1, 1, 1, 1, 1, 1, 1, 1}, May: policy.AllTraits}
	r := stream(1, 1)
	var out [policy.DefaultCentres]policy.Traits
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.ObserveInto(p, b, &f, .3, .5); err != nil {
			t.Fatal(err)
		}
		s.Move(b, &fence)
		s.Observe(p, &f, .3, .5)
		b.Centres(&s.Theta, &fence.Lo, &fence.Hi, &r, &out)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
