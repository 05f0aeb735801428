package chat

import (
	"context"

	"rapport/event"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// Consumer is what the context listens to.
func (s *Service) Consumer() relay.Consumer {
	return relay.Consumer{
		Group:  "chat",
		DB:     s.db,
		Topics: []string{event.TopicAgents, event.TopicPeople},
		Types: []event.Type{"agent.created", "agent.updated", "agent.transferred", "agent.retired",
			"account.protection.changed", "account.erased", "points.spent"},
		Handle: relay.Each(s.handle),
	}
}

func (s *Service) handle(_ context.Context, tx *sqldb.Tx, e event.Event) error {
	switch e.Type {
	case "agent.created":
		p, err := event.As[event.AgentCreated](e)
		if err != nil {
			return err
		}
		return putAgent(tx, p.AgentState)
	case "agent.updated":
		p, err := event.As[event.AgentUpdated](e)
		if err != nil {
			return err
		}
		tx.OnCommit(func() { s.called.Delete(p.AgentID) }) // it may have another name
		return putAgent(tx, p.AgentState)
	case "agent.transferred":
		p, err := event.As[event.AgentTransferred](e)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`update agents set owner_id = $1 where agent_id = $2`, p.To, p.AgentID)
		return err
	case "agent.retired":
		p, err := event.As[event.AgentRetired](e)
		if err != nil {
			return err
		}
		tx.OnCommit(func() { s.called.Delete(p.AgentID) })
		_, err = tx.Exec(`update agents set alive = false, retired = true where agent_id = $1`, p.AgentID)
		return err
	case "account.protection.changed":
		p, err := event.As[event.ProtectionChanged](e)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`insert into people (person_id, protected, until) values ($1, $2, $3)
			on conflict (person_id) do update set protected = excluded.protected, until = excluded.until`, p.PersonID, p.Protected, p.Until)
		return err
	case "points.spent":
		p, err := event.As[event.PointsSpent](e)
		if err != nil {
			return err
		}
		return bought(tx, p)
	case "account.erased":
		p, err := event.As[event.AccountErased](e)
		if err != nil {
			return err
		}
		s.hearings.forget(p.PersonID)
		return s.erase(tx, e, p.PersonID)
	}
	return nil
}

func putAgent(tx *sqldb.Tx, a event.AgentState) error {
	_, err := tx.Exec(`insert into agents (agent_id, owner_id, alive, retired) values ($1, $2, $3, false)
		on conflict (agent_id) do update set owner_id = excluded.owner_id, alive = excluded.alive and not agents.retired`, a.AgentID, a.OwnerID, a.Alive)
	return err
}
