package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"rapport/learning"
)

// countRuns counts the runs of jobs by name and outcome: there are few of each.
func countRuns() (*prometheus.CounterVec, func(learning.Run)) {
	runs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rapport_job_runs_total", Help: "Runs of the jobs that learn from all agents together, by job and outcome: changed, unchanged, refused or failed.",
	}, []string{"job", "outcome"})
	return runs, func(r learning.Run) { runs.WithLabelValues(r.Name, r.Outcome).Inc() }
}
