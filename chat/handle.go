package chat

import (
	"context"

	"rapport/event"
	"rapport/internal/httpapi"
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
			"account.protection.changed", "account.erased"},
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
	case "account.erased":
		p, err := event.As[event.AccountErased](e)
		if err != nil {
			return err
		s.hearings.forget(p.PersonID)
		}
		return s.erase(tx, e, p.PersonID)
	}
	return nil
}

func putAgent(tx *sqldb.Tx, a event.AgentState) error {
	_, err := tx.Exec(`insert into agents (agent_id, owner_id, alive, retired) values ($1, $2, $3, false)
		on conflict (agent_id) do update set owner_id = excluded.owner_id, alive = excluded.alive and not agents.retired`, a.AgentID, a.OwnerID, a.Alive)
	return err
}

// erase drops what is held of a person: texts, titles, reactions, consent,
// invitations, memberships and kept answers. Their messages keep place, pseudonym
// and numbers. This is the one handler that changes records; what is gone already
// changes nothing.
func (s *Service) erase(tx *sqldb.Tx, e event.Event, p event.PersonID) error {
	if err := httpapi.ForgetAnswers(tx, p); err != nil {
		return err
	}
	a := &act{s: s, tx: tx, at: e.Time, cause: &e}
	if err := a.forEach(`select x.room_id, x.message_id from members m join messages x on x.room_id = m.room_id and x.author_id = m.member_id
		where m.member_id = $1 and x.deleted_at = 0 order by x.room_id, x.seq`, p,
		func(r *room, id event.MessageID) error { return a.wipe(r, id) }); err != nil {
		return err
	}
	if err := a.forEach(`select distinct m.room_id, m.message_id from reactions x join messages m on m.message_id = x.message_id
		where x.person_id = $1 order by m.room_id, m.message_id`, p,
		func(r *room, id event.MessageID) error {
			if _, err := tx.Exec(`delete from reactions where message_id = $1 and person_id = $2`, id, p); err != nil {
				return err
			}
			return a.touch(r, id)
		}); err != nil {
		return err
	}
	for _, q := range []string{
		`delete from people where person_id = $1`,
		`delete from consents where person_id = $1`,
		`delete from invitations where person_id = $1`,
		`update rooms set title = '' where created_by = $1`,
	} {
		if _, err := tx.Exec(q, p); err != nil {
			return err
		}
	}
	if err := a.forEach(`select room_id, '' from members where member_id = $1 and left_at = 0 order by room_id`, p,
		func(r *room, _ event.MessageID) error {
			m := r.find(string(p))
			no := false
			m.consent = &no
			return a.leave(r, m)
		}); err != nil {
		return err
	}
	return a.close()
}

// forEach opens the room of every row of a query over a person's things.
func (a *act) forEach(query string, p event.PersonID, do func(*room, event.MessageID) error) error {
	type found struct {
		room event.RoomID
		id   event.MessageID
	}
	rows, err := a.tx.Query(query, p)
	all, err := collect(rows, err, func(f *found) []any { return []any{&f.room, &f.id} })
	if err != nil {
		return err
	}
	for _, f := range all {
		r, err := a.open(f.room)
		if err != nil {
			return err
		}
		if err := do(r, f.id); err != nil {
			return err
		}
	}
	return nil
}
