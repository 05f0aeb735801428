package agent

import "rapport/internal/sqldb"

// Exports names the tables that people may take away, as docs/export.md describes
// them. All of them are records.
func (s *Service) Exports() []sqldb.Export {
	return []sqldb.Export{
		{Table: "agents"},
		{Table: "texts"},
		{Table: "versions"},
		{Table: "proposals"},
		{Table: "audit"},
		{Table: "cards"},
		{Table: "enrichments"},
		{Table: "origins"},
		{Table: "natives"},
	}
}
