package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Consumer is what this context reads.
func (s *Service) Consumer() relay.Consumer {
	return relay.Consumer{
		Group: "gateway", DB: s.db,
		Topics: []string{event.TopicAgents, event.TopicRooms, event.TopicPeople, event.TopicPlatform},
		Types: []event.Type{
			event.AgentCreated{}.EventType(), event.AgentUpdated{}.EventType(), event.AgentTransferred{}.EventType(), event.AgentRetired{}.EventType(),
			event.ExplorationUpdated{}.EventType(), event.MessageCreated{}.EventType(), event.RoomJoined{}.EventType(), event.SessionEnded{}.EventType(), event.FeedbackCreated{}.EventType(),
			event.PointsSpent{}.EventType(), event.AccountErased{}.EventType(), event.RulesPublished{}.EventType(),
		},
		Handle: relay.Each(s.handle),
	}
}

func (s *Service) handle(_ context.Context, tx *sqldb.Tx, e event.Event) error {
	switch e.Type {
	case event.AgentCreated{}.EventType():
		return with(e, func(p event.AgentCreated) error { return s.agentIs(tx, p.AgentState, false) })
	case event.AgentUpdated{}.EventType():
		return with(e, func(p event.AgentUpdated) error { return s.agentIs(tx, p.AgentState, p.Change.By == "owner") })
	case event.AgentTransferred{}.EventType():
		return with(e, func(p event.AgentTransferred) error {
			return s.change(tx, p.AgentID, `update agents set owner_id = $1, owner_acts = owner_acts + 1, folded = folded + 1 where agent_id = $2`, p.To, p.AgentID)
		})
	case event.AgentRetired{}.EventType():
		return with(e, func(p event.AgentRetired) error { return s.agentGone(tx, p) })
	case event.ExplorationUpdated{}.EventType():
		return with(e, func(p event.ExplorationUpdated) error {
			return s.change(tx, p.AgentID, `update agents set mixture = $1, mix_version = $2, revision = $3, folded = folded + 1 where agent_id = $4`,
				string(p.Mixture), p.Version, p.Revision, p.AgentID)
		})
	case event.MessageCreated{}.EventType():
		return with(e, func(p event.MessageCreated) error { return s.messageCreated(tx, e, p) })
	case event.RoomJoined{}.EventType():
		return with(e, func(p event.RoomJoined) error { return s.joined(tx, e, p) })
	case event.SessionEnded{}.EventType():
		return with(e, func(p event.SessionEnded) error { return s.over(tx, e, p) })
	case event.PointsSpent{}.EventType():
		return with(e, func(p event.PointsSpent) error { return s.boosted(tx, e, p) })
	case event.AccountErased{}.EventType():
		return with(e, func(p event.AccountErased) error { return s.forgetPerson(tx, e, p.PersonID) })
	case event.FeedbackCreated{}.EventType():
		if set := s.set.Load(); !s.o.Watch.Rates() && set.tried == nil && !s.outdated.Load() && !bytes.Contains(e.Data, []byte(`"direction"`)) { // almost all of them: no need to decode
			return nil
		}
		return with(e, func(p event.FeedbackCreated) error {
			tx.OnCommit(func() { s.o.Watch.Rated(p, e.Time) })
			return errors.Join(s.rated(tx, p, e.Time), s.wished(tx, p))
		})
	case event.RulesPublished{}.EventType():
		tx.OnCommit(func() { s.outdated.Store(true) })
	}
	return nil
}

// agentGone forgets an agent; with an erased owner also what was drawn and decided
// for it, which tells what they liked.
func (s *Service) agentGone(tx *sqldb.Tx, p event.AgentRetired) error {
	if p.Erased {
		if err := s.catchUp(tx); err != nil {
			return err
		}
		tx.OnCommit(func() { s.desk.forgetAgent(p.AgentID) })
		for _, q := range []string{
			`delete from episodes where agent_id = $1`,
			`delete from decisions where agent_id = $1 and state = 'done'`,
			`delete from turns where agent_id = $1 and (state = 'done' or kind = 'begin')`,
			`delete from rule_ratings where agent_id = $1`,
			`delete from rule_sessions where agent_id = $1`,
		} {
			if _, err := tx.Exec(q, p.AgentID); err != nil {
				return err
			}
		}
	}
	return s.change(tx, p.AgentID, `delete from agents where agent_id = $1`, p.AgentID)
}

// wished carries out a tone button that the press itself could not: it was pressed
// before its message was known everywhere.
func (s *Service) wished(tx *sqldb.Tx, p event.FeedbackCreated) error {
	if !p.Commands() || p.SessionID == "" || p.Role != event.RoleOwner || p.Imported {
		return nil
	}
	err := s.steer(tx, p.FeedbackID, talk{p.AgentID, p.SessionID}, p.RaterID, *p.Direction)
	if fault.Is(err, "agent_unknown") {
		return nil // retired since
	}
	return err
}

func with[P event.Payload](e event.Event, fn func(P) error) error {
	p, err := event.As[P](e)
	if err != nil {
		return err
	}
	return fn(p)
}

// change runs a statement about one agent and drops it from memory once durable.
func (s *Service) change(tx *sqldb.Tx, id event.AgentID, query string, args ...any) error {
	tx.OnCommit(func() { s.forget(id) })
	_, err := tx.Exec(query, args...)
	return err
}

func (s *Service) agentIs(tx *sqldb.Tx, a event.AgentState, ownerAct bool) error {
	var d policy.Document
	if err := json.Unmarshal(a.Policy, &d); err != nil {
		return fmt.Errorf("%w: policy of %s", event.ErrMalformed, a.AgentID)
	}
	mood, err := json.Marshal(a.Mood)
	if err != nil {
		return err
	}
	hours := ""
	if a.Quiet != nil {
		raw, err := json.Marshal(a.Quiet)
		if err != nil {
			return err
		}
		hours = string(raw)
	}
	acts := 0
	if ownerAct {
		acts = 1
	}
	return s.change(tx, a.AgentID, `insert into agents (agent_id, owner_id, folded, owner_acts, version, document, alive, mood, mixture, mix_version, revision, paused, quiet)
		values ($1, $2, 1, $3, $4, $5, $6, $7, '', 0, 0, $8, $9)
		on conflict (agent_id) do update set owner_id = excluded.owner_id, folded = agents.folded + 1, owner_acts = agents.owner_acts + excluded.owner_acts,
			version = excluded.version, document = excluded.document, alive = excluded.alive, mood = excluded.mood, paused = excluded.paused, quiet = excluded.quiet`,
		a.AgentID, a.OwnerID, acts, a.Version, string(a.Policy), a.Alive, string(mood), !a.Learning, hours)
}

// tailLength is how much of a room's end is remembered.
const tailLength = 20

// messageCreated remembers the end of the room and gives every agent of the talk
// but the author a turn. Imported messages are history: nobody answers them.
func (s *Service) messageCreated(tx *sqldb.Tx, e event.Event, m event.MessageCreated) error {
	if _, err := tx.Exec(`insert into tail (room_id, seq, kind, author_id) values ($1, $2, $3, $4) on conflict (room_id, seq) do nothing`,
		m.RoomID, m.Sequence, m.Author.Kind, m.Author.ID()); err != nil {
		return err
	}
	if _, err := tx.Exec(`delete from tail where room_id = $1 and seq <= $2`, m.RoomID, m.Sequence-tailLength); err != nil {
		return err
	}
	if m.Imported {
		return nil
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	for _, ms := range m.Sessions {
		if ms.AgentID == m.Author.AgentID {
			continue
		}
		if _, err := tx.Exec(`insert into turns (turn_id, message_id, agent_id, session_id, seq, event, state, due, lease, lease_until)
			values ($1, $2, $3, $4, $5, $6, 'waiting', $7, 0, 0) on conflict (turn_id) do nothing`,
			event.HashID("gateway", "turn", string(m.MessageID), string(ms.AgentID)), m.MessageID, ms.AgentID, ms.SessionID, m.Sequence, string(raw), e.Time); err != nil {
			return err
		}
		tx.OnCommit(s.nudge)
	}
	return nil
}

// later gives an agent a turn that no message asked for.
func (s *Service) later(tx *sqldb.Tx, e event.Event, kind string, agent event.AgentID, about event.MessageID, due event.Micros) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	id := event.HashID("gateway", "turn", string(about), string(agent))
	_, err = tx.Exec(`insert into turns (turn_id, message_id, agent_id, session_id, seq, event, state, due, lease, lease_until, kind)
		values ($1, $2, $3, $4, 0, $5, 'waiting', $6, 0, 0, $7) on conflict (turn_id) do nothing`,
		id, about, agent, event.HashID("gateway", "session", id), string(raw), due, kind)
	tx.OnCommit(s.nudge)
	return err
}

// nudge wakes a worker.
func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
