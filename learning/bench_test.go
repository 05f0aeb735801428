package learning

import (
	"context"
	"fmt"
	"testing"

	"rapport/event"
)

func BenchmarkFeedback(b *testing.B) {
	for _, c := range []struct {
		agents, perAgent, talk int
		commit                 bool
	}{{500, 4, 4, true}, {500, 4, 4, false}, {500, 4, 1, true}, {2000, 1, 4, true}, {100, 20, 1, true}} {
		b.Run(fmt.Sprintf("agents=%d/per=%d/talk=%d/commit=%v", c.agents, c.perAgent, c.talk, c.commit), func(b *testing.B) {
			bench := benchIn(b, b.TempDir())
			setup, feedback := Workload(c.agents, 12, b.N, c.perAgent, c.talk)
			if err := bench.s.Apply(context.Background(), setup, true); err != nil {
				b.Fatal(err)
			}
			// the learner hears its own proposals, as it does from the log
			round := func(events []event.Event) {
				if err := bench.s.Apply(context.Background(), events, c.commit); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				defer b.StartTimer()
				var own []event.Event
				for _, e := range bench.emitted() {
					if e.Type == "rl.agent.policy.updated" {
						own = append(own, e)
					}
				}
				if err := bench.s.Apply(context.Background(), own, true); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			round(nil)
			b.ResetTimer()
			for _, r := range feedback {
				round(r)
			}
			b.ReportMetric(float64(b.N*c.agents*c.perAgent)/b.Elapsed().Seconds(), "feedback/s")
		})
	}
}

func BenchmarkFold(b *testing.B) {
	bench := benchIn(b, b.TempDir())
	setup, _ := Workload(1, 1000, 0, 0, 0)
	if err := bench.s.Apply(context.Background(), setup, true); err != nil {
		b.Fatal(err)
	}
	agent := setup[0].Subject
	entries := bench.entries(agent)
	b.ReportAllocs()
	for b.Loop() {
		foldOf(entries)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(entries)), "µs/entry")
}
