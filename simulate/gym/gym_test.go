package gym

import (
	"context"
	"math"
	"reflect"
	"testing"

	"rapport/policy"
)

// knowing plays what it is told to: the ideal, or a constant away from it.
type knowing struct {
	static
	x    func(agent, session int) policy.Traits
	seen func(agent int, s Session, signals []Signal)
	last []Session
}

func (k *knowing) Act(agent int, s Session) policy.Traits {
	k.last[agent] = s
	return k.x(agent, s.Number)
}

func (k *knowing) Learn(agent int, _ policy.Traits, signals []Signal) {
	if k.seen != nil {
		k.seen(agent, k.last[agent], signals)
	}
}

func (k *knowing) Policy(agent int) policy.Traits { return k.x(agent, k.last[agent].Number) }

// worlds are the yardstick and every departure from it.
func worlds() map[string]World {
	with := func(f func(*World)) World {
		w := Main()
		f(&w)
		return w
	}
	return map[string]World{
		"main":        Main(),
		"no kinds":    with(func(w *World) { w.Kinds = 0 }),
		"200 kinds":   with(func(w *World) { w.Kinds = 200 }),
		"good start":  with(func(w *World) { w.Start = .1 }),
		"directional": with(func(w *World) { w.Attack = Directional }),
		"brigade":     with(func(w *World) { w.Brigaded, w.Brigade, w.Rating, w.Quiet = .3, .5, .02, .9 }),
		"delay":       with(func(w *World) { w.Delay = 7 }),
		"interaction": with(func(w *World) { w.Shape = Interaction }),
		"absolute":    with(func(w *World) { w.Shape = Absolute }),
		"plateau":     with(func(w *World) { w.Shape = Plateau }),
		"no effect":   with(func(w *World) { w.Shape = NoEffect }),
		"buttons":     with(func(w *World) { w.Press = .1 }),
		"coin flips":  with(func(w *World) { w.Press, w.Right = .1, .5 }),
	}
}

func TestTheOracleHasNoRegretInAnyWorld(t *testing.T) {
	t.Parallel()
	for name, w := range worlds() {
		p := w.NewPopulation(5)
		run, _ := p.Play(0, 20, 130, func(starts []policy.Traits, _ uint64) Learner {
			return &knowing{static: starts, last: make([]Session, len(starts)), x: func(agent, session int) policy.Traits {
				o := p.owner(0, agent)
				return o.at(session).ideal
			}}
		})
		for i, a := range run.Agents {
			if a.Regret[3] > 1e-12 || a.EverWorse {
				t.Errorf("%s: agent %d has a regret of %v at its ideal, ever worse %v", name, i, a.Regret, a.EverWorse)
			}
		}
	}
}

func TestStandingStillCostsWhatTheReferenceSays(t *testing.T) {
	t.Parallel()
	seeds := make([]uint64, 30)
	for i := range seeds {
		seeds[i] = uint64(i)
	}
	for _, c := range []struct {
		name       string
		start      float64
		drift      float64
		want, give float64
	}{{"middle", 0, .15, 66.7, 3}, {"within .1", .1, 0, 10, 1}, {"within .2", .2, 0, 35.6, 1.5}} {
		w := Main()
		w.Start, w.Drift = c.start, c.drift
		runs, err := Compare(context.Background(), w, seeds, 40, 200, []Maker{Static}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := runs[0].RegretAt(200); math.Abs(got.Mean-c.want) > c.give {
			t.Errorf("%s: standing still costs %.1f ± %.1f, the reference world %.1f", c.name, got.Mean, got.Half, c.want)
		}
	}
}

func TestLearnersMeetTheSamePeople(t *testing.T) {
	t.Parallel()
	for name, w := range worlds() {
		p := w.NewPopulation(9)
		play := func(shift float64) (kept []Signal, places []Session) {
			p.Play(0, 8, 60, func(starts []policy.Traits, _ uint64) Learner {
				return &knowing{static: starts, last: make([]Session, len(starts)),
					x: func(agent, session int) policy.Traits {
						x := starts[agent]
						for j := range x {
							x[j] = clip(x[j] + shift)
						}
						return x
					},
					seen: func(_ int, s Session, signals []Signal) {
						places = append(places, s)
						for _, sig := range signals {
							// what depends on the levels is left out: the values, the trait of a press
							kept = append(kept, Signal{Session: sig.Session, Source: sig.Source, Rater: sig.Rater})
						}
					}}
			})
			return kept, places
		}
		one, where := play(0)
		other, there := play(.2)
		if !reflect.DeepEqual(one, other) || !reflect.DeepEqual(where, there) {
			t.Errorf("%s: two learners met other people (%d and %d signals)", name, len(one), len(other))
		}
		if len(one) == 0 {
			t.Errorf("%s: nobody said anything", name)
		}
	}
}

func TestEverySignalIsInItsRangeAndOnTime(t *testing.T) {
	t.Parallel()
	for name, w := range worlds() {
		p, known := w.NewPopulation(3), 0
		p.Play(0, 10, 100, func(starts []policy.Traits, _ uint64) Learner {
			return &knowing{static: starts, last: make([]Session, len(starts)),
				x: func(agent, _ int) policy.Traits { return starts[agent] },
				seen: func(_ int, now Session, signals []Signal) {
					known++
					for _, s := range signals {
						if s.Session != now.Number-w.Delay {
							t.Errorf("%s: in session %d of session %d, want a delay of %d", name, now.Number, s.Session, w.Delay)
						}
						if s.Source != Implicit && math.Abs(s.Value) > 1 || s.Rater < Owner || s.Rater >= w.Raters || (s.Source == TonePress) != (s.Toward != 0) {
							t.Errorf("%s: signal %+v", name, s)
						}
					}
				}}
		})
		if want := 10 * (100 - w.Delay); known != want {
			t.Errorf("%s: heard of %d sessions, want %d", name, known, want)
		}
	}
}
