package gateway

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/internal/fault"
	"rapport/policy"
)

// opened is ann opening a direct room with mira.
func opened(w *world) event.RoomJoined {
	w.place = &Place{Alone: true, Person: ann, By: ann, People: 1, Members: 2, Consent: true, Full: true}
	return event.RoomJoined{RoomID: hall, Member: agently(mira), Inviter: ann, Members: 2}
}

// eager is an agent that begins whatever it may.
func eager(p *policy.Document) {
	p.AutonomyLevel = 3
	a := &p.ActionPolicy
	a.PostProbability, a.InviteProbability, a.StartThreadProbability, a.MaxAutonomousActionsPerDay = 1, 1, 1, 3
}

// ended is the end of a talk in which bob spoke with mira, n the number of it.
func (w *world) ended(n int, direct bool) event.SessionEnded {
	id := event.SessionID(fmt.Sprint("talk-", n))
	return event.SessionEnded{SessionID: id, AgentID: mira, RoomID: hall, EndedAt: w.clock().UnixMicro(), Direct: direct, People: []event.SessionPerson{{PersonID: bob, Turns: 2}}}
}

func group() *Place {
	return &Place{By: bob, People: 2, Members: 4, Consent: true, Agents: []event.AgentID{mira}}
}

func alone() *Place {
	return &Place{Alone: true, Person: ann, By: ann, People: 1, Members: 2, Consent: true, Full: true}
}

func TestAnOpeningIsDrawn(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for i := range 12 {
		w := newWorld(t, func(o *Options) { o.Key = fmt.Appendf(nil, "a key of this test number %d", i) })
		w.openings = []string{"Ahoy!", "Hello.", "Hello.", "\u200b", "Come in\u202e."}
		w.meet(mira)
		w.hear(opened(w), opened(w))
		w.work(w.s)
		w.work(w.s)
		got, told := w.replies(), w.told()
		if len(got) != 1 || len(told) != 1 || len(w.model.requests()) != 0 {
			t.Fatalf("%+v, %+v", got, told)
		}
		e := told[0]
		if e.Action != "reply" || e.Begins != event.BeginsOpening || e.Opening == nil || e.Opening.Of != 3 || math.Abs(e.Opening.Chance-1./3) > 1e-12 || len(e.Opening.Variant) != 12 ||
			!slices.Equal(e.Reasons, []string{event.BeginsOpening}) || e.Chance != nil || e.Model != "" || e.MessageID == "" || e.PersonID != ann || e.SessionID != got[0].SessionID ||
			got[0].ReplyTo != "" || got[0].Begin == nil || got[0].Begin.Unasked || e.Context != event.ContextDMWithOwner {
			t.Fatalf("%+v, %+v", e, got[0])
		}
		if strings.Contains(fmt.Sprint(e), "Ahoy") {
			t.Error("words in an event")
		}
		seen[got[0].Text]++
		// What follows is the same session and the same variation.
		w.said(person(ann), "Hi", func(m *event.MessageCreated) { m.Sessions[0].SessionID = e.SessionID })
		w.work(w.s)
		if next := w.told()[1]; next.EpisodeID != e.EpisodeID {
			t.Error("the answer is another episode")
		}
	}
	if len(seen) < 2 || seen["Ahoy!"]+seen["Hello."]+seen["Come in."] != 12 {
		t.Errorf("drawn %v", seen)
	}
}

func TestNoOpening(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world){
		"none was written":        func(w *world) { w.openings = nil },
		"somebody spoke":          func(w *world) { w.seq[hall] = 1 },
		"more are in the room":    func(w *world) { w.place.Alone = false },
		"another person is there": func(w *world) { w.place.Person = bob },
		"the agent left":          func(w *world) { w.place = nil },
		"the agent is no more":    func(w *world) { w.hear(event.AgentRetired{AgentID: mira}); w.pass(2 * time.Minute) },
		"the agent is stopped":    func(w *world) { a := state(mira, 1); a.Alive = false; w.hear(event.AgentUpdated{AgentState: a}) },
		"somebody speaks meanwhile": func(w *world) {
			w.shown = nil
			w.postFail = fault.New(fault.Forbidden, "talk_went_on", "x")
		},
	} {
		w := newWorld(t)
		w.openings = []string{"Ahoy!"}
		w.meet(mira)
		w.hear(opened(w))
		change(w)
		w.work(w.s)
		if len(w.replies()) != 0 || w.count(`select count(*) from turns where state <> 'done'`) != 0 || len(w.troubles) != 0 {
			t.Errorf("%s: %+v", name, w.replies())
		}
	}
}

func TestWhatAnAgentMayBegin(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name   string
		direct bool
		change func(w *world, a *event.AgentState, p *policy.Document)
		reason string // of silence; '' for a post
	}{
		{"a thread", true, nil, ""},
		{"a post", false, nil, ""},
		{"a chance of none", false, func(_ *world, _ *event.AgentState, p *policy.Document) { p.ActionPolicy.PostProbability = 0 }, event.BeginsPost},
		{"a cap of none", false, func(_ *world, _ *event.AgentState, p *policy.Document) { p.ActionPolicy.MaxAutonomousActionsPerDay = 0 }, compile.ReasonDailyCap},
		{"paused", false, func(_ *world, a *event.AgentState, _ *policy.Document) { a.Learning = false }, compile.ReasonPaused},
		{"killed", true, func(_ *world, a *event.AgentState, _ *policy.Document) { a.Alive = false }, compile.ReasonKilled},
		{"autonomy lowered meanwhile", false, func(_ *world, _ *event.AgentState, p *policy.Document) { p.AutonomyLevel = 1 }, compile.ReasonAutonomy},
		{"threads need more", true, func(_ *world, _ *event.AgentState, p *policy.Document) { p.AutonomyLevel = 2 }, compile.ReasonAutonomy},
		{"somebody is protected", false, func(w *world, _ *event.AgentState, _ *policy.Document) { w.place.Protected = true }, compile.ReasonProtected},
		{"somebody did not consent", false, func(w *world, _ *event.AgentState, _ *policy.Document) { w.place.Consent = false }, compile.ReasonUnwelcome},
	} {
		w := newWorld(t)
		w.hear(event.AgentCreated{AgentState: state(mira, 1, eager)})
		if w.place = group(); x.direct {
			w.place = alone()
		}
		w.hear(w.ended(1, x.direct))
		if x.change != nil {
			d := state(mira, 2)
			p := policy.Default(string(mira))
			p.Version = 2
			eager(&p)
			x.change(w, &d, &p)
			d.Policy = state(mira, 2, func(q *policy.Document) { *q = p }).Policy
			w.hear(event.AgentUpdated{AgentState: d, Change: event.Change{By: "owner"}})
		}
		w.work(w.s)
		if len(w.told()) != 0 {
			t.Fatalf("%s: it did not wait", x.name)
		}
		w.pass(threadAfter + time.Minute)
		w.work(w.s)
		told, got := w.told(), w.replies()
		if len(told) != 1 {
			t.Fatalf("%s: %d decisions", x.name, len(told))
		}
		if e := told[0]; x.reason != "" {
			if e.Action != "silence" || !slices.Equal(e.Reasons, []string{x.reason}) || len(got) != 0 || len(w.model.requests()) != 0 {
				t.Errorf("%s: %+v", x.name, e)
			}
		} else if e.Action != "reply" || e.Chance == nil || *e.Chance != 1 || e.Begins == "" || len(got) != 1 || !got[0].Begin.Unasked || got[0].Text != "Hello there." || w.typing != 1 {
			t.Errorf("%s: %+v %+v", x.name, e, got)
		}
	}
}

// No turn is made where nothing may begin: after talks that nobody spoke in, that were
// imported, in protected rooms, and for agents that only answer.
func TestNothingBeginsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hear(event.AgentCreated{AgentState: state(mira, 1, eager)}, event.AgentCreated{AgentState: state(otto, 1)})
	for _, change := range []func(*event.SessionEnded){
		func(e *event.SessionEnded) { e.People = nil },
		func(e *event.SessionEnded) { e.People[0].Turns = 0 },
		func(e *event.SessionEnded) { e.People[0].Gone = true },
		func(e *event.SessionEnded) { e.Imported = true },
		func(e *event.SessionEnded) { e.Protected = true },
		func(e *event.SessionEnded) { e.AgentID = otto },
		func(e *event.SessionEnded) { e.AgentID = "nobody" },
	} {
		e := w.ended(1, false)
		change(&e)
		w.hear(e)
	}
	w.hear(event.RoomJoined{RoomID: hall, Member: agently(mira), Members: 2}, event.RoomJoined{RoomID: hall, Member: person(bob), Inviter: ann, Members: 2},
		event.RoomJoined{RoomID: hall, Member: agently(mira), Inviter: ann, Members: 3})
	if n := w.count(`select count(*) from turns`); n != 0 {
		t.Errorf("%d turns", n)
	}
}

// What waits comes in the morning of the owner's clock, also where clocks change.
func TestQuietHoursAreTheOwners(t *testing.T) {
	t.Parallel()
	zone := func(name string, from, to int) quiet {
		q, ok := quietOf(&event.Quiet{Zone: name, From: from, To: to})
		if !ok {
			t.Fatal(name)
		}
		return q
	}
	at := func(s string) event.Micros {
		x, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return x.UnixMicro()
	}
	for _, x := range []struct {
		q    quiet
		at   string
		want time.Duration
	}{
		{night, "2026-11-23T21:59:59Z", 0}, {night, "2026-11-23T22:00:00Z", 10 * time.Hour}, {night, "2026-11-24T08:00:00Z", 0},
		{zone("Asia/Kolkata", 22, 7), "2026-11-23T17:00:00Z", 8*time.Hour + 30*time.Minute},
		{zone("Europe/Berlin", 22, 7), "2026-03-28T22:00:00Z", 7 * time.Hour},      // 23:00, an hour is missing in the night
		{zone("Europe/Berlin", 22, 7), "2026-10-24T21:00:00Z", 9 * time.Hour},      // 23:00, an hour comes twice
		{zone("Europe/Berlin", 2, 3), "2026-03-29T01:00:00Z", 0},                   // 3:00, the quiet hour is missing
		{zone("America/New_York", 0, 0), "2026-11-23T05:00:00Z", 0},                // none
		{zone("Pacific/Kiritimati", 9, 17), "2026-11-23T20:00:00Z", 7 * time.Hour}, // 10:00 of the next day
	} {
		if got := x.q.left(at(x.at)); got != x.want {
			t.Errorf("%v at %s: %s, want %s", x.q, x.at, got, x.want)
		}
	}
	if _, ok := quietOf(&event.Quiet{Zone: "Nowhere/Atall"}); ok {
		t.Error("a zone that is none")
	}
}

// Over many days, with talks at all hours, workers that die anywhere, and several at
// once: never in quiet hours, never above the cap.
func TestCapAndQuietHoursHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	quietHours := &event.Quiet{Zone: "Asia/Tokyo", From: 21, To: 9} // 12 to 24 UTC
	a := state(mira, 1, eager)
	a.Quiet = quietHours
	w.hear(event.AgentCreated{AgentState: a})
	w.place = group()
	var posts []time.Time
	crash := 0
	for hour := range 60 {
		w.hear(w.ended(hour, false))
		for range 2 {
			crash++
			ops, died := 0, false
			w.mu.Lock()
			w.hook = func(string) error {
				if ops++; ops == crash%23 {
					died = true
					return errors.New("power is gone")
				}
				return nil
			}
			w.mu.Unlock()
			if tn, err := w.s.lease(t.Context()); err == nil && tn != nil {
				_ = w.s.process(t.Context(), tn)
			}
			w.mu.Lock()
			w.hook = nil
			w.mu.Unlock()
			if died {
				_ = w.db.Close()
				w.open()
			}
			w.pass(31 * time.Second)
		}
		var wait sync.WaitGroup
		for range 3 {
			other := w.service()
			wait.Go(func() {
				for {
					tn, err := other.lease(t.Context())
					if err != nil || tn == nil {
						return
					}
					_ = other.process(t.Context(), tn)
				}
			})
		}
		wait.Wait()
		for range len(w.replies()) - len(posts) {
			posts = append(posts, w.now)
		}
		w.pass(time.Hour)
	}
	days := map[int]int{}
	for _, p := range posts {
		if h := p.UTC().Hour(); h >= 12 {
			t.Errorf("said at %s", p)
		}
		days[p.YearDay()]++
	}
	for d, n := range days {
		if n > 3 {
			t.Errorf("%d on day %d", n, d)
		}
	}
	if len(posts) < 6 {
		t.Errorf("%d posts in 60 hours: the test shows nothing", len(posts))
	}
	said := 0
	for _, e := range w.told() {
		if e.Action == "reply" {
			said++
		}
	}
	if open := w.count(`select count(*) from decisions where state = 'open'`); said+int(open) != len(posts) {
		t.Errorf("%d posts, %d events, %d open", len(posts), said, open)
	}
}

// A worker dies after it decided, before or after it posted: it is said once, or, when
// somebody speaks or the owner pauses it meanwhile, only if it was said already.
func TestABeginningIsSaidOnce(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		posted bool
		after  string
		want   int
	}{{false, "", 1}, {true, "", 1}, {false, "spoke", 0}, {true, "spoke", 1}, {false, "paused", 0}, {true, "paused", 1}} {
		w := newWorld(t)
		w.hear(event.AgentCreated{AgentState: state(mira, 1, eager)})
		w.place = group()
		w.hear(w.ended(1, false))
		w.pass(postAfter + time.Minute)
		dying, err := w.s.lease(t.Context())
		if err != nil || dying == nil {
			t.Fatal(err)
		}
		q := question{decision: decisionOf(dying.id, 0), turn: dying.id, lease: dying.lease, agent: mira, session: dying.session, room: hall, place: event.ContextGroupSmall,
			consent: true, begins: event.BeginsPost, cause: &dying.event}
		_, committed, err := w.s.decide(t.Context(), q)
		if err != nil || committed() != nil {
			t.Fatal(err)
		}
		if x.posted {
			if _, err := w.PostReply(t.Context(), Reply{DecisionID: q.decision, AgentID: mira, RoomID: hall, Text: "Ahoy", Begin: &Begin{}}); err != nil {
				t.Fatal(err)
			}
		}
		switch x.after {
		case "spoke":
			w.seq[hall]++
			w.place.LastAt = w.clock().UnixMicro()
		case "paused":
			a := state(mira, 1, eager)
			a.Learning = false
			w.hear(event.AgentUpdated{AgentState: a})
		}
		w.pass(31 * time.Second)
		w.work(w.service())
		if got, told := w.replies(), w.told(); len(got) != x.want || len(told) != 1 || (told[0].Action == "reply") != (x.want == 1) {
			t.Errorf("%+v: %d said, %+v", x, len(got), told)
		}
	}
}

// Who is erased leaves nothing that waits for a morning.
func TestNothingWaitsForTheErased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hear(event.AgentCreated{AgentState: state(mira, 1, eager)})
	w.hear(w.ended(1, false), event.AgentRetired{AgentID: mira, Erased: true})
	if n := w.count(`select count(*) from turns`); n != 0 {
		t.Errorf("%d turns", n)
	}
}

// In a group of the owner's an agent may bring in another of theirs, and says so.
func TestInvite(t *testing.T) {
	t.Parallel()
	invited, posts := 0, 0
	for i := range 12 {
		w := newWorld(t, func(o *Options) { o.Key = fmt.Appendf(nil, "a key of this test number %d", i) })
		w.hear(event.AgentCreated{AgentState: state(mira, 1, eager)}, event.AgentCreated{AgentState: state(otto, 1)})
		w.place = group()
		w.place.By = ann
		w.hear(w.ended(1, false))
		w.pass(postAfter + time.Minute)
		w.work(w.s)
		got, told := w.replies(), w.told()
		if len(got) != 1 || len(told) != 1 {
			t.Fatalf("%+v", told)
		}
		ask := w.model.requests()[0].Messages
		switch last := ask[len(ask)-1].Text; {
		case told[0].Begins == event.BeginsInvite && got[0].Begin.Brings == otto && strings.Contains(last, "OTTO"):
			invited++
		case told[0].Begins == event.BeginsPost && got[0].Begin.Brings == "" && last == askPost:
			posts++
		default:
			t.Errorf("%+v %+v %q", told[0], got[0], last)
		}
	}
	if invited == 0 || posts == 0 {
		t.Errorf("%d invitations, %d posts", invited, posts)
	}
}

// A model that fails is not shown as trouble: nobody waits.
func TestABeginningThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hear(event.AgentCreated{AgentState: state(mira, 1, eager)})
	w.place = alone()
	w.hear(w.ended(1, true))
	w.pass(threadAfter + time.Minute)
	w.model.set(func(m *model) { m.say, m.fail = nil, &provider.Error{Code: provider.CodeRateLimited, Provider: "test"} })
	w.work(w.s)
	if told := w.told(); len(told) != 1 || told[0].Action != "failed" || len(w.troubles) != 0 || len(w.replies()) != 0 {
		t.Errorf("%+v, %+v", told, w.troubles)
	}
}
