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

// Mine is what of this context belongs to a person: what they said and did, and what
// an agent answered where it was alone with them. What other people said is theirs.
func (s *Service) Mine() []sqldb.Share {
	of := func(table, who, says string, without ...string) sqldb.Share {
		return sqldb.Share{Export: sqldb.Export{Table: table, Without: without}, Where: who + ` = $1`, Says: says}
	}
	return []sqldb.Share{
		{Export: sqldb.Export{Table: "rooms", Without: []string{"created_by", "pass"}}, Where: `room_id in (select room_id from members where member_id = $1)`, Says: "Rooms you are or were in."},
		of("members", "member_id", "When you came and went.", "inviter"),
		of("consents", "person_id", "Where you allowed that something is learned from what you do."),
		of("links", "person_id", "Links you made into rooms.", "hash"),
		of("invitations", "person_id", "Agents you asked into rooms."),
		{Export: sqldb.Export{Table: "messages"}, Where: `exists (select 1 from members m join rooms r on r.room_id = m.room_id where m.room_id = messages.room_id and m.member_id = $1
			and (messages.author_id = m.member_id or r.direct and messages.kind = 'agent'))`, Says: "What you said, and what agents answered you in private."},
		of("reactions", "person_id", "Your emoji on messages."),
		of("sessions", "started_by", "Talks that you began."),
		of("passes", "person_id", "Passes for special rooms that you bought."),
		of("departures", "person_id", "Talks that you left."),
	}
}
