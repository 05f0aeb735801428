package chat_test

import (
	"strings"
	"testing"

	"rapport/chat"
	"rapport/event"
	"rapport/internal/authz"
)

func TestTalkMakesOneDirectRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	if !r.Direct || len(r.Members) != 2 || r.Consent == nil || !*r.Consent {
		t.Errorf("%+v", r)
	}
	same(t, "Luna Bright", r.Members[1].Name)
	same(t, []event.Type{"room.created", "room.joined", "room.joined"}, w.types())
	same(t, r.ID, w.talk(ada, luna).ID)
	same(t, 0, len(w.types()))
	if other := w.talk(bob, luna); other.ID == r.ID || *other.Consent {
		t.Errorf("bob got %+v", other)
	}
	_, err := w.Talk(as(ada), "nobody")
	w.refused("agent_unknown", err)
	_, err = w.Invite(as(ada), r.ID, event.Member{PersonID: bob})
	w.refused("room_direct", err)

	w.hear(w.event(event.AgentRetired{AgentID: luna}))
	_, err = w.Talk(as(eve), luna)
	w.refused("agent_unknown", err)
}

func TestTalkWaitsForAnAgentJustMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := make(chan error)
	go func() {
		r, err := w.Talk(as(ada), "late")
		if err == nil && !*r.Consent {
			t.Error("the owner is not known")
		}
		got <- err
	}()
	w.hear(w.agent("late", ada, true))
	w.must(<-got)
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(ada, chat.NewRoom{Title: "One", Agents: []event.AgentID{luna}, People: []event.PersonID{bob}})
	events := w.events()
	invited := payloads[event.AgentInvited](t, events)
	if len(invited) != 1 || invited[0].Again || invited[0].By != ada {
		t.Errorf("%+v", invited)
	}
	joined := payloads[event.RoomJoined](t, events)
	if len(joined) != 3 || joined[1].Inviter != ada || joined[2].Members != 3 {
		t.Errorf("%+v", joined)
	}

	r := w.group(bob, chat.NewRoom{})
	for range 2 { // inviting who is there is no second invitation
		_, err := w.Invite(as(bob), r.ID, event.Member{AgentID: luna})
		w.must(err)
	}
	two := w.group(ada, chat.NewRoom{})
	_, err := w.Invite(as(ada), two.ID, event.Member{AgentID: luna})
	w.must(err)
	var again []bool
	for _, i := range payloads[event.AgentInvited](t, w.events()) {
		again = append(again, i.Again)
	}
	same(t, []bool{false, true}, again) // bob's first, ada's second
}

func TestRoomRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna}})
	create := func(n chat.NewRoom) error { _, err := w.CreateRoom(as(ada), n, ""); return err }
	invite := func(p event.PersonID, m event.Member) error { _, err := w.Invite(as(p), r.ID, m); return err }

	w.refused("title_hides", create(chat.NewRoom{Title: "Kitchen\u202e"}))
	w.refused("title_hides", create(chat.NewRoom{Title: "\u200b"}))
	w.refused("title_too_long", create(chat.NewRoom{Title: strings.Repeat("é", chat.MaxTitle+1)}))
	w.must(create(chat.NewRoom{Title: strings.Repeat("é", chat.MaxTitle)}))
	w.refused("text_has_nul", create(chat.NewRoom{Title: "a\x00"}))
	w.refused("agent_unknown", create(chat.NewRoom{Agents: []event.AgentID{"nobody"}}))
	w.refused("person_unknown", create(chat.NewRoom{People: []event.PersonID{"nobody"}}))
	w.refused("room_full", create(chat.NewRoom{People: make([]event.PersonID, chat.MaxMembers)}))
	w.refused("member_invalid", invite(ada, event.Member{}))
	w.refused("member_invalid", invite(ada, event.Member{AgentID: luna, PersonID: bob}))
	w.refused("person_unknown", invite(ada, event.Member{PersonID: "nobody"}))
	w.refused("room_unknown", invite(bob, event.Member{PersonID: "nobody"}))
	w.refused("room_unknown", w.Remove(as(bob), r.ID, string(ada)))
	w.refused("room_unknown", w.Remove(as(ada), "no-room", string(ada)))
	w.refused("room_unknown", w.SetConsent(as(bob), r.ID, true))
	_, err := w.CreateRoom(t.Context(), chat.NewRoom{}, "")
	w.refused("login_required", err)
	_, err = w.Room(as(bob), r.ID)
	w.refused("room_unknown", err)
	_, err = w.Room(as(bob, authz.ScopeAdmin), r.ID) // who talks with whom is nobody else's matter
	w.refused("room_unknown", err)
	_, err = w.End(as(bob), r.ID)
	w.refused("room_unknown", err)
}

func TestWhoMayTakeWhomOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{People: []event.PersonID{bob, eve}, Agents: []event.AgentID{luna}})
	w.refused("not_allowed", w.Remove(as(bob), r.ID, string(eve)))
	w.refused("not_allowed", w.Remove(as(bob), r.ID, string(luna)))
	_, err := w.Invite(as(bob), r.ID, event.Member{AgentID: fox})
	w.must(err)
	w.must(w.Remove(as(bob), r.ID, string(bob)))
	w.must(w.Remove(as(bob), r.ID, string(fox))) // his own, though he is outside
	w.must(w.Remove(as(ada), r.ID, string(eve))) // she made the room
	w.must(w.Remove(as(ada), r.ID, string(eve)))
	left := payloads[event.RoomLeft](t, w.events())
	var who []string
	for _, l := range left {
		who = append(who, l.Member.ID())
	}
	same(t, []string{"bob", "fox", "eve"}, who)
	same(t, 2, left[2].Members)
	_, err = w.Room(as(bob), r.ID)
	w.refused("room_unknown", err)
}

func TestRoomsAreListedById(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []event.RoomID
	for range 5 {
		want = append(want, w.group(ada, chat.NewRoom{}).ID)
	}
	w.group(bob, chat.NewRoom{})
	var got []event.RoomID
	for after := event.RoomID(""); ; {
		page, err := w.Rooms(as(ada), after, 2)
		w.must(err)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			got = append(got, r.ID)
		}
		after = page[len(page)-1].ID
	}
	same(t, want, got)
}

func TestConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stamp := func() bool {
		t.Helper()
		got := payloads[event.MessageCreated](t, w.events())
		if len(got) != 1 {
			t.Fatalf("%d messages", len(got))
		}
		return got[0].Consent
	}
	own := w.talk(ada, luna)
	w.post(ada, own, "hi")
	same(t, true, stamp()) // the owner alone with her agent
	guest := w.talk(bob, luna)
	w.post(bob, guest, "hi")
	same(t, false, stamp())
	w.must(w.SetConsent(as(bob), guest.ID, true))
	w.must(w.SetConsent(as(bob), guest.ID, true))
	same(t, []event.Type{"room.consent.changed"}, w.types())
	w.post(bob, guest, "hi")
	same(t, true, stamp())
	w.must(w.SetConsent(as(ada), own.ID, false))
	w.post(ada, own, "hi")
	same(t, false, stamp())

	group := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna}, People: []event.PersonID{bob}})
	w.events()
	m := w.post(ada, group, "hi")
	same(t, false, stamp()) // not alone: she must say yes
	w.must(w.React(as(bob), group.ID, m.ID, "👍"))
	same(t, false, payloads[event.ReactionAdded](t, w.events())[0].Consent)
	w.must(w.SetConsent(as(bob), group.ID, true))
	w.must(w.React(as(bob), group.ID, m.ID, "🔥"))
	same(t, true, payloads[event.ReactionAdded](t, w.events())[0].Consent)

	// A new owner is not the one who consented by owning.
	two := w.talk(bob, fox)
	w.hear(w.event(event.AgentTransferred{AgentID: fox, From: bob, To: eve}))
	w.events()
	w.post(bob, two, "hi")
	same(t, false, stamp())
}

func TestProtectionOfOneProtectsTheRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna}, People: []event.PersonID{bob}})
	stamp := func() [2]bool {
		t.Helper()
		w.events()
		w.post(ada, r, "hi")
		id, err := w.End(as(ada), r.ID)
		w.must(err)
		same(t, 1, len(id))
		e := w.events()
		return [2]bool{payloads[event.MessageCreated](t, e)[0].Protected, payloads[event.SessionEnded](t, e)[0].Protected}
	}
	same(t, [2]bool{false, false}, stamp())
	w.hear(w.event(event.ProtectionChanged{PersonID: bob, Protected: true, Until: w.clock.Load() + 1000}))
	same(t, [2]bool{true, true}, stamp())
	w.clock.Add(1000) // over
	same(t, [2]bool{false, false}, stamp())
	w.hear(w.event(event.ProtectionChanged{PersonID: bob, Protected: true}))
	same(t, [2]bool{true, true}, stamp())

	w.post(ada, r, "said while he is here")
	w.must(w.Remove(as(bob), r.ID, string(bob)))
	w.post(ada, r, "said when he is gone")
	w.events()
	_, err := w.End(as(ada), r.ID)
	w.must(err)
	same(t, true, payloads[event.SessionEnded](t, w.events())[0].Protected) // it was protected once
	same(t, [2]bool{false, false}, stamp())
}
