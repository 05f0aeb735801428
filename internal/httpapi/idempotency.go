package httpapi

import (
	"context"
	"embed"
	"encoding/json"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

//go:embed migrations
var migrations embed.FS

// idempotencyKept is how long an answer can be had again, in microseconds.
const idempotencyKept = int64(48 * time.Hour / time.Microsecond)

// IdempotencyHeader is embedded in the input of a POST that creates.
type IdempotencyHeader struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Makes a repeat harmless: the same key with the same body gives the first answer again, for two days."`
}

// MigrateIdempotency makes the table idempotency in a context's database, a
// migration set of its own beside relay's and the context's.
func MigrateIdempotency(ctx context.Context, db *sqldb.DB) error {
	return db.Migrate(ctx, "idempotency", migrations)
}

// Idempotent runs do once per principal (person and token) and key and gives
// its answer, the first one again when the key returns with an equal operation
// and body; the answer is stored in tx, so effect and answer are durable
// together. Call it inside Write, after the right to act was checked:
//
//	err := db.Write(ctx, func(tx *sqldb.Tx) (err error) {
//		room, err = httpapi.Idempotent(tx, p, in.IdempotencyKey, "room.create", in.Body, now, func() (Room, error) { … })
//		return err
//	})
//
// Without a key do simply runs. What do fails with is not kept. Answers are kept
// as JSON for two days: let them hold ids rather than words where that will do.
// Fault idempotency_conflict when the key was used for something else.
func Idempotent[T any](tx *sqldb.Tx, p authz.Principal, key, op string, body any, now event.Micros, do func() (T, error)) (T, error) {
	if key == "" {
		return do()
	}
	var out T
	asked, err := json.Marshal(body)
	if err != nil {
		return out, err
	}
	scope, hash := event.HashID(string(p.Person), p.Token, key), event.HashID(op, string(asked))

	if _, err := tx.Exec(`delete from idempotency where at < $1`, now-idempotencyKept); err != nil {
		return out, err
	}
	// The claim comes first: on PostgreSQL a second request waits here for the first.
	claimed, err := tx.Exec(`insert into idempotency (scope, person, body, answer, at) values ($1, $2, $3, '', $4) on conflict do nothing`,
		scope, string(p.Person), hash, now)
	if err != nil {
		return out, err
	}
	if claimed == 0 {
		var was, answer string
		if _, err := tx.Get(`select body, answer from idempotency where scope = $1`, []any{scope}, &was, &answer); err != nil {
			return out, err
		}
		if was != hash {
			return out, fault.New(fault.Conflict, "idempotency_conflict", "This Idempotency-Key was used for another request; take a new one.")
		}
		return out, json.Unmarshal([]byte(answer), &out)
	}
	if out, err = do(); err != nil {
		return out, err
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return out, err
	}
	_, err = tx.Exec(`update idempotency set answer = $1 where scope = $2`, string(answer), scope)
	return out, err
}
