package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"rapport/gateway"
	"rapport/gateway/audible"
	"rapport/gateway/rule"
	"rapport/internal/fault"
	"rapport/policy"
)

type rulesCmd struct {
	List     rulesListCmd    `cmd:"" default:"withargs" help:"List the versions, newest first."`
	Show     rulesShowCmd    `cmd:"" help:"Show a version: what it changes, what it does to replies, how its trial stands."`
	Diff     rulesDiffCmd    `cmd:"" help:"Show what a version says otherwise than another."`
	Print    rulesPrintCmd   `cmd:"" help:"Print a version's document, to edit it."`
	Propose  rulesProposeCmd `cmd:"" help:"Propose a document of your own."`
	Refresh  rulesRefreshCmd `cmd:"" help:"Ask a model for other rules, as a proposal."`
	Approve  rulesApproveCmd `cmd:"" help:"Publish a proposal: the next reply is made by it."`
	Try      rulesTryCmd     `cmd:"" help:"Give a proposal to a share of the sessions and let their ratings decide."`
	Refuse   rulesRefuseCmd  `cmd:"" help:"Refuse a proposal, or end its trial."`
	Rollback rulesBackCmd    `cmd:"" help:"Go back to a version that was in force."`
	Audible  rulesAudibleCmd `cmd:"" help:"Measure which traits are heard in a model's replies, or show what was measured."`
}

func (rulesCmd) Help() string {
	return `The mapping rules say in which words and numbers a level of a trait reaches a model. A proposal may change words freely and numbers by
little; it is put to the persona test set, and then approved, or tried on a share of the sessions until their ratings say that it is not worse
(published by itself) or worse (taken back by itself). See docs/mapping-rules.md.`
}

type rulesVersion struct {
	Version int64 `arg:"" help:"Number of the version."`
}

type (
	rulesListCmd    struct{}
	rulesShowCmd    struct{ rulesVersion }
	rulesPrintCmd   struct{ rulesVersion }
	rulesApproveCmd struct{ rulesVersion }
	rulesRefuseCmd  struct{ rulesVersion }
	rulesBackCmd    struct{ rulesVersion }
	rulesRefreshCmd struct{}
)

type rulesDiffCmd struct {
	From int64 `arg:"" help:"Number of a version."`
	To   int64 `arg:"" help:"Number of another one."`
}

type rulesProposeCmd struct {
	File string `arg:"" help:"A document, as 'rapport rules print 1' prints it." type:"existingfile"`
	Note string `help:"Why."`
}

type rulesTryCmd struct {
	rulesVersion
	Share float64 `help:"Of the sessions that begin from now on." default:"0.5"`
}

type rulesAudibleCmd struct {
	Measure  bool   `help:"Measure now; else what was measured is shown."`
	Provider string `help:"Name of a configured provider, the first when absent." placeholder:"NAME"`
	Model    string `help:"A model there, its own when absent." placeholder:"MODEL"`
	Trait    string `help:"One trait; all when absent." placeholder:"TRAIT"`
	Prompts  int    `help:"How many prompts of the test set, 2 to 12; fewer than 12 cannot say that a trait is not heard." default:"12"`
	Steps    int    `help:"How many levels from .1 to .9." default:"5"`
}

const rulesPath = "/v1/admin/mapping-rules"

func (rulesListCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var all []gateway.RuleVersion
		if err := cl.Do(ctx, http.MethodGet, rulesPath, nil, &all); err != nil {
			return err
		}
		if g.JSON {
			return g.print(all)
		}
		for _, v := range all {
			g.sayRules(v)
		}
		return nil
	})
}

func (c rulesShowCmd) Run(ctx context.Context, g *globals) error {
	return g.rules(ctx, http.MethodGet, c.path(""), nil)
}

func (c rulesApproveCmd) Run(ctx context.Context, g *globals) error {
	return g.rules(ctx, http.MethodPost, c.path("/approve"), nil)
}

func (c rulesRefuseCmd) Run(ctx context.Context, g *globals) error {
	return g.rules(ctx, http.MethodPost, c.path("/refuse"), nil)
}

func (c rulesBackCmd) Run(ctx context.Context, g *globals) error {
	return g.rules(ctx, http.MethodPost, c.path("/rollback"), nil)
}

func (c rulesTryCmd) Run(ctx context.Context, g *globals) error {
	return g.rules(ctx, http.MethodPost, c.path("/try"), map[string]any{"share": c.Share})
}

func (rulesRefreshCmd) Run(ctx context.Context, g *globals) error {
	return g.rules(ctx, http.MethodPost, "/v1/admin/refresh-trait-mapping", nil)
}

func (c rulesProposeCmd) Run(ctx context.Context, g *globals) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return fault.New(fault.Invalid, "rules_invalid", "%s cannot be read.", c.File).Because(err)
	}
	switch {
	case len(raw) > gateway.MaxRules:
		return fault.New(fault.Invalid, "rules_invalid", "%s has %d bytes; rules have at most %d.", c.File, len(raw), gateway.MaxRules)
	case !json.Valid(raw):
		return fault.New(fault.Invalid, "rules_invalid", "%s is not JSON.", c.File)
	}
	return g.rules(ctx, http.MethodPost, rulesPath, map[string]any{"rules": json.RawMessage(raw), "note": c.Note})
}

func (c rulesPrintCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var v gateway.RuleVersion
		if err := cl.Do(ctx, http.MethodGet, c.path(""), nil, &v); err != nil {
			return err
		}
		d, err := rule.Read(v.Rules)
		if err != nil {
			return err
		}
		return g.print(d)
	})
}

func (c rulesDiffCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var changes []rule.Change
		if err := cl.Do(ctx, http.MethodGet, fmt.Sprintf("%s/%d/diff?from=%d", rulesPath, c.To, c.From), nil, &changes); err != nil {
			return err
		}
		if g.JSON {
			return g.print(changes)
		}
		g.sayChanges(changes)
		return nil
	})
}

func (v rulesVersion) path(act string) string {
	return fmt.Sprintf("%s/%d%s", rulesPath, v.Version, act)
}

// rules speaks about one version and shows it.
func (g *globals) rules(ctx context.Context, method, path string, body any) error {
	return g.with(ctx, func(cl *session) error {
		var v gateway.RuleVersion
		if err := cl.Do(ctx, method, path, body, &v); err != nil {
			return err
		}
		if err := g.measured(ctx, cl, &v); err != nil {
			return err
		}
		if g.JSON {
			return g.print(v)
		}
		g.sayRules(v)
		g.sayChanges(v.Changes)
		if v.Status == gateway.RulesProposed && !v.Measured {
			g.say("   it is being put to the persona test set; `rapport rules show %d` says what came of it", v.Version)
		}
		for _, e := range v.Effects {
			was := ""
			if e.Was != nil {
				was = fmt.Sprintf("   (in force: %s)", slope(*e.Was))
			}
			g.say("   %-14s %s%s", e.Trait, slope(e.Curve), was)
		}
		return nil
	})
}

// measured waits until a proposal was put to the persona test set, where no server
// does that after the command.
func (g *globals) measured(ctx context.Context, cl *session, v *gateway.RuleVersion) error {
	if !cl.own || v.Status != gateway.RulesProposed || v.Measured {
		return nil
	}
	fmt.Fprintf(g.err, "version %d is being put to the persona test set; that takes some minutes with a slow model\n", v.Version)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !v.Measured {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := cl.Do(ctx, http.MethodGet, fmt.Sprintf("%s/%d", rulesPath, v.Version), nil, v); err != nil {
			return err
		}
	}
	return nil
}

func (g *globals) sayRules(v gateway.RuleVersion) {
	words := []string{v.Status}
	if v.InForce {
		words = append(words, "in force")
	}
	if v.Base != 0 {
		words = append(words, fmt.Sprintf("made from %d by %s", v.Base, v.Author))
	}
	g.say("%d  %s, since %s  %s", v.Version, strings.Join(words, ", "), when(v.Since), v.Note)
	if t := v.Trial; t != nil {
		g.say("   tried on a share of %g: %d sessions with it against %d without are rated between %+.3f and %+.3f higher", v.Share, t.With, t.Without, t.Lo, t.Hi)
	}
	if v.Outcome != "" {
		g.say("   %s", v.Outcome)
	}
}

func (g *globals) sayChanges(changes []rule.Change) {
	for _, c := range changes {
		g.say("   %s · %s\n     − %s\n     + %s", c.Place, c.Rule, c.Was, c.Now)
	}
}

func slope(c audible.Curve) string {
	what := map[string]string{audible.Heard: "heard", audible.Reversed: "reversed", audible.Unheard: "not heard, so not learned", audible.Unsure: "too few replies to say"}[c.Heard]
	if c.Heard == audible.Heard && !c.Monotone {
		what += ", not evenly"
	}
	return fmt.Sprintf("%-15s %+.3f [%+.3f, %+.3f]  %s", c.Meter, c.Slope, c.Lo, c.Hi, what)
}

func (c rulesAudibleCmd) Run(ctx context.Context, g *globals) error {
	if _, ok := policy.ParseTrait(c.Trait); !ok && c.Trait != "" {
		return fault.New(fault.Invalid, "unknown_trait", "There is no trait %q; `rapport rules print 1` names them all.", c.Trait)
	}
	return g.with(ctx, func(cl *session) error {
		var all []gateway.HeardCurve
		if !c.Measure {
			if err := cl.Do(ctx, http.MethodGet, "/v1/audible", nil, &all); err != nil {
				return err
			}
		}
		for i := range policy.NTraits {
			t := policy.Trait(i).String()
			if !c.Measure || c.Trait != "" && c.Trait != t {
				continue
			}
			var one gateway.HeardCurve
			body := map[string]any{"trait": t, "provider": c.Provider, "model": c.Model, "prompts": c.Prompts, "steps": c.Steps}
			if err := cl.Do(ctx, http.MethodPost, "/v1/admin/audible", body, &one); err != nil {
				return err
			}
			all = append(all, one)
			if c.Trait == "" {
				g.bar("measure", int64(i+1), policy.NTraits)
			}
		}
		all = slices.DeleteFunc(all, func(one gateway.HeardCurve) bool {
			return c.Provider != "" && one.Provider != c.Provider || c.Model != "" && one.Model != c.Model || c.Trait != "" && one.Trait != c.Trait
		})
		if g.JSON {
			return g.print(all)
		}
		if len(all) == 0 {
			g.say("nothing was measured yet: rapport rules audible --measure")
		}
		model := ""
		for _, one := range all {
			if m := one.Model + " by " + one.Provider; m != model {
				model = m
				g.say("%s", m)
			}
			g.sayCurve(one)
		}
		return nil
	})
}

// sayCurve writes a curve: its slope, and the mean reading at each level.
func (g *globals) sayCurve(c gateway.HeardCurve) {
	var points []string
	for _, p := range c.Points {
		points = append(points, fmt.Sprintf("%.1f: %+.2f", p.Level, p.Mean))
	}
	g.say("  %-14s %s", c.Trait, slope(c.Curve))
	g.say("  %-14s %s  (%d prompts, rules version %d, %s)", "", strings.Join(points, "  "), c.Prompts, c.RulesVersion, when(c.At))
}
