package agent_test

import (
	"testing"

	"rapport/event"
	"rapport/policy"
)

// BenchmarkDispose is one proposal that is applied, in batches of 256 over as
// many agents.
func BenchmarkDispose(b *testing.B) {
	w := newWorld(b)
	const batch = 256
	agents := make([]event.AgentID, batch)
	for i := range agents {
		agents[i] = w.agent(nil).ID
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		b.StopTimer()
		events := make([]event.Event, batch)
		for i, id := range agents {
			events[i] = w.learned(id, int64(n/batch+1), func(d *policy.Document) {
				d.Traits[policy.Humor] = .5 + .02*float64((n/batch+1)%2)
			})
		}
		b.StartTimer()
		w.deliver(events...)
	}
}
