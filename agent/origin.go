package agent

import (
	"rapport/event"
	"rapport/internal/sqldb"
)

// Origin is where an agent comes from, when nobody wrote it here.
type Origin struct {
	Kind    string       `json:"kind" enum:"card,native" doc:"Imported from a card, or adopted as a copy of one of the platform's agents."`
	Source  string       `json:"source" doc:"The container of the card, or the id of the platform's agent."`
	Version int64        `json:"version,omitempty" doc:"Of the platform's agent when it was copied."`
	At      event.Micros `json:"at"`
}

// The kinds of Origin.
const (
	FromCard   = "card"
	FromNative = "native"
)

// birth is what is special about how an agent comes to be.
type birth struct {
	actor string                         // the person who did it, the owner when empty
	asked any                            // what an Idempotency-Key stands for, texts and traits when nil
	kind  string                         // of the deed, created when empty
	shape func(*record)                  // before its first policy is sealed
	also  func(*sqldb.Tx, *record) error // in the same transaction

	unlimited bool // by an operator: places are not counted
}

func putOrigin(tx *sqldb.Tx, id event.AgentID, o Origin) error {
	_, err := tx.Exec(`insert into origins (agent_id, kind, source, version, at) values ($1, $2, $3, $4, $5)`, id, o.Kind, o.Source, o.Version, o.At)
	return err
}

func originOf(tx *sqldb.Tx, id event.AgentID) (*Origin, error) {
	var o Origin
	if ok, err := tx.Get(`select kind, source, version, at from origins where agent_id = $1`, []any{id}, &o.Kind, &o.Source, &o.Version, &o.At); err != nil || !ok {
		return nil, err
	}
	return &o, nil
}
