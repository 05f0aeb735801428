package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"

	"rapport/policy"
)

// crowd simulates agents that share a default: hidden tastes, mixtures as the
// learner publishes them, one rating per session.
type crowd struct {
	r     *rand.Rand
	noise float64 // of a rating: mood, strictness, words
}

func key(r *rand.Rand) (k [32]byte) {
	for i := range k {
		k[i] = byte(r.Uint32())
	}
	return k
}

// mixture surrounds levels as the learner does: centres where it believes the
// ideal may be.
func (c crowd) mixture(theta, ideal policy.Traits, epsilon float64) *policy.Mixture {
	centres := make([]policy.Traits, policy.DefaultCentres)
	for q := range centres {
		for j := range centres[q] {
			centres[q][j] = theta[j] + .3*(ideal[j]-theta[j]) + .15*c.r.NormFloat64()
		}
	}
	m := policy.NewMixture(theta, centres, policy.Exploration{Strategy: policy.StrategyMixture, Epsilon: epsilon}, nil, 0)
	return &m
}

// sessions draws n sessions of agents around a default, each with 10 sessions.
// The importances of the traits are the same for all and sum to 5.
func (c crowd) sessions(n int, from, ideal, weight policy.Traits) []Session {
	out := make([]Session, n)
	var m *policy.Mixture
	var mine, theta policy.Traits
	for i := range out {
		if i%10 == 0 {
			for j := range mine {
				mine[j] = min(1, max(0, ideal[j]+.12*c.r.NormFloat64()))
				theta[j] = min(1, max(0, from[j]+.03*c.r.NormFloat64()))
			}
		}
		m = c.mixture(theta, mine, 1)
		x, free := m.Draw(key(c.r))
		s := 1.
		for j := range x {
			s -= weight[j] * (x[j] - mine[j]) * (x[j] - mine[j])
		}
		s = max(0, s)
		out[i] = Session{X: x, Free: free, LogDensity: m.LogDensity(x, free), Drawn: m, Reward: rated(s + c.noise*c.r.NormFloat64())}
	}
	return out
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

const (
	better = iota
	worse
	idle
	kinds
)

// gateRates is how often the gate publishes a change of .05 in one trait of an
// importance as important traits have (U(.5,1.2)), .3 from the ideal of most: in
// the right direction, in the wrong one, and where the trait does not matter.
func gateRates(n, worlds int, g Gate) (published [kinds]float64, waits map[string]int) {
	waits = map[string]int{}
	for kind := range kinds {
		for w := range worlds {
			c := crowd{rand.New(rand.NewPCG(uint64(w), uint64(17*n+kind))), .16}
			var from, ideal, weight policy.Traits
			for j := range from {
				from[j] = .5
				ideal[j] = .2 + .6*c.r.Float64()
				weight[j] = .3 + .6*c.r.Float64()
			}
			ideal[0], weight[0] = .8, .5+.7*c.r.Float64()
			to := from
			to[0] = .55
			switch kind {
			case worse:
				to[0] = .45
			case idle:
				weight[0] = 0
			}
			if d := g.Decide(c.sessions(n, from, ideal, weight), from, to); d.Publish {
				published[kind] += 1 / float64(worlds)
			} else {
				waits[d.Waits.Code]++
			}
		}
	}
	return published, waits
}

func TestTheGateAtItsLeast(t *testing.T) {
	t.Parallel()
	worlds := 100
	if testing.Short() {
		worlds = 30
	}
	g := DefaultGate()
	p, why := gateRates(200, worlds, g)
	t.Logf("n=200, %d worlds each: a better release is published %.3f, a worse one %.3f, one that changes nothing that matters %.3f; waits %v", worlds, p[better], p[worse], p[idle], why)
	if p[worse] > .04 {
		t.Errorf("a worse release is published in %.3f of worlds", p[worse])
	}
	if p[better] < .5 {
		t.Errorf("a better release is published in %.3f of worlds only", p[better])
	}
	if limit := .10 + 3*math.Sqrt(.09/float64(worlds)); p[idle] > limit {
		t.Errorf("a release that changes nothing is published in %.3f of worlds, above %.3f", p[idle], limit)
	}
}

func TestTheGateKeepsCollecting(t *testing.T) {
	t.Parallel()
	c := crowd{rand.New(rand.NewPCG(1, 2)), .16}
	weight := policy.Traits{1.2, .5, .5, .5, .5, .5, .5, .5}
	from, ideal := policy.Neutral(), policy.Traits{.9, .3, .3, .3, .3, .3, .3, .3}
	to := from
	to[policy.Humor] = .55
	sessions := c.sessions(400, from, ideal, weight)
	if d := DefaultGate().Decide(sessions, from, to); !d.Publish || d.Improvement.Lo <= 0 || d.Model <= 0 {
		t.Fatalf("a plain improvement waits: %+v %v", d, d.Waits)
	}
	change := func(f func(s *Session)) []Session {
		out := append([]Session(nil), sessions...)
		for i := range out {
			m := *out[i].Drawn
			out[i].Drawn = &m
			f(&out[i])
		}
		return out
	}
	far, back, all := from, from, from
	far[policy.Humor] = .56
	back[policy.Humor] = .45
	for j := range all {
		all[j] += .05
	}
	nan := from
	nan[2] = math.NaN()
	for name, x := range map[string]struct {
		sessions []Session
		to       policy.Traits
		code     string
	}{
		"too far":      {sessions, far, TooFar},
		"nothing":      {sessions, from, NotBetter},
		"worse":        {sessions, back, NotBetter},
		"not a level":  {sessions, nan, NotANumber},
		"no sessions":  {nil, to, Few},
		"199 sessions": {sessions[:199], to, Few},
		"eight traits": {sessions, all, Thin},
		"pinned": {change(func(s *Session) {
			s.Drawn.Pinned = policy.MaskOf(policy.Humor)
			s.X[policy.Humor] = s.Drawn.Theta[policy.Humor]
			s.Free = s.Drawn.Free()
			s.LogDensity = s.Drawn.LogDensity(s.X, s.Free)
		}), to, FreeSets},
		"narrow boxes": {change(func(s *Session) {
			th := s.Drawn.Theta[policy.Humor]
			s.Drawn.Rho, s.Drawn.Lo[policy.Humor], s.Drawn.Hi[policy.Humor] = .05, th-.05, th+.05
			s.X[policy.Humor] = th
			s.LogDensity = s.Drawn.LogDensity(s.X, s.Free)
		}), to, Unreachable},
		"other densities": {change(func(s *Session) { s.LogDensity += .1 }), to, Impossible},
		"no rewards":      {change(func(s *Session) { s.Reward = math.NaN() }), to, NotANumber},
		"noise":           {change(func(s *Session) { s.Reward = []float64{-1, 1}[c.r.IntN(2)] }), to, NotBetter},
	} {
		d := DefaultGate().Decide(x.sessions, from, x.to)
		if d.Publish || d.Waits == nil || d.Waits.Code != x.code || d.Waits.Reason == "" {
			t.Errorf("%s: %+v, waits %v; want %s", name, d, d.Waits, x.code)
		}
	}
}

func TestModelThatDiffersHoldsTheGate(t *testing.T) {
	t.Parallel()
	c := crowd{rand.New(rand.NewPCG(5, 6)), .16}
	weight := policy.Traits{.6, .6, .6, .6, .6, .6, .6, .6}
	from, ideal := policy.Neutral(), policy.Neutral()
	ideal[policy.Humor] = .9
	to := from
	to[policy.Humor] = .55
	sessions := c.sessions(400, from, ideal, weight)
	// what is better close by is worse far away: the parabola leans the other way
	for i := range sessions {
		switch d := sessions[i].X[policy.Humor] - sessions[i].Drawn.Theta[policy.Humor]; {
		case d > .12:
			sessions[i].Reward = -6
		case d > .02:
			sessions[i].Reward = 1
		case d < -.12:
			sessions[i].Reward = 6
		default:
			sessions[i].Reward = -1
		}
	}
	d := DefaultGate().Decide(sessions, from, to)
	if d.Publish || d.Waits.Code != Disagree {
		t.Errorf("%+v, waits %v", d, d.Waits)
	}
}
