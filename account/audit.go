package account

import (
	"context"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/sqldb"
)

// Act is one use of an operator's reach: what lets them see or move what is
// other people's.
type Act struct {
	ID      string         `json:"id"`
	Person  event.PersonID `json:"person"`
	Token   string         `json:"token" doc:"Id of the token or session that was used."`
	Act     string         `json:"act" doc:"export, trace, backup, rebuild, replay, erase and the like; take away: a person took their own data."`
	Subject string         `json:"subject"`
	At      event.Micros   `json:"at"`
}

// Note writes an operator's act down, durably, before it is done.
func (s *Service) Note(ctx context.Context, p authz.Principal, act, subject string) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into operator_acts (act_id, person_id, token_id, act, subject, at) values ($1, $2, $3, $4, $5, $6)`,
			event.NewID(), p.Person, p.Token, act, subject, s.now())
		return err
	})
}

// Acts lists operators' acts, newest first, at most limit, before the act of that
// id (empty: from the newest).
func (s *Service) Acts(ctx context.Context, before string, limit int) ([]Act, error) {
	out := []Act{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select act_id, person_id, token_id, act, subject, at from operator_acts where ($1 = '' or act_id < $2) order by act_id desc limit $3`, before, before, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a Act
			if err := rows.Scan(&a.ID, &a.Person, &a.Token, &a.Act, &a.Subject, &a.At); err != nil {
				return err
			}
			out = append(out, a)
		}
		return rows.Err()
	})
	return out, err
}
