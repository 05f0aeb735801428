package relay

import (
	"context"
	"fmt"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// past is what a rebuild knows of the live group.
type past struct {
	to       map[eventlog.Partition]eventlog.Position // how far to go
	asides   map[place]bool                           // where letters lay
	released map[place][]letter                       // where they were taken, in order
	letters  []letter
	parked   []parkedKey
}

type place struct {
	eventlog.Partition
	at eventlog.Position
}

type parkedKey struct {
	topic, key string
	part, at   int64
}

func (p *past) beyond(part eventlog.Partition, at eventlog.Position) bool {
	return p != nil && at > p.to[part]
}

func (p *past) aside(part eventlog.Partition, at eventlog.Position) bool {
	return p != nil && p.asides[place{part, at}]
}

// Rebuild runs a consumer over the whole log into a fresh database dst (already
// migrated), emitting nothing: the group's dead letters are passed over where
// they were and taken where they were replayed. It goes as far as the live group
// has come, and dst then has its positions, dead letters and parked keys, so that
// it can take its place. Without a live database (nil) it goes to the end of the
// log. An event that the live group handled and the consumer now refuses ends it
// with that error.
//
// progress (may be nil) hears how far it is, in positions of the log.
func Rebuild(ctx context.Context, log eventlog.Log, c Consumer, live, dst *sqldb.DB, progress func(done, total int64)) error {
	p, err := pastOf(ctx, log, c, live)
	if err != nil {
		return err
	}
	c.DB = dst
	con := newConsumer(New(log), c)
	con.past = p
	ctx = context.WithValue(ctx, muted{}, true)
	reader, err := log.Read(ctx, c.Group+".rebuild-"+event.NewID(), c.Topics, con.from)
	if err != nil {
		return con.lost(err)
	}
	defer reader.Close()
	total := int64(0)
	for _, to := range p.to {
		total += int64(to)
	}
	for {
		done, left := int64(0), false
		for part, to := range p.to {
			at, err := con.at(ctx, part, 0)
			if err != nil {
				return err
			}
			done += int64(min(at, to))
			left = left || at < to
		}
		if progress != nil {
			progress(done, total)
		}
		if !left {
			return con.inherit(ctx)
		}
		records, err := reader.Next(ctx, con.Max)
		if err != nil {
			return con.lost(err)
		}
		if len(records) == 0 {
			continue
		}
		part := eventlog.Partition{Topic: records[0].Topic, Index: records[0].Partition}
		if err := con.take(ctx, con.part(part), records); err != nil {
			return fmt.Errorf("rebuild %s: %w", c.Group, err)
		}
	}
}

// pastOf reads how far the live group is and what it set aside.
func pastOf(ctx context.Context, log eventlog.Log, c Consumer, live *sqldb.DB) (*past, error) {
	p := &past{to: map[eventlog.Partition]eventlog.Position{}, asides: map[place]bool{}, released: map[place][]letter{}}
	ends := map[eventlog.Partition]eventlog.Position{}
	for _, topic := range c.Topics {
		parts, err := log.Partitions(ctx, topic)
		if err != nil {
			return nil, err
		}
		for part, end := range parts {
			ends[part] = end
		}
	}
	if live == nil {
		p.to = ends
		return p, nil
	}
	err := live.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select topic, part, position from positions where grp = $1`, c.Group)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var part eventlog.Partition
			var at eventlog.Position
			if err := rows.Scan(&part.Topic, &part.Index, &at); err != nil {
				return err
			}
			p.to[part] = at
		}
		if err := rows.Close(); err != nil {
			return err
		}
		if p.letters, err = letters(tx, `grp = $1 and part >= 0 order by n`, c.Group); err != nil {
			return err
		}
		if rows, err = tx.Query(`select topic, key, part, at from parked where grp = $1`, c.Group); err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k parkedKey
			if err := rows.Scan(&k.topic, &k.key, &k.part, &k.at); err != nil {
				return err
			}
			p.parked = append(p.parked, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	for part, at := range p.to {
		if at > ends[part] {
			return nil, fault.New(fault.Conflict, "position_lost",
				"The database of %s has taken in more of the log than the log holds: restore both from one backup.", c.Group).Because(eventlog.ErrPositionLost)
		}
	}
	for _, l := range p.letters {
		part := eventlog.Partition{Topic: l.Topic, Index: l.Partition}
		p.asides[place{part, l.Position}] = true
		if l.released != 0 {
			at := place{part, l.released}
			p.released[at] = append(p.released[at], l)
		}
	}
	return p, nil
}

// taken handles the letters that the live group took at a replay.
func (c *consumer) taken(ctx context.Context, st *part, it *item) error {
	to := it.rec.Position
	var back backoff
	for {
		err := c.DB.Write(ctx, func(tx *sqldb.Tx) error {
			if err := c.move(tx, st, to); err != nil {
				return err
			}
			for _, l := range c.past.released[place{st.Partition, to}] {
				var e event.Event
				if err := decode(&l.Record, &e); err != nil {
					return err
				}
				if err := c.handle(ctx, tx, []event.Event{e}); err != nil {
					return fmt.Errorf("event %s was handled before and fails now: %w", e.ID, err)
				}
			}
			return nil
		})
		switch {
		case err == nil:
			c.moved(st, to)
			return nil
		case c.final(ctx, err) || fateOf(err) != fateHandle:
			return err
		}
		if err := c.pause(ctx, &back, err, it); err != nil {
			return err
		}
	}
}

// inherit gives dst the live group's positions, dead letters and parked keys.
func (c *consumer) inherit(ctx context.Context) error {
	return c.DB.Write(ctx, func(tx *sqldb.Tx) error {
		for _, st := range c.parts {
			if to := c.past.to[st.Partition]; to > st.saved {
				if err := c.move(tx, st, to); err != nil {
					return err
				}
			}
		}
		for _, l := range c.past.letters {
			if err := l.put(tx); err != nil {
				return err
			}
		}
		for _, k := range c.past.parked {
			if _, err := tx.Exec(`insert into parked (grp, topic, key, part, at) values ($1, $2, $3, $4, $5) on conflict (grp, topic, key) do nothing`,
				c.Group, k.topic, k.key, k.part, k.at); err != nil {
				return err
			}
		}
		return nil
	})
}
