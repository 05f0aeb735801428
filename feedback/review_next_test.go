package feedback

import (
	"slices"
	"testing"
	"time"

	"rapport/event"
)

// TestNeverAssigned: who is not shown what.
func TestNeverAssigned(t *testing.T) {
	t.Parallel()
	type ended = event.SessionEnded
	type says = event.MessageCreated
	now := func(d *desk) { d.talk("luna", "ben") }
	for name, prepare := range map[string]func(d *desk){
		"one's own agent":          func(d *desk) { d.happens(event.AgentTransferred{AgentID: "luna", From: "ann", To: "rio"}); now(d) },
		"oneself in the exchange":  func(d *desk) { d.consent("rio", "", true); d.talk("luna", "rio") },
		"an agent one talked with": func(d *desk) { now(d); d.consent("rio", "", false); d.talk("luna", "rio") },
		"no word of the owner":     func(d *desk) { d.consent("ann", "", false); now(d) },
		"the owner's no to this":   func(d *desk) { d.consent("ann", "luna", false); now(d) },
		"no word of the guest":     func(d *desk) { d.consent("ben", "", false); now(d) },
		"the guest's no to this":   func(d *desk) { now(d); d.consent("ben", "luna", false) },
		"a guest who said nothing": func(d *desk) { d.talk("luna", "eve") },
		"a silent guest beside them": func(d *desk) {
			d.talk("luna", "ben", func(e *ended, _ *says) { e.People = append(e.People, event.SessionPerson{PersonID: "eve", Turns: 1}) })
		},
		"a protected talk":         func(d *desk) { d.talk("luna", "ben", func(e *ended, _ *says) { e.Protected = true }) },
		"a protected message":      func(d *desk) { d.talk("luna", "ben", func(_ *ended, m *says) { m.Protected = true }) },
		"a protected guest":        func(d *desk) { now(d); d.happens(event.ProtectionChanged{PersonID: "ben", Protected: true}) },
		"a protected owner":        func(d *desk) { now(d); d.happens(event.ProtectionChanged{PersonID: "ann", Protected: true}) },
		"a talk that goes on":      func(d *desk) { d.talk("luna", "ben", func(e *ended, _ *says) { e.SessionID = "" }) },
		"an imported talk":         func(d *desk) { d.talk("luna", "ben", func(e *ended, m *says) { e.Imported, m.Imported = true, true }) },
		"an agent that is no more": func(d *desk) { now(d); d.happens(event.AgentRetired{AgentID: "luna"}) },
		"a talk of long ago":       func(d *desk) { now(d); d.later(13 * 24 * time.Hour) },
		"a partner of the owner": func(d *desk) {
			d.consent("rio", "", false)
			for range 3 {
				d.talk("mark", "ann", func(e *ended, _ *says) { e.People = append(e.People, event.SessionPerson{PersonID: "rio", Turns: 1}) })
			}
			d.consent("cid", "", false)
			now(d)
		},
		"a friend of another agent of theirs": func(d *desk) {
			d.happens(event.AgentCreated{AgentState: state("lucy", "ann")})
			d.consent("rio", "", false)
			for range 3 {
				d.talk("lucy", "rio")
			}
			now(d)
		},
		"the owner is a friend of one's agent": func(d *desk) {
			d.happens(event.AgentCreated{AgentState: state("robo", "rio")})
			for range 3 {
				d.talk("robo", "ann")
			}
			now(d)
		},
		"an answer that was deleted": func(d *desk) { m := d.talk("luna", "ben"); d.said[m].Lines[1].Text = "" },
		"words that are no more":     func(d *desk) { delete(d.said, d.talk("luna", "ben")) },
		"somebody else's words in it": func(d *desk) {
			m := d.talk("luna", "ben")
			d.said[m].Lines[0].Author = event.Member{Kind: event.KindPerson, PersonID: "eve"}
		},
		"another agent without its owner's word": func(d *desk) {
			m := d.talk("luna", "ben")
			d.consent("cid", "mark", false)
			d.said[m].Lines[0].Author = event.Member{Kind: event.KindAgent, AgentID: "mark"}
		},
		"one's own agent speaks in it": func(d *desk) {
			d.happens(event.AgentCreated{AgentState: state("robo", "rio")})
			d.consent("rio", "", true)
			m := d.talk("luna", "ben")
			d.said[m].Lines[0].Author = event.Member{Kind: event.KindAgent, AgentID: "robo"}
		},
		"given to three": func(d *desk) {
			now(d)
			d.reviewer("r1", "r2", "r3")
			for _, p := range []event.PersonID{"r1", "r2", "r3"} {
				d.review(p)
			}
		},
		"reviewed already": func(d *desk) { now(d); d.review("rio") },
		"skipped before": func(d *desk) {
			now(d)
			if err := d.s.SkipReview(d.t.Context(), by("rio"), d.next("rio").AssignmentID); err != nil {
				d.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.reviewer("rio")
			prepare(d)
			if got := d.next("rio"); got.AssignmentID != "" || got.Code != "nothing_now" || len(got.Exchange) != 0 || got.Why == "" || got.Until == 0 {
				t.Errorf("%+v", got)
			}
		})
	}
	for name, prepare := range map[string]func(d *desk){
		"the word on one agent goes first": func(d *desk) {
			d.consent("ben", "", false)
			d.consent("ben", "luna", true)
			now(d)
		},
		"two talks are no partnership": func(d *desk) {
			d.happens(event.AgentCreated{AgentState: state("lucy", "ann")})
			d.consent("rio", "", false)
			d.talk("lucy", "rio")
			d.talk("lucy", "rio")
			now(d)
		},
		"protection that ended": func(d *desk) {
			now(d)
			d.happens(event.ProtectionChanged{PersonID: "ben", Protected: true, Until: d.now().UnixMicro()})
		},
		"what somebody let expire": func(d *desk) {
			now(d)
			d.reviewer("r1", "r2", "r3")
			for _, p := range []event.PersonID{"r1", "r2", "r3"} {
				d.next(p)
			}
			d.later(25 * time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.reviewer("rio")
			prepare(d)
			if got := d.next("rio"); got.AssignmentID == "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestConsentTakenBack: an exchange vanishes from under a reviewer, and takes nothing
// from their day.
func TestConsentTakenBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.talk("luna", "ben")
	d.reviewer("rio")
	a := d.next("rio")
	d.consent("ben", "", false)
	d.later(time.Minute)
	for range 2 {
		_, err := d.s.GiveReview(t.Context(), by("rio"), a.AssignmentID, d.words())
		wantFault(t, "consent taken back", err, "assignment_gone")
	}
	d.consent("ben", "", true) // what vanished does not come back
	if got := d.next("rio"); got.AssignmentID != "" || got.Left != 10 && got.Code != "nothing_now" {
		t.Errorf("%+v", got)
	}
	if me, err := d.s.Mentoring(t.Context(), by("rio")); err != nil || me.Today.Given != 0 || me.Today.Left != 10 {
		t.Errorf("%+v %v", me.Today, err)
	}
	d.talk("luna", "ben")
	b := d.next("rio")
	d.consent("ann", "luna", false)
	d.talk("mark", "ben")
	if c := d.next("rio"); c.AssignmentID == "" || c.AssignmentID == b.AssignmentID || c.Left != 9 {
		t.Errorf("%+v", c)
	}
	if d.points("rio") != 0 || d.count(`select count(*) from reviews`) != 0 {
		t.Error("something was stored")
	}
	if c, err := d.s.ReviewConsentOf(t.Context(), by("ann")); err != nil || !c.Everywhere || !slices.Equal(c.Agents, []AgentWords{{"luna", false}}) {
		t.Errorf("%+v %v", c, err)
	}
	_, err := d.s.SetReviewConsent(t.Context(), by("ann"), ReviewConsentChange{"nobody", true})
	wantFault(t, "an agent of nobody", err, "not_found")
}
