package feedback

import (
	"context"
	"math"
	"strconv"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/sqldb"
)

// Review is a review as its author or the agent's owner reads it. To the author it
// does not say which agent it was about, to the owner not who wrote it.
type Review struct {
	ReviewID  event.FeedbackID `json:"reviewId"`
	By        string           `json:"by" enum:"you,a reviewer"`
	AgentID   event.AgentID    `json:"agentId,omitempty" doc:"For the owner."`
	MessageID event.MessageID  `json:"messageId,omitempty" doc:"For the owner: the answer that was reviewed."`
	Marks     mentor.Marks     `json:"marks"`
	Note      string           `json:"note"`
	State     string           `json:"state" enum:"counted,aside,refused,withdrawn" doc:"aside: waits for a person to look; refused: they said that it does not count. An owner sees those that count."`
	Findings  []string         `json:"findings,omitempty" doc:"What it was set aside for, in plain words; for the author."`
	Explained string           `json:"explained,omitempty" doc:"What that means; for the author."`
	Reason    string           `json:"reason,omitempty" doc:"The words of who decided; for the author."`
	Appealed  bool             `json:"appealed,omitempty" doc:"For the author."`
	Helpful   bool             `json:"helpful,omitempty" doc:"The owner's private mark; for the owner."`
	At        event.Micros     `json:"at"`
}

// ReviewPage is a part of a list, newest first.
type ReviewPage struct {
	Items []Review `json:"items"`
	Next  string   `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
}

// Reviews gives what others wrote about an agent of the principal's since it is
// theirs; without an agent, what they wrote themselves. By time.
func (s *Service) Reviews(ctx context.Context, p authz.Principal, agent event.AgentID, cursor string) (ReviewPage, error) {
	page := ReviewPage{Items: []Review{}}
	at, id, err := parseCursor(cursor)
	if err != nil {
		return page, err
	}
	if p.Person == "" {
		return page, p.Check(authz.Review, authz.List)
	}
	relation := authz.Author
	if agent != "" {
		relation = authz.Owner
	}
	if err := p.Check(authz.Review, authz.List, relation); err != nil {
		return page, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		var found []review
		if agent != "" {
			found, err = reviewsWhere(tx, `agent_id = $1 and owner_id = $2 and state = 'counted' and exists (select 1 from agents a where a.agent_id = reviews.agent_id and a.owner_id = $3)
				and (at, review_id) < ($4, $5) order by at desc, review_id desc limit $6`, agent, p.Person, p.Person, at, id, pageSize+1)
		} else {
			found, err = reviewsWhere(tx, `reviewer_id = $1 and (at, review_id) < ($2, $3) order by at desc, review_id desc limit $4`, p.Person, at, id, pageSize+1)
		}
		if err != nil {
			return err
		}
		if len(found) > pageSize {
			found = found[:pageSize]
			last := found[pageSize-1]
			page.Next = strconv.FormatInt(last.at, 10) + "." + string(last.id)
		}
		for _, r := range found {
			page.Items = append(page.Items, r.view(p.Person))
		}
		return nil
	})
	return page, err
}

func (r review) view(reader event.PersonID) Review {
	v := Review{ReviewID: r.id, Marks: r.marks, Note: r.note, State: r.state, At: r.at}
	if r.reviewer != reader {
		v.By, v.AgentID, v.MessageID, v.Helpful = "a reviewer", r.agent, r.message, r.helpful > 0
		return v
	}
	v.By, v.Findings, v.Reason, v.Appealed = "you", inWords(r.findings), r.reason, r.appeal != ""
	if r.state == reviewAside || r.state == reviewRefused {
		v.Explained = mentor.Explanation
	}
	return v
}

// MarkHelpful notes for the owner of the agent that a note helped, or takes that back.
// Nobody else sees it. The first time brings its author points and counts towards
// goals; taking it back takes no points. Again changes nothing. Fault not_found.
func (s *Service) MarkHelpful(ctx context.Context, p authz.Principal, id event.FeedbackID, helpful bool) (Review, error) {
	if p.Person == "" {
		return Review{}, p.Check(authz.Review, authz.Change)
	}
	now := s.now()
	var out Review
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		found, err := reviewsWhere(tx, `review_id = $1 and owner_id = $2 and state = 'counted' and exists (select 1 from agents a where a.agent_id = reviews.agent_id and a.owner_id = $3)`, id, p.Person, p.Person)
		if err != nil || len(found) == 0 {
			if err == nil {
				err = errNotFound
			}
			return err
		}
		if err := p.Check(authz.Review, authz.Change, authz.Owner); err != nil {
			return err
		}
		r := found[0]
		switch {
		case helpful == (r.helpful > 0):
		case !helpful:
			r.helpful = 0
		default:
			r.helpful = max(1, now)
		}
		out = r.view(p.Person)
		if _, err := tx.Exec(`update reviews set found_helpful = $1 where review_id = $2`, r.helpful, id); err != nil || r.helpful == 0 {
			return err
		}
		if err := s.earn(tx, r.reviewer, earnedHelpful, r.id, s.reviews.Prices.Helpful, now); err != nil {
			return err
		}
		return s.towardsGoals(tx, goalHelpful, now)
	})
	return out, err
}

// withdrawReview follows a review's feedback that its author took back: the note and
// the points of it go. What feedback is no review changes nothing.
func (s *Service) withdrawReview(tx *sqldb.Tx, id event.FeedbackID, now event.Micros) error {
	var reviewer event.PersonID
	mine, err := tx.Get(`update reviews set state = 'withdrawn', note = '', digest = '', appeal = '', found_helpful = 0 where review_id = $1 and state <> 'withdrawn' returning reviewer_id`, []any{id}, &reviewer)
	if err != nil || !mine {
		return err
	}
	return s.takeBack(tx, reviewer, id, now)
}

// WithdrawReview takes the principal's review back, whether it counts or not: what it
// taught an agent goes, and the points of it. Again is harmless. Fault not_found.
func (s *Service) WithdrawReview(ctx context.Context, p authz.Principal, id event.FeedbackID) (Review, error) {
	if p.Person == "" {
		return Review{}, p.Check(authz.Review, authz.Erase)
	}
	now := s.now()
	var out Review
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		found, err := reviewsWhere(tx, `review_id = $1 and reviewer_id = $2`, id, p.Person)
		if err != nil || len(found) == 0 {
			if err == nil {
				err = errNotFound
			}
			return err
		}
		if err := p.Check(authz.Review, authz.Erase, authz.Author); err != nil {
			return err
		}
		if err := takeAway(tx, id, "withdrawn", now, nil); err != nil {
			return err
		}
		if err := s.withdrawReview(tx, id, now); err != nil {
			return err
		}
		found, err = reviewsWhere(tx, `review_id = $1`, id)
		out = found[0].view(p.Person)
		return err
	})
	return out, err
}

// asideLimit is how many are listed for operators.
const asideLimit = 200

// SetAside is a review that waits for an operator, with what it was set aside for.
type SetAside struct {
	ReviewID   event.FeedbackID `json:"reviewId"`
	ReviewerID event.PersonID   `json:"reviewerId"`
	State      string           `json:"state" enum:"aside,refused" doc:"refused: it was appealed since."`
	Marks      mentor.Marks     `json:"marks"`
	Note       string           `json:"note"`
	Seconds    float64          `json:"seconds" doc:"From when the exchange was first shown."`
	Findings   []string         `json:"findings" doc:"Codes."`
	Because    []string         `json:"because" doc:"The same in words."`
	Appeal     string           `json:"appeal,omitempty" doc:"The reviewer's words."`
	At         event.Micros     `json:"at"`
}

// ReviewsAside lists what waits for a person to look, oldest first. For operators; the
// look is noted, since the notes are somebody's words.
func (s *Service) ReviewsAside(ctx context.Context, p authz.Principal) ([]SetAside, error) {
	if err := p.Check(authz.Verdict, authz.List); err != nil {
		return nil, err
	}
	if err := s.note(ctx, p, "read reviews set aside", ""); err != nil {
		return nil, err
	}
	out := []SetAside{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		found, err := reviewsWhere(tx, `state = 'aside' or state = 'refused' and appeal <> '' and reason = '' order by at, review_id limit $1`, asideLimit)
		for _, r := range found {
			out = append(out, SetAside{ReviewID: r.id, ReviewerID: r.reviewer, State: r.state, Marks: r.marks, Note: r.note, Seconds: math.Round(float64(r.took)/1e5) / 10,
				Findings: r.findings, Because: inWords(r.findings), Appeal: r.appeal, At: r.at})
		}
		return err
	})
	return out, err
}
