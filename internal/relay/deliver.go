package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

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

var (
	errFenced  = errors.New("somebody else moved the position")
	errStopped = errors.New("the group stops")
)

// handlerError is an error of the handler, not of the relay or the database.
type handlerError struct{ error }

func (e handlerError) Unwrap() error { return e.error }

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

// together takes items in one transaction, or when the handler fails in two.
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
			return c.halves(ctx, st, items, to)
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

// halves takes the first half of some items and then the second, so that of many
// events few are tried often when one fails.
func (c *consumer) halves(ctx context.Context, st *part, items []item, to eventlog.Position) error {
	half := len(items) / 2
	if err := c.together(ctx, st, items[:half], items[half-1].rec.Position); err != nil {
		return err
	}
	return c.together(ctx, st, items[half:], to)
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

// counts is what a transaction did with its items.
type counts struct{ handled, known, aside, parked int64 }

// write is the transaction: position, ids, dead letters and the handler's effects
// together. Afterwards the part knows what it did.
func (c *consumer) write(ctx context.Context, st *part, items []item, to eventlog.Position) error {
	if c.relay.flaw == flawPosition {
		if err := c.DB.Write(ctx, func(tx *sqldb.Tx) error { return c.move(tx, st, to) }); err != nil {
			return err
		}
		st.saved = to
	}
	var n counts
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
		n, stop, c.events = counts{}, false, c.events[:0]
		for i := range items {
			over, err := c.place(tx, &items[i], c.status[i], &n)
			if err != nil {
				return err
			}
			stop = stop || over
		}
		n.handled = int64(len(c.events))
		return c.handle(ctx, tx, c.events)
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

// place puts an item among the events to handle, or among the dead letters, or
// passes over what is known. stop says that too many keys are parked now.
func (c *consumer) place(tx *sqldb.Tx, it *item, seen status, n *counts) (stop bool, err error) {
	if c.relay.flaw == flawSeen {
		seen = isFresh
	}
	switch {
	case it.fate == fateKnown:
		return false, nil
	case seen == isKnown:
		n.known++
		return false, nil
	case seen == isReused:
		n.aside++
		return false, c.deadLetter(tx, it.rec, reasonReused, false)
	}
	switch it.fate {
	case fateHandle:
		c.events = append(c.events, it.event)
	case fateAside:
		n.aside++
		return false, c.deadLetter(tx, it.rec, it.reason, false)
	case fateBehind:
		n.parked++
		return false, c.deadLetter(tx, it.rec, it.reason, true)
	case fatePark:
		n.parked++
		over, err := c.tooManyParked(tx)
		if err != nil {
			return false, err
		}
		if over {
			return false, errStopped // as it was after an earlier start: do not park still more
		}
		if err := c.deadLetter(tx, it.rec, it.reason, true); err != nil {
			return false, err
		}
		if err := c.park(tx, it.rec); err != nil {
			return false, err
		}
		return c.tooManyParked(tx)
	}
	return false, nil
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
