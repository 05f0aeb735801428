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

// Mine is what of this context belongs to a person: their agents.
func (s *Service) Mine() []sqldb.Share {
	of := func(table, says string) sqldb.Share {
		return sqldb.Share{Export: sqldb.Export{Table: table}, Where: `agent_id in (select id from agents where owner_id = $1 and not retired)`, Says: says}
	}
	return []sqldb.Share{
		{Export: sqldb.Export{Table: "agents"}, Where: `owner_id = $1 and not retired`, Says: "Your agents."},
		of("texts", "What you wrote about your agents."),
		of("versions", "Every version of your agents."),
		of("proposals", "Changes of your agents that were proposed to you."),
		of("cards", "Cards that your agents were imported from."),
		of("enrichments", "What was suggested to fill in your agents."),
		of("origins", "Where your agents come from."),
		{Export: sqldb.Export{Table: "places"}, Where: `person_id = $1`, Says: "Places for agents that you bought."},
		{Export: sqldb.Export{Table: "looks"}, Where: `person_id = $1`, Says: "Looks that you bought for agents."},
		of("audit", "Who changed your agents, and how."),
	}
}
