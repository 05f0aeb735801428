package feedback

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/sqldb"
)

// habits are the ways of the people of a batch: each is read once, and written once
// at the batch's end; with what else the batch has found out, see gathered.go.
type habits struct {
	tx *sqldb.Tx
	of map[event.PersonID]*habit
	gathered
	waits waits // does anything wait for what may come?
}

type waits byte

const (
	mayWait waits = iota // not looked yet
	waiting
	noneWaits
)

// habit is sums only, so that the order in which agents and rooms tell of a person
// does not matter.
type habit struct {
	signal.Baseline
	pauses  signal.Pauses
	erased  bool
	changed bool
}

func (h *habits) get(person event.PersonID) (*habit, error) {
	if b := h.of[person]; b != nil {
		return b, nil
	}
	err := h.learn([]event.PersonID{person})
	return h.of[person], err
}

// learn reads the habits of people.
func (h *habits) learn(people []event.PersonID) error {
	if h.of == nil {
		h.of = make(map[event.PersonID]*habit, len(people))
	}
	ids := make([]any, len(people))
	for i, p := range people {
		ids[i], h.of[p] = string(p), &habit{}
	}
	if err := h.tx.QueryMany(`select person_id from erased where person_id in (`, 0, `)`, ids, func(rows *sql.Rows) error {
		var person event.PersonID
		err := rows.Scan(&person)
		h.of[person].erased = true
		return err
	}); err != nil {
		return err
	}
	return h.tx.QueryMany(`select person_id, sessions, turns, chars, pauses, pause_sum, pause_squares, replies, reply_sum, reply_squares, pause_sizes from baselines where person_id in (`, 0, `)`, ids, func(rows *sql.Rows) error {
		var person event.PersonID
		var sizes string
		b := habit{}
		if err := rows.Scan(&person, &b.Sessions, &b.Turns, &b.Chars, &b.Pauses.N, &b.Pauses.Sum, &b.Pauses.Squares, &b.Replies.N, &b.Replies.Sum, &b.Replies.Squares, &sizes); err != nil {
			return err
		}
		raw, err := base64.RawStdEncoding.DecodeString(sizes)
		if err != nil {
			return fmt.Errorf("pauses of %s: %w", person, err)
		}
		var ok bool
		if b.pauses, ok = signal.ReadPauses(raw); !ok {
			return fmt.Errorf("pauses of %s cannot be read", person)
		}
		b.erased = h.of[person].erased
		*h.of[person] = b
		return nil
	})
}

// answered adds a pause before an answer.
func (b *habit) answered(milli int64) {
	if milli > 0 && !b.erased {
		b.Replies, b.pauses, b.changed = b.Replies.With(milli), b.pauses.With(milli), true
	}
}

func (b *habit) talked(turns, medianChars int, pauseMilli int64) {
	b.Baseline, b.changed = b.With(turns, medianChars, pauseMilli), true
}

// nobodyWaits says that no signal waits for anything, so that none need be looked for.
func (h *habits) nobodyWaits() (bool, error) {
	if h.waits == mayWait {
		some, err := h.tx.Get(`select 1 from waiting where reason = '' limit 1`, nil, new(int))
		if err != nil {
			return false, err
		}
		if h.waits = noneWaits; some {
			h.waits = waiting
		}
	}
	return h.waits == noneWaits, nil
}

// forget drops what is known of somebody who is erased.
func (h *habits) forget(person event.PersonID) {
	delete(h.of, person)
	clear(h.took)
}

// save writes what changed.
func (h *habits) save() error {
	var args []any
	for _, person := range slices.Sorted(maps.Keys(h.of)) {
		b := h.of[person]
		if !b.changed || b.erased {
			continue
		}
		args = append(args, person, b.Sessions, b.Turns, b.Chars, b.Pauses.N, b.Pauses.Sum, b.Pauses.Squares, b.Replies.N, b.Replies.Sum, b.Replies.Squares,
			base64.RawStdEncoding.EncodeToString(b.pauses.Append(nil)))
		b.changed = false
	}
	_, err := h.tx.ExecMany(`insert into baselines (person_id, sessions, turns, chars, pauses, pause_sum, pause_squares, replies, reply_sum, reply_squares, pause_sizes) values `, 11,
		` on conflict (person_id) do update set sessions = excluded.sessions, turns = excluded.turns, chars = excluded.chars, pauses = excluded.pauses, pause_sum = excluded.pause_sum,
			pause_squares = excluded.pause_squares, replies = excluded.replies, reply_sum = excluded.reply_sum, reply_squares = excluded.reply_squares, pause_sizes = excluded.pause_sizes`, args)
	return err
}
