package policy

import (
	"encoding/json"
	"math"
	"math/bits"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func key(n uint64) (k [32]byte) {
	s := n
	for i := range k {
		if i%8 == 0 { // SplitMix64
			n += 0x9e3779b97f4a7c15
			s = (n ^ n>>30) * 0xbf58476d1ce4e5b9
			s = (s ^ s>>27) * 0x94d049bb133111eb
			s ^= s >> 31
		}
		k[i] = byte(s >> (8 * (i % 8)))
	}
	return k
}

func drawMixture(t *rapid.T, strategies ...string) Mixture {
	level := rapid.Float64Range(0, 1)
	var theta Traits
	for i := range theta {
		theta[i] = level.Draw(t, "θ")
	}
	centres := make([]Traits, rapid.IntRange(0, DefaultCentres).Draw(t, "M"))
	for q := range centres {
		for i := range theta {
			centres[q][i] = level.Draw(t, "c")
		}
	}
	bounds := Bounds{}
	for i := range NTraits {
		if rapid.Bool().Draw(t, "bounded") {
			lo := rapid.Float64Range(0, theta[i]).Draw(t, "lo")
			bounds[Trait(i)] = Range{lo, rapid.Float64Range(theta[i], 1).Draw(t, "hi")}
		}
	}
	m := NewMixture(theta, centres, Exploration{Epsilon: level.Draw(t, "ε"), Strategy: rapid.SampledFrom(strategies).Draw(t, "strategy")},
		bounds, Mask(rapid.Uint16Range(0, uint16(AllTraits)).Draw(t, "pinned")))
	if rapid.Bool().Draw(t, "held out") {
		m.HoldOut(Traits{.5, level.Draw(t, "start"), .5, .5, .5, .5, .5, .5}, DefaultHoldout)
	}
	return m
}

func TestHoldOut(t *testing.T) {
	t.Parallel()
	theta, start := Traits{.6, .5, .5, .5, .5, .5, .5, .5}, Neutral()
	m := NewMixture(theta, nil, Exploration{Epsilon: 1, Strategy: StrategyMixture}, nil, MaskOf(Brevity))
	bare := m
	if m.HeldOut(key(1)) {
		t.Error("held out where nobody asked for it")
	}
	start[Brevity] = .1
	m.HoldOut(start, .05)
	want := Neutral()
	if m.Holdout != .05 || m.Start != want {
		t.Fatalf("%v of the sessions at %v", m.Holdout, m.Start) // brevity is pinned
	}
	held, among := 0, 0
	for n := range uint64(20000) {
		out := m.HeldOut(key(n))
		if m.HeldOut(key(n)) != out {
			t.Fatal("equal keys, other sides")
		}
		if out {
			held++
			if x, _ := m.Draw(key(n + 1<<32)); x[Humor] > .6 {
				among++
			}
		}
	}
	if held < 900 || held > 1100 {
		t.Errorf("%d of 20000 held out", held)
	}
	if share := float64(among) / float64(held); share < .43 || share > .57 {
		t.Errorf("who is held out would have drawn more humor in %.2f", share)
	}
	x, free := bare.Draw(key(7))
	if y, f := m.Draw(key(7)); y != x || f != free || m.LogDensity(x, free) != bare.LogDensity(x, free) {
		t.Error("a hold-out changes what the others draw")
	}
	for name, s := range map[string]Traits{
		"nothing learned": theta,
		"no level":        {math.NaN()},
		"mockery":         {.5, .3, .8, .5, .5, .5, .5, .5},
	} {
		if m.HoldOut(s, .05); m.Holdout != 0 || m.HeldOut(key(1)) {
			t.Errorf("%s: held out at %v", name, m.Start)
		}
	}
	for _, broken := range []string{`{"holdout":1}`, `{"holdout":-0.1}`, `{"holdout":0.05,"start":[2,0,0,0,0,0,0,0]}`} {
		raw, err := json.Marshal(bare)
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal([]byte(strings.TrimSuffix(string(raw), "}")+","+broken[1:]), new(Mixture)) == nil {
			t.Errorf("%s was read", broken)
		}
	}
}

func TestDrawsStayInTheBoxAndPinnedNeverMove(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawMixture(rt, StrategyMixture, StrategyEpsilon, StrategyOff)
		for n := range uint64(20) {
			x, free := m.Draw(key(n))
			if free != m.Free() {
				rt.Fatalf("free set %b, want %b", free, m.Free())
			}
			for j := range NTraits {
				if !free.Has(Trait(j)) && x[j] != m.Theta[j] {
					rt.Fatalf("%s is not free and moved", Trait(j))
				}
				if free.Has(Trait(j)) && !m.box(j).Has(x[j]) {
					rt.Fatalf("%s = %v outside %v", Trait(j), x[j], m.box(j))
				}
			}
			if l := m.LogDensity(x, free); math.IsInf(l, 0) || math.IsNaN(l) {
				rt.Fatalf("a drawn variation has log density %v", l)
			}
			if again, _ := m.Draw(key(n)); again != x {
				rt.Fatal("equal keys, other variation")
			}
		}
	})
}

func TestDensityOfDecodedIsThatOfPublished(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawMixture(rt, StrategyMixture, StrategyEpsilon)
		b, err := json.Marshal(m)
		if err != nil {
			rt.Fatal(err)
		}
		var back Mixture
		if err := json.Unmarshal(b, &back); err != nil {
			rt.Fatal(err)
		}
		for n := range uint64(5) {
			x, free := m.Draw(key(n))
			y, f := back.Draw(key(n))
			if x != y || free != f || m.LogDensity(x, free) != back.LogDensity(x, free) {
				rt.Fatal("the decoded mixture is another one")
			}
		}
	})
}

// testMixture has a few centres, one box at a bound, and only the given traits
// free.
func testMixture(epsilon float64, strategy string, free ...Trait) Mixture {
	theta := Neutral()
	theta[Humor] = .93
	centres := make([]Traits, 3)
	for q := range centres {
		for j := range NTraits {
			centres[q][j] = theta[j] + .06*float64(q-1)
		}
	}
	return NewMixture(theta, centres, Exploration{Epsilon: epsilon, Strategy: strategy}, Bounds{Empathy: {.45, .6}}, AllTraits&^MaskOf(free...))
}

func TestDensityIntegratesToOne(t *testing.T) {
	t.Parallel()
	const n = 2000 // midpoints
	integral := func(m Mixture, j Trait) float64 {
		var sum float64
		x, w := m.Theta, (m.Hi[j]-m.Lo[j])/n
		for i := range n {
			x[j] = m.Lo[j] + (float64(i)+.5)*w
			if x[j] != m.Theta[j] {
				sum += math.Exp(m.LogDensity(x, m.Free())) * w
			}
		}
		return sum
	}
	for _, c := range []struct {
		name string
		m    Mixture
		want float64 // without the atom at θ
	}{
		{"free", testMixture(1, StrategyMixture, Humor), 1},
		{"bounded", testMixture(1, StrategyMixture, Empathy), 1},
		{"a share", testMixture(.3, StrategyMixture, Humor), .3},
		{"epsilon", testMixture(.3, StrategyEpsilon, Humor), .3},
	} {
		j := c.m.Free().Traits()[0]
		if got := integral(c.m, j); math.Abs(got-c.want) > 1e-3 {
			t.Errorf("%s: integral %v, want %v", c.name, got, c.want)
		}
		if atom := math.Exp(c.m.LogDensity(c.m.Theta, c.m.Free())); c.want < 1 && math.Abs(atom-(1-c.want)) > 1e-12 {
			t.Errorf("%s: mass %v at θ, want %v", c.name, atom, 1-c.want)
		}
	}
	// two axes of the plain strategy share ε
	plain := testMixture(.3, StrategyEpsilon, Humor, Empathy)
	if got := integral(plain, Humor) + integral(plain, Empathy); math.Abs(got-.3) > 1e-3 {
		t.Errorf("epsilon on two traits: integral %v, want .3", got)
	}
	// a plane
	m := testMixture(1, StrategyMixture, Humor, Empathy)
	const k = 400
	var sum float64
	x := m.Theta
	wh, we := (m.Hi[Humor]-m.Lo[Humor])/k, (m.Hi[Empathy]-m.Lo[Empathy])/k
	for a := range k {
		x[Humor] = m.Lo[Humor] + (float64(a)+.5)*wh
		for b := range k {
			x[Empathy] = m.Lo[Empathy] + (float64(b)+.5)*we
			sum += math.Exp(m.LogDensity(x, m.Free())) * wh * we
		}
	}
	if math.Abs(sum-1) > 1e-3 {
		t.Errorf("plane: integral %v", sum)
	}
}

// TestDensityAgainstItsFormula writes the sum out with the library's functions.
func TestDensityAgainstItsFormula(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawMixture(rt, StrategyMixture)
		m.Epsilon = rapid.Float64Range(.1, 1).Draw(rt, "ε")
		x, free := m.Draw(key(rapid.Uint64().Draw(rt, "key")))
		if free == 0 || x == m.Theta {
			return
		}
		cdf := func(z float64) float64 { return .5 * math.Erfc(-z/math.Sqrt2) }
		product := func(centre Traits, sd float64) float64 {
			p := 1.
			for j := range NTraits {
				if free.Has(Trait(j)) {
					c := min(max(centre[j], m.Lo[j]), m.Hi[j]) // rounding may lead out of the box
					z := (x[j] - c) / sd
					p *= math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) / sd / (cdf((m.Hi[j]-c)/sd) - cdf((m.Lo[j]-c)/sd))
				}
			}
			return p
		}
		eta := m.Eta
		if len(m.Centres) == 0 {
			eta = 1
		}
		p := eta * product(m.Theta, m.DefensiveSD)
		for _, c := range m.Centres {
			p += (1 - eta) / float64(len(m.Centres)) * product(c, m.SD)
		}
		if got, want := m.LogDensity(x, free), math.Log(m.Epsilon*p); math.Abs(got-want) > 1e-9 {
			rt.Fatalf("log density %v, want %v", got, want)
		}
	})
}

func TestImportanceWeightsAverageOne(t *testing.T) {
	t.Parallel()
	logged := testMixture(1, StrategyMixture, Humor, Empathy, Brevity)
	target := logged
	target.Centres, target.Eta = []Traits{logged.Theta}, 0
	if !logged.Contains(&target) {
		t.Fatal("the target's support is not in the logged one")
	}
	const n = 40000
	var sum, squares float64
	for i := range uint64(n) {
		x, free := logged.Draw(key(i))
		w := math.Exp(target.LogDensity(x, free) - logged.LogDensity(x, free))
		sum, squares = sum+w, squares+w*w
	}
	mean := sum / n
	if se := math.Sqrt((squares/n - mean*mean) / n); math.Abs(mean-1) > 4*se || se > .03 {
		t.Errorf("mean importance weight %v ± %v, want 1", mean, se)
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	m := testMixture(1, StrategyMixture, Humor, Empathy)
	shifted := m
	shifted.Theta[Humor] -= .01
	shifted.Lo[Humor] -= .01
	pinned := m
	pinned.Pinned |= MaskOf(Humor)
	moved := m
	moved.Theta[Brevity] = .6 // pinned there
	lazy := testMixture(.5, StrategyMixture, Humor, Empathy)
	for name, c := range map[string]struct {
		a, b *Mixture
		want bool
	}{
		"itself":            {&m, &m, true},
		"wider box":         {&m, &shifted, false},
		"other free set":    {&m, &pinned, false},
		"other fixed level": {&m, &moved, false},
		"atom not logged":   {&m, &lazy, false},
		"atom logged":       {&lazy, &m, true},
	} {
		if got := c.a.Contains(c.b); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNormalQuantileInvertsTheDistribution(t *testing.T) {
	t.Parallel()
	for z := -8.; z <= 5; z += .03 {
		if got := normalQuantile(normalCDF(z)); math.Abs(got-z) > 1e-8 {
			t.Errorf("quantile(cdf(%v)) = %v", z, got)
		}
	}
}

func TestTailOfTheNormalDistribution(t *testing.T) {
	t.Parallel()
	for z := 0.; z <= 8.75; z += .0007 {
		if got, want := tail(z), .5*math.Erfc(z/math.Sqrt2); math.Abs(got-want) > min(2e-16, 1e-10*want) {
			t.Fatalf("tail(%v) = %v, want %v", z, got, want)
		}
	}
	for _, z := range []float64{9, 1e300, math.Inf(1), math.NaN()} {
		if got := tail(z); got != 0 {
			t.Errorf("tail(%v) = %v", z, got)
		}
	}
	if normalCDF(0) != .5 || normalCDF(math.Inf(-1)) != 0 || normalCDF(math.Inf(1)) != 1 {
		t.Error("the distribution does not go from 0 by ½ to 1")
	}
}

func TestStreamIsFixedForever(t *testing.T) {
	t.Parallel()
	// the reference outputs of xoshiro256** from the state 1, 2, 3, 4
	r := NewStream([32]byte{0: 1, 8: 2, 16: 3, 24: 4})
	for i, want := range []uint64{11520, 0, 1509978240, 1215971899390074240} {
		if got := r.Uint64(); got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
	r = NewStream(key(1))
	sum := uint64(0)
	for i := range 1000 {
		sum = bits.RotateLeft64(sum, 1) ^ math.Float64bits(r.Normal()) ^ math.Float64bits(r.Truncated(.5, .03, .001*float64(i%490), .6))
	}
	if want := uint64(8827121784774507072); sum != want {
		t.Errorf("a thousand normal numbers come to %d, want %d", sum, want)
	}
}

func BenchmarkDrawAndDensity(b *testing.B) {
	centres := make([]Traits, DefaultCentres)
	for q := range centres {
		for j := range NTraits {
			centres[q][j] = .5 + .01*float64(q-8)
		}
	}
	m := NewMixture(Neutral(), centres, Exploration{Epsilon: 1, Strategy: StrategyMixture}, nil, 0)
	b.ReportAllocs()
	var n uint64
	for b.Loop() {
		n++
		x, free := m.Draw(key(n))
		m.LogDensity(x, free)
	}
}
