package chat

import (
	"context"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Place is how a room is now, for an agent in it that would begin something there.
type Place struct {
	Alone     bool            // one person and the agent
	Person    event.PersonID  // that one
	By        event.PersonID  // who made the room
	People    int             //
	Members   int             //
	Agents    []event.AgentID // in it, by id
	Protected bool            // somebody in it is
	Consent   bool            // everybody in it allows signals
	Full      bool            // nobody else has room, or it is over
	Sequence  int64           // of the newest message, 0 for none
	LastAt    event.Micros    // when that was said
	Talking   bool            // a session of the agent lives
}

// Place gives it. Fault room_unknown when the agent is not in the room.
func (s *Service) Place(ctx context.Context, id event.RoomID, agent event.AgentID) (p Place, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		now := s.now()
		r, err := look(tx, id, now)
		if err != nil {
			return err
		}
		if r == nil || r.find(string(agent)) == nil {
			return errRoom
		}
		if r.sessions, err = sessionsOf(tx, id); err != nil {
			return err
		}
		p = Place{Alone: r.alone(), By: r.createdBy, People: r.people(), Members: len(r.members), Protected: r.protected(), Consent: r.allConsent(),
			Full: r.direct || r.over(now) || len(r.members) >= r.holds(), Sequence: r.seq}
		if x := r.living(agent); x != nil && now-x.heardAt < silence {
			p.Talking = true
		}
		for _, m := range r.members {
			switch {
			case m.Kind == event.KindAgent:
				p.Agents = append(p.Agents, m.AgentID)
			case p.Alone:
				p.Person = m.PersonID
			}
		}
		_, err = tx.Get(`select at from messages where room_id = $1 and seq = $2`, []any{id, r.seq}, &p.LastAt)
		return err
	})
	return p, err
}

// allConsent says whether everybody in the room allows signals; false with nobody.
func (r *room) allConsent() bool {
	for _, m := range r.members {
		if m.Kind == event.KindPerson && !r.consents(m.PersonID) {
			return false
		}
	}
	return r.people() > 0
}

// Begin is what an agent says without a message to answer. Its reply's session begins
// with it.
type Begin struct {
	After   int64         // the newest message that was known: nothing was said since
	Unasked bool          // nobody opened the room for it: nobody in it is protected, everybody allows it
	Brings  event.AgentID // comes into the room with it
}

var (
	errWentOn    = fault.New(fault.Forbidden, "talk_went_on", "Something was said in the room meanwhile.")
	errUnwelcome = fault.New(fault.Forbidden, "no_consent", "Not everybody in the room allows an agent to begin there.")
)

// beginning checks that an agent may begin now, as of this transaction, and brings in who
// comes along.
func (a *act) beginning(r *room, agent event.AgentID, b *Begin) error {
	living := r.living(agent)
	switch {
	case r.seq != b.After, living != nil && a.at-living.heardAt < silence:
		return errWentOn
	case b.Unasked && (r.protected() || !r.allConsent()):
		return errUnwelcome
	case b.Brings == "" || r.find(string(b.Brings)) != nil:
		return nil
	case r.direct || len(r.members) >= r.holds():
		return errFull
	}
	return a.join(r, agentMember(b.Brings), "")
}
