package gateway

import "rapport/internal/sqldb"

// Exports names the tables that people may take away, as docs/export.md describes
// them. Turns, episodes, callers and spending say nothing that decisions do not.
func (s *Service) Exports() []sqldb.Export {
	return []sqldb.Export{
		{Table: "decisions"},
		{Table: "mapping_rules"},
	}
}
