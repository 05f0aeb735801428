package gateway

import (
	"fmt"
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/audible"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/rule"
	"rapport/internal/fault"
	"rapport/policy"
)

// rate is what a person says of a session.
func rate(session event.SessionID, id string, score float64) event.FeedbackCreated {
	return event.FeedbackCreated{FeedbackID: event.FeedbackID(id), AgentID: mira, OwnerID: ann, RaterID: ann, Role: event.RoleOwner, Source: "owner",
		Channel: event.ChannelSession, Score: score, SessionID: session}
}

// Sessions that begin during a trial are drawn with the probability that is logged,
// stay on their side, and end it by what people think of them.
func TestATrialEndsByItself(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		with, without float64
		status        string
	}{"worse": {-1, 1, RulesReverted}, "better": {1, -.25, RulesPublished}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, demo)
			w.meet(mira)
			w.said(person(ann), "hello", inSession("before"))
			w.work(w.s)
			w.proposed()
			if v, err := w.s.TryRules(t.Context(), 2, .4); err != nil || v.Status != RulesTried || v.Trial == nil {
				t.Fatal(v, err)
			}
			if _, err := w.s.TryRules(t.Context(), 2, .4); !fault.Is(err, "rules_decided") {
				t.Error("tried twice:", err)
			}
			if _, err := w.s.ProposeRules(t.Context(), edited(t, func(d *rule.Document) { d.Mood[0].Text = "Mood: low." }), ""); !fault.Is(err, "rules_proposal_open") {
				t.Error("proposed during a trial:", err)
			}
			w.said(person(ann), "hello", inSession("before"))
			w.work(w.s)
			if d := w.told()[1]; d.RulesVersion != 1 || d.RulesShare != 0 {
				t.Errorf("a session from before is on trial: %+v", d)
			}
			agents, got, n, ended := 0, 0, 0, false
			for ; n < 400 && !ended; n++ {
				agent := event.AgentID(fmt.Sprint("agent", n/trialSessions))
				if n%trialSessions == 0 {
					agents++
					w.meet(agent)
				}
				session := event.SessionID(fmt.Sprint("s", n))
				at := func(m *event.MessageCreated) {
					m.Addressed, m.Sessions = []event.AgentID{agent}, []event.MessageSession{{AgentID: agent, SessionID: session}}
				}
				w.said(person(ann), "hello", at)
				w.said(person(ann), "and again", at)
				w.work(w.s)
				all := w.told()
				first, second := all[len(all)-2], all[len(all)-1]
				if first.RulesVersion != second.RulesVersion || first.RulesShare != second.RulesShare {
					t.Fatalf("session %d changes sides: %+v %+v", n, first, second)
				}
				score, share := c.without, .6
				if first.RulesVersion == 2 {
					got, score, share = got+1, c.with, .4
				}
				if first.RulesShare != share {
					t.Fatalf("version %d with probability %v logged", first.RulesVersion, first.RulesShare)
				}
				f := rate(session, fmt.Sprint("f", n), score)
				f.AgentID = agent
				thumb := f
				thumb.FeedbackID, thumb.Channel, thumb.Score = thumb.FeedbackID+"t", event.ChannelThumb, -score // the level counts
				imported := f
				imported.FeedbackID, imported.Imported = imported.FeedbackID+"i", true
				reviewer := f
				reviewer.FeedbackID, reviewer.Role = reviewer.FeedbackID+"r", event.RoleReviewer
				w.hear(thumb, f, f, imported, reviewer)
				if n%10 == 9 {
					w.pass(31 * time.Minute)
					if err := w.s.tendRules(t.Context()); err != nil {
						t.Fatal(err)
					}
					ended = w.s.set.Load().tried == nil || w.s.outdated.Load()
				}
			}
			v, err := w.s.RuleVersion(t.Context(), 2)
			if err != nil || v.Status != c.status || v.Outcome == "" || v.InForce != (c.status == RulesPublished) {
				t.Fatalf("after %d sessions: %+v %v", n, v, err)
			}
			t.Logf("after %d sessions, %d with it: %s", n, got, v.Outcome)
			if share := float64(got) / float64(n); share < .2 || share > .6 {
				t.Errorf("%d of %d sessions got it, at .4 each", got, n)
			}
			if n := w.count(`select count(*) from rule_ratings`) + w.count(`select count(*) from rule_sessions`); n != 0 {
				t.Errorf("%d rows are kept of a trial that is over", n)
			}
			w.said(person(ann), "hello", inSession("after"))
			w.work(w.s)
			all := w.told()
			want := int64(1)
			if c.status == RulesPublished {
				want = 2
			}
			if d := all[len(all)-1]; d.RulesVersion != want || d.RulesShare != 0 {
				t.Errorf("afterwards %+v", d)
			}
		})
	}
}

// One agent does not decide for all, and a trial that says nothing ends.
func TestTheLimitsOfATrial(t *testing.T) {
	t.Parallel()
	w := newWorld(t, demo)
	w.meet(mira)
	w.proposed()
	if _, err := w.s.TryRules(t.Context(), 2, .5); err != nil {
		t.Fatal(err)
	}
	for n := range trialSessions + 15 {
		session := event.SessionID(fmt.Sprint("s", n))
		w.said(person(ann), "hello", inSession(string(session)))
		w.work(w.s)
		w.hear(rate(session, fmt.Sprint("f", n), 1))
	}
	if err := w.s.tendRules(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, _ := w.s.RuleVersion(t.Context(), 2); v.Trial.With+v.Trial.Without != 0 {
		t.Error("counted while people may still change their minds")
	}
	w.pass(time.Hour)
	if err := w.s.tendRules(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, _ := w.s.RuleVersion(t.Context(), 2); v.Trial.With+v.Trial.Without != trialSessions || v.Status != RulesTried {
		t.Errorf("%+v of one agent", v.Trial)
	}
	w.pass(181 * 24 * time.Hour)
	if err := w.s.tendRules(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, _ := w.s.RuleVersion(t.Context(), 2); v.Status != RulesReverted {
		t.Error(v.Status, v.Outcome)
	}
}

// With the offline generator every trait is heard.
func TestTheDemoHearsEveryTrait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, demo)
	for i := range policy.NTraits {
		c, err := w.s.MeasureAudible(t.Context(), Measurement{Trait: policy.Trait(i), Prompts: len(audible.Prompts)})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-14s %-15s %+.3f [%+.3f, %+.3f] monotone %v", c.Trait, c.Meter, c.Slope, c.Lo, c.Hi, c.Monotone)
		if c.Heard != audible.Heard {
			t.Errorf("%s is %s: %+v", c.Trait, c.Heard, c)
		}
	}
	if all, err := w.s.AudibleCurves(t.Context()); err != nil || len(all) != policy.NTraits {
		t.Error(len(all), err)
	}
}

// A model whose replies never change: nothing of it varies, and the decision and the
// compile page say so.
func TestWhatIsNotHeardDoesNotVary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	for _, trait := range []policy.Trait{policy.Humor, policy.Brevity} {
		c, err := w.s.MeasureAudible(t.Context(), Measurement{Trait: trait, Steps: 3})
		if err != nil || c.Heard != audible.Unheard || c.Model != "llama-test" {
			t.Fatalf("%+v %v", c, err)
		}
	}
	if c, err := w.s.MeasureAudible(t.Context(), Measurement{Trait: policy.Empathy, Prompts: 3, Steps: 3}); err != nil || c.Heard != audible.Unsure {
		t.Errorf("from three prompts: %+v %v", c, err)
	}
	mask := policy.Mask(1<<policy.Humor | 1<<policy.Brevity)
	for i := range 20 {
		w.said(person(ann), "hello", inSession(fmt.Sprint("s", i)))
	}
	w.work(w.s)
	varied := false
	for _, d := range w.told() {
		if d.Inaudible != uint16(mask) || policy.Mask(d.Free)&mask != 0 || d.X[policy.Humor] != .5 || d.X[policy.Brevity] != .5 {
			t.Fatalf("%+v", d)
		}
		if d.LogDensity == nil || policy.Mask(d.Free) != policy.AllTraits&^mask {
			t.Fatalf("free %b, density %v", d.Free, d.LogDensity)
		}
		varied = varied || d.X[policy.Empathy] != .5
	}
	if !varied {
		t.Error("what is heard does not vary either")
	}
	drawn, err := w.s.Drawn(t.Context(), mira)
	if err != nil || len(drawn) != 20 {
		t.Fatal(len(drawn), err)
	}
	for _, d := range drawn { // the mixture that is logged is the one that was drawn from
		if got := d.Mixture.LogDensity(d.X, d.Free); got-d.LogDensity > 1e-9 || d.LogDensity-got > 1e-9 {
			t.Fatalf("density %v is logged, the mixture gives %v", d.LogDensity, got)
		}
	}
	for _, m := range []Measurement{{Provider: "nobody"}, {Prompts: 1}, {Steps: 99}, {Prompts: 99}} {
		if _, err := w.s.MeasureAudible(t.Context(), m); !fault.Is(err, "provider_unknown") && !fault.Is(err, "invalid_measurement") {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

// Who answered counts: a fallback that is deaf to a trait teaches nothing of it, and
// one that hears it does, whatever the model before it hears.
func TestWhatAFallbackIsNotHeardToDo(t *testing.T) {
	t.Parallel()
	spare := &model{say: []string{"From the spare one."}, finish: provider.FinishStop}
	w := newWorld(t, func(o *Options) {
		m := compile.Model{Provider: "spare", ID: "spare-1", Vendor: compile.VendorOllama}
		o.Models.Registry.Default = append(o.Models.Registry.Default, m)
		o.Models.Registry.Providers["spare"] = m
		o.Use["spare"] = spare
	})
	w.meet(mira)
	for model, trait := range map[string]policy.Trait{"test": policy.Humor, "spare": policy.Brevity} {
		if c, err := w.s.MeasureAudible(t.Context(), Measurement{Provider: model, Trait: trait, Steps: 3}); err != nil || c.Heard != audible.Unheard {
			t.Fatalf("%+v %v", c, err)
		}
	}
	w.said(person(ann), "Hi")
	w.work(w.s)
	w.model.set(func(m *model) { m.say, m.fail = nil, &provider.Error{Code: provider.CodeUnreachable, Provider: "test"} })
	w.said(person(ann), "Hi again")
	w.work(w.s)
	told := w.told()
	if len(told) != 2 || told[0].Provider != "test" || told[0].Inaudible != 1<<policy.Humor || told[1].Provider != "spare" || told[1].Inaudible != 1<<policy.Brevity {
		t.Errorf("%+v", told)
	}
}
