package relay

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// DeadLetter is an event that a consumer could not handle.
type DeadLetter struct {
	ID       string      `json:"id"`
	Group    string      `json:"group"`
	Event    event.Event `json:"event"` // id, type and subject only when it cannot be read
	Reason   string      `json:"reason"`
	Parked   bool        `json:"parked"` // waits behind another one of its key
	At       int64       `json:"at"`
	Replayed int64       `json:"replayed,omitempty"` // when it was last handed to the log again
}

// Reasons that are not an error of the handler.
const (
	reasonConflict = "id_conflict" // the log has the id with another body
	reasonReused   = "id_reused"   // the group has taken in another body under the id
	reasonBehind   = "waits behind an earlier event of its key"
)

// reasonMax bounds what is kept of an error.
const reasonMax = 500

func reasonOf(err error) string {
	s := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "")
	if len(s) > reasonMax {
		s = strings.ToValidUTF8(s[:reasonMax], "") + " …"
	}
	return s
}

// Replays are told by their id: <event id>/replay/<group>/<k>.
const replayMark = "/replay/"

func replayID(eventID, group string, k int64) string {
	return eventID + replayMark + group + "/" + strconv.FormatInt(k, 10)
}

// replayOf gives the group that a replay is for.
func replayOf(recordID string) (group string, is bool) {
	_, rest, is := strings.Cut(recordID, replayMark)
	if !is {
		return "", false
	}
	return rest[:max(0, strings.LastIndexByte(rest, '/'))], true
}

// letter is a row of dead_letters.
type letter struct {
	eventlog.Record // as it lay on the log; Partition -1 when it never did
	n               int64
	id, group       string
	reason          string
	parked          bool
	at              int64
	replays         int64
	replayed        int64
	released        eventlog.Position
}

const letterColumns = `n, id, grp, event_id, topic, key, type, body, part, position, reason, parked, at, replays, replayed, released`

// letters reads rows of dead_letters; where ends the query.
func letters(tx *sqldb.Tx, where string, args ...any) (out []letter, err error) {
	rows, err := tx.Query(`select `+letterColumns+` from dead_letters where `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l letter
		if err := rows.Scan(&l.n, &l.id, &l.group, &l.ID, &l.Topic, &l.Key, &l.Type, &l.Value, &l.Partition, &l.Position,
			&l.reason, &l.parked, &l.at, &l.replays, &l.replayed, &l.released); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// insert adds a row at the end.
func (l letter) insert(tx *sqldb.Tx, now time.Time) error {
	if _, err := tx.Get(`select coalesce(max(n), 0) + 1 from dead_letters`, nil, &l.n); err != nil {
		return err
	}
	l.at = now.UnixMicro()
	return l.put(tx)
}

func (l letter) put(tx *sqldb.Tx) error {
	_, err := tx.Exec(`insert into dead_letters (`+letterColumns+`)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) on conflict (id) do nothing`,
		l.n, l.id, l.group, l.ID, l.Topic, l.Key, l.Type, l.Value, l.Partition, l.Position,
		l.reason, l.parked, l.at, l.replays, l.replayed, l.released)
	return err
}

// deadLetter keeps a record of the log with the reason.
func (c *consumer) deadLetter(tx *sqldb.Tx, rec *eventlog.Record, reason string, parked bool) error {
	id := event.HashID("dead letter", c.Group, rec.Topic, strconv.Itoa(rec.Partition), strconv.FormatInt(int64(rec.Position), 10))
	return letter{Record: *rec, id: id, group: c.Group, reason: reason, parked: parked}.insert(tx, c.relay.now())
}

// park makes later events of the record's key wait.
func (c *consumer) park(tx *sqldb.Tx, rec *eventlog.Record) error {
	_, err := tx.Exec(`insert into parked (grp, topic, key, part, at) values ($1, $2, $3, $4, $5) on conflict (grp, topic, key) do nothing`,
		c.Group, rec.Topic, rec.Key, rec.Partition, c.relay.now().UnixMicro())
	return err
}

const (
	parkedMin   = 10
	parkedShare = 0.01
)

// tooManyParked says whether the group has to stop: at least parkedMin keys are
// parked, and more than parkedShare of the keys it met.
func (c *consumer) tooManyParked(tx *sqldb.Tx) (bool, error) {
	var parked int64
	if _, err := tx.Get(`select count(*) from parked where grp = $1`, []any{c.Group}, &parked); err != nil || parked < parkedMin {
		return false, err
	}
	rows, err := tx.Query(`select keys from positions where grp = $1`, c.Group)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	met := 0.0
	for rows.Next() {
		var keys []byte
		if err := rows.Scan(&keys); err != nil {
			return false, err
		}
		var s sketch
		copy(s[:], keys)
		met += s.estimate()
	}
	return float64(parked) > parkedShare*met, rows.Err()
}

// DeadLetters lists what a group has set aside or parked and not replayed,
// oldest first. A letter stays in the list until the group has handled it.
func (r *Relay) DeadLetters(ctx context.Context, group string) ([]DeadLetter, error) {
	dbs, err := r.databases(group)
	if err != nil {
		return nil, err
	}
	out := []DeadLetter{}
	for _, db := range dbs {
		var waiting []letter
		err := db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			waiting, err = letters(tx, `grp = $1 and released = 0 order by n`, group)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, l := range waiting {
			var e event.Event
			if e.UnmarshalJSON(l.Value) != nil {
				e = event.Event{ID: l.ID, Type: event.Type(l.Type), Subject: l.Key}
			}
			out = append(out, DeadLetter{ID: l.id, Group: l.group, Event: e, Reason: l.reason, Parked: l.parked, At: l.at, Replayed: l.replayed})
		}
	}
	return out, nil
}

// databases of a group: where it consumes, and where the outbox of its name is.
func (r *Relay) databases(group string) (dbs []*sqldb.DB, err error) {
	add := func(name string, db *sqldb.DB) {
		if name == group && !slices.Contains(dbs, db) {
			dbs = append(dbs, db)
		}
	}
	for _, c := range r.consumers {
		add(c.Group, c.DB)
	}
	for _, p := range r.outboxes {
		add(p.name, p.db)
	}
	if len(dbs) == 0 {
		return nil, fault.New(fault.NotFound, "unknown_group", "There is no group %s in this process; ask the one that runs it.", group)
	}
	return dbs, nil
}

// Replay hands a dead letter to the log again for its group. Of a parked key it
// is the first letter that goes, and the group then takes all letters of the key
// in order, with those that came meanwhile, before it goes on with the key. A
// letter that fails once more stays in the list, and a parked key then stays
// parked from there.
//
// Fault unknown_letter when the group has no such letter waiting, not_replayable
// for id_conflict and id_reused: the event has to be emitted under an id of its
// own.
func (r *Relay) Replay(ctx context.Context, group, id string) error {
	dbs, err := r.databases(group)
	if err != nil {
		return err
	}
	for _, db := range dbs {
		var rec *eventlog.Record
		err := db.Write(ctx, func(tx *sqldb.Tx) error {
			found, err := letters(tx, `id = $1 and grp = $2 and released = 0`, id, group)
			if err != nil || len(found) == 0 {
				return err
			}
			l := found[0]
			if l.reason == reasonConflict || l.reason == reasonReused {
				return fault.New(fault.Conflict, "not_replayable", "Another event has this one's id; emit it again under an id of its own.")
			}
			if l.parked {
				if found, err = letters(tx, `grp = $1 and topic = $2 and key = $3 and parked and released = 0 order by n limit 1`, group, l.Topic, l.Key); err != nil {
					return err
				}
				l = found[0]
			}
			rec = &eventlog.Record{Topic: l.Topic, Key: l.Key, ID: replayID(l.ID, group, l.replays+1), Type: l.Type, Value: l.Value}
			_, err = tx.Exec(`update dead_letters set replays = replays + 1, replayed = $1 where id = $2`, r.now().UnixMicro(), l.id)
			return err
		})
		if err != nil {
			return err
		}
		if rec != nil {
			return r.log.Append(ctx, []eventlog.Record{*rec})
		}
	}
	return fault.New(fault.NotFound, "unknown_letter", "%s has no such dead letter waiting; list them again.", group)
}

// replayed is a replay's turn in its partition: the letters are taken here, one
// transaction each.
func (c *consumer) replayed(ctx context.Context, st *part, it *item) error {
	if c.past != nil {
		return c.taken(ctx, st, it)
	}
	rec := it.rec
	parked := st.parked[rec.Key]
	eventID, _, _ := strings.Cut(rec.ID, replayMark)
	var back backoff
	var failed error // of the letter tried last, when that was its end
	for {
		var l letter
		done := false
		err := c.DB.Write(ctx, func(tx *sqldb.Tx) error {
			// To where it is: nothing is written when somebody else moved it.
			if err := c.move(tx, st, st.saved); err != nil {
				return err
			}
			var next []letter
			var err error
			if parked {
				next, err = letters(tx, `grp = $1 and topic = $2 and key = $3 and parked and released = 0 order by n limit 1`, c.Group, rec.Topic, rec.Key)
			} else {
				next, err = letters(tx, `grp = $1 and topic = $2 and key = $3 and event_id = $4 and not parked and reason <> $5 and released = 0 order by n limit 1`,
					c.Group, rec.Topic, rec.Key, eventID, reasonReused)
			}
			switch {
			case err != nil:
				return err
			case len(next) == 0:
				done = true
				if parked {
					if _, err := tx.Exec(`delete from parked where grp = $1 and topic = $2 and key = $3`, c.Group, rec.Topic, rec.Key); err != nil {
						return err
					}
				}
				return c.move(tx, st, rec.Position)
			}
			l = next[0]
			if failed != nil {
				return c.again(tx, st, &l, rec.Position, failed, parked)
			}
			if _, err := tx.Exec(`update dead_letters set released = $1 where id = $2`, rec.Position, l.id); err != nil {
				return err
			}
			var e event.Event
			if err := decode(&l.Record, &e); err != nil {
				return handlerError{err}
			}
			return c.handle(ctx, tx, []event.Event{e})
		})
		switch {
		case err == nil && (done || failed != nil && (!parked || fateOf(failed) == fatePark)):
			if done && parked {
				delete(st.parked, rec.Key)
			}
			c.moved(st, rec.Position)
			return nil
		case err == nil:
			if failed == nil {
				c.count.handled.Add(1)
			}
			failed = nil
			back.reset()
			continue
		case c.final(ctx, err):
			return err
		case errors.As(err, new(handlerError)) && fateOf(err) != fateHandle:
			failed = err
			continue
		}
		if err := c.pause(ctx, &back, err, it); err != nil {
			return err
		}
	}
}

// again keeps a letter that failed at its replay. A mistake of ours leaves the key
// parked and ends the replay at position to; anything else leaves this letter set
// aside.
func (c *consumer) again(tx *sqldb.Tx, st *part, l *letter, to eventlog.Position, failed error, parked bool) error {
	stays := parked && fateOf(failed) == fatePark
	if _, err := tx.Exec(`update dead_letters set reason = $1, parked = $2 where id = $3`, reasonOf(failed), stays, l.id); err != nil {
		return err
	}
	if stays || !parked {
		return c.move(tx, st, to)
	}
	return nil
}
