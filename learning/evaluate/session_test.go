package evaluate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"rapport/policy"
)

// The weights that make one policy out of another's log average 1, whatever the
// target, as long as it lies inside; and the mean of f under the target is the
// weighted mean of f over the log.
func TestWeightsOfLoggedDensitiesAverageOne(t *testing.T) {
	t.Parallel()
	n := 8000
	if testing.Short() {
		n = 3000
	}
	c := crowd{rand.New(rand.NewPCG(3, 4)), 0}
	theta := policy.Traits{.5, .6, .02, .4, .98, .5, .5, .5}
	for name, x := range map[string]struct {
		at      float64 // of humor
		of      policy.Mask
		epsilon float64
	}{
		"humor as it is":         {.5, policy.MaskOf(policy.Humor), 1},
		"humor moved":            {.55, policy.MaskOf(policy.Humor), 1},
		"humor and two at edges": {.52, policy.MaskOf(policy.Humor, policy.Sarcasm, policy.Formality), 1},
		"explored in a third":    {.5, policy.MaskOf(policy.Humor), .33},
		"all":                    {.5, policy.AllTraits, 1},
	} {
		target := Target{Levels: theta, Of: x.of}
		target.Levels[policy.Humor] = x.at
		m := c.mixture(theta, theta, x.epsilon)
		w, humor := make([]float64, n), make([]float64, n)
		for i := range n {
			levels, free := m.Draw(key(c.r))
			s := Session{X: levels, Free: free, LogDensity: m.LogDensity(levels, free), Drawn: m}
			logged, judged, no := target.LogWeights(&s)
			if no != nil {
				t.Fatal(name, no)
			}
			w[i] = math.Exp(judged - logged)
			humor[i] = w[i] * levels[policy.Humor]
		}
		mean := estimate(w, 3.5)
		if mean.Lo > 1 || mean.Hi < 1 || mean.SE == 0 {
			t.Errorf("%s: the mean weight is %.4f ± %.4f", name, mean.Value, mean.SE)
		}
		if h := estimate(humor, 3.5); h.Lo > x.at || h.Hi < x.at {
			t.Errorf("%s: humor is %.4f ± %.4f under the target, want %.3f", name, h.Value, h.SE, x.at)
		}
	}
}

// What the model says of a target is its mean over draws of the target.
func TestPredictedIsTheMeanOfTheFeatures(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 8))
	target := Target{Levels: policy.Traits{.5, .95, .01, .7, .5, .5, .5, .5}, Of: policy.MaskOf(policy.Humor, policy.Empathy, policy.Sarcasm, policy.Directness)}
	drawn := policy.NewMixture(policy.Traits{.5, .9, .05, .65, .5, .5, .5, .5}, nil, policy.Exploration{Strategy: policy.StrategyMixture, Epsilon: 1},
		policy.Bounds{policy.Directness: {Lo: 0, Hi: .72}}, 0)
	m := target.around(&drawn)
	if m.Hi[policy.Directness] != .72 || m.Lo[policy.Directness] != .6 || m.Hi[policy.Humor] != .6 || m.Lo[policy.Sarcasm] != 0 {
		t.Errorf("the target reaches from %v to %v", m.Lo, m.Hi)
	}
	const n = 20000
	want := target.predicted(nil, &drawn)
	sum, squares := make([]float64, len(want)), make([]float64, len(want))
	var phi []float64
	for range n {
		x, _ := m.Draw(key(r))
		phi = features(phi, &x, target.Of)
		for i, v := range phi {
			sum[i] += v / n
			squares[i] += v * v / n
		}
	}
	for i := range want {
		se := math.Sqrt(max(0, squares[i]-sum[i]*sum[i]) / n)
		if math.Abs(sum[i]-want[i]) > 4*se+1e-12 {
			t.Errorf("feature %d: %.5f by formula, %.5f ± %.5f by drawing", i, want[i], sum[i], se)
		}
	}
}

func TestTheModelFindsTheParabola(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2))
	sessions := make([]Session, 4000)
	for i := range sessions {
		for j := range sessions[i].X {
			sessions[i].X[j] = r.Float64()
		}
		z := 2*sessions[i].X[policy.Brevity] - 1
		sessions[i].Reward = .4 + .5*z - .3*z*z
	}
	beta := fit(sessions, policy.MaskOf(policy.Humor, policy.Brevity), func(int) bool { return true })
	for i, want := range []float64{.4, 0, 0, .5, -.3} {
		if math.Abs(beta[i]-want) > .01 {
			t.Errorf("β%d = %.4f, want %.2f", i, beta[i], want)
		}
	}
	if b := fit(sessions, policy.MaskOf(policy.Humor), func(int) bool { return false }); b[0] != 0 || b[1] != 0 {
		t.Error("a model of nothing is", b)
	}
}

func always(levels policy.Traits, of policy.Mask) func(*Session) Target {
	return func(*Session) Target { return Target{Levels: levels, Of: of} }
}

// An agent whose owner wants more humor: judging a step up says better, a step
// down worse, and the current levels about as good as what was done.
func TestJudgeAnAgent(t *testing.T) {
	t.Parallel()
	c := crowd{rand.New(rand.NewPCG(11, 12)), .16}
	ideal := policy.Traits{.9, .4, .4, .4, .4, .4, .4, .4}
	weight := policy.Traits{2, .3, .3, .3, .3, .3, .3, .3}
	theta := policy.Neutral()
	var sessions []Session
	for range 600 {
		m := c.mixture(theta, theta, 1)
		x, free := m.Draw(key(c.r))
		s := 1.
		for j := range x {
			s -= weight[j] * (x[j] - ideal[j]) * (x[j] - ideal[j])
		}
		sessions = append(sessions, Session{X: x, Free: free, LogDensity: m.LogDensity(x, free), Drawn: m, Reward: s + .1*c.r.NormFloat64()})
	}
	humor := policy.MaskOf(policy.Humor)
	at := func(level float64) Judgement {
		levels := theta
		levels[policy.Humor] = level
		return Judge(sessions, always(levels, humor), DefaultLimits(), Options{})
	}
	up, down, here := at(.55), at(.45), at(.5)
	for name, j := range map[string]Judgement{"up": up, "down": down, "here": here} {
		if j.Refusal != nil || j.Report.N != 600 || j.Report.ESS < 100 {
			t.Fatalf("%s: %+v %v", name, j, j.Refusal)
		}
	}
	raw, err := json.Marshal(up)
	var again Judgement
	if err != nil || json.Unmarshal(raw, &again) != nil || again.Report == nil || *again.Report != *up.Report || *again.Improvement != *up.Improvement {
		t.Errorf("%v: %s", err, raw)
	}
	// what humor costs, under the target by formula and in the log as it was
	cost := func(level float64) (target, done float64) {
		mean, second := truncated(level, policy.DefaultDefensiveSD, level-DefaultWidth, level+DefaultWidth)
		for _, s := range sessions {
			done += 2 * (s.X[policy.Humor] - .9) * (s.X[policy.Humor] - .9) / float64(len(sessions))
		}
		return 2 * (second - 1.8*mean + .81), done
	}
	for level, j := range map[float64]Judgement{.55: up, .45: down, .5: here} {
		target, done := cost(level)
		if e := j.Improvement; math.Abs(e.Value-(done-target)) > 4*e.SE {
			t.Errorf("humor %.2f: better by %.4f ± %.4f, in truth %.4f", level, e.Value, e.SE, done-target)
		}
	}
	if !(up.Improvement.Lo > 0) || !(down.Improvement.Hi < 0) {
		t.Errorf("up %+v, down %+v", up.Improvement, down.Improvement)
	}
	if far := at(.58); far.Width != DefaultWidth/2 || far.Refusal == nil && !(far.Improvement.Lo > 0) {
		t.Errorf("a longer step: %+v", far)
	}
	if no := at(.7).Refusal; no == nil || no.Code != Unreachable {
		t.Errorf("a leap is judged: %v", no)
	}
	if no := Judge(sessions[:20], always(theta, humor), DefaultLimits(), Options{}).Refusal; no == nil || no.Code != Few {
		t.Errorf("20 sessions: %v", no)
	}
	if no := Judge(nil, always(theta, humor), DefaultLimits(), Options{}).Refusal; no == nil || no.Code != Empty {
		t.Errorf("an empty log: %v", no)
	}
	if no := Judge(sessions, always(theta, 0), DefaultLimits(), Options{}).Refusal; no == nil || no.Code != FreeSets {
		t.Errorf("no trait at all: %v", no)
	}
	bad := theta
	bad[0] = math.NaN()
	if no := Judge(sessions, always(bad, humor), DefaultLimits(), Options{}).Refusal; no == nil || no.Code != NotANumber {
		t.Errorf("a target that is no number: %v", no)
	}
	epsilon := policy.NewMixture(theta, nil, policy.Exploration{Strategy: policy.StrategyEpsilon, Epsilon: .5}, nil, 0)
	other := append([]Session(nil), sessions...)
	for i := range other {
		other[i].Drawn, other[i].X = &epsilon, theta
		other[i].LogDensity = epsilon.LogDensity(theta, policy.AllTraits)
	}
	if no := Judge(other, always(theta, humor), DefaultLimits(), Options{}).Refusal; no == nil || no.Code != Unreachable {
		t.Errorf("another strategy: %v", no)
	}
	mixed := append(other[:30:30], sessions[30:]...)
	if j := Judge(mixed, always(theta, humor), DefaultLimits(), Options{}); j.Refusal != nil || j.LeftOut[Unreachable] != 30 || j.Report.N != 570 {
		t.Errorf("30 sessions of another strategy: %+v %v", j, j.Refusal)
	}
}

// Between any two mixtures where weights exist, the weights of draws average 1,
// points of mass included; where they do not, they are refused.
func TestWeightsBetweenMixtures(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(41, 42))
	theta := policy.Traits{.5, .6, .4, .5, .5, .5, .5, .5}
	pinned := policy.MaskOf(3, 4, 5, 6, 7)
	mix := func(epsilon float64, spread float64, strategy string, pinned policy.Mask, at policy.Traits) *policy.Mixture {
		var centres []policy.Traits
		for range 8 {
			q := at
			for j := range q {
				q[j] += spread * r.NormFloat64()
			}
			centres = append(centres, q)
		}
		m := policy.NewMixture(at, centres, policy.Exploration{Strategy: strategy, Epsilon: epsilon}, nil, pinned)
		return &m
	}
	moved := theta
	moved[0] = .55
	mixture, axes := policy.StrategyMixture, policy.StrategyEpsilon
	// centres near each other keep the weights small: far apart, their mean is 1 by
	// draws so rare that thousands of sessions may miss them
	for i, x := range []struct {
		name           string
		logged, judged *policy.Mixture
	}{
		{"other centres", mix(1, .1, mixture, pinned, theta), mix(1, .03, mixture, pinned, theta)},
		{"explores more", mix(.5, .1, mixture, pinned, theta), mix(1, .05, mixture, pinned, theta)},
		{"explores less", mix(.5, .03, mixture, pinned, theta), mix(.2, .03, mixture, pinned, theta)},
		{"one trait a time", mix(.5, 0, axes, pinned, theta), mix(.2, 0, axes, pinned, theta)},
		{"nothing may vary", mix(1, 0, mixture, policy.AllTraits, theta), mix(1, 0, mixture, policy.AllTraits, theta)},
		{"the policy itself", mix(.5, 0, mixture, pinned, theta), mix(0, 0, mixture, pinned, theta)},
	} {
		draws := rand.New(rand.NewPCG(43, uint64(i)))
		w := []float64{}
		for range 20000 {
			v, _ := x.logged.Draw(key(draws))
			l, no := Between(x.logged, x.judged, v)
			if no != nil {
				t.Fatal(x.name, no)
			}
			w = append(w, math.Exp(l))
		}
		if e := estimate(w, 3.7); e.Lo > 1+1e-9 || e.Hi < 1-1e-9 {
			t.Errorf("%s: the mean weight is %.3f ± %.3f", x.name, e.Value, e.SE)
		}
	}
	logged := mix(1, .1, mixture, pinned, theta)
	for name, x := range map[string]struct {
		judged *policy.Mixture
		at     policy.Traits
		code   string
	}{
		"a pin less":       {mix(1, .1, mixture, pinned&^1<<3, theta), theta, FreeSets},
		"a pin more":       {mix(1, .1, mixture, pinned|1, theta), theta, FreeSets},
		"another place":    {mix(1, .1, mixture, pinned, moved), theta, Unreachable},
		"another strategy": {mix(.5, .1, axes, pinned, theta), theta, Unreachable},
		"stays at θ":       {mix(.9, .1, mixture, pinned, theta), theta, Unreachable},
		"never drawn":      {mix(1, .1, mixture, pinned, theta), policy.Traits{.9, .6, .4, .5, .5, .5, .5, .5}, Impossible},
	} {
		if _, no := Between(logged, x.judged, x.at); no == nil || no.Code != x.code {
			t.Errorf("%s: %v, want %s", name, no, x.code)
		}
	}
}
