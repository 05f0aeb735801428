package learning

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"rapport/event"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// TestAgentsApartDoNotMeet: agents that share nobody may be heard of in any order
// between them; every table is the same.
func TestAgentsApartDoNotMeet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		stories := make([][]event.Event, 3)
		total := 0
		for i := range stories {
			s := newStory(fmt.Sprintf("agent-%d", i))
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "life"), 1))
			for range rapid.IntRange(1, 12).Draw(rt, "sessions") {
				x := s.doc.Traits
				for j := range x {
					x[j] = r.Float64()
				}
				s.session(x)
				s.add(s.feedback(event.ChannelThumb, float64(1-2*r.IntN(2))))
				g := s.feedback(event.ChannelReaction, 1)
				g.RaterID, g.Role = event.PersonID(s.agent+"-guest"), event.RoleParticipant
				s.add(g)
			}
			s.adopt(int64(r.IntN(2)), 0, int64(r.IntN(3)))
			stories[i] = s.events
			total += len(s.events)
		}
		mix := func() (all []event.Event) {
			next := make([]int, len(stories))
			for len(all) < total {
				i := rapid.IntRange(0, len(stories)-1).Draw(rt, "whose")
				for next[i] == len(stories[i]) {
					i = (i + 1) % len(stories)
				}
				all = append(all, stories[i][next[i]])
				next[i]++
			}
			return all
		}
		b.t = rt
		b.clear()
		b.feed(rapid.IntRange(5, 50).Draw(rt, "batch"), mix()...)
		want := b.dump(b.s.Projections()...)
		b.clear()
		b.feed(rapid.IntRange(5, 50).Draw(rt, "batch"), mix()...)
		if got := b.dump(b.s.Projections()...); got != want {
			rt.Fatalf("in another order (-), in one (+):\n%s", differing(got, want))
		}
	})
}

// TestTwoConsumersCountOnce: two processes read one log for one database at once, and
// are in each other's way; nothing is counted twice and nothing is lost.
func TestTwoConsumersCountOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	log, err := embedded.Open(ctx, filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	source, err := sqldb.Open(ctx, sqldbtest.Options(t, filepath.Join(dir, "source.db"), "source"))
	if err != nil {
		t.Fatal(err)
	}
	if err := relay.Migrate(ctx, source); err != nil {
		t.Fatal(err)
	}
	b, alone := newBench(t), newBench(t)
	stories := []*story{newStory("a"), newStory("b"), newStory("c")}
	rnd := rand.New(rand.NewPCG(4, 4))
	for range 40 {
		for _, s := range stories {
			x := s.doc.Traits
			for j := range x {
				x[j] = .3 + .4*rnd.Float64()
			}
			s.session(x)
			s.add(s.feedback(event.ChannelThumb, float64(1-2*rnd.IntN(2))))
			s.add(s.engagement(.7))
		}
	}
	var all []event.Event
	for _, s := range stories {
		all = append(all, s.events...)
	}
	alone.feed(50, all...)

	first, second := relay.New(log), relay.New(log)
	first.AddOutbox("source", source)
	for _, r := range []*relay.Relay{first, second} {
		c := b.s.Consumer()
		c.Max, c.Linger = 7, 0
		r.AddConsumer(c)
	}
	var running sync.WaitGroup
	for _, r := range []*relay.Relay{first, second} {
		running.Go(func() { _ = r.Run(ctx) })
	}
	for rest := all; len(rest) > 0; {
		n := min(20, len(rest))
		if err := source.Write(ctx, func(tx *sqldb.Tx) error { return relay.Emit(tx, rest[:n]...) }); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	for _, r := range []*relay.Relay{first, second} {
		if err := r.Idle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	running.Wait()
	tables := append([]string{"rl_signals", "rl_behaviour_projection"}, learnerTables...)
	if got, want := b.dump(tables...), alone.dump(tables...); got != want {
		t.Errorf("by two (-), by one (+):\n%s", differing(got, want))
	}
	if got, want := b.tallyWithoutRevision(), alone.tallyWithoutRevision(); got != want {
		t.Errorf("counted by two\n%s\nby one\n%s", got, want)
	}
}
