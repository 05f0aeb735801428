package chat_test

import (
	"testing"
	"time"

	"rapport/chat"
	"rapport/event"
)

// TestLinks: whoever has a link comes in, with their own word on what may be learned,
// until it expires, its maker ends it, makes another one or leaves.
func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Title: "Kitchen", Agents: []event.AgentID{luna}})
	_, err := w.MakeLink(as(bob), r.ID)
	w.refused("room_unknown", err)
	w.refused("room_unknown", w.EndLink(as(bob), r.ID))
	_, err = w.MakeLink(as(ada), w.talk(ada, luna).ID)
	w.refused("room_direct", err)

	link := func() string {
		t.Helper()
		l, err := w.MakeLink(as(ada), r.ID)
		w.must(err)
		if len(l.Link) < 26 || l.ExpiresAt.Sub(w.time()) != chat.LinkLife {
			t.Errorf("%+v", l)
		}
		return l.Link
	}
	join := func(p event.PersonID, secret string, consent *bool) (chat.Room, error) {
		return w.Join(as(p), chat.NewMember{Link: secret, Consent: consent})
	}
	first := link()
	second := link()
	for _, bad := range []string{"", "x", first} {
		_, err = join(bob, bad, nil)
		w.refused("link_unknown", err)
	}
	w.events()
	in, err := join(bob, second, nil)
	w.must(err)
	if in.ID != r.ID || len(in.Members) != 3 || *in.Consent {
		t.Errorf("bob came into %+v", in)
	}
	joined := payloads[event.RoomJoined](t, w.events())
	if len(joined) != 1 || joined[0].Inviter != ada || joined[0].Member.PersonID != bob {
		t.Errorf("%+v", joined)
	}
	in, err = join(bob, second, new(true)) // again: nothing but his word
	w.must(err)
	same(t, true, *in.Consent)
	same(t, []event.Type{"room.consent.changed"}, w.types())

	w.must(w.EndLink(as(ada), r.ID))
	w.must(w.EndLink(as(ada), r.ID))
	_, err = join(eve, second, nil)
	w.refused("link_unknown", err)

	third := link()
	w.pass(chat.LinkLife + time.Second)
	_, err = join(eve, third, nil)
	w.refused("link_unknown", err)

	fourth := link()
	w.must(w.Remove(as(ada), r.ID, string(ada)))
	_, err = join(eve, fourth, nil)
	w.refused("link_unknown", err)
}

// TestGroups: rooms for more than a person and an agent, and only one's own.
func TestGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.talk(ada, luna)
	one := w.group(ada, chat.NewRoom{Title: "One"})
	w.group(bob, chat.NewRoom{Title: "Two"})
	left := w.group(ada, chat.NewRoom{Title: "Three", People: []event.PersonID{bob}})
	w.must(w.Remove(as(ada), left.ID, string(ada)))
	list, err := w.Groups(as(ada), 0)
	w.must(err)
	if len(list) != 1 || list[0].ID != one.ID || list[0].Title != "One" {
		t.Errorf("%+v", list)
	}
}

// TestWhoMayTakeOut: a room says whom the person asking may take out, and that is whom
// they can.
func TestWhoMayTakeOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Title: "One", People: []event.PersonID{bob}})
	for by, who := range map[event.PersonID]event.Member{ada: {AgentID: luna}, bob: {PersonID: eve}} {
		_, err := w.Invite(as(by), r.ID, who)
		w.must(err)
	}
	_, err := w.Invite(as(bob), r.ID, event.Member{AgentID: fox})
	w.must(err)
	for asking, want := range map[event.PersonID][]string{ada: {"ada", "bob", "luna", "eve", "fox"}, bob: {"bob", "eve", "fox"}, eve: {"eve"}} {
		shown, err := w.Room(as(asking), r.ID)
		w.must(err)
		may := map[string]bool{}
		for _, m := range shown.Members {
			if m.MayRemove {
				may[string(m.PersonID)+string(m.AgentID)] = true
			}
			if m.Yours != (asking == ada && m.AgentID == luna || asking == bob && m.AgentID == fox) {
				t.Errorf("%s sees %+v", asking, m)
			}
		}
		for _, id := range want {
			if !may[id] {
				t.Errorf("%s is not told that they may take out %s", asking, id)
			}
		}
		if len(may) != len(want) {
			t.Errorf("%s may take out %v", asking, may)
		}
	}
	w.refused("not_allowed", w.Remove(as(eve), r.ID, string(bob)))
	w.must(w.Remove(as(bob), r.ID, string(eve)))
}
