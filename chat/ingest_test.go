package chat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rapport/chat"
	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

const irc = "irc"

var (
	byAda   = event.Member{PersonID: ada}
	byLuna  = event.Member{AgentID: luna}
	records = []string{"rooms", "members", "consents", "invitations", "links", "messages", "reactions", "sessions", "departures", "taken"}
)

func (w *world) ingest(items ...chat.Ingested) []chat.Result {
	w.Helper()
	for i := range items {
		if items[i].ID == "" {
			items[i].ID = items[i].Type + items[i].Message + string(items[i].Who.PersonID) + items[i].Emoji
		}
		if items[i].Room == "" {
			items[i].Room = "r"
		}
	}
	got, err := w.Ingest(w.Context(), irc, items)
	w.must(err)
	return got
}

func said(id string, by event.Member, text string) chat.Ingested {
	return chat.Ingested{Type: chat.ItemMessage, Message: id, Who: by, Text: text}
}

// conversation is a batch with everything in it.
func conversation() []chat.Ingested {
	yes := true
	return []chat.Ingested{
		{Type: chat.ItemRoomCreated, Agents: []event.AgentID{luna}},
		{Type: chat.ItemRoomJoined, Who: byAda, Consent: &yes},
		said("1", byAda, "Hi @luna"),
		said("2", byLuna, "hello!"),
		{Type: chat.ItemMessage, Message: "3", Who: event.Member{PersonID: bob}, Text: "", ReplyTo: "2"},
		{Type: chat.ItemReaction, Message: "2", Who: byAda, Emoji: "+1"},
		{Type: chat.ItemRoomLeft, Who: event.Member{PersonID: bob}},
		{Type: chat.ItemSessionEnded, Agent: luna},
	}
}

func TestIngest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, r := range w.ingest(conversation()...) {
		if r.Err != nil || r.Duplicate || r.ID == "" {
			t.Errorf("item %d: %+v", i, r)
		}
	}
	events := w.events()
	var types []event.Type
	for _, e := range events {
		types = append(types, e.Type)
		if strings.Contains(string(e.Data), "hello!") {
			t.Errorf("text in %s", e.Type)
		}
	}
	same(t, []event.Type{"room.created", "room.joined", "room.joined", "room.consent.changed", "session.started", "message.created",
		"message.created", "room.joined", "message.created", "reaction.added", "room.left", "session.ended"}, types)
	m := payloads[event.MessageCreated](t, events)
	same(t, chat.ForeignMessage(irc, "1"), m[0].MessageID)
	same(t, []event.AgentID{luna}, m[0].Addressed)
	same(t, []event.AgentID{luna}, m[2].Addressed) // a reply to it
	for i, x := range m {
		same(t, int64(i+1), x.Sequence)
		if !x.Imported || len(x.Sessions) != 1 {
			t.Errorf("%+v", x)
		}
	}
	same(t, []bool{true, true, false}, []bool{m[0].Consent, m[1].Consent, m[2].Consent})
	same(t, []bool{true, true, false}, []bool{m[0].Direct, m[1].Direct, m[2].Direct})
	end := payloads[event.SessionEnded](t, events)[0]
	if !end.Imported || end.AgentMessages != 1 || end.Messages != 3 || len(end.People) != 2 || end.People[1].Turns != 1 {
		t.Errorf("%+v", end)
	}
	same(t, 0, end.People[1].MedianChars)
}

func TestIngestTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ingest(conversation()...)
	w.must(w.SetConsent(as(ada), chat.ForeignRoom(irc, "r"), false)) // her own word since
	w.events()
	before := dump(t, w.db, records...)
	w.pass(time.Hour)
	for i, r := range w.ingest(conversation()...) {
		if r.Err != nil || !r.Duplicate {
			t.Errorf("item %d: %+v", i, r)
		}
	}
	same(t, 0, len(w.events()))
	same(t, before, dump(t, w.db, records...))
}

func TestIngestInPiecesIsTheSame(t *testing.T) {
	t.Parallel()
	whole, pieces := newWorld(t), newWorld(t)
	whole.ingest(conversation()...)
	for _, item := range conversation() {
		pieces.ingest(item)
	}
	same(t, dump(t, whole.db, records...), dump(t, pieces.db, records...))
}

func TestIngestRefusesItemsOneByOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ingest(said("1", byAda, "hi"), chat.Ingested{Type: chat.ItemMessage, Message: "x", Room: "other", Who: byAda, Text: "x"})
	w.events()
	before := dump(t, w.db, records...)
	cases := []struct {
		code string
		item chat.Ingested
	}{
		{"item_unknown", chat.Ingested{Type: "agent.created"}},
		{"id_missing", chat.Ingested{Type: chat.ItemMessage, Who: byAda}},
		{"id_too_long", said(strings.Repeat("x", 513), byAda, "x")},
		{"author_missing", said("2", event.Member{}, "x")},
		{"author_missing", said("2", event.Member{PersonID: ada, AgentID: luna}, "x")},
		{"author_missing", chat.Ingested{Type: chat.ItemReaction, Message: "1", Who: byLuna, Emoji: "👍"}},
		{"author_missing", chat.Ingested{Type: chat.ItemSessionStarted}},
		{"agent_unknown", said("2", event.Member{AgentID: "nobody"}, "x")},
		{"agent_unknown", chat.Ingested{Type: chat.ItemRoomCreated, Room: "new", Agents: []event.AgentID{"nobody"}}},
		{"time_invalid", chat.Ingested{Type: chat.ItemMessage, Message: "2", Who: byAda, At: -1}},
		{"time_invalid", chat.Ingested{Type: chat.ItemMessage, Message: "2", Who: byAda, At: 1 << 62}},
		{"text_has_nul", said("2", byAda, "\x00")},
		{"text_not_utf8", said("2", byAda, "\xff")},
		{"text_too_long", said("2", byAda, strings.Repeat("x", chat.MaxText+1))},
		{"id_conflict", said("1", byAda, "another text")},
		{"id_conflict", said("1", event.Member{PersonID: bob}, "hi")},
		{"id_conflict", said("x", byAda, "x")},
		{"message_unknown", chat.Ingested{Type: chat.ItemReaction, Message: "none", Who: byAda, Emoji: "👍"}},
		{"message_unknown", chat.Ingested{Type: chat.ItemReaction, Message: "x", Who: byAda, Emoji: "👍"}},
		{"emoji_invalid", chat.Ingested{Type: chat.ItemReaction, Message: "1", Who: byAda, Emoji: "words"}},
		{"room_unknown", chat.Ingested{Type: chat.ItemRoomLeft, Room: "none", Who: byAda}},
		{"session_unknown", chat.Ingested{Type: chat.ItemSessionEnded, Agent: luna}},
		{"message_unknown", chat.Ingested{Type: chat.ItemReactionGone, Message: "none", Who: byAda, Emoji: "👍"}},
		{"author_missing", chat.Ingested{Type: chat.ItemReactionGone, Message: "1", Emoji: "👍"}},
		{"message_unknown", chat.Ingested{Type: chat.ItemEdited, Message: "none", Text: "x"}},
		{"message_unknown", chat.Ingested{Type: chat.ItemEdited, Message: "x", Text: "of another room"}},
		{"text_has_nul", chat.Ingested{Type: chat.ItemEdited, Message: "1", Text: "\x00"}},
		{"message_unknown", chat.Ingested{Type: chat.ItemDeleted, Message: "none"}},
		{"id_missing", chat.Ingested{Type: chat.ItemDeleted}},
		{"room_unknown", chat.Ingested{Type: chat.ItemDeleted, Room: "none", Message: "1"}},
	}
	var items []chat.Ingested
	for i, c := range cases {
		c.item.ID = fmt.Sprint("bad", i)
		items = append(items, c.item)
	}
	items = append(items, said("2", byAda, "good"))
	got := w.ingest(items...)
	for i, c := range cases {
		if !fault.Is(got[i].Err, c.code) {
			t.Errorf("item %d %+v: %v, want %s", i, c.item, got[i].Err, c.code)
		}
	}
	w.must(got[len(cases)].Err)
	same(t, []event.Type{"message.created"}, w.types())
	after := dump(t, w.db, records...)
	same(t, len(before["messages"])+1, len(after["messages"]))
	for _, table := range records {
		if table != "messages" && table != "rooms" {
			same(t, before[table], after[table])
		}
	}
	same(t, len(before["rooms"]), len(after["rooms"]))

	_, err := w.Ingest(t.Context(), "", nil)
	w.refused("source_missing", err)
	for _, code := range []string{"id_missing", "room_missing"} {
		item := said("9", byAda, "x")
		item.ID, item.Room = "i", "r"
		if code == "id_missing" {
			item.ID = ""
		} else {
			item.Room = ""
		}
		got, err := w.Ingest(t.Context(), irc, []chat.Ingested{item})
		w.must(err)
		w.refused(code, got[0].Err)
	}
}

func TestSourcesDoNotMeet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ingest(said("1", byAda, "hi"))
	item := said("1", byAda, "other")
	item.ID, item.Room = "i", "r"
	got, err := w.Ingest(t.Context(), "slack", []chat.Ingested{item})
	w.must(err)
	if got[0].Err != nil || got[0].Duplicate {
		t.Errorf("%+v", got)
	}
	own := w.talk(ada, luna)
	item.Room = string(own.ID) // an id of ours is just another foreign name
	item.ID, item.Message = "j", "2"
	_, err = w.Ingest(t.Context(), "slack", []chat.Ingested{item})
	w.must(err)
	r, err := w.Room(as(ada), own.ID)
	w.must(err)
	same(t, int64(0), r.Sequence)
}

func TestImportedSessionsFollowTheForeignClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := func(minute int, m chat.Ingested) chat.Ingested {
		m.At = day - 86_400_000_000*365 + event.Micros(minute)*60_000_000
		return m
	}
	w.ingest(chat.Ingested{Type: chat.ItemRoomCreated, Agents: []event.AgentID{luna}}, at(0, said("1", byAda, "a")), at(1, said("2", byLuna, "b")), at(2, said("3", byAda, "c")),
		at(22, said("4", byAda, "d"))) // 20 minutes later
	w.pass(chat.Silence)
	w.idle()
	got := w.ended()
	same(t, 2, len(got))
	same(t, 2*time.Minute, got[0].Duration())
	same(t, 3, got[0].Messages)
	same(t, int64(60_000), got[0].People[0].LatencyMilli)
	same(t, day, got[0].StartedAt) // stamps are ours
	same(t, 1, got[1].Messages)
	p, err := w.Messages(as(ada), chat.ForeignRoom(irc, "r"), 0, 0, 1)
	w.must(err)
	same(t, day, p.Messages[0].At.UnixMicro())
	same(t, day-86_400_000_000*365+22*60_000_000, p.Messages[0].OccurredAt.UnixMicro())
}

func TestExplicitSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start := func(id string) chat.Ingested {
		return chat.Ingested{Type: chat.ItemSessionStarted, ID: id, Agent: luna}
	}
	got := w.ingest(start("s1"), said("1", byAda, "a"), start("s2"), said("2", byAda, "b"), said("3", byLuna, "c"),
		chat.Ingested{Type: chat.ItemSessionEnded, Agent: luna})
	events := w.events()
	m := payloads[event.MessageCreated](t, events)
	same(t, got[0].ID, string(m[0].Sessions[0].SessionID))
	same(t, got[2].ID, string(m[1].Sessions[0].SessionID))
	same(t, got[2].ID, string(m[2].Sessions[0].SessionID))
	ends := payloads[event.SessionEnded](t, events)
	same(t, []int{1, 2}, []int{ends[0].Messages, ends[1].Messages})
}

// BenchmarkIngest takes conversations of 20 messages in batches of 1,000.
func BenchmarkIngest(b *testing.B) {
	w := newWorld(b)
	texts := []string{"I really liked the story about the dragon, but could you make it shorter?", "Sure! Once upon a time there was a small dragon.",
		"haha nice", "What would you like to hear next? I know many stories about castles and kings."}
	n := 0
	for b.Loop() {
		items := make([]chat.Ingested, 1000)
		for i := range items {
			who := byAda
			if n%2 == 1 {
				who = byLuna
			}
			id := fmt.Sprint(n)
			items[i] = chat.Ingested{Type: chat.ItemMessage, ID: id, Room: fmt.Sprint(n / 20), Message: id, Who: who, Text: texts[n%4]}
			n++
		}
		if _, err := w.Ingest(b.Context(), irc, items); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := w.db.Write(b.Context(), func(tx *sqldb.Tx) error { // as the relay would
			_, err := tx.Exec(`delete from outbox`)
			return err
		}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
}

// TestForeignChanges: what is edited, deleted or taken back over there is so here,
// once, in whatever order it comes again.
func TestForeignChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ingest(conversation()...)
	w.types()
	at := func(s int64) event.Micros { return event.Micros(1e15 + s*1e6) }
	react := func(typ, id string, s int64) chat.Ingested {
		return chat.Ingested{Type: typ, ID: id, Message: "2", Who: byAda, Emoji: "🎉", At: at(s)}
	}
	for i, c := range []struct {
		item    chat.Ingested
		changes bool
		tells   event.Type
	}{
		{chat.Ingested{Type: chat.ItemEdited, ID: "e1", Message: "2", Text: "hello there"}, true, "message.edited"},
		{chat.Ingested{Type: chat.ItemEdited, ID: "e1", Message: "2", Text: "hello there"}, false, ""},
		{chat.Ingested{Type: chat.ItemEdited, ID: "e2", Message: "2", Text: "hello you"}, true, "message.edited"},
		{chat.Ingested{Type: chat.ItemEdited, ID: "e1", Message: "2", Text: "hello there"}, false, ""}, // an old one again
		{react(chat.ItemReaction, "r1", 1), true, "reaction.added"},
		{react(chat.ItemReactionGone, "r2", 2), true, "reaction.removed"},
		{react(chat.ItemReaction, "r1", 1), false, ""},
		{react(chat.ItemReaction, "r0", 0), false, ""}, // overtaken by the removal
		{react(chat.ItemReaction, "r3", 3), true, "reaction.added"},
		{react(chat.ItemReactionGone, "r2", 2), false, ""},
		{chat.Ingested{Type: chat.ItemDeleted, ID: "d1", Message: "2"}, true, "message.deleted"},
		{chat.Ingested{Type: chat.ItemDeleted, ID: "d1", Message: "2"}, false, ""},
		{chat.Ingested{Type: chat.ItemDeleted, ID: "d2", Message: "2"}, false, ""},
		{said("2", byLuna, "hello!"), false, ""}, // the message again
	} {
		got := w.ingest(c.item)[0]
		if got.Err != nil || got.Duplicate == c.changes {
			t.Errorf("item %d: %+v, want a change: %v", i, got, c.changes)
		}
		var want []event.Type
		if c.tells != "" {
			want = []event.Type{c.tells}
		}
		if types := w.types(); fmt.Sprint(types) != fmt.Sprint(want) {
			t.Errorf("item %d told of %v, want %v", i, types, want)
		}
	}
	if got := w.ingest(chat.Ingested{Type: chat.ItemEdited, ID: "e3", Message: "2", Text: "back"})[0]; !fault.Is(got.Err, "message_unknown") {
		t.Errorf("an edit of what is gone: %+v", got)
	}
	if got := w.ingest(react(chat.ItemReaction, "r4", 4))[0]; !fault.Is(got.Err, "message_unknown") {
		t.Errorf("a reaction to what is gone: %+v", got)
	}
}
