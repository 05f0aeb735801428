package cli

import (
	"context"
	"net/http"
	"net/url"

	"rapport/learning"
	"rapport/policy"
)

type jobsCmd struct {
	List jobsListCmd `cmd:"" default:"withargs" help:"List the jobs, each with its newest run."`
	Run  jobsRunCmd  `cmd:"" help:"Run one now, or all in their order."`
}

func (jobsCmd) Help() string {
	return `Every agent learns from its own owner. At night (setting learning.jobs) jobs look at all agents together: calibrate learns what each source
of signals tells, reputation what the judgements of guests and reviewers count for, refit what a fresh agent may believe; adopt lets
every agent use what they found. None of them moves a level: a version takes effect with an agent's next own evidence. guard then freezes
updates where engagement rises while check-ins fall, and release moves what "rapport releases" lists.`
}

type jobsListCmd struct{}

func (jobsListCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var runs []learning.Run
		if err := cl.Do(ctx, http.MethodGet, "/v1/admin/jobs", nil, &runs); err != nil {
			return err
		}
		if g.JSON {
			return g.print(runs)
		}
		for _, r := range runs {
			g.sayRun(r)
		}
		return nil
	})
}

type jobsRunCmd struct {
	Name string `arg:"" optional:"" help:"calibrate, reputation, refit, adopt, guard or release; all of them without a name."`
}

func (c jobsRunCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var runs []learning.Run
		if err := cl.Do(ctx, http.MethodGet, "/v1/admin/jobs", nil, &runs); err != nil {
			return err
		}
		if c.Name != "" {
			runs = []learning.Run{{Name: c.Name}}
		}
		for i := range runs {
			if err := cl.Do(ctx, http.MethodPost, "/v1/admin/jobs/"+url.PathEscape(runs[i].Name), nil, &runs[i]); err != nil {
				return err
			}
			if !g.JSON {
				g.sayRun(runs[i])
			}
		}
		if g.JSON {
			return g.print(runs)
		}
		return nil
	})
}

func (g *globals) sayRun(r learning.Run) {
	switch {
	case r.Due == 0:
		g.say("%-11s %-16s  %s", r.Name, "never ran", r.Says)
	case r.DoneAt == 0 && r.Outcome == "":
		g.say("%-11s %s  running", r.Name, when(r.Due))
	default:
		g.say("%-11s %s  %s: %s", r.Name, when(r.Due), r.Outcome, r.Note)
	}
}

type archetypesCmd struct{}

func (archetypesCmd) Help() string {
	return `Kinds of owners that emerged from at least twenty agents of ten owners each, with the levels they like on average. A fresh agent may
believe them before it has evidence of its own; they say nothing about any single agent or person. An agent can be made for one (archetype in
POST /v1/agents): it then starts where that archetype's releases got to so far, as the second column says.`
}

func (archetypesCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var found []learning.Archetype
		if err := cl.Do(ctx, http.MethodGet, "/v1/archetypes", nil, &found); err != nil {
			return err
		}
		if g.JSON {
			return g.print(found)
		}
		if len(found) == 0 {
			g.say("none yet: it takes at least twenty agents of ten owners who like much the same")
		}
		for _, a := range found {
			g.say("%d  %s", a.ID, a.Description)
			for t := range policy.NTraits {
				name := policy.Trait(t).String()
				g.say("   %-14s %.2f  starts at %.2f", name, a.Centre[name], a.Start[name])
			}
		}
		return nil
	})
}
