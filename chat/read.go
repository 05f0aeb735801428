package chat

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Message is a message as the people of its room see it.
type Message struct {
	ID         event.MessageID  `json:"id"`
	RoomID     event.RoomID     `json:"roomId"`
	Sequence   int64            `json:"sequence"`
	Change     int64            `json:"change"` // number of the room's change that touched it last
	Author     RoomMember       `json:"author"`
	Text       string           `json:"text"`
	ReplyTo    event.MessageID  `json:"replyTo,omitempty"`
	DecisionID event.DecisionID `json:"decisionId,omitempty"`
	At         time.Time        `json:"at"`
	OccurredAt *time.Time       `json:"occurredAt,omitempty"` // by the clock of the platform it came from
	EditedAt   *time.Time       `json:"editedAt,omitempty"`
	Deleted    bool             `json:"deleted,omitempty"`
	Reactions  []Reaction       `json:"reactions,omitempty"`
}

// Reaction is one person's emoji on a message.
type Reaction struct {
	PersonID event.PersonID `json:"personId"`
	Emoji    string         `json:"emoji"`
}

// Page is a part of a room's messages in their order.
type Page struct {
	Messages []Message `json:"messages"`
	More     bool      `json:"more"`   // there is more in the direction asked for
	Cursor   int64     `json:"cursor"` // of the room's newest change: where a stream goes on
}

// Messages gives messages of a room that the caller is in, in order: the first
// after a sequence number, or the last before one, or the newest (both 0); at
// most limit (1…200, 50 when 0). A deleted one keeps its place without its text.
//
// Faults: room_unknown, page_invalid when both numbers are given.
func (s *Service) Messages(ctx context.Context, id event.RoomID, after, before int64, limit int) (Page, error) {
	p, err := caller(ctx)
	if err != nil {
		return Page{}, err
	}
	if after != 0 && before != 0 || after < 0 || before < 0 {
		return Page{}, fault.New(fault.Invalid, "page_invalid", "Give either after or before, as a positive sequence number.")
	}
	limit = clamp(limit)
	var page Page
	err = s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		if err := mayRead(tx, id, p); err != nil {
			return err
		}
		if _, err := tx.Get(`select last_change from rooms where room_id = $1`, []any{id}, &page.Cursor); err != nil {
			return err
		}
		var rows *sql.Rows
		switch {
		case after > 0:
			rows, err = tx.Query(selectMessages+`where room_id = $1 and seq > $2 order by seq limit $3`, id, after, limit+1)
		case before > 0:
			rows, err = tx.Query(selectMessages+`where room_id = $1 and seq < $2 order by seq desc limit $3`, id, before, limit+1)
		default:
			rows, err = tx.Query(selectMessages+`where room_id = $1 order by seq desc limit $2`, id, limit+1)
		}
		if err != nil {
			return err
		}
		if page.Messages, err = scanMessages(rows); err != nil {
			return err
		}
		if page.More = len(page.Messages) > limit; page.More {
			page.Messages = page.Messages[:limit]
		}
		if after == 0 {
			slices.Reverse(page.Messages)
		}
		return withReactions(tx, page.Messages)
	})
	if err != nil {
		return Page{}, err
	}
	return page, s.nameAuthors(ctx, page.Messages)
}

// Message gives one message of a room that the caller is in.
//
// Faults: room_unknown, message_unknown.
func (s *Service) Message(ctx context.Context, id event.RoomID, message event.MessageID) (Message, error) {
	p, err := caller(ctx)
	if err != nil {
		return Message{}, err
	}
	var list []Message
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		if err := mayRead(tx, id, p); err != nil {
			return err
		}
		rows, err := tx.Query(selectMessages+`where message_id = $1 and room_id = $2`, message, id)
		if err != nil {
			return err
		}
		if list, err = scanMessages(rows); err != nil {
			return err
		}
		if len(list) == 0 {
			return errMessage
		}
		return withReactions(tx, list)
	})
	if err != nil {
		return Message{}, err
	}
	return list[0], s.nameAuthors(ctx, list)
}

// mayRead refuses whoever is not in the room, as if it did not exist.
func mayRead(tx *sqldb.Tx, id event.RoomID, p authz.Principal) error {
	in, err := isMember(tx, id, string(p.Person))
	if err != nil {
		return err
	}
	if !in || !authz.Allowed(authz.Message, authz.Read, authz.Participant) {
		return errRoom
	}
	return nil
}

const selectMessages = `select message_id, room_id, seq, changed, kind, author_id, text, reply_to, decision_id, at, occurred_at, edited_at, deleted_at from messages `

func scanMessages(rows *sql.Rows) ([]Message, error) {
	defer rows.Close()
	out := []Message{}
	for rows.Next() {
		var m Message
		var kind, author string
		var at, occurred, edited, deleted event.Micros
		if err := rows.Scan(&m.ID, &m.RoomID, &m.Sequence, &m.Change, &kind, &author, &m.Text, &m.ReplyTo, &m.DecisionID, &at, &occurred, &edited, &deleted); err != nil {
			return nil, err
		}
		by := memberOf(kind, author)
		m.Author = RoomMember{Kind: kind, PersonID: by.PersonID, AgentID: by.AgentID}
		m.At, m.OccurredAt, m.EditedAt, m.Deleted = when(at), maybe(occurred), maybe(edited), deleted > 0
		out = append(out, m)
	}
	return out, rows.Err()
}

func maybe(at event.Micros) *time.Time {
	if at == 0 {
		return nil
	}
	t := when(at)
	return &t
}

// withReactions adds who reacted how, by when.
func withReactions(tx *sqldb.Tx, list []Message) error {
	for i := range list {
		rows, err := tx.Query(`select person_id, emoji from reactions where message_id = $1 order by at, person_id, emoji`, list[i].ID)
		list[i].Reactions, err = collect(rows, err, func(r *Reaction) []any { return []any{&r.PersonID, &r.Emoji} })
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) nameAuthors(ctx context.Context, list []Message) error {
	members := make([]event.Member, len(list))
	for i, m := range list {
		members[i] = event.Member{Kind: m.Author.Kind, PersonID: m.Author.PersonID, AgentID: m.Author.AgentID}
	}
	names, err := s.names(ctx, members)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].Author.Name = names[members[i].ID()]
	}
	return nil
}

// Text is one message as an agent reads it.
type Text struct {
	MessageID event.MessageID
	Author    event.Member
	Name      string // of the author, '' when unknown
	Text      string
	ReplyTo   event.MessageID
	Sequence  int64
	At        event.Micros
}

// Texts gives the last messages of a room that an agent is in, oldest first, at
// most limit; deleted and empty ones are left out.
//
// Fault: room_unknown when the agent is not in the room.
func (s *Service) Texts(ctx context.Context, id event.RoomID, agent event.AgentID, limit int) ([]Text, error) {
	var out []Text
	var members []event.Member
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		in, err := isMember(tx, id, string(agent))
		if err != nil {
			return err
		}
		if !in {
			return errRoom
		}
		rows, err := tx.Query(`select message_id, kind, author_id, text, reply_to, seq, at from messages
			where room_id = $1 and text <> '' order by seq desc limit $2`, id, max(0, limit))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var t Text
			var kind, author string
			if err := rows.Scan(&t.MessageID, &kind, &author, &t.Text, &t.ReplyTo, &t.Sequence, &t.At); err != nil {
				return err
			}
			t.Author = memberOf(kind, author)
			out, members = append(out, t), append(members, t.Author)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	names, err := s.names(ctx, members)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Name = names[out[i].Author.ID()]
	}
	slices.Reverse(out)
	return out, nil
}
