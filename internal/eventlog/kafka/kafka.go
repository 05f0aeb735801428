// Package kafka is the event log on Kafka or Redpanda, for many processes.
//
// Owns: the topics with the prefix. A record's key decides its partition by
// murmur2, as Java's clients do, and the number of partitions is never changed,
// since that would tear keys apart. Position = offset + 1.
//
// Invariants: Append returns after all replicas in sync have the records; a
// partition is read from the position that its reader gives and from nowhere
// else: offsets are never committed to Kafka and never reset. Ids are not looked
// at: what is appended again lies on the log again. The topics it makes keep
// everything, so that a rebuild finds the beginning; topics that were there
// before keep what they were set up to keep.
//
// Start reading at Open and Log.Append, then reader.go; record.go is the form of
// a record on Kafka, trouble.go what is said when brokers do not do what they are
// asked.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"rapport/internal/eventlog"
	"rapport/internal/fault"
)

// Options say where Kafka is and how topics are made there.
type Options struct {
	Brokers        []string    // host:port each; some of them are enough
	Prefix         string      // of the names of topics and groups
	TLS            *tls.Config // nil: not encrypted
	User, Password string      // SASL: SCRAM-SHA-512 or -256, over TLS also PLAIN; empty for none
	Partitions     int         // of a topic that is made, 8 when 0
	Replication    int         // copies of a partition that is made; 0 for the brokers' default
	Client         []kgo.Opt   // more settings of the client, as short intervals in tests
}

// How long to wait for brokers.
const (
	startWait  = 15 * time.Second // to be there at Open
	appendWait = 30 * time.Second // to take a record, before Append says that it failed
	leaveWait  = 3 * time.Second  // to hear that a reader leaves its group
	topicWait  = 15 * time.Second // until a topic that was made can be used
)

// recordMax is the largest record in bytes. Brokers take batches of 1 MB unless
// they are told otherwise.
const recordMax = 1_000_000 - 10_000

// Log is an eventlog.Log.
type Log struct {
	o    Options
	opts []kgo.Opt
	cl   *kgo.Client // asks; every reader has a client of its own
	adm  *kadm.Client
	done chan struct{} // closed by Close

	making sync.Mutex // held while a topic is looked up or made

	mu      sync.Mutex
	closed  bool
	out     *kgo.Client    // produces
	topics  map[string]int // partitions of the topics that are there
	readers map[*reader]bool
}

var _ eventlog.Log = (*Log)(nil)

// Open joins a running Kafka. Fault kafka_unreachable (unavailable) when no
// broker answers, kafka_login (invalid) when they refuse user and password. What
// else can go wrong with brokers is in trouble.go.
func Open(ctx context.Context, o Options) (*Log, error) {
	if o.Partitions == 0 {
		o.Partitions = 8
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...),
		kgo.ClientID("rapport"),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.WithLogger(newLogger()),
	}
	if o.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(o.TLS))
	}
	opts = append(opts, o.Client...)
	wait, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	var err error
	for _, login := range logins(o) {
		l := &Log{o: o, opts: append(opts[:len(opts):len(opts)], login...), done: make(chan struct{}), topics: map[string]int{}, readers: map[*reader]bool{}}
		if l.cl, err = kgo.NewClient(l.opts...); err != nil {
			return nil, fault.New(fault.Invalid, "invalid_setting", "The settings kafka.* cannot be used.").Because(err)
		}
		if err = l.cl.Ping(wait); err == nil {
			l.adm = kadm.NewClient(l.cl)
			if l.out, err = l.producer(); err == nil {
				return l, nil
			}
		}
		l.cl.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, o.unreachable(err)
}

// logins are the ways to log in, the better first. Brokers offer several, and know
// a user by one of them.
func logins(o Options) [][]kgo.Opt {
	if o.User == "" {
		return [][]kgo.Opt{nil}
	}
	secret := scram.Auth{User: o.User, Pass: o.Password}
	ways := [][]kgo.Opt{{kgo.SASL(secret.AsSha512Mechanism())}, {kgo.SASL(secret.AsSha256Mechanism())}}
	if o.TLS != nil { // which sends the password as it is
		ways = append(ways, []kgo.Opt{kgo.SASL(plain.Auth{User: o.User, Pass: o.Password}.AsMechanism())})
	}
	return ways
}

// producer makes a client that appends records.
func (l *Log) producer() (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), // murmur2
		kgo.ProducerLinger(0),                                // who appends waits, and appends many at once
		kgo.ProducerBatchMaxBytes(1_000_000),
		kgo.RecordDeliveryTimeout(appendWait),
		// A record whose fate is unknown may fail after that time too: it is
		// appended again and may lie there twice. All later ones of its
		// partition fail with it, so the order stays.
		kgo.AllowIdempotentProduceCancellation(),
	}, l.opts...)...)
}

// renew replaces a producer that failed and fails from now on, whatever its broker
// would say by now. What it still has fails with it.
func (l *Log) renew(old *kgo.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.out != old {
		return
	}
	if out, err := l.producer(); err == nil {
		l.out = out
		go old.Close()
	}
}

// Name tells this log from every other one: the cluster's id and the prefix. Fault
// kafka_unavailable when no broker says it.
func (l *Log) Name(ctx context.Context) (string, error) {
	if err := l.usable(ctx); err != nil {
		return "", err
	}
	m, err := l.adm.BrokerMetadata(ctx)
	if err != nil {
		return "", l.why(ctx, err)
	}
	return m.Cluster + "/" + l.o.Prefix, nil
}

// Belong says whose log this is, once: it writes the owner down with the first
// call, as the note of an offset that nobody reads from, and fails with fault
// another_log when another one is written there. A broker keeps the note for as long
// as the log is used, and some days more.
func (l *Log) Belong(ctx context.Context, topic, owner string) error {
	if _, err := l.topic(ctx, topic); err != nil {
		return err
	}
	group, name := l.o.Prefix+"owner", l.name(topic)
	return l.patiently(ctx, func() error {
		found, err := l.adm.FetchOffsets(ctx, group)
		if err == nil {
			err = found.Error()
		}
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return err
		}
		if at, has := found.Lookup(name, 0); has && at.Metadata != "" && at.Metadata != owner {
			return fault.New(fault.Conflict, "another_log",
				"The topics on Kafka whose names begin with %s belong to another rapport with databases of its own; choose another kafka.prefix, or use its databases.", l.o.Prefix)
		}
		note := kadm.Offsets{}
		note.Add(kadm.Offset{Topic: name, Partition: 0, At: 0, LeaderEpoch: -1, Metadata: owner})
		written, err := l.adm.CommitOffsets(ctx, group, note)
		if err == nil {
			err = written.Error()
		}
		return err
	})
}

// patiently asks again while brokers say that they are not ready, as while one
// starts.
func (l *Log) patiently(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, topicWait)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := ask()
		switch {
		case err == nil:
			return nil
		case fault.KindOf(err) != fault.Internal:
			return err
		case !kerr.IsRetriable(err):
			return l.why(ctx, err)
		}
		select {
		case <-ctx.Done():
			return l.trouble(err)
		case <-l.done:
			return eventlog.ErrClosed
		case <-time.After(wait):
		}
	}
}

// Append is eventlog.Log's. Fault record_incomplete for a record without id or
// topic, record_too_large for one above 990 KB: then nothing was appended.
// kafka_unavailable when Kafka did not take everything in 30 s; it goes on trying
// that long by itself.
func (l *Log) Append(ctx context.Context, records []eventlog.Record) error {
	if err := l.usable(ctx); err != nil || len(records) == 0 {
		return err
	}
	topics := []string{}
	for i := range records {
		r := &records[i]
		if r.ID == "" || r.Topic == "" {
			return fault.New(fault.Invalid, "record_incomplete", "A record of the log lacks its id or its topic; set both.")
		}
		if len(r.Key)+len(r.ID)+len(r.Type)+len(r.Value) > recordMax {
			return fault.New(fault.TooLarge, "record_too_large", "A record of type %s has more than %d bytes; keep large things outside of the log.", r.Type, recordMax)
		}
		if !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	}
	for _, topic := range topics {
		if _, err := l.topic(ctx, topic); err != nil {
			return err
		}
	}
	type outcome struct {
		sync.Mutex
		left int
		err  error
		done chan struct{}
	}
	o := &outcome{left: len(records), done: make(chan struct{})}
	l.mu.Lock()
	out := l.out
	l.mu.Unlock()
	for i := range records {
		// Not ctx: when it ends, records of other callers would fail as well.
		out.Produce(context.Background(), l.encode(&records[i]), func(_ *kgo.Record, err error) {
			o.Lock()
			defer o.Unlock()
			if o.err == nil {
				o.err = err
			}
			if o.left--; o.left == 0 {
				close(o.done)
			}
		})
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-o.done:
	}
	if errors.Is(o.err, kerr.ClusterAuthorizationFailed) {
		l.renew(out)
	}
	if o.err != nil {
		return l.why(ctx, o.err)
	}
	return nil
}

func (l *Log) isClosed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// usable refuses a closed log and an ended context.
func (l *Log) usable(ctx context.Context) error {
	if l.isClosed() {
		return eventlog.ErrClosed
	}
	return ctx.Err()
}

// name is a topic's on Kafka.
func (l *Log) name(topic string) string { return l.o.Prefix + topic }

// topic gives the number of partitions of a topic, which is made when absent.
func (l *Log) topic(ctx context.Context, topic string) (int, error) {
	l.mu.Lock()
	n := l.topics[topic]
	l.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	l.making.Lock()
	defer l.making.Unlock()
	ctx, cancel := context.WithTimeout(ctx, topicWait)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		n, err := l.look(ctx, topic)
		switch {
		case n > 0:
			if err := l.suits(ctx, topic); err != nil {
				return 0, err
			}
			l.mu.Lock()
			l.topics[topic] = n
			l.mu.Unlock()
			return n, nil
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			if err = l.make(ctx, topic); err != nil && !kerr.IsRetriable(err) {
				return 0, l.unmade(ctx, topic, err)
			}
		}
		if err != nil && (!kerr.IsRetriable(err) || ctx.Err() != nil) {
			return 0, l.why(ctx, err)
		}
		select {
		case <-ctx.Done():
			return 0, l.why(ctx, errors.Join(err, fmt.Errorf("topic %s has no leaders", l.name(topic))))
		case <-time.After(wait):
		}
	}
}

// look gives a topic's partitions, 0 while some have no leader.
func (l *Log) look(ctx context.Context, topic string) (int, error) {
	found, err := l.adm.ListTopics(ctx, l.name(topic))
	if err != nil {
		return 0, err
	}
	t := found[l.name(topic)]
	if t.Err != nil {
		return 0, t.Err
	}
	for _, p := range t.Partitions {
		if p.Err != nil || p.Leader < 0 {
			return 0, nil
		}
	}
	return len(t.Partitions), nil
}

// make makes a topic that forgets nothing.
func (l *Log) make(ctx context.Context, topic string) error {
	replication := int16(-1)
	keep := map[string]*string{"cleanup.policy": kadm.StringPtr("delete"), "retention.ms": kadm.StringPtr("-1"), "retention.bytes": kadm.StringPtr("-1")}
	if n := l.o.Replication; n > 0 {
		replication = int16(min(n, math.MaxInt16))
		if n > 2 { // one copy may be away
			keep["min.insync.replicas"] = kadm.StringPtr("2")
		}
	}
	_, err := l.adm.CreateTopic(ctx, int32(l.o.Partitions), replication, keep, l.name(topic))
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil // another process was faster
	}
	return err
}

// suits looks at how a topic that is there keeps its records, as far as that may be
// known: one that keeps the last record of a key only is refused, one that forgets
// after a time is warned of.
func (l *Log) suits(ctx context.Context, topic string) error {
	found, err := l.adm.DescribeTopicConfigs(ctx, l.name(topic))
	if err != nil || len(found) != 1 || found[0].Err != nil {
		slog.DebugContext(ctx, "it cannot be known how long Kafka keeps a topic", "topic", l.name(topic), "error", err)
		return nil
	}
	forgets := []any{"topic", l.name(topic)}
	for _, c := range found[0].Configs {
		switch v := c.MaybeValue(); c.Key {
		case "cleanup.policy":
			if strings.Contains(v, "compact") {
				return fault.New(fault.Conflict, "kafka_topic_compacted",
					"The topic %s keeps only the last record of a key, and all of them are needed: set its cleanup.policy to delete, or choose another kafka.prefix.", l.name(topic))
			}
		case "retention.ms", "retention.bytes":
			if v != "-1" {
				forgets = append(forgets, c.Key, v)
			}
		}
	}
	if len(forgets) > 2 {
		slog.WarnContext(ctx, "a topic on Kafka forgets: who was away for longer stops, and nothing can be rebuilt from it; set what is named here to -1", forgets...)
	}
	return nil
}

// Partitions is eventlog.Log's. What lies in transactions that are not committed
// is behind the end.
func (l *Log) Partitions(ctx context.Context, topic string) (map[eventlog.Partition]eventlog.Position, error) {
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	if _, err := l.topic(ctx, topic); err != nil {
		return nil, err
	}
	return l.offsets(ctx, l.adm.ListCommittedOffsets, topic)
}

type lister func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error)

// offsets asks for the first or last offsets of all partitions of topics. As
// positions they are those before the first record, and of the last.
func (l *Log) offsets(ctx context.Context, list lister, topics ...string) (map[eventlog.Partition]eventlog.Position, error) {
	names := make([]string, len(topics))
	for i, topic := range topics {
		names[i] = l.name(topic)
	}
	var listed kadm.ListedOffsets
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		var err error
		if listed, err = list(ctx, names...); err == nil {
			err = listed.Error()
		}
		if err == nil {
			break
		}
		if !kerr.IsRetriable(err) || wait > time.Second {
			return nil, l.why(ctx, err)
		}
		select { // a leader moves
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.done:
			return nil, eventlog.ErrClosed
		case <-time.After(wait):
		}
	}
	out := map[eventlog.Partition]eventlog.Position{}
	listed.Each(func(o kadm.ListedOffset) {
		out[eventlog.Partition{Topic: strings.TrimPrefix(o.Topic, l.o.Prefix), Index: int(o.Partition)}] = eventlog.Position(o.Offset)
	})
	return out, nil
}

// Close ends all readers with eventlog.ErrClosed. An Append that waits ends with
// it too, and its records may lie on the log. Closing twice is harmless.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.done)
	readers, out := l.readers, l.out
	l.readers = map[*reader]bool{}
	l.mu.Unlock()
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(r.end)
	}
	wg.Wait()
	out.Close()
	l.cl.Close()
	return nil
}
