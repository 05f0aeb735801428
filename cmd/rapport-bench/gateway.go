package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"
)

const (
	overheadCalls  = 1500            // one after another, of each kind
	overheadWarm   = 300             // calls before anything is timed
	overheadPairs  = 7               // of windows, after one that is not counted
	overheadWindow = 2 * time.Second // 16 callers at once
	overheadAtOnce = 16
	overheadAgents = 8
)

// gatewayOverhead puts the gateway between a caller and a model that answers at
// once. Alone, calls go to the model and through the gateway by turns; with 16
// callers at once, windows of a 40-line pass-through and of the gateway alternate.
// Caller and model are in this process, the pass-through and the server, with
// everything on and traces exported, in processes of their own. Between windows the
// server settles: what it left for later is part of the settled numbers. At the end
// every answer must have its decision in the database.
func gatewayOverhead(ctx context.Context) (metrics, error) {
	m := newMock("A short answer, as people give it in a talk.")
	defer m.Close()
	g, err := startGateway(ctx, m, overheadAgents)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	pass, stopPass, err := startPassThrough(ctx, m)
	if err != nil {
		return nil, err
	}
	defer stopPass()
	direct := target{name: "model", url: m.URL, headers: map[string]string{"Authorization": "Bearer x"}}

	out := metrics{}
	alone, err := byTurns(ctx, overheadCalls, overheadWarm, once, direct, pass, g.target)
	if err != nil {
		return nil, err
	}
	for i, name := range []string{"pass_through_added", "added"} {
		for q, p := range map[string]float64{"p50": .5, "p99": .99} {
			out[name+"_"+q+"_ms"] = quantile(alone[i+1], p) - quantile(alone[0], p)
		}
	}
	var rates, ratios, settledRatios, cpu, passCPU, here []float64
	for pair := range overheadPairs + 1 {
		// A window begins at rest, and its collector's debts are its own.
		runtime.GC()
		var of, ours, settled float64
		var n, m int64
		passed, err := costly(func() (err error) {
			of, m, err = window(ctx, overheadWindow, overheadAtOnce, pass)
			return err
		}, pass.pid)
		if err != nil {
			return nil, err
		}
		used, err := costly(func() error {
			begun := time.Now()
			if ours, n, err = window(ctx, overheadWindow, overheadAtOnce, g.target); err != nil {
				return err
			}
			err := g.server.Settle(ctx, nil)
			settled = float64(n) / since(begun)
			return err
		}, g.pid, os.Getpid())
		if err != nil {
			return nil, err
		}
		each := func(d time.Duration, n int64) float64 { return float64(d.Microseconds()) / float64(n) }
		fmt.Fprintf(os.Stderr, "pass-through %.0f/s at %.0f µs, gateway %.0f/s at %.0f µs (%.0f/s until settled), caller and model %.0f µs\n",
			of, each(passed[0], m), ours, each(used[0], n), settled, each(used[1], n))
		if pair == 0 {
			continue
		}
		rates, ratios, settledRatios = append(rates, ours), append(ratios, ours/of), append(settledRatios, settled/of)
		cpu, passCPU, here = append(cpu, each(used[0], n)), append(passCPU, each(passed[0], m)), append(here, each(used[1], n))
	}
	out["requests_per_second_c16"], out["ratio_to_pass_through"] = quantile(rates, .5), quantile(ratios, .5)
	out["ratio_until_settled"], out["cpu_us_per_request"] = quantile(settledRatios, .5), quantile(cpu, .5)
	out["pass_through_cpu_us_per_request"], out["caller_and_model_cpu_us_per_request"] = quantile(passCPU, .5), quantile(here, .5)
	out["dropped"], err = g.dropped(ctx)
	out["answered"] = g.answered.Load()
	return out, err
}

// gatewayStream times streams of 22 chunks by turns, to the model and through the
// gateway: from the request to the last byte.
func gatewayStream(ctx context.Context) (metrics, error) {
	m := newMockOf("One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen.", 19) // with the role, the end and the usage 22
	defer m.Close()
	g, err := startGateway(ctx, m, 1)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	direct := target{url: m.URL, headers: map[string]string{"Authorization": "Bearer x"}}
	took, err := byTurns(ctx, overheadCalls, overheadWarm, streamed, direct, g.target)
	if err != nil {
		return nil, err
	}
	dropped, err := g.dropped(ctx)
	return metrics{"added_p50_ms": quantile(took[1], .5) - quantile(took[0], .5), "added_p99_ms": quantile(took[1], .99) - quantile(took[0], .99),
		"upstream_p50_ms": quantile(took[0], .5), "dropped": dropped}, err
}
