package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// muted marks the context of a transaction that must emit nothing.
type muted struct{}

// Muted says that Emit does nothing in the transaction, as while a rebuild runs:
// what would only be emitted need not be made.
func Muted(tx *sqldb.Tx) bool { return tx.Context().Value(muted{}) != nil }

// Emit puts events in the outbox of the transaction's database; they are on the
// log soon after the commit, in this order per key. Emitting an id twice is
// harmless; with another body the second becomes a dead letter, id_conflict.
func Emit(tx *sqldb.Tx, events ...event.Event) error {
	if len(events) == 0 || Muted(tx) {
		return nil
	}
	// Who emits next about a key waits for this commit, so it reads a larger n.
	var n int64
	var db string
	if _, err := tx.Get(`select coalesce(max(n), 0), (select id from identity) from outbox`, nil, &n, &db); err != nil {
		return err
	}
	at := time.Now().UnixMicro()
	args, rows := make([]any, 0, 7*len(events)), make([]row, 0, len(events))
	for i, e := range events {
		topic := e.Topic()
		if e.ID == "" {
			return fault.New(fault.Internal, "event_without_id", "An event of type %q has no id; give it one of its own or a derived one.", e.Type)
		}
		if topic == "" {
			return fault.New(fault.Internal, "unknown_event_type", "The event type %q is not registered; register it in package event.", e.Type)
		}
		body, err := e.MarshalJSON()
		if err != nil {
			return err
		}
		r := row{n + 1 + int64(i), eventlog.Record{Topic: topic, Key: e.Subject, ID: e.ID, Type: string(e.Type), Value: body}}
		rows = append(rows, r)
		args = append(args, r.n, r.ID, r.Topic, r.Key, r.Type, r.Value, at)
	}
	if _, err := tx.ExecMany(`insert into outbox (n, id, topic, key, type, body, at) values `, 7, ``, args); err != nil {
		return err
	}
	tx.OnCommit(func() { hand(db, rows) })
	return nil
}

// row is one of an outbox.
type row struct {
	n int64
	eventlog.Record
}

// sleepers are the publishers of this process by the identity of their database.
var sleepers = struct {
	sync.Mutex
	of map[string][]*publisher
}{of: map[string][]*publisher{}}

// hand gives the publishers of a database what it has committed, and wakes them.
func hand(db string, rows []row) {
	sleepers.Lock()
	defer sleepers.Unlock()
	for _, p := range sleepers.of[db] {
		if p.handed = append(p.handed, rows...); len(p.handed) > publishMax {
			p.handed = nil // it does not keep up, and will read them
		}
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

const (
	publishMax = 4000
	publishTry = time.Second     // how often to look for what other processes emitted
	leaseFor   = 3 * time.Second // what a killed process keeps others waiting
	lease      = "outbox"        // its name in the table
)

// publisher moves one database's outbox to the log. Of all processes that share
// the database, the one with the lease does.
type publisher struct {
	relay  *Relay
	name   string
	db     *sqldb.DB
	holder string
	until  time.Time // of the lease; zero without it
	wake   chan struct{}
	handed []row // committed in this process since the last look; under sleepers' lock

	trouble trouble
}

func newPublisher(r *Relay, name string, db *sqldb.DB) *publisher {
	return &publisher{relay: r, name: name, db: db, holder: event.NewID(), wake: make(chan struct{}, 1)}
}

// refuseOld: what lay in the outbox longer than seen remembers might be on the
// log already, and its second delivery would not be known.
func (p *publisher) refuseOld(ctx context.Context) error {
	var at int64
	if err := p.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select at from outbox order by n limit 1`, nil, &at)
		return err
	}); err != nil {
		return err
	}
	if now := p.relay.now(); at != 0 && at < now.Add(-remember).UnixMicro() {
		return fault.New(fault.Conflict, "outbox_too_old",
			"The outbox of %s holds an event from %s; what is older than 14 days may be on the log already and would be taken in twice. Compare its id with the log, then publish or delete the row by hand.",
			p.name, time.UnixMicro(at).UTC().Format(time.DateOnly))
	}
	return nil
}

func (p *publisher) empty(ctx context.Context) (bool, error) {
	var n int64
	has := false
	err := p.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		has, err = tx.Get(`select n from outbox limit 1`, nil, &n)
		return err
	})
	return !has, err
}

func (p *publisher) waiting(ctx context.Context) (n int64, err error) {
	err = p.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select count(*) from outbox`, nil, &n)
		return err
	})
	return n, err
}

// run publishes until ctx ends.
func (p *publisher) run(ctx context.Context) error {
	var id string
	if err := p.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select id from identity`, nil, &id)
		return err
	}); err != nil {
		return err
	}
	sleepers.Lock()
	sleepers.of[id] = append(sleepers.of[id], p)
	sleepers.Unlock()
	defer p.release(context.WithoutCancel(ctx))
	defer func() {
		sleepers.Lock()
		defer sleepers.Unlock()
		sleepers.of[id] = without(sleepers.of[id], p)
		if len(sleepers.of[id]) == 0 {
			delete(sleepers.of, id)
		}
	}()
	var back backoff
	timer := time.NewTimer(publishTry)
	defer timer.Stop()
	for ctx.Err() == nil {
		moved, err := p.publish(ctx)
		switch {
		case err != nil && (ctx.Err() != nil || dead(err)):
			return err
		case err != nil:
			slog.WarnContext(ctx, "the outbox cannot be published, trying again", "context", p.name, "error", err)
			p.trouble.meet(err)
			if err := back.wait(ctx, err); err != nil {
				return err
			}
			continue
		}
		back.reset()
		p.trouble.over()
		if moved >= publishMax {
			continue
		}
		if moved > 0 {
			if err := linger(ctx, moved, lingerTime); err != nil {
				return err
			}
			continue
		}
		timer.Reset(publishTry)
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer.C:
		}
	}
	return nil
}

func without(list []*publisher, p *publisher) []*publisher {
	kept := list[:0:0]
	for _, other := range list {
		if other != p {
			kept = append(kept, other)
		}
	}
	return kept
}

// dead says that a database or the log is closed for good.
func dead(err error) bool {
	return errors.Is(err, eventlog.ErrClosed) || errors.Is(err, sqldb.ErrCrashed)
}

// publish moves the first rows of the outbox and says how many. It has the lease
// before it looks, so that nobody else can have emptied what it saw, and filled it
// with others of the same numbers, when it deletes.
func (p *publisher) publish(ctx context.Context) (moved int, err error) {
	rows := p.takeHanded()
	if len(rows) == 0 {
		if none, err := p.empty(ctx); err != nil || none {
			return 0, err
		}
	}
	if mine, err := p.hold(ctx); err != nil || !mine {
		return 0, err
	}
	if front, err := p.areFront(ctx, rows); err != nil {
		return 0, err
	} else if !front {
		if rows, err = p.front(ctx); err != nil || len(rows) == 0 {
			return 0, err
		}
	}
	records := recordsOf(rows)
	if p.relay.flaw == flawDelete {
		if err := p.remove(ctx, rows, nil); err != nil {
			return 0, err
		}
		return len(records), p.relay.log.Append(ctx, records)
	}
	err = p.relay.log.Append(ctx, records)
	conflict, _ := errors.AsType[*eventlog.IDConflict](err)
	if err != nil && conflict == nil {
		return 0, err
	}
	if err := p.remove(ctx, rows, conflict); errors.Is(err, errLeaseLost) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return len(records), nil
}

func recordsOf(rows []row) []eventlog.Record {
	records := make([]eventlog.Record, len(rows))
	for i := range rows {
		records[i] = rows[i].Record
	}
	return records
}

func (p *publisher) takeHanded() []row {
	sleepers.Lock()
	defer sleepers.Unlock()
	rows := p.handed
	p.handed = nil
	return rows
}

// areFront says whether rows that were handed over are what front would read. Rows
// leave an outbox in their order, so when the first is there, all are; when it is the
// outbox's first and no number is missing, they are alone up to the last.
func (p *publisher) areFront(ctx context.Context, rows []row) (are bool, err error) {
	if !unbroken(rows) {
		return false, nil
	}
	err = p.db.Read(ctx, func(tx *sqldb.Tx) error {
		var first row
		_, err := tx.Get(`select n, id from outbox order by n limit 1`, nil, &first.n, &first.ID)
		are = first.n == rows[0].n && first.ID == rows[0].ID
		return err
	})
	return are, err
}

// unbroken says that rows have all numbers from the first to the last in order, so
// that no others lie between them. Two processes' rows may be handed over in another.
func unbroken(rows []row) bool {
	for i, r := range rows {
		if r.n != rows[0].n+int64(i) {
			return false
		}
	}
	return len(rows) > 0
}

// front reads the rows to publish next.
func (p *publisher) front(ctx context.Context) (out []row, err error) {
	err = p.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select n, id, topic, key, type, body from outbox order by n limit $1`, publishMax)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r row
			if err := rows.Scan(&r.n, &r.ID, &r.Topic, &r.Key, &r.Type, &r.Value); err != nil {
				return err
			}
			out = append(out, r)
		}
		return rows.Err()
	})
	return out, err
}

// remove deletes rows that are durable on the log, and keeps as dead letters those
// that the log refused.
func (p *publisher) remove(ctx context.Context, rows []row, conflict *eventlog.IDConflict) error {
	refused := map[string]bool{}
	if conflict != nil {
		for _, id := range conflict.IDs {
			refused[id] = true
			slog.ErrorContext(ctx, "an event id is on the log with another body; the event is a dead letter", "context", p.name, "event", id)
		}
	}
	until := p.relay.now().Add(leaseFor)
	err := p.db.Write(ctx, func(tx *sqldb.Tx) error {
		// The lease is renewed in the transaction that relies on it.
		if n, err := tx.Exec(`update leases set until = $1 where name = $2 and holder = $3`, until.UnixMicro(), lease, p.holder); err != nil {
			return err
		} else if n == 0 {
			return errLeaseLost
		}
		if err := deleteRows(tx, rows); err != nil {
			return err
		}
		for _, r := range rows {
			if !refused[r.ID] {
				continue
			}
			l := letter{id: event.HashID("conflict", p.name, r.ID, string(r.Value)), group: p.name, Record: r.Record, reason: reasonConflict}
			l.Partition = -1
			if err := l.insert(tx, p.relay.now()); err != nil {
				return err
			}
		}
		return nil
	})
	p.until = time.Time{}
	if err == nil {
		p.until = until
	}
	return err
}

// deleteRows deletes rows in one go, since who emits takes a number behind all others.
// Where numbers are missing, as some were taken away by hand, it goes one by one.
func deleteRows(tx *sqldb.Tx, rows []row) error {
	if unbroken(rows) {
		_, err := tx.Exec(`delete from outbox where n between $1 and $2`, rows[0].n, rows[len(rows)-1].n)
		return err
	}
	for _, r := range rows {
		if _, err := tx.Exec(`delete from outbox where n = $1`, r.n); err != nil {
			return err
		}
	}
	return nil
}

var errLeaseLost = errors.New("another publisher has the lease")

// hold says whether this publisher has the lease for long enough to publish,
// taking or renewing it when it can. An idle publisher lets it lapse.
func (p *publisher) hold(ctx context.Context) (mine bool, err error) {
	if p.until.Sub(p.relay.now()) > leaseFor/2 {
		return true, nil
	}
	now := p.relay.now()
	err = p.db.Write(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`insert into leases (name, holder, until) values ($1, $2, $3)
			on conflict (name) do update set holder = excluded.holder, until = excluded.until
			where leases.holder = excluded.holder or leases.until < $4`, lease, p.holder, now.Add(leaseFor).UnixMicro(), now.UnixMicro())
		mine = n > 0
		return err
	})
	if err != nil {
		return false, err
	}
	p.until = time.Time{}
	if mine {
		p.until = now.Add(leaseFor)
	}
	return mine, nil
}

// release gives the lease back, so that the next process need not wait for it.
func (p *publisher) release(ctx context.Context) {
	if p.until.IsZero() {
		return
	}
	p.until = time.Time{}
	if err := p.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`delete from leases where name = $1 and holder = $2`, lease, p.holder)
		return err
	}); err != nil && !dead(err) {
		slog.WarnContext(ctx, "the lease on an outbox lapses by itself", "context", p.name, "error", err)
	}
}
