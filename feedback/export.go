package feedback

import "rapport/internal/sqldb"

// Exports names the tables that people may take away, as docs/export.md describes
// them. All of them are records.
func (s *Service) Exports() []sqldb.Export {
	return []sqldb.Export{
		{Table: "feedback_events"},
		{Table: "waiting"},
		{Table: "erased_rows"},
		{Table: "prompts"},
		{Table: "ask_budgets"},
		{Table: "emoji_meanings"},
		{Table: "reviewers"},
		{Table: "review_consents"},
		{Table: "assignments"},
		{Table: "reviews", Without: []string{"digest"}},
		{Table: "points"},
		{Table: "goals"},
	}
}
