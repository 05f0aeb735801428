package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/kafka"
	"rapport/internal/eventlog/kafka/kafkatest"
	"rapport/internal/fault"
)

// Whatever the brokers answer while records are appended and read, none is lost
// and a key's order stays.
func TestBrokersFail(t *testing.T) {
	t.Parallel()
	drops := func(key kmsg.Key) func(*kafkatest.Cluster) func() int {
		return func(c *kafkatest.Cluster) func() int {
			var n, hits atomic.Int64
			c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				if n.Add(1)%3 == 0 && hits.Add(1) < 10 {
					return nil, errors.New("the connection breaks"), true
				}
				return nil, nil, false
			})
			return func() int { return int(hits.Load()) }
		}
	}
	fails := func(err *kerr.Error, keys ...kmsg.Key) func(*kafkatest.Cluster) func() int {
		return func(c *kafkatest.Cluster) func() int {
			var n atomic.Int64
			return c.Fault(kfake.Fault{Keys: keys, Err: err, Count: 12, When: func(kmsg.Request) bool { return n.Add(1)%2 == 0 }}).Hits
		}
	}
	for name, trouble := range map[string]func(*kafkatest.Cluster) func() int{
		"produce, not the leader":     fails(kerr.NotLeaderForPartition, kmsg.Produce),
		"produce, too few replicas":   fails(kerr.NotEnoughReplicas, kmsg.Produce),
		"produce, written, timed out": fails(kerr.RequestTimedOut, kmsg.Produce),
		"produce, written to few":     fails(kerr.NotEnoughReplicasAfterAppend, kmsg.Produce),
		"produce, connection breaks":  drops(kmsg.Produce),
		"fetch, not the leader":       fails(kerr.NotLeaderForPartition, kmsg.Fetch),
		"fetch, connection breaks":    drops(kmsg.Fetch),
		"positions, not the leader":   fails(kerr.NotLeaderForPartition, kmsg.ListOffsets),
		"group, coordinator moves":    fails(kerr.NotCoordinator, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat),
		"group, member forgotten":     fails(kerr.UnknownMemberID, kmsg.Heartbeat),
		"leaders move": func(c *kafkatest.Cluster) func() int {
			var n atomic.Int64
			return c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Observe: true, Count: -1, When: func(kmsg.Request) bool {
				if n.Add(1)%5 == 0 {
					go c.ShufflePartitionLeaders()
				}
				return true
			}}).Hits
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kafkatest.New(t)
			l := open(t, c.Options())
			put(t, l, some(0, 10)...)
			r := read(t, l, "g", fromStart)
			take(t, r, 10)
			hits := trouble(c)
			for i := 10; i < 210; i += 5 {
				put(t, l, some(i, i+5)...)
			}
			firsts(t, r, 200)
			var ends map[eventlog.Partition]eventlog.Position
			n := 0
			for ; n == 0 || hits() == 0; n++ { // as when the next heartbeat is due
				put(t, l, eventlog.Record{Topic: "agents", Key: "other", ID: fmt.Sprint("other", n)})
				for range 2 {
					var err error
					if ends, err = l.Partitions(t.Context(), "agents"); err != nil {
						t.Fatal(err)
					}
				}
			}
			for p := range ends {
				r.Seek(p, 0)
			}
			inOrder(t, slices.DeleteFunc(firsts(t, r, 210+n), func(r eventlog.Record) bool { return r.Key == "other" }), 210)
		})
	}
}

// Brokers stop and come back: who appends and who reads goes on, with everything.
func TestBrokersComeBack(t *testing.T) {
	t.Parallel()
	c := kafkatest.Durable(t)
	l := open(t, c.Options())
	put(t, l, some(0, 20)...)
	r := read(t, l, "g", fromStart)
	tail, err := l.Tail(t.Context(), []string{"agents"})
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	take(t, r, 20)
	c.Close()
	appended := make(chan error)
	go func() { appended <- l.Append(context.Background(), some(20, 40)) }()
	quiet, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for quiet.Err() == nil {
		if records, err := r.Next(quiet, 10); err == nil {
			t.Fatalf("%d records from nowhere", len(records))
		} else if fault.KindOf(err) != fault.Unavailable && quiet.Err() == nil {
			t.Fatal(err)
		}
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	put(t, l, some(40, 60)...)
	firsts(t, tail, 40)
	again := read(t, l, "again", fromStart)
	inOrder(t, firsts(t, again, 60), 60)
	firsts(t, r, 40)
}

// Append says that it failed when brokers stay away, may be tried again, and does
// not keep Close waiting.
func TestBrokersStayAway(t *testing.T) {
	t.Parallel()
	c := kafkatest.Durable(t)
	o := c.Options()
	o.Client = append(o.Client, kgo.RecordDeliveryTimeout(1500*time.Millisecond))
	l := open(t, o)
	put(t, l, some(0, 10)...)
	r := read(t, l, "g", fromStart)
	take(t, r, 10)
	c.Close()
	if err := l.Append(t.Context(), some(10, 30)); !fault.Is(err, "kafka_unreachable") || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("append without brokers: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := l.Append(ctx, some(10, 30)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append without brokers and time: %v", err)
	}
	if _, err := l.Partitions(ctx, "agents"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("partitions without brokers and time: %v", err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	put(t, l, some(10, 30)...)
	inOrder(t, firsts(t, read(t, l, "again", fromStart), 30), 30) // what was given up may be there twice
	firsts(t, r, 20)
	c.Close()
	waits := make(chan error)
	go func() {
		_, err := r.Next(context.Background(), 10)
		for fault.KindOf(err) == fault.Unavailable {
			_, err = r.Next(context.Background(), 10)
		}
		waits <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waits; !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("next of a closed log: %v", err)
	}
}

// A position that Kafka has forgotten is refused, at the beginning and on the way.
func TestForgottenRecords(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t)
	o := c.Options()
	o.Partitions = 1
	l := open(t, o)
	put(t, l, some(0, 50)...)
	r := read(t, l, "reads", fromStart)
	take(t, r, 50)
	if err := c.DeleteRecords("test.agents", 0, 20); err != nil {
		t.Fatal(err)
	}
	begin := func(group string, after eventlog.Position) eventlog.Reader {
		return read(t, l, group, func(context.Context, eventlog.Partition) (eventlog.Position, error) { return after, nil })
	}
	for group, after := range map[string]eventlog.Position{"new": 0, "late": 19, "ahead": 51} {
		if _, err := begin(group, after).Next(soon(t), 10); !errors.Is(err, eventlog.ErrPositionLost) {
			t.Errorf("after %d: %v", after, err)
		}
	}
	if got := take(t, begin("in time", 20), 30); got[0].Position != 21 {
		t.Errorf("after 20 comes %d", got[0].Position)
	}
	put(t, l, some(50, 60)...)
	take(t, r, 10)
	r.Seek(eventlog.Partition{Topic: "agents"}, 5)
	for range 2 { // and it stays refused
		if records, err := r.Next(soon(t), 10); !errors.Is(err, eventlog.ErrPositionLost) {
			t.Errorf("after a seek to what is forgotten: %d records, %v", len(records), err)
		}
	}
}

// An error of from ends Next, and the next Next asks again.
func TestFromIsAskedAgain(t *testing.T) {
	t.Parallel()
	l := open(t, kafkatest.New(t).Options())
	put(t, l, some(0, 20)...)
	failure, tries := errors.New("the database is away"), 0
	r := read(t, l, "g", func(context.Context, eventlog.Partition) (eventlog.Position, error) {
		if tries++; tries < 3 {
			return 0, failure
		}
		return 0, nil
	})
	for range 2 {
		if _, err := r.Next(soon(t), 10); !errors.Is(err, failure) {
			t.Fatal(err)
		}
	}
	inOrder(t, take(t, r, 20), 20)
}

// book keeps a group's positions as a reader's database does: it is moved from
// what was read or not at all.
type book struct {
	mu     sync.Mutex
	at     map[eventlog.Partition]eventlog.Position
	keys   map[string][]string // ids taken, by key
	asked  int
	fenced int
}

func (b *book) from(_ context.Context, p eventlog.Partition) (eventlog.Position, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	return b.at[p], nil
}

// take takes records of a partition in, if they are the next ones.
func (b *book) take(records []eventlog.Record) (after eventlog.Position, moved bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := eventlog.Partition{Topic: records[0].Topic, Index: records[0].Partition}
	if records[0].Position != b.at[p]+1 {
		b.fenced++
		return b.at[p], false
	}
	for _, r := range records {
		b.keys[r.Key] = append(b.keys[r.Key], r.ID)
	}
	b.at[p] = records[len(records)-1].Position
	return b.at[p], true
}

// Members of a group come and go while records come in. Together they take every
// record, in order per key, each from the position that is written then.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	const n, members = 1400, 4
	c := kafkatest.New(t)
	o := c.Options()
	o.Partitions = 6
	b := &book{at: map[eventlog.Partition]eventlog.Position{}, keys: map[string][]string{}}
	taken := func() (sum int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, ids := range b.keys {
			sum += len(ids)
		}
		return sum
	}
	first := open(t, o)
	put(t, first, some(0, 100)...)
	ctx, stop := context.WithCancel(soon(t))
	defer stop()
	var wg sync.WaitGroup
	for m := range members {
		rnd := rand.New(rand.NewPCG(uint64(m), 7))
		wg.Go(func() {
			for ctx.Err() == nil {
				l, err := kafka.Open(ctx, o)
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				r, err := l.Read(ctx, "g", []string{"agents"}, b.from)
				if err != nil {
					l.Close()
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				life, end := context.WithTimeout(ctx, time.Duration(50+rnd.IntN(250))*time.Millisecond)
				if m == 0 {
					life = ctx // somebody stays
				}
				for life.Err() == nil {
					records, err := r.Next(life, 1+rnd.IntN(9))
					if err != nil {
						if life.Err() == nil && fault.KindOf(err) != fault.Unavailable {
							t.Error(err)
						}
						continue
					}
					if rnd.IntN(4) == 0 {
						time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
					}
					if after, moved := b.take(records); !moved {
						r.Seek(eventlog.Partition{Topic: records[0].Topic, Index: records[0].Partition}, after)
					}
				}
				end()
				if rnd.IntN(2) == 0 {
					r.Close()
				}
				l.Close()
			}
		})
	}
	for i := 100; i < n; i += 10 {
		put(t, first, some(i, i+10)...)
		time.Sleep(time.Millisecond)
	}
	for taken() < n && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	wg.Wait()
	var all []eventlog.Record
	for key, ids := range b.keys {
		for _, id := range ids {
			all = append(all, eventlog.Record{Key: key, ID: id})
		}
	}
	inOrder(t, all, n)
	if b.asked <= o.Partitions {
		t.Errorf("no partition moved: from was asked %d times", b.asked)
	}
}

// Positions count what a transaction of another producer leaves on the log: who
// reads to the end that Partitions tells gets there.
func TestTransactionsOfOthers(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t)
	o := c.Options()
	o.Partitions = 1
	l := open(t, o)
	put(t, l, some(0, 5)...)
	other, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.TransactionalID("other"), kgo.DefaultProduceTopic("test.agents"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for id, end := range map[string]kgo.TransactionEndTry{"kept": kgo.TryCommit, "dropped": kgo.TryAbort} {
		if err := other.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := other.ProduceSync(t.Context(), &kgo.Record{Key: []byte("k"), Value: []byte(`{"specversion":"1.0","id":"` + id + `","type":"t"}`)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := other.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	ends, err := l.Partitions(t.Context(), "agents")
	end := ends[eventlog.Partition{Topic: "agents"}]
	if err != nil || end != 9 {
		t.Fatalf("5 records, 2 of transactions and 2 marks end at %d, %v", end, err)
	}
	r := read(t, l, "g", fromStart)
	ids := map[string]bool{}
	for at := eventlog.Position(0); at < end; {
		for _, rec := range take(t, r, 1) {
			at = rec.Position
			ids[rec.ID] = true
		}
	}
	if !ids["kept"] || ids["dropped"] || len(ids) != 7 { // the marks have no id
		t.Errorf("got %v", ids)
	}
}
