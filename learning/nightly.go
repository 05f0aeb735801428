package learning

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/population"
	"rapport/learning/rater"
	"rapport/learning/wire"
)

// saidPerAgent is how many signals of a source one agent brings to the calibration at
// most, so that no agent speaks for all.
const saidPerAgent = 400

// calibrate learns what each source of signals tells, and what presses of tone buttons
// are worth.
func (s *Service) calibrate(ctx context.Context, due event.Micros) (done, error) {
	var all, one fusion.Moments
	of, agents := event.AgentID(""), 0
	merge := func() {
		part := one.Limited(saidPerAgent)
		all.Merge(&part)
		one = fusion.Moments{}
	}
	var said []fusion.Value
	err := s.Observations(ctx, func(o *Observation) error {
		if o.Agent != of {
			merge()
			of, agents = o.Agent, agents+1
		}
		said = said[:0]
		for m, yes := range o.Said {
			if yes {
				said = append(said, fusion.Value{Source: fusion.Source(m), Val: o.Values[m]})
			}
		}
		said = fusion.Marked(said)
		return one.Add(said)
	})
	if err != nil {
		return done{}, err
	}
	merge()
	loadings, report, err := fusion.Calibrate(&all)
	if err != nil {
		return done{RunRefused, err.Error()}, nil
	}
	learned := 0
	for _, c := range report.Sources {
		if c.Slope > 0 || c.Noise > 0 {
			learned++
		}
	}
	pressers, err := s.Pressers(ctx)
	if err != nil {
		return done{}, err
	}
	if learned == 0 && len(pressers) == 0 {
		return done{RunUnchanged, fmt.Sprintf("too few ratings and thumbs of owners, from %d agents, to say what a source tells", agents)}, nil
	}
	asking := wire.Micro(fold.Asking(pressers))
	return s.publish(ctx, due, Calibration{*loadings, asking}, fmt.Sprintf("%d of %d sources, from %d agents; presses of %d owners are right by %.2f more often than wrong",
		learned, len(report.Sources), agents, len(pressers), asking))
}

// publish stores a version, or finds that it is the newest already.
func (s *Service) publish(ctx context.Context, due event.Micros, c Content, note string) (done, error) {
	before, err := s.Published(ctx)
	if err != nil {
		return done{}, err
	}
	version, err := s.Publish(ctx, due, c, note)
	if fault.Is(err, "parameters_refused") {
		return done{RunRefused, err.Error()}, nil
	}
	if err != nil {
		return done{}, err
	}
	if version == versionIn(before.Versions, c.kind()) {
		return done{RunUnchanged, fmt.Sprintf("version %d stays: %s", version, note)}, nil
	}
	return done{RunChanged, fmt.Sprintf("version %d: %s", version, note)}, nil
}

func versionIn(v fold.Versions, kind string) uint32 {
	return map[string]uint32{kindPrior: v.Prior, kindCalibration: v.Calibration, kindReputation: v.Reputation}[kind]
}

// reputation learns what the judgements of people who are not the owner count
// for: each by how well they fit what the owners' learners expected. A guest who is
// more probably hostile than honest is excluded; a reviewer only loses weight, since
// excluding one is an operator's word.
func (s *Service) reputation(ctx context.Context, due event.Micros) (done, error) {
	now, err := s.Published(ctx)
	if err != nil {
		return done{}, err
	}
	type standing struct {
		rater.Standing
		reviews bool
	}
	of := map[event.PersonID]*standing{}
	err = s.Verdicts(ctx, 0, func(v *Verdict) error {
		l := &now.Calibration.Loadings[v.Source]
		r := of[v.Rater]
		if r == nil {
			r = &standing{}
			of[v.Rater] = r
		}
		r.Standing, r.reviews = r.After(v.Value, v.Predicted, l.A, l.B), r.reviews || v.Source == fusion.Review
		return nil
	})
	if err != nil {
		return done{}, err
	}
	var rep Reputation
	excluded := 0
	for id, r := range of {
		honest, out := r.Reputation(), r.Excluded() && !r.reviews
		rep = append(rep, rater.Weight{Rater: string(id), Agreement: honest, Abuse: 1 - honest, Excluded: out})
		if out {
			excluded++
		}
	}
	if len(rep) == 0 && len(now.Reputation) == 0 {
		return done{RunUnchanged, "nobody but owners has judged anything"}, nil
	}
	return s.publish(ctx, due, rep, fmt.Sprintf("%d raters, %d of them excluded", len(rep), excluded))
}

// refit learns the prior of the population.
func (s *Service) refit(ctx context.Context, due event.Micros) (done, error) {
	now, err := s.Published(ctx)
	if err != nil {
		return done{}, err
	}
	var agents []population.Statistics
	err = s.Statistics(ctx, func(a population.Statistics) error {
		agents = append(agents, a)
		return nil
	})
	if err != nil {
		return done{}, err
	}
	result, err := population.Fit(agents, &now.Prior.Version, refitSeed)
	for _, thin := range [...]error{population.ErrEmpty, population.ErrThin} {
		if errors.Is(err, thin) {
			return done{RunUnchanged, err.Error()}, nil
		}
	}
	if err != nil {
		return done{RunRefused, err.Error()}, nil
	}
	if result.Report.K == 0 && now.Versions.Prior == 0 {
		return done{RunUnchanged, fmt.Sprintf("the default prior stays: %d agents of %d owners%s", result.Report.Agents, result.Report.Owners, reasons(result.Report.Candidates))}, nil
	}
	return s.publish(ctx, due, Prior{result.Version}, fmt.Sprintf("%d kinds of owners, from %d agents of %d owners", result.Report.K, result.Report.Agents, result.Report.Owners))
}

// refitSeed begins the search for kinds of owners; it never changes, so that equal
// statistics give equal bytes.
const refitSeed = 1

// reasons says why kinds of owners could not be told apart.
func reasons(not []population.Candidate) string {
	var parts []string
	for _, c := range not {
		parts = append(parts, fmt.Sprintf("not %d kinds: %s", c.K, c.Reason))
	}
	sort.Strings(parts)
	if len(parts) == 0 {
		return ""
	}
	return "; " + strings.Join(parts, "; ")
}

// adoptAll lets all living agents use the newest versions.
func (s *Service) adoptAll(ctx context.Context, due event.Micros) (done, error) {
	n, err := s.Adopt(ctx, due)
	switch {
	case err != nil:
		return done{}, err
	case n == 0:
		return done{RunUnchanged, "every agent uses the newest versions"}, nil
	}
	return done{RunChanged, fmt.Sprintf("%d agents adopt the newest versions", n)}, nil
}
