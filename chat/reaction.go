package chat

import (
	"context"

	"rapport/event"
	"rapport/internal/fault"
)

// React puts the caller's emoji on a message. Doing it again changes nothing.
//
// Faults: room_unknown, message_unknown, emoji_invalid, too_many_reactions.
func (s *Service) React(ctx context.Context, id event.RoomID, message event.MessageID, emoji string) error {
	p, err := caller(ctx)
	if err != nil {
		return err
	}
	if emoji, err = checkEmoji(emoji); err != nil {
		return err
	}
	return s.write(ctx, func(a *act) error {
		r, err := a.enter(id, p.Person)
		if err != nil {
			return err
		}
		_, err = a.react(r, message, p.Person, emoji)
		return err
	})
}

// react stores a reaction and tells of it; false when it was there.
func (a *act) react(r *room, message event.MessageID, p event.PersonID, emoji string) (bool, error) {
	m, found, err := a.message(message)
	if err != nil {
		return false, err
	}
	if !found || m.room != r.id || m.deleted {
		return false, errMessage
	}
	var n int
	if _, err := a.tx.Get(`select count(*) from reactions where message_id = $1 and person_id = $2 and emoji <> $3`, []any{message, p, emoji}, &n); err != nil {
		return false, err
	}
	if n >= MaxReactions {
		return false, fault.New(fault.Conflict, "too_many_reactions", "You have %d reactions on this message; take one back first.", MaxReactions)
	}
	added, err := a.tx.Exec(`insert into reactions (message_id, person_id, emoji, at) values ($1, $2, $3, $4) on conflict do nothing`, message, p, emoji, a.at)
	if err != nil || added == 0 {
		return false, err
	}
	a.emit(event.ReactionAdded{RoomID: r.id, MessageID: message, PersonID: p, Emoji: emoji, Consent: r.consents(p), Protected: r.protected(), Platform: r.source})
	return true, a.touch(r, message)
}

// touch marks a message as changed.
func (a *act) touch(r *room, id event.MessageID) error {
	if a.changes(id, r.next()) {
		return nil
	}
	_, err := a.tx.Exec(`update messages set changed = $1 where message_id = $2`, r.change, id)
	return err
}

// Unreact takes the caller's emoji back. One that is not there changes nothing.
//
// Faults: room_unknown, message_unknown, emoji_invalid.
func (s *Service) Unreact(ctx context.Context, id event.RoomID, message event.MessageID, emoji string) error {
	p, err := caller(ctx)
	if err != nil {
		return err
	}
	if emoji, err = checkEmoji(emoji); err != nil {
		return err
	}
	return s.write(ctx, func(a *act) error {
		r, err := a.enter(id, p.Person)
		if err != nil {
			return err
		}
		_, err = a.unreact(r, message, p.Person, emoji)
		return err
	})
}

// unreact takes a reaction back and tells of it; false when there was none.
func (a *act) unreact(r *room, message event.MessageID, p event.PersonID, emoji string) (bool, error) {
	m, found, err := a.message(message)
	if err != nil {
		return false, err
	}
	if !found || m.room != r.id {
		return false, errMessage
	}
	n, err := a.tx.Exec(`delete from reactions where message_id = $1 and person_id = $2 and emoji = $3`, message, p, emoji)
	if err != nil || n == 0 {
		return false, err
	}
	a.emit(event.ReactionRemoved{RoomID: r.id, MessageID: message, PersonID: p, Emoji: emoji})
	return true, a.touch(r, message)
}
