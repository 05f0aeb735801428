package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rapport/gateway"
)

type compileCmd struct {
	Agent string `arg:"" help:"Name or id of an agent of yours."`
	X     string `help:"Levels to try instead of the policy's, as humor=0.8,brevity=0.3." placeholder:"LEVELS"`
	Where string `help:"Where it speaks: dmWithOwner, dmWithOthers, groupSmall or groupLarge." placeholder:"PLACE"`
}

func (c compileCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		q := url.Values{}
		if c.X != "" {
			q.Set("x", c.X)
		}
		if c.Where != "" {
			q.Set("context", c.Where)
		}
		var p gateway.Compiled
		if err := s.Do(ctx, http.MethodGet, "/v1/agents/"+url.PathEscape(c.Agent)+"/compile?"+q.Encode(), nil, &p); err != nil {
			return err
		}
		if g.JSON {
			return g.print(p)
		}
		g.say("%s", p.SystemPrompt)
		for _, x := range p.FewShot {
			g.say("── an example is said before the talk: %s\n   → %s", first(x.User, 90), first(x.Agent, 90))
		}
		g.say("── where each line and number comes from (rules version %d, hash %s)", p.RulesVersion, p.Hash)
		for _, t := range p.Trace {
			value := t.Text
			switch {
			case t.What == "example":
				value = "example: " + value
			case t.What != "line" && t.Text != "":
				value = fmt.Sprintf("%s = %.4g, sent as %s", t.What, t.Value, t.Text)
			case t.What != "line":
				value = fmt.Sprintf("%s = %.4g", t.What, t.Value)
			}
			g.say("%-14s %-22s %s", t.Source, t.Rule, first(value, 90))
		}
		g.say("── route: %s by %s (%s)", p.Route.ID, p.Route.Provider, p.Route.Reason)
		for _, f := range p.Route.Fallbacks {
			g.say("   then: %s by %s", f.ID, f.Provider)
		}
		g.say("── sent beside the prompt: %s", strings.Join(slices.Concat(p.Channels.Output, p.Channels.Sampling), ", "))
		if len(p.Inaudible) > 0 {
			g.say("── this model is not heard to act on %s, so nothing is learned of it (rapport rules audible)", strings.Join(p.Inaudible, ", "))
		}
		if len(p.Dropped) > 0 {
			g.say("── dropped, this model would refuse them: %v", p.Dropped)
		}
		if len(p.Clamped) > 0 {
			g.say("── clamped: %v", p.Clamped)
		}
		return nil
	})
}

// first is the beginning of a text, on one line.
func first(s string, n int) string {
	r := []rune(s)
	for i, c := range r {
		if c == '\n' {
			r[i] = ' '
		}
	}
	if len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return string(r)
}
