package chat

import (
	"rapport/event"
	"rapport/internal/erasure"
	"rapport/internal/sqldb"
)

// erase drops what is held of a person: their texts, what agents answered to them,
// everything said where they were alone with an agent, titles, reactions, consent,
// invitations, memberships and kept answers. Messages keep place, pseudonym and
// numbers. Every agent that shared a room with them hears of it last. This is the
// one handler that changes records; what is gone already changes nothing.
func (s *Service) erase(tx *sqldb.Tx, e event.Event, p event.PersonID) error {
	gone := erasure.Begin(tx, e, p)
	a := &act{s: s, tx: tx, at: e.Time, cause: &e}
	if err := a.eraseWords(gone, p); err != nil {
		return err
	}
	if err := a.forEach(`select distinct m.room_id, m.message_id from reactions x join messages m on m.message_id = x.message_id
		where x.person_id = $1 order by m.room_id, m.message_id`, p,
		func(r *room, id event.MessageID) error {
			n, err := tx.Exec(`delete from reactions where message_id = $1 and person_id = $2`, id, p)
			if err != nil {
				return err
			}
			gone.Count("reactions", n)
			return a.touch(r, id)
		}); err != nil {
		return err
	}
	gone.Drop("people", `delete from people where person_id = $1`).
		Drop("consents", `delete from consents where person_id = $1`).
		Drop("invitations", `delete from invitations where person_id = $1`).
		Drop("links", `delete from links where person_id = $1`).
		Drop("idempotency", `delete from idempotency where person = $1`).
		Drop("passes", `delete from passes where person_id = $1`).
		Drop("rooms", `update rooms set title = '', theme = '' where created_by = $1 and (title <> '' or theme <> '')`)
	if err := a.eraseFromRooms(gone, p); err != nil {
		return err
	}
	if err := gone.Count("reactions", 0).Count("messages", 0).Count("members", 0).Drop("departures", `delete from departures where person_id = $1`).End(); err != nil {
		return err
	}
	if err := a.tellForgotten(p); err != nil {
		return err
	}
	return a.close()
}

// eraseWords wipes what the person said, what agents answered to that, and whole
// talks that they had alone with an agent.
func (a *act) eraseWords(gone *erasure.Erasure, p event.PersonID) error {
	return a.forEach(`select x.room_id, x.message_id from members m join rooms r on r.room_id = m.room_id join messages x on x.room_id = m.room_id
		where m.member_id = $1 and x.deleted_at = 0 and (x.author_id = m.member_id or r.direct
			or x.kind = 'agent' and exists (select 1 from messages q where q.message_id = x.reply_to and q.author_id = m.member_id)) order by x.room_id, x.seq`, p,
		func(r *room, id event.MessageID) error {
			gone.Count("messages", 1)
			return a.wipe(r, id)
		})
}

// eraseFromRooms ends the talks that the person has part in, so that no session that
// ends later names them, and takes them out of their rooms.
func (a *act) eraseFromRooms(gone *erasure.Erasure, p event.PersonID) error {
	return a.forEach(`select room_id, '' from members where member_id = $1 order by room_id`, p, func(r *room, _ event.MessageID) error {
		m := r.find(string(p))
		if m != nil {
			no := false
			m.consent = &no
		}
		for _, s := range r.sessions {
			spoke, err := a.tx.Get(`select 1 from messages where room_id = $1 and author_id = $2 and seq >= $3`, []any{r.id, p, s.firstSeq}, new(int))
			if err != nil {
				return err
			}
			if spoke || r.direct {
				if err := a.end(r, s, false); err != nil {
					return err
				}
			}
		}
		if m == nil {
			return nil
		}
		gone.Count("members", 1)
		return a.leave(r, m)
	})
}

// tellForgotten says on the key of every agent that shared a room with the person
// that they were erased, after all that was ever said there about the two.
func (a *act) tellForgotten(p event.PersonID) error {
	rows, err := a.tx.Query(`select distinct x.member_id from members m join members x on x.room_id = m.room_id and x.kind = 'agent' where m.member_id = $1 order by x.member_id`, p)
	agents, err := collect(rows, err, func(id *event.AgentID) []any { return []any{id} })
	for _, id := range agents {
		a.emit(event.PersonForgotten{AgentID: id, PersonID: p})
	}
	return err
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
