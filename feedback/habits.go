package feedback

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// habits are the ways of the people of a batch: each is read once, and written once
// at the batch's end; with what else the batch has found out.
type habits struct {
	tx    *sqldb.Tx
	of    map[event.PersonID]*habit
	part  map[part]bool // who was noted to take part in what
	about map[event.MessageID]target
	waits waits // does anything wait for what may come?
	out   []event.Event
}

type waits byte

const (
	mayWait waits = iota // not looked yet
	waiting
	noneWaits
)

type part struct {
	session event.SessionID
	person  event.PersonID
}

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
	b := &habit{}
	gone, err := isErased(h.tx, person)
	if err != nil {
		return nil, err
	}
	if b.erased = gone; !gone {
		var sizes string
		if _, err := h.tx.Get(`select sessions, turns, chars, pauses, pause_sum, pause_squares, replies, reply_sum, reply_squares, pause_sizes from baselines where person_id = $1`, []any{person},
			&b.Sessions, &b.Turns, &b.Chars, &b.Pauses.N, &b.Pauses.Sum, &b.Pauses.Squares, &b.Replies.N, &b.Replies.Sum, &b.Replies.Squares, &sizes); err != nil {
			return nil, err
		}
		raw, err := base64.RawStdEncoding.DecodeString(sizes)
		if err != nil {
			return nil, fmt.Errorf("pauses of %s: %w", person, err)
		}
		var ok bool
		if b.pauses, ok = signal.ReadPauses(raw); !ok {
			return nil, fmt.Errorf("pauses of %s cannot be read", person)
		}
	}
	if h.of == nil {
		h.of = map[event.PersonID]*habit{}
	}
	h.of[person] = b
	return b, nil
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

// takesPart notes once that a person was in a session.
func (h *habits) takesPart(session event.SessionID, person event.PersonID) error {
	p := part{session, person}
	if h.part[p] {
		return nil
	}
	if h.part == nil {
		h.part = map[part]bool{}
	}
	h.part[p] = true
	return takesPart(h.tx, session, person)
}

// find is the lookup of a batch: what was found about a message holds until an event
// comes that may change it.
func (h *habits) find(tx *sqldb.Tx, d draft) (target, string, error) {
	if d.Message == "" {
		return find(tx, d)
	}
	if t, ok := h.about[d.Message]; ok {
		return t, "", nil
	}
	t, awaits, err := find(tx, d)
	if err == nil && awaits == "" {
		if h.about == nil {
			h.about = map[event.MessageID]target{}
		}
		h.about[d.Message] = t
	}
	return t, awaits, err
}

// sees prepares for the next event: what it may change is forgotten, and told is
// before it whatever is to be told before.
func (h *habits) sees(e event.Event) error {
	if e.Type == (event.MessageCreated{}).EventType() || e.Type == (event.ReactionAdded{}).EventType() {
		return nil
	}
	clear(h.about)
	return h.tell()
}

// tell emits what was found so far.
func (h *habits) tell() error {
	out := h.out
	h.out = nil
	return relay.Emit(h.tx, out...)
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
	clear(h.part)
}

// save writes what changed.
func (h *habits) save() error {
	for _, person := range slices.Sorted(maps.Keys(h.of)) {
		b := h.of[person]
		if !b.changed || b.erased {
			continue
		}
		if _, err := h.tx.Exec(`insert into baselines (person_id, sessions, turns, chars, pauses, pause_sum, pause_squares, replies, reply_sum, reply_squares, pause_sizes)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			on conflict (person_id) do update set sessions = excluded.sessions, turns = excluded.turns, chars = excluded.chars, pauses = excluded.pauses, pause_sum = excluded.pause_sum,
				pause_squares = excluded.pause_squares, replies = excluded.replies, reply_sum = excluded.reply_sum, reply_squares = excluded.reply_squares, pause_sizes = excluded.pause_sizes`,
			person, b.Sessions, b.Turns, b.Chars, b.Pauses.N, b.Pauses.Sum, b.Pauses.Squares, b.Replies.N, b.Replies.Sum, b.Replies.Squares,
			base64.RawStdEncoding.EncodeToString(b.pauses.Append(nil))); err != nil {
			return err
		}
		b.changed = false
	}
	return nil
}
