package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Drawn is one variation of a session as it was drawn: enough to judge another
// policy from it. The mixture is a taste profile and not for people's eyes.
type Drawn struct {
	AgentID    event.AgentID
	EpisodeID  event.EpisodeID
	Start      event.Micros
	X          policy.Traits
	Free       policy.Mask
	LogDensity float64
	Mixture    *policy.Mixture
}

// MaxDrawn is how many variations Drawn gives of one agent at most.
const MaxDrawn = 5000

// Drawn gives the newest variations of an agent that were drawn, oldest first.
// What a tone button commanded, what protection or a hold-out fixed, and what was
// decided before any mixture was published is not among them.
func (s *Service) Drawn(ctx context.Context, agent event.AgentID) (out []Drawn, err error) {
	var same string // mixtures repeat: sessions without feedback share one
	var mixture *policy.Mixture
	if err := s.Settle(ctx); err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select episode_id, start, x, free, log_density, mixture from (
			select episode_id, start, x, free, log_density, mixture from episodes
			where agent_id = $1 and mixture <> '' and log_density is not null order by start desc, episode_id desc limit $2) newest
			order by start, episode_id`, agent, MaxDrawn)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			d := Drawn{AgentID: agent}
			var x, published string
			if err := rows.Scan(&d.EpisodeID, &d.Start, &x, &d.Free, &d.LogDensity, &published); err != nil {
				return err
			}
			if mixture == nil || published != same {
				same, mixture = published, new(policy.Mixture)
				if err := json.Unmarshal([]byte(published), mixture); err != nil {
					return fmt.Errorf("episode %s: %w", d.EpisodeID, err)
				}
			}
			if err := json.Unmarshal([]byte(x), (*[policy.NTraits]float64)(&d.X)); err != nil {
				return fmt.Errorf("episode %s: %w", d.EpisodeID, err)
			}
			d.Mixture = mixture
			out = append(out, d)
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	return out, err
}

// Standing is what an agent is now.
type Standing struct {
	AgentID event.AgentID
	OwnerID event.PersonID
	Policy  policy.Document
}

// Standing gives what an agent is now. Fault agent_unknown.
func (s *Service) Standing(ctx context.Context, agent event.AgentID) (st Standing, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		v, err := load(tx, agent)
		if err != nil {
			return err
		}
		st = Standing{agent, v.owner, v.doc}
		return nil
	})
	return st, err
}

// OfArchetype gives the agents of an archetype, by id.
func (s *Service) OfArchetype(ctx context.Context, archetype string) (out []Standing, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select agent_id, owner_id, document from agents order by agent_id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var st Standing
			var document string
			if err := rows.Scan(&st.AgentID, &st.OwnerID, &document); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(document), &st.Policy); err != nil {
				return fmt.Errorf("policy of %s: %w", st.AgentID, err)
			}
			if archetype != "" && st.Policy.Runtime.Archetype == archetype {
				out = append(out, st)
			}
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	return out, err
}
