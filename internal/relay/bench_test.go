package relay

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/sqldb"
)

// retracted gives n events of 200 agents as records, with random-looking ids.
func retracted(t testing.TB, from, n int) []eventlog.Record {
	records := make([]eventlog.Record, n)
	for i := range records {
		k := from + i
		e := event.New("feedback", event.HashID("bench", fmt.Sprint(k)), event.Micros(1767225600000000+k), event.FeedbackRetracted{
			FeedbackID: event.FeedbackID(event.HashID("f", fmt.Sprint(k))), AgentID: event.AgentID(event.HashID("a", fmt.Sprint(k%200))), Reason: "withdrawn"})
		value, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		records[i] = eventlog.Record{Topic: event.TopicAgents, Key: e.Subject, ID: e.ID, Type: string(e.Type), Value: value}
	}
	return records
}

// The whole way from the log to a handler that does nothing, in batches of 2,000.
func BenchmarkConsume(b *testing.B) {
	const n = 200_000
	dir := b.TempDir()
	log := openLog(b, dir)
	for i := 0; i < n; i += 1000 {
		if err := log.Append(b.Context(), retracted(b, i, 1000)); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		db := openDB(b, dir, fmt.Sprint("db", i))
		handled := 0
		r := New(log)
		r.AddConsumer(Consumer{Group: fmt.Sprint("group", i), DB: db, Topics: []string{event.TopicAgents}, Types: []event.Type{"feedback.retracted"}, Max: 2000,
			Handle: func(_ context.Context, _ *sqldb.Tx, events []event.Event) error { handled += len(events); return nil }})
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error)
		begin := time.Now()
		go func() { done <- r.Run(ctx) }()
		if err := r.Idle(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(n/time.Since(begin).Seconds(), "events/s")
		cancel()
		if err := <-done; err != nil || handled != n {
			b.Fatal(err, handled)
		}
	}
}

// From Emit to the log: transactions of 100 events by one writer.
func BenchmarkPublish(b *testing.B) {
	dir := b.TempDir()
	log, db := openLog(b, dir), openDB(b, dir, "db")
	r := New(log)
	r.AddOutbox("feedback", db)
	start(b, r)
	n := 0
	for b.Loop() {
		events := make([]event.Event, 100)
		for i := range events {
			n++
			events[i] = said(event.HashID("publish", fmt.Sprint(n)), "agent", n)
		}
		emit(b, db, events...)
	}
	idle(b, r)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
