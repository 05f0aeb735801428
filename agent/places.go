package agent

import (
	"context"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Places is how many agents a person has and may have.
type Places struct {
	Agents int `json:"agents"`
	Places int `json:"places" doc:"How many agents you may have: what everybody has, and what you bought with mentor points. 0: as many as you like."`
}

// PlacesOf gives the principal's own.
func (s *Service) PlacesOf(ctx context.Context) (out Places, err error) {
	p := authz.From(ctx)
	if err := p.Check(authz.Agent, authz.List, (&record{owner: p.Person}).relation(p)...); err != nil {
		return out, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		out, err = s.places(tx, p.Person)
		return err
	})
	return out, err
}

func (s *Service) places(tx *sqldb.Tx, person event.PersonID) (p Places, err error) {
	if _, err = tx.Get(`select count(*) from agents where owner_id = $1 and not retired`, []any{person}, &p.Agents); err != nil || s.limit == 0 {
		return p, err
	}
	var bought int
	_, err = tx.Get(`select count(*) from places where person_id = $1`, []any{person}, &bought)
	p.Places = s.limit + bought
	return p, err
}

// full refuses another agent to a person who has no place left for one.
func (s *Service) full(tx *sqldb.Tx, person event.PersonID) (bool, error) {
	p, err := s.places(tx, person)
	return p.Places > 0 && p.Agents >= p.Places, err
}

func errFull(limit int) error {
	return fault.New(fault.Conflict, "no_place_left", "You have as many agents as you have places for: %d, and those you bought. Retire one, or buy another place with mentor points.", limit)
}

// bought takes in what a person bought: a place, or a look of an agent.
func bought(tx *sqldb.Tx, e event.Event, p event.PointsSpent) error {
	switch p.Item {
	case event.ItemSlot:
		_, err := tx.Exec(`insert into places (spend_id, person_id) values ($1, $2) on conflict do nothing`, p.SpendID, p.PersonID)
		return err
	case event.ItemLook:
		_, err := tx.Exec(`insert into looks (spend_id, agent_id, person_id, look, at) values ($1, $2, $3, $4, $5) on conflict do nothing`, p.SpendID, p.AgentID, p.PersonID, p.Look, e.Time)
		return err
	}
	return nil
}

// lookOf is the look that was bought last for an agent.
func lookOf(tx *sqldb.Tx, id event.AgentID) (look string, err error) {
	_, err = tx.Get(`select look from looks where agent_id = $1 order by at desc, spend_id desc limit 1`, []any{id}, &look)
	return look, err
}
