package feedback

import (
	"fmt"

	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// notice stores a detector's find. Its id follows from its cause, so that noticing
// twice is harmless; a signal that the registry does not know, or of a person who
// was erased, is not stored.
func (s *Service) notice(tx *sqldb.Tx, e event.Event, d draft) error {
	detector, err := signal.Lookup(d.Signal)
	if err != nil {
		return err
	}
	if d.Score == nil {
		return fmt.Errorf("signal %s has no score", d.Signal)
	}
	if err := detector.Check(*d.Score); err != nil {
		return err
	}
	d.Created = e.Time
	o, err := s.settle(tx, d, find)
	if _, refused := refusal(err); refused {
		return nil // protected, retired, or a message of a person
	}
	if err != nil || o.event == nil {
		return err
	}
	return relay.Emit(tx, o.event.CausedBy(e))
}

// noticeSession derives what a session's counts tell: engagement/1 and
// left_after/1 of each person who allowed it.
func (s *Service) noticeSession(tx *sqldb.Tx, e event.Event, p event.SessionEnded) error {
	if p.Protected || p.AgentMessages == 0 {
		return nil
	}
	for _, person := range p.People {
		if !person.Consent {
			continue
		}
		if gone, err := isErased(tx, person.PersonID); err != nil || gone {
			if err != nil {
				return err
			}
			continue
		}
		d := draft{Rater: person.PersonID, Channel: event.ChannelBehaviour, Agent: p.AgentID, Session: p.SessionID, Sentiment: &person.Sentiment}
		habit, err := habitOf(tx, person.PersonID)
		if err != nil {
			return err
		}
		if score, ok := signal.EngagementOf(person.Turns, person.MedianChars, person.LatencyMilli, habit); ok {
			d.ID, d.Signal, d.Score = derived(e, signal.Engagement, person.PersonID), signal.Engagement, &score
			if err := s.notice(tx, e, d); err != nil {
				return err
			}
			if err := addHabit(tx, person.PersonID, (signal.Baseline{}).With(person.Turns, person.MedianChars, person.LatencyMilli)); err != nil {
				return err
			}
		}
		if person.LeftAfter {
			score := signal.LeftAfterScore
			d.ID, d.Signal, d.Score = derived(e, signal.LeftAfter, person.PersonID), signal.LeftAfter, &score
			if err := s.notice(tx, e, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// noticeReply derives reply/1: a person answered a message of the agent, either
// naming it or, in a direct room, right after it. Imported messages have no pause
// that could be trusted.
func (s *Service) noticeReply(tx *sqldb.Tx, e event.Event, p event.MessageCreated) error {
	person := p.Author.PersonID
	if p.Imported || !p.Consent || p.Protected || person == "" {
		return nil
	}
	var to said
	switch {
	case p.ReplyTo != "":
		if ok, err := to.get(tx, p.ReplyTo); err != nil || !ok || to.agent == "" {
			return err
		}
	case p.Direct:
		ok, err := tx.Get(`select message_id, agent_id, at from messages where room_id = $1 and sequence = $2 and agent_id <> ''`, []any{p.RoomID, p.Sequence - 1}, &to.id, &to.agent, &to.at)
		if err != nil || !ok {
			return err
		}
	default:
		return nil
	}
	if gone, err := isErased(tx, person); err != nil || gone {
		return err
	}
	habit, err := habitOf(tx, person)
	if err != nil {
		return err
	}
	pause := max(1, (e.Time-to.at)/1000)
	score := signal.ReplyScore(pause, habit)
	id := event.FeedbackID(event.HashID("feedback", signal.Reply, string(to.id), string(person))) // the first reply counts
	if err := s.notice(tx, e, draft{ID: id, Rater: person, Channel: event.ChannelBehaviour, Signal: signal.Reply, Score: &score, Agent: to.agent, Message: to.id}); err != nil {
		return err
	}
	var more signal.Baseline
	more.Replies = more.Replies.With(pause)
	return addHabit(tx, person, more)
}

// reacted derives reaction/1 of an emoji with a known sign.
func (s *Service) reacted(tx *sqldb.Tx, e event.Event, p event.ReactionAdded) error {
	score, ok := signal.ReactionScore(p.Emoji)
	if !ok || !p.Consent {
		return nil
	}
	if gone, err := isErased(tx, p.PersonID); err != nil || gone {
		return err
	}
	return s.notice(tx, e, draft{ID: derived(e, signal.Reaction, p.PersonID), Rater: p.PersonID, Channel: event.ChannelReaction, Signal: signal.Reaction,
		Value: p.Emoji, Score: &score, Message: p.MessageID})
}

func (s *Service) unreacted(tx *sqldb.Tx, e event.Event, p event.ReactionRemoved) error {
	slot := reactionSlot(p.PersonID, p.MessageID, p.Emoji)
	if _, err := tx.Exec(`delete from waiting where slot = $1 and rater_id = $2`, slot, p.PersonID); err != nil {
		return err
	}
	var id event.FeedbackID
	ok, err := tx.Get(`select feedback_id from feedback_events where slot = $1 and live`, []any{slot}, &id)
	if err != nil || !ok {
		return err
	}
	return retract(tx, id, e.Time, &e)
}

func derived(e event.Event, detector string, person event.PersonID) event.FeedbackID {
	return event.FeedbackID(event.DerivedID("feedback", 1, e.ID, event.FeedbackCreated{}.EventType(), detector+"|"+string(person), 0))
}

func habitOf(tx *sqldb.Tx, person event.PersonID) (b signal.Baseline, err error) {
	_, err = tx.Get(`select sessions, turns, chars, pauses, pause_sum, pause_squares, replies, reply_sum, reply_squares from baselines where person_id = $1`, []any{person},
		&b.Sessions, &b.Turns, &b.Chars, &b.Pauses.N, &b.Pauses.Sum, &b.Pauses.Squares, &b.Replies.N, &b.Replies.Sum, &b.Replies.Squares)
	return b, err
}

// addHabit adds sums, so that the order in which agents and rooms tell of a person
// does not matter.
func addHabit(tx *sqldb.Tx, person event.PersonID, b signal.Baseline) error {
	_, err := tx.Exec(`insert into baselines (person_id, sessions, turns, chars, pauses, pause_sum, pause_squares, replies, reply_sum, reply_squares)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		on conflict (person_id) do update set sessions = baselines.sessions + excluded.sessions, turns = baselines.turns + excluded.turns, chars = baselines.chars + excluded.chars,
			pauses = baselines.pauses + excluded.pauses, pause_sum = baselines.pause_sum + excluded.pause_sum, pause_squares = baselines.pause_squares + excluded.pause_squares,
			replies = baselines.replies + excluded.replies, reply_sum = baselines.reply_sum + excluded.reply_sum, reply_squares = baselines.reply_squares + excluded.reply_squares`,
		person, b.Sessions, b.Turns, b.Chars, b.Pauses.N, b.Pauses.Sum, b.Pauses.Squares, b.Replies.N, b.Replies.Sum, b.Replies.Squares)
	return err
}
