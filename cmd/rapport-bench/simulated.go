package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"rapport/internal/sequential"
	"rapport/learning/safety"
	"rapport/policy"
	"rapport/simulate/gym"
	"rapport/simulate/rival"
)

// size of a simulated bench. --populations, --agents (of each) and --sessions
// change it, --seed gives the first seed, which is otherwise drawn.
type size struct {
	seed                          uint64
	populations, agents, sessions int
}

func sized(populations, agents, sessions int) (size, error) {
	s := size{rand.Uint64N(1 << 32), populations, agents, sessions}
	seed := int(s.seed)
	into := map[string]*int{"--seed": &seed, "--populations": &s.populations, "--agents": &s.agents, "--sessions": &s.sessions}
	for i, arg := range os.Args {
		if into[arg] == nil {
			continue
		}
		if i+1 == len(os.Args) {
			return s, fmt.Errorf("%s wants a number", arg)
		}
		v, err := strconv.ParseUint(os.Args[i+1], 10, 32)
		if err != nil {
			return s, fmt.Errorf("%s: %w", arg, err)
		}
		*into[arg] = int(v)
	}
	s.seed = uint64(seed)
	if s.populations < 1 || s.agents < 1 || s.sessions < 1 {
		return s, fmt.Errorf("nobody to play with: %d populations of %d agents, %d sessions", s.populations, s.agents, s.sessions)
	}
	fmt.Fprintf(os.Stderr, "%d populations of %d agents, %d sessions, seeds %d to %d\n", s.populations, s.agents, s.sessions, s.seed, s.seed+uint64(s.populations)-1)
	return s, nil
}

func (s size) metrics() metrics {
	return metrics{"seed": s.seed, "populations": s.populations, "agents": s.populations * s.agents, "sessions": s.sessions}
}

func told(done, total int) {
	fmt.Fprintf(os.Stderr, "\r%d of %d plays", done, total)
	if done == total {
		fmt.Fprintln(os.Stderr)
	}
}

// entrant is a learner of a bench. The first is ours.
type entrant struct {
	name string
	make gym.Maker
}

var (
	us      = entrant{"ours", gym.Ours(gym.Options{})}
	alone   = entrant{"no-prior", gym.Ours(gym.Options{Alone: true})}
	nothing = entrant{"static", gym.Static}
)

func rivalNamed(name string) entrant {
	r, ok := rival.Named(name)
	if !ok {
		panic("no rival " + name)
	}
	return entrant{r.Name, r.Make}
}

// play lets the entrants live through the same populations.
func (s size) play(ctx context.Context, w gym.World, entrants ...entrant) ([]*gym.Run, error) {
	runs := make([]*gym.Run, s.populations*len(entrants))
	err := gym.Each(ctx, len(runs), func(i int) {
		runs[i], _ = w.NewPopulation(s.seed+uint64(i/len(entrants))).Play(0, s.agents, s.sessions, entrants[i%len(entrants)].make)
	}, told)
	if err != nil {
		return nil, err
	}
	joined := make([]*gym.Run, len(entrants))
	for e := range entrants {
		var of []*gym.Run
		for k := range s.populations {
			of = append(of, runs[k*len(entrants)+e])
		}
		joined[e] = gym.Join(of)
	}
	return joined, nil
}

// describe adds the numbers of ours at the top and those of others, with the
// paired difference (theirs more than ours, by population), under learners.
func (m metrics) describe(entrants []entrant, runs []*gym.Run) metrics {
	others := map[string]metrics{}
	for i, r := range runs {
		into := m
		if i > 0 {
			into = metrics{}
			others[entrants[i].name] = into
			d := gym.PairPopulations(r, runs[0], gym.Regret200)
			into["more"], into["more_ci"] = d.Mean, d.Half
			into["beaten_share"] = beaten(runs[0], r)
		}
		s := r.Summary()
		for k, v := range map[string]float64{
			"regret20": s.Regret20, "regret50": s.Regret50, "regret100": s.Regret100, "regret200": s.Regret200,
			"ci200": s.CI200, "ci200_populations": s.CIPopulations, "final_satisfaction": s.Final,
			"ever_worse_share": s.EverWorse.Share, "ever_worse_upper95": s.EverWorse.Hi, "end_worse_share": s.EndWorse.Share,
			"sessions_worse_share": s.XWorse, "false_moves_share": s.FalseMoves,
			"near10_session": s.Near10, "near10_share": s.Reach10, "near05_session": s.Near05, "near05_share": s.Reach05,
		} {
			if v == v { // JSON knows no NaN: one population has no interval, who never moves no moves
				into[k] = v
			}
		}
	}
	if len(others) > 0 {
		m["learners"] = others
	}
	return m
}

// beaten is the share of populations in which the first has less regret.
func beaten(first, second *gym.Run) float64 {
	n, won := 0, 0
	for k := 0; ; k++ {
		of := func(a *gym.Agent) float64 {
			if a.Population != k {
				return math.NaN()
			}
			return gym.Regret200(a)
		}
		d := gym.Pair(first, second, of).Mean
		if d != d {
			return float64(won) / float64(n)
		}
		if n++; d < 0 {
			won++
		}
	}
}

// side lets the entrants play in a world and describes them.
func side(populations, agents, sessions int, change func(*gym.World), entrants ...entrant) func(context.Context) (metrics, error) {
	return func(ctx context.Context) (metrics, error) {
		s, err := sized(populations, agents, sessions)
		if err != nil {
			return nil, err
		}
		w := gym.Main()
		change(&w)
		runs, err := s.play(ctx, w, entrants...)
		if err != nil {
			return nil, err
		}
		m := s.metrics().describe(entrants, runs)
		if w.Drift > 0 {
			after := runs[0].Of(func(a *gym.Agent) float64 { return a.After50 })
			m["satisfaction_after_50"], m["satisfaction_after_50_ci"] = after.Mean, after.Half
		}
		if w.Brigaded > 0 {
			of := func(yes bool) func(*gym.Agent) float64 {
				return func(a *gym.Agent) float64 {
					if a.Brigaded != yes {
						return math.NaN()
					}
					return a.Final
				}
			}
			for i, e := range entrants {
				into := m
				if i > 0 {
					into = m["learners"].(map[string]metrics)[e.name]
				}
				v, rest := runs[i].Of(of(true)), runs[i].Of(of(false))
				into["brigaded_final_satisfaction"], into["brigaded_final_satisfaction_ci"] = v.Mean, v.Half
				into["others_final_satisfaction"] = rest.Mean
			}
		}
		return m, nil
	}
}

func everyRival() []entrant {
	all := []entrant{us}
	for _, r := range rival.All {
		all = append(all, entrant{r.Name, r.Make})
	}
	return all
}

// The simulated benches.
var (
	mainWorld   = side(8, 300, 200, func(*gym.World) {}, us, alone, rivalNamed("es"), nothing)
	fresh       = side(8, 100, 200, func(*gym.World) {}, everyRival()...)
	goodStart   = side(8, 150, 200, func(w *gym.World) { w.Start, w.Drift = .1, 0 }, us, nothing)
	halfStart   = side(8, 150, 200, func(w *gym.World) { w.Start, w.Drift = .2, 0 }, us, nothing)
	drift       = side(8, 150, 200, func(w *gym.World) { w.Drift = .3 }, us, nothing)
	delay       = side(8, 150, 200, func(w *gym.World) { w.Delay = 30 }, us, nothing)
	noKinds     = side(8, 150, 200, func(w *gym.World) { w.Kinds = 200 }, us, alone)
	silentOwner = side(8, 150, 200, func(w *gym.World) {
		w.Rating, w.Quiet, w.Attack, w.Brigaded, w.Brigade = .02, .9, gym.Directional, .3, .5
	}, us, entrant{"no-trust", gym.Ours(gym.Options{NoTrust: true})}, nothing)
)

// newCohort plays a cohort, and then another with what is known of the population.
func newCohort(ctx context.Context) (metrics, error) {
	s, err := sized(8, 300, 200)
	if err != nil {
		return nil, err
	}
	runs := make([]*gym.Run, s.populations)
	err = gym.Each(ctx, len(runs), func(i int) {
		p := gym.Main().NewPopulation(s.seed + uint64(i))
		_, l := p.Play(0, s.agents, 200, us.make)
		runs[i], _ = p.PlayNext(1, s.agents, s.sessions, l.(gym.Heir))
	}, told)
	if err != nil {
		return nil, err
	}
	return s.metrics().describe([]entrant{us}, []*gym.Run{gym.Join(runs)}), nil
}

// noEffect counts the agents that moved though no trait matters.
func noEffect(ctx context.Context) (metrics, error) {
	s, err := sized(4, 150, 200)
	if err != nil {
		return nil, err
	}
	w := gym.Main()
	w.Shape = gym.NoEffect
	runs, err := s.play(ctx, w, us, entrant{"careful", gym.Ours(gym.Options{Pace: safety.Careful})}, alone)
	if err != nil {
		return nil, err
	}
	m := s.metrics()
	for i, key := range []string{"moved_share_gate70", "moved_share_gate90", "moved_share_gate70_no_prior"} {
		moved := runs[i].ShareOf(func(a *gym.Agent) bool { return a.Moved >= .10 })
		m[key], m[key+"_upper95"] = moved.Share, moved.Hi
	}
	return m, nil
}

// toneButtons compares worlds with buttons, with coin flips and without.
func toneButtons(ctx context.Context) (metrics, error) {
	s, err := sized(8, 200, 200)
	if err != nil {
		return nil, err
	}
	m := s.metrics()
	var none *gym.Run
	for _, of := range []struct {
		key          string
		press, right float64
	}{{"", 0, 1}, {"_ratio", .1, .85}, {"_ratio_coinflip", .1, .5}} {
		w := gym.Main()
		w.Press, w.Right = of.press, of.right
		runs, err := s.play(ctx, w, us)
		if err != nil {
			return nil, err
		}
		if none == nil {
			none = runs[0]
			m.describe([]entrant{us}, runs)
			continue
		}
		for k, mark := range gym.Marks {
			regret := func(a *gym.Agent) float64 { return a.Regret[k] }
			base := none.Of(regret).Mean
			d := gym.PairPopulations(runs[0], none, regret)
			key := "regret" + strconv.Itoa(mark) + of.key
			m[key] = 1 + d.Mean/base
			if d.Half == d.Half {
				m[key+"_ci"] = d.Half / base
			}
		}
		m["ever_worse_share"+of.key[len("_ratio"):]+"_pressed"] = runs[0].Summary().EverWorse.Share
	}
	return m, nil
}

// shapes are worlds in which satisfaction is not what the learner believes.
func shapes(ctx context.Context) (metrics, error) {
	s, err := sized(4, 150, 200)
	if err != nil {
		return nil, err
	}
	m := s.metrics()
	entrants := []entrant{us, nothing, rivalNamed("es")}
	for _, shape := range []gym.Shape{gym.Interaction, gym.Absolute, gym.Plateau} {
		w := gym.Main()
		w.Shape = shape
		runs, err := s.play(ctx, w, entrants...)
		if err != nil {
			return nil, err
		}
		m[string(shape)] = metrics{}.describe(entrants, runs)
	}
	return m, nil
}

// nullResults: intervals that must hold what they say, and a canary of a release
// that changes nothing.
func nullResults(ctx context.Context) (metrics, error) {
	s, err := sized(4, 200, 200)
	if err != nil {
		return nil, err
	}
	type counts struct{ inside, all, reverted, adopted, canaries float64 }
	of := make([]counts, s.populations)
	err = gym.Each(ctx, s.populations, func(i int) {
		p, c := gym.Main().NewPopulation(s.seed+uint64(i)), &of[i]
		a := &sameOnBothSides{draws: gym.Stream(s.seed, uint64(i), 8)}
		_, l := p.Play(0, s.agents, s.sessions, a.make)
		for _, canary := range a.canaries {
			c.canaries++
			switch canary.Decided {
			case sequential.Revert:
				c.reverted++
			case sequential.Adopt:
				c.adopted++
			}
		}
		believer := l.(*sameOnBothSides).Learner.(gym.Believer)
		for agent := range s.agents {
			ideal, importance := p.Taste(0, agent, s.sessions-1)
			for j := range ideal {
				if importance[j] < .3 {
					continue // nobody can know the best level of what hardly matters
				}
				level, sd := believer.Ideal(agent, policy.Trait(j))
				c.all++
				if math.Abs(level-ideal[j]) <= 1.2816*sd {
					c.inside++
				}
			}
		}
	}, told)
	if err != nil {
		return nil, err
	}
	var sum counts
	for _, c := range of {
		sum.inside, sum.all = sum.inside+c.inside, sum.all+c.all
		sum.reverted, sum.adopted, sum.canaries = sum.reverted+c.reverted, sum.adopted+c.adopted, sum.canaries+c.canaries
	}
	m := s.metrics()
	m["coverage80"] = sum.inside / sum.all
	reverted := gym.Wilson(int(sum.reverted), int(sum.canaries))
	m["aa_reverted_share"], m["aa_reverted_upper95"], m["aa_canaries"] = reverted.Share, reverted.Hi, sum.canaries
	m["aa_adopted_share"] = sum.adopted / sum.canaries
	return m, nil
}

// sameOnBothSides lets ours play, and shows canaries of five agents each the
// owners' ratings as if half of the sessions had a release.
type sameOnBothSides struct {
	gym.Learner
	draws    policy.Stream
	canaries []sequential.Canary
}

const perCanary = 5

func (a *sameOnBothSides) make(starts []policy.Traits, seed uint64) gym.Learner {
	a.Learner = us.make(starts, seed)
	a.canaries = slices.Repeat([]sequential.Canary{sequential.NewCanary(.5, -1, 1, .05)}, (len(starts)+perCanary-1)/perCanary)
	return a
}

func (a *sameOnBothSides) Learn(agent int, x policy.Traits, signals []gym.Signal) {
	for _, s := range signals {
		if s.Source == gym.OwnerRating {
			if _, err := a.canaries[agent/perCanary].Add(a.draws.Float64() < .5, s.Value); err != nil {
				panic(err) // ratings lie in [-1,1]
			}
		}
	}
	a.Learner.Learn(agent, x, signals)
}
