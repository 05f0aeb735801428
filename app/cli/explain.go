package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"rapport/event"
	"rapport/learning"
)

type explainCmd struct {
	Agent string `arg:"" help:"Name or id of an agent of yours."`
}

func (explainCmd) Help() string {
	return `What is believed of each trait, what each of the newest ratings did, and what was changed because of them.

What a rating did is the learner with it minus the learner without it. "trying" means probably better; "learned" is kept for a
probability of .95 against the start.`
}

func (c explainCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		a, err := s.Agent(ctx, c.Agent)
		if err != nil {
			return err
		}
		var x learning.Explanation
		if err := s.Settle(ctx, nil); err != nil {
			return err
		}
		if err := s.Do(ctx, http.MethodGet, "/v1/agents/"+a.ID+"/explanation", nil, &x); err != nil {
			return err
		}
		var now learning.AgentRLProjection
		if err := s.Do(ctx, http.MethodGet, "/v1/agents/"+a.ID+"/learning", nil, &now); err != nil {
			return err
		}
		if g.JSON {
			return g.print(struct {
				learning.Explanation
				Holdout learning.Comparison `json:"holdout"` // better than when you began?
			}{x, now.Holdout})
		}
		g.explain(a.Name, x)
		g.say("\nbetter than when you began? %s", now.Holdout.Sentence())
		return nil
	})
}

func (g *globals) explain(name string, x learning.Explanation) {
	g.say("%s, policy version %d", name, x.Version)
	if x.Frozen != "" {
		g.say("%s", x.Frozen)
	}
	g.say("%-14s %5s %6s %6s  %-9s %-8s %s", "trait", "start", "now", "target", "P better", "episodes", "")
	for _, t := range x.Traits {
		g.say("%-14s %5.2f %6.2f %6.2f  %8.2f  %8d  %s", t.Trait, t.Start, t.Level, t.Target, t.P, t.N, t.Standing())
	}
	g.say("\nratings, newest first: what each did")
	if len(x.Ratings) == 0 {
		g.say("  none yet")
	}
	for _, r := range x.Ratings {
		what := r.Channel
		if r.Did != "" {
			what = r.Did
		}
		g.say("  %s  %-10s by %-8s %s", when(r.At), what, r.By, r.Effect())
	}
	if n := x.Guests; n != nil {
		g.say("  and what %d guests showed, all together", n.People)
	}
	g.say("\nchanges, newest first")
	if len(x.Changes) == 0 {
		g.say("  none yet: a trait moves after at least five sessions with evidence")
	}
	for _, c := range x.Changes {
		var p event.PolicyProposed
		_ = json.Unmarshal(c.Proposed, &p)
		g.say("  %s  %-8s %s", when(c.At), c.Outcome, p.Reason)
		for _, m := range p.Moved {
			g.say("    %-14s %.2f → %.2f  P(improvement) %.2f from %d episodes", m.Trait, m.Before, m.After, m.P, m.N)
		}
		if c.Gate != "" {
			g.say("    stopped by: %s", c.Gate)
		}
	}
}

func when(at event.Micros) string { return time.UnixMicro(at).Local().Format("2006-01-02 15:04") }
