package chat_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rapport/chat"
	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

func TestErasure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(bob, chat.NewRoom{Title: "bob's den", People: []event.PersonID{ada}, Agents: []event.AgentID{luna}})
	old := w.group(ada, chat.NewRoom{People: []event.PersonID{bob}})
	hers := w.post(ada, r, "hers stays")
	his, err := w.Post(as(bob), r.ID, chat.NewMessage{Text: "his secret"}, "key")
	w.must(err)
	gone := w.post(bob, old, "his other secret")
	w.must(w.Remove(as(bob), old.ID, string(bob))) // left, but said something there
	w.must(w.React(as(bob), r.ID, hers.ID, "👍"))
	w.must(w.SetConsent(as(bob), r.ID, true))
	w.hear(w.event(event.ProtectionChanged{PersonID: bob, Protected: true}))
	w.pass(time.Minute)
	w.events()

	e := w.event(event.AccountErased{PersonID: bob})
	w.hear(e)
	events := w.events()
	var deleted []event.MessageID
	for _, d := range payloads[event.MessageDeleted](t, events) {
		deleted = append(deleted, d.MessageID)
	}
	if len(deleted) != 2 || deleted[0] != his.ID && deleted[1] != his.ID || deleted[0] != gone.ID && deleted[1] != gone.ID {
		t.Errorf("%v", deleted)
	}
	same(t, 1, len(payloads[event.RoomLeft](t, events)))
	last := payloads[event.PersonForgotten](t, events[len(events)-1:])
	same(t, []event.PersonForgotten{{AgentID: luna, PersonID: bob}}, last)
	for _, x := range events {
		same(t, e.ID, x.Cause)
	}
	for table, rows := range dump(t, w.db, append([]string{"idempotency", "people"}, records...)...) {
		for _, row := range rows {
			for _, v := range row {
				if s, ok := v.(string); ok && (strings.Contains(s, "secret") || strings.Contains(s, "den")) {
					t.Errorf("%s still holds %q", table, s)
				}
			}
			if table == "reactions" || table == "consents" || table == "idempotency" || table == "people" || table == "invitations" {
				t.Errorf("%s still holds %v", table, row)
			}
		}
	}
	m, err := w.Message(as(ada), r.ID, his.ID)
	w.must(err)
	if !m.Deleted || m.Author.PersonID != bob || m.Sequence != his.Sequence {
		t.Errorf("%+v", m)
	}
	still, err := w.Message(as(ada), r.ID, hers.ID)
	w.must(err)
	same(t, "hers stays", still.Text)
	_, err = w.Room(as(bob), r.ID)
	w.refused("room_unknown", err)

	w.hear(w.event(event.AccountErased{PersonID: bob}), w.event(event.AccountErased{PersonID: "unknown"}))
	same(t, []event.PersonForgotten{{AgentID: luna, PersonID: bob}}, payloads[event.PersonForgotten](t, w.events()))
}

func TestNamesAreAskedAgainAfterAnUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna}})
	w.events()
	w.post(ada, r, "@luna")
	w.hear(w.event(event.AgentUpdated{AgentState: event.AgentState{AgentID: luna, OwnerID: ada, Alive: true}}))
	w.post(ada, r, "@luna")
	for _, m := range payloads[event.MessageCreated](t, w.events()) {
		same(t, []event.AgentID{luna}, m.Addressed)
	}
}

// TestProjectionsRebuild lets the relay carry other contexts' events to chat, and
// folds the log again into a fresh database.
func TestProjectionsRebuild(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w := newWorld(t)
	if err := w.db.Write(ctx, func(tx *sqldb.Tx) error { // what newWorld delivered by hand is not on the log
		_, err := tx.Exec(`delete from agents`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	log, err := embedded.Open(ctx, filepath.Join(t.TempDir(), "log.db"))
	w.must(err)
	defer log.Close()
	said := []event.Event{
		w.agent(luna, ada, true), w.agent(fox, bob, true), w.agent("late", eve, true),
		w.event(event.ProtectionChanged{PersonID: ada, Protected: true, Until: day + 5}),
		w.event(event.ProtectionChanged{PersonID: bob, Protected: true}),
		w.event(event.AgentTransferred{AgentID: luna, From: ada, To: bob}),
		w.event(event.AgentUpdated{AgentState: event.AgentState{AgentID: luna, OwnerID: bob}}),
		w.event(event.AgentRetired{AgentID: fox}),
		w.event(event.AccountErased{PersonID: bob}),
		w.event(event.PointsSpent{SpendID: "pass", PersonID: ada, Item: event.ItemEvening}),
	}
	var records []eventlog.Record
	for _, e := range said {
		body, err := e.MarshalJSON()
		w.must(err)
		records = append(records, eventlog.Record{Topic: e.Topic(), Key: e.Subject, ID: e.ID, Type: string(e.Type), Value: body})
	}
	w.must(log.Append(ctx, records))
	rel := relay.New(log)
	rel.AddOutbox("chat", w.db)
	rel.AddConsumer(w.Consumer())
	done := make(chan error, 1)
	go func() { done <- rel.Run(ctx) }()
	w.post(eve, w.talk(eve, "late"), "her words")
	w.must(rel.Idle(ctx))
	stop()
	w.must(<-done)

	dst := sqldbtest.Open(t)
	w.must(chat.Migrate(t.Context(), dst))
	w.must(relay.Rebuild(t.Context(), log, w.Consumer(), w.db, dst, nil))
	want := dump(t, w.db, w.Projections()...)
	same(t, 3, len(want["agents"]))
	same(t, 1, len(want["people"]))
	same(t, 1, len(want["passes"]))
	same(t, want, dump(t, dst, w.Projections()...))
}
