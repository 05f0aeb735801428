package feedback

import (
	"rapport/event"
	"rapport/feedback/asking"
	"rapport/internal/sqldb"
)

// wanted is how much an agent's owner wants to be asked; states of before there was
// a setting say nothing of it.
func wanted(a event.AgentState) event.Asking {
	if a.Asking == nil {
		return event.Asking{Intensity: string(asking.Normal), Every: asking.Every}
	}
	return *a.Asking
}

// talked takes a talk that ended into how its owner and the agent stand. Talks of
// other platforms and of other people are not asked about.
func talked(tx *sqldb.Tx, p event.SessionEnded) error {
	if p.Imported {
		return nil
	}
	var owner event.PersonID
	if known, err := tx.Get(`select owner_id from agents where agent_id = $1`, []any{p.AgentID}, &owner); err != nil || !known {
		return err
	}
	for _, person := range p.People {
		if person.PersonID != owner || person.Turns == 0 {
			continue
		}
		if gone, err := isErased(tx, owner); err != nil || gone {
			return err
		}
		_, err := tx.Exec(`insert into standing (agent_id, person_id, level, first_at, talks, session_id, ended_at, duration, spoke, began, protected)
			values ($1, $2, '', $3, 1, $4, $5, $6, $7, $8, $9)
			on conflict (agent_id, person_id) do update set first_at = case when standing.first_at = 0 then excluded.first_at else standing.first_at end, talks = standing.talks + 1,
				session_id = excluded.session_id, ended_at = excluded.ended_at, duration = excluded.duration, spoke = excluded.spoke, began = excluded.began, protected = excluded.protected`,
			p.AgentID, owner, p.StartedAt, p.SessionID, p.EndedAt, p.Duration().Microseconds(), p.AgentMessages, p.StartedBy == owner, p.Protected)
		return err
	}
	return nil
}

// closer takes the level of an owner's relationship with their agent.
func closer(tx *sqldb.Tx, p event.RelationshipUpdated) error {
	owns, err := tx.Get(`select 1 from agents where agent_id = $1 and owner_id = $2`, []any{p.AgentID, p.PersonID}, new(int))
	if err != nil || !owns {
		return err
	}
	if gone, err := isErased(tx, p.PersonID); err != nil || gone {
		return err
	}
	_, err = tx.Exec(`insert into standing (agent_id, person_id, level, first_at, talks, session_id, ended_at, duration, spoke, began, protected)
		values ($1, $2, $3, 0, 0, '', 0, 0, 0, $4, $5)
		on conflict (agent_id, person_id) do update set level = excluded.level`, p.AgentID, p.PersonID, p.Level, false, false)
	return err
}

// strength is the least strength of a relationship that a level can mean.
func strength(level string) float64 {
	return map[string]float64{"familiar": .2, "close": .5, "dear": .8}[level]
}

func protection(tx *sqldb.Tx, p event.ProtectionChanged) error {
	if gone, err := isErased(tx, p.PersonID); err != nil || gone {
		return err
	}
	_, err := tx.Exec(`insert into protections (person_id, protected, until) values ($1, $2, $3)
		on conflict (person_id) do update set protected = excluded.protected, until = excluded.until`, p.PersonID, p.Protected, p.Until)
	return err
}
