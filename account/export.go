package account

import "rapport/internal/sqldb"

// Exports names the tables that people may take away, as docs/export.md describes
// them. Credentials, sessions, tokens and protection are not among them.
func (s *Service) Exports() []sqldb.Export {
	return []sqldb.Export{
		{Table: "people", Without: []string{"password", "operator", "protected", "protected_until", "protected_by"}},
		{Table: "foreign_people"},
		{Table: "erasures", Without: []string{"receipt"}},
		{Table: "operator_acts"},
	}
}
