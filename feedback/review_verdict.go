package feedback

import (
	"context"
	"strings"
	"unicode/utf8"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// The verdicts of an operator.
const (
	verdictCount   = "count"   // it counts, and earns
	verdictRefuse  = "refuse"  // it does not; the reviewer goes on
	verdictExclude = "exclude" // it does not, and its author's part in reviewing ends
)

// Verdict is what an operator says on a review that was set aside.
type Verdict struct {
	Verdict string `json:"verdict" enum:"count,refuse,exclude" doc:"count: it counts and earns as if it had never been set aside. refuse: it does not count; its author goes on reviewing. exclude: its author's part ends, and what they gave before counts no longer."`
	Reason  string `json:"reason,omitempty" maxLength:"500" doc:"For the reviewer to read; needed unless it counts."`
}

// Decided is a review after a verdict, for operators.
type Decided struct {
	ReviewID event.FeedbackID `json:"reviewId"`
	State    string           `json:"state" enum:"counted,refused"`
	Excluded bool             `json:"excluded" doc:"Its author's part in reviewing ended."`
}

// DecideReview ends the waiting of a review, or answers the appeal of a refused one.
// Only this excludes anybody; low agreement with others is no reason and is not shown
// here. Noted. The same verdict again changes nothing.
//
// Faults: not_found, conflict decided_already, invalid reason_missing, text_too_long.
func (s *Service) DecideReview(ctx context.Context, p authz.Principal, id event.FeedbackID, v Verdict) (Decided, error) {
	if err := p.Check(authz.Verdict, authz.Change); err != nil {
		return Decided{}, err
	}
	if err := v.check(); err != nil {
		return Decided{}, err
	}
	if err := s.note(ctx, p, v.Verdict+" review", string(id)); err != nil {
		return Decided{}, err
	}
	now := s.now()
	var out Decided
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		found, err := reviewsWhere(tx, `review_id = $1`, id)
		if err != nil || len(found) == 0 {
			if err == nil {
				err = errNotFound
			}
			return err
		}
		r := found[0]
		waits := r.state == reviewAside || r.state == reviewRefused && r.appeal != "" && r.reason == ""
		state := reviewRefused
		if v.Verdict == verdictCount {
			state = reviewCounted
		}
		if !waits {
			if r.state != state || r.decidedAt == 0 {
				return fault.New(fault.Conflict, "decided_already", "This review does not wait for anybody; look at the list again.")
			}
			standing, err := reviewerOf(tx, r.reviewer)
			out = Decided{id, r.state, standing.State == reviewerExcluded}
			return err
		}
		if _, err := tx.Exec(`update reviews set state = $1, reason = $2, decided_at = $3 where review_id = $4`, state, v.Reason, max(1, now), id); err != nil {
			return err
		}
		out = Decided{id, state, v.Verdict == verdictExclude}
		switch v.Verdict {
		case verdictCount:
			if err := s.countReview(tx, r, now); fault.KindOf(err) != fault.NotFound {
				return err
			}
			return fault.New(fault.Conflict, "agent_gone", "The agent is no more, so there is nothing that this could count for; refuse it.")
		case verdictExclude:
			return s.exclude(tx, r.reviewer, v.Reason, now)
		}
		return nil
	})
	return out, err
}

func (v Verdict) check() error {
	switch v.Verdict {
	case verdictCount:
	case verdictRefuse, verdictExclude:
		if strings.TrimSpace(v.Reason) == "" {
			return fault.New(fault.Invalid, "reason_missing", "Say in reason why, for the reviewer to read.")
		}
	default:
		return fault.New(fault.Invalid, "unknown_value", "verdict must be one of count, refuse, exclude.")
	}
	return checkWords(v.Reason, 500)
}

func checkWords(s string, most int) error {
	if utf8.RuneCountInString(s) > most {
		return fault.New(fault.Invalid, "text_too_long", "This text may have %d characters at most.", most)
	}
	if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		return fault.New(fault.Invalid, "bad_text", "Texts must be UTF-8 without the character NUL; remove it.")
	}
	return nil
}

// exclude ends a reviewer's part: what they gave counts no longer, what waits is
// refused, their points stay and cannot be spent.
func (s *Service) exclude(tx *sqldb.Tx, reviewer event.PersonID, reason string, now event.Micros) error {
	if _, err := tx.Exec(`update reviewers set state = $1, reason = $2, changed_at = $3 where person_id = $4`, reviewerExcluded, reason, now, reviewer); err != nil {
		return err
	}
	if _, err := tx.Exec(`update assignments set state = 'skipped' where person_id = $1 and state = 'open'`, reviewer); err != nil {
		return err
	}
	all, err := reviewsWhere(tx, `reviewer_id = $1 and (state = 'counted' or state = 'aside') order by at, review_id`, reviewer)
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := takeAway(tx, r.id, "excluded", now, nil); err != nil {
			return err
		}
		if _, err := tx.Exec(`update reviews set state = $1, reason = $2, decided_at = $3, found_helpful = 0 where review_id = $4`, reviewRefused, reason, max(1, now), r.id); err != nil {
			return err
		}
	}
	return nil
}

// MaxAppeal is how long an appeal may be, in characters.
const MaxAppeal = 1000

// Appeal adds the reviewer's words to a review that waits, or asks once for another
// look at a refused one. Faults: not_found, conflict appealed_already, not_refused;
// invalid text_missing, text_too_long, bad_text.
func (s *Service) Appeal(ctx context.Context, p authz.Principal, id event.FeedbackID, text string) (Review, error) {
	if p.Person == "" {
		return Review{}, p.Check(authz.Review, authz.Change)
	}
	if strings.TrimSpace(text) == "" {
		return Review{}, fault.New(fault.Invalid, "text_missing", "Write in text what the person who looks should know.")
	}
	if err := checkWords(text, MaxAppeal); err != nil {
		return Review{}, err
	}
	var out Review
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		found, err := reviewsWhere(tx, `review_id = $1 and reviewer_id = $2`, id, p.Person)
		if err != nil || len(found) == 0 {
			if err == nil {
				err = errNotFound
			}
			return err
		}
		if err := p.Check(authz.Review, authz.Change, authz.Author); err != nil {
			return err
		}
		r := found[0]
		switch {
		case r.state != reviewAside && r.state != reviewRefused:
			return fault.New(fault.Conflict, "not_refused", "This review counts, or was taken back; there is nothing to appeal.")
		case r.appeal != "" && r.appeal != text:
			return fault.New(fault.Conflict, "appealed_already", "You have appealed this review; the person who looks reads what you wrote first.")
		case r.appeal == "": // the words of who decided give way to the question
			if _, err := tx.Exec(`update reviews set appeal = $1, reason = '' where review_id = $2`, text, id); err != nil {
				return err
			}
		}
		r.appeal = text
		out = r.view(p.Person)
		return nil
	})
	return out, err
}
