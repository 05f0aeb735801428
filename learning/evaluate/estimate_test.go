package evaluate

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A log of two actions, by hand: w = 2, ½, 2, ½.
func byHand() []Observation {
	ln := math.Log
	return []Observation{
		{Reward: 1, Logged: ln(.25), Target: ln(.5), Q: .6, V: .4},
		{Reward: 0, Logged: ln(.5), Target: ln(.25), Q: .2, V: .4},
		{Reward: 0, Logged: ln(.25), Target: ln(.5), Q: .6, V: .5},
		{Reward: 1, Logged: ln(.5), Target: ln(.25), Q: .2, V: .5},
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }

func TestEstimatorsByHand(t *testing.T) {
	t.Parallel()
	r, err := Evaluate(byHand(), Options{Clip: 1})
	if err != nil {
		t.Fatal(err)
	}
	// Σw(r−Q) = 2·.4 − ½·.2 − 2·.6 + ½·.8 = −.1
	for name, x := range map[string][2]float64{
		"IPS":         {r.IPS.Value, 2.5 / 4},
		"SNIPS":       {r.SNIPS.Value, 2.5 / 5},
		"clipped":     {r.Clipped.Value, 1.5 / 4},
		"DM":          {r.DM.Value, .45},
		"DR":          {r.DR.Value, .45 - .1/4},
		"SNDR":        {r.SNDR.Value, .45 - .1/5},
		"capped":      {r.Capped.Value, .45 + (.4-.1-.6+.4)/3},
		"ESS":         {r.ESS, 25 / 8.5},
		"max weight":  {r.MaxWeight, 2},
		"mean weight": {r.MeanWeight, 1.25},
		"weight SE":   {r.WeightSE, math.Sqrt(4 * .75 * .75 / 3 / 4)},
		"IPS SE":      {r.IPS.SE, math.Sqrt((1.375*1.375 + 2*.625*.625 + .125*.125) / 3 / 4)}, // of 2, 0, 0, ½
		"SNIPS SE":    {r.SNIPS.SE, math.Sqrt((2*1 + 2*.25*.25) / 3 / 4 / 1.25 / 1.25)},       // of w(r−½)
		"interval":    {r.IPS.Hi - r.IPS.Lo, 2 * 1.6448536269514722 * r.IPS.SE},
	} {
		if !near(x[0], x[1]) {
			t.Errorf("%s = %.15g, want %.15g", name, x[0], x[1])
		}
	}
}

func TestRowsThatSayNothingAreRefused(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	change := func(f func(x *Observation)) []Observation {
		rows := byHand()
		f(&rows[2])
		return rows
	}
	for name, x := range map[string]struct {
		rows []Observation
		code string
	}{
		"nothing":             {nil, Empty},
		"one row":             {byHand()[:1], Few},
		"reward NaN":          {change(func(x *Observation) { x.Reward = nan }), NotANumber},
		"reward infinite":     {change(func(x *Observation) { x.Reward = inf }), NotANumber},
		"prediction NaN":      {change(func(x *Observation) { x.Q = nan }), NotANumber},
		"value infinite":      {change(func(x *Observation) { x.V = -inf }), NotANumber},
		"density NaN":         {change(func(x *Observation) { x.Target = nan }), NotANumber},
		"density infinite":    {change(func(x *Observation) { x.Logged = inf }), NotANumber},
		"density zero":        {change(func(x *Observation) { x.Logged = -inf }), Impossible},
		"both densities zero": {change(func(x *Observation) { x.Logged, x.Target = -inf, -inf }), Impossible},
		"weight overflows":    {change(func(x *Observation) { x.Logged = -800 }), Impossible},
	} {
		_, err := Evaluate(x.rows, Options{})
		_, other := Improvement(byHand()[:len(x.rows)], x.rows, Options{})
		for _, err := range []error{err, other} {
			if no, ok := errors.AsType[*Refusal](err); !ok || no.Code != x.code || no.Reason == "" {
				t.Errorf("%s: %v, want a refusal %s", name, err, x.code)
			}
		}
	}
	if _, err := Improvement(byHand(), byHand()[1:], Options{}); err == nil {
		t.Error("lists of different decisions are compared")
	}
}

func TestATargetThatDoesNoneOfItSaysNothing(t *testing.T) {
	t.Parallel()
	rows := byHand()
	for i := range rows {
		rows[i].Target = math.Inf(-1)
	}
	r, err := Evaluate(rows, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.ESS != 0 || r.SNIPS.Value != 0 || !near(r.SNDR.Value, .45) {
		t.Errorf("%+v", r)
	}
	if no := DefaultLimits().Refuse(r); no == nil {
		t.Error("a log that says nothing of the target is believed")
	}
	if no := (Limits{MinESS: 1}).Refuse(r); no == nil || no.Code != Thin {
		t.Errorf("%v", no)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	good := Report{N: 100, ESS: 50, MaxWeight: 3, MeanWeight: 1, WeightSE: .1}
	l := DefaultLimits()
	if no := l.Refuse(good); no != nil {
		t.Fatal(no)
	}
	for code, f := range map[string]func(r *Report){
		Few:        func(r *Report) { r.N = 49 },
		Thin:       func(r *Report) { r.ESS = 29 },
		Heavy:      func(r *Report) { r.MaxWeight = 16 },
		OffBalance: func(r *Report) { r.MeanWeight = .5 },
	} {
		r := good
		f(&r)
		if no := l.Refuse(r); no == nil || no.Code != code {
			t.Errorf("%s: %v", code, no)
		}
	}
	if no := l.Refuse(Report{N: 100, ESS: math.NaN(), MeanWeight: 1}); no == nil {
		t.Error("a report of NaN is believed")
	}
}

// Properties that hold for every log.
func TestProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 30).Draw(rt, "n")
		rows := make([]Observation, n)
		for i := range rows {
			f := func(what string) float64 { return rapid.Float64Range(-3, 3).Draw(rt, what) }
			rows[i] = Observation{Reward: f("r"), Logged: f("μ"), Target: f("π"), Q: f("q"), V: f("v")}
		}
		r, err := Evaluate(rows, Options{})
		if err != nil {
			rt.Fatal(err)
		}
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, x := range rows {
			lo, hi = min(lo, x.Reward), max(hi, x.Reward)
		}
		if r.SNIPS.Value < lo-1e-9 || r.SNIPS.Value > hi+1e-9 {
			rt.Errorf("SNIPS %v outside the rewards %v … %v", r.SNIPS.Value, lo, hi)
		}
		if r.ESS < 1-1e-9 || r.ESS > float64(n)+1e-9 {
			rt.Errorf("ESS %v of %d", r.ESS, n)
		}
		shuffled := slices.Clone(rows)
		rand.New(rand.NewPCG(uint64(n), 1)).Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, _ := Evaluate(shuffled, Options{})
		if math.Abs(again.SNDR.Value-r.SNDR.Value) > 1e-9 || math.Abs(again.SNDR.SE-r.SNDR.SE) > 1e-9 {
			rt.Error("the order of rows matters")
		}
		same, err := Improvement(rows, rows, Options{})
		if err != nil || same.Value != 0 || same.SE != 0 {
			rt.Errorf("a policy is better than itself by %+v", same)
		}
		for i := range rows { // on-policy, everything is the mean
			rows[i].Target, rows[i].Q, rows[i].V = rows[i].Logged, 0, 0
		}
		on, _ := Evaluate(rows, Options{})
		for _, e := range []Estimate{on.SNIPS, on.DR, on.SNDR, on.Clipped, on.Capped} {
			if math.Abs(e.Value-on.IPS.Value) > 1e-12 || math.Abs(e.SE-on.IPS.SE) > 1e-9 {
				rt.Errorf("on-policy %+v and %+v", e, on.IPS)
			}
		}
	})
}

// The intervals cover the truth about as often as they say: three actions, a
// wrong model, 400 rows.
func TestIntervalsCover(t *testing.T) {
	t.Parallel()
	const logs, n = 400, 400
	mu, pi, truth := [3]float64{.6, .3, .1}, [3]float64{.2, .3, .5}, [3]float64{.2, .5, .7}
	want := 0.
	for a := range pi {
		want += pi[a] * truth[a]
	}
	covered := map[string]int{}
	for l := range logs {
		r := rand.New(rand.NewPCG(uint64(l), 3))
		rows := make([]Observation, n)
		for i := range rows {
			a, u := 0, r.Float64()
			for u > mu[a] && a < 2 {
				u -= mu[a]
				a++
			}
			rows[i] = Observation{Logged: math.Log(mu[a]), Target: math.Log(pi[a]), Q: .4 + .1*float64(a), V: .4*1 + .1*.3 + .2*.5}
			if r.Float64() < truth[a] {
				rows[i].Reward = 1
			}
		}
		rep, err := Evaluate(rows, Options{Level: .9})
		if err != nil {
			t.Fatal(err)
		}
		for name, e := range map[string]Estimate{"IPS": rep.IPS, "SNIPS": rep.SNIPS, "DR": rep.DR, "SNDR": rep.SNDR} {
			if e.Lo <= want && want <= e.Hi {
				covered[name]++
			}
		}
	}
	for name, k := range covered {
		if share := float64(k) / logs; share < .85 || share > .95 {
			t.Errorf("%s covers in %.3f of logs, says .9", name, share)
		}
	}
	if len(covered) != 4 {
		t.Error(covered)
	}
}
