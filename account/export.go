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

// Mine is what of this context belongs to a person. Hashes of secrets do not leave.
func (s *Service) Mine() []sqldb.Share {
	of := func(table, says string, without ...string) sqldb.Share {
		return sqldb.Share{Export: sqldb.Export{Table: table, Without: without}, Where: `person_id = $1`, Says: says}
	}
	return []sqldb.Share{
		of("people", "Who you are here.", "password"),
		of("foreign_people", "Who you are on other platforms."),
		of("sessions", "Where you are logged in.", "hash"),
		of("tokens", "Tokens for programs that act for you.", "hash"),
		of("operator_acts", "What you did that is written down: as an operator, and taking your data."),
	}
}
