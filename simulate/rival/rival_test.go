package rival

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/policy"
	"rapport/simulate/gym"
)

// play is a short play in the yardstick world.
func play(t *testing.T, w gym.World, seed uint64, agents, sessions int, m gym.Maker) *gym.Run {
	t.Helper()
	run, _ := w.NewPopulation(seed).Play(0, agents, sessions, m)
	return run
}

func TestASeedIsAPlay(t *testing.T) {
	t.Parallel()
	var names []string
	for _, r := range All {
		names = append(names, r.Name)
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			w := gym.Main()
			one, again, other := play(t, w, 3, 5, 60, r.Make), play(t, w, 3, 5, 60, r.Make), play(t, w, 4, 5, 60, r.Make)
			if !slices.Equal(one.Used, again.Used) || !slices.Equal(one.Policy, again.Policy) {
				t.Error("the same seed gave another play")
			}
			if slices.Equal(one.Used, other.Used) {
				t.Error("another seed gave the same play")
			}
			if named, ok := Named(r.Name); !ok || named.What != r.What {
				t.Errorf("Named(%q) is %v", r.Name, named)
			}
		})
	}
	if slices.Sort(names); len(slices.Compact(names)) != len(All) {
		t.Errorf("two rivals of one name: %v", names)
	}
	if _, ok := Named("nobody"); ok {
		t.Error("there is a rival called nobody")
	}
}

// watched looks at every level a learner gives.
type watched struct {
	gym.Learner
	t *testing.T
}

func (w watched) Act(agent int, s gym.Session) policy.Traits {
	x := w.Learner.Act(agent, s)
	if theta := w.Policy(agent); !x.Valid() || !theta.Valid() {
		w.t.Fatalf("levels %v, policy %v", x, theta)
	}
	return x
}

// Levels stay in the box whatever the world does: hostile, late, at the edge.
func TestLevelsStayInTheBox(t *testing.T) {
	t.Parallel()
	hostile := gym.Main()
	hostile.Bad, hostile.Brigaded, hostile.Brigade, hostile.Quiet, hostile.Delay = .9, 1, 1, .9, 7
	edge := gym.Main()
	edge.Start, edge.Kinds = 1, 0
	for _, r := range All {
		for _, w := range []gym.World{hostile, edge} {
			play(t, w, 1, 4, 120, func(starts []policy.Traits, seed uint64) gym.Learner { return watched{r.Make(starts, seed), t} })
		}
	}
}

func TestReward(t *testing.T) {
	t.Parallel()
	is := func(s gym.Source, v float64) gym.Signal { return gym.Signal{Source: s, Value: v} }
	for name, c := range map[string]struct {
		signals []gym.Signal
		place   gym.Place
		want    float64
		said    bool
	}{
		"nothing":                  {nil, gym.WithOwner, 0, false},
		"a middling engagement":    {[]gym.Signal{is(gym.Implicit, .66)}, gym.SmallRoom, 0, false},
		"a press is no reward":     {[]gym.Signal{is(gym.TonePress, 0)}, gym.WithOwner, 0, false},
		"a meh":                    {[]gym.Signal{is(gym.OwnerRating, -.25)}, gym.WithOwner, -.25, true},
		"an owner's thumb":         {[]gym.Signal{is(gym.OwnerThumb, 1)}, gym.WithOwner, .8, true},
		"an owner's thumb down":    {[]gym.Signal{is(gym.OwnerThumb, -1)}, gym.WithOwner, -1, true},
		"a guest and a reviewer":   {[]gym.Signal{is(gym.GuestThumb, 1), is(gym.Review, -.4)}, gym.WithOther, .3, true},
		"long, and in a room":      {[]gym.Signal{is(gym.Implicit, .8)}, gym.LargeRoom, .5, true},
		"long, with one":           {[]gym.Signal{is(gym.Implicit, .8)}, gym.WithOther, .3, true},
		"left":                     {[]gym.Signal{is(gym.Implicit, .4)}, gym.WithOwner, -.4, true},
		"too much of a good thing": {[]gym.Signal{is(gym.OwnerRating, 1), is(gym.OwnerThumb, 1), is(gym.OwnerThumb, 1)}, gym.WithOwner, 1, true},
	} {
		if got, said := Reward(c.signals, c.place); math.Abs(got-c.want) > 1e-12 || said != c.said {
			t.Errorf("%s: %v %v, want %v %v", name, got, said, c.want, c.said)
		}
	}
}

// The regression by Sherman and Morrison is the one by solving the normal
// equations with the weights of forgetting.
func TestRidge(t *testing.T) {
	t.Parallel()
	const penalty, forget, n = .3, .97, 40
	r := gym.Stream(5)
	m := newRidge(penalty)
	var gram [nFeatures]vector
	var h vector
	for i := range gram {
		gram[i][i] = penalty
	}
	for range n {
		var x policy.Traits
		for j := range x {
			x[j] = r.Float64()
		}
		f, y := features(&x), r.Normal()
		m.add(&f, y, forget)
		for i := range gram {
			h[i] = forget*h[i] + y*f[i]
			for j := range gram {
				gram[i][j] = forget*gram[i][j] + f[i]*f[j]
			}
		}
	}
	for i := range gram {
		if d := dot(&gram[i], &m.beta) - h[i]; math.Abs(d) > 1e-9 {
			t.Errorf("normal equation %d misses by %v", i, d)
		}
	}
	// draws have the mean and the spread they should
	f := features(&policy.Traits{.2, .9, .5, .1, .3, .8, .6, .4})
	const draws = 20000
	sum, squares := 0., 0.
	for range draws {
		beta := m.sample(.5, &r)
		d := dot(&f, &beta) - dot(&f, &m.beta)
		sum, squares = sum+d, squares+d*d
	}
	if sd := math.Sqrt(squares / draws); math.Abs(sd/(.5*m.width(&f))-1) > .03 || math.Abs(sum/draws) > 4*sd/math.Sqrt(draws) {
		t.Errorf("draws have mean %v and sd %v, want 0 and %v", sum/draws, sd, .5*m.width(&f))
	}
}

// The order of the measured table (docs/simulate.md), by margins that luck does
// not cross at this size.
func TestTheOrderOfTheTable(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("nine learners, 96 agents, 200 sessions")
	}
	regret := map[string]float64{}
	for _, r := range All {
		var of []*gym.Run
		for seed := range uint64(8) {
			of = append(of, play(t, gym.Main(), 70+seed, 12, 200, r.Make))
		}
		regret[r.Name] = gym.Join(of).RegretAt(200).Mean
	}
	t.Log(regret)
	for _, c := range []struct {
		better, than string
		by           float64
	}{
		{"plain-tuned", "plain", 3}, {"es", "plain-tuned", 5}, {"ekf", "plain-tuned", 5}, {"linucb", "plain-tuned", 5},
		{"lints", "plain-tuned", 5}, {"squarecb", "plain-tuned", 5}, {"bayes", "es", 1}, {"bayes", "ekf", 1}, {"bayes", "squarecb", 1},
	} {
		if regret[c.better] > regret[c.than]-c.by {
			t.Errorf("%s %.1f, %s %.1f: want at least %.0f less", c.better, regret[c.better], c.than, regret[c.than], c.by)
		}
	}
	if d := math.Abs(regret["plain"] - regret["static"]); d > 3 {
		t.Errorf("the plain scheme is %.1f from standing still", d)
	}
}

// With a delay a learner hears of a session long after; what was tried then must
// be what is learned from.
func TestLateRewardsMeetTheirTrial(t *testing.T) {
	t.Parallel()
	p := plain{epsilon: 1, delta: .1, step: .05}.start(policy.Neutral(), gym.Stream(1)).(*plain)
	first := p.act()
	for range 5 {
		p.act()
	}
	p.learn(0, &first, 1)
	var want policy.Traits
	for j, v := range first {
		want[j] = .5
		if v != .5 {
			want[j] = .5 + math.Copysign(.05, v-.5)
		}
	}
	if d := cmp.Diff(want, p.levels(), cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })); d != "" {
		t.Error(d)
	}
}
