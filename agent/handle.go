package agent

import (
	"context"
	"database/sql"

	"rapport/event"
	"rapport/internal/erasure"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Consumer is what the context listens to.
func (s *Service) Consumer() relay.Consumer {
	return relay.Consumer{
		Group: "agent", DB: s.db, Topics: []string{event.TopicAgents, event.TopicPeople},
		Types: []event.Type{
			event.PolicyProposed{}.EventType(), event.SessionEnded{}.EventType(), event.AgentRetired{}.EventType(),
			event.AccountCreated{}.EventType(), event.AccountErased{}.EventType(), event.PointsSpent{}.EventType(),
		},
		Handle: relay.Each(handle),
	}
}

// handle is one switch over what is heard. An agent that is not here (retired,
// or a rebuild into an empty database) is passed over.
func handle(_ context.Context, tx *sqldb.Tx, e event.Event) error {
	switch e.Type {
	case event.PolicyProposed{}.EventType():
		p, err := event.As[event.PolicyProposed](e)
		if err != nil {
			return err
		}
		return dispose(tx, e, p)
	case event.SessionEnded{}.EventType():
		p, err := event.As[event.SessionEnded](e)
		if err != nil {
			return err
		}
		return talked(tx, e, p)
	case event.AgentRetired{}.EventType():
		p, err := event.As[event.AgentRetired](e)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`delete from talks where agent_id = $1`, p.AgentID)
		return err
	case event.AccountCreated{}.EventType():
		p, err := event.As[event.AccountCreated](e)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`insert into known_people (person_id, since, erased) values ($1, $2, false) on conflict do nothing`, p.PersonID, e.Time)
		return err
	case event.PointsSpent{}.EventType():
		p, err := event.As[event.PointsSpent](e)
		if err != nil {
			return err
		}
		return bought(tx, e, p)
	case event.AccountErased{}.EventType():
		p, err := event.As[event.AccountErased](e)
		if err != nil {
			return err
		}
		return erased(tx, e, p.PersonID)
	}
	return nil
}

// talked counts a session and lets it touch the mood. The mood is no version: it
// is said in an agent.updated of the version in force.
func talked(tx *sqldb.Tx, e event.Event, p event.SessionEnded) error {
	t, err := talksOf(tx, p.AgentID)
	if err != nil {
		return err
	}
	t, stirred := t.after(p, e.Time)
	if err := putTalks(tx, p.AgentID, t); err != nil || !stirred {
		return err
	}
	a, err := load(tx, string(p.AgentID))
	if err != nil || a == nil || a.retired || a.moodOff {
		return err
	}
	return announce(tx, a, deed{kind: event.ChangeMood, by: policy.ByPlatform, cause: string(p.SessionID), at: max(e.Time, a.updated), parent: &e})
}

// erased takes a person's agents away with them: those that live are retired, and
// nothing of any stays here.
func erased(tx *sqldb.Tx, e event.Event, person event.PersonID) error {
	if _, err := tx.Exec(`insert into known_people (person_id, since, erased) values ($1, $2, true)
		on conflict (person_id) do update set erased = excluded.erased`, person, e.Time); err != nil {
		return err
	}
	gone := erasure.Begin(tx, e, person).Drop("idempotency", `delete from idempotency where person = $1`).
		Drop("places", `delete from places where person_id = $1`).Drop("looks", `delete from looks where person_id = $1`)
	theirs := func(tables ...string) {
		for _, table := range tables {
			gone.Drop(table, `delete from `+table+` where agent_id in (select id from agents where owner_id = $1)`)
		}
	}
	theirs("texts", "levels", "proposals", "cards", "enrichments", "origins", "natives")
	past, err := collectIDs(tx.Query(`select id from agents where owner_id = $1 and retired order by id`, person))
	if err != nil {
		return err
	}
	for _, id := range past {
		p := event.AgentRetired{AgentID: id, Erased: true}
		if err := relay.Emit(tx, event.New("agent", event.DerivedID("agent", 1, e.ID, p.EventType(), string(id), 0), e.Time, p).CausedBy(e)); err != nil {
			return err
		}
	}
	all, err := ownedBy(tx, person)
	if err != nil {
		return err
	}
	for _, a := range all {
		before := *a
		d, err := a.retire(tx)
		if err != nil {
			return err
		}
		d.extra = func(a *record) []event.Payload {
			return []event.Payload{event.AgentRetired{AgentID: a.id, Erased: true}}
		}
		d.id, d.by, d.actor = event.HashID("agent", "audit", e.ID, string(a.id)), policy.ByPlatform, string(person)
		d.at, d.parent = e.Time, &e
		if err := commit(tx, &before, a, *d); err != nil {
			return err
		}
	}
	theirs("versions", "audit")
	return gone.Drop("agents", `delete from agents where owner_id = $1`).End()
}

func collectIDs(rows *sql.Rows, err error) (ids []event.AgentID, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id event.AgentID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
