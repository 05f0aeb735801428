package gateway

import (
	"strconv"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
)

// silence ends a caller's session.
const silence = event.Micros(20 * time.Minute / time.Microsecond)

// sessionOf gives the session of a caller that named none: the last one, until it
// was silent for twenty minutes.
func (s *Service) sessionOf(tx *sqldb.Tx, q question, now event.Micros) (event.SessionID, error) {
	var id event.SessionID
	var last event.Micros
	ok, err := tx.Get(`select session_id, last_at from callers where caller = $1`, []any{q.caller}, &id, &last)
	if err != nil {
		return "", err
	}
	if !ok || now-last > silence {
		id = event.SessionID(event.HashID("gateway", "session", q.caller, strconv.FormatInt(now, 10)))
	}
	_, err = tx.Exec(`insert into callers (caller, session_id, last_at) values ($1, $2, $3)
		on conflict (caller) do update set session_id = excluded.session_id, last_at = excluded.last_at`, q.caller, id, now)
	return id, err
}
