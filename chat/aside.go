package chat

import "rapport/event"

// aside says that an agent answers another agent: that is not said to a person, so it
// prolongs no session and is left out of what sessions count of people.
func (d draft) aside(to stored) bool {
	return d.decision != "" && to.author.Kind == event.KindAgent && to.author != d.author
}

// isAside is draft.aside of a message m that is stored.
const isAside = `(m.decision_id <> '' and exists (select 1 from messages o where o.message_id = m.reply_to and o.kind = 'agent' and o.author_id <> m.author_id))`

// stamp names the sessions that a message is for, and prolongs those that it belongs
// to, unless it is an aside. A reply belongs to the session of its decision, also when
// that has ended meanwhile, and is for the other agents that people talk with.
func (a *act) stamp(r *room, d draft, aside bool, heard event.Micros) ([]event.MessageSession, error) {
	var sessions []*session
	var out []event.MessageSession
	var err error
	if d.begins {
		if s := r.living(d.author.AgentID); s != nil { // it fell silent
			if err := a.end(r, s, true); err != nil {
				return nil, err
			}
		}
		s, err := a.begin(r, d.session, d.author.AgentID, "", heard, false)
		if err != nil {
			return nil, err
		}
		sessions = []*session{s}
	} else if d.session == "" {
		sessions, err = a.sessionsFor(r, d.author, d.id, heard, d.imported)
		if err != nil {
			return nil, err
		}
	} else if s := r.living(d.author.AgentID); s != nil && s.id == d.session {
		sessions = []*session{s}
	} else {
		out = append(out, event.MessageSession{AgentID: d.author.AgentID, SessionID: d.session})
	}
	for _, s := range sessions {
		s.lastSeq, s.moved = r.seq+1, true
		if !aside {
			s.lastAt, s.heardAt = a.at, max(s.heardAt, heard)
		}
		s.protected = s.protected || r.protected()
		out = append(out, event.MessageSession{AgentID: s.agent, SessionID: s.id})
	}
	if d.decision == "" || d.begins || r.people() == 0 {
		return out, nil
	}
	for _, m := range r.members {
		if m.Kind != event.KindAgent || !m.alive || m.AgentID == d.author.AgentID {
			continue
		}
		if s := r.living(m.AgentID); s != nil && heard-s.heardAt < silence {
			out = append(out, event.MessageSession{AgentID: s.agent, SessionID: s.id})
		}
	}
	return out, nil
}
