// Package relay carries events between the contexts' databases and the log so
// that effects happen once: outbox → log → handler, position and outbox in one
// transaction.
//
// Owns the tables outbox, identity, seen, positions, dead_letters, parked and
// leases in every context's database.
//
// Invariants: an outbox row is deleted after its record is durable on the log,
// never before; a handler's effects, the position and the event ids it took in
// share one transaction; the position is moved from the value that was read or
// not at all; a key's events are handled in the order of the log, or wait in that
// order.
//
// Start reading at Emit (publish.go takes it from there), then Consumer and
// Relay.Run here, then consume.go (reading) and deliver.go (one batch).
package relay

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate makes relay's tables in a context's database. Every context calls it
// before its own migrations.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	if err := db.Migrate(ctx, "relay", migrations); err != nil {
		return err
	}
	var has bool
	if err := db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		var id string
		has, err = tx.Get(`select id from identity`, nil, &id)
		return err
	}); err != nil || has {
		return err
	}
	return db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into identity (one, id) values (1, $1) on conflict (one) do nothing`, event.NewID())
		return err
	})
}

// Handler applies events to a context's tables in one transaction: nothing else
// is done on an event. It is given events of one partition, in order, each id
// once. An error undoes the whole batch; its halves are then tried, down to
// the failing event, which meets its fate by fault.KindOf: Unavailable, Conflict and
// RateLimited are retried with back-off, Internal (and a panic) parks the event's
// key, every other kind (and the errors of event.As) is set aside. The slice is
// used again after the call; the events in it are not, but other groups have them
// too: their Data is not to be changed.
type Handler func(ctx context.Context, tx *sqldb.Tx, events []event.Event) error

// Each makes a handler of a function over single events.
func Each(fn func(ctx context.Context, tx *sqldb.Tx, e event.Event) error) Handler {
	return func(ctx context.Context, tx *sqldb.Tx, events []event.Event) error {
		for _, e := range events {
			if err := fn(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	}
}

// Consumer is what a context reads and how.
type Consumer struct {
	Group  string        // the context's name; one group per database
	DB     *sqldb.DB     //
	Topics []string      //
	Types  []event.Type  // others of the topics are passed over
	Handle Handler       //
	Max    int           // events in a batch, 1000 when 0
	Linger time.Duration // how long a crowd of events is gathered for one batch, 10 ms when 0
}

// Relay runs the loops of a process.
type Relay struct {
	log       eventlog.Log
	outboxes  []*publisher
	consumers []*consumer
	now       func() time.Time
	quiet     time.Duration
	flaw      flaw

	mu    sync.Mutex
	ended error
}

// flaw is a mistake that tests build in, to see that they notice it.
type flaw int

const (
	flawNone     flaw = iota
	flawSeen          // takes every delivery for the first
	flawPosition      // moves the position in a transaction of its own
	flawFence         // moves the position whatever it was
	flawDelete        // deletes from the outbox before the log has it
)

// New makes a relay over a log. Add every database with an outbox, and every
// consumer, before Run.
func New(log eventlog.Log) *Relay {
	return &Relay{log: log, now: time.Now, quiet: quietTime}
}

// AddOutbox publishes what db's outbox holds; name is the context.
func (r *Relay) AddOutbox(name string, db *sqldb.DB) {
	r.outboxes = append(r.outboxes, newPublisher(r, name, db))
}

// AddConsumer delivers to a consumer. It panics when the database already serves
// another group, which would share its memory of events seen.
func (r *Relay) AddConsumer(c Consumer) {
	for _, other := range r.consumers {
		if other.DB == c.DB && other.Group != c.Group {
			panic(fmt.Sprintf("relay: groups %s and %s on one database", other.Group, c.Group))
		}
	}
	r.consumers = append(r.consumers, newConsumer(r, c))
}

// Run publishes and delivers until ctx ends, and then returns nil or why a group
// had stopped on its way (see Err). It returns early when nothing can go on:
// eventlog.ErrPositionLost, an outbox that is too old (fault outbox_too_old), a
// closed log.
func (r *Relay) Run(ctx context.Context) error {
	err := r.run(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.ended = err
	}
	return err
}

func (r *Relay) run(ctx context.Context) error {
	for _, p := range r.outboxes {
		if err := p.refuseOld(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	start := func(loop func(context.Context) error) {
		wg.Go(func() {
			if err := loop(ctx); err != nil && ctx.Err() == nil {
				stop(err)
			}
		})
	}
	for _, p := range r.outboxes {
		start(p.run)
	}
	var dbs []*sqldb.DB
	for _, c := range r.consumers {
		start(c.run)
		if !slices.Contains(dbs, c.DB) {
			dbs = append(dbs, c.DB)
		}
	}
	start(func(ctx context.Context) error { return r.purgeDaily(ctx, dbs) })
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return r.stopped()
}

// Err is nil while all is well, and says otherwise which groups have stopped and
// what a person can do. It is what a health check asks.
func (r *Relay) Err() error {
	r.mu.Lock()
	ended := r.ended
	r.mu.Unlock()
	if ended != nil {
		return ended
	}
	return r.stopped()
}

func (r *Relay) stopped() error {
	var errs []error
	for _, c := range r.consumers {
		c.mu.Lock()
		errs = append(errs, c.stopped)
		c.mu.Unlock()
	}
	return errors.Join(errs...)
}

// Troubles are what keeps loops from getting on, which try again by themselves, by
// group and by "outbox <name>". Nothing is lost meanwhile.
func (r *Relay) Troubles() map[string]error {
	out := map[string]error{}
	for _, p := range r.outboxes {
		if err := p.trouble.now(); err != nil {
			out["outbox "+p.name] = err
		}
	}
	for _, c := range r.consumers {
		if err := c.trouble.now(); err != nil {
			out[c.Group] = err
		}
	}
	return out
}

// trouble is the last one of a loop.
type trouble struct {
	sync.Mutex
	err error
	at  time.Time
}

// troubleLasts is how long a trouble counts that does not come again: longer than
// any pause. Who reads does not hear that it is over, only nothing more.
const troubleLasts = 3 * backoffMax

func (t *trouble) meet(err error) {
	t.Lock()
	defer t.Unlock()
	t.err, t.at = err, time.Now()
}

func (t *trouble) over() {
	t.Lock()
	defer t.Unlock()
	t.err = nil
}

func (t *trouble) now() error {
	t.Lock()
	defer t.Unlock()
	if time.Since(t.at) > troubleLasts {
		t.err = nil
	}
	return t.err
}

// Idle waits until every outbox is empty and every consumer is at the end of the
// log: for tests, imports and rebuilds. It fails when a group has stopped or Run
// has ended with an error, and with ctx's error.
func (r *Relay) Idle(ctx context.Context) error {
	var last []eventlog.Position // of the round before, when nothing was to be done
	for wait := 200 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		if err := r.Err(); err != nil {
			return err
		}
		still, places, err := r.still(ctx)
		switch {
		case err != nil:
			return err
		case still && last != nil && slices.Equal(last, places):
			return nil
		case still:
			last = places
			continue
		}
		last = nil
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// still looks at everything once. Two looks that see the same places are proof:
// an event taken in between the looks would have moved one.
func (r *Relay) still(ctx context.Context) (bool, []eventlog.Position, error) {
	for _, p := range r.outboxes {
		empty, err := p.empty(ctx)
		if err != nil || !empty {
			return false, nil, err
		}
	}
	places := []eventlog.Position{}
	still := true
	err := r.eachPartition(ctx, func(c *consumer, p eventlog.Partition, last, at eventlog.Position) {
		still = still && at >= last
		places = append(places, last, at)
	})
	return still, places, err
}

// Still says whether nothing is under way at this moment: every outbox is empty,
// every consumer at the end of the log, and both were so a look before.
func (r *Relay) Still(ctx context.Context) (bool, error) {
	still, before, err := r.still(ctx)
	if err != nil || !still {
		return false, err
	}
	still, places, err := r.still(ctx)
	return still && slices.Equal(before, places), err
}

// Lag is how far each group is behind, by "<group> <topic>/<partition>": the
// distance between the last record and the group's position, which is the number
// of records between them or, with gaps in the positions, somewhat more. Events
// that are not on the log yet are counted by "outbox <name>". The looks are one
// after the other: zeros are no proof, see Still.
func (r *Relay) Lag(ctx context.Context) (map[string]int64, error) {
	lag := map[string]int64{}
	for _, p := range r.outboxes {
		n, err := p.waiting(ctx)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			lag["outbox "+p.name] = n
		}
	}
	err := r.eachPartition(ctx, func(c *consumer, p eventlog.Partition, last, at eventlog.Position) {
		lag[c.Group+" "+p.String()] = max(0, int64(last-at))
	})
	return lag, err
}

// eachPartition calls f with the last record and the group's place of every
// partition that a consumer reads, in a fixed order.
func (r *Relay) eachPartition(ctx context.Context, f func(c *consumer, p eventlog.Partition, last, at eventlog.Position)) error {
	ends := map[string]map[eventlog.Partition]eventlog.Position{}
	for _, c := range r.consumers {
		for _, topic := range c.Topics {
			if _, asked := ends[topic]; !asked {
				parts, err := r.log.Partitions(ctx, topic)
				if err != nil {
					return err
				}
				ends[topic] = parts
			}
			parts := make([]eventlog.Partition, 0, len(ends[topic]))
			for p := range ends[topic] {
				parts = append(parts, p)
			}
			slices.SortFunc(parts, func(a, b eventlog.Partition) int { return a.Index - b.Index })
			for _, p := range parts {
				at, err := c.at(ctx, p, ends[topic][p])
				if err != nil {
					return err
				}
				f(c, p, ends[topic][p], at)
			}
		}
	}
	return nil
}

// Counts is what a group did since the process started.
type Counts struct {
	Group      string
	Handled    int64 // events
	Duplicates int64 // deliveries that were known
	SetAside   int64 // dead letters, parked events not counted
	Parked     int64 // events that parked their key or wait behind one
	Retried    int64 // attempts after an unavailable or a conflict
	Fenced     int64 // batches refused because somebody else moved the position
}

type counters struct {
	handled, duplicates, setAside, parked, retried, fenced atomic.Int64
}

// Counts gives each group's counts, in the order they were added.
func (r *Relay) Counts() []Counts {
	var out []Counts
	for _, c := range r.consumers {
		n := &c.count
		out = append(out, Counts{c.Group, n.handled.Load(), n.duplicates.Load(), n.setAside.Load(), n.parked.Load(), n.retried.Load(), n.fenced.Load()})
	}
	return out
}
