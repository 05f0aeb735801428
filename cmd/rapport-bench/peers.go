package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"rapport/simulate/gym"
	"rapport/simulate/league"
)

// errNoPeers: other people's libraries are not there.
var errNoPeers = errors.New("no peers: bench/peers/install.sh fetches them (needs Python 3)")

// peerPrograms are the learners made with other people's libraries, see
// bench/peers.
var peerPrograms = []struct{ name, file, args string }{
	{"vw-regression", "vw_regression.py", ""},
	{"vw-squarecb", "vw_squarecb.py", ""},
	{"mabwiser-linucb", "mab_linear.py", "kind=linucb"},
	{"mabwiser-lints", "mab_linear.py", "kind=lints alpha=0.2"},
}

// The size of the bench: the slowest peer takes about 5 ms for a session.
const (
	peerPopulations = 8
	peerAgents      = 20
	peerSessions    = 200
)

// peers lets learners made with Vowpal Wabbit and MABWiser play beside ours, with
// the same people. --seed gives the seed of the first population, which is
// otherwise drawn; --agents their number in each.
func peers(ctx context.Context) (metrics, error) {
	seed, agents := rand.Uint64N(1<<32), uint64(peerAgents)
	for i, arg := range os.Args {
		var into *uint64
		switch arg {
		case "--seed":
			into = &seed
		case "--agents":
			into = &agents
		default:
			continue
		}
		if i+1 == len(os.Args) {
			return nil, fmt.Errorf("%s wants a number", arg)
		}
		v, err := strconv.ParseUint(os.Args[i+1], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		*into = v
	}
	dir, err := filepath.Abs(filepath.Join("bench", "peers"))
	if err != nil {
		return nil, err
	}
	python := filepath.Join(dir, ".venv", "bin", "python")
	if _, err := os.Stat(filepath.Join(dir, ".venv", "requirements.txt")); err != nil {
		return nil, errNoPeers
	}
	o := league.Options{World: gym.Main(), Populations: peerPopulations, Agents: int(agents), Sessions: peerSessions, Seed: seed}
	o.Progress = func(done, total int) { fmt.Fprintf(os.Stderr, "\r%d of %d plays", done, total) }
	for _, name := range []string{league.Ours, "static"} {
		e, err := league.Named(name, os.Stderr)
		if err != nil {
			return nil, err
		}
		o.Entrants = append(o.Entrants, e)
	}
	for _, p := range peerPrograms {
		e, err := league.Program(p.name, fmt.Sprintf("'%s' '%s' %s", python, filepath.Join(dir, p.file), p.args), os.Stderr)
		if err != nil {
			return nil, err
		}
		o.Entrants = append(o.Entrants, e)
	}
	fmt.Fprintf(os.Stderr, "seeds %d to %d\n", seed, seed+peerPopulations-1)
	result, err := league.Play(ctx, o)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr)
	result.Table(os.Stderr)
	report := result.Report(false)
	ours := report.Learners[0]
	m := metrics{
		"seed": seed, "agents": agents * peerPopulations,
		"regret20": *ours.Regret20, "regret50": *ours.Regret50, "regret100": *ours.Regret100, "regret200": *ours.Regret200,
		"ci200": *ours.CI200, "final_satisfaction": ours.FinalSatisfaction, "ever_worse_share": ours.EverWorseShare,
	}
	others := map[string]map[string]float64{}
	all := true // of them beaten in every population
	for _, l := range report.Learners[1:] {
		others[l.Learner] = map[string]float64{
			"regret20": *l.Regret20, "regret50": *l.Regret50, "regret100": *l.Regret100, "regret200": *l.Regret200, "ci200": *l.CI200,
			"final_satisfaction": l.FinalSatisfaction, "ever_worse_share": l.EverWorseShare, "us_per_session": l.Micros,
			"beaten_share": float64(*l.Beaten) / peerPopulations, "more": *l.Against, "more_ci": *l.AgainstCI,
		}
		all = all && *l.Beaten == peerPopulations
	}
	m["learners"], m["all_beaten"] = others, all
	return m, nil
}
