package chat

import (
	"database/sql"

	"rapport/event"
)

// Of a batch that a platform sends, the rooms and messages that it names are read at
// once, and its own messages get their rows together: at the end, or before anything
// looks at rows or changes them.

// batch is what an act knows of messages without looking. Empty outside of Ingest.
type batch struct {
	messages map[event.MessageID]*stored // those looked up; nil: there is none
	rows     []any                       // of messages without one yet
	place    map[event.MessageID]int     // where a message's row begins there
}

// foresee reads what a batch names.
func (a *act) foresee(source string, items []Ingested) error {
	a.messages, a.place = make(map[event.MessageID]*stored, 2*len(items)), map[event.MessageID]int{}
	seen := map[event.RoomID]bool{}
	var rooms []event.RoomID
	var ids []any
	for _, it := range items {
		if id := ForeignRoom(source, it.Room); !seen[id] {
			seen[id] = true
			rooms = append(rooms, id)
		}
		for _, over := range []string{it.Message, it.ReplyTo} {
			if over == "" {
				continue
			}
			id := ForeignMessage(source, over)
			if _, again := a.messages[id]; !again {
				a.messages[id] = nil
				ids = append(ids, string(id))
			}
		}
	}
	if err := a.openAll(rooms); err != nil {
		return err
	}
	return a.tx.QueryMany(selectStored, 0, `)`, ids, func(rows *sql.Rows) error {
		id, m, err := scanStored(rows)
		a.messages[id] = &m
		return err
	})
}

const (
	putMessages = `insert into messages (message_id, room_id, seq, changed, kind, author_id, text, reply_to, decision_id, at, occurred_at,
		edited_at, deleted_at, chars, sentiment, consent, to_agent, about) values `
	messageColumns = 18
	changedColumn  = 3
)

// put stores a message; false when there is one of its id.
func (a *act) put(m stored, row []any) (bool, error) {
	id := event.MessageID(row[0].(string))
	kept, looked := a.messages[id]
	if !looked {
		n, err := a.tx.ExecMany(putMessages, messageColumns, ` on conflict do nothing`, row)
		return n > 0, err
	}
	if kept != nil {
		return false, nil
	}
	a.messages[id], a.place[id] = &m, len(a.rows)
	a.rows = append(a.rows, row...)
	return true, nil
}

// settle gives the messages their rows.
func (a *act) settle() error {
	if len(a.rows) == 0 {
		return nil
	}
	_, err := a.tx.ExecMany(putMessages, messageColumns, ``, a.rows)
	a.rows = a.rows[:0]
	clear(a.place)
	return err
}

// changes notes the newest change of a message that has no row yet.
func (a *act) changes(id event.MessageID, change int64) bool {
	at, waits := a.place[id]
	if waits {
		a.rows[at+changedColumn] = change
	}
	return waits
}

// rewrites prepares for another text of a message.
func (a *act) rewrites(id event.MessageID) error {
	delete(a.messages, id)
	return a.settle()
}
