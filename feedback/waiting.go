package feedback

import (
	"context"
	"encoding/json"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// wait keeps a draft until what it awaits arrives.
func wait(tx *sqldb.Tx, d draft, awaits string) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	slot := ""
	if d.Channel == event.ChannelReaction {
		slot = reactionSlot(d.Rater, d.Message) + d.Value
	}
	_, err = tx.Exec(`insert into waiting (feedback_id, rater_id, awaits, slot, body, created_at, reason) values ($1, $2, $3, $4, $5, $6, '')
		on conflict (feedback_id) do update set awaits = excluded.awaits`, d.ID, d.Rater, awaits, slot, string(body), d.Created)
	return err
}

// release settles what waited for one of the ids that an event brought, oldest
// first. What is refused now stays as a dead letter with the reason.
func (s *Service) release(tx *sqldb.Tx, cause event.Event, ids ...string) error {
	for _, id := range ids {
		if id == "" {
			continue
		}
		for more := true; more; {
			rows, err := waitingRows(tx, `awaits = $1 and reason = '' and created_at >= $2`, id, cause.Time-patience)
			if err != nil {
				return err
			}
			for _, w := range rows {
				if _, err := s.retry(tx, w.draft, &cause); err != nil {
					return err
				}
			}
			more = len(rows) == maxRows
		}
	}
	return nil
}

// releaseAt is release in a batch, which looks once whether anything waits, and writes
// what it holds only before something that waited for these ids is settled.
func (s *Service) releaseAt(h *habits, cause event.Event, ids ...string) error {
	if none, err := h.nobodyWaits(); none || err != nil {
		return err
	}
	for _, id := range ids {
		awaited, err := h.tx.Get(`select 1 from waiting where awaits = $1 and reason = '' limit 1`, []any{id}, new(int))
		if err != nil {
			return err
		}
		if !awaited {
			continue
		}
		if err := h.tell(); err != nil {
			return err
		}
		if err := s.release(h.tx, cause, id); err != nil {
			return err
		}
	}
	return nil
}

// retry settles a waiting draft; true when it no longer waits for anything.
func (s *Service) retry(tx *sqldb.Tx, d draft, cause *event.Event) (settled bool, err error) {
	o, err := s.settle(tx, d, find)
	if code, ok := refusal(err); ok {
		if d.implicit() { // nobody's words: nothing to keep
			_, err = tx.Exec(`delete from waiting where feedback_id = $1`, d.ID)
			return true, err
		}
		_, err = tx.Exec(`update waiting set reason = $1 where feedback_id = $2`, code, d.ID)
		return true, err
	}
	if err != nil || o.Status == Waiting {
		return false, err
	}
	if _, err := tx.Exec(`delete from waiting where feedback_id = $1`, d.ID); err != nil {
		return false, err
	}
	if o.event == nil {
		return true, nil
	}
	e := *o.event
	if cause != nil {
		e = e.CausedBy(*cause)
	}
	return true, relay.Emit(tx, e)
}

// waiter is a row of waiting.
type waiter struct {
	draft
	awaits, reason string
}

const maxRows = 1000

// waitingRows lists at most maxRows, oldest first.
func waitingRows(tx *sqldb.Tx, where string, args ...any) ([]waiter, error) {
	rows, err := tx.Query(`select body, awaits, reason from waiting where `+where+` order by created_at, feedback_id limit 1000`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []waiter
	for rows.Next() {
		var w waiter
		var body string
		if err := rows.Scan(&body, &w.awaits, &w.reason); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &w.draft); err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

// DeadLetter is feedback that found nothing it is about within an hour, or was
// refused when that arrived. It holds no words.
type DeadLetter struct {
	FeedbackID event.FeedbackID `json:"feedbackId"`
	RaterID    event.PersonID   `json:"raterId"`
	Channel    string           `json:"channel"`
	Awaits     string           `json:"awaits"`           // id that did not arrive
	Reason     string           `json:"reason,omitempty"` // code of the refusal, when it did
	CreatedAt  event.Micros     `json:"createdAt"`
}

// DeadLetters lists them, oldest first, at most 1,000.
func (s *Service) DeadLetters(ctx context.Context) (out []DeadLetter, err error) {
	out = []DeadLetter{}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := waitingRows(tx, `created_at < $1 or reason <> ''`, s.now()-patience)
		for _, w := range rows {
			out = append(out, DeadLetter{w.ID, w.Rater, w.Channel, w.awaits, w.reason, w.Created})
		}
		return err
	})
	return out, err
}

// Replay tries a dead letter again; true when it counts now. Fault not_found.
func (s *Service) Replay(ctx context.Context, id event.FeedbackID) (stored bool, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		rows, err := waitingRows(tx, `feedback_id = $1`, id)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return fault.New(fault.NotFound, "not_found", "No feedback of this id waits.")
		}
		if _, err := s.retry(tx, rows[0].draft, nil); err != nil {
			return err
		}
		stored, err = tx.Get(`select 1 from feedback_events where feedback_id = $1`, []any{id}, new(int))
		return err
	})
	return stored, err
}
