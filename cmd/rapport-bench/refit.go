package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"rapport/learning/population"
	"rapport/learning/step"
	"rapport/policy"
)

const (
	refitAgents   = 10_000
	refitSessions = 60
	refitRuns     = 3
)

// refit measures the population refit, K by evidence, on agents with hidden tastes
// around four centres: the slowest of some runs with the processors there are.
// --seed gives the seed that is otherwise drawn.
func refit(ctx context.Context) (metrics, error) {
	seed := rand.Uint64N(1 << 32)
	for i, arg := range os.Args {
		if arg == "--seed" && i+1 < len(os.Args) {
			var err error
			if seed, err = strconv.ParseUint(os.Args[i+1], 10, 64); err != nil {
				return nil, fmt.Errorf("--seed: %w", err)
			}
		}
	}
	fmt.Fprintf(os.Stderr, "seed %d: %d agents live through %d sessions\n", seed, refitAgents, refitSessions)
	agents := refitPopulation(seed)
	var slowest float64
	var result *population.Result
	for run := range refitRuns {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		begin := time.Now()
		r, err := population.Fit(agents, nil, seed)
		if err != nil {
			return nil, err
		}
		took := time.Since(begin).Seconds()
		fmt.Fprintf(os.Stderr, "refit %d of %d: %.2f s\n", run+1, refitRuns, took)
		slowest = max(slowest, took)
		if result != nil && string(refitBytes(result)) != string(refitBytes(r)) {
			return nil, errors.New("two refits of the same agents differ")
		}
		result = r
	}
	for _, a := range result.Version.Archetypes {
		fmt.Fprintf(os.Stderr, "archetype %d: %4.1f %% of owners, %s\n", a.ID, 100*a.Share, a.Description)
	}
	e := result.Report.Evidence
	return metrics{"seconds": slowest, "agents": refitAgents, "kinds": result.Report.K, "seed": seed, "cores": runtime.GOMAXPROCS(0),
		"evidence_k1": e[1].Mean, "evidence_k2": e[2].Mean, "evidence_k4": e[4].Mean}, nil
}

func refitBytes(r *population.Result) []byte {
	h := fnv.New128a()
	_ = binary.Write(h, binary.LittleEndian, r.Version.Prior.Noise)
	_ = binary.Write(h, binary.LittleEndian, r.Version.Prior.Components)
	return h.Sum(nil)
}

// refitPopulation gives the statistics of agents whose owners' tastes lie around
// four centres. An agent explores around levels that follow what was rated well;
// one session in five has a clear rating.
func refitPopulation(seed uint64) []population.Statistics {
	draws := rand.New(rand.NewPCG(seed, 0))
	var centres, weights [4]policy.Traits
	for k := range centres {
		for j := range policy.NTraits {
			centres[k][j], weights[k][j] = .1+.8*draws.Float64(), .02+.13*draws.Float64()
			if draws.Float64() < .45 {
				weights[k][j] = .5 + .7*draws.Float64()
			}
		}
	}
	agents := make([]population.Statistics, refitAgents)
	var group sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(agents); i = int(next.Add(1)) - 1 {
				r := rand.New(rand.NewPCG(seed, uint64(i)+1))
				k := r.IntN(4)
				ideal, weight, sum := centres[k], weights[k], 0.
				for j := range ideal {
					ideal[j] = min(1, max(0, ideal[j]+.12*r.NormFloat64()))
					weight[j] *= math.Exp(.35 * r.NormFloat64())
					sum += weight[j]
				}
				for j := range weight {
					weight[j] *= 5 / sum
				}
				agents[i] = refitAgent(r, &ideal, &weight)
				agents[i].Agent, agents[i].Owner = fmt.Sprintf("agent-%05d", i), fmt.Sprintf("owner-%05d", i)
			}
		})
	}
	group.Wait()
	return agents
}

func refitAgent(r *rand.Rand, ideal, weight *policy.Traits) population.Statistics {
	a := population.Statistics{Start: policy.Neutral()}
	theta, usual := a.Start, 0.
	for n := range refitSessions {
		x, u := theta, 1.
		for j := range x {
			x[j] = min(1, max(0, x[j]+.09*r.NormFloat64()))
			u -= weight[j] * (x[j] - ideal[j]) * (x[j] - ideal[j])
		}
		u, w := max(0, u)+.08*r.NormFloat64(), .25
		if n%5 == 0 {
			w = 1.1
		}
		y := min(2.5, max(-2.5, 2.6*(u-.65)+math.Sqrt(.15/w)*r.NormFloat64()))
		f, k := step.Vec{1}, 0 // around the middle, where the agent started
		for j, v := range x {
			z := 2*v - 1
			f[1+j], f[1+step.D+j] = z, z*z
		}
		for i := range f {
			for j := range i + 1 {
				a.S[k] += w * f[i] * f[j]
				k++
			}
			a.H[i] += w * f[i] * y
		}
		a.YY += w * y * y
		a.N++
		for j := range x {
			theta[j] += min(.03, max(-.03, .5*w*(y-usual)*(x[j]-theta[j])))
		}
		usual += .2 * w * (y - usual)
	}
	return a
}
