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
		{Table: "goals"},
	}
}

// Mine is what of this context belongs to a person: all that they gave and that was
// noticed of them.
func (s *Service) Mine() []sqldb.Share {
	of := func(table, who, says string, without ...string) sqldb.Share {
		return sqldb.Share{Export: sqldb.Export{Table: table, Without: without}, Where: who + ` = $1`, Says: says}
	}
	return []sqldb.Share{
		of("feedback_events", "role <> 'reviewer' and rater_id", "Feedback you gave, and signals noticed of what you did.", "owner_id"),
		of("waiting", "rater_id", "Feedback that waits for what it is about."),
		of("prompts", "person_id", "When you were asked what you think."),
		of("ask_budgets", "person_id", "How often you want to be asked."),
		of("emoji_meanings", "owner_id", "What emoji mean to you."),
		of("reviewers", "person_id", "Whether you review."),
		of("review_consents", "person_id", "Where you allowed that others review a talk."),
		of("assignments", "person_id", "What you were given to review, which stays without names.", "agent_id", "message_id", "room_id", "session_id"),
		of("reviews", "reviewer_id", "Your reviews, and what became of them.", "owner_id", "agent_id", "message_id", "digest", "found_helpful"),
		of("points", "person_id", "Your mentor points: every one earned and spent."),
		of("reputations", "person_id", "How far your reviews agree with what owners like: a matter of taste."),
		of("standing", "person_id", "How you and your agents stand."),
		of("baselines", "person_id", "Your usual pace and length, which signals are measured against."),
	}
}
