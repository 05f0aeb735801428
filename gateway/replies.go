package gateway

import (
	"context"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/internal/authz"
	"rapport/internal/erasure"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// How many replies one person gets in a day, UTC, from all agents together: what they
// ask for costs the platform. Mentor points double it for 24 hours.

const day = event.Micros(24 * time.Hour / time.Microsecond)

// Replies is what a person got today and may get.
type Replies struct {
	Today   int          `json:"today"`
	Limit   int          `json:"limit" doc:"0: as many as you like."`
	EndsAt  event.Micros `json:"endsAt" doc:"When the day ends, UTC."`
	Doubled event.Micros `json:"doubledUntil,omitempty" doc:"Until when the limit is twice the ordinary one."`
}

// RepliesOf gives the principal's own.
func (s *Service) RepliesOf(ctx context.Context) (r Replies, err error) {
	p := authz.From(ctx)
	if p.Person == "" {
		return r, p.Check(authz.Points, authz.Read)
	}
	if err := p.Check(authz.Points, authz.Read, authz.Self); err != nil {
		return r, err
	}
	if err := s.Settle(ctx); err != nil {
		return r, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		r, err = s.repliesOf(tx, p.Person, s.now())
		return err
	})
	return r, err
}

func (s *Service) repliesOf(tx *sqldb.Tx, person event.PersonID, now event.Micros) (r Replies, err error) {
	a, err := allowanceOf(tx, person, now)
	r.EndsAt, r.Today, r.Limit = (now/day+1)*day, a.n, s.allowed(a, now)
	if r.Limit > s.o.Replies {
		r.Doubled = a.boost + day
	}
	return r, err
}

// allowanceOf reads what a person got today and when they last bought more.
func allowanceOf(tx *sqldb.Tx, person event.PersonID, now event.Micros) (a allowance, err error) {
	a.day = now / day
	if _, err = tx.Get(`select n from replies where person_id = $1 and day = $2`, []any{person, a.day}, &a.n); err != nil {
		return a, err
	}
	_, err = tx.Get(`select at from boosts where person_id = $1 order by at desc limit 1`, []any{person}, &a.boost)
	return a, err
}

// allowed is how many replies somebody gets today.
func (s *Service) allowed(a allowance, now event.Micros) int {
	if a.boost > now-day {
		return 2 * s.o.Replies
	}
	return s.o.Replies
}

// countReplies counts what somebody is about to get; days before are forgotten.
func countReplies(tx *sqldb.Tx, person event.PersonID, on event.Micros, n int64) error {
	if _, err := tx.Exec(`delete from replies where person_id = $1 and day < $2`, person, on); err != nil {
		return err
	}
	_, err := tx.Exec(`insert into replies (person_id, day, n) values ($1, $2, $3) on conflict (person_id, day) do update set n = replies.n + excluded.n`, person, on, n)
	return err
}

// silenced is why an agent does not answer somebody directly.
func (s *Service) silenced(reasons []string) error {
	if len(reasons) == 1 && reasons[0] == compile.ReasonLimit {
		f := fault.New(fault.RateLimited, "replies_spent", "You have had today's replies; there are more after midnight UTC, or for mentor points.")
		now := s.now()
		f.RetryAfter = time.Duration((now/day+1)*day-now) * time.Microsecond
		return f
	}
	return nil
}

// boosted takes in that somebody bought twice the replies.
func (s *Service) boosted(tx *sqldb.Tx, e event.Event, p event.PointsSpent) error {
	if p.Item != event.ItemReplies {
		return nil
	}
	tx.OnCommit(func() { s.desk.boosted(p.PersonID, e.Time) })
	_, err := tx.Exec(`insert into boosts (spend_id, person_id, at) values ($1, $2, $3) on conflict do nothing`, p.SpendID, p.PersonID, e.Time)
	return err
}

// forgetPerson drops what is held of a person here but decisions, which go with the
// agents they were made for.
func (s *Service) forgetPerson(tx *sqldb.Tx, e event.Event, person event.PersonID) error {
	if err := s.catchUp(tx); err != nil {
		return err
	}
	tx.OnCommit(func() { s.desk.forgetPerson(person) })
	return erasure.Begin(tx, e, person).
		Drop("replies", `delete from replies where person_id = $1`).
		Drop("boosts", `delete from boosts where person_id = $1`).
		Drop("spending", `delete from spending where kind = 'owner' and id = $1`).
		End()
}
