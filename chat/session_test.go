package chat_test

import (
	"testing"
	"time"

	"rapport/chat"
	"rapport/event"
)

func (w *world) ended() []event.SessionEnded {
	w.Helper()
	return payloads[event.SessionEnded](w, w.events())
}

func (w *world) idle() int {
	w.Helper()
	n, err := w.EndIdle(w.Context(), w.clock.Load())
	w.must(err)
	return n
}

func TestSessionOfTwoIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.events()
	say := func(wait time.Duration, text string) { w.pass(wait); w.post(ada, r, text) }
	answer := func(wait time.Duration, d string) { w.pass(wait); w.reply(luna, r, d, "sure") }

	say(0, "great") // 5 characters
	answer(time.Second, "d1")
	say(10*time.Second, "good good!") // 10, pause 10 s
	say(time.Second, "x")             // 1: no pause, it follows her own
	answer(time.Second, "d2")
	answer(time.Second, "d3")
	say(30*time.Second, "seventeen letters") // 17, pause 30 s after d3
	answer(time.Second, "d4")
	start := w.clock.Load() - 45_000_000
	w.pass(2 * time.Minute)
	ids, err := w.End(as(ada), r.ID)
	w.must(err)
	same(t, 1, len(ids))
	got := w.ended()
	same(t, 1, len(got))
	p := got[0].People
	if len(p) != 1 || p[0].Sentiment <= .2 || p[0].Sentiment >= .6 {
		t.Fatalf("%+v", p)
	}
	p[0].Sentiment = 0
	same(t, event.SessionEnded{SessionID: ids[0], AgentID: luna, RoomID: r.ID, StartedBy: ada, StartedAt: start, EndedAt: w.clock.Load(),
		AgentMessages: 4, Messages: 8, Direct: true,
		People: []event.SessionPerson{{PersonID: ada, Turns: 4, MedianChars: 5, LatencyMilli: 10_000, Consent: true, With: 4, WithMilli: got[0].People[0].WithMilli,
			Answer: got[0].People[0].Answer, Stood: got[0].People[0].Stood, Spoken: 1}}}, got[0])
	same(t, 165*time.Second, got[0].Duration())

	ids, err = w.End(as(ada), r.ID)
	w.must(err)
	same(t, 0, len(ids))
	same(t, 0, len(w.events()))
}

func TestSilenceEndsASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.post(ada, r, "hi")
	w.pass(time.Minute)
	w.reply(luna, r, "d", "hello")
	last := w.clock.Load()
	w.pass(chat.Silence - time.Microsecond)
	same(t, 0, w.idle())
	w.pass(time.Microsecond)
	w.events()
	same(t, 1, w.idle())
	same(t, 0, w.idle())
	got := w.ended()
	if len(got) != 1 || got[0].EndedAt != last || got[0].Duration() != time.Minute || !got[0].People[0].Abandoned {
		t.Errorf("%+v", got)
	}
	w.post(ada, r, "back")
	same(t, 1, len(payloads[event.SessionStarted](t, w.events())))
}

func TestSilenceEndsASessionAlsoBeforeTheJobRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.post(ada, r, "hi")
	w.pass(chat.Silence)
	w.events()
	w.post(ada, r, "back")
	events := w.events()
	same(t, []event.Type{"session.ended", "session.started", "message.created"}, []event.Type{events[0].Type, events[1].Type, events[2].Type})
	same(t, day, payloads[event.SessionEnded](t, events)[0].EndedAt)
	same(t, 0, w.idle())
}

func TestAbandoned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play func(w *world, r chat.Room)
		want bool
	}{
		"the agent's answer was met with silence": {func(w *world, r chat.Room) { w.post(ada, r, "a"); w.reply(luna, r, "1", "b") }, true},
		"the agent began and nobody answered":     {func(w *world, r chat.Room) { w.reply(luna, r, "1", "b") }, true},
		"after two messages": {func(w *world, r chat.Room) {
			w.post(ada, r, "a")
			w.reply(luna, r, "1", "b")
			w.post(ada, r, "c")
			w.reply(luna, r, "2", "d")
		}, true},
		"the person spoke last": {func(w *world, r chat.Room) { w.post(ada, r, "a"); w.reply(luna, r, "1", "b"); w.post(ada, r, "c") }, false},
		"the agent never spoke": {func(w *world, r chat.Room) { w.post(ada, r, "a") }, false},
		"after three messages": {func(w *world, r chat.Room) {
			for _, d := range []string{"1", "2", "3"} {
				w.post(ada, r, "a")
				w.reply(luna, r, d, "b")
			}
		}, false},
		"the person ended it": {func(w *world, r chat.Room) {
			w.post(ada, r, "a")
			w.reply(luna, r, "1", "b")
			_, err := w.End(as(ada), r.ID)
			w.must(err)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.play(w, w.talk(ada, luna))
			w.pass(chat.Silence)
			w.idle()
			got := w.ended()
			if len(got) != 1 || len(got[0].People) != 1 || got[0].People[0].Abandoned != c.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{People: []event.PersonID{bob, eve}, Agents: []event.AgentID{luna, fox}})
	w.post(bob, r, "hi all")
	w.reply(luna, r, "d1", "hello")
	w.must(w.Remove(as(bob), r.ID, string(bob))) // right after luna spoke
	w.post(ada, r, "bye bob")
	w.must(w.Remove(as(eve), r.ID, string(eve))) // not after an agent
	same(t, 0, len(w.ended()))

	w.must(w.Remove(as(ada), r.ID, string(luna)))
	got := w.ended()
	same(t, 1, len(got))
	same(t, luna, got[0].AgentID)
	same(t, map[event.PersonID]bool{ada: false, bob: true, eve: false}, leftAfter(got[0]))
	same(t, 1, got[0].AgentMessages)

	w.must(w.Remove(as(ada), r.ID, string(ada))) // nobody is left to talk with
	got = w.ended()
	same(t, 1, len(got))
	same(t, fox, got[0].AgentID)
	same(t, map[event.PersonID]bool{ada: false, bob: false, eve: false}, leftAfter(got[0]))
	same(t, 0, got[0].AgentMessages)
}

func leftAfter(e event.SessionEnded) map[event.PersonID]bool {
	out := map[event.PersonID]bool{}
	for _, p := range e.People {
		out[p.PersonID] = p.LeftAfter
	}
	return out
}

func TestEveryAgentHasItsOwnSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna, fox}})
	w.events()
	w.reply(luna, r, "d1", "anyone here?") // luna begins; fox has no part in it
	first := w.events()
	same(t, 1, len(payloads[event.SessionStarted](t, first)))
	same(t, event.PersonID(""), payloads[event.SessionStarted](t, first)[0].StartedBy)
	w.post(ada, r, "yes")
	m := payloads[event.MessageCreated](t, w.events())[0]
	same(t, 2, len(m.Sessions))
	if m.Sessions[0].SessionID == m.Sessions[1].SessionID {
		t.Error("one session for two agents")
	}
	w.pass(chat.Silence / 2)
	w.reply(fox, r, "d2", "me too") // prolongs fox's only
	w.pass(chat.Silence / 2)
	w.events()
	same(t, 1, w.idle())
	same(t, luna, w.ended()[0].AgentID)
}

func TestALateReplyBelongsToTheSessionOfItsDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.post(ada, r, "hi")
	session := payloads[event.MessageCreated](t, w.events())[0].Sessions[0].SessionID
	_, err := w.End(as(ada), r.ID)
	w.must(err)
	w.events()
	_, err = w.PostReply(t.Context(), chat.Reply{DecisionID: "d", AgentID: luna, RoomID: r.ID, SessionID: session, Text: "late"})
	w.must(err)
	events := w.events()
	same(t, 1, len(events)) // no session begins
	same(t, session, payloads[event.MessageCreated](t, events)[0].Sessions[0].SessionID)
}

func TestConsentGivenLaterDoesNotReachBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(bob, luna)
	w.post(bob, r, "before")
	w.must(w.SetConsent(as(bob), r.ID, true))
	w.post(bob, r, "after")
	_, err := w.End(as(bob), r.ID)
	w.must(err)
	same(t, false, w.ended()[0].People[0].Consent)
	w.post(bob, r, "next time")
	_, err = w.End(as(bob), r.ID)
	w.must(err)
	same(t, true, w.ended()[0].People[0].Consent)
	w.post(bob, r, "taken back")
	w.must(w.SetConsent(as(bob), r.ID, false))
	_, err = w.End(as(bob), r.ID)
	w.must(err)
	same(t, false, w.ended()[0].People[0].Consent)
}
