package learning

import (
	"context"
	"strings"
	"testing"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// What another version of the program left behind, or a broken disk, is refused with
// what to do about it, nothing is written over it, and a replay of the log makes it
// good.
func TestWhatCannotBeReadSaysWhatToDo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct{ table, column, where string }{
		"canonical state": {"rl_agent_projection", "canon", ""},
		"newest entry":    {"rl_learners", "newest", ""},
		"older entries":   {"rl_entries", "entries", " and chunk = 0"},
		"signal":          {"rl_signals", "body", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			s := newStory("a")
			first := b.old(s, 40)
			before := b.dump(c.table)
			whole := b.dump(learnerTables...)
			if err := b.s.db.Write(ctx, func(tx *sqldb.Tx) error {
				var body []byte
				q := ` where agent_id = $1` + c.where
				if _, err := tx.Get(`select `+c.column+` from `+c.table+q+` limit 1`, []any{"a"}, &body); err != nil {
					return err
				}
				_, err := tx.Exec(`update `+c.table+` set `+c.column+` = $2`+q, "a", body[:len(body)-3])
				return err
			}); err != nil {
				t.Fatal(err)
			}
			tampered := b.dump(c.table)
			if tampered == before {
				t.Fatal("nothing was tampered with")
			}
			b.s = open(b.s.db)
			past := len(s.events)
			news := []event.Event{s.retract(first), s.session(policy.Neutral()), s.add(s.feedback(event.ChannelThumb, 1))}
			err := b.s.db.Write(ctx, func(tx *sqldb.Tx) error { return b.s.handle(ctx, tx, news) })
			_, read := b.s.Learning(ctx, "a", s.now)
			said := 0
			for _, err := range []error{err, read} {
				if err == nil {
					continue
				}
				said++
				if !fault.Is(err, "learning_unreadable") || !strings.Contains(err.Error(), "`rapport rebuild`") {
					t.Errorf("it says: %v", err)
				}
			}
			if err == nil || said == 0 {
				t.Errorf("the event: %v, reading: %v", err, read)
			}
			if got := b.dump(c.table); got != tampered {
				t.Error("something was written over it")
			}
			b.clear()
			b.feed(Batch, s.events[:past]...)
			if got := b.dump(learnerTables...); got != whole {
				t.Error("a replay gives something else")
			}
			b.feed(1, news...)
		})
	}
}
