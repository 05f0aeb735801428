package learning

import "rapport/internal/sqldb"

// Exports names the tables that people may take away, as docs/export.md describes
// them. Learner states are a taste profile, and sums of ratings by agent would compare
// agents: both stay inside, and follow from the events.
func (s *Service) Exports() []sqldb.Export {
	return []sqldb.Export{
		{Table: "rl_behaviour_projection"},
		{Table: "rl_proposals"},
	}
}

// Mine is what of this context belongs to a person: how close agents are to them, as
// a word.
func (s *Service) Mine() []sqldb.Share {
	return []sqldb.Share{{Export: sqldb.Export{Table: "rl_relationships", Without: []string{"warmth", "at"}}, Where: `person_id = $1`, Says: "How close agents are to you, in a word."}}
}
