package gateway

import (
	"context"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Steer carries out a tone button: from the next reply on, for the rest of the
// session, the trait is .15 further in the direction of the sign, within bounds.
// It is a command, not exploration: the new episode has no density. Nothing
// happens when the trait is pinned or already at its bound, or while somebody in
// the room is protected. Whether the person may is the caller's to know. Carrying
// out the same feedback again changes nothing.
//
// Faults: agent_unknown, unknown_trait.
func (s *Service) Steer(ctx context.Context, id event.FeedbackID, agent event.AgentID, session event.SessionID, person event.PersonID, d event.Direction) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error { return s.steer(tx, id, talk{agent, session}, person, d) })
}

func (s *Service) steer(tx *sqldb.Tx, id event.FeedbackID, of talk, person event.PersonID, d event.Direction) error {
	trait, ok := policy.ParseTrait(d.Trait)
	if !ok || d.Sign == 0 {
		return fault.New(fault.Invalid, "unknown_trait", "There is no trait %q to ask more or less of.", d.Trait)
	}
	if err := s.catchUp(tx); err != nil {
		return err
	}
	if done, err := tx.Get(`select 1 from episodes where agent_id = $1 and session_id = $2 and feedback_id = $3`, []any{of.agent, of.session, id}, new(int)); done || err != nil {
		return err
	}
	v, err := load(tx, of.agent)
	if err != nil {
		return err
	}
	stored, err := latest(tx, of)
	if err != nil {
		return err
	}
	set := s.set.Load()
	s.hush(v, set)
	now := s.now()
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	s.desk.episodes.add(of, stored)
	old, _ := s.desk.episodes.get(of)
	if old != nil && old.protected {
		return nil
	}
	if old != nil && old.feedback == id { // its transaction failed: it is stored now
		return s.storeEpisodes(tx, of, old)
	}
	if old == nil || old.ownerActs != v.ownerActs { // the press comes before the first decision of an episode
		first := &episode{start: now}
		first.ordinal = -1
		if old != nil {
			first.ordinal, first.rulesTried, first.rulesGot = old.ordinal, old.rulesTried, old.rulesGot
		} else {
			s.side(first, of.agent, of.session, set)
		}
		s.draw(first, of.agent, of.session, v)
		old = first
	}
	x, moved := policy.Offset(old.x, trait, d.Sign, v.doc.Limits(), v.doc.Pinned)
	if !moved {
		return nil
	}
	e := *old
	e.ordinal, e.start, e.commanded, e.person, e.feedback, e.x, e.density = old.ordinal+1, max(now, old.start+1), true, person, id, x, nil
	e.mixture = ""
	s.desk.open(of, &e)
	return s.storeEpisodes(tx, of, old, &e)
}

// storeEpisodes stores those of a session that are not in the table. The caller has the
// desk.
func (s *Service) storeEpisodes(tx *sqldb.Tx, of talk, all ...*episode) error {
	var rows []any
	for _, e := range all {
		if e.id != "" && !e.stored {
			rows = e.row().columns(rows, of)
		}
	}
	tx.OnCommit(func() {
		s.desk.mu.Lock()
		defer s.desk.mu.Unlock()
		for _, e := range all {
			e.stored = true
		}
	})
	_, err := tx.ExecMany(insertEpisodes, episodeColumns, ` on conflict do nothing`, rows)
	return err
}
