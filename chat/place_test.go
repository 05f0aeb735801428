package chat_test

import (
	"context"
	"testing"
	"time"

	"rapport/chat"
	"rapport/event"
)

// TestAnAgentBegins: a session begins with what an agent says by itself, and only where
// nobody said anything meanwhile, nobody is protected and everybody allows it.
func TestAnAgentBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	direct, err := w.Talk(as(ada), luna)
	w.must(err)
	place := func(r chat.Room, who event.AgentID) chat.Place {
		t.Helper()
		p, err := w.Place(ctx, r.ID, who)
		w.must(err)
		return p
	}
	p := place(direct, luna)
	same(t, chat.Place{Alone: true, Person: ada, By: ada, People: 1, Members: 2, Agents: []event.AgentID{luna}, Consent: true, Full: true}, p)
	_, err = w.Place(ctx, direct.ID, fox)
	w.refused("room_unknown", err)

	say := func(r chat.Room, d event.DecisionID, b chat.Begin) (event.MessageID, error) {
		return w.PostReply(ctx, chat.Reply{DecisionID: d, AgentID: luna, RoomID: r.ID, SessionID: event.SessionID("s-" + d), Text: "Ahoy", Begin: &b})
	}
	w.events()
	id, err := say(direct, "d1", chat.Begin{})
	w.must(err)
	again, err := say(direct, "d1", chat.Begin{After: -1})
	w.must(err)
	same(t, id, again)
	var began event.SessionStarted
	var said event.MessageCreated
	n := 0
	for _, e := range w.events() {
		n++
		switch e.Type {
		case began.EventType():
			began, err = event.As[event.SessionStarted](e)
		case said.EventType():
			said, err = event.As[event.MessageCreated](e)
		}
		w.must(err)
	}
	if n != 2 || began.SessionID != "s-d1" || began.StartedBy != "" || len(said.Sessions) != 1 || said.Sessions[0].SessionID != "s-d1" || said.DecisionID != "d1" {
		t.Errorf("%d events, %+v %+v", n, began, said)
	}
	if p := place(direct, luna); !p.Talking || p.Sequence != 1 || p.LastAt == 0 {
		t.Errorf("%+v", p)
	}
	_, err = say(direct, "d2", chat.Begin{After: 1}) // its session lives
	w.refused("talk_went_on", err)
	w.pass(time.Hour)
	_, err = say(direct, "d2", chat.Begin{After: 0})
	w.refused("talk_went_on", err)
	_, err = say(direct, "d3", chat.Begin{After: 1, Unasked: true}) // the one before fell silent and ends
	w.must(err)
	w.post(ada, direct, "Hello")
	same(t, "s-d3", string(w.lastSession(direct)))

	group := w.group(ada, chat.NewRoom{People: []event.PersonID{bob}, Agents: []event.AgentID{luna}})
	b := chat.Begin{Unasked: true, Brings: fox}
	_, err = say(group, "g1", b)
	w.refused("no_consent", err)
	w.must(w.SetConsent(as(ada), group.ID, true))
	_, err = say(group, "g1", b)
	w.refused("no_consent", err)
	w.must(w.SetConsent(as(bob), group.ID, true))
	_, err = say(group, "g1", b)
	w.must(err)
	if p := place(group, fox); !p.Consent || p.Members != 4 || p.Alone || p.Person != "" || p.By != ada || p.Sequence != 1 {
		t.Errorf("%+v", p)
	}
	for _, e := range w.events() {
		if e.Type == (event.AgentInvited{}).EventType() {
			if i, _ := event.As[event.AgentInvited](e); i.AgentID == fox {
				t.Error("what an agent did counts as somebody's invitation")
			}
		}
	}
	w.pass(time.Hour)
	w.hear(w.event(event.ProtectionChanged{PersonID: bob, Protected: true}))
	_, err = say(group, "g2", chat.Begin{After: 1, Unasked: true})
	w.refused("no_consent", err)
}

// lastSession is the session of the newest message of a room.
func (w *world) lastSession(r chat.Room) (id event.SessionID) {
	for _, e := range w.events() {
		if m, err := event.As[event.MessageCreated](e); err == nil && m.RoomID == r.ID && len(m.Sessions) > 0 {
			id = m.Sessions[0].SessionID
		}
	}
	return id
}
