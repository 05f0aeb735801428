package chat_test

import (
	"testing"
	"time"

	"rapport/chat"
	"rapport/event"
)

// says is an agent's answer in its session, as the gateway posts it.
func (w *world) says(a event.AgentID, r chat.Room, session event.SessionID, to event.MessageID, text string) event.MessageCreated {
	w.Helper()
	w.events()
	_, err := w.PostReply(w.Context(), chat.Reply{DecisionID: event.DecisionID(event.NewID()), AgentID: a, RoomID: r.ID, SessionID: session, ReplyTo: to, Text: text})
	w.must(err)
	return payloads[event.MessageCreated](w, w.events())[0]
}

func in(a event.AgentID, s event.SessionID) event.MessageSession {
	return event.MessageSession{AgentID: a, SessionID: s}
}

// What an agent says is for the others that people talk with; it opens no session and
// prolongs none but its own, and that only when a person is answered.
func TestAgentsHearEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna, fox}})
	w.events()
	hi := w.post(ada, r, "@luna hello")
	sessions := map[event.AgentID]event.SessionID{}
	for _, s := range payloads[event.MessageCreated](t, w.events())[0].Sessions {
		sessions[s.AgentID] = s.SessionID
	}
	w.pass(time.Minute)
	last := w.clock.Load()
	first := w.says(luna, r, sessions[luna], hi.ID, "@fox what do you think?")
	same(t, []event.MessageSession{in(luna, sessions[luna]), in(fox, sessions[fox])}, first.Sessions)
	same(t, []event.AgentID{fox}, first.Addressed)
	w.pass(10 * time.Minute)
	second := w.says(fox, r, sessions[fox], first.MessageID, "Grapes are sour.")
	same(t, []event.MessageSession{in(fox, sessions[fox]), in(luna, sessions[luna])}, second.Sessions)
	same(t, []event.AgentID{luna}, second.Addressed)

	w.pass(10 * time.Minute) // fox has been silent towards people for 21 minutes, luna for 20
	late := w.says(luna, r, sessions[luna], second.MessageID, "Sweet!")
	same(t, []event.MessageSession{in(luna, sessions[luna])}, late.Sessions)
	same(t, 2, w.idle())
	for _, e := range w.ended() {
		want := last
		if e.AgentID == fox {
			want -= 60_000_000
		}
		same(t, want, e.EndedAt)
	}
	alone := w.says(fox, r, sessions[fox], late.MessageID, "Nobody is here.") // after the end of all
	same(t, []event.MessageSession{in(fox, sessions[fox])}, alone.Sessions)
	same(t, 0, w.idle())
}

// What an agent begins is nobody's turn, and one that is stopped gets none.
func TestWhoDoesNotHearAnAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna, fox}})
	hi := w.post(ada, r, "hello")
	dead := event.AgentState{AgentID: fox, OwnerID: bob}
	own := payloads[event.MessageCreated](t, w.events())[0].Sessions
	sessions := map[event.AgentID]event.SessionID{}
	for _, s := range own {
		sessions[s.AgentID] = s.SessionID
	}
	w.hear(w.event(event.AgentUpdated{AgentState: dead, Change: event.Change{Kind: event.ChangeKilled, By: "owner"}}))
	same(t, []event.MessageSession{in(luna, sessions[luna])}, w.says(luna, r, sessions[luna], hi.ID, "Fox?").Sessions)
	dead.Alive = true
	w.hear(w.event(event.AgentUpdated{AgentState: dead, Change: event.Change{Kind: event.ChangeRevived, By: "owner"}}))
	same(t, 2, len(w.says(luna, r, sessions[luna], hi.ID, "Fox?").Sessions))

	den := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna, fox}})
	w.events()
	hi = w.post(ada, den, "@fox hello")
	for _, s := range payloads[event.MessageCreated](t, w.events())[0].Sessions {
		sessions[s.AgentID] = s.SessionID
	}
	w.pass(chat.Silence / 2)
	w.says(fox, den, sessions[fox], hi.ID, "Hello.") // fox's talk lives, luna's is over soon
	w.pass(chat.Silence / 2)
	_, err := w.PostReply(w.Context(), chat.Reply{DecisionID: "begins", AgentID: luna, RoomID: den.ID, SessionID: "new", Text: "@fox!", Begin: &chat.Begin{After: 2}})
	w.must(err)
	same(t, []event.MessageSession{in(luna, "new")}, payloads[event.MessageCreated](t, w.events())[0].Sessions)
}

// No count of a person tells of what agents said to each other: it is the same as if
// they had not.
func TestAsidesCountForNobody(t *testing.T) {
	t.Parallel()
	play := func(asides, leaves bool) []event.SessionEnded {
		w := newWorld(t)
		r := w.group(ada, chat.NewRoom{Title: "den", Agents: []event.AgentID{luna, fox}, People: []event.PersonID{bob}})
		w.events()
		say := func(p event.PersonID, text string) (event.MessageID, map[event.AgentID]event.SessionID) {
			w.pass(time.Minute)
			w.events()
			m := w.post(p, r, text)
			sessions := map[event.AgentID]event.SessionID{}
			for _, s := range payloads[event.MessageCreated](t, w.events())[0].Sessions {
				sessions[s.AgentID] = s.SessionID
			}
			return m.ID, sessions
		}
		q, s := say(ada, "@luna hello")
		w.pass(time.Second)
		a := w.says(luna, r, s[luna], q, "Hello. @fox?").MessageID
		gossip := func() {
			w.pass(10 * time.Second)
			if asides {
				b := w.says(fox, r, s[fox], a, "Hello, Luna.").MessageID
				w.pass(-5 * time.Second)
				w.says(luna, r, s[luna], b, "Well.")
				w.pass(5 * time.Second)
			}
		}
		gossip()
		q, _ = say(bob, "@luna good morning to you")
		a = w.says(luna, r, s[luna], q, "Morning!").MessageID
		gossip()
		w.events()
		if leaves {
			w.must(w.Remove(as(bob), r.ID, string(bob)))
		}
		w.pass(time.Minute)
		_, err := w.End(as(ada), r.ID)
		w.must(err)
		ended := w.ended()
		for i := range ended {
			e := &ended[i]
			e.RoomID, e.SessionID, e.Messages = "", "", 0
			for j := range e.People {
				if e.People[j].Answer != "" {
					e.People[j].Answer = "some"
				}
			}
		}
		return ended
	}
	for _, leaves := range []bool{false, true} {
		without := play(false, leaves)
		same(t, without, play(true, leaves))
		for _, e := range without {
			if n := len(e.People); n != 2 || e.AgentID == luna && e.AgentMessages != 2 || e.AgentID == fox && e.AgentMessages != 0 {
				t.Errorf("%+v", e)
			}
			for _, p := range e.People {
				if p.PersonID == bob && e.AgentID == luna && p.LeftAfter != leaves {
					t.Errorf("%+v", p)
				}
			}
		}
	}
}
