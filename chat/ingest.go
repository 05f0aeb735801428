package chat

import (
	"context"
	"maps"
	"slices"
	"strings"

	"rapport/chat/textsignal"
	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// The types of what a foreign platform may send.
const (
	ItemRoomCreated    = "room.created"     // Room, Agents
	ItemRoomJoined     = "room.joined"      // Room, Who, Consent
	ItemRoomLeft       = "room.left"        // Room, Who
	ItemMessage        = "message.ingested" // Room, Message, Who, Text, ReplyTo, Consent
	ItemSessionStarted = "session.started"  // Room, Agent
	ItemSessionEnded   = "session.ended"    // Room, Agent
	ItemReaction       = "reaction.added"   // Room, Message, Who, Emoji
	ItemReactionGone   = "reaction.removed" // Room, Message, Who, Emoji
	ItemEdited         = "message.edited"   // Room, Message, Text
	ItemDeleted        = "message.deleted"  // Room, Message
)

// Ingested is one thing that happened on a foreign platform. Room, Message and
// ReplyTo are ids over there; people and agents are ours.
type Ingested struct {
	Type    string
	ID      string       // of the item, unique over there
	At      event.Micros // when it happened by their clock, 0 when unknown
	Room    string
	Agents  []event.AgentID
	Agent   event.AgentID
	Who     event.Member
	Message string
	ReplyTo string
	Text    string
	Emoji   string
	Consent *bool // of Who in the room: the platform's word for the person's
}

// Result is what became of an item.
type Result struct {
	ID        string // of the room, message or session it is about
	Duplicate bool   // it was here before, nothing changed
	Err       error  // it was refused, nothing changed
}

// ForeignRoom, ForeignMessage and ForeignSession are the ids here of things over there.
func ForeignRoom(source, id string) event.RoomID {
	return event.RoomID(event.HashID(source, "room", id))
}

// ForeignMessage is the id here of a message over there.
func ForeignMessage(source, id string) event.MessageID {
	return event.MessageID(event.HashID(source, "message", id))
}

// foreignSession is the id of a session that an item started.
func foreignSession(source, item string) event.SessionID {
	return event.SessionID(event.HashID(source, "session", item))
}

const maxForeignID = 512 // bytes

// Ingest takes a batch from a foreign platform in one transaction, in the given
// order; results are in that order too. An item that is refused does not hold up
// the others; an error means that nothing of the batch was taken.
//
//   - Rooms and members come into being with the first item that names them.
//   - Messages are numbered as they are received; the foreign time is kept beside.
//     They are marked Imported. An empty text is kept.
//   - Sessions begin with the first message and end after Silence between two
//     messages by their own clock (or here, see EndIdle), or are started and ended
//     by items. A started one replaces a living one.
//   - What was edited or deleted over there is so here; an edit before the message
//     came is refused.
//   - Taking a batch again changes nothing. A message id that returns with another
//     room, author or text is refused.
//
// Faults of items: item_unknown, id_missing, id_too_long, room_unknown,
// room_missing, author_missing, agent_unknown, time_invalid, the text faults of
// Post, id_conflict, message_unknown, emoji_invalid, session_unknown.
func (s *Service) Ingest(ctx context.Context, source string, items []Ingested) ([]Result, error) {
	if source == "" {
		return nil, fault.New(fault.Invalid, "source_missing", "Use a token that names the platform it speaks for.")
	}
	handles, known, err := s.heardOf(ctx, source, items)
	if err != nil {
		return nil, err
	}
	if err := s.callSpeakers(ctx, source, items); err != nil {
		return nil, err
	}
	read := make([]*textsignal.Text, len(items))
	checks := make([]error, len(items))
	for i := range items {
		if checks[i] = items[i].check(known); checks[i] == nil && (items[i].Type == ItemMessage || items[i].Type == ItemEdited) {
			read[i] = textsignal.Read(items[i].Text)
			read[i].Features() // before the transaction
		}
	}
	results := make([]Result, len(items))
	err = s.write(ctx, func(a *act) error {
		if err := a.foresee(source, items); err != nil {
			return err
		}
		for i := range items {
			results[i] = Result{Err: checks[i]}
			if checks[i] != nil {
				continue
			}
			f := foreign{act: a, source: source, Ingested: items[i], read: read[i], handles: handles}
			var err error
			if results[i], err = f.take(); err != nil {
				if fault.KindOf(err) == fault.Internal || fault.KindOf(err) == fault.Unavailable {
					return err
				}
				results[i] = Result{Err: err}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// heardOf asks once for the batch which of its agents exist, and how those that
// its texts may mention are called.
func (s *Service) heardOf(ctx context.Context, source string, items []Ingested) (map[event.AgentID][]string, map[event.AgentID]bool, error) {
	named, rooms := map[event.AgentID]bool{}, map[event.RoomID]bool{}
	for _, it := range items {
		for _, id := range append(slices.Clip(it.Agents), it.Agent, it.Who.AgentID) {
			if id != "" {
				named[id] = true
			}
		}
		if strings.Contains(it.Text, "@") {
			rooms[ForeignRoom(source, it.Room)] = true
		}
	}
	known := map[event.AgentID]bool{}
	var unknown []event.AgentID
	mentioned := map[event.AgentID]bool{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		for _, id := range sortedKeys(named) {
			var retired bool
			found, err := tx.Get(`select retired from agents where agent_id = $1`, []any{id}, &retired)
			if err != nil {
				return err
			}
			if known[id] = found; !found {
				unknown = append(unknown, id)
			}
		}
		for _, id := range sortedKeys(rooms) {
			rows, err := tx.Query(`select member_id from members where room_id = $1 and kind = $2 and left_at = 0 order by member_id`, id, event.KindAgent)
			agents, err := column[event.AgentID](rows, err)
			if err != nil {
				return err
			}
			for _, a := range agents {
				mentioned[a] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if len(unknown) > 0 { // made a moment ago
		found, err := s.options.Agents.AgentNames(ctx, unknown)
		if err != nil {
			return nil, nil, err
		}
		for id := range found {
			known[id] = true
		}
	}
	if len(rooms) == 0 {
		return nil, known, nil
	}
	for id := range named {
		if known[id] {
			mentioned[id] = true
		}
	}
	handles, err := s.handles(ctx, sortedKeys(mentioned))
	return handles, known, err
}

// callSpeakers learns how those of a batch are called who say something.
func (s *Service) callSpeakers(ctx context.Context, source string, items []Ingested) error {
	rooms, speakers := map[event.RoomID]bool{}, map[event.Member]bool{}
	for _, it := range items {
		if it.Type == ItemMessage && it.Room != "" {
			rooms[ForeignRoom(source, it.Room)] = true
			speakers[it.Who] = true
		}
	}
	return s.callThem(ctx, sortedKeys(rooms), slices.Collect(maps.Keys(speakers)))
}

// check refuses what needs no look at the tables.
func (it *Ingested) check(known map[event.AgentID]bool) error {
	for _, id := range []string{it.ID, it.Room, it.Message, it.ReplyTo} {
		if len(id) > maxForeignID {
			return fault.New(fault.Invalid, "id_too_long", "An id is longer than %d bytes.", maxForeignID)
		}
	}
	if it.ID == "" {
		return fault.New(fault.Invalid, "id_missing", "Every item needs an id.")
	}
	if it.Room == "" {
		return fault.New(fault.Invalid, "room_missing", "Every item needs the id of its room.")
	}
	if it.At < 0 || it.At > maxTime {
		return fault.New(fault.Invalid, "time_invalid", "The time lies before 1970 or after 9999.")
	}
	for _, id := range append(slices.Clip(it.Agents), it.Agent, it.Who.AgentID) {
		if id != "" && !known[id] {
			return errAgent
		}
	}
	switch it.Type {
	case ItemRoomCreated:
		return nil
	case ItemEdited, ItemDeleted:
		if it.Message == "" {
			return fault.New(fault.Invalid, "id_missing", "A message needs its id.")
		}
		return checkText(it.Text, true)
	case ItemMessage, ItemRoomJoined, ItemRoomLeft, ItemReaction, ItemReactionGone:
		reacts := it.Type == ItemReaction || it.Type == ItemReactionGone
		if (it.Who.PersonID == "") == (it.Who.AgentID == "") || reacts && it.Who.PersonID == "" {
			return fault.New(fault.Invalid, "author_missing", "The item must name one person or one agent; a reaction, a person.")
		}
		if (it.Type == ItemMessage || reacts) && it.Message == "" {
			return fault.New(fault.Invalid, "id_missing", "A message needs its id.")
		}
		if it.Type == ItemMessage {
			return checkText(it.Text, true)
		}
		return nil
	case ItemSessionStarted, ItemSessionEnded:
		if it.Agent == "" {
			return fault.New(fault.Invalid, "author_missing", "A session needs its agent.")
		}
		return nil
	}
	return fault.New(fault.Invalid, "item_unknown", "This type of item is not taken.")
}

const maxTime = 253402300799_000000 // the end of 9999

// foreign is one item being taken.
type foreign struct {
	*act
	Ingested
	source  string
	read    *textsignal.Text
	handles map[event.AgentID][]string
}

func (f foreign) take() (Result, error) {
	if f.Who.AgentID != "" {
		f.Who.Kind = event.KindAgent
	} else {
		f.Who.Kind = event.KindPerson
	}
	id := ForeignRoom(f.source, f.Room)
	r, err := f.open(id)
	if err != nil {
		return Result{}, err
	}
	if r == nil {
		switch f.Type {
		case ItemRoomLeft, ItemReaction, ItemReactionGone, ItemEdited, ItemDeleted, ItemSessionEnded:
			return Result{}, fault.New(fault.Invalid, "room_unknown", "No item of this room was taken before.")
		}
		r = &room{id: id, source: f.source, createdBy: f.Who.PersonID, createdAt: f.at, fresh: true}
		f.keep(r)
	}
	switch f.Type {
	case ItemMessage:
		return f.message(r)
	case ItemReaction, ItemReactionGone, ItemEdited, ItemDeleted:
		changed, err := f.onMessage(r, ForeignMessage(f.source, f.Message))
		return Result{ID: string(ForeignMessage(f.source, f.Message)), Duplicate: !changed}, err
	case ItemSessionEnded:
		return f.sessionEnded(r)
	}
	news, err := f.once()
	if err != nil || !news {
		return Result{ID: string(id), Duplicate: !news}, err
	}
	switch f.Type {
	case ItemRoomCreated:
		if err := f.make(r); err != nil {
			return Result{}, err
		}
		for _, agent := range f.Agents {
			if err := f.join(r, agentMember(agent), ""); err != nil {
				return Result{}, err
			}
		}
	case ItemRoomJoined:
		if err := f.join(r, f.Who, ""); err != nil {
			return Result{}, err
		}
		return Result{ID: string(id)}, f.consent(r, r.find(f.Who.ID()), f.Consent)
	case ItemRoomLeft:
		if m := r.find(f.Who.ID()); m != nil {
			return Result{ID: string(id)}, f.leave(r, m)
		}
	case ItemSessionStarted:
		return f.sessionStarted(r)
	}
	return Result{ID: string(id)}, nil
}

// once notes that an item was taken; false when it was before. Messages need no
// note, their own rows are it.
func (f foreign) once() (bool, error) {
	n, err := f.tx.Exec(`insert into taken (item_id, at) values ($1, $2) on conflict do nothing`, f.item(), f.at)
	return n == 1, err
}

func (f foreign) taken() (bool, error) {
	var one int
	return f.tx.Get(`select 1 from taken where item_id = $1`, []any{f.item()}, &one)
}

func (f foreign) item() string { return event.HashID(f.source, "item", f.ID) }

func (f foreign) message(r *room) (Result, error) {
	d := draft{id: ForeignMessage(f.source, f.Message), author: f.Who, text: f.Text, read: f.read, handles: f.handles,
		imported: true, occurred: f.At, consent: f.Consent}
	if f.ReplyTo != "" {
		d.replyTo = ForeignMessage(f.source, f.ReplyTo)
	}
	said, err := f.say(r, d)
	if err != nil {
		return Result{}, err
	}
	if !said {
		m, _, err := f.act.message(d.id)
		if err != nil {
			return Result{}, err
		}
		if m.room != r.id || m.author != d.author || m.text != d.text && !m.edited && !m.deleted {
			return Result{}, fault.New(fault.Conflict, "id_conflict", "This message id was taken before with another room, author or text.")
		}
	}
	return Result{ID: string(d.id), Duplicate: !said}, nil
}

// onMessage does something to a message that is there; false when that changes
// nothing, or was done before: a reaction that was taken back does not return with an
// old item. What is refused is not noted, and may come again.
func (f foreign) onMessage(r *room, id event.MessageID) (changed bool, err error) {
	if again, err := f.taken(); err != nil || again {
		return false, err
	}
	switch f.Type {
	case ItemReaction, ItemReactionGone:
		emoji, err := checkEmoji(f.Emoji)
		if err != nil {
			return false, err
		}
		var late bool
		if late, err = f.overtaken(id, emoji); late || err != nil {
			return false, err
		}
		if f.Type == ItemReaction {
			changed, err = f.react(r, id, f.Who.PersonID, emoji)
		} else {
			changed, err = f.unreact(r, id, f.Who.PersonID, emoji)
		}
		if err != nil {
			return false, err
		}
	default:
		m, found, err := f.act.message(id)
		switch {
		case err != nil:
			return false, err
		case !found || m.room != r.id || m.deleted && f.Type == ItemEdited:
			return false, errMessage
		case f.Type == ItemDeleted:
			if changed = !m.deleted; changed {
				err = f.wipe(r, id)
			}
		default:
			if changed = m.text != f.Text; changed {
				err = f.edit(r, m, draft{id: id, author: m.author, text: f.Text, read: f.read, replyTo: m.replyTo, handles: f.handles})
			}
		}
		if err != nil {
			return false, err
		}
	}
	_, err = f.once()
	return changed, err
}

// overtaken says that a reaction was taken back later than this item happened, by
// the clock over there; without one, nothing is late.
func (f foreign) overtaken(message event.MessageID, emoji string) (bool, error) {
	if f.At <= 0 {
		return false, nil
	}
	id := event.HashID(f.source, "reaction gone", string(message), string(f.Who.PersonID), emoji)
	if f.Type == ItemReactionGone {
		_, err := f.tx.Exec(`insert into taken (item_id, at) values ($1, $2) on conflict (item_id) do update set at = excluded.at where taken.at < excluded.at`, id, f.At)
		return false, err
	}
	return f.tx.Get(`select 1 from taken where item_id = $1 and at > $2`, []any{id, f.At}, new(int))
}

func (f foreign) sessionStarted(r *room) (Result, error) {
	if r.find(string(f.Agent)) == nil {
		if err := f.join(r, agentMember(f.Agent), ""); err != nil {
			return Result{}, err
		}
	}
	if s := r.living(f.Agent); s != nil {
		if err := f.end(r, s, false); err != nil {
			return Result{}, err
		}
	}
	heard := f.at
	if f.At > 0 {
		heard = f.At
	}
	s, err := f.begin(r, foreignSession(f.source, f.ID), f.Agent, f.Who.PersonID, heard, true)
	if err != nil {
		return Result{}, err
	}
	return Result{ID: string(s.id)}, nil
}

func (f foreign) sessionEnded(r *room) (Result, error) {
	s := r.living(f.Agent)
	if s == nil { // not noted: it may come again when there is one
		taken, err := f.taken()
		if err != nil || taken {
			return Result{Duplicate: taken}, err
		}
		return Result{}, fault.New(fault.Invalid, "session_unknown", "No session of this agent lives in this room.")
	}
	if news, err := f.once(); err != nil || !news {
		return Result{Duplicate: !news}, err
	}
	return Result{ID: string(s.id)}, f.end(r, s, false)
}
