package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/eventlog/kafka"
	"rapport/internal/eventlog/kafka/kafkatest"
)

// onKafka gives worlds a log of their own on a cluster. Their crashes strike before
// and after an append too.
func onKafka(c *kafkatest.Cluster) func(*world) {
	return func(w *world) {
		o := c.Options()
		o.Prefix = fmt.Sprint("w", kafkaWorlds.Add(1), ".")
		w.place = func(ctx context.Context) (eventlog.Log, error) {
			l, err := kafka.Open(ctx, o)
			if err != nil {
				return nil, err
			}
			return mortal{l, w.hook}, nil
		}
		if w.wrap != nil {
			wrap := w.wrap
			w.wrap = func(log eventlog.Log) eventlog.Log {
				log = wrap(log)
				if e, is := log.(*echoing); is {
					e.keeps = true
				}
				return log
			}
		}
	}
}

var kafkaWorlds atomic.Int64

// mortal is a log whose process may die around an append.
type mortal struct {
	eventlog.Log
	hook func(where, op string) error
}

func (l mortal) Append(ctx context.Context, records []eventlog.Record) error {
	if l.hook != nil && l.hook("log", "append") != nil {
		return eventlog.ErrClosed
	}
	if err := l.Log.Append(ctx, records); err != nil {
		return err
	}
	if l.hook != nil && l.hook("log", "appended") != nil {
		return eventlog.ErrClosed
	}
	return nil
}

// Some of the crash points, on three partitions: all of them lie in the databases
// and around appends, where the other suite has been at each.
func TestCrashesOnKafka(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t)
	total, err := storyFrom(t, flawNone, 0, onKafka(c))
	if err != nil || total < 50 {
		t.Fatal(total, err)
	}
	for at := rand.Int64N(kafkaStep * crashStep); at < total; at += kafkaStep * crashStep {
		t.Run(strconv.FormatInt(at+1, 10), func(t *testing.T) {
			t.Parallel()
			if _, err := storyFrom(t, flawNone, at+1, onKafka(c)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("flaw", func(t *testing.T) {
		t.Parallel()
		if crashStep > 1 {
			t.Skip("takes long with the race detector")
		}
		_, err := storyFrom(t, flawDelete, 0, onKafka(c))
		for at := int64(1); err == nil && at <= total; at++ {
			_, err = storyFrom(t, flawDelete, at, onKafka(c))
		}
		if err == nil {
			t.Error("a relay that deletes before it appends was not noticed")
		}
	})
}

const kafkaStep = 9

func TestRandomLivesOnKafka(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t)
	for range min(lives, 2) {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			live(t, seed, onKafka(c))
			if t.Failed() {
				t.Logf("again with RELAY_SEED=%d in the embedded suite", seed)
			}
		})
	}
}

// quiet is short, so that processes hear of each other's places.
const quiet = 20 * time.Millisecond

// second is another process over a world's databases and its log on Kafka.
func second(t *testing.T, w *world) (*Relay, eventlog.Log) {
	t.Helper()
	log, err := w.place(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	r := New(log)
	r.quiet = quiet
	r.AddOutbox("feedback", w.feedback)
	r.AddOutbox("learning", w.learning)
	r.AddConsumer(w.listener("feedback", w.feedback))
	r.AddConsumer(w.listener("learning", w.learning))
	return r, log
}

// Processes come and go while events come in: the group moves partitions between
// them, and every effect happens once, in order.
func TestPartitionsMoveBetweenProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onKafka(kafkatest.New(t)))
	w.relay.quiet = quiet
	start(t, w.relay)
	var all []pair
	n := 0
	give := func(count int) {
		for range count {
			n++
			all = append(all, pair{fmt.Sprint("agent-", n%9), n})
			w.mustGive(t, all[n-1])
		}
	}
	give(50)
	for range 3 {
		other, _ := second(t, w)
		stop := start(t, other)
		give(60)
		idle(t, w.relay)
		idle(t, other)
		give(30)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		give(30)
	}
	idle(t, w.relay)
	if err := w.expect(t.Context(), all); err != nil {
		t.Error(err)
	}
}

// Two processes that both hold every partition, since their groups do not know of
// each other, fight over one database with full batches read ahead.
func TestFightOverPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onKafka(kafkatest.New(t)))
	var all []pair
	for n := range 600 {
		all = append(all, pair{fmt.Sprint("agent-", n%9), n})
	}
	for i := 0; i < len(all); i += 50 {
		w.mustGive(t, all[i:i+50]...)
	}
	r := New(groupless{w.log, "-other"})
	r.quiet, w.relay.quiet = quiet, quiet
	r.AddConsumer(w.listener("learning", w.learning))
	start(t, r)
	start(t, w.relay)
	idle(t, w.relay)
	idle(t, r)
	if err := w.expect(t.Context(), all); err != nil {
		t.Error(err)
	}
}

// A process holds records in its hands while the group gives their partition to
// another: what it writes late is refused, and the other's work stands.
func TestLateWriterIsFenced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onKafka(kafkatest.New(t)))
	for n := range 30 {
		put(t, w.log, recordOf(t, said(fmt.Sprint("said-", n), fmt.Sprint("agent-", n%9), n)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	member := func(log eventlog.Log) (*consumer, eventlog.Reader) {
		c := newConsumer(New(log), w.listener("learning", w.learning))
		reader, err := log.Read(ctx, c.Group, c.Topics, c.from)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { reader.Close() })
		return c, reader
	}
	next := func(reader eventlog.Reader) (eventlog.Partition, []eventlog.Record) {
		records, err := reader.Next(ctx, 100)
		if err != nil {
			t.Fatal(err)
		}
		return eventlog.Partition{Topic: records[0].Topic, Index: records[0].Partition}, records
	}
	late, reader := member(w.log)
	inHand := map[eventlog.Partition][]eventlog.Record{}
	for seen := 0; seen < 30; {
		p, records := next(reader)
		inHand[p] = append(inHand[p], records...)
		seen += len(records)
	}
	_, log := second(t, w)
	young, reader := member(log)
	p, records := next(reader)
	if err := young.take(ctx, young.part(p), records); err != nil {
		t.Fatal(err)
	}
	before, err := linesOf(ctx, w.learning)
	if err != nil {
		t.Fatal(err)
	}
	if err := late.take(ctx, late.part(p), inHand[p]); !errors.Is(err, errFenced) {
		t.Errorf("%s was taken over, and a late write gives %v", p, err)
	}
	after, err := linesOf(ctx, w.learning)
	if err != nil || len(before) == 0 || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("lines %v became %v, %v", before, after, err)
	}
}

// Brokers that stop and come back keep nobody from his effects.
func TestBrokersComeBack(t *testing.T) {
	t.Parallel()
	c := kafkatest.Durable(t)
	w := newWorld(t, onKafka(c))
	start(t, w.relay)
	var all []pair
	give := func(from, to int) {
		for n := from; n < to; n++ {
			all = append(all, pair{fmt.Sprint("agent-", n%5), n})
			w.mustGive(t, all[n])
		}
	}
	give(0, 40)
	idle(t, w.relay)
	for round := 1; round < 3; round++ {
		c.Close()
		give(40*round, 40*round+20)
		time.Sleep(20 * time.Millisecond) // so that somebody meets the silence
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		give(40*round+20, 40*round+40)
		for { // a broker that is back may still say no
			err := w.relay.Idle(t.Context())
			if err == nil {
				break
			}
			if w.relay.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.expect(t.Context(), all); err != nil {
		t.Error(err)
	}
	if lag, err := w.relay.Lag(t.Context()); err != nil || len(lag) != 6 {
		t.Errorf("the lag of two groups over three partitions of %s: %v, %v", event.TopicAgents, lag, err)
	}
}
