package feedback

import (
	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/sqldb"
)

// edited takes in that a message has another text. What was said of it stays, and is
// shown as said of the text before; later feedback is measured on the new one.
func (s *Service) edited(tx *sqldb.Tx, h *habits, e event.Event, p event.MessageEdited) error {
	if err := s.reworded(tx, h, e, p); err != nil {
		return err
	}
	_, err := tx.Exec(`update messages set edited_at = $1, sentiment = $2, words = $3, chars = $4, questions = $5 where message_id = $6 and agent_id <> '' and not deleted`,
		e.Time, p.Features.Sentiment, p.Features.Words, p.Features.Chars, p.Features.Questions, p.MessageID)
	return err
}

// gone takes in that a message was deleted: of an agent's, all that was said of it
// is taken back with it, whoever said it. Nothing can be said of it any more; talks that it was
// a part of stay rated. Of a person's, what it told is taken back.
func (s *Service) gone(tx *sqldb.Tx, e event.Event, p event.MessageDeleted) error {
	if p.PersonID != "" && p.About != "" {
		if err := takeBack(tx, e, p.About, p.PersonID, signal.Answers, func(string) bool { return false }); err != nil {
			return err
		}
	}
	var agent event.AgentID
	var decision event.DecisionID
	known, err := tx.Get(`update messages set deleted = $1 where message_id = $2 and not deleted returning agent_id, decision_id`, []any{true, p.MessageID}, &agent, &decision)
	if err != nil || !known || agent == "" {
		return err
	}
	for _, on := range []string{string(p.MessageID), string(decision)} {
		if on == "" {
			continue
		}
		rows, err := tx.Query(`select feedback_id from feedback_events where slot >= $1 and slot < $2 and live order by created_at, feedback_id`, on+"|", on+"}")
		if err != nil {
			return err
		}
		said, err := ids(rows)
		if err != nil {
			return err
		}
		for _, id := range said {
			if err := takeAway(tx, id, "deleted", e.Time, &e); err != nil {
				return err
			}
		}
	}
	return s.release(tx, e, string(p.MessageID))
}
