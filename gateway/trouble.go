package gateway

import (
	"context"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Trouble is why a message has no reply, in words for who wrote it.
type Trouble struct {
	MessageID event.MessageID
	Code      string
	Says      string        // goes on after "could not answer: "
	Wait      time.Duration // it is tried again by itself after that; 0: it is not
	Again     bool          // who wrote the message may ask for another try
}

// says are the reasons in plain words. What is not here is said as unknown.
var says = map[string]string{
	provider.CodeRateLimited:  "its model takes no more requests now",
	provider.CodeResting:      "its model failed several times just now",
	provider.CodeTimeout:      "its model did not answer in time",
	provider.CodeUnreachable:  "its model cannot be reached",
	provider.CodeEmpty:        "its model said nothing",
	provider.CodeBroken:       "its model broke off in the middle",
	provider.CodeUpstream:     "its model failed",
	provider.CodeTooLarge:     "its model said more than anybody reads",
	provider.CodeTooLong:      "the talk is too long for its model",
	provider.CodeBudget:       "what it may cost today is spent",
	provider.CodeUnauthorized: "its model is not set up; the administrator has to look at it",
	provider.CodeQuota:        "its model has to be paid for; the administrator has to look at it",
	provider.CodeMoved:        "its model is somewhere else now; the administrator has to look at it",
	provider.CodeNoModel:      "its model does not exist any more; another one has to be named",
	provider.CodeRefused:      "its model refuses to be asked like this; the administrator has to look at it",
	provider.FinishFilter:     "the answer was held back by a filter",
	codeUnchecked:             "what may be said cannot be checked now",
	compile.ReasonKilled:      "it is stopped",
	compile.ReasonLimit:       "you have had today's replies; there are more after midnight UTC, or for mentor points",
}

const saysUnknown = "something went wrong"

// tell shows in the room that a message gets no reply, or not yet.
func (s *Service) tell(q question, message event.MessageID, code string, wait time.Duration, again bool) {
	if s.o.Live == nil {
		return
	}
	t := Trouble{MessageID: message, Code: code, Says: says[code], Wait: wait, Again: again}
	if t.Says == "" {
		t.Says = saysUnknown
	}
	s.o.Live.Trouble(q.room, q.agent, t)
}

// tellFailed shows an outcome that is none, unless nobody waits for it.
func (s *Service) tellFailed(q question, message event.MessageID, code string) {
	if message == "" { // nobody waits for what an agent begins
		return
	}
	switch code {
	case "", "message_gone", "room_unknown", "agent_silenced", "room_over":
		return
	}
	s.tell(q, message, code, 0, !q.fromAgent)
}

// maxTries is how often one message may be tried anew.
const maxTries = 10

// TryAgain lets agents whose reply to a message of the principal's failed consider it
// anew, with a decision of its own, and says how many do. While they are at it, asking
// again changes nothing.
//
// Faults: message_unknown, also for anybody but the author; nothing_failed; tried_enough.
func (s *Service) TryAgain(ctx context.Context, room event.RoomID, message event.MessageID) (agents int, err error) {
	p := authz.From(ctx)
	unknown := fault.New(fault.NotFound, "message_unknown", "There is no such message of yours that an agent could answer.")
	if p.Person == "" {
		return 0, fault.New(fault.Unauthenticated, "login_required", "Log in or send a token that belongs to a person.")
	}
	type failed struct {
		id, state string
		raw       string
		tries     int64
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		agents = 0
		rows, err := tx.Query(`select turn_id, state, event, tries from turns where message_id = $1 and kind = 'reply' order by turn_id`, message)
		if err != nil {
			return err
		}
		defer rows.Close()
		var all []failed
		for rows.Next() {
			var f failed
			if err := rows.Scan(&f.id, &f.state, &f.raw, &f.tries); err != nil {
				return err
			}
			all = append(all, f)
		}
		if err := rows.Close(); err != nil || rows.Err() != nil {
			return err
		}
		known, enough := false, false
		for _, f := range all {
			_, m, err := heardIn[event.MessageCreated](f.raw)
			if err != nil {
				return err
			}
			if m.RoomID != room || m.Author.Kind != event.KindPerson || m.Author.PersonID != p.Person || p.Check(authz.Message, authz.Change, authz.Author) != nil {
				continue
			}
			known = true
			if f.state != "done" {
				agents++
				continue
			}
			var action string
			if _, err := tx.Get(`select action from decisions where decision_id = $1`, []any{decisionOf(f.id, f.tries)}, &action); err != nil {
				return err
			}
			if action != "failed" {
				continue
			}
			if enough = enough || f.tries >= maxTries; f.tries >= maxTries {
				continue
			}
			if _, err := tx.Exec(`update turns set state = 'waiting', due = $1, tries = tries + 1 where turn_id = $2`, s.now(), f.id); err != nil {
				return err
			}
			agents++
			tx.OnCommit(s.nudge)
		}
		switch {
		case !known:
			return unknown
		case agents == 0 && enough:
			return fault.New(fault.Conflict, "tried_enough", "This message was tried %d times; write another one.", maxTries)
		case agents == 0:
			return fault.New(fault.Conflict, "nothing_failed", "No answer to this message failed.")
		}
		return nil
	})
	return agents, err
}

// Retried is how many agents try again.
type Retried struct {
	Agents int `json:"agents"`
}
