// Package relay carries events between the contexts' databases and the log so
// that effects happen once: outbox → log → handler, position and outbox in one
// transaction.
//
// Owns the tables outbox, seen, positions, dead_letters and leases in every
// context's database. Start reading at Emit, then Consumer, then Relay.Run.
package relay

import (
	"context"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/sqldb"
)

// Migrate makes relay's tables in a context's database. Every context calls it
// before its own migrations.
func Migrate(ctx context.Context, db *sqldb.DB) error { panic("todo") }

// Emit puts events in the outbox of the transaction's database; they are on the
// log soon after the commit, in this order per key. Emitting an id twice is
// harmless.
func Emit(tx *sqldb.Tx, events ...event.Event) error { panic("todo") }

// Handler applies events to a context's tables in one transaction: nothing else
// is done on an event. It is given events of one partition, in order, each id
// once. An error undoes the whole batch; it is then tried one event at a time,
// and the failing event meets its fate by fault.KindOf: Unavailable and Conflict
// are retried with back-off, Invalid (and the errors of event.As) is set aside,
// Internal parks the event's key.
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
	Group  string       // the context's name
	DB     *sqldb.DB    //
	Topics []string     //
	Types  []event.Type // others of the topics are passed over
	Handle Handler      //
	Max    int          // events in a batch, 256 when 0
}

// Relay runs the loops of a process.
type Relay struct{ impl }

type impl struct{}

// New makes a relay over a log. Add every database with an outbox, and every
// consumer, before Run.
func New(log eventlog.Log) *Relay { panic("todo") }

// AddOutbox publishes what db's outbox holds; name is the context.
func (r *Relay) AddOutbox(name string, db *sqldb.DB) { panic("todo") }

// AddConsumer delivers to a consumer.
func (r *Relay) AddConsumer(c Consumer) { panic("todo") }

// Run publishes and delivers until ctx ends.
func (r *Relay) Run(ctx context.Context) error { panic("todo") }

// Idle waits until every outbox is empty and every consumer is at the end of the
// log: for tests, imports and rebuilds.
func (r *Relay) Idle(ctx context.Context) error { panic("todo") }

// DeadLetter is an event that a consumer could not handle.
type DeadLetter struct {
	ID       string      `json:"id"`
	Group    string      `json:"group"`
	Event    event.Event `json:"event"`
	Reason   string      `json:"reason"`
	Parked   bool        `json:"parked"` // waits behind another one of its key
	At       int64       `json:"at"`
	Replayed int64       `json:"replayed,omitempty"`
}

// DeadLetters lists what a group has set aside or parked and not replayed,
// oldest first.
func (r *Relay) DeadLetters(ctx context.Context, group string) ([]DeadLetter, error) { panic("todo") }

// Replay hands a dead letter, and with a parked key all of the key in order, to
// the log again for its group.
func (r *Relay) Replay(ctx context.Context, group, id string) error { panic("todo") }

// Rebuild runs a consumer over the whole log into a fresh database dst (already
// migrated), emitting nothing: the group's dead letters are passed over where
// they were and taken where they were replayed. progress may be nil.
func Rebuild(ctx context.Context, log eventlog.Log, c Consumer, live, dst *sqldb.DB, progress func(done, total int64)) error {
	panic("todo")
}

// Lag is how far a group is behind, in records, per partition.
func (r *Relay) Lag(ctx context.Context) (map[string]int64, error) { panic("todo") }
