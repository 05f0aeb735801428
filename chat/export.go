package chat

import "rapport/internal/sqldb"

// Exports names the tables that people may take away, as docs/export.md describes
// them. All of them are records.
func (s *Service) Exports() []sqldb.Export {
	return []sqldb.Export{
		{Table: "rooms", Without: []string{"pass"}},
		{Table: "members"},
		{Table: "consents"},
		{Table: "invitations"},
		{Table: "messages"},
		{Table: "reactions"},
		{Table: "sessions"},
	}
}
