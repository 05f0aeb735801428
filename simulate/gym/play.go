package gym

import (
	"context"
	"math"
	"runtime"
	"sync"

	"rapport/policy"
)

// Marks are the sessions after which regret is read.
var Marks = [...]int{20, 50, 100, 200}

// Size is how much is played.
type Size struct {
	Populations int
	Agents      int // of each
	Sessions    int
}

// Agent is how one agent fared. "Worse" means satisfaction more than .05 below
// that of the start.
type Agent struct {
	Population int
	Regret     [len(Marks)]float64 // Σ (best possible − satisfaction with the levels used) at Marks; those after the end repeat the last
	Start      float64             // satisfaction with the start, at the start
	Final      float64             // satisfaction with the policy at the end
	EverWorse  bool                // the policy was ever worse, before any jump of taste
	EndWorse   bool                // the policy was worse at the end, than the start by the taste of then
	XWorse     float64             // share of sessions whose levels used were worse
	Moves      int                 // changes of the policy
	FalseMoves int                 // of them, those that made it less satisfactory
	Near10     int                 // first of five sessions in a row within .10 of the best; −1: never
	Near05     int                 // the same for .05
	Moved      float64             // the farthest that a trait of the policy is from the start, at the end
	Jumped     bool
	After50    float64 // satisfaction with the policy 50 sessions after the jump; NaN without
	Brigaded   bool
}

// Run is a learner's play.
type Run struct {
	Agents []Agent
	// Used and Policy are the mean satisfaction per session, with the levels used
	// and with the policy; Regret the mean regret up to and with a session.
	Used, Policy, Regret []float64

	squares []float64 // mean square of the agents' regret, per session
}

// worse is how much less satisfaction than the start's counts as worse.
const worse = .05

// Play lets a learner live through a cohort.
func (p *Population) Play(cohort, agents, sessions int, make Maker) (*Run, Learner) {
	l := p.learner(cohort, agents, make)
	return p.PlayOn(cohort, agents, sessions, l), l
}

// PlayNext lets the heir of a learner live through another cohort.
func (p *Population) PlayNext(cohort, agents, sessions int, of Heir) (*Run, Learner) {
	return p.Play(cohort, agents, sessions, of.Next)
}

func (p *Population) learner(cohort, agents int, maker Maker) Learner {
	starts := make([]policy.Traits, agents)
	for i := range starts {
		o := p.owner(cohort, i)
		starts[i] = o.start
	}
	return maker(starts, mix(p.seed^uint64(cohort+1)<<40))
}

// PlayOn lets a learner that was made for a cohort live through it.
func (p *Population) PlayOn(cohort, agents, sessions int, l Learner) *Run {
	run := &Run{Agents: make([]Agent, agents), Used: make([]float64, sessions), Policy: make([]float64, sessions), Regret: make([]float64, sessions), squares: make([]float64, sessions)}
	type late struct {
		x       policy.Traits
		signals []Signal
	}
	owners, waiting := make([]owner, agents), make([][]late, agents)
	regret, theta := make([]float64, agents), make([]policy.Traits, agents)
	near := make([][2]int, agents) // sessions in a row within .10 and .05
	for i := range owners {
		owners[i] = p.owner(cohort, i)
		waiting[i] = make([]late, p.Delay+1)
		o, a := &owners[i], &run.Agents[i]
		theta[i] = l.Policy(i)
		*a = Agent{Start: p.satisfaction(o, 0, &o.start), Near10: -1, Near05: -1, Jumped: o.jump >= 0, After50: math.NaN(), Brigaded: o.brigaded}
	}
	for n := range sessions {
		for i := range owners {
			o, a := &owners[i], &run.Agents[i]
			s := p.begin(cohort, i, n)
			x := l.Act(i, s)
			w := &waiting[i][n%(p.Delay+1)]
			w.x, w.signals = x, p.live(o, cohort, i, s, &x, w.signals[:0])
			if n >= p.Delay {
				w = &waiting[i][(n-p.Delay)%(p.Delay+1)]
				l.Learn(i, w.x, w.signals)
			}
			best, start := p.best(o, n), p.satisfaction(o, n, &o.start)
			used := p.satisfaction(o, n, &x)
			regret[i] += best - used
			for k, m := range Marks {
				if n < m {
					a.Regret[k] = regret[i]
				}
			}
			if start-used > worse {
				a.XWorse += 1 / float64(sessions)
			}
			now := l.Policy(i)
			sat := p.satisfaction(o, n, &now)
			if now != theta[i] {
				a.Moves++
				if sat < p.satisfaction(o, n, &theta[i])-1e-9 {
					a.FalseMoves++
				}
				theta[i] = now
			}
			a.EndWorse = start-sat > worse
			a.EverWorse = a.EverWorse || a.EndWorse && (o.jump < 0 || n < o.jump)
			for k, within := range [...]float64{.10, .05} {
				first := [...]*int{&a.Near10, &a.Near05}[k]
				if near[i][k]++; best-sat > within {
					near[i][k] = 0
				}
				if near[i][k] == 5 && *first < 0 {
					*first = n - 4
				}
			}
			if n == o.jump+50 && a.Jumped {
				a.After50 = sat
			}
			a.Final = sat
			run.Used[n] += used / float64(agents)
			run.Policy[n] += sat / float64(agents)
			run.Regret[n] += regret[i] / float64(agents)
			run.squares[n] += regret[i] * regret[i] / float64(agents)
		}
	}
	for i := range owners {
		for j, v := range theta[i] {
			run.Agents[i].Moved = max(run.Agents[i].Moved, math.Abs(v-owners[i].start[j]))
		}
	}
	return run
}

// Compare lets learners live through the same populations, one for each seed, on
// as many cores as there are, and gives a run of each over all of them. progress
// may be nil; it is told how many of all plays are done, one call at a time. The
// error is the context's.
func Compare(ctx context.Context, w World, seeds []uint64, agents, sessions int, makers []Maker, progress func(done, total int)) ([]*Run, error) {
	plays := make([]*Run, len(seeds)*len(makers))
	err := Each(ctx, len(plays), func(i int) {
		plays[i], _ = w.NewPopulation(seeds[i/len(makers)]).Play(0, agents, sessions, makers[i%len(makers)])
	}, progress)
	if err != nil {
		return nil, err
	}
	runs := make([]*Run, len(makers))
	for m := range makers {
		of := make([]*Run, len(seeds))
		for s := range seeds {
			of[s] = plays[s*len(makers)+m]
		}
		runs[m] = Join(of)
	}
	return runs, nil
}

// Each calls play for 0 to n−1 on as many cores as there are.
func Each(ctx context.Context, n int, play func(i int), progress func(done, total int)) error {
	var group sync.WaitGroup
	var told sync.Mutex
	next := make(chan int)
	done := 0
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := range next {
				play(i)
				told.Lock()
				done++
				if progress != nil {
					progress(done, n)
				}
				told.Unlock()
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	group.Wait()
	return ctx.Err()
}

// Join makes one run of the runs of several populations of equal size, in order.
func Join(runs []*Run) *Run {
	all := &Run{Used: make([]float64, len(runs[0].Used)), Policy: make([]float64, len(runs[0].Used)), Regret: make([]float64, len(runs[0].Used)), squares: make([]float64, len(runs[0].Used))}
	for k, r := range runs {
		for _, a := range r.Agents {
			a.Population = k
			all.Agents = append(all.Agents, a)
		}
		for n := range r.Used {
			all.Used[n] += r.Used[n] / float64(len(runs))
			all.Policy[n] += r.Policy[n] / float64(len(runs))
			all.Regret[n] += r.Regret[n] / float64(len(runs))
			all.squares[n] += r.squares[n] / float64(len(runs))
		}
	}
	return all
}
