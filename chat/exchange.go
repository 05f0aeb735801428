package chat

import (
	"context"
	"slices"

	"rapport/event"
	"rapport/internal/sqldb"
)

// Exchange is a piece of a talk, for reviewers: who said what, and how everybody is
// called who is or was in the room.
type Exchange struct {
	Lines []Text // oldest first, a deleted message without its words
	Names []string
}

// Exchange gives a message of a session and what was said before it there, at most
// limit lines. Nothing when the message is gone, is no part of the session, somebody in
// the room is protected now, or somebody who was in it is no more: what they were called
// could not be taken out of what others said.
func (s *Service) Exchange(ctx context.Context, id event.RoomID, session event.SessionID, message event.MessageID, limit int) (Exchange, error) {
	var out Exchange
	var members []event.Member
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		r, err := look(tx, id, s.now())
		if err != nil || r == nil || r.protected() {
			return err
		}
		var first, last int64
		there, err := tx.Get(`select s.first_seq, m.seq from sessions s join messages m on m.room_id = s.room_id where s.session_id = $1 and s.room_id = $2 and m.message_id = $3 and m.deleted_at = 0
			and m.seq >= s.first_seq and m.seq <= s.last_seq`, []any{session, id, message}, &first, &last)
		if err != nil || !there {
			return err
		}
		rows, err := tx.Query(`select message_id, kind, author_id, text, seq from messages where room_id = $1 and seq >= $2 and seq <= $3 order by seq desc limit $4`, id, first, last, max(0, limit))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var t Text
			var kind, author string
			if err := rows.Scan(&t.MessageID, &kind, &author, &t.Text, &t.Sequence); err != nil {
				return err
			}
			t.Author = memberOf(kind, author)
			out.Lines = append(out.Lines, t)
		}
		if err := rows.Close(); err != nil {
			return err
		}
		ever, err := tx.Query(`select kind, member_id from members where room_id = $1 order by member_id`, id)
		if err != nil {
			return err
		}
		defer ever.Close()
		for ever.Next() {
			var kind, member string
			if err := ever.Scan(&kind, &member); err != nil {
				return err
			}
			members = append(members, memberOf(kind, member))
		}
		return ever.Err()
	})
	if err != nil || len(out.Lines) == 0 {
		return Exchange{}, err
	}
	slices.Reverse(out.Lines)
	names, err := s.names(ctx, members)
	if err != nil {
		return Exchange{}, err
	}
	for _, m := range members {
		if names[m.ID()] == "" {
			return Exchange{}, nil
		}
		out.Names = append(out.Names, names[m.ID()])
	}
	slices.Sort(out.Names)
	return out, nil
}
