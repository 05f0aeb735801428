package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
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

// item is one delivery that the group takes.
type item struct {
	rec    *eventlog.Record
	event  event.Event
	mark   mark
	fate   fate
	reason string // of a dead letter
	replay bool
}

// fate is what becomes of an event.
type fate uint8

const (
	fateHandle fate = iota
	fateAside       // a dead letter
	fatePark        // a dead letter; later events of the key wait behind it
	fateBehind      // waits behind one
	fateKnown       // a rebuild: was set aside here, only its id is taken in
)

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

var (
	errFenced  = errors.New("somebody else moved the position")
	errStopped = errors.New("the group stops")
)

// handlerError is an error of the handler, not of the relay or the database.
type handlerError struct{ error }

func (e handlerError) Unwrap() error { return e.error }

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
		it.mark = markOf(rec)
		if err := decode(rec, &it.event); err != nil {
			it.fate, it.reason = fateAside, reasonOf(err)
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

// take brings records of one partition to their end.
func (c *consumer) take(ctx context.Context, st *part, records []eventlog.Record) error {
	b := c.decode(records, nil)
	return c.bring(ctx, st, &b)
}

// bring brings a batch to its end: every event of it is handled, known, or a dead
// letter.
func (c *consumer) bring(ctx context.Context, st *part, b *batch) error {
	items, last := c.sort(st, b)
	for start := 0; start < len(items); {
		// A replay is a step of its own.
		end := start
		for end < len(items) && !items[end].replay {
			end++
		}
		if end > start {
			to := last
			if end < len(items) {
				to = items[end-1].rec.Position
			}
			if err := c.together(ctx, st, items[start:end], to); err != nil {
				return err
			}
		}
		if end < len(items) {
			if err := c.replayed(ctx, st, &items[end]); err != nil {
				return err
			}
			end++
		}
		start = end
	}
	st.skipped += len(b.records) - len(items)
	if st.skipped >= skipMax && st.saved < last {
		return c.together(ctx, st, nil, last)
	}
	c.mu.Lock()
	st.read = max(st.read, last)
	c.mu.Unlock()
	return nil
}

// sort drops what was taken in before, or lies beyond a rebuild. last is the
// position behind which nothing of the batch is left to do.
func (c *consumer) sort(st *part, b *batch) (items []item, last eventlog.Position) {
	items, last = b.items[:0], st.read
	for i := range b.records {
		if at := b.records[i].Position; !c.past.beyond(st.Partition, at) {
			last = max(last, at)
		}
	}
	for _, it := range b.items {
		if at := it.rec.Position; at <= st.read || at > last {
			continue
		}
		if !it.replay {
			st.keys.add(it.rec.Key)
			if c.past.aside(st.Partition, it.rec.Position) {
				it.fate = fateKnown
			}
		}
		items = append(items, it)
	}
	return items, last
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

// together takes items in one transaction, or when the handler fails one by one.
func (c *consumer) together(ctx context.Context, st *part, items []item, to eventlog.Position) error {
	for i := range items {
		items[i].queue(st)
	}
	var back backoff
	for {
		err := c.write(ctx, st, items, to)
		switch {
		case err == nil:
			return nil
		case c.final(ctx, err):
			return err
		case errors.As(err, new(handlerError)) && len(items) == 1:
			return c.one(ctx, st, &items[0], to, err)
		case errors.As(err, new(handlerError)):
			return c.each(ctx, st, items, to)
		}
		if err := c.pause(ctx, &back, err, nil); err != nil {
			return err
		}
	}
}

// queue puts an item behind its key, if that is parked when its turn has come.
func (it *item) queue(st *part) {
	if it.fate <= fateAside && st.parked[it.rec.Key] {
		it.fate, it.reason = fateBehind, reasonBehind
	}
}

// each takes items one by one.
func (c *consumer) each(ctx context.Context, st *part, items []item, to eventlog.Position) error {
	for i := range items {
		until := items[i].rec.Position
		if i == len(items)-1 {
			until = to
		}
		items[i].queue(st)
		if err := c.one(ctx, st, &items[i], until, nil); err != nil {
			return err
		}
	}
	return nil
}

// one takes a single item to its fate. err is what its last try gave, nil when it
// was not tried alone.
func (c *consumer) one(ctx context.Context, st *part, it *item, to eventlog.Position, err error) error {
	var back backoff
	for try := err == nil; ; try = true {
		if try {
			err = c.write(ctx, st, []item{*it}, to)
		}
		if err == nil || c.final(ctx, err) {
			return err
		}
		if errors.As(err, new(handlerError)) && it.fate == fateHandle {
			if c.past != nil && fateOf(err) != fateHandle {
				return fmt.Errorf("rebuild: event %s was handled before and fails now: %w", it.event.ID, err)
			}
			it.fate, it.reason = fateOf(err), reasonOf(err)
			if it.fate != fateHandle {
				slog.ErrorContext(ctx, "an event could not be handled", "group", c.Group, "event", it.event.ID, "type", string(it.event.Type),
					"code", codeOf(err), "parked", it.fate == fatePark)
				continue
			}
		}
		if err := c.pause(ctx, &back, err, it); err != nil {
			return err
		}
	}
}

// final errors end the work on a batch; others are tried again.
func (c *consumer) final(ctx context.Context, err error) bool {
	return ctx.Err() != nil || dead(err) || errors.Is(err, errFenced) || errors.Is(err, errStopped)
}

func (c *consumer) pause(ctx context.Context, back *backoff, cause error, it *item) error {
	c.count.retried.Add(1)
	c.trouble.meet(cause)
	if back.long() {
		id := ""
		if it != nil {
			id = it.rec.ID
		}
		slog.ErrorContext(ctx, "a group waits for something that stays unavailable", "group", c.Group, "event", id, "code", codeOf(cause))
	}
	return back.wait(ctx, cause)
}

// write is the transaction: position, ids, dead letters and the handler's effects
// together. Afterwards the part knows what it did.
func (c *consumer) write(ctx context.Context, st *part, items []item, to eventlog.Position) error {
	if c.relay.flaw == flawPosition {
		if err := c.DB.Write(ctx, func(tx *sqldb.Tx) error { return c.move(tx, st, to) }); err != nil {
			return err
		}
		st.saved = to
	}
	var n struct{ handled, known, aside, parked int64 }
	stop := false
	err := c.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := c.move(tx, st, to); err != nil {
			return err
		}
		for i := range items {
			c.status = append(c.status[:i], st.seen.take(items[i].mark))
		}
		if err := st.seen.save(tx, c.Group, st.Partition, c.relay.now()); err != nil {
			return err
		}
		events := c.events[:0]
		for i := range items {
			it, status := &items[i], c.status[i]
			if c.relay.flaw == flawSeen {
				status = isFresh
			}
			switch {
			case it.fate == fateKnown:
				continue
			case status == isKnown:
				n.known++
				continue
			case status == isReused:
				n.aside++
				if err := c.deadLetter(tx, it.rec, reasonReused, false); err != nil {
					return err
				}
				continue
			}
			switch it.fate {
			case fateHandle:
				events = append(events, it.event)
			case fateAside:
				n.aside++
				if err := c.deadLetter(tx, it.rec, it.reason, false); err != nil {
					return err
				}
			case fateBehind:
				n.parked++
				if err := c.deadLetter(tx, it.rec, it.reason, true); err != nil {
					return err
				}
			case fatePark:
				n.parked++
				over, err := c.tooManyParked(tx)
				if err != nil {
					return err
				}
				if over {
					return errStopped // as it was after an earlier start: do not park still more
				}
				if err := c.deadLetter(tx, it.rec, it.reason, true); err != nil {
					return err
				}
				if err := c.park(tx, it.rec); err != nil {
					return err
				}
				if stop, err = c.tooManyParked(tx); err != nil {
					return err
				}
			}
		}
		c.events = events
		n.handled = int64(len(events))
		return c.handle(ctx, tx, events)
	})
	if errors.Is(err, errStopped) {
		c.stop(ctx)
	}
	if err != nil {
		st.seen.forget()
		return err
	}
	st.seen.keep(c.relay.now())
	for i := range items {
		if items[i].fate == fatePark {
			st.parked[items[i].rec.Key] = true
		}
	}
	c.moved(st, to)
	c.count.handled.Add(n.handled)
	c.count.duplicates.Add(n.known)
	c.count.setAside.Add(n.aside)
	c.count.parked.Add(n.parked)
	if stop {
		c.stop(ctx)
		return errStopped
	}
	return nil
}

// move sets the position, if it is still the one that was read.
func (c *consumer) move(tx *sqldb.Tx, st *part, to eventlog.Position) error {
	n, err := tx.Exec(`update positions set position = $1, keys = $2 where grp = $3 and topic = $4 and part = $5 and position = $6`,
		to, st.keys[:], c.Group, st.Topic, st.Index, st.saved)
	if err == nil && n == 0 && st.saved == 0 {
		n, err = tx.Exec(`insert into positions (grp, topic, part, position, keys) values ($1, $2, $3, $4, $5) on conflict (grp, topic, part) do nothing`,
			c.Group, st.Topic, st.Index, to, st.keys[:])
	}
	if err != nil {
		return err
	}
	if n == 0 {
		if c.relay.flaw == flawFence {
			_, err := tx.Exec(`update positions set position = $1 where grp = $2 and topic = $3 and part = $4`, to, c.Group, st.Topic, st.Index)
			return err
		}
		return errFenced
	}
	return nil
}

// moved follows the commit of a move.
func (c *consumer) moved(st *part, to eventlog.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st.saved, st.read, st.skipped = to, max(st.read, to), 0
}

// handle calls the handler; a panic is an error of kind internal.
func (c *consumer) handle(ctx context.Context, tx *sqldb.Tx, events []event.Event) (err error) {
	if len(events) == 0 {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			slog.ErrorContext(ctx, "a handler panicked", "group", c.Group, "stack", string(debug.Stack()))
			err = handlerError{fault.New(fault.Internal, "handler_panicked", "A handler met a mistake of ours; the log has the stack.")}
		}
	}()
	if err := c.Handle(ctx, tx, events); err != nil {
		return handlerError{err}
	}
	return nil
}

// stop ends the group and tells.
func (c *consumer) stop(ctx context.Context) {
	err := fault.New(fault.Internal, "group_stopped",
		"%s stopped, because more than one in a hundred of its keys wait behind an error. Look at its dead letters, start a program without the mistake and replay them.", c.Group)
	slog.ErrorContext(ctx, "a group stopped: more than one in a hundred of its keys are parked", "group", c.Group)
	c.mu.Lock()
	c.stopped = err
	c.mu.Unlock()
}

// fateOf decides by the error's kind.
func fateOf(err error) fate {
	if errors.Is(err, event.ErrMalformed) || errors.Is(err, event.ErrUnknownType) {
		return fateAside
	}
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Conflict, fault.RateLimited:
		return fateHandle
	case fault.Internal:
		return fatePark
	}
	return fateAside
}

// codeOf is what may be logged of an error: it holds nobody's words.
func codeOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	switch {
	case errors.Is(err, event.ErrMalformed):
		return "malformed"
	case errors.Is(err, event.ErrUnknownType):
		return "unknown_type"
	}
	return "internal"
}
