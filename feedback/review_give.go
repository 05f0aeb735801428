package feedback

import (
	"context"
	"encoding/json"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// The states of a review.
const (
	reviewCounted   = "counted"
	reviewAside     = "aside"     // an operator looks first
	reviewRefused   = "refused"   // an operator said that it does not count
	reviewWithdrawn = "withdrawn" // the reviewer took it back
)

// ReviewWords are what a reviewer gives.
type ReviewWords struct {
	Marks mentor.Marks `json:"marks"`
	Note  string       `json:"note" doc:"What was good and what could be better, for the agent's owner alone: 20 to 2,000 characters."`
}

// ReviewReceipt says what became of a review.
type ReviewReceipt struct {
	ReviewID  event.FeedbackID `json:"reviewId"`
	State     string           `json:"state" enum:"counted,aside" doc:"counted; or aside, until a person has looked."`
	Findings  []string         `json:"findings,omitempty" doc:"What it is set aside for, in plain words."`
	Explained string           `json:"explained,omitempty" doc:"What that means and what you can do."`
}

// review is a row of reviews.
type review struct {
	id         event.FeedbackID
	assignment string
	reviewer   event.PersonID
	owner      event.PersonID
	agent      event.AgentID
	message    event.MessageID
	marks      mentor.Marks
	note       string
	took       event.Micros
	state      string
	findings   []string
	appeal     string
	reason     string
	helpful    event.Micros
	at         event.Micros
	decidedAt  event.Micros
}

// GiveReview takes the principal's review of an exchange that is theirs. It counts at
// once (an event of role reviewer and channel review, with the score of mentor.Marks,
// and a point), or is set aside when mentor.Judge finds something; then it neither counts
// nor earns until an operator has looked. The same review again gives the same receipt.
//
// Faults: not_found, conflict assignment_gone (somebody took their consent back, or the
// words are no more), assignment_expired, reviewed_already; invalid unknown_value,
// note_too_short, note_too_long; forbidden not_invited, excluded.
func (s *Service) GiveReview(ctx context.Context, p authz.Principal, assignmentID string, w ReviewWords) (ReviewReceipt, error) {
	if p.Person == "" {
		return ReviewReceipt{}, p.Check(authz.Review, authz.Create)
	}
	if err := w.Marks.Check(); err != nil {
		return ReviewReceipt{}, err
	}
	if err := mentor.CheckNote(w.Note); err != nil {
		return ReviewReceipt{}, err
	}
	var a *assignment
	err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		a, err = assignmentWhere(tx, `x.assignment_id = $1 and x.person_id = $2`, assignmentID, p.Person)
		return err
	})
	if err != nil || a == nil {
		return ReviewReceipt{}, orNoAssignment(err)
	}
	shown, err := s.exchange(ctx, *a)
	if err != nil {
		return ReviewReceipt{}, err
	}
	now := s.now()
	var out ReviewReceipt
	gone := false
	err = s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		gone = false
		if err := s.mayReview(tx, p, now); err != nil {
			return err
		}
		if out, err = s.takeReview(tx, p.Person, assignmentID, shown, w, now); fault.Is(err, errGone.Code) {
			gone, err = true, nil // that it vanished is to stay
		}
		return err
	})
	if err == nil && gone {
		err = errGone
	}
	return out, err
}

var errGone = fault.New(fault.Conflict, "assignment_gone", "Somebody in this exchange took their consent back, or its words are no more; it vanished and takes nothing from your day. Ask for the next one.")

func (s *Service) takeReview(tx *sqldb.Tx, reviewer event.PersonID, assignmentID string, x Exchange, w ReviewWords, now event.Micros) (ReviewReceipt, error) {
	a, err := assignmentWhere(tx, `x.assignment_id = $1 and x.person_id = $2`, assignmentID, reviewer)
	if err != nil || a == nil {
		return ReviewReceipt{}, orNoAssignment(err)
	}
	switch {
	case a.state == doneState:
		return again(tx, assignmentID, w)
	case a.state == goneState:
		return ReviewReceipt{}, errGone
	case a.state != openState || a.expires <= now:
		return ReviewReceipt{}, fault.New(fault.Conflict, "assignment_expired", "This exchange is no longer yours; ask for the next one.")
	}
	if may, err := s.present(tx, *a, x); err != nil || !may {
		if err == nil {
			err = errGone
		}
		return ReviewReceipt{}, err
	}
	r := review{id: event.FeedbackID(event.HashID("review", a.id)), assignment: a.id, reviewer: reviewer, owner: a.Owner, agent: a.Agent, message: a.Message,
		marks: w.Marks, note: w.Note, state: reviewCounted, at: now}
	if a.shownAt > 0 {
		r.took = now - a.shownAt
	}
	if r.findings, err = s.judge(tx, r, x); err != nil {
		return ReviewReceipt{}, err
	}
	if len(r.findings) > 0 {
		r.state = reviewAside
	}
	if err := r.insert(tx); err != nil {
		return ReviewReceipt{}, err
	}
	if _, err := tx.Exec(`update assignments set state = $1 where assignment_id = $2`, doneState, a.id); err != nil {
		return ReviewReceipt{}, err
	}
	if r.state == reviewCounted {
		err = s.countReview(tx, r, now)
	}
	return r.receipt(), err
}

// again answers a review that is there already.
func again(tx *sqldb.Tx, assignmentID string, w ReviewWords) (ReviewReceipt, error) {
	all, err := reviewsWhere(tx, `assignment_id = $1`, assignmentID)
	if err != nil {
		return ReviewReceipt{}, err
	}
	if len(all) == 0 || all[0].marks != w.Marks || all[0].note != w.Note {
		return ReviewReceipt{}, errReviewed
	}
	return all[0].receipt(), nil
}

// judge gathers what mentor.Judge goes by.
func (s *Service) judge(tx *sqldb.Tx, r review, x Exchange) ([]string, error) {
	f := mentor.Facts{Review: mentor.Review{Marks: r.marks, Note: r.note}, Took: r.took}
	for _, l := range x.blind(r.agent) {
		f.Exchange = append(f.Exchange, l.Text)
	}
	past, err := reviewsWhere(tx, `reviewer_id = $1 order by at desc, review_id limit $2`, r.reviewer, mentor.Memory)
	if err != nil {
		return nil, err
	}
	for _, one := range past {
		f.Past = append(f.Past, mentor.Review{Marks: one.marks, Note: one.note})
	}
	given, err := reviewsWhere(tx, `owner_id = $1 and reviewer_id = $2 order by at desc, review_id limit $3`, r.owner, r.reviewer, mentor.Memory)
	if err != nil {
		return nil, err
	}
	for _, one := range given {
		f.Given = append(f.Given, one.marks)
	}
	got, err := reviewsWhere(tx, `owner_id = $1 and reviewer_id = $2 order by at desc, review_id limit $3`, r.reviewer, r.owner, mentor.Memory)
	if err != nil {
		return nil, err
	}
	for _, one := range got {
		f.Got = append(f.Got, one.marks)
	}
	if d := mentor.Digest(r.note); d != "" {
		if f.Echo, err = tx.Get(`select 1 from reviews where digest = $1 and reviewer_id <> $2 limit 1`, []any{d, r.reviewer}, new(int)); err != nil {
			return nil, err
		}
	}
	return mentor.Judge(f), nil
}

// countReview lets a review count: with learning, in points, and towards goals.
func (s *Service) countReview(tx *sqldb.Tx, r review, now event.Micros) error {
	score := r.marks.Score()
	o, err := s.settle(tx, draft{ID: r.id, Rater: r.reviewer, Channel: event.ChannelReview, Value: r.marks.String(), Score: &score, Message: r.message, Created: r.at, Brought: true}, find)
	if err != nil {
		return err
	}
	if o.Status == Waiting { // its agent is not known here; it was a moment ago
		return errGone
	}
	if o.event != nil {
		if err := relay.Emit(tx, *o.event); err != nil {
			return err
		}
	}
	if err := s.earn(tx, r.reviewer, earnedReview, r.id, s.reviews.Prices.Review, now); err != nil {
		return err
	}
	return s.towardsGoals(tx, goalReviews, now)
}

func (r review) receipt() ReviewReceipt {
	out := ReviewReceipt{ReviewID: r.id, State: r.state}
	if r.state == reviewAside {
		out.Findings, out.Explained = inWords(r.findings), mentor.Explanation
	}
	return out
}

func inWords(findings []string) []string {
	var out []string
	for _, f := range findings {
		out = append(out, mentor.Because(f))
	}
	return out
}

func (r review) insert(tx *sqldb.Tx) error {
	_, err := tx.Exec(`insert into reviews (review_id, assignment_id, reviewer_id, owner_id, agent_id, message_id, in_character, helpful, kindly, note, digest, took, state, findings, appeal, reason, found_helpful, at, decided_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '', '', 0, $15, 0)`,
		r.id, r.assignment, r.reviewer, r.owner, r.agent, r.message, r.marks.InCharacter, r.marks.Helpful, r.marks.Kind, r.note, mentor.Digest(r.note), r.took, r.state, list(r.findings), r.at)
	return err
}

// reviewsWhere gives reviews; where may hold an order.
func reviewsWhere(tx *sqldb.Tx, where string, args ...any) ([]review, error) {
	rows, err := tx.Query(`select review_id, assignment_id, reviewer_id, owner_id, agent_id, message_id, in_character, helpful, kindly, note, took, state, findings, appeal, reason, found_helpful, at, decided_at
		from reviews where `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []review
	for rows.Next() {
		var r review
		var findings string
		if err := rows.Scan(&r.id, &r.assignment, &r.reviewer, &r.owner, &r.agent, &r.message, &r.marks.InCharacter, &r.marks.Helpful, &r.marks.Kind, &r.note, &r.took, &r.state, &findings,
			&r.appeal, &r.reason, &r.helpful, &r.at, &r.decidedAt); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(findings), &r.findings); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
