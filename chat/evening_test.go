package chat_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"rapport/chat"
	"rapport/event"
)

func TestEvening(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hear(w.event(event.PointsSpent{SpendID: "pass-1", PersonID: ada, Item: event.ItemEvening}), w.event(event.PointsSpent{SpendID: "pass-1", PersonID: ada, Item: event.ItemEvening}),
		w.event(event.PointsSpent{SpendID: "none", PersonID: ada, Item: event.ItemSlot}))
	w.events()
	room := func(by event.PersonID, key, pass, theme string) (chat.Room, error) {
		return w.CreateRoom(as(by), chat.NewRoom{Title: "Stories", Agents: []event.AgentID{luna}, People: []event.PersonID{bob}, Evening: &chat.NewEvening{Pass: pass, Theme: theme}}, key)
	}
	for code, try := range map[string][2]string{"theme_missing": {"pass-1", "  "}, "theme_too_long": {"pass-1", strings.Repeat("x", 61)}, "text_has_nul": {"pass-1", "a\x00"}, "pass_unknown": {"none", "Fire"}} {
		_, err := room(ada, "", try[0], try[1])
		w.refused(code, err)
	}
	_, err := room(bob, "", "pass-1", "Fire")
	w.refused("pass_unknown", err)
	r, err := room(ada, "k", "pass-1", "Ghosts by the fire")
	w.must(err)
	if r.Evening == nil || r.Evening.Theme != "Ghosts by the fire" || r.Evening.Over || !r.Evening.EndsAt.Equal(w.time().UTC().Add(chat.EveningLength)) {
		t.Fatalf("%+v", r.Evening)
	}
	for _, e := range w.events() {
		if strings.Contains(string(e.Data), "Ghosts") || strings.Contains(string(e.Data), "pass-1") {
			t.Errorf("%s tells of it: %s", e.Type, e.Data)
		}
	}
	again, err := room(ada, "k", "pass-1", "Ghosts by the fire")
	w.must(err)
	same(t, r.ID, again.ID)
	_, err = room(ada, "", "pass-1", "Another")
	w.refused("pass_used", err)

	w.post(bob, r, "Once upon a time")
	w.reply(luna, r, "d1", "there was a lighthouse")
	w.pass(chat.EveningLength)
	_, err = w.Post(as(bob), r.ID, chat.NewMessage{Text: "and then"}, "")
	w.refused("room_over", err)
	_, err = w.PostReply(context.Background(), chat.Reply{DecisionID: "d2", AgentID: luna, RoomID: r.ID, Text: "the end"})
	w.refused("room_over", err)
	_, err = w.Invite(as(ada), r.ID, event.Member{PersonID: eve})
	w.refused("room_over", err)
	late, err := w.Room(as(bob), r.ID)
	w.must(err)
	page, err := w.Messages(as(bob), r.ID, 0, 0, 10)
	w.must(err)
	if !late.Evening.Over || len(page.Messages) != 2 {
		t.Errorf("%+v, %d messages", late.Evening, len(page.Messages))
	}
	w.must(w.SetConsent(as(bob), r.ID, false)) // one's word and one's leave are always free
	w.must(w.Remove(as(bob), r.ID, string(bob)))
	if plain := w.group(ada, chat.NewRoom{}); plain.Evening != nil {
		t.Errorf("%+v", plain.Evening)
	}
}

// TestLargerThanOthers: an evening holds more members than other rooms, and no more
// than that.
func TestLargerThanOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hear(w.event(event.PointsSpent{SpendID: "pass-1", PersonID: ada, Item: event.ItemEvening}))
	crowd := make([]event.PersonID, chat.MaxMembers)
	for i := range crowd {
		crowd[i] = bob
	}
	_, err := w.CreateRoom(as(ada), chat.NewRoom{People: crowd}, "")
	w.refused("room_full", err)
	_, err = w.CreateRoom(as(ada), chat.NewRoom{People: crowd, Evening: &chat.NewEvening{Pass: "pass-1", Theme: "Crowd"}}, "")
	w.must(err)
	_, err = w.CreateRoom(as(ada), chat.NewRoom{People: make([]event.PersonID, chat.MaxEvening), Evening: &chat.NewEvening{Pass: "pass-1", Theme: "Crowd"}}, "")
	w.refused("room_full", err)
}

func TestErasedEvening(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hear(w.event(event.PointsSpent{SpendID: "pass-1", PersonID: ada, Item: event.ItemEvening}), w.event(event.PointsSpent{SpendID: "pass-2", PersonID: ada, Item: event.ItemEvening}))
	r, err := w.CreateRoom(as(ada), chat.NewRoom{People: []event.PersonID{bob}, Evening: &chat.NewEvening{Pass: "pass-1", Theme: "Ada's own"}}, "")
	w.must(err)
	w.hear(w.event(event.AccountErased{PersonID: ada}))
	r, err = w.Room(as(bob), r.ID)
	w.must(err)
	if r.Evening.Theme != "" || len(dump(t, w.db, "passes")["passes"]) != 0 {
		t.Errorf("%+v", r.Evening)
	}
}

// forgetful knows nobody any more.
type forgetful struct{ cast }

func (forgetful) Names(context.Context, []event.PersonID) (map[event.PersonID]string, error) {
	return nil, nil
}

func TestExchange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna, fox}, People: []event.PersonID{bob}})
	w.post(ada, r, "Before the talk")
	_, err := w.End(as(ada), r.ID)
	w.must(err)
	w.pass(time.Minute)
	gone := w.post(bob, r, "A secret")
	w.post(bob, r, "Hello, Luna")
	answer := w.reply(luna, r, "d1", "Hello, Bob")
	w.reply(fox, r, "d2", "Me too")
	w.must(w.Delete(as(bob), r.ID, gone.ID))
	w.must(w.Remove(as(ada), r.ID, string(fox)))
	var session event.SessionID
	for _, e := range payloads[event.SessionStarted](t, w.events()) {
		if e.AgentID == luna {
			session = e.SessionID
		}
	}
	get := func(session event.SessionID, m event.MessageID, limit int) chat.Exchange {
		t.Helper()
		x, err := w.Exchange(context.Background(), r.ID, session, m, limit)
		w.must(err)
		return x
	}
	var said []string
	x := get(session, answer, 8)
	for _, l := range x.Lines {
		said = append(said, l.Author.ID()+": "+l.Text)
	}
	same(t, []string{"bob: ", "bob: Hello, Luna", "luna: Hello, Bob"}, said)
	same(t, []string{"Ada L.", "Bob", "Fox", "Luna Bright"}, x.Names)
	same(t, 2, len(get(session, answer, 2).Lines))
	same(t, chat.Exchange{}, get(session, "nothing", 8))
	same(t, chat.Exchange{}, get("nothing", answer, 8))
	same(t, chat.Exchange{}, get(session, gone.ID, 8))
	w.hear(w.event(event.ProtectionChanged{PersonID: ada, Protected: true}))
	same(t, chat.Exchange{}, get(session, answer, 8))
	w.hear(w.event(event.ProtectionChanged{PersonID: ada}))
	same(t, 3, len(get(session, answer, 8).Lines))
	later, err := chat.New(t.Context(), w.db, chat.Options{Clock: w.time, People: forgetful{}, Agents: cast{}})
	w.must(err)
	x, err = later.Exchange(context.Background(), r.ID, session, answer, 8)
	w.must(err)
	same(t, chat.Exchange{}, x)
}
