package feedback

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// desk is a world with what chat would tell of exchanges, and what operators do noted.
// Luna is ann's, mark is cid's; whoever talks has consented unless a test says no.
type desk struct {
	*world
	mu    sync.Mutex
	said  map[event.MessageID]Exchange
	notes []string
	talks int
}

func newDesk(t testing.TB, change ...func(*Options)) *desk {
	t.Helper()
	d := &desk{said: map[event.MessageID]Exchange{}}
	o := Options{Exchanges: d, Notes: d, Key: []byte("seed")}
	for _, f := range change {
		f(&o)
	}
	d.world = newWorld(t, o)
	d.happens(event.AgentCreated{AgentState: state("luna", "ann")}, event.AgentCreated{AgentState: state("mark", "cid")})
	for _, p := range []event.PersonID{"ann", "ben", "cid"} {
		d.consent(p, "", true)
	}
	return d
}

func (d *desk) Exchange(_ context.Context, _ event.RoomID, _ event.SessionID, m event.MessageID, _ int) (Exchange, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said[m], nil
}

func (d *desk) Note(_ context.Context, p authz.Principal, act, subject string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, act+" "+subject)
	return nil
}

func operator() authz.Principal {
	return authz.Principal{Person: "op", Token: "t-op", Scopes: []authz.Scope{authz.ScopeFeedback, authz.ScopeAdmin}}
}

func (d *desk) consent(p event.PersonID, agent event.AgentID, yes bool) {
	d.t.Helper()
	if _, err := d.s.SetReviewConsent(d.t.Context(), by(p), ReviewConsentChange{agent, yes}); err != nil {
		d.t.Fatal(err)
	}
}

// reviewer makes somebody a reviewer.
func (d *desk) reviewer(people ...event.PersonID) {
	d.t.Helper()
	for _, p := range people {
		if _, err := d.s.InviteReviewer(d.t.Context(), operator(), p); err != nil {
			d.t.Fatal(err)
		}
		if r, err := d.s.AnswerInvitation(d.t.Context(), by(p), true); err != nil || r.State != "active" {
			d.t.Fatal(r, err)
		}
	}
}

// talk lets a person and an agent talk, and gives the answer's id. change may alter
// the session's last event and the answer's.
func (d *desk) talk(agent event.AgentID, person event.PersonID, change ...func(*event.SessionEnded, *event.MessageCreated)) event.MessageID {
	d.t.Helper()
	d.talks++
	session, room := event.SessionID(fmt.Sprintf("talk-%d", d.talks)), event.RoomID(fmt.Sprintf("room-%d", d.talks))
	answer := event.MessageID(fmt.Sprintf("answer-%d", d.talks))
	decided := decision(fmt.Sprintf("decision-%d", d.talks), fmt.Sprintf("episode-%d", d.talks), d.now().UnixMicro(), policy.Neutral())
	decided.AgentID, decided.PersonID, decided.SessionID, decided.RoomID, decided.MessageID = agent, person, session, room, answer
	in := []event.MessageSession{{AgentID: agent, SessionID: session}}
	asks := event.MessageCreated{RoomID: room, MessageID: "ask-" + answer, Author: event.Member{Kind: event.KindPerson, PersonID: person}, Sequence: 1, Sessions: in, Members: 2, People: 1, Consent: true}
	says := event.MessageCreated{RoomID: room, MessageID: answer, Author: event.Member{Kind: event.KindAgent, AgentID: agent}, Sequence: 2, Sessions: in, DecisionID: decided.DecisionID, Members: 2, People: 1, Consent: true}
	ended := event.SessionEnded{SessionID: session, AgentID: agent, RoomID: room, StartedBy: person, AgentMessages: 1, Messages: 2, People: []event.SessionPerson{{PersonID: person, Turns: 1}}}
	for _, f := range change {
		f(&ended, &says)
	}
	decided.Protected = says.Protected
	d.said[answer] = Exchange{Names: []string{"Luna", "Ann"}, Lines: []mentor.Line{
		{Author: asks.Author, Text: "Luna, I am nervous about tomorrow."}, {Author: says.Author, Text: "What would make it feel a little smaller?"}}}
	d.happens(event.SessionStarted{SessionID: session, AgentID: agent, RoomID: room, StartedBy: person}, asks, decided, says)
	if ended.SessionID != "" {
		d.happens(ended)
	}
	return answer
}

func (d *desk) next(p event.PersonID) Desk {
	d.t.Helper()
	out, err := d.s.NextReview(d.t.Context(), by(p))
	if err != nil {
		d.t.Fatalf("%s: %v", p, err)
	}
	return out
}

var fine = mentor.Marks{InCharacter: "clearly", Helpful: "mostly", Kind: "clearly"}

// words is a note of its own each time.
func (d *desk) words() ReviewWords {
	d.n++
	nouns := []string{"question", "pause", "warmth", "length", "ending", "humour", "advice", "tone", "start", "patience", "example"}
	a, b, c := nouns[d.n%11], nouns[d.n/11%11], nouns[(d.n*3+d.n/7)%11]
	marks := fine
	marks.Helpful = mentor.Words()[d.n%3]
	return ReviewWords{marks, fmt.Sprintf("The %s helps here, number %d; less %s, then more of the %s would do.", a, d.n, b, c)}
}

// review takes a minute for the reviewer's next exchange.
func (d *desk) review(p event.PersonID, change ...func(*ReviewWords)) ReviewReceipt {
	d.t.Helper()
	next := d.next(p)
	if next.AssignmentID == "" {
		d.t.Fatalf("%s has nothing to review: %s", p, next.Code)
	}
	d.later(time.Minute)
	w := d.words()
	for _, f := range change {
		f(&w)
	}
	r, err := d.s.GiveReview(d.t.Context(), by(p), next.AssignmentID, w)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) points(p event.PersonID) int64 {
	d.t.Helper()
	out, err := d.s.PointsOf(d.t.Context(), by(p), "")
	if err != nil {
		d.t.Fatal(err)
	}
	return out.Points
}

func wantFault(t testing.TB, what string, err error, code string) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func TestReviewing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	answer := d.talk("luna", "ben")
	d.drain()
	_, err := d.s.NextReview(t.Context(), by("rio"))
	wantFault(t, "without an invitation", err, "not_invited")
	d.reviewer("rio")
	got := d.next("rio")
	if d := cmp.Diff([]mentor.Shown{{Who: "person A", Text: "[…], I am nervous about tomorrow."}, {Who: "the agent", Text: "What would make it feel a little smaller?"}}, got.Exchange); d != "" || len(got.Questions) != 3 || got.Left != 9 {
		t.Errorf("%s %+v", d, got)
	}
	d.later(20 * time.Second)
	if again := d.next("rio"); again.AssignmentID != got.AssignmentID || again.ExpiresAt != got.ExpiresAt || again.Left != 9 {
		t.Errorf("%+v, then %+v", got, again)
	}
	words := d.words()
	r, err := d.s.GiveReview(t.Context(), by("rio"), got.AssignmentID, words)
	if err != nil || r.State != "counted" || r.Explained != "" {
		t.Fatal(r, err)
	}
	events := d.drain()
	told := created(t, events)
	if len(told) != 1 || len(events) != 1 || told[0].Role != event.RoleReviewer || told[0].Channel != event.ChannelReview || told[0].Score != words.Marks.Score() || told[0].AgentID != "luna" || told[0].OwnerID != "ann" ||
		told[0].MessageID != answer || len(told[0].Shares) != 1 || told[0].FeedbackID != r.ReviewID || strings.Contains(string(events[0].Data), "helps here") {
		t.Fatalf("%+v", told)
	}

	// Twice is once; other words are none.
	if twice, err := d.s.GiveReview(t.Context(), by("rio"), got.AssignmentID, words); err != nil || twice.ReviewID != r.ReviewID {
		t.Error(twice, err)
	}
	_, err = d.s.GiveReview(t.Context(), by("rio"), got.AssignmentID, d.words())
	wantFault(t, "other words", err, "reviewed_already")
	_, err = d.s.GiveReview(t.Context(), by("roy"), got.AssignmentID, words)
	wantFault(t, "somebody else's", err, "not_found")
	if p := d.points("rio"); p != 1 || len(d.drain()) != 0 {
		t.Errorf("%d points", p)
	}

	// The owner reads the note, not whose; the author reads it, not about whom.
	list := func(p event.PersonID, agent event.AgentID) []Review {
		page, err := d.s.Reviews(t.Context(), by(p), agent, "")
		if err != nil {
			t.Fatal(err)
		}
		return page.Items
	}
	if all := list("ann", "luna"); len(all) != 1 || all[0].Note != words.Note || all[0].By != "a reviewer" || all[0].Helpful || all[0].MessageID != answer {
		t.Errorf("%+v", all)
	}
	if all := list("rio", ""); len(all) != 1 || all[0].Note != words.Note || all[0].By != "you" || all[0].AgentID != "" || all[0].MessageID != "" {
		t.Errorf("%+v", all)
	}
	for _, p := range []event.PersonID{"cid", "rio", "ben"} {
		if all := list(p, "luna"); len(all) != 0 {
			t.Errorf("%s reads %+v", p, all)
		}
	}
	for _, agent := range []event.AgentID{"", "luna"} {
		page, err := d.s.List(t.Context(), by("rio"), agent, "", false)
		if err != nil || len(page.Items) > 0 && (agent != "" || page.Items[0].AgentID != "" || page.Items[0].MessageID != "" || page.Items[0].SessionID != "" || page.Items[0].DecisionID != "") {
			t.Errorf("the reviewer learns whom: %+v %v", page.Items, err)
		}
	}

	// The owner's private mark brings points and tells no one of whom.
	for _, p := range []event.PersonID{"cid", "rio"} {
		_, err = d.s.MarkHelpful(t.Context(), by(p), r.ReviewID, true)
		wantFault(t, string(p), err, "not_found")
	}
	for _, helpful := range []bool{true, true, false, true} {
		if v, err := d.s.MarkHelpful(t.Context(), by("ann"), r.ReviewID, helpful); err != nil || v.Helpful != helpful {
			t.Fatal(v, err)
		}
	}
	if p := d.points("rio"); p != 4 {
		t.Errorf("%d points", p)
	}
	if all := list("rio", ""); all[0].Helpful {
		t.Error("the author sees the owner's mark")
	}

	// A transfer ends who may read what was written before.
	d.happens(event.AgentTransferred{AgentID: "luna", From: "ann", To: "cid"})
	if a, c := list("ann", "luna"), list("cid", "luna"); len(a)+len(c) != 0 {
		t.Errorf("%+v %+v", a, c)
	}

	// Taken back, by either door: what it taught goes, and its points.
	if v, err := d.s.WithdrawReview(t.Context(), by("rio"), r.ReviewID); err != nil || v.State != "withdrawn" || v.Note != "" {
		t.Error(v, err)
	}
	if gone := retracted(t, d.drain()); len(gone) != 1 || gone[0].FeedbackID != r.ReviewID || gone[0].Reason != "withdrawn" {
		t.Errorf("%+v", gone)
	}
	if _, err := d.s.Retract(t.Context(), by("rio"), r.ReviewID); err != nil || d.points("rio") != 0 || len(d.drain()) != 0 {
		t.Errorf("%v, %d points", err, d.points("rio"))
	}
}

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

// TestAbuse: always the same, in 300 ms, with slurs. It is set aside and teaches and
// earns nothing; only a person excludes.
func TestAbuse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *Options) { r := DefaultReviewRules(); r.PerDay = 100; o.Reviews = &r })
	for range 25 {
		d.talk("luna", "ben")
	}
	d.drain()
	d.reviewer("bad")
	best := mentor.Marks{InCharacter: "clearly", Helpful: "clearly", Kind: "clearly"}
	var ids []event.FeedbackID
	for i := range 12 {
		a := d.next("bad")
		d.later(300 * time.Millisecond)
		r, err := d.s.GiveReview(t.Context(), by("bad"), a.AssignmentID, ReviewWords{best, "What a 1diot wrote this, all of you are m0rons."})
		if err != nil || r.State != "aside" || r.Explained == "" || len(r.Findings) < 2 {
			t.Fatal(r, err)
		}
		if constant := slices.Contains(r.Findings, mentor.Because(mentor.Constant)); constant != (i >= 9) {
			t.Errorf("%d: %v", i, r.Findings)
		}
		ids = append(ids, r.ReviewID)
	}
	if n := d.count(`select count(*) from feedback_events where rater_id = 'bad'`); n != 0 || d.points("bad") != 0 || len(d.drain()) != 0 {
		t.Errorf("%d signals, %d points", n, d.points("bad"))
	}
	if all, _ := d.s.Reviews(t.Context(), by("ann"), "luna", ""); len(all.Items) != 0 {
		t.Errorf("the owner reads %+v", all.Items)
	}
	if me, _ := d.s.Mentoring(t.Context(), by("bad")); me.State != "active" {
		t.Errorf("excluded by no one: %+v", me)
	}

	// Operators only, and noted.
	_, err := d.s.ReviewsAside(t.Context(), by("ann"))
	wantFault(t, "a person lists", err, "not_allowed")
	_, err = d.s.DecideReview(t.Context(), by("ann"), ids[0], Verdict{Verdict: "count"})
	wantFault(t, "a person decides", err, "not_allowed")
	all, err := d.s.ReviewsAside(t.Context(), operator())
	if err != nil || len(all) != 12 || all[0].ReviewerID != "bad" || all[0].Seconds != .3 || !slices.Contains(all[0].Findings, "hostile") || !slices.Contains(d.notes, "read reviews set aside ") {
		t.Fatalf("%d %+v %v %v", len(all), all[:1], d.notes, err)
	}
	decide := func(id event.FeedbackID, v Verdict) Decided {
		t.Helper()
		out, err := d.s.DecideReview(t.Context(), operator(), id, v)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, v := range []Verdict{{"refuse", " "}, {"exclude", ""}, {"ban", "x"}, {"refuse", strings.Repeat("x", 501)}} {
		if _, err := d.s.DecideReview(t.Context(), operator(), ids[0], v); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", v, err)
		}
	}

	// One counts after all, as if nothing had been; again changes nothing.
	for range 2 {
		if out := decide(ids[0], Verdict{Verdict: "count"}); out.State != "counted" || out.Excluded {
			t.Errorf("%+v", out)
		}
	}
	if told := created(t, d.drain()); len(told) != 1 || told[0].FeedbackID != ids[0] || d.points("bad") != 1 {
		t.Errorf("%+v, %d points", told, d.points("bad"))
	}
	// One is refused, appealed once, and looked at again.
	decide(ids[1], Verdict{"refuse", "It hurts."})
	_, err = d.s.DecideReview(t.Context(), operator(), ids[1], Verdict{Verdict: "count"})
	wantFault(t, "decided already", err, "decided_already")
	page, _ := d.s.Reviews(t.Context(), by("bad"), "", "")
	refused := page.Items[slices.IndexFunc(page.Items, func(r Review) bool { return r.ReviewID == ids[1] })]
	if refused.State != "refused" || refused.Reason != "It hurts." || refused.Explained == "" || len(refused.Findings) == 0 {
		t.Errorf("%+v", refused)
	}
	_, err = d.s.Appeal(t.Context(), by("ann"), ids[1], "Please.")
	wantFault(t, "somebody else appeals", err, "not_found")
	for range 2 {
		if v, err := d.s.Appeal(t.Context(), by("bad"), ids[1], "It was a joke between us."); err != nil || !v.Appealed {
			t.Error(v, err)
		}
	}
	_, err = d.s.Appeal(t.Context(), by("bad"), ids[1], "And again!")
	wantFault(t, "a second appeal", err, "appealed_already")
	_, err = d.s.Appeal(t.Context(), by("bad"), ids[0], "This one too.")
	wantFault(t, "an appeal of one that counts", err, "not_refused")
	all, _ = d.s.ReviewsAside(t.Context(), operator())
	if len(all) != 11 || !slices.ContainsFunc(all, func(s SetAside) bool {
		return s.ReviewID == ids[1] && s.Appeal == "It was a joke between us." && s.State == "refused"
	}) {
		t.Errorf("%+v", all)
	}

	// The verdict ends their part, and what counted counts no longer.
	if out := decide(ids[2], Verdict{"exclude", "These are slurs."}); !out.Excluded || out.State != "refused" {
		t.Errorf("%+v", out)
	}
	if gone := retracted(t, d.drain()); len(gone) != 1 || gone[0].FeedbackID != ids[0] || gone[0].Reason != "excluded" {
		t.Errorf("%+v", gone)
	}
	_, err = d.s.NextReview(t.Context(), by("bad"))
	wantFault(t, "the excluded", err, "excluded")
	_, err = d.s.Spend(t.Context(), by("bad"), "", Purchase{Item: "replies"})
	wantFault(t, "the excluded spends", err, "excluded")
	_, err = d.s.AnswerInvitation(t.Context(), by("bad"), true)
	wantFault(t, "the excluded accepts", err, "excluded")
	if me, _ := d.s.Mentoring(t.Context(), by("bad")); me.State != "excluded" || me.Reason != "These are slurs." {
		t.Errorf("%+v", me)
	}
	d.reviewer("bad") // an operator may ask again
	d.next("bad")
}

// TestTasteIsNoAbuse: whoever agrees with nobody goes on as before.
func TestTasteIsNoAbuse(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reviewer("rio")
	for range 9 {
		d.talk("luna", "ben")
	}
	for agreement, want := range map[float64]string{.1: "little", .6: "partly", .9: "fully"} {
		d.happens(event.ReputationUpdated{RaterID: "rio", Version: 1, Agreement: agreement, Abuse: 1 - agreement, Excluded: agreement < .5})
		if me, err := d.s.Mentoring(t.Context(), by("rio")); err != nil || me.Regard != want || me.State != "active" {
			t.Errorf("%v: %+v %v", agreement, me, err)
		}
		if r := d.review("rio", func(w *ReviewWords) {
			w.Marks = mentor.Marks{InCharacter: "not_at_all", Helpful: "hardly", Kind: "not_at_all"}
		}); r.State != "counted" {
			t.Errorf("%+v", r)
		}
	}
	if all, _ := d.s.ReviewsAside(t.Context(), operator()); len(all) != 0 || d.points("rio") != 3 {
		t.Errorf("%+v, %d points", all, d.points("rio"))
	}
}

// TestMutualPraise: two who always give each other the best are looked at.
func TestMutualPraise(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reviewer("ann", "cid")
	best := func(w *ReviewWords) {
		w.Marks = mentor.Marks{InCharacter: "clearly", Helpful: "clearly", Kind: "clearly"}
	}
	var states []string
	for i := range 3 {
		d.talk("luna", "ben")
		d.talk("mark", "ben")
		states = append(states, d.review("ann", best).State, d.review("cid", best).State)
		if i == 0 {
			d.later(time.Second)
		}
	}
	if d := cmp.Diff([]string{"counted", "counted", "counted", "counted", "counted", "aside"}, states); d != "" {
		t.Error(d)
	}
	all, err := d.s.ReviewsAside(t.Context(), operator())
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Findings, []string{"collusion"}) {
		t.Errorf("%+v %v", all, err)
	}
}

// TestTwoGiveAtOnce: one of two equal reviews sent at the same time is stored.
func TestTwoGiveAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.talk("luna", "ben")
	d.reviewer("rio")
	a, words := d.next("rio"), d.words()
	d.later(time.Minute)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if r, err := d.s.GiveReview(context.Background(), by("rio"), a.AssignmentID, words); err != nil || r.State != "counted" {
				t.Error(r, err)
			}
		})
	}
	wg.Wait()
	if n := d.count(`select count(*) from reviews`); n != 1 || d.points("rio") != 1 {
		t.Errorf("%d reviews, %d points", n, d.points("rio"))
	}
}

// TestDays: exchanges and points are by the day, UTC.
func TestDays(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reviewer("rio")
	for range 14 {
		d.talk("luna", "ben")
	}
	d.later(day0.Truncate(24 * time.Hour).Add(23*time.Hour + 20*time.Minute).Sub(d.now()))
	var ids []event.FeedbackID
	for range 10 {
		ids = append(ids, d.review("rio").ReviewID)
	}
	if got := d.next("rio"); got.Code != "day_full" || got.Until != day0.Truncate(24*time.Hour).Add(24*time.Hour).UnixMicro() || d.points("rio") != 10 {
		t.Errorf("%+v, %d points", got, d.points("rio"))
	}
	helpful := func(id event.FeedbackID) {
		if _, err := d.s.MarkHelpful(t.Context(), by("ann"), id, true); err != nil {
			t.Fatal(err)
		}
	}
	helpful(ids[0]) // the cap is reached: it stands in the ledger and brings nothing
	if p := d.points("rio"); p != 10 {
		t.Errorf("%d points", p)
	}
	d.later(time.Hour) // another day
	helpful(ids[0])
	if p := d.points("rio"); p != 10 {
		t.Errorf("a second time brings %d points", p)
	}
	for _, id := range ids[1:4] {
		helpful(id)
	}
	if p := d.points("rio"); p != 19 {
		t.Errorf("three helpful notes of yesterday: %d points", p)
	}
	d.review("rio")
	d.review("rio") // one more than the cap
	out, err := d.s.PointsOf(t.Context(), by("rio"), "")
	if err != nil || out.Points != 20 || out.Today != 10 || out.Cap != 10 || len(out.Entries) != 16 || out.Entries[0].Amount != 0 || out.Entries[1].Amount != 1 {
		t.Errorf("%+v %v", out, err)
	}
	if page, err := d.s.PointsOf(t.Context(), by("ann"), ""); err != nil || page.Points != 0 || len(page.Entries) != 0 {
		t.Errorf("%+v %v", page, err)
	}
}

func pay(d *desk, p event.PersonID, amount int64) {
	d.t.Helper()
	err := d.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		return enter(tx, PointEntry{EntryID: event.NewID(), Kind: earnedReview, Amount: amount, At: 1}, p, "")
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestSpend(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.drain()
	spend := func(p event.PersonID, key string, w Purchase) (Bought, error) {
		return d.s.Spend(t.Context(), by(p), key, w)
	}
	_, err := spend("ann", "", Purchase{Item: "slot"})
	wantFault(t, "without points", err, "not_enough_points")
	if f, ok := err.(*fault.Error); !ok || !strings.Contains(f.Message, "100 are missing") {
		t.Error(err)
	}
	pay(d, "ann", 150)
	for w, code := range map[Purchase]string{
		{Item: "crown"}: "unknown_value", {Item: "look", AgentID: "luna"}: "unknown_value", {Item: "look", Look: "ember"}: "aim_missing", {Item: "look", AgentID: "luna", Look: "gold"}: "unknown_value",
		{Item: "look", AgentID: "mark", Look: "ember"}: "not_found", {Item: "look", AgentID: "nobody", Look: "ember"}: "not_found", {Item: "slot", AgentID: "luna"}: "value_not_allowed", {}: "unknown_value",
	} {
		_, err := spend("ann", "", w)
		wantFault(t, fmt.Sprintf("%+v", w), err, code)
	}
	first, err := spend("ann", "k", Purchase{Item: "slot"})
	if err != nil || first.Costs != 100 || first.Points != 50 {
		t.Fatal(first, err)
	}
	if again, err := spend("ann", "k", Purchase{Item: "slot"}); err != nil || again != first {
		t.Error(again, err)
	}
	_, err = spend("ann", "k", Purchase{Item: "replies"})
	wantFault(t, "the key for something else", err, "idempotency_conflict")
	if b, err := spend("ann", "", Purchase{Item: "look", AgentID: "luna", Look: "ember"}); err != nil || b.Points != 30 {
		t.Error(b, err)
	}
	if b, err := spend("ann", "", Purchase{Item: "evening"}); err != nil || b.Points != 15 {
		t.Error(b, err)
	}
	_, err = spend("ann", "", Purchase{Item: "slot"})
	wantFault(t, "too little", err, "not_enough_points")
	var told []event.PointsSpent
	for _, e := range d.drain() {
		p, err := event.As[event.PointsSpent](e)
		if err != nil || e.ID != p.SpendID || strings.Contains(string(e.Data), "100") {
			t.Error(err, string(e.Data))
		}
		told = append(told, p)
	}
	if len(told) != 3 || told[0] != (event.PointsSpent{SpendID: first.SpendID, PersonID: "ann", Item: "slot"}) || told[1].Look != "ember" || told[1].AgentID != "luna" {
		t.Errorf("%+v", told)
	}
	out, _ := d.s.PointsOf(t.Context(), by("ann"), "")
	if len(out.Items) != 4 || len(out.Looks) != len(event.Looks()) || out.Looks[0].Costs != 20 || out.Points != 15 {
		t.Errorf("%+v", out)
	}
}

// TestSpendingRace: many purchases at once never take more than there is.
func TestSpendingRace(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	pay(d, "ann", 35)
	var mu sync.Mutex
	bought, refused := 0, 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			b, err := d.s.Spend(context.Background(), by("ann"), "", Purchase{Item: "replies"})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && b.Points >= 0:
				bought++
			case fault.Is(err, "not_enough_points"):
				refused++
			default:
				t.Error(b, err)
			}
		})
	}
	wg.Wait()
	if bought != 3 || refused != 13 || d.points("ann") != 5 {
		t.Errorf("%d bought, %d refused, %d left", bought, refused, d.points("ann"))
	}
}

// TestWithdrawnAndSpent: what is spent is not taken back, and nobody owes points.
func TestWithdrawnAndSpent(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.talk("luna", "ben")
	d.reviewer("rio")
	r := d.review("rio")
	pay(d, "rio", 9)
	if _, err := d.s.Spend(t.Context(), by("rio"), "", Purchase{Item: "replies"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.s.WithdrawReview(t.Context(), by("rio"), r.ReviewID); err != nil || d.points("rio") != 0 {
		t.Errorf("%v, %d points", err, d.points("rio"))
	}
}

func TestReviewWordsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.talk("luna", "ben")
	d.reviewer("rio")
	a := d.next("rio")
	for code, w := range map[string]ReviewWords{"unknown_value": {mentor.Marks{InCharacter: "5"}, "long enough a note, with words"}, "note_too_short": {fine, "good"}, "note_too_long": {fine, strings.Repeat("many words ", 300)}, "bad_text": {fine, "a long note\x00 with a hole in it"}} {
		_, err := d.s.GiveReview(t.Context(), by("rio"), a.AssignmentID, w)
		wantFault(t, code, err, code)
	}
	d.later(25 * time.Hour)
	_, err := d.s.GiveReview(t.Context(), by("rio"), a.AssignmentID, d.words())
	wantFault(t, "too late", err, "assignment_expired")
	_, err = d.s.GiveReview(t.Context(), authz.Principal{}, a.AssignmentID, d.words())
	wantFault(t, "nobody", err, "login_required")
	d.happens(event.ProtectionChanged{PersonID: "rio", Protected: true})
	_, err = d.s.NextReview(t.Context(), by("rio"))
	wantFault(t, "a protected reviewer", err, "not_invited")
	_, err = d.s.AnswerInvitation(t.Context(), by("eve"), true)
	wantFault(t, "no invitation", err, "not_found")
	if r, err := d.s.AnswerInvitation(t.Context(), by("rio"), false); err != nil || r.State != "left" {
		t.Error(r, err)
	}
	_, err = d.s.InviteReviewer(t.Context(), by("ann"), "eve")
	wantFault(t, "a person invites", err, "not_allowed")
	if all, err := d.s.Reviewers(t.Context(), operator(), "", 50); err != nil || len(all) != 1 || all[0].PersonID != "rio" || all[0].Regard != "" || all[0].Today != nil {
		t.Errorf("%+v %v", all, err)
	}
}

// TestErasedReviewerAndOwner: nothing of them is left, and what others wrote names no
// one.
func TestErasedReviewerAndOwner(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reviewer("rio", "roy")
	for range 3 {
		d.talk("luna", "ben")
	}
	counted := d.review("rio")
	kept := d.review("roy")
	d.review("rio", func(w *ReviewWords) { w.Note = "Only an idiot would say it like that to him." })
	d.next("rio")
	d.consent("rio", "", true)
	d.happens(event.ReputationUpdated{RaterID: "rio", Agreement: .7})
	if _, err := d.s.Spend(t.Context(), by("rio"), "k", Purchase{Item: "replies"}); !fault.Is(err, "not_enough_points") {
		t.Fatal(err)
	}
	d.drain()
	d.happens(event.AccountErased{PersonID: "rio"})
	if gone := retracted(t, d.drain()); len(gone) != 1 || gone[0].FeedbackID != counted.ReviewID || gone[0].Reason != "erased" {
		t.Errorf("%+v", gone)
	}
	d.happens(event.ReputationUpdated{RaterID: "rio", Version: 2, Agreement: .9}) // late news
	dump, err := d.db.Dump(t.Context(), "reviews", "assignments", "reviewers", "review_consents", "points", "reputations", "feedback_events")
	if err != nil || strings.Contains(string(dump), "rio") || strings.Contains(string(dump), "idiot") {
		t.Errorf("left behind: %s %v", dump, err)
	}
	d.happens(event.AccountErased{PersonID: "ann"}, event.AgentRetired{AgentID: "luna"})
	dump, _ = d.db.Dump(t.Context(), "reviews")
	if strings.Contains(string(dump), `"ann"`) {
		t.Errorf("the owner is left behind: %s", dump)
	}
	if page, err := d.s.Reviews(t.Context(), by("roy"), "", ""); err != nil || len(page.Items) != 1 || page.Items[0].ReviewID != kept.ReviewID || page.Items[0].Note == "" {
		t.Errorf("%+v %v", page.Items, err)
	}
	if got := d.next("roy"); got.AssignmentID != "" {
		t.Errorf("%+v", got)
	}
}
