package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/chat"
	"rapport/event"
	"rapport/internal/authz"
)

func TestPostTellsNumbersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.events()
	m := w.post(ada, r, "Do you like my zebra joke? Haha")
	same(t, "Ada L.", m.Author.Name)
	events := w.events()
	for _, e := range events {
		if strings.Contains(string(e.Data), "zebra") || strings.Contains(string(e.Data), "Ada") {
			t.Errorf("personal text in %s", e.Type)
		}
	}
	started := payloads[event.SessionStarted](t, events)
	created := payloads[event.MessageCreated](t, events)
	if len(started) != 1 || len(created) != 1 || len(events) != 2 || events[0].Type != "session.started" {
		t.Fatalf("%v", events)
	}
	want := event.MessageCreated{RoomID: r.ID, MessageID: m.ID, Author: event.Member{Kind: "person", PersonID: ada}, Sequence: 1,
		Addressed: []event.AgentID{luna}, Sessions: []event.MessageSession{{AgentID: luna, SessionID: started[0].SessionID}},
		Features: created[0].Features, Turn: &event.Turn{Detector: 1, To: luna, Chance: 1}, Direct: true, People: 1, Members: 2, Consent: true}
	same(t, want, created[0])
	f := created[0].Features
	if f.Questions != 1 || f.Words != 7 || f.Sentiment <= 0 || f.Tags[0] != "humor" {
		t.Errorf("%+v", f)
	}
	same(t, ada, started[0].StartedBy)
}

func TestPostRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, other := w.talk(ada, luna), w.talk(ada, fox)
	elsewhere := w.post(ada, other, "there")
	w.events()
	for code, text := range map[string]string{
		"text_empty":    " \n\t",
		"text_has_nul":  "a\x00b",
		"text_not_utf8": "a\xff",
		"text_too_long": strings.Repeat("é", chat.MaxText+1),
	} {
		_, err := w.Post(as(ada), r.ID, chat.NewMessage{Text: text}, "")
		w.refused(code, err)
		_, err = w.PostReply(t.Context(), chat.Reply{DecisionID: "d", AgentID: luna, RoomID: r.ID, Text: text})
		w.refused(code, err)
	}
	post := func(p event.PersonID, n chat.NewMessage) error { _, err := w.Post(as(p), r.ID, n, ""); return err }
	w.refused("room_unknown", post(bob, chat.NewMessage{Text: "x"}))
	w.refused("reply_unknown", post(ada, chat.NewMessage{Text: "x", ReplyTo: "none"}))
	w.refused("reply_unknown", post(ada, chat.NewMessage{Text: "x", ReplyTo: elsewhere.ID}))
	_, err := w.Post(t.Context(), r.ID, chat.NewMessage{Text: "x"}, "")
	w.refused("login_required", err)
	_, err = w.PostReply(t.Context(), chat.Reply{AgentID: luna, RoomID: r.ID, Text: "x"})
	w.refused("decision_missing", err)
	_, err = w.PostReply(t.Context(), chat.Reply{DecisionID: "d", AgentID: fox, RoomID: r.ID, Text: "x"})
	w.refused("room_unknown", err)
	w.hear(w.event(event.AgentUpdated{AgentState: event.AgentState{AgentID: luna, OwnerID: ada}}))
	_, err = w.PostReply(t.Context(), chat.Reply{DecisionID: "d", AgentID: luna, RoomID: r.ID, Text: "x"})
	w.refused("agent_silenced", err)
	same(t, 0, len(w.events()))

	w.must(post(ada, chat.NewMessage{Text: strings.Repeat("é", chat.MaxText)}))
	got := payloads[event.MessageCreated](t, w.events())
	same(t, 1, len(got))
	same(t, 0, len(got[0].Sessions)) // luna is silenced
}

func TestARetiredAgentStaysSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.hear(w.event(event.AgentRetired{AgentID: luna}),
		w.event(event.AgentUpdated{AgentState: event.AgentState{AgentID: luna, OwnerID: ada, Alive: true}}))
	_, err := w.PostReply(t.Context(), chat.Reply{DecisionID: "d", AgentID: luna, RoomID: r.ID, Text: "x"})
	w.refused("agent_silenced", err)
}

func TestManyAtOnceAreNumberedWithoutGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna}, People: []event.PersonID{bob}})
	w.events()
	const each = 40
	var wg sync.WaitGroup
	for _, p := range []event.PersonID{ada, bob} {
		for i := range each {
			wg.Go(func() {
				if _, err := w.Post(as(p), r.ID, chat.NewMessage{Text: fmt.Sprint(p, i)}, ""); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	events := w.events()
	same(t, 1, len(payloads[event.SessionStarted](t, events)))
	created := payloads[event.MessageCreated](t, events)
	same(t, 2*each, len(created))
	for i, m := range created { // in the order of the log, too
		same(t, int64(i+1), m.Sequence)
	}
	page, err := w.Messages(as(bob), r.ID, 0, 0, 200)
	w.must(err)
	for i, m := range page.Messages {
		same(t, int64(i+1), m.Sequence)
		same(t, created[i].MessageID, m.ID)
	}
}

func TestKeysMakeRepeatsHarmless(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{People: []event.PersonID{bob}})
	w.events()
	post := func(p event.PersonID, text, key string) (chat.Message, error) {
		return w.Post(as(p), r.ID, chat.NewMessage{Text: text}, key)
	}
	one, err := post(ada, "hi", "k")
	w.must(err)
	again, err := post(ada, "hi", "k")
	w.must(err)
	same(t, one, again)
	same(t, []event.Type{"message.created"}, w.types())
	_, err = post(ada, "other", "k")
	w.refused("idempotency_conflict", err)
	his, err := post(bob, "hi", "k") // another person's key
	w.must(err)
	if his.ID == one.ID {
		t.Error("bob got ada's message")
	}
	made, err := w.CreateRoom(as(ada), chat.NewRoom{Title: "x"}, "r")
	w.must(err)
	twice, err := w.CreateRoom(as(ada), chat.NewRoom{Title: "x"}, "r")
	w.must(err)
	same(t, made.ID, twice.ID)
	_, err = w.CreateRoom(as(ada), chat.NewRoom{Title: "y"}, "r")
	w.refused("idempotency_conflict", err)
}

func TestReplyIsPostedOncePerDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.post(ada, r, "hi")
	w.events()
	var ids [8]event.MessageID
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() { ids[i] = w.reply(luna, r, "d1", "hello") })
	}
	wg.Wait()
	for _, id := range ids {
		same(t, chat.ReplyID("d1"), id)
	}
	got := payloads[event.MessageCreated](t, w.events())
	same(t, 1, len(got))
	same(t, event.DecisionID("d1"), got[0].DecisionID)
	same(t, event.Member{Kind: "agent", AgentID: luna}, got[0].Author)
	same(t, 0, len(got[0].Addressed))
	same(t, 1, len(got[0].Sessions))
	w.must(w.Remove(as(ada), r.ID, string(luna)))
	same(t, ids[0], w.reply(luna, r, "d1", "hello")) // also after the agent left
}

func TestWhoIsAddressed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna, fox}, People: []event.PersonID{bob}})
	said := w.reply(fox, r, "d", "I am a fox")
	person := w.post(bob, r, "I am a person")
	w.events()
	for _, c := range []struct {
		text  string
		reply event.MessageID
		want  []event.AgentID
	}{
		{"hello all", "", nil},
		{"@luna hi", "", []event.AgentID{luna}},
		{"hi @Luna Bright!", "", []event.AgentID{luna}},
		{"@fox-2 and @luna", "", []event.AgentID{fox, luna}},
		{"@fox", "", []event.AgentID{fox}},
		{"indeed", said, []event.AgentID{fox}},
		{"@luna look", said, []event.AgentID{fox, luna}},
		{"indeed", person.ID, nil},
		{"luna@fox.com", "", nil},
	} {
		_, err := w.Post(as(ada), r.ID, chat.NewMessage{Text: c.text, ReplyTo: c.reply}, "")
		w.must(err)
		if diff := cmp.Diff(c.want, payloads[event.MessageCreated](t, w.events())[0].Addressed); diff != "" {
			t.Errorf("%q: %s", c.text, diff)
		}
	}
	w.reply(luna, r, "d2", "@fox @luna what do you think?") // an agent can address another, not itself
	same(t, []event.AgentID{fox}, payloads[event.MessageCreated](t, w.events())[0].Addressed)
}

func TestEditAndDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{People: []event.PersonID{bob}})
	m := w.post(ada, r, "good")
	w.must(w.React(as(bob), r.ID, m.ID, "👍"))
	w.events()

	edit := func(p event.PersonID, id event.MessageID, text string) error {
		_, err := w.Edit(as(p), r.ID, id, text)
		return err
	}
	w.must(edit(ada, m.ID, "this is bad"))
	w.must(edit(ada, m.ID, "this is bad"))
	edited := payloads[event.MessageEdited](t, w.events())
	if len(edited) != 1 || edited[0].Features.Sentiment >= 0 {
		t.Errorf("%+v", edited)
	}
	w.refused("not_allowed", edit(bob, m.ID, "x"))
	w.refused("room_unknown", edit(eve, m.ID, "x"))
	w.refused("message_unknown", edit(ada, "none", "x"))
	w.refused("text_empty", edit(ada, m.ID, ""))
	now, err := w.Message(as(bob), r.ID, m.ID)
	w.must(err)
	if now.Text != "this is bad" || now.EditedAt == nil || now.Sequence != 1 || now.Change <= m.Change {
		t.Errorf("%+v", now)
	}

	w.refused("not_allowed", w.Delete(as(bob), r.ID, m.ID))
	w.refused("room_unknown", w.Delete(as(eve), r.ID, m.ID))
	w.refused("message_unknown", w.Delete(as(ada), r.ID, "none"))
	w.must(w.Remove(as(ada), r.ID, string(ada)))
	w.events()
	w.must(w.Delete(as(ada), r.ID, m.ID)) // her own, though she left
	w.must(w.Delete(as(ada), r.ID, m.ID))
	same(t, []event.Type{"message.deleted"}, w.types())
	now, err = w.Message(as(bob), r.ID, m.ID)
	w.must(err)
	if now.Text != "" || !now.Deleted || now.Reactions != nil {
		t.Errorf("%+v", now)
	}
	w.refused("message_unknown", w.React(as(bob), r.ID, m.ID, "👍"))

	his := w.post(bob, r, "rude")
	w.must(w.Delete(as(eve, authz.ScopeAdmin), r.ID, his.ID))
}

func TestReactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{People: []event.PersonID{bob}})
	m := w.post(ada, r, "hi")
	w.events()
	for _, e := range []string{"👍", ":+1:", "thumbsup", "❤️", "👨‍👩‍👧", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"} {
		w.must(w.React(as(bob), r.ID, m.ID, e))
	}
	same(t, 5, len(payloads[event.ReactionAdded](t, w.events())))
	for _, e := range []string{"", "secret", "👍 you", "a👍", "\x00", ":nope:", "1", "é", strings.Repeat("👍", 11), "👍\xff"} {
		w.refused("emoji_invalid", w.React(as(bob), r.ID, m.ID, e))
		w.refused("emoji_invalid", w.Unreact(as(bob), r.ID, m.ID, e))
	}
	w.refused("room_unknown", w.React(as(eve), r.ID, m.ID, "👍"))
	w.refused("message_unknown", w.React(as(bob), r.ID, "none", "👍"))
	w.must(w.Unreact(as(bob), r.ID, m.ID, "👍"))
	w.must(w.Unreact(as(bob), r.ID, m.ID, "👍"))
	same(t, []event.Type{"reaction.removed"}, w.types())
	got, err := w.Message(as(ada), r.ID, m.ID)
	w.must(err)
	same(t, 4, len(got.Reactions))
	for i := range chat.MaxReactions - 4 {
		w.must(w.React(as(bob), r.ID, m.ID, string(rune(0x1F600+i))))
	}
	w.refused("too_many_reactions", w.React(as(bob), r.ID, m.ID, "🚀"))
	w.must(w.React(as(bob), r.ID, m.ID, "❤️")) // is there already
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{})
	for i := range 7 {
		w.post(ada, r, fmt.Sprint(i+1))
	}
	page := func(after, before int64, limit int) string {
		p, err := w.Messages(as(ada), r.ID, after, before, limit)
		w.must(err)
		s := ""
		for _, m := range p.Messages {
			s += m.Text
		}
		if p.More {
			s += "…"
		}
		return s
	}
	same(t, "567…", page(0, 0, 3))
	same(t, "1234567", page(0, 0, 0))
	same(t, "234…", page(1, 0, 3))
	same(t, "67", page(5, 0, 3))
	same(t, "", page(7, 0, 3))
	same(t, "234…", page(0, 5, 3))
	same(t, "12", page(0, 3, 3))
	_, err := w.Messages(as(ada), r.ID, 1, 2, 3)
	w.refused("page_invalid", err)
	_, err = w.Messages(as(ada), r.ID, -1, 0, 3)
	w.refused("page_invalid", err)
	_, err = w.Messages(as(bob), r.ID, 0, 0, 3)
	w.refused("room_unknown", err)
	_, err = w.Message(as(bob), r.ID, "none")
	w.refused("room_unknown", err)
}

func TestTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.post(ada, r, "one")
	gone := w.post(ada, r, "two")
	w.reply(luna, r, "d", "three")
	w.must(w.Delete(as(ada), r.ID, gone.ID))
	got, err := w.Texts(context.Background(), r.ID, luna, 10)
	w.must(err)
	var lines []string
	for _, x := range got {
		lines = append(lines, x.Name+": "+x.Text)
	}
	same(t, []string{"Ada L.: one", "Luna Bright: three"}, lines)
	got, err = w.Texts(context.Background(), r.ID, luna, 1)
	w.must(err)
	same(t, "three", got[0].Text)
	_, err = w.Texts(context.Background(), r.ID, fox, 10)
	w.refused("room_unknown", err)
}
