package app

import (
	"context"
	"slices"
	"testing"
	"time"

	"rapport/event"
	"rapport/learning"
	"rapport/policy"
)

// quietly makes an agent that learns humor only, and its room.
func (r *rig) quietly(p *person) *companion {
	r.t.Helper()
	c := companion{p: p}
	p.must("POST", "/v1/agents", map[string]any{"name": "Mira"}, &c)
	p.must("PUT", c.path("/pins"), map[string]any{"pinned": policy.AllTraits &^ policy.MaskOf(policy.Humor)}, nil)
	r.settle()
	return c.with(p)
}

// rate holds a session and rates it by how it was.
func (c *companion) rate(word func(s reply) string) reply {
	r := c.p.rig
	r.t.Helper()
	s := c.say("Tell me something.")
	c.p.give("session", word(s), "sessionId", string(s.SessionID))
	c.p.must("POST", "/v1/rooms/"+c.room+"/end", nil, nil)
	r.clock.advance(time.Minute)
	r.settle()
	return s
}

// Other levels are judged by what went through events, tables and JSON.
func TestEvaluation(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ann, bob := r.person("Ann"), r.person("Bob")
	mira := r.quietly(ann)
	evaluation := func(p *person, query string) (e Evaluation, err error) {
		return e, p.Do(context.Background(), "GET", mira.path("/evaluation"+query), nil, &e)
	}
	if e, err := evaluation(ann, "?trait=humor=0.5"); err != nil || e.Refusal == nil || e.Refusal.Code != "empty" || e.Report != nil {
		t.Errorf("before the first session: %+v %v", e, err)
	}
	const sessions = 52
	for range sessions {
		mira.rate(func(reply) string { return "good" })
	}
	e, err := evaluation(ann, "?trait=humor=0.5")
	if err != nil {
		t.Fatal(err)
	}
	// Every density is that of its mixture, or the session would be left out. What was
	// tried by chance may still be too thin to say more.
	if e.Target != TargetTrait || e.Levels["humor"] != .5 || e.Agents != 1 || e.Sessions != sessions || e.Unheard != 0 || len(e.LeftOut) != 0 {
		t.Errorf("%+v %v", e, e.Refusal)
	}
	if (e.Report == nil) == (e.Refusal == nil) || e.Refusal != nil && !slices.Contains([]string{"thin", "heavy", "off_balance"}, e.Refusal.Code) || e.Report != nil && e.Report.N != sessions {
		t.Errorf("%+v %v", e.Report, e.Refusal)
	}
	if e, err := evaluation(ann, "?trait=humor=0.1"); err != nil || e.Refusal == nil || e.Refusal.Code != "support" {
		t.Errorf("what was never tried: %+v %v", e, err)
	}
	if e, err := evaluation(ann, "?trait=brevity=0.5"); err != nil || e.Refusal == nil || e.Refusal.Code != "free_sets" {
		t.Errorf("what was pinned: %+v %v", e, err)
	}
	for query, target := range map[string]string{"": TargetCurrent, "?target=start": TargetStart} {
		if e, err := evaluation(ann, query); err != nil || e.Target != target || len(e.Levels) > 1 {
			t.Errorf("%s: %+v %v", query, e, err)
		}
	}
	for query, code := range map[string]string{"?trait=nose=0.5": "levels_unreadable", "?trait=humor=2": "levels_unreadable", "?trait=humor=NaN": "levels_unreadable",
		"?trait=humor=0.1,humor=0.2": "levels_unreadable", "?target=best": "invalid_request"} {
		if _, err := evaluation(ann, query); problemCode(err) != code {
			t.Errorf("%s: %v, want %s", query, err, code)
		}
	}
	if _, err := evaluation(bob, ""); problemCode(err) != "not_allowed" {
		t.Errorf("somebody else: %v", err)
	}
	if err := r.admin.Do(context.Background(), "GET", "/v1/admin/archetypes/support/evaluation", nil, nil); problemCode(err) != "too_few_owners" {
		t.Errorf("an archetype of nobody: %v", err)
	}
	if err := ann.Do(context.Background(), "GET", "/v1/admin/archetypes/support/evaluation", nil, nil); problemCode(err) == "too_few_owners" || err == nil {
		t.Errorf("an archetype to anybody: %v", err)
	}
}

// Once something was learned sessions may be held out, until the owner turns that
// off; what a decision says of it is what the owner is told.
func TestHoldout(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ann := r.person("Ann")
	mira := r.quietly(ann)
	held, could := 0, 0
	for i := 0; could < 12 && i < 60; i++ {
		s := mira.rate(func(s reply) string {
			if s.x(policy.Humor) > .5 {
				return "loved"
			}
			return "not_great"
		})
		if s.Body.HoldoutShare > 0 {
			could++
		}
		if s.Body.Holdout {
			held++
			if s.Cause != "holdout" || s.x(policy.Humor) != .5 {
				t.Errorf("a session that is held out: %s, %v", s.Cause, s.Body.X)
			}
		}
	}
	if could < 12 {
		t.Fatal("nothing was learned, so nothing could be held out")
	}
	var p learning.AgentRLProjection
	ann.must("GET", mira.path("/learning"), nil, &p)
	if h := p.Holdout; h.N+h.Holdouts != could || h.Holdouts != held || h.Word != learning.BetterUnknown {
		t.Errorf("%+v, %d held out of %d that could be", h, held, could)
	}
	ann.must("PUT", mira.path("/settings"), map[string]any{"exploration": map[string]any{"holdoutOff": true}}, nil)
	r.settle()
	for range 2 {
		if s := mira.rate(func(reply) string { return "good" }); s.Body.HoldoutShare != 0 || s.Body.Holdout {
			t.Errorf("turned off, and yet %+v", s.Body)
		}
	}
}

// Agents of five people are judged together, each around its own levels.
func TestEvaluationOfAnArchetype(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	for i, name := range []string{"Ann", "Bob", "Cid", "Dan", "Eve"} {
		p := r.person(name)
		c := companion{p: p}
		p.must("POST", "/v1/agents", map[string]any{"name": "Helper of " + name, "traits": map[string]float64{"humor": .4 + .05*float64(i)}}, &c)
		p.must("PUT", c.path("/settings"), map[string]any{"runtime": map[string]any{"archetype": "support"}}, nil)
		r.settle()
		mine := c.with(p)
		for range 3 {
			s := mine.say("Help me.")
			p.give("session", "good", "sessionId", string(s.SessionID))
			p.must("POST", "/v1/rooms/"+mine.room+"/end", nil, nil)
			r.settle()
		}
	}
	var e Evaluation
	r.admin.must("GET", "/v1/admin/archetypes/support/evaluation", nil, &e)
	if e.Archetype != "support" || e.Agents != 5 || e.Sessions != 15 || e.AgentID != event.AgentID("") || len(e.Levels) != 0 || e.Refusal == nil || e.Refusal.Code != "few" {
		t.Errorf("%+v %v", e, e.Refusal)
	}
	r.admin.must("GET", "/v1/admin/archetypes/support/evaluation?trait=humor=0.5", nil, &e)
	if e.Target != TargetTrait || e.Levels["humor"] != .5 {
		t.Errorf("%+v", e)
	}
	if err := r.admin.Do(context.Background(), "GET", "/v1/admin/archetypes/support/evaluation?target=start", nil, nil); problemCode(err) != "levels_unreadable" {
		t.Errorf("many starts: %v", err)
	}
}
