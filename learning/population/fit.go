package population

import (
	"fmt"
	"math"
	"slices"

	"rapport/learning/step"
)

const (
	minVotes      = 16  // fewer owners learn nothing from each other
	votesPerKind  = 12  // owners that a kind must have on average
	maxLost       = .2  // share of the votes whose statistics may be unusable
	maxDifference = 10. // nats by which one agent may speak for or against a K
)

// tried are the numbers of kinds that are compared; 0, the default prior, is the
// standard of comparison.
var tried = [...]int{1, 2, 4}

// Fit learns a prior from what agents know. previous is the version adopted so
// far; nil for none. Equal sets of statistics, previous versions and seeds give
// equal bytes, in whatever order or partition the agents come: to merge partial
// inputs is to append them.
//
// The number of kinds K ∈ {0, 1, 2, 4} is the one under which the agents of one half
// of the owners are most probable when the prior was fitted on the other half, and
// the other way round (K = 0 is the default prior); a K other than the previous must be
// better than every smaller one by a standard error. A K is not tried with fewer than 12
// owners per kind, nothing is learned from fewer than 16 owners, and K falls until every
// archetype has at least 20 agents of at least 10 owners and lies at least .10 from
// every other.
//
// Influence: an agent counts 1/n when its owner has n; its evidence counts up to 4
// times that of the median owner's agent, its posterior mean up to √3 times the usual
// distance from its kind's, its residual up to 4 times the noise, its say about K up to
// 10 nats per comparison. As long as K stays, one owner of N has been measured to move
// what a kind with a share π thinks of behaviour by less than 4/(πN) owner-rating units
// (standard deviation over all policies).
//
// Errors, each wrapped with its reason; the result then holds the previous version:
// ErrEmpty, ErrThin, ErrUnsound, ErrFormula, ErrCollapse, step.ErrPrior.
// Without a previous version too few owners are no error but give the default prior.
//
// Time O(N·p³) for N agents, on all processors: 2 s of one core for 10,000 agents.
// Source: design page on learning, 3.6; Dempster, Laird and Rubin 1977.
func Fit(agents []Statistics, previous *Version, seed uint64) (*Result, error) {
	none := Version{Formula: Formula, Prior: step.DefaultPrior(), NextID: 1}
	if previous == nil || previous.Prior == nil {
		previous = &none
	}
	result := &Result{Version: *previous, Report: Report{
		K: len(previous.Archetypes), Refused: map[string]int{}, Evidence: map[int]Evidence{},
	}}
	report := &result.Report
	if previous.Formula != Formula {
		return result, fmt.Errorf("%w: %d, not %d", ErrFormula, previous.Formula, Formula)
	}
	if len(previous.Archetypes) > 0 && len(previous.Archetypes) != len(previous.Prior.Components) {
		return result, fmt.Errorf("%w: %d archetypes of %d components", step.ErrPrior, len(previous.Archetypes), len(previous.Prior.Components))
	}
	report.Diversity = previous.diversity()
	usable, lost := admit(agents, seed, report)
	if lost > maxLost {
		return result, fmt.Errorf("%w: those of %.0f %% of the owners", ErrUnsound, 100*lost)
	}
	if len(usable) == 0 {
		return result, fmt.Errorf("%w: %d given, %d with fewer than %d observations", ErrEmpty, len(agents), report.Thin, minObservations)
	}
	if report.Owners < minVotes {
		reason := fmt.Sprintf("%d owners, fewer than %d", report.Owners, minVotes)
		if len(previous.Archetypes) > 0 {
			return result, fmt.Errorf("%w: %s", ErrThin, reason)
		}
		report.refuse(1, "%s", reason)
		return result, nil
	}
	next := report.choose(newCohort(usable), report.weigh(usable, seed), len(previous.Archetypes), seed)
	retired, err := next.name(previous)
	if err != nil {
		return result, err
	}
	diversity := next.diversity()
	if reason := next.collapsed(previous, diversity); reason != "" {
		return result, fmt.Errorf("%w: %s", ErrCollapse, reason)
	}
	result.Version = *next
	report.K, report.Diversity, report.Retired = len(next.Archetypes), diversity, retired
	return result, nil
}

func (r *Report) refuse(K int, format string, args ...any) {
	r.Candidates = append(r.Candidates, Candidate{K, fmt.Sprintf(format, args...)})
}

// gains are, by K and owner, how much better a prior with K kinds predicts than the
// default prior, nats.
type gains map[int][]float64

// beyond is how much better K predicts than another number of kinds.
func (g gains) beyond(K, other int) (e Evidence) {
	difference := slices.Clone(g[K])
	for i, v := range g[other] {
		difference[i] -= v
	}
	n := float64(len(difference))
	for _, d := range difference {
		e.Mean += d / n
	}
	for _, d := range difference {
		e.SE += (d - e.Mean) * (d - e.Mean)
	}
	e.SE = math.Sqrt(e.SE/max(n-1, 1)) / math.Sqrt(n)
	return e
}

// weigh finds the log likelihoods of held-out agents under priors fitted on the
// others, one kind against the default prior and more kinds against one.
func (r *Report) weigh(agents []agent, seed uint64) gains {
	g := gains{0: make([]float64, r.Owners)}
	var kinds []int
	for _, K := range tried {
		if r.Owners < K*votesPerKind {
			r.refuse(K, "%d owners, fewer than %d for each kind", r.Owners, votesPerKind)
			continue
		}
		kinds, g[K] = append(kinds, K), make([]float64, r.Owners)
	}
	half := halves(agents)
	for side := range half {
		learn, test := newCohort(half[side]), newCohort(half[1-side])
		models := learn.fit(kinds, seed+uint64(side)+1)
		none, one := test.logLiks(newModel(step.DefaultPrior())), test.logLiks(models[1])
		for _, K := range kinds {
			for i, l := range test.logLiks(models[K]) {
				a := &test.agents[i]
				g[K][a.owner] += a.vote * (bounded(one[i]-none[i]) + bounded(l-one[i]))
			}
		}
	}
	for K := range g {
		r.Evidence[K] = g.beyond(K, 0)
	}
	return g
}

// bounded is what one agent may say for or against a K.
func bounded(difference float64) float64 { return min(max(difference, -maxDifference), maxDifference) }

// best is the K up to most that predicts best. Another K than the previous must beat
// every smaller one by a standard error, so that it does not come and go.
func (g gains) best(most, previous int) int {
	K := 0
	for _, k := range tried {
		if g[k] == nil || k > most {
			continue
		}
		e := g.beyond(k, K)
		if k == previous {
			e.SE = 0
		}
		if e.Mean > e.SE {
			K = k
		}
	}
	return K
}

// choose fits on all agents and takes the best K whose archetypes are sound, K falling
// until they are.
func (r *Report) choose(c *cohort, g gains, previous int, seed uint64) *Version {
	for most := step.MaxK; ; {
		K := g.best(most, previous)
		next := &Version{Formula: Formula, Prior: step.DefaultPrior()}
		if K == 0 {
			return next
		}
		m := c.fit([]int{K}, seed)[K]
		archetypes, reason := c.describe(m)
		if reason == "" {
			next.Archetypes, next.Prior = archetypes, m.prior()
			return next
		}
		r.refuse(K, "%s", reason)
		most = K - 1
	}
}

// fit gives the models with so many kinds. It starts one kind at the default prior,
// and more from groups of the posterior means under one kind. In a large cohort most
// of the way is gone with a sample of it.
func (c *cohort) fit(kinds []int, seed uint64) map[int]*model {
	part := c.first(sample)
	climb := func(m *model, iterations int) *model {
		m = part.climb(m, iterations)
		if part != c {
			m = c.climb(m, iterationsAll)
		}
		return m
	}
	one := climb(newModel(step.DefaultPrior()), iterationsOne)
	models := map[int]*model{1: one}
	for _, K := range kinds {
		if K > 1 {
			models[K] = climb(part.first(sampleTry).begin(one, K, seed), iterationsMany)
		}
	}
	return models
}

// begin gives a model with K kinds from one with one: of several first groupings the
// one that explains the cohort best after a few iterations.
func (c *cohort) begin(one *model, K int, seed uint64) (best *model) {
	most, standard := math.Inf(-1), c.logLiks(one)
	for r := range restarts {
		draws := streamOf(seed, uint64(K), uint64(r))
		c.expect(one, nil, 1)
		c.expect(one, c.group(K, &draws), K)
		m := c.climb(c.maximise(one, K), iterationsTry)
		explained := 0.
		for i, l := range c.logLiks(m) {
			explained += c.agents[i].vote * bounded(l-standard[i])
		}
		if explained > most {
			best, most = m, explained
		}
	}
	return best
}

// climb improves a model by so many iterations of expectation and maximisation.
func (c *cohort) climb(m *model, iterations int) *model {
	K := len(m.kinds)
	for range iterations {
		c.expect(m, nil, K)
		m = c.maximise(m, K)
	}
	return m
}

// collapsed says how a version would lose the diversity of the previous one, empty
// when it would not.
func (v *Version) collapsed(previous *Version, diversity float64) string {
	if len(previous.Archetypes) == 0 || len(v.Archetypes) == 0 {
		return ""
	}
	if was := previous.diversity(); diversity < keepSpread*was {
		return fmt.Sprintf("tastes would differ by %.3f instead of %.3f", diversity, was)
	}
	now, was := spread(v.tastes()), spread(previous.tastes())
	if len(v.Archetypes) > 1 && len(previous.Archetypes) > 1 && now < keepSpread*was {
		return fmt.Sprintf("archetypes would be %.2f apart instead of %.2f", now, was)
	}
	return ""
}
