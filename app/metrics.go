package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"rapport/gateway/compile"
	"rapport/gateway/provider/discover"
	"rapport/gateway/watch"
	"rapport/internal/telemetry"
	"rapport/learning"
)

// countRuns counts the runs of jobs by name and outcome: there are few of each.
func countRuns() (*prometheus.CounterVec, func(learning.Run)) {
	runs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rapport_job_runs_total", Help: "Runs of the jobs that learn from all agents together, by job and outcome: changed, unchanged, refused or failed.",
	}, []string{"job", "outcome"})
	return runs, func(r learning.Run) { runs.WithLabelValues(r.Name, r.Outcome).Inc() }
}

// observe makes what tells of replies: numbers always, spans and events where the
// environment names a collector.
func (a *App) observe(ctx context.Context, models discover.Found) (err error) {
	if a.telemetry, err = telemetry.Start(ctx, Version); err != nil {
		return err
	}
	known := append([]compile.Model(nil), models.Registry.Default...)
	for _, m := range models.Registry.Archetypes {
		known = append(known, m)
	}
	for _, m := range models.Registry.Providers {
		known = append(known, m)
	}
	if id := a.cfg.Gateway.RulesModel; id != "" {
		m := known[0]
		m.ID = id
		known = append(known, m)
	}
	a.numbers = prometheus.NewRegistry()
	a.watch = watch.New(watch.Options{Metrics: a.numbers, Tracer: a.telemetry.Tracer, Logger: a.telemetry.Logger, Known: known})
	return nil
}
