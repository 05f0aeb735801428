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

// brokers are a Kafka, played or real.
type brokers interface{ Options() kafka.Options }

// onEach runs a test on brokers in this process, and on a real one.
func onEach(t *testing.T, test func(t *testing.T, c brokers)) {
	t.Run("played", func(t *testing.T) {
		t.Parallel()
		test(t, kafkatest.New(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, kafkatest.Real(t))
	})
}

// onKafka gives worlds a log of their own on brokers. Their crashes strike before
// and after an append too.
func onKafka(c brokers) func(*world) {
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
	onEach(t, crashesOnKafka)
}

func crashesOnKafka(t *testing.T, c brokers) {
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
	onEach(t, livesOnKafka)
}

func livesOnKafka(t *testing.T, c brokers) {
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
	onEach(t, partitionsMove)
}

func partitionsMove(t *testing.T, c brokers) {
	w := newWorld(t, onKafka(c))
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
	onEach(t, fight)
}

func fight(t *testing.T, c brokers) {
	w := newWorld(t, onKafka(c))
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
	onEach(t, lateWriter)
}

func lateWriter(t *testing.T, c brokers) {
	w := newWorld(t, onKafka(c))
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
	t.Run("played", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.Durable(t)
		comeBack(t, c, 2, func() { c.Close() }, c.Start)
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		b := kafkatest.Own(t)
		comeBack(t, b, 1, b.Kill, b.Start)
	})
}

// hasty brokers are given up soon.
type hasty struct{ brokers }

func (h hasty) Options() kafka.Options { return kafkatest.Hasty(h.brokers.Options()) }

func comeBack(t *testing.T, c brokers, times int, kill func(), again func() error) {
	c = hasty{c}
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
	for round := 1; round <= times; round++ {
		kill()
		give(40*round, 40*round+20)
		for w.relay.Troubles()["outbox feedback"] == nil {
			time.Sleep(20 * time.Millisecond)
		}
		if err := again(); err != nil {
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
	if troubles := w.relay.Troubles(); len(troubles) > 0 {
		t.Errorf("all is done, and there are troubles: %v", troubles)
	}
	if lag, err := w.relay.Lag(t.Context()); err != nil || len(lag) != 6 {
		t.Errorf("the lag of two groups over three partitions of %s: %v, %v", event.TopicAgents, lag, err)
	}
}

// The log holds every event several times, at positions of their own: as when a
// process died between its append and the deletion from its outbox.
func TestSameEventAtOtherPositions(t *testing.T) {
	t.Parallel()
	onEach(t, sameEventAtOtherPositions)
}

func sameEventAtOtherPositions(t *testing.T, c brokers) {
	w := newWorld(t, onKafka(c))
	var records []eventlog.Record
	var all []pair
	for n := range 60 {
		all = append(all, pair{fmt.Sprint("agent-", n%9), n})
		records = append(records, recordOf(t, said(fmt.Sprint("said-", n), all[n].agent, n)))
	}
	put(t, w.log, records[:40]...)
	put(t, w.log, records[20:]...)
	stop := start(t, w.relay)
	idle(t, w.relay)
	put(t, w.log, records...)
	idle(t, w.relay)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	put(t, w.log, records[:30]...)
	next, _ := second(t, w) // knows it from the database
	start(t, next)
	idle(t, next)
	ends, err := w.log.Partitions(t.Context(), event.TopicAgents)
	if err != nil {
		t.Fatal(err)
	}
	lying := eventlog.Position(0)
	for _, end := range ends {
		lying += end
	}
	if lying < 60+20+60+30 {
		t.Errorf("the log holds %d records only", lying)
	}
	if err := w.expect(t.Context(), all); err != nil {
		t.Error(err)
	}
}
