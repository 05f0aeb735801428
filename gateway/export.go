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

// Mine is what of this context belongs to a person. Decisions are read one by one, at
// /v1/decisions/{decision}, by who took part.
func (s *Service) Mine() []sqldb.Share {
	return []sqldb.Share{
		{Export: sqldb.Export{Table: "boosts"}, Where: `person_id = $1`, Says: "Days with more replies that you bought."},
		{Export: sqldb.Export{Table: "replies"}, Where: `person_id = $1`, Says: "How many replies you got on which day."},
	}
}
