package feedback

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rapport/event"
)

// goal sets one for the next week.
func (d *desk) goal(counts string, target int64, effect, name string) Goal {
	d.t.Helper()
	g, err := d.s.CreateGoal(d.t.Context(), operator(), GoalDraft{Title: "Together", Counts: counts, Target: target, EndsAt: d.now().Add(7 * 24 * time.Hour).UnixMicro(), Effect: effect, Name: name})
	if err != nil {
		d.t.Fatal(err)
	}
	return g
}

func (d *desk) goals() map[string]Goal {
	d.t.Helper()
	all, err := d.s.Goals(d.t.Context(), by("eve"))
	if err != nil {
		d.t.Fatal(err)
	}
	out := map[string]Goal{}
	for _, g := range all {
		out[g.GoalID] = g
	}
	return out
}

// TestGoals: one number of everyone, hidden below five, and an effect for everyone.
func TestGoals(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	look := d.goal(goalHelpful, 6, effectLook, "aurora")
	kind := d.goal(goalReviews, 5, effectArchetype, "storyteller")
	d.drain()
	var reviewers []event.PersonID
	for i := range 5 {
		reviewers = append(reviewers, event.PersonID(fmt.Sprintf("rev-%d", i)))
	}
	d.reviewer(reviewers...)
	var ids []event.FeedbackID
	for i := range 6 {
		d.talk("luna", "ben")
		ids = append(ids, d.review(reviewers[i%4]).ReviewID)
	}
	// Six reviews, by four people: neither shown nor reached.
	if g := d.goals()[kind.GoalID]; g.Together != nil || g.ReachedAt != 0 {
		t.Errorf("four people: %+v", g)
	}
	ids = append(ids, d.review(reviewers[4]).ReviewID)
	if g := d.goals()[kind.GoalID]; g.Together == nil || *g.Together != 5 || g.ReachedAt == 0 {
		t.Errorf("five people: %+v", g)
	}
	helpful := func(id event.FeedbackID, yes bool) {
		t.Helper()
		if _, err := d.s.MarkHelpful(t.Context(), by("ann"), id, yes); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range []int{0, 1, 2, 3, 6} {
		helpful(ids[i], true)
	}
	if g := d.goals()[look.GoalID]; g.Together == nil || *g.Together != 5 || g.ReachedAt != 0 {
		t.Errorf("five notes: %+v", g)
	}
	helpful(ids[0], false)
	helpful(ids[0], true)
	pay(d, "ann", 20)
	if b, err := d.s.Spend(t.Context(), by("ann"), "", Purchase{Item: "look", AgentID: "luna", Look: "aurora"}); err != nil || b.Costs != 20 {
		t.Error(b, err)
	}
	helpful(ids[4], true)
	if g := d.goals()[look.GoalID]; g.Together == nil || *g.Together != 6 || g.ReachedAt == 0 {
		t.Errorf("reached: %+v", g)
	}
	if b, err := d.s.Spend(t.Context(), by("cid"), "", Purchase{Item: "look", AgentID: "mark", Look: "aurora"}); err != nil || b.Costs != 0 {
		t.Errorf("free for everyone: %+v %v", b, err)
	}
	var told []event.GoalReached
	for _, e := range d.drain() {
		if p, err := event.As[event.GoalReached](e); err == nil {
			told = append(told, p)
			for _, r := range reviewers {
				if strings.Contains(string(e.Data), string(r)) {
					t.Errorf("it names %s", r)
				}
			}
		}
	}
	if len(told) != 2 || told[0].GoalID != kind.GoalID || told[0].Name != "storyteller" || told[1].GoalID != look.GoalID {
		t.Errorf("%+v", told)
	}
	helpful(ids[5], true) // reached once
	if n := len(d.drain()); n != 0 {
		t.Errorf("%d events more", n)
	}
	wantFault(t, "a reached one ends", d.s.EndGoal(t.Context(), operator(), look.GoalID), "goal_reached")
	// Somebody erased takes their part along, not everyone's goal.
	d.happens(event.AccountErased{PersonID: reviewers[0]})
	if g := d.goals()[look.GoalID]; g.ReachedAt == 0 || *g.Together != 6 {
		t.Errorf("%+v", g)
	}
}

func TestGoalsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	now := d.now().UnixMicro()
	fine := GoalDraft{Title: "Together", Counts: goalReviews, Target: 50, EndsAt: now + 1e9, Effect: effectLook, Name: "ember"}
	for what, change := range map[string]func(*GoalDraft){
		"no title": func(g *GoalDraft) { g.Title = " " }, "a title that hides": func(g *GoalDraft) { g.Title = "Together\u202e" }, "counts of nothing": func(g *GoalDraft) { g.Counts = "likes" }, "for one": func(g *GoalDraft) { g.Target = 1 },
		"over already": func(g *GoalDraft) { g.EndsAt = now - 1 }, "ends before": func(g *GoalDraft) { g.StartsAt = now + 2e9 }, "of years": func(g *GoalDraft) { g.EndsAt = now + 4e13 },
		"a look of none": func(g *GoalDraft) { g.Name = "gold" }, "no effect": func(g *GoalDraft) { g.Effect = "prize" }, "an archetype of no name": func(g *GoalDraft) { g.Effect, g.Name = effectArchetype, "" },
	} {
		g := fine
		change(&g)
		_, err := d.s.CreateGoal(t.Context(), operator(), g)
		wantFault(t, what, err, "goal_refused")
	}
	_, err := d.s.CreateGoal(t.Context(), by("ann"), fine)
	wantFault(t, "a person", err, "not_allowed")
	g, err := d.s.CreateGoal(t.Context(), operator(), fine)
	if err != nil {
		t.Fatal(err)
	}
	wantFault(t, "a person ends it", d.s.EndGoal(t.Context(), by("ann"), g.GoalID), "not_allowed")
	wantFault(t, "none", d.s.EndGoal(t.Context(), operator(), "none"), "not_found")
	if err := d.s.EndGoal(t.Context(), operator(), g.GoalID); err != nil || len(d.goals()) != 0 {
		t.Error(err)
	}
	d.talk("luna", "ben")
	d.reviewer("rio")
	d.review("rio") // counts towards nothing, and nothing breaks
}
