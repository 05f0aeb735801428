package gateway

import (
	"strconv"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
)

// silence ends a caller's session.
const silence = event.Micros(20 * time.Minute / time.Microsecond)

// A caller's session is remembered; how long ago it spoke is stored to the minute.
const stamp = event.Micros(time.Minute / time.Microsecond)

// session is where a caller is.
type session struct {
	id     event.SessionID
	last   event.Micros // when the caller spoke last
	stored event.Micros // the last that is in the table
}

// sessionOf gives the session of a caller that named none: the last one, until it
// was silent for twenty minutes; after a restart it may be a minute less.
func (s *Service) sessionOf(tx *sqldb.Tx, q question, now event.Micros) (event.SessionID, error) {
	s.mu.Lock()
	is, ok := s.callers[q.caller]
	s.mu.Unlock()
	if !ok {
		var err error
		if ok, err = tx.Get(`select session_id, last_at from callers where caller = $1`, []any{q.caller}, &is.id, &is.last); err != nil {
			return "", err
		}
		is.stored = is.last
	}
	fresh := !ok || now-is.last > silence
	if fresh {
		is.id = event.SessionID(event.HashID("gateway", "session", q.caller, strconv.FormatInt(now, 10)))
	}
	is.last = max(now, is.last)
	if fresh || is.last-is.stored > stamp {
		is.stored = is.last
		if _, err := tx.Exec(`insert into callers (caller, session_id, last_at) values ($1, $2, $3)
			on conflict (caller) do update set session_id = excluded.session_id, last_at = excluded.last_at`, q.caller, is.id, is.last); err != nil {
			return "", err
		}
	}
	tx.OnCommit(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.callers) >= remembered {
			clear(s.callers)
		}
		s.callers[q.caller] = is
	})
	return is.id, nil
}
