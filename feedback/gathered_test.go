package feedback

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Whatever batches a talk comes in, the same signals are stored, with the same weights,
// in the place of the same others, and the same is told in the same order.
func TestSignalsDoNotDependOnBatches(t *testing.T) {
	t.Parallel()
	people := []string{"ann", "ben", "cid", "dan"}
	tables := append([]string{"feedback_events", "waiting"}, (&Service{}).Projections()...)
	one, many := newWorld(t, Options{}), newWorld(t, Options{})
	clean := func(r *rapid.T, w *world) {
		err := w.db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for _, table := range append(tables, "outbox", "erased_rows") {
				if _, err := tx.Exec(`delete from ` + table); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			r.Fatal(err)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		clean(r, one)
		clean(r, many)
		at := time.UnixMicro(one.now().UnixMicro())
		var events []event.Event
		tell := func(p event.Payload) {
			at = at.Add(rapid.SampledFrom([]time.Duration{0, 1, 20, 20, 20, 400, 15 * 24 * 3600}).Draw(r, "pause") * time.Second)
			events = append(events, event.New("test", fmt.Sprint("e", len(events)), at.UnixMicro(), p))
		}
		tell(event.AgentCreated{AgentState: state("luna", "ann")})
		tell(event.SessionStarted{SessionID: "s1", AgentID: "luna", RoomID: "r1", StartedBy: "ann"})
		tell(event.AccountCreated{PersonID: "ann"})
		newest, waits := 0, 0
		message := rapid.Custom(func(r *rapid.T) event.MessageID {
			return event.MessageID(fmt.Sprint("m", rapid.IntRange(max(0, newest-2), newest+1).Draw(r, "m")))
		})
		for i := range rapid.IntRange(30, 80).Draw(r, "happenings") {
			who := rapid.SampledFrom(people).Draw(r, "who")
			switch rapid.IntRange(0, 19).Draw(r, "kind") {
			case 0, 1, 2:
				newest++
				m := agentSays(fmt.Sprint("m", newest), int64(i), rapid.SampledFrom([]string{"", "d0", "d1", "d2"}).Draw(r, "by"))
				m.Imported = rapid.Bool().Draw(r, "imported")
				tell(m)
			case 5:
				tell(event.MessageEdited{RoomID: "r1", MessageID: message.Draw(r, "edited"), PersonID: event.PersonID(who), Was: message.Draw(r, "was"), Consent: true,
					Turn: &event.Turn{Detector: 1, To: "luna", Chance: 1, About: message.Draw(r, "about"), First: true}})
			case 6:
				tell(event.MessageDeleted{RoomID: "r1", MessageID: message.Draw(r, "deleted")})
			case 7:
				tell(event.ReactionRemoved{RoomID: "r1", MessageID: message.Draw(r, "of"), PersonID: event.PersonID(who), Emoji: "👍"})
			case 12:
				a := state("luna", "ann")
				doc := policy.Default("luna")
				doc.Traits[0] = rapid.Float64Range(0, 1).Draw(r, "level")
				a.Policy, _ = json.Marshal(doc)
				tell(event.AgentUpdated{AgentState: a})
			case 13, 14:
				for range rapid.IntRange(1, 6).Draw(r, "decisions") {
					var x policy.Traits
					x[rapid.IntRange(0, policy.NTraits-1).Draw(r, "trait")] = rapid.Float64Range(0, 1).Draw(r, "level")
					d := decision(fmt.Sprint("d", rapid.IntRange(0, 12).Draw(r, "decision")), rapid.SampledFrom([]string{"e1", "e2"}).Draw(r, "episode"), int64(i), x)
					d.AgentID = rapid.SampledFrom([]event.AgentID{"luna", "luna", "nobody"}).Draw(r, "agent")
					d.SessionID = rapid.SampledFrom([]event.SessionID{"s1", "s2", ""}).Draw(r, "session")
					d.PersonID = event.PersonID(rapid.SampledFrom(append(people, "")).Draw(r, "person"))
					d.Begins = rapid.SampledFrom([]string{"", "", "thread"}).Draw(r, "begins")
					d.Action = rapid.SampledFrom([]string{"reply", "silence"}).Draw(r, "action")
					d.Context = rapid.SampledFrom([]string{event.ContextDMWithOwner, event.ContextGroupSmall}).Draw(r, "context")
					d.MessageID, d.Protected = message.Draw(r, "of"), rapid.IntRange(0, 9).Draw(r, "protected") == 0
					tell(d)
				}
			case 15:
				waits++ // for a decision that may come
				d := draft{ID: event.FeedbackID(fmt.Sprint("f", waits)), Rater: event.PersonID(who), Channel: event.ChannelThumb, Value: "up",
					Decision: event.DecisionID(fmt.Sprint("d", rapid.IntRange(0, 12).Draw(r, "awaited"))), Created: at.UnixMicro()}
				for _, w := range []*world{one, many} {
					if err := w.db.Write(t.Context(), func(tx *sqldb.Tx) error { return wait(tx, d, string(d.Decision)) }); err != nil {
						r.Fatal(err)
					}
				}
			case 8:
				tell(event.AccountErased{PersonID: event.PersonID(who)})
			case 3, 4, 9, 10, 11:
				tell(event.ReactionAdded{RoomID: "r1", MessageID: message.Draw(r, "on"), PersonID: event.PersonID(who), Emoji: rapid.SampledFrom([]string{"👍", "👎", "?"}).Draw(r, "emoji"), Consent: true})
			default:
				m := talks(fmt.Sprint("a", i), who, int64(i))
				if m.Turn.About = message.Draw(r, "about"); rapid.Bool().Draw(r, "no answer") {
					m.Turn.About = ""
				}
				tell(m)
			}
		}
		for _, e := range events {
			if err := deliver(one.s, one.db, e); err != nil {
				r.Fatal(err)
			}
		}
		for rest := events; len(rest) > 0; {
			n := rapid.IntRange(1, min(30, len(rest))).Draw(r, "batch")
			if err := deliver(many.s, many.db, rest[:n]...); err != nil {
				r.Fatal(err)
			}
			rest = rest[n:]
		}
		want, err := one.db.Dump(t.Context(), tables...)
		if err != nil {
			r.Fatal(err)
		}
		got, err := many.db.Dump(t.Context(), tables...)
		if err != nil {
			r.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			r.Fatal(d)
		}
		if d := cmp.Diff(one.drain(), many.drain()); d != "" {
			r.Fatal(d)
		}
	})
}

// What somebody told two weeks before, in the same batch, says that they are not new.
func TestWeighedByWhatCameInTheSameBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	var events []event.Event
	for i, p := range []event.Payload{talks("a1", "dan", 6), agentSays("m9", 7, ""), event.ReactionAdded{RoomID: "r1", MessageID: "m9", PersonID: "dan", Emoji: "👍", Consent: true}} {
		events = append(events, event.New("test", event.NewID(), w.now().Add(time.Duration(i)*8*24*time.Hour).UnixMicro(), p))
	}
	if err := deliver(w.s, w.db, events...); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from feedback_events where rater_id = 'dan' and channel = 'reaction' and weight = 1`); n != 1 {
		t.Errorf("%d reactions of full weight, want 1", n)
	}
}
