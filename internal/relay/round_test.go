package relay

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
)

// TestRound: a round ends when what was said before it is handled, one hop, while
// others go on talking and it is never still; the next round sees the next hop.
func TestRound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := openLog(t, dir)
	first, second := openDB(t, dir, "first"), openDB(t, dir, "second")
	var heard, answered atomic.Bool
	r := New(log)
	r.AddOutbox("first", first)
	r.AddOutbox("second", second)
	r.AddConsumer(Consumer{Group: "second", DB: second, Topics: []string{event.TopicAgents}, Types: []event.Type{event.FeedbackRetracted{}.EventType()},
		Handle: Each(func(_ context.Context, tx *sqldb.Tx, e event.Event) error {
			if e.Subject != "asks" {
				return nil
			}
			time.Sleep(20 * time.Millisecond) // so that a round that does not wait is seen
			heard.Store(true)
			return Emit(tx, said("answer", "answers", 1).CausedBy(e))
		})})
	r.AddConsumer(Consumer{Group: "first", DB: first, Topics: []string{event.TopicAgents}, Types: []event.Type{event.FeedbackRetracted{}.EventType()},
		Handle: Each(func(_ context.Context, _ *sqldb.Tx, e event.Event) error {
			if e.Subject == "answers" {
				answered.Store(true)
			}
			return nil
		})})
	start(t, r)
	chatter, quiet := context.WithCancel(t.Context())
	talked := make(chan struct{})
	go func() {
		defer close(talked)
		for i := 0; chatter.Err() == nil; i++ {
			_ = first.Write(context.Background(), func(tx *sqldb.Tx) error { return Emit(tx, said(fmt.Sprint("noise-", i), "noise", i)) })
		}
	}()
	defer func() { quiet(); <-talked }()
	emit(t, first, said("question", "asks", 1))
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	if err := r.Round(ctx); err != nil || !heard.Load() {
		t.Fatalf("after a round: heard %v, %v", heard.Load(), err)
	}
	if err := r.Round(ctx); err != nil || !answered.Load() {
		t.Fatalf("after two: answered %v, %v", answered.Load(), err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if err := New(log).Round(over); err != nil {
		t.Errorf("with nobody to wait for: %v", err)
	}
}
