package feedback

import (
	"context"
	"encoding/json"
	"fmt"

	"rapport/event"
	"rapport/internal/erasure"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Consumer is what this context reads.
func (s *Service) Consumer() relay.Consumer {
	return relay.Consumer{
		Group: "feedback", DB: s.db,
		Topics: []string{event.TopicAgents, event.TopicRooms, event.TopicPeople},
		Types: []event.Type{
			event.AgentCreated{}.EventType(), event.AgentUpdated{}.EventType(), event.AgentTransferred{}.EventType(), event.AgentRetired{}.EventType(),
			event.AgentInvited{}.EventType(), event.ReplyGenerated{}.EventType(), event.SessionStarted{}.EventType(), event.SessionEnded{}.EventType(),
			event.MessageCreated{}.EventType(), event.MessageEdited{}.EventType(), event.MessageDeleted{}.EventType(), event.ReactionAdded{}.EventType(), event.ReactionRemoved{}.EventType(),
			event.RelationshipUpdated{}.EventType(),
			event.AccountCreated{}.EventType(), event.ReputationUpdated{}.EventType(), event.AccountErased{}.EventType(), event.ProtectionChanged{}.EventType(),
		},
		Handle: s.handle,
	}
}

func (s *Service) handle(_ context.Context, tx *sqldb.Tx, events []event.Event) error {
	h := &habits{tx: tx}
	read, err := h.foresee(events)
	if err != nil {
		return err
	}
	for i, e := range events {
		if err := s.apply(tx, h, e, read[i]); err != nil {
			return err
		}
	}
	if err := h.tell(); err != nil {
		return err
	}
	return h.save()
}

func (s *Service) apply(tx *sqldb.Tx, h *habits, e event.Event, read event.Payload) error {
	if e.Type != (event.ReplyGenerated{}).EventType() {
		if err := h.decide(); err != nil {
			return err
		}
	}
	switch p := read.(type) {
	case event.ReplyGenerated:
		return s.decided(h, e, p)
	case event.MessageCreated:
		return s.messageCreated(tx, h, e, p)
	case event.ReactionAdded:
		return s.reacted(tx, h, e, p)
	}
	if err := h.sees(); err != nil {
		return err
	}
	switch e.Type {
	case event.AgentCreated{}.EventType():
		return with(e, func(p event.AgentCreated) error { return s.agentIs(tx, h, e, p.AgentState) })
	case event.AgentUpdated{}.EventType():
		return with(e, func(p event.AgentUpdated) error { return s.agentIs(tx, h, e, p.AgentState) })
	case event.AgentTransferred{}.EventType():
		return with(e, func(p event.AgentTransferred) error {
			_, err := tx.Exec(`update agents set owner_id = $1 where agent_id = $2`, p.To, p.AgentID)
			return err
		})
	case event.AgentRetired{}.EventType():
		return with(e, func(p event.AgentRetired) error {
			_, err := tx.Exec(`update agents set retired = $1 where agent_id = $2`, true, p.AgentID)
			return err
		})
	case event.SessionStarted{}.EventType():
		return with(e, func(p event.SessionStarted) error { return s.sessionStarted(tx, h, e, p) })
	case event.SessionEnded{}.EventType():
		return with(e, func(p event.SessionEnded) error { return s.sessionEnded(tx, h, e, p) })
	case event.MessageEdited{}.EventType():
		return with(e, func(p event.MessageEdited) error { return s.edited(tx, h, e, p) })
	case event.MessageDeleted{}.EventType():
		return with(e, func(p event.MessageDeleted) error { return s.gone(tx, e, p) })
	case event.AgentInvited{}.EventType():
		return with(e, func(p event.AgentInvited) error { return s.invited(tx, h, e, p) })
	case event.ReactionRemoved{}.EventType():
		return with(e, func(p event.ReactionRemoved) error { return s.unreacted(tx, h, e, p) })
	case event.RelationshipUpdated{}.EventType():
		return with(e, func(p event.RelationshipUpdated) error { return closer(tx, p) })
	case event.ReputationUpdated{}.EventType():
		return with(e, func(p event.ReputationUpdated) error { return reputed(tx, p) })
	case event.ProtectionChanged{}.EventType():
		return with(e, func(p event.ProtectionChanged) error { return protection(tx, p) })
	case event.AccountCreated{}.EventType():
		return with(e, func(p event.AccountCreated) error { return arrived(tx, p.PersonID, e.Time) })
	case event.AccountErased{}.EventType():
		return with(e, func(p event.AccountErased) error {
			h.forget(p.PersonID)
			return erase(tx, e, p.PersonID)
		})
	}
	return nil
}

func with[P event.Payload](e event.Event, fn func(P) error) error {
	p, err := event.As[P](e)
	if err != nil {
		return err
	}
	return fn(p)
}

func (s *Service) agentIs(tx *sqldb.Tx, h *habits, e event.Event, a event.AgentState) error {
	doc := struct {
		Traits policy.Traits `json:"traits"`
	}{policy.Neutral()}
	if err := json.Unmarshal(a.Policy, &doc); err != nil {
		return fmt.Errorf("%w: policy of %s", event.ErrMalformed, a.AgentID)
	}
	levels, err := json.Marshal(doc.Traits)
	if err != nil {
		return err
	}
	asking := wanted(a)
	if _, err := tx.Exec(`insert into agents (agent_id, owner_id, version, traits, retired, asking, ask_every, listening) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (agent_id) do update set owner_id = excluded.owner_id, version = excluded.version, traits = excluded.traits,
			asking = excluded.asking, ask_every = excluded.ask_every, listening = excluded.listening`,
		a.AgentID, a.OwnerID, a.Version, string(levels), false, asking.Intensity, asking.Every, a.Learning && a.Alive); err != nil {
		return err
	}
	return s.releaseAt(h, e, string(a.AgentID))
}

func (s *Service) sessionStarted(tx *sqldb.Tx, h *habits, e event.Event, p event.SessionStarted) error {
	if _, err := tx.Exec(`insert into sessions (session_id, agent_id, room_id, context, protected, imported, last_at) values ($1, $2, $3, '', $4, $5, $6)
		on conflict (session_id) do update set protected = (sessions.protected or excluded.protected)`,
		p.SessionID, p.AgentID, p.RoomID, p.Protected, false, e.Time); err != nil {
		return err
	}
	if err := takesPart(tx, p.SessionID, p.StartedBy); err != nil {
		return err
	}
	return s.releaseAt(h, e, string(p.SessionID))
}

func (s *Service) sessionEnded(tx *sqldb.Tx, h *habits, e event.Event, p event.SessionEnded) error {
	if _, err := tx.Exec(`insert into sessions (session_id, agent_id, room_id, context, protected, imported, last_at, ended) values ($1, $2, $3, '', $4, $5, $6, $7)
		on conflict (session_id) do update set protected = (sessions.protected or excluded.protected), imported = excluded.imported, last_at = excluded.last_at, ended = excluded.ended`,
		p.SessionID, p.AgentID, p.RoomID, p.Protected, p.Imported, e.Time, true); err != nil {
		return err
	}
	for _, person := range p.People {
		if err := takesPart(tx, p.SessionID, person.PersonID); err != nil {
			return err
		}
	}
	if err := s.noticeSession(tx, h, e, p); err != nil {
		return err
	}
	if err := talked(tx, p); err != nil {
		return err
	}
	return s.releaseAt(h, e, string(p.SessionID))
}

func (s *Service) messageCreated(tx *sqldb.Tx, h *habits, e event.Event, p event.MessageCreated) error {
	m := said{
		id: p.MessageID, room: p.RoomID, sequence: p.Sequence, decision: p.DecisionID, context: contextOf(p), tags: p.Features.Tags, sentiment: p.Features.Sentiment,
		words: p.Features.Words, chars: p.Features.Chars, questions: p.Features.Questions, protected: p.Protected, imported: p.Imported, at: e.Time,
	}
	if p.Author.Kind == event.KindAgent {
		m.agent = p.Author.AgentID
		for _, in := range p.Sessions {
			if in.AgentID == m.agent {
				m.session = in.SessionID
			}
		}
	} else {
		m.tags, m.sentiment, m.words, m.chars, m.questions = nil, 0, 0, 0, 0 // not about a person
		for _, in := range p.Sessions {
			if err := h.takesPart(in.SessionID, p.Author.PersonID); err != nil {
				return err
			}
		}
		if err := s.noticeTurn(tx, h, e, p); err != nil {
			return err
		}
	}
	h.said(&m)
	return s.releaseAt(h, e, string(p.MessageID))
}

// smallGroup is the most members of a small group.
const smallGroup = 6

func contextOf(p event.MessageCreated) string {
	switch {
	case p.Direct:
		return event.ContextDMWithOthers
	case p.Members <= smallGroup:
		return event.ContextGroupSmall
	}
	return event.ContextGroupLarge
}

// takesPart notes that a person was in a session, unless they were erased: on
// whichever side of their erasure this arrives, the row is gone.
func takesPart(tx *sqldb.Tx, session event.SessionID, person event.PersonID) error {
	if session == "" || person == "" {
		return nil
	}
	_, err := tx.Exec(`insert into participants (session_id, person_id) select $1, $2 where not exists (select 1 from erased where person_id = $3) on conflict do nothing`,
		session, person, person)
	return err
}

func isErased(tx *sqldb.Tx, person event.PersonID) (bool, error) {
	return tx.Get(`select 1 from erased where person_id = $1`, []any{person}, new(int))
}

// erase drops what is held of a person and tells each agent's listeners.
func erase(tx *sqldb.Tx, e event.Event, person event.PersonID) error {
	rows, err := tx.Query(`select feedback_id, agent_id from feedback_events where rater_id = $1 and emitted and retracted_at = 0 order by created_at, feedback_id`, person)
	if err != nil {
		return err
	}
	var gone []event.Event
	for rows.Next() {
		var id event.FeedbackID
		var agent event.AgentID
		if err := rows.Scan(&id, &agent); err != nil {
			rows.Close()
			return err
		}
		gone = append(gone, retraction(id, agent, person, "erased", e.Time, &e))
	}
	if err := rows.Close(); err != nil {
		return err
	}
	if err := relay.Emit(tx, gone...); err != nil {
		return err
	}
	if _, err := tx.Exec(`insert into erased (person_id) values ($1) on conflict do nothing`, person); err != nil {
		return err
	}
	return erasure.Begin(tx, e, person).
		Count("evidence", int64(len(gone))).
		Drop("feedback_events", `delete from feedback_events where rater_id = $1`).
		Drop("waiting", `delete from waiting where rater_id = $1`).
		Drop("prompts", `delete from prompts where person_id = $1`).
		Drop("ask_budgets", `delete from ask_budgets where person_id = $1`).
		Drop("participants", `delete from participants where person_id = $1`).
		Drop("baselines", `delete from baselines where person_id = $1`).
		Drop("standing", `delete from standing where person_id = $1`).
		Drop("emoji_meanings", `delete from emoji_meanings where owner_id = $1`).
		Drop("arrivals", `delete from arrivals where person_id = $1`).
		Drop("protections", `delete from protections where person_id = $1`).
		Drop("idempotency", `delete from idempotency where person = $1`).
		Drop("reviews", `delete from reviews where reviewer_id = $1`).
		Drop("reviews", `update reviews set owner_id = '' where owner_id = $1`).
		Drop("assignments", `delete from assignments where person_id = $1`).
		Drop("reviewers", `delete from reviewers where person_id = $1`).
		Drop("review_consents", `delete from review_consents where person_id = $1`).
		Drop("points", `delete from points where person_id = $1`).
		Drop("reputations", `delete from reputations where person_id = $1`).
		End()
}
