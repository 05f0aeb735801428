package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/erasure"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// Erasure is the proof that a person was erased: a pseudonym that maps to nobody,
// times and numbers.
type Erasure struct {
	Person     event.PersonID              `json:"person" doc:"The pseudonym; nothing says any more whose it was."`
	State      string                      `json:"state" doc:"under_way until every part of the service has dropped what it held, then finished."`
	ErasedAt   event.Micros                `json:"erasedAt"`
	FinishedAt event.Micros                `json:"finishedAt,omitempty"`
	Rows       map[string]map[string]int64 `json:"rows,omitempty" doc:"Rows dropped or emptied, by part of the service and table; evidence counts the signals taken out of learners."`
	Hash       string                      `json:"hash,omitempty" doc:"SHA-256 of person, times and rows, see docs/privacy.md."`
	Receipt    string                      `json:"receipt,omitempty" doc:"Shown this once: GET /v1/erasures/{receipt} gives the proof without a login."`
}

// Erase removes everything account holds of a person, by themselves or an operator:
// name, handle, password, logins, tokens, what they are called on foreign platforms.
// What stays is the pseudonym in the proof. Emits account.erased, upon which the
// other contexts do the same. Fault person_unknown, also the second time.
func (s *Service) Erase(ctx context.Context, p authz.Principal, id event.PersonID) (Erasure, error) {
	var self []authz.Relation
	if p.Person == id {
		self = append(self, authz.Self)
	}
	if err := p.Check(authz.Person, authz.Erase, self...); err != nil {
		return Erasure{}, err
	}
	if err := personally(p); err != nil {
		return Erasure{}, err
	}
	secret, stored := newSecret(receiptPrefix)
	out := Erasure{Person: id, State: underWay, ErasedAt: s.now(), Receipt: secret}
	return out, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		e := event.New("account", event.NewID(), out.ErasedAt, event.AccountErased{PersonID: id})
		gone := erasure.Begin(tx, e, id)
		n, err := tx.Exec(`delete from people where person_id = $1`, id)
		if err != nil || n == 0 {
			return orUnknown(err)
		}
		if err := gone.Count("people", n).
			Drop("foreign_people", `delete from foreign_people where person_id = $1`).
			Drop("sessions", `delete from sessions where person_id = $1`).
			Drop("tokens", `delete from tokens where person_id = $1`).
			Drop("links", `delete from links where person_id = $1`).
			Drop("idempotency", `delete from idempotency where person = $1`).End(); err != nil {
			return err
		}
		if _, err := tx.Exec(`insert into erasures (person_id, erased, receipt) values ($1, $2, $3)`, id, out.ErasedAt, stored); err != nil {
			return err
		}
		tx.OnCommit(s.known.forget)
		tx.OnCommit(s.foreign.forget)
		tx.OnCommit(s.erased)
		return relay.Emit(tx, e)
	})
}

// The states of an erasure.
const (
	underWay = "under_way"
	finished = "finished"
)

// Unfinished lists who is erased here and perhaps not yet everywhere, oldest first.
func (s *Service) Unfinished(ctx context.Context) (people []event.PersonID, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err := erasures(tx, `finished = 0 order by erased, person_id`)
		for _, e := range list {
			people = append(people, e.Person)
		}
		return err
	})
	return people, err
}

// Finish writes down what every part of the service dropped of a person, once.
func (s *Service) Finish(ctx context.Context, id event.PersonID, rows map[string]map[string]int64) error {
	body, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update erasures set finished = $1, body = $2 where person_id = $3 and finished = 0`, s.now(), string(body), id)
		return err
	})
}

// Proof gives the proof that a receipt stands for, to whoever has it. Fault
// receipt_unknown.
func (s *Service) Proof(ctx context.Context, receipt string) (Erasure, error) {
	var list []Erasure
	err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		list, err = erasures(tx, `receipt = $1 and receipt <> ''`, hashOf(receipt))
		return err
	})
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "receipt_unknown", "No erasure has this receipt; look whether it is complete.")
	}
	if err != nil {
		return Erasure{}, err
	}
	return list[0], nil
}

// Proofs lists all proofs, newest first, at most limit, those from before a time
// (0: from the newest). Operators only.
func (s *Service) Proofs(ctx context.Context, p authz.Principal, before event.Micros, limit int) (list []Erasure, err error) {
	if err := p.Check(authz.System, authz.List); err != nil {
		return nil, err
	}
	if before == 0 {
		before = 1<<63 - 1
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = erasures(tx, `erased < $1 order by erased desc, person_id limit $2`, before, limit)
		return err
	})
	return list, err
}

func erasures(tx *sqldb.Tx, where string, args ...any) ([]Erasure, error) {
	rows, err := tx.Query(`select person_id, erased, finished, body from erasures where `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []Erasure{}
	for rows.Next() {
		e, body := Erasure{State: underWay}, ""
		if err := rows.Scan(&e.Person, &e.ErasedAt, &e.FinishedAt, &body); err != nil {
			return nil, err
		}
		if e.FinishedAt != 0 {
			e.State = finished
		}
		if body != "" {
			if err := json.Unmarshal([]byte(body), &e.Rows); err != nil {
				return nil, err
			}
			e.Hash = e.sum(body)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// sum is the SHA-256 of the lines person, erasedAt, finishedAt and the rows as JSON
// with sorted names.
func (e Erasure) sum(rows string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d\n%s\n", e.Person, e.ErasedAt, e.FinishedAt, rows))
	return hex.EncodeToString(sum[:])
}
