package relay

import (
	"context"
	"time"

	"rapport/internal/eventlog"
	"rapport/internal/sqldb"
)

// Round waits until everything that was said before the call has reached every
// group, which handled it or set it aside, however much is said meanwhile. What the
// groups said about it in turn is for the next round. It fails when a group has
// stopped, and with ctx's error.
func (r *Relay) Round(ctx context.Context) error {
	for _, p := range r.outboxes {
		n, id, err := p.newest(ctx)
		for err == nil && id != "" {
			var waits bool
			if waits, err = p.holds(ctx, n, id); !waits {
				break
			}
			err = r.patience(ctx)
		}
		if err != nil {
			return err
		}
	}
	type seat struct {
		group string
		eventlog.Partition
	}
	ends := map[seat]eventlog.Position{}
	if err := r.eachPartition(ctx, func(c *consumer, p eventlog.Partition, last, _ eventlog.Position) { ends[seat{c.Group, p}] = last }); err != nil {
		return err
	}
	for {
		there := true
		if err := r.eachPartition(ctx, func(c *consumer, p eventlog.Partition, _, at eventlog.Position) {
			there = there && at >= ends[seat{c.Group, p}]
		}); err != nil || there {
			return err
		}
		if err := r.patience(ctx); err != nil {
			return err
		}
	}
}

// patience waits a moment, unless there is nothing to wait for.
func (r *Relay) patience(ctx context.Context) error {
	if err := r.Err(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Millisecond):
		return nil
	}
}

// newest is the last row of the outbox; no id when it is empty. Rows leave in order.
func (p *publisher) newest(ctx context.Context) (n int64, id string, err error) {
	err = p.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select n, id from outbox order by n desc limit 1`, nil, &n, &id)
		return err
	})
	return n, id, err
}

func (p *publisher) holds(ctx context.Context, n int64, id string) (has bool, err error) {
	err = p.db.Read(ctx, func(tx *sqldb.Tx) error {
		has, err = tx.Get(`select n from outbox where n = $1 and id = $2`, []any{n, id}, new(int64))
		return err
	})
	return has, err
}
