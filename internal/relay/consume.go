package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// skipMax is how many records of other types are passed over before the position
// is saved without an event.
const skipMax = 5000

// quietTime is how long nothing has to come until it is saved anyway.
const quietTime = time.Second

// consumer delivers to one group.
type consumer struct {
	Consumer
	relay *Relay
	types map[string]bool
	count counters
	past  *past // of a rebuild; nil when live

	events []event.Event // buffers of the batch
	status []status

	trouble trouble

	mu      sync.Mutex
	parts   map[eventlog.Partition]*part
	stopped error
}

// part is a partition that the consumer reads.
type part struct {
	eventlog.Partition
	saved   eventlog.Position // as in the database
	read    eventlog.Position // taken in or passed over; ahead of saved by skipped records
	skipped int
	keys    sketch
	seen    seen
	parked  map[string]bool
}

func newConsumer(r *Relay, c Consumer) *consumer {
	if c.Max == 0 {
		c.Max = 1000
	}
	if c.Linger == 0 {
		c.Linger = lingerTime
	}
	out := &consumer{Consumer: c, relay: r, types: map[string]bool{}, parts: map[eventlog.Partition]*part{}}
	for _, t := range c.Types {
		out.types[string(t)] = true
	}
	return out
}

// batch is what is read of one partition at a time.
type batch struct {
	records []eventlog.Record
	items   []item // those of the records that the group takes, decoded
	err     error
}

// partition is where the batch was read.
func (b *batch) partition() (p eventlog.Partition, has bool) {
	if len(b.records) == 0 {
		return p, false
	}
	return eventlog.Partition{Topic: b.records[0].Topic, Index: b.records[0].Partition}, true
}

// run delivers until ctx ends or the group stops.
func (c *consumer) run(ctx context.Context) error {
	var back backoff
	reader, err := c.relay.log.Read(ctx, c.Group, c.Topics, c.from)
	for err != nil && ctx.Err() == nil && fault.KindOf(err) == fault.Unavailable {
		if err = c.pause(ctx, &back, err, nil); err == nil {
			reader, err = c.relay.log.Read(ctx, c.Group, c.Topics, c.from)
		}
	}
	if err != nil {
		return c.lost(err)
	}
	defer reader.Close()
	back.reset()
	// Under a backlog the next batch is read and decoded while one is handled.
	ahead, drop := (chan *batch)(nil), func() {}
	defer func() { drop() }()
	var b, spare = &batch{}, &batch{}
	for {
		if ahead != nil {
			b, spare = <-ahead, b
			ahead, drop = nil, func() {}
		} else {
			c.next(ctx, reader, b, c.unsaved() != nil)
		}
		err := b.err
		if err != nil && ctx.Err() == nil && fault.KindOf(err) == fault.Unavailable {
			if err = c.pause(ctx, &back, err, nil); err == nil {
				continue
			}
		}
		if err != nil {
			return c.lost(err)
		}
		back.reset()
		p, has := b.partition()
		if !has {
			if err := c.settle(ctx, reader); err != nil {
				return c.lost(err)
			}
			continue
		}
		if len(b.records) >= c.Max {
			ahead, drop = c.readAhead(ctx, reader, spare)
		}
		switch err := c.bring(ctx, c.part(p), b); {
		case errors.Is(err, errFenced):
			if ahead != nil {
				drop()
				ahead, drop = nil, func() {}
				if q, has := spare.partition(); has && q != p {
					reader.Seek(q, c.part(q).read)
				}
			}
			if err := c.reread(ctx, reader, p); err != nil {
				return err
			}
		case errors.Is(err, errStopped):
			return nil
		case err != nil:
			return err
		}
		c.trouble.over()
		if len(b.records) < c.Max {
			if err := linger(ctx, len(b.records), c.Linger); err != nil {
				return c.lost(err)
			}
		}
	}
}

// reread reads a partition from where somebody else has brought it.
func (c *consumer) reread(ctx context.Context, reader eventlog.Reader, p eventlog.Partition) error {
	c.count.fenced.Add(1)
	slog.WarnContext(ctx, "another consumer moved the position, reading it again", "group", c.Group, "partition", p.String())
	after, err := c.from(ctx, p)
	if err == nil {
		reader.Seek(p, after)
	}
	return err
}

// settle saves how far the group has passed over records, when nothing has come
// for a while: other processes then know, and a restart does not read them again.
func (c *consumer) settle(ctx context.Context, reader eventlog.Reader) error {
	for st := c.unsaved(); st != nil; st = c.unsaved() {
		err := c.together(ctx, st, nil, st.read)
		if errors.Is(err, errFenced) {
			err = c.reread(ctx, reader, st.Partition)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unsaved gives a partition that is further than its saved position, or nil.
func (c *consumer) unsaved() *part {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, st := range c.parts {
		if st.read > st.saved {
			return st
		}
	}
	return nil
}

// readAhead reads the next batch beside its caller, who takes it from ahead or
// drops it, and until then leaves the reader alone.
func (c *consumer) readAhead(ctx context.Context, reader eventlog.Reader, b *batch) (ahead chan *batch, drop func()) {
	ctx, stop := context.WithCancel(ctx)
	ahead = make(chan *batch, 1)
	go func() {
		defer stop()
		c.next(ctx, reader, b, true)
		ahead <- b
	}()
	return ahead, func() {
		stop()
		<-ahead
	}
}

// next reads and decodes a batch into b, whose buffers are used again. With quiet
// it gives up after a while, with no records and no error.
func (c *consumer) next(ctx context.Context, reader eventlog.Reader, b *batch, quiet bool) {
	wait, stop := ctx, func() {}
	if quiet {
		wait, stop = context.WithTimeout(ctx, c.relay.quiet)
	}
	defer stop()
	records, err := reader.Next(wait, c.Max)
	if quiet && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = nil
	}
	*b = c.decode(records, b.items[:0])
	b.err = err
}

// decode picks the records that the group takes.
func (c *consumer) decode(records []eventlog.Record, items []item) batch {
	for i := range records {
		rec := &records[i]
		if !c.types[rec.Type] {
			continue
		}
		it := item{rec: rec}
		if group, is := replayOf(rec.ID); is {
			if it.replay = group == c.Group; it.replay {
				items = append(items, it)
			}
			continue
		}
		k := know(rec)
		if it.event, it.mark = k.event, k.mark; k.err != nil {
			it.fate, it.reason = fateAside, reasonOf(k.err)
		}
		items = append(items, it)
	}
	return batch{records: records, items: items}
}

// lost explains a position that the log does not hold.
func (c *consumer) lost(err error) error {
	if !errors.Is(err, eventlog.ErrPositionLost) || fault.Is(err, "position_lost") { // the log said it better
		return err
	}
	return fault.New(fault.Conflict, "position_lost",
		"The database of %s has taken in more of the log than the log holds, or the log forgot what it has not read: restore both from one backup, or rebuild %s from a log that has everything.",
		c.Group, c.Group).Because(err)
}

// from reads a partition's state: the position to read after.
func (c *consumer) from(ctx context.Context, p eventlog.Partition) (eventlog.Position, error) {
	st := &part{Partition: p, parked: map[string]bool{}}
	err := c.DB.Read(ctx, func(tx *sqldb.Tx) error {
		keys := []byte{}
		if _, err := tx.Get(`select position, keys from positions where grp = $1 and topic = $2 and part = $3`,
			[]any{c.Group, p.Topic, p.Index}, &st.saved, &keys); err != nil {
			return err
		}
		copy(st.keys[:], keys)
		if err := st.seen.load(tx, c.Group, p, c.relay.now()); err != nil {
			return err
		}
		rows, err := tx.Query(`select key from parked where grp = $1 and topic = $2 and part = $3`, c.Group, p.Topic, p.Index)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key string
			if err := rows.Scan(&key); err != nil {
				return err
			}
			st.parked[key] = true
		}
		return rows.Err()
	})
	if err != nil {
		return 0, err
	}
	st.read = st.saved
	c.mu.Lock()
	c.parts[p] = st
	c.mu.Unlock()
	return st.saved, nil
}

func (c *consumer) part(p eventlog.Partition) *part {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts[p]
}

// at is the group's place in a partition. Behind last the database is asked too,
// for another process may read the partition, or have taken it over.
func (c *consumer) at(ctx context.Context, p eventlog.Partition, last eventlog.Position) (at eventlog.Position, err error) {
	c.mu.Lock()
	st := c.parts[p]
	if st != nil {
		at = st.read
	}
	c.mu.Unlock()
	if st != nil && at >= last {
		return at, nil
	}
	var saved eventlog.Position
	err = c.DB.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select position from positions where grp = $1 and topic = $2 and part = $3`, []any{c.Group, p.Topic, p.Index}, &saved)
		return err
	})
	return max(at, saved), err
}

// known is what every group has to find out about a record.
type known struct {
	event event.Event
	mark  mark
	err   error // of decode
}

// know reads a record; groups that were given the same one do it once.
func know(rec *eventlog.Record) *known {
	return rec.Memo.Of(func() any {
		k := &known{mark: markOf(rec)}
		k.err = decode(rec, &k.event)
		return k
	}).(*known)
}

// decode reads the event of a record. An error is ErrMalformed or ErrUnknownType.
func decode(rec *eventlog.Record, e *event.Event) error {
	if err := e.UnmarshalJSON(rec.Value); err != nil {
		return err
	}
	if id, _, _ := strings.Cut(rec.ID, replayMark); e.ID != id || string(e.Type) != rec.Type || e.Subject != rec.Key {
		return fmt.Errorf("%w: id, type or subject differ from the record's", event.ErrMalformed)
	}
	return e.Check()
}
