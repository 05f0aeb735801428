package relay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"time"

	"rapport/internal/eventlog"
	"rapport/internal/sqldb"
)

// remember is how long ids are kept in seen, and so how old an outbox may be.
const remember = 14 * 24 * time.Hour

// mark is what is kept of an event taken in: 64 bits each of the SHA-256 of its
// id and of its body. Of ten million ids two agree with probability 3e-6, and then
// the later event is a dead letter, not lost.
type mark struct{ id, body uint64 }

func markOf(rec *eventlog.Record) mark {
	var buf [128]byte
	id, body := sha256.Sum256(append(buf[:0], rec.ID...)), sha256.Sum256(rec.Value)
	return mark{binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(body[:])}
}

// status is what a partition's memory says of a delivery.
type status uint8

const (
	isFresh  status = iota
	isKnown         // the same event was taken in before
	isReused        // another event has the id
)

// seen are the events taken in from one partition in the last 14 days or more.
// It is whole in memory, 20 to 40 bytes an event, and a copy of the table seen: the
// position is moved in the same transactions, so whoever moves it without being
// fenced knows every mark. Rows of the table hold some hundred marks, since a row
// with an index entry for each would write a page for each: derived ids are
// scattered.
type seen struct {
	young, old map[uint64]uint64 // body by id
	since      int64             // when young began; after 14 days it becomes old
	n          int64             // the row that is being filled
	row        []byte            // its marks
	added      []mark            // by the transaction that runs
}

const (
	markBytes = 16
	rowBytes  = 4096 // a row with as much is full
)

// load reads a partition's marks.
func (s *seen) load(tx *sqldb.Tx, group string, p eventlog.Partition, now time.Time) error {
	*s = seen{young: map[uint64]uint64{}, since: now.UnixMicro()}
	rows, err := tx.Query(`select n, ids from seen where grp = $1 and topic = $2 and part = $3 order by n`, group, p.Topic, p.Index)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		s.row = nil
		if err := rows.Scan(&s.n, &s.row); err != nil {
			return err
		}
		for b := s.row; len(b) >= markBytes; b = b[markBytes:] {
			s.young[binary.BigEndian.Uint64(b)] = binary.BigEndian.Uint64(b[8:])
		}
	}
	return rows.Err()
}

// take says what a delivery is, and from now on knows it.
func (s *seen) take(m mark) status {
	body, known := s.young[m.id]
	if !known {
		body, known = s.old[m.id]
	}
	switch {
	case !known:
		s.young[m.id] = m.body
		s.added = append(s.added, m)
		return isFresh
	case body == m.body:
		return isKnown
	}
	return isReused
}

// save writes what was taken since the last keep or forget.
func (s *seen) save(tx *sqldb.Tx, group string, p eventlog.Partition, now time.Time) error {
	if len(s.added) == 0 {
		return nil
	}
	n, row := s.next()
	_, err := tx.Exec(`insert into seen (grp, topic, part, n, at, ids) values ($1, $2, $3, $4, $5, $6)
		on conflict (grp, topic, part, n) do update set at = excluded.at, ids = excluded.ids`, group, p.Topic, p.Index, n, now.UnixMicro(), row)
	return err
}

// next is the row with the added marks.
func (s *seen) next() (int64, []byte) {
	n, row := s.n, s.row
	if len(row) >= rowBytes {
		n, row = n+1, row[:0:0]
	}
	for _, m := range s.added {
		row = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(row, m.id), m.body)
	}
	return n, row
}

// keep follows the commit of what was saved.
func (s *seen) keep(now time.Time) {
	if len(s.added) > 0 {
		s.n, s.row = s.next()
		s.added = s.added[:0]
	}
	if at := now.UnixMicro(); at-s.since > remember.Microseconds() {
		s.old, s.young, s.since = s.young, map[uint64]uint64{}, at
	}
}

// forget takes back what was taken in a transaction that failed.
func (s *seen) forget() {
	for _, m := range s.added {
		delete(s.young, m.id)
	}
	s.added = s.added[:0]
}

// Purge forgets the ids that a database took in more than 14 days before now. Run
// does it once a day.
func Purge(ctx context.Context, db *sqldb.DB, now time.Time) error {
	return db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`delete from seen where at < $1`, now.Add(-remember).UnixMicro())
		return err
	})
}

// purgeDaily purges a minute after the start and then every day.
func (r *Relay) purgeDaily(ctx context.Context, dbs []*sqldb.DB) error {
	for wait := time.Minute; ; wait = 24 * time.Hour {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		for _, db := range dbs {
			if err := Purge(ctx, db, r.now()); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "old event ids could not be forgotten, trying again tomorrow", "error", err)
			}
		}
	}
}
