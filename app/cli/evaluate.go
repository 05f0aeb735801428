package cli

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rapport/app"
	"rapport/learning/evaluate"
)

type evaluateCmd struct {
	Agent     string   `arg:"" help:"Name or id of an agent of yours, or an archetype with --archetype."`
	Trait     []string `help:"Judge these levels instead, as humor=0.7; may be repeated." placeholder:"LEVEL"`
	Archetype bool     `help:"Judge on all agents of an archetype together; for operators."`
}

func (evaluateCmd) Help() string {
	return `From the decision log: how satisfied you would have been with other levels, without trying them. Without --trait it judges the levels
in force and your start.

Each session was drawn from a known distribution, so sessions that happen to lie where the other levels would count for more. What the log
cannot tell is refused, with the reason: too few sessions, too unlike what was tried, a trait that was pinned.

ips, snips, clipped use the log alone; dm the reward model alone; dr and sndr both; capped is sndr with weights of at most 10, the safest.`
}

func (c evaluateCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		path := "/v1/agents/" + url.PathEscape(c.Agent) + "/evaluation"
		if c.Archetype {
			path = "/v1/admin/archetypes/" + url.PathEscape(c.Agent) + "/evaluation"
		}
		var queries []url.Values
		switch {
		case len(c.Trait) > 0:
			queries = []url.Values{{"trait": {strings.Join(c.Trait, ",")}}}
		case c.Archetype:
			queries = []url.Values{{"target": {app.TargetCurrent}}}
		default:
			queries = []url.Values{{"target": {app.TargetCurrent}}, {"target": {app.TargetStart}}}
		}
		if err := s.Settle(ctx, nil); err != nil {
			return err
		}
		all := []app.Evaluation{}
		for _, q := range queries {
			var e app.Evaluation
			if err := s.Do(ctx, http.MethodGet, path+"?"+q.Encode(), nil, &e); err != nil {
				return err
			}
			all = append(all, e)
		}
		if g.JSON {
			return g.print(all)
		}
		for i, e := range all {
			if i > 0 {
				g.say("")
			}
			g.evaluation(e)
		}
		return nil
	})
}

func (g *globals) evaluation(e app.Evaluation) {
	what := map[string]string{app.TargetCurrent: "the levels in force", app.TargetStart: "the start, where it has been left", app.TargetTrait: "the levels asked for"}[e.Target]
	g.say("%s%s; each varied by %.2f", what, levels(e.Levels), e.Width)
	g.say("  sessions: %d with enough feedback, %d without", e.Sessions, e.Unheard)
	for _, code := range slices.Sorted(maps.Keys(e.LeftOut)) {
		g.say("  left out: %d (%s)", e.LeftOut[code], strings.ReplaceAll(code, "_", " "))
	}
	if e.Refusal != nil {
		g.say("  not said: %s", e.Refusal.Reason)
		return
	}
	r := e.Report
	g.say("  worth %.0f sessions of its own; largest weight %.1f; mean weight %.2f ± %.2f (1 is right)", r.ESS, r.MaxWeight, r.MeanWeight, r.WeightSE)
	g.say("  %-9s %7s %7s   %.0f %% interval", "estimator", "reward", "error", 100*r.Level)
	for _, x := range []struct {
		name string
		evaluate.Estimate
	}{{"ips", r.IPS}, {"snips", r.SNIPS}, {"clipped", r.Clipped}, {"dm", r.DM}, {"dr", r.DR}, {"sndr", r.SNDR}, {"capped", r.Capped}} {
		g.say("  %-9s %7.3f %7.3f   %.3f to %.3f", x.name, x.Value, x.SE, x.Lo, x.Hi)
	}
	b := e.Improvement
	g.say("  against what was done: %+.3f (%+.3f to %+.3f)", b.Value, b.Lo, b.Hi)
}

// levels writes levels by trait behind what they are.
func levels(m map[string]float64) string {
	if len(m) == 0 {
		return ""
	}
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s%s %.2f", [...]string{": ", ", "}[min(i, 1)], name, m[name])
	}
	return b.String()
}
