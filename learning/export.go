package learning

import "rapport/internal/sqldb"

// Exports names the tables that people may take away, as docs/export.md describes
// them. Learner states are a taste profile and stay inside.
func (s *Service) Exports() []sqldb.Export {
	return []sqldb.Export{
		{Table: "rl_agent_projection", Without: []string{"canon"}},
		{Table: "rl_feedback_projection"},
		{Table: "rl_behaviour_projection"},
		{Table: "rl_proposals"},
	}
}
