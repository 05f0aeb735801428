package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"rapport/internal/eventlog"
)

// reader is an eventlog.Reader. The group only says whose a partition is; where
// to begin is asked by Next, for whoever is given a partition waits with reading
// until its reader has said so. A partition that goes to another member is
// forgotten at once; what Next gave of it before may still be under way there.
type reader struct {
	log    *Log
	cl     *kgo.Client
	topics []string
	from   func(context.Context, eventlog.Partition) (eventlog.Position, error)
	done   chan struct{} // closed by Close
	once   sync.Once

	mu        sync.Mutex
	asks      []*ask
	interrupt context.CancelFunc // ends the poll that Next waits in
	held      map[eventlog.Partition]*held
	ready     []eventlog.Partition // with records to give, in the order of their turns
	lost      error                // for good
}

// ask is a group's question where to begin.
type ask struct {
	ctx    context.Context // ends with the assignment
	parts  []eventlog.Partition
	answer chan map[eventlog.Partition]eventlog.Position
}

// held is a partition that the reader has.
type held struct {
	after eventlog.Position // of the last record taken in
	queue []*kgo.Record     // to give
}

// How much is fetched ahead, per reader.
const (
	fetchBytes     = 16 << 20
	fetchPartBytes = 2 << 20
)

// Read is eventlog.Log's.
func (l *Log) Read(ctx context.Context, group string, topics []string, from func(context.Context, eventlog.Partition) (eventlog.Position, error)) (eventlog.Reader, error) {
	if group == "" {
		return nil, fmt.Errorf("read %v: a group needs a name", topics)
	}
	r := l.newReader(topics)
	r.from = from
	return r.start(ctx, func() ([]kgo.Opt, error) {
		names := make([]string, len(r.topics))
		for i, topic := range r.topics {
			names[i] = l.name(topic)
		}
		gone := func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { r.revoked(parts) }
		return []kgo.Opt{
			kgo.ConsumerGroup(l.o.Prefix + group),
			kgo.ConsumeTopics(names...),
			kgo.DisableAutoCommit(),
			kgo.HeartbeatInterval(time.Second),
			kgo.SessionTimeout(10 * time.Second), // what a killed process keeps others waiting
			kgo.AdjustFetchOffsetsFn(r.assigned),
			kgo.OnPartitionsRevoked(gone),
			kgo.OnPartitionsLost(gone),
		}, nil
	})
}

// Tail is eventlog.Log's. Partitions that are added later are not heard.
func (l *Log) Tail(ctx context.Context, topics []string) (eventlog.Reader, error) {
	r := l.newReader(topics)
	return r.start(ctx, func() ([]kgo.Opt, error) {
		ends, err := l.offsets(ctx, l.adm.ListCommittedOffsets, r.topics...)
		if err != nil {
			return nil, err
		}
		begin := map[string]map[int32]kgo.Offset{}
		for p, end := range ends {
			r.held[p] = &held{after: end}
			name := l.name(p.Topic)
			if begin[name] == nil {
				begin[name] = map[int32]kgo.Offset{}
			}
			begin[name][int32(p.Index)] = kgo.NewOffset().At(int64(end))
		}
		return []kgo.Opt{kgo.ConsumePartitions(begin)}, nil
	})
}

func (l *Log) newReader(topics []string) *reader {
	topics = slices.Clone(topics)
	slices.Sort(topics)
	return &reader{log: l, topics: slices.Compact(topics), done: make(chan struct{}), held: map[eventlog.Partition]*held{}}
}

// start makes the reader's client.
func (r *reader) start(ctx context.Context, how func() ([]kgo.Opt, error)) (eventlog.Reader, error) {
	l := r.log
	if err := l.usable(ctx); err != nil {
		return nil, err
	}
	for _, topic := range r.topics {
		if _, err := l.topic(ctx, topic); err != nil {
			return nil, err
		}
	}
	opts, err := how()
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),               // they have positions
		kgo.FetchMaxWait(500*time.Millisecond), // also what a partition given anew may wait for those read before
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchPartBytes),
	)
	if r.cl, err = kgo.NewClient(append(opts, l.opts...)...); err != nil {
		return nil, l.trouble(err)
	}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.readers[r] = true
	}
	l.mu.Unlock()
	if closed {
		r.end()
		return nil, eventlog.ErrClosed
	}
	return r, nil
}

// assigned is called by the group when it gives partitions, and holds up their
// fetching until Next has answered.
func (r *reader) assigned(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	a := &ask{ctx: ctx, answer: make(chan map[eventlog.Partition]eventlog.Position, 1)}
	for name, parts := range offsets {
		for i := range parts {
			a.parts = append(a.parts, r.partition(name, i))
		}
	}
	slices.SortFunc(a.parts, func(a, b eventlog.Partition) int {
		if a.Topic != b.Topic {
			return slices.Index(r.topics, a.Topic) - slices.Index(r.topics, b.Topic)
		}
		return a.Index - b.Index
	})
	r.mu.Lock()
	r.asks = append(r.asks, a)
	r.rouse()
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case at := <-a.answer:
		for p, after := range at {
			offsets[r.log.name(p.Topic)][int32(p.Index)] = kgo.NewOffset().At(int64(after))
		}
		return offsets, nil
	}
}

func (r *reader) partition(name string, i int32) eventlog.Partition {
	return eventlog.Partition{Topic: name[len(r.log.o.Prefix):], Index: int(i)}
}

// rouse ends a poll, so that Next looks again. The caller holds mu.
func (r *reader) rouse() {
	if r.interrupt != nil {
		r.interrupt()
	}
}

// revoked forgets partitions that others read from now on.
func (r *reader) revoked(parts map[string][]int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, list := range parts {
		for _, i := range list {
			delete(r.held, r.partition(name, i))
		}
	}
}

// Next is eventlog.Reader's. Partitions take turns.
func (r *reader) Next(ctx context.Context, most int) ([]eventlog.Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case <-r.done:
			return nil, eventlog.ErrClosed
		case <-r.log.done:
			return nil, eventlog.ErrClosed
		default:
		}
		if a := r.asked(); a != nil {
			if err := r.reply(ctx, a); err != nil {
				return nil, err
			}
			continue
		}
		records, err := r.take(max(most, 1))
		if err != nil || len(records) > 0 {
			return records, err
		}
		if err := r.poll(ctx); err != nil {
			return nil, err
		}
	}
}

// asked gives the oldest question that still waits.
func (r *reader) asked() *ask {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.asks) > 0 && r.asks[0].ctx.Err() != nil {
		r.asks = r.asks[1:]
	}
	if len(r.asks) == 0 {
		return nil
	}
	return r.asks[0]
}

// reply answers a question, which stays when that fails.
func (r *reader) reply(ctx context.Context, a *ask) error {
	at := map[eventlog.Partition]eventlog.Position{}
	for _, p := range a.parts {
		after, err := r.from(ctx, p)
		if err != nil {
			return err
		}
		at[p] = after
	}
	first, err := r.log.offsets(ctx, r.log.adm.ListStartOffsets, r.topics...)
	if err != nil {
		return err
	}
	last, err := r.log.offsets(ctx, r.log.adm.ListCommittedOffsets, r.topics...)
	if err != nil {
		return err
	}
	for p, after := range at {
		switch {
		case after < first[p]:
			return r.log.forgot(p, fmt.Errorf("to be read after %d, and there is what came after %d: %w", after, first[p], eventlog.ErrPositionLost))
		case after > last[p]:
			return r.log.tooShort(p, fmt.Errorf("read up to %d, and there is what came up to %d: %w", after, last[p], eventlog.ErrPositionLost))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.ctx.Err() == nil {
		for p, after := range at {
			r.held[p] = &held{after: after}
		}
		a.answer <- at
	}
	r.asks = r.asks[1:]
	return nil
}

// take gives records of the partition whose turn it is.
func (r *reader) take(most int) ([]eventlog.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != nil {
		return nil, r.lost
	}
	for len(r.ready) > 0 {
		p := r.ready[0]
		r.ready = r.ready[1:]
		h := r.held[p]
		if h == nil || len(h.queue) == 0 {
			continue
		}
		n := min(most, len(h.queue))
		out := make([]eventlog.Record, n)
		for i, k := range h.queue[:n] {
			out[i] = r.log.decode(k)
		}
		if h.queue = h.queue[n:]; len(h.queue) > 0 {
			r.ready = append(r.ready, p)
		}
		return out, nil
	}
	return nil, nil
}

// poll waits for records and lines them up.
func (r *reader) poll(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r.mu.Lock()
	if len(r.asks) > 0 {
		r.mu.Unlock()
		return nil
	}
	r.interrupt = stop
	r.mu.Unlock()
	fetches := r.cl.PollFetches(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupt = nil
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 {
			return
		}
		p := r.partition(f.Topic, f.Partition)
		h := r.held[p]
		if h == nil {
			return // lost meanwhile
		}
		if len(h.queue) == 0 {
			r.ready = append(r.ready, p)
		}
		for _, k := range f.Records {
			if at := eventlog.Position(k.Offset) + 1; at > h.after {
				h.queue, h.after = append(h.queue, k), at
			}
		}
	})
	var trouble error
	for _, e := range fetches.Errors() {
		switch {
		case ctx.Err() != nil && errors.Is(e.Err, ctx.Err()):
		case errors.Is(e.Err, kgo.ErrClientClosed):
			return eventlog.ErrClosed
		case errors.Is(e.Err, kerr.OffsetOutOfRange) || errors.As(e.Err, new(*kgo.ErrDataLoss)):
			r.lost = r.log.forgot(r.partition(e.Topic, e.Partition), fmt.Errorf("%w: %w", eventlog.ErrPositionLost, e.Err))
			return r.lost
		default:
			trouble = r.log.trouble(e.Err)
		}
	}
	return trouble
}

// Seek is eventlog.Reader's. A partition that the reader does not hold is passed
// over.
func (r *reader) Seek(p eventlog.Partition, after eventlog.Position) {
	r.mu.Lock()
	_, mine := r.held[p]
	if mine {
		r.held[p] = &held{after: after}
	}
	r.mu.Unlock()
	if mine {
		r.cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{r.log.name(p.Topic): {int32(p.Index): {Epoch: -1, Offset: int64(after)}}})
	}
}

// Close is eventlog.Reader's. It may be called beside Next, and twice.
func (r *reader) Close() error {
	r.log.mu.Lock()
	delete(r.log.readers, r)
	r.log.mu.Unlock()
	r.end()
	return nil
}

// end leaves the group and frees the client.
func (r *reader) end() {
	r.once.Do(func() {
		close(r.done)
		r.mu.Lock()
		r.rouse()
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
		defer cancel()
		_ = r.cl.LeaveGroupContext(ctx) // or the session times out
		r.cl.Close()
	})
}
