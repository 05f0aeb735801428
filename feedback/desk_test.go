package feedback

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/fault"
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
