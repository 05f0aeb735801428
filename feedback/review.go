package feedback

import (
	"context"
	"time"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// ReviewRules are the numbers of reviewing. Configuration.
type ReviewRules struct {
	PerDay   int           // exchanges that a reviewer is given a day, UTC
	Open     event.Micros  // how long one is theirs
	Partners int           // talks that two people share until they are partners
	Lines    int           // messages of an exchange
	Prices   mentor.Prices // of points
}

// DefaultReviewRules are those of the terms.
func DefaultReviewRules() ReviewRules {
	return ReviewRules{PerDay: 10, Open: event.Micros(24 * time.Hour / time.Microsecond), Partners: 3, Lines: 8, Prices: mentor.DefaultPrices()}
}

// Exchanges asks chat for an exchange of a talk: the message and what was said before
// it there, oldest first, at most so many lines, deleted ones without their words;
// and how everybody in the room is called. Nothing when somebody in the room is
// protected.
type Exchanges interface {
	Exchange(ctx context.Context, room event.RoomID, session event.SessionID, message event.MessageID, lines int) (Exchange, error)
}

// Exchange is what was said. It is read when it is shown and kept nowhere here.
type Exchange struct {
	Lines []mentor.Line
	Names []string
}

// The states of a reviewer.
const (
	reviewerInvited  = "invited"
	reviewerActive   = "active"
	reviewerLeft     = "left"
	reviewerExcluded = "excluded"
)

// Reviewer is a person's part in reviewing.
type Reviewer struct {
	PersonID  event.PersonID `json:"personId,omitempty" doc:"For operators."`
	State     string         `json:"state" enum:"none,invited,active,left,excluded"`
	Reason    string         `json:"reason,omitempty" doc:"An operator's words, of an exclusion."`
	InvitedAt event.Micros   `json:"invitedAt,omitempty"`
	Today     *ReviewDay     `json:"today,omitempty" doc:"Of an active reviewer, for themselves."`
	Regard    string         `json:"regard,omitempty" enum:"unknown,fully,partly,little" doc:"How much your marks count with learning; a matter of taste, with no other consequence. For yourself."`
}

// ReviewDay is what of a day's exchanges is left.
type ReviewDay struct {
	Given  int          `json:"given"`
	Left   int          `json:"left"`
	EndsAt event.Micros `json:"endsAt"`
}

// regard says an agreement in a word. Learning weighs a stranger's mark by its square.
func regard(agreement float64) string {
	switch {
	case agreement >= .75:
		return "fully"
	case agreement >= .55:
		return "partly"
	}
	return "little"
}

// InviteReviewer asks a person to review; who was excluded or had left is asked
// again. For operators, and noted. Fault person_unknown.
func (s *Service) InviteReviewer(ctx context.Context, p authz.Principal, person event.PersonID) (Reviewer, error) {
	if err := p.Check(authz.Mentor, authz.Create); err != nil {
		return Reviewer{}, err
	}
	if err := s.mustBe(ctx, person); err != nil {
		return Reviewer{}, err
	}
	if err := s.note(ctx, p, "invite reviewer", string(person)); err != nil {
		return Reviewer{}, err
	}
	now := s.now()
	var out Reviewer
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into reviewers (person_id, state, reason, invited_at, changed_at) values ($1, $2, '', $3, $4)
			on conflict (person_id) do update set state = case when reviewers.state = 'active' then reviewers.state else excluded.state end, reason = '', invited_at = excluded.invited_at, changed_at = excluded.changed_at`,
			person, reviewerInvited, now, now)
		if err != nil {
			return err
		}
		out, err = reviewerOf(tx, person)
		out.PersonID = person
		return err
	})
	return out, err
}

// Reviewers lists by id who was asked to review, after an id, at most limit. For
// operators. It holds no numbers.
func (s *Service) Reviewers(ctx context.Context, p authz.Principal, after event.PersonID, limit int) ([]Reviewer, error) {
	if err := p.Check(authz.Mentor, authz.List); err != nil {
		return nil, err
	}
	out := []Reviewer{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select person_id, state, reason, invited_at from reviewers where person_id > $1 order by person_id limit $2`, after, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r Reviewer
			if err := rows.Scan(&r.PersonID, &r.State, &r.Reason, &r.InvitedAt); err != nil {
				return err
			}
			out = append(out, r)
		}
		return rows.Err()
	})
	return out, err
}

// Mentoring is the principal's own part in reviewing.
func (s *Service) Mentoring(ctx context.Context, p authz.Principal) (r Reviewer, err error) {
	if err := self(p, authz.Read); err != nil {
		return r, err
	}
	if err := p.Check(authz.Mentor, authz.Read, authz.Self); err != nil {
		return r, err
	}
	now := s.now()
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		if r, err = reviewerOf(tx, p.Person); err != nil || r.State != reviewerActive {
			return err
		}
		given, err := assignedToday(tx, p.Person, now)
		r.Today = &ReviewDay{Given: given, Left: max(0, s.reviews.PerDay-given), EndsAt: mentor.DayEnds(now)}
		if err != nil {
			return err
		}
		r.Regard = "unknown"
		var agreement float64
		known, err := tx.Get(`select agreement from reputations where person_id = $1`, []any{p.Person}, &agreement)
		if known {
			r.Regard = regard(agreement)
		}
		return err
	})
	return r, err
}

// AnswerInvitation accepts the invitation, or leaves; whoever left may come back
// while they are not excluded. An open exchange goes with leaving. Again changes nothing.
// Faults: not_found without an invitation, forbidden excluded.
func (s *Service) AnswerInvitation(ctx context.Context, p authz.Principal, accept bool) (Reviewer, error) {
	if err := selfOf(p, authz.Mentor); err != nil {
		return Reviewer{}, err
	}
	now := s.now()
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		r, err := reviewerOf(tx, p.Person)
		switch {
		case err != nil:
			return err
		case r.State == "none":
			return fault.New(fault.NotFound, "not_found", "Nobody has invited you to review yet; operators do.")
		case r.State == reviewerExcluded:
			return errExcluded
		}
		state := reviewerLeft
		if accept {
			state = reviewerActive
		}
		if state == r.State {
			return nil
		}
		if _, err := tx.Exec(`update reviewers set state = $1, changed_at = $2 where person_id = $3`, state, now, p.Person); err != nil || accept {
			return err
		}
		_, err = tx.Exec(`update assignments set state = 'skipped' where person_id = $1 and state = 'open'`, p.Person)
		return err
	})
	if err != nil {
		return Reviewer{}, err
	}
	return s.Mentoring(ctx, p)
}

var errExcluded = fault.New(fault.Forbidden, "excluded", "An operator ended your part in reviewing; the reason is at GET /v1/reviews/me, and reviews that were refused can be appealed.")

func reviewerOf(tx *sqldb.Tx, person event.PersonID) (Reviewer, error) {
	r := Reviewer{State: "none"}
	_, err := tx.Get(`select state, reason, invited_at from reviewers where person_id = $1`, []any{person}, &r.State, &r.Reason, &r.InvitedAt)
	return r, err
}

// mayReview refuses whoever is no active reviewer: faults not_invited, excluded,
// protected.
func (s *Service) mayReview(tx *sqldb.Tx, p authz.Principal, now event.Micros) error {
	r, err := reviewerOf(tx, p.Person)
	if err != nil {
		return err
	}
	switch r.State {
	case reviewerActive:
	case reviewerExcluded:
		return errExcluded
	default:
		return fault.New(fault.Forbidden, "not_invited", "Reviewing is by invitation; accept yours at POST /v1/reviews/invitation, when there is one.")
	}
	if guarded, err := isProtected(tx, p.Person, now); err != nil || guarded {
		if err == nil {
			err = fault.New(fault.Forbidden, "not_invited", "You cannot review now.")
		}
		return err
	}
	return p.Check(authz.Review, authz.Create, authz.Reviewer)
}

func isProtected(tx *sqldb.Tx, person event.PersonID, now event.Micros) (bool, error) {
	return tx.Get(`select 1 from protections where person_id = $1 and protected and (until = 0 or until > $2)`, []any{person, now}, new(int))
}

// selfOf lets a person at what is theirs.
func selfOf(p authz.Principal, k authz.Kind) error {
	if p.Person == "" {
		return p.Check(k, authz.Change)
	}
	return p.Check(k, authz.Change, authz.Self)
}

// mustBe refuses an id that nobody has.
func (s *Service) mustBe(ctx context.Context, person event.PersonID) error {
	if s.people == nil {
		return nil
	}
	names, err := s.people.Names(ctx, []event.PersonID{person})
	if err != nil {
		return err
	}
	if _, known := names[person]; !known {
		return fault.New(fault.NotFound, "person_unknown", "There is no such person; name them by their id.")
	}
	return nil
}

func (s *Service) note(ctx context.Context, p authz.Principal, act, subject string) error {
	if s.notes == nil {
		return nil
	}
	return s.notes.Note(ctx, p, act, subject)
}

// reputed takes what learning knows of a reviewer's taste. It changes nothing but the
// word they read of themselves.
func reputed(tx *sqldb.Tx, p event.ReputationUpdated) error {
	if gone, err := isErased(tx, p.RaterID); err != nil || gone {
		return err
	}
	_, err := tx.Exec(`insert into reputations (person_id, version, agreement) values ($1, $2, $3)
		on conflict (person_id) do update set version = excluded.version, agreement = excluded.agreement`, p.RaterID, p.Version, p.Agreement)
	return err
}
