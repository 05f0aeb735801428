package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"rapport/simulate/gym"
	"rapport/simulate/gym/actions"
)

// actionBlocks compares separate blocks for the action weights with one joint block, in
// the same people's episodes. The keys at the top are of the yardstick world, others
// stand under worlds; differences are joint minus separate, paired, with the interval over
// populations.
func actionBlocks(ctx context.Context) (metrics, error) {
	s, err := sized(8, 100, 200)
	if err != nil {
		return nil, err
	}
	if s.populations < 2 || s.sessions < 50 {
		return nil, errors.New("an interval needs two populations, regret@50 fifty sessions")
	}
	type play struct {
		lives []actions.Life
		err   error
	}
	forms := actions.Forms
	plays := make([]play, len(actions.Worlds)*len(forms)*s.populations)
	err = gym.Each(ctx, len(plays), func(i int) {
		w, f := actions.Worlds[i/(len(forms)*s.populations)], forms[i/s.populations%len(forms)]
		plays[i].lives, plays[i].err = w.Play(f, s.seed+uint64(i%s.populations), s.agents, s.sessions)
	}, told)
	if err != nil {
		return nil, err
	}
	m, worlds := s.metrics(), map[string]metrics{}
	for i, w := range actions.Worlds {
		runs := map[actions.Form][][]actions.Life{}
		for k, f := range forms {
			for n := range s.populations {
				p := plays[(i*len(forms)+k)*s.populations+n]
				if p.err != nil {
					return nil, fmt.Errorf("%s in %s: %w", f, w.Name, p.err)
				}
				runs[f] = append(runs[f], p.lives)
			}
		}
		into := m
		if i > 0 {
			into = metrics{}
			worlds[w.Name] = into
		}
		compared(into, runs)
	}
	m["worlds"] = worlds
	return m, timedForms(m, s.seed)
}

// compared adds how the forms fared, and how much more regret than the separate form
// they had.
func compared(m metrics, runs map[actions.Form][][]actions.Life) {
	separate := runs[actions.Separate]
	for f, run := range runs {
		add := func(key string, v gym.Interval) { m[key], m[key+"_ci"] = v.Mean, v.Half }
		for _, mark := range []int{50, 200} {
			at := slices.Index(gym.Marks[:], mark)
			add(fmt.Sprintf("regret%d_%s", mark, f), overPopulations(run, func(_, _ int, a *actions.Life) float64 { return a.Regret[at] }))
			if f == actions.Separate {
				continue
			}
			key := fmt.Sprintf("difference%d", mark)
			if f != actions.Joint {
				key += "_" + string(f)
			}
			add(key, overPopulations(run, func(k, i int, a *actions.Life) float64 { return a.Regret[at] - separate[k][i].Regret[at] }))
		}
		for key, of := range map[string]func(*actions.Life) float64{
			"weights": func(a *actions.Life) float64 { return a.Weights },
			"traits":  func(a *actions.Life) float64 { return a.Traits },
		} {
			add("lost_to_"+key+"_"+string(f), overPopulations(run, func(_, _ int, a *actions.Life) float64 { return of(a) }))
			if f != actions.Separate {
				add("more_to_"+key+"_"+string(f), overPopulations(run, func(k, i int, a *actions.Life) float64 { return of(a) - of(&separate[k][i]) }))
			}
		}
		moves, wrong, worse, far, all := 0, 0, 0, 0, 0
		for _, lives := range run {
			for _, a := range lives {
				moves, wrong, all = moves+a.Moves, wrong+a.False, all+1
				if a.Worse {
					worse++
				}
				if a.Far {
					far++
				}
			}
		}
		share := gym.Wilson(worse, all)
		m["weights_worse_share_"+string(f)], m["weights_worse_upper95_"+string(f)] = share.Share, share.Hi
		m["weights_far_share_"+string(f)] = float64(far) / float64(all)
		if moves > 0 {
			m["false_moves_share_"+string(f)] = float64(wrong) / float64(moves)
		}
	}
}

// overPopulations is the mean of the populations' means with its interval.
func overPopulations(run [][]actions.Life, of func(population, agent int, a *actions.Life) float64) gym.Interval {
	var all gym.Run
	for k, lives := range run {
		for i := range lives {
			all.Agents = append(all.Agents, gym.Agent{Population: k, Final: of(k, i, &lives[i])})
		}
	}
	return all.OfPopulations(func(a *gym.Agent) float64 { return a.Final })
}

// timedForms adds what an episode takes on one core, the least of many batches, and
// what a state takes.
func timedForms(m metrics, seed uint64) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	script := actions.Script(seed, 200)
	for _, f := range []struct {
		form actions.Form
		key  string
	}{{actions.Separate, "separate"}, {actions.Joint, "joint"}, {actions.Plain, "separate_plain"}, {actions.JointLevels, "joint_levels"}} {
		fmt.Fprintln(os.Stderr, "  timing", f.form)
		learn, least := script.Learn(f.form), math.Inf(1)
		const batch = 50
		for begin := time.Now(); time.Since(begin) < time.Second; {
			start := time.Now()
			for range batch {
				if err := learn(); err != nil {
					return err
				}
			}
			least = min(least, float64(time.Since(start))/batch/1e3)
		}
		m["update_"+f.key+"_us"] = least
		m["state_"+f.key+"_bytes"] = f.form.StateBytes()
	}
	return nil
}
