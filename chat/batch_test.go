package chat_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/chat"
	"rapport/event"
	"rapport/internal/sqldb"
)

// Items give the same rows, answers and events, whatever batches they come in.
func TestItemsDoNotDependOnBatches(t *testing.T) {
	t.Parallel()
	one, many := newWorld(t), newWorld(t)
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		for i, who := range []event.Member{byAda, byLuna, {AgentID: fox}, {PersonID: bob}} { // who is there: the order in which some come at one moment is of no account
			for _, w := range []*world{one, many} {
				for _, room := range []string{"a", "b"} {
					w.ingest(chat.Ingested{Type: chat.ItemRoomJoined, ID: fmt.Sprint(round, room, i), Room: fmt.Sprint(round, room), Who: who})
				}
				w.events()
				w.pass(time.Second)
			}
		}
		var items []chat.Ingested
		for i := range rapid.IntRange(1, 40).Draw(r, "items") {
			it := chat.Ingested{
				ID: fmt.Sprint(round, "i", i), Room: fmt.Sprint(round, rapid.SampledFrom([]string{"a", "b"}).Draw(r, "room")), At: day + event.Micros(i)*1e6,
				Message: fmt.Sprint(round, "m", rapid.IntRange(0, 9).Draw(r, "message")), Emoji: rapid.SampledFrom([]string{"👍", "👎"}).Draw(r, "emoji"),
				Type: rapid.SampledFrom([]string{chat.ItemMessage, chat.ItemMessage, chat.ItemMessage, chat.ItemMessage, chat.ItemReaction, chat.ItemReaction, chat.ItemReactionGone,
					chat.ItemEdited, chat.ItemDeleted, chat.ItemRoomLeft, chat.ItemRoomJoined, chat.ItemSessionStarted, chat.ItemSessionEnded, chat.ItemRoomCreated}).Draw(r, "type"),
				Who:  rapid.SampledFrom([]event.Member{byAda, {PersonID: bob}, byLuna, {AgentID: fox}}).Draw(r, "who"),
				Text: rapid.SampledFrom([]string{"yes", "no", "Hi @luna", "@fox what?"}).Draw(r, "text"), Consent: new(bool),
			}
			*it.Consent = rapid.IntRange(0, 3).Draw(r, "consent") > 0
			if it.Type == chat.ItemSessionStarted || it.Type == chat.ItemSessionEnded {
				it.Agent, it.Who = luna, event.Member{}
			}
			if it.Type == chat.ItemRoomLeft {
				it.Who = event.Member{PersonID: bob}
			}
			if it.Type == chat.ItemMessage && rapid.Bool().Draw(r, "answers") {
				it.ReplyTo = fmt.Sprint(round, "m", rapid.IntRange(0, 9).Draw(r, "reply"))
			}
			if items = append(items, it); rapid.IntRange(0, 9).Draw(r, "again") == 0 {
				items = append(items, it)
			}
		}
		told := func(w *world, batches ...[]chat.Ingested) (answers []string, told []event.Event) {
			for _, b := range batches {
				got, err := w.Ingest(t.Context(), irc, b)
				if err != nil {
					r.Fatal(err)
				}
				for _, a := range got {
					answers = append(answers, fmt.Sprint(a.ID, a.Duplicate, a.Err))
				}
			}
			for _, e := range w.events() {
				e.ID, e.Root = "", ""
				told = append(told, e)
			}
			return answers, told
		}
		wantAnswers, want := told(one, slices.Collect(slices.Chunk(items, 1))...)
		var batches [][]chat.Ingested
		for rest := items; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(r, "batch")
			batches, rest = append(batches, rest[:n]), rest[n:]
		}
		gotAnswers, got := told(many, batches...)
		if d := cmp.Diff(wantAnswers, gotAnswers); d != "" {
			r.Fatal(d)
		}
		if d := cmp.Diff(want, got); d != "" {
			r.Fatal(d)
		}
		for _, w := range []*world{one, many} {
			w.pass(time.Second)
		}
	})
	dump := func(w *world) string {
		out, err := w.db.Dump(t.Context(), slices.DeleteFunc(slices.Clone(records), func(table string) bool { return table == "links" })...)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if d := cmp.Diff(dump(one), dump(many)); d != "" {
		t.Error(d)
	}
	n := 0
	if err := many.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select count(*) from messages where about <> ''`, nil, &n)
		return err
	}); err != nil || n == 0 {
		t.Error("nothing answers anything: this test shows little", err)
	}
}
