// Package league lets learners play side by side in the simulated world and says
// who did how well.
//
// Owns: Entrant and Entrants (learners by name: ours, the rivals, programs),
// Options, Play, Result with its table and curves.
//
// Invariants: every entrant meets the same populations, drawn from seed, seed+1,
// …; the first entrant is the one the others are compared with. But for the time a
// learner took, equal options give an equal result.
//
// Start reading at Play.
package league

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"rapport/policy"
	"rapport/simulate/gym"
)

// Options say what is played.
type Options struct {
	World       gym.World
	Entrants    []Entrant
	Populations int
	Agents      int // of each population
	Sessions    int // of each agent
	Seed        uint64
	Progress    func(done, total int) // may be nil
}

// ErrOptions is the error of options that cannot be played; the text says why.
var ErrOptions = errors.New("cannot be played")

// maxSessions of all agents of one entrant, about an hour for the slowest.
const maxSessions = 50_000_000

func (o *Options) check() error {
	w := &o.World
	for name, v := range map[string]int{"populations": o.Populations, "agents": o.Agents, "sessions": o.Sessions} {
		if v < 1 {
			return fmt.Errorf("%w: %s is %d, want at least 1", ErrOptions, name, v)
		}
	}
	if n := float64(o.Populations) * float64(o.Agents) * float64(o.Sessions); n > maxSessions {
		return fmt.Errorf("%w: %.0f sessions for each learner, want at most %d", ErrOptions, n, maxSessions)
	}
	if o.Populations*o.Agents < 2 {
		return fmt.Errorf("%w: one agent has no interval, want two or more", ErrOptions)
	}
	for _, s := range []struct {
		name   string
		v, top float64
	}{
		{"drift", w.Drift, 1}, {"bad", w.Bad, 1}, {"brigaded", w.Brigaded, 1}, {"brigade", w.Brigade, 1}, {"rating", w.Rating, 1},
		{"thumbs", w.Thumbs, 10}, {"quiet", w.Quiet, 1}, {"review", w.Review, 1}, {"press", w.Press, 1}, {"right", w.Right, 1}, {"start", w.Start, 1},
	} {
		if !(s.v >= 0 && s.v <= s.top) {
			return fmt.Errorf("%w: %s is %v, want a number from 0 to %g", ErrOptions, s.name, s.v, s.top)
		}
	}
	switch {
	case w.Kinds < 0 || w.Kinds > 10_000:
		return fmt.Errorf("%w: kinds is %d, want 0 (every owner their own) to 10000", ErrOptions, w.Kinds)
	case w.Raters < 1 || w.Raters > 100_000:
		return fmt.Errorf("%w: raters is %d, want 1 to 100000", ErrOptions, w.Raters)
	case w.Delay < 0 || w.Delay > o.Sessions:
		return fmt.Errorf("%w: delay is %d, want 0 to the number of sessions, %d", ErrOptions, w.Delay, o.Sessions)
	case len(o.Entrants) == 0:
		return fmt.Errorf("%w: nobody plays", ErrOptions)
	}
	names := map[string]bool{}
	for _, e := range o.Entrants {
		if names[e.Name] {
			return fmt.Errorf("%w: %s plays twice", ErrOptions, e.Name)
		}
		names[e.Name] = true
	}
	return nil
}

// Play lets every entrant live through every population, on as many cores as there
// are. ErrOptions with the reason; the first error of an outside learner, by its
// entrant; the context's.
func Play(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var tasks [][]int // plays that one goroutine does, one after the other
	for i, e := range o.Entrants {
		for p := range o.Populations {
			if play := p*len(o.Entrants) + i; e.inTurn && p > 0 {
				last := &tasks[len(tasks)-1]
				*last = append(*last, play)
			} else {
				tasks = append(tasks, []int{play})
			}
		}
	}
	plays := make([]*gym.Run, o.Populations*len(o.Entrants))
	spent := make([]atomic.Int64, len(o.Entrants))
	var done atomic.Int64
	tell := make(chan struct{}, len(plays))
	told := make(chan struct{})
	go func() { // progress comes one call at a time
		defer close(told)
		for range tell {
			if o.Progress != nil {
				o.Progress(int(done.Load()), len(plays))
			}
		}
	}()
	_ = gym.Each(ctx, len(tasks), func(t int) {
		for _, k := range tasks[t] {
			p, i := k/len(o.Entrants), k%len(o.Entrants)
			if ctx.Err() != nil {
				return
			}
			run, err := o.one(ctx, p, &o.Entrants[i], &spent[i])
			if err != nil {
				stop(fmt.Errorf("%s: %w", o.Entrants[i].Name, err))
				return
			}
			plays[k] = run
			done.Add(1)
			tell <- struct{}{}
		}
	}, nil)
	close(tell)
	<-told
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	r := &Result{Options: o}
	for i, e := range o.Entrants {
		var of []*gym.Run
		for p := range o.Populations {
			of = append(of, plays[p*len(o.Entrants)+i])
		}
		s := Standing{Name: e.Name, Run: gym.Join(of)}
		s.Micros = float64(spent[i].Load()) / 1e3 / float64(o.Populations) / float64(o.Agents) / float64(o.Sessions)
		r.Standings = append(r.Standings, s)
	}
	return r, nil
}

// one lets an entrant live through one population.
func (o *Options) one(ctx context.Context, population int, e *Entrant, spent *atomic.Int64) (*gym.Run, error) {
	table := seat{Population: population, Populations: o.Populations, Agents: o.Agents, Sessions: o.Sessions}
	var leave func(*gym.Run) error
	var failed error
	run, _ := o.World.NewPopulation(o.Seed+uint64(population)).Play(0, o.Agents, o.Sessions, func(starts []policy.Traits, seed uint64) gym.Learner {
		table.Starts, table.Seed = starts, seed
		l, end, err := e.enter(ctx, table)
		if err != nil {
			failed = err
			return gym.Static(starts, seed)
		}
		leave = end
		return timed{l, spent}
	})
	if leave != nil {
		failed = leave(run)
	}
	return run, failed
}

// timed adds up the time a learner takes.
type timed struct {
	gym.Learner
	spent *atomic.Int64
}

func (t timed) Act(agent int, s gym.Session) policy.Traits {
	begin := time.Now()
	defer func() { t.spent.Add(int64(time.Since(begin))) }()
	return t.Learner.Act(agent, s)
}

func (t timed) Learn(agent int, x policy.Traits, signals []gym.Signal) {
	begin := time.Now()
	defer func() { t.spent.Add(int64(time.Since(begin))) }()
	t.Learner.Learn(agent, x, signals)
}

// Result is who did how well.
type Result struct {
	Options   Options
	Standings []Standing // in the order of the entrants
}

// Standing is how one entrant did.
type Standing struct {
	Name   string
	Run    *gym.Run
	Micros float64 // mean time of the learner for one session, with what it waited for a core
}

// Against is the mean difference of the regret at the last mark to the first
// entrant's, with its interval over populations, or over agents where there is
// only one population. Above 0: the first is better.
func (r *Result) Against(i int) gym.Interval {
	first, second := r.Standings[i].Run, r.Standings[0].Run
	if r.Options.Populations > 1 {
		return gym.PairPopulations(first, second, gym.Regret200)
	}
	return gym.Pair(first, second, gym.Regret200)
}

// Beaten counts the populations in which the mean regret of an entrant is above
// the first one's.
func (r *Result) Beaten(i int) int {
	sums := make([]float64, r.Options.Populations)
	for k := range r.Standings[i].Run.Agents {
		a := &r.Standings[i].Run.Agents[k]
		sums[a.Population] += gym.Regret200(a) - gym.Regret200(&r.Standings[0].Run.Agents[k])
	}
	n := 0
	for _, s := range sums {
		if s > 0 {
			n++
		}
	}
	return n
}

// marks are the sessions after which regret is shown: those of gym.Marks that were
// reached, and the end when it lies between two of them.
func (r *Result) marks() (after []int) {
	for _, m := range gym.Marks {
		if m <= r.Options.Sessions {
			after = append(after, m)
		}
	}
	if last := gym.Marks[len(gym.Marks)-1]; r.Options.Sessions < last && (len(after) == 0 || after[len(after)-1] != r.Options.Sessions) {
		after = append(after, r.Options.Sessions)
	}
	return after
}

// regret after so many sessions.
func (s *Standing) regret(after int) gym.Interval {
	k := 0
	for k < len(gym.Marks)-1 && gym.Marks[k] < after {
		k++
	}
	return s.Run.Of(func(a *gym.Agent) float64 { return a.Regret[k] })
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
