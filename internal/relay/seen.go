package relay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"rapport/internal/sqldb"
)

// status is what seen knows of a delivery.
type status uint8

const (
	isFresh  status = iota
	isKnown         // the same event was taken in before
	isReused        // another event has the id
)

// marker enters ids in seen, many to a statement.
type marker struct {
	status []status // of the items of the last mark
	args   []any
}

// markSizes are the numbers of ids to a statement.
var markSizes = [...]int{200, 20, 1}

var markInsert, markSelect [len(markSizes)]string

func init() {
	for i, n := range markSizes {
		rows, ids := make([]string, n), make([]string, n)
		for j := range n {
			rows[j] = "($" + strconv.Itoa(3*j+1) + ", $" + strconv.Itoa(3*j+2) + ", $" + strconv.Itoa(3*j+3) + ")"
			ids[j] = "$" + strconv.Itoa(j+1)
		}
		markInsert[i] = "insert into seen (id, hash, at) values " + strings.Join(rows, ", ") + " on conflict (id) do nothing"
		markSelect[i] = "select id, hash, at from seen where id in (" + strings.Join(ids, ", ") + ")"
	}
}

// mark enters the items' ids and sets status for each.
func (m *marker) mark(tx *sqldb.Tx, items []item) error {
	m.status = m.status[:0]
	for size, n := range markSizes {
		for ; len(items) >= n; items = items[n:] {
			if err := m.chunk(tx, items[:n], size); err != nil {
				return err
			}
		}
	}
	return nil
}

// chunk enters one statement's ids. Those that its stamp does not mark in the
// table were there before.
func (m *marker) chunk(tx *sqldb.Tx, items []item, size int) error {
	at := stamp()
	m.args = m.args[:0]
	for i := range items {
		m.args = append(m.args, items[i].rec.ID, items[i].hash, at)
	}
	n, err := tx.Exec(markInsert[size], m.args...)
	if err != nil {
		return err
	}
	if n == int64(len(items)) {
		for range items {
			m.status = append(m.status, isFresh)
		}
		return nil
	}
	type entry struct {
		hash, at int64
		taken    bool
	}
	was := make(map[string]*entry, len(items))
	m.args = m.args[:0]
	for i := range items {
		m.args = append(m.args, items[i].rec.ID)
	}
	rows, err := tx.Query(markSelect[size], m.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var e entry
		if err := rows.Scan(&id, &e.hash, &e.at); err != nil {
			return err
		}
		was[id] = &e
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range items {
		e := was[items[i].rec.ID]
		switch {
		case e.hash != items[i].hash:
			m.status = append(m.status, isReused)
		case e.at == at && !e.taken:
			e.taken = true
			m.status = append(m.status, isFresh)
		default:
			m.status = append(m.status, isKnown)
		}
	}
	return nil
}

// hashOf tells two bodies apart.
func hashOf(value []byte) int64 {
	sum := sha256.Sum256(value)
	return int64(binary.LittleEndian.Uint64(sum[:]))
}

var lastStamp atomic.Int64

// stamp is the time in microseconds, another one at every call.
func stamp() int64 {
	for {
		last := lastStamp.Load()
		next := max(last+1, time.Now().UnixMicro())
		if lastStamp.CompareAndSwap(last, next) {
			return next
		}
	}
}

// Purge forgets the ids that a database took in more than 14 days before now, and
// gives their number. Run does it once a day.
func Purge(ctx context.Context, db *sqldb.DB, now time.Time) (int64, error) {
	const page = 5000
	before := now.Add(-remember).UnixMicro()
	var forgotten int64
	for after, more := "", true; more; {
		var old []string
		if err := db.Read(ctx, func(tx *sqldb.Tx) error {
			rows, err := tx.Query(`select id, at from seen where id > $1 order by id limit $2`, after, page)
			if err != nil {
				return err
			}
			defer rows.Close()
			more = false
			for rows.Next() {
				var at int64
				if err := rows.Scan(&after, &at); err != nil {
					return err
				}
				more = true
				if at < before {
					old = append(old, after)
				}
			}
			return rows.Err()
		}); err != nil {
			return forgotten, err
		}
		if len(old) == 0 {
			continue
		}
		if err := db.Write(ctx, func(tx *sqldb.Tx) error {
			for _, id := range old {
				if _, err := tx.Exec(`delete from seen where id = $1`, id); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return forgotten, err
		}
		forgotten += int64(len(old))
	}
	return forgotten, nil
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
			if _, err := Purge(ctx, db, r.now()); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "old event ids could not be forgotten, trying again tomorrow", "error", err)
			}
		}
	}
}
