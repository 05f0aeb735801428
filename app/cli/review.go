package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rapport/event"
	"rapport/feedback"
)

type reviewCmd struct {
	Aside  reviewAsideCmd  `cmd:"" default:"withargs" help:"List reviews that were set aside until a person has looked."`
	Decide reviewDecideCmd `cmd:"" help:"Say whether a review that was set aside counts."`
	Invite reviewInviteCmd `cmd:"" help:"Invite a person to review."`
	People reviewPeopleCmd `cmd:"" help:"List who was invited to review."`
	Goals  reviewGoalsCmd  `cmd:"" help:"List the goals that belong to everyone."`
	Goal   reviewGoalCmd   `cmd:"" help:"Set a goal for everyone together."`
}

func (reviewCmd) Help() string {
	return `Reviewers mark exchanges of agents that are not theirs, without names, where everybody in them has consented. What looks like abuse
(the same answers every time, no time to read, words that hurt, copied notes, two who praise each other) is set aside: it neither counts nor
earns points until an operator has looked, and only that look excludes anybody. Opinions that differ from others' are taste and are never
listed here. Every look and verdict is noted among the operators' acts.`
}

type reviewAsideCmd struct{}

func (reviewAsideCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		var all struct{ Items []feedback.SetAside }
		if err := s.Do(ctx, http.MethodGet, "/v1/admin/reviews", nil, &all); err != nil {
			return err
		}
		if g.JSON {
			return g.print(all.Items)
		}
		if len(all.Items) == 0 {
			g.say("no review waits for a look")
		}
		for _, r := range all.Items {
			g.say("%s  by %s, %s, after %.1f s: %s", r.ReviewID, r.ReviewerID, when(r.At), r.Seconds, r.Marks)
			g.say("  note    %s", r.Note)
			for _, b := range r.Because {
				g.say("  because %s", b)
			}
			if r.Appeal != "" {
				g.say("  appeal  %s", r.Appeal)
			}
		}
		return nil
	})
}

type reviewDecideCmd struct {
	Review  string `arg:"" help:"Id of the review."`
	Verdict string `arg:"" enum:"count,refuse,exclude" help:"count: it counts as if nothing had been. refuse: it does not, its author goes on. exclude: their part in reviewing ends, and what they gave counts no longer."`
	Reason  string `help:"For the reviewer to read; needed unless it counts." placeholder:"TEXT"`
}

func (c reviewDecideCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		var out feedback.Decided
		err := s.Do(ctx, http.MethodPost, "/v1/admin/reviews/"+url.PathEscape(c.Review)+"/verdict", feedback.Verdict{Verdict: c.Verdict, Reason: c.Reason}, &out)
		if err != nil || g.JSON {
			if err == nil {
				err = g.print(out)
			}
			return err
		}
		if g.say("%s: %s", out.ReviewID, out.State); out.Excluded {
			g.say("its author reviews no longer; `rapport review invite` would ask them again")
		}
		return nil
	})
}

type reviewInviteCmd struct {
	Person string `arg:"" help:"A person's id."`
}

func (c reviewInviteCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		var out feedback.Reviewer
		err := s.Do(ctx, http.MethodPost, "/v1/admin/reviewers", map[string]string{"personId": c.Person}, &out)
		if err != nil || g.JSON {
			if err == nil {
				err = g.print(out)
			}
			return err
		}
		g.say("%s: %s", out.PersonID, out.State)
		return nil
	})
}

type reviewPeopleCmd struct{}

func (reviewPeopleCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		all := []feedback.Reviewer{}
		for after := event.PersonID(""); ; {
			var page struct{ Items []feedback.Reviewer }
			if err := s.Do(ctx, http.MethodGet, "/v1/admin/reviewers?limit=200&after="+url.QueryEscape(string(after)), nil, &page); err != nil {
				return err
			}
			all = append(all, page.Items...)
			if len(page.Items) < 200 {
				break
			}
			after = all[len(all)-1].PersonID
		}
		if g.JSON {
			return g.print(all)
		}
		if len(all) == 0 {
			g.say("nobody was invited to review; rapport review invite PERSON")
		}
		for _, r := range all {
			g.say("%s  %-8s  invited %s  %s", r.PersonID, r.State, when(r.InvitedAt), r.Reason)
		}
		return nil
	})
}

type reviewGoalsCmd struct{}

func (reviewGoalsCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		var all struct{ Items []feedback.Goal }
		if err := s.Do(ctx, http.MethodGet, "/v1/goals", nil, &all); err != nil {
			return err
		}
		if g.JSON {
			return g.print(all.Items)
		}
		if len(all.Items) == 0 {
			g.say("there are no goals")
		}
		for _, one := range all.Items {
			g.sayGoal(one)
		}
		return nil
	})
}

func (g *globals) sayGoal(one feedback.Goal) {
	stands := "fewer than five people so far"
	switch {
	case one.ReachedAt > 0:
		stands = "reached " + when(one.ReachedAt)
	case one.Together != nil:
		stands = fmt.Sprintf("%d together", *one.Together)
	}
	g.say("%s  %s: %s of %d, until %s, for the %s %s", one.GoalID, one.Title, stands, one.Target, when(one.EndsAt), one.Effect, one.Name)
}

type reviewGoalCmd struct {
	Title  []string      `arg:"" help:"As everybody reads it: together, 500 helpful notes this week."`
	Counts string        `enum:"helpful_notes,reviews" default:"helpful_notes" help:"What is counted: helpful_notes or reviews."`
	Target int64         `required:"" help:"How many, 5 at least."`
	For    time.Duration `default:"168h" help:"How long it lasts, from now."`
	Look   string        `xor:"effect" help:"A frame for agents that is free for everyone then: aurora, dusk, ember, forest or ocean." placeholder:"NAME"`
	Type   string        `name:"archetype" xor:"effect" help:"An archetype that is to be published for everyone then." placeholder:"NAME"`
}

func (c reviewGoalCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		d := feedback.GoalDraft{Title: strings.Join(c.Title, " "), Counts: c.Counts, Target: c.Target, EndsAt: time.Now().Add(c.For).UnixMicro(), Effect: "archetype", Name: c.Type}
		if c.Look != "" {
			d.Effect, d.Name = "look", c.Look
		}
		var out feedback.Goal
		if err := s.Do(ctx, http.MethodPost, "/v1/admin/goals", d, &out); err != nil {
			return err
		}
		if g.JSON {
			return g.print(out)
		}
		g.sayGoal(out)
		return nil
	})
}
