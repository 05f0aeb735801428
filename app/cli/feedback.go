package cli

import (
	"context"
	"net/http"
	"net/url"

	"rapport/event"
	"rapport/feedback"
	"rapport/feedback/asking"
)

type feedbackCmd struct {
	Why feedbackWhyCmd `cmd:"" help:"Say why a prompt about an agent was or was not shown to a person."`
}

type feedbackWhyCmd struct {
	Person string `arg:"" help:"A person's id; me for yourself."`
	Agent  string `arg:"" help:"Name or id of an agent."`
}

func (feedbackWhyCmd) Help() string {
	return `Only an agent's owner is asked about it: after a talk of more than 3 minutes and 5 answers, not when they were asked or gave feedback in the last
24 hours; how it is doing lately, after 7 days without feedback; never more often in seven days than the agent's intensity (off 0, gentle 1,
normal 2, eager 4) and the person's budget (6 across all agents) say. Three prompts in a row that are put away or left double the distance; an
answer resets it. Looking at somebody else's is noted among the operators' acts.`
}

func (c feedbackWhyCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		var a struct {
			ID   event.AgentID
			Name string
		}
		if err := s.Do(ctx, http.MethodGet, "/v1/agents/"+url.PathEscape(c.Agent), nil, &a); err != nil {
			return err
		}
		if err := s.Settle(ctx, nil); err != nil {
			return err
		}
		q := url.Values{"agent": {string(a.ID)}}
		if c.Person != "me" {
			q.Set("person", c.Person)
		}
		var w feedback.Why
		if err := s.Do(ctx, http.MethodGet, "/v1/feedback/why?"+q.Encode(), nil, &w); err != nil {
			return err
		}
		if g.JSON {
			return g.print(w)
		}
		g.sayWhy(a.Name, w)
		return nil
	})
}

func (g *globals) sayWhy(agent string, w feedback.Why) {
	decision := func(what string, d asking.Decision) {
		yes := "yes. "
		if d.Ask == asking.None {
			yes = "no. "
		}
		until := ""
		if d.Until != 0 {
			until = " Not before " + when(d.Until) + "."
		}
		g.say("  %-17s %s%s%s", what, yes, d.Why, until)
	}
	g.say("Asked about %s now?", agent)
	decision("after the talk", w.AfterSession)
	decision("how it is lately", w.CheckIn)
	g.say("\nWhat it hangs on")
	g.say("  intensity %s: %d a week about %s, asked %d in the last seven days", w.Intensity, w.PerWeek, agent, w.AskedAbout)
	g.say("  budget %d a week across all agents, asked %d in the last seven days", w.Budget, w.Asked)
	if w.GivenAt != 0 {
		g.say("  last feedback on %s: %s", agent, when(w.GivenAt))
	}
	if w.Slower > 1 {
		g.say("  %d prompts in a row were passed by, so the distance is %d times as long", w.PassedBy, w.Slower)
	}
	g.say("\nPrompts, newest first")
	if len(w.Prompts) == 0 {
		g.say("  none yet")
	}
	kinds := map[asking.Kind]string{asking.AfterSession: "after a talk", asking.Inline: "thumbs", asking.CheckIn: "check-in"}
	for _, p := range w.Prompts {
		g.say("  %s  %-12s %-8s %s", when(p.AskedAt), kinds[p.Kind], p.State, p.Because)
	}
}
