package chat

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"strings"

	"rapport/chat/textsignal"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
)

// NewMessage is what a person says.
type NewMessage struct {
	Text    string          `json:"text" doc:"Up to 8,000 characters."`
	ReplyTo event.MessageID `json:"replyTo,omitempty"`
}

// Post says something in a room that the caller is in. With a key, doing it
// again gives the same message.
//
// Faults: room_unknown, room_over, reply_unknown, text_empty, text_too_long, text_has_nul,
// text_not_utf8, idempotency_conflict.
func (s *Service) Post(ctx context.Context, id event.RoomID, n NewMessage, key string) (Message, error) {
	p, err := caller(ctx)
	if err != nil {
		return Message{}, err
	}
	if err := checkText(n.Text, false); err != nil {
		return Message{}, err
	}
	handles, err := s.mentionable(ctx, id, n.Text)
	if err != nil {
		return Message{}, err
	}
	if err := s.callThem(ctx, []event.RoomID{id}, []event.Member{person(p.Person)}); err != nil {
		return Message{}, err
	}
	read := textsignal.Read(n.Text)
	read.Features() // before the transaction
	var posted event.MessageID
	err = s.write(ctx, func(a *act) error {
		r, err := a.enter(id, p.Person)
		if err != nil {
			return err
		}
		posted, err = httpapi.Idempotent(a.tx, p, key, "message.post "+string(id), n, a.at, func() (event.MessageID, error) {
			if r.over(a.at) {
				return "", errOver
			}
			d := draft{id: event.MessageID(event.NewID()), author: person(p.Person), text: n.Text, read: read, replyTo: n.ReplyTo, handles: handles}
			_, err := a.say(r, d)
			return d.id, err
		})
		return err
	})
	if err != nil {
		return Message{}, err
	}
	return s.Message(ctx, id, posted)
}

// Reply is what an agent says, made by one decision of the gateway.
type Reply struct {
	DecisionID event.DecisionID
	AgentID    event.AgentID
	RoomID     event.RoomID
	SessionID  event.SessionID // of the decision; a reply that comes after its end still belongs to it
	ReplyTo    event.MessageID
	Text       string
	Begin      *Begin // nil for an answer
}

// PostReply says what an agent decided to say and gives the message's id, which
// follows from the decision: posting a decision again changes nothing and gives
// the same id.
//
// Faults: room_unknown when the agent is not in the room; agent_silenced when
// its kill switch is on; room_over; decision_missing; the text faults of Post; of what
// it begins by itself talk_went_on, no_consent, room_full.
func (s *Service) PostReply(ctx context.Context, n Reply) (event.MessageID, error) {
	if n.DecisionID == "" {
		return "", fault.New(fault.Invalid, "decision_missing", "A reply needs the decision that made it.")
	}
	if err := checkText(n.Text, false); err != nil {
		return "", err
	}
	handles, err := s.mentionable(ctx, n.RoomID, n.Text)
	if err != nil {
		return "", err
	}
	if err := s.callThem(ctx, []event.RoomID{n.RoomID}, []event.Member{agentMember(n.AgentID)}); err != nil {
		return "", err
	}
	d := draft{id: ReplyID(n.DecisionID), author: agentMember(n.AgentID), text: n.Text, read: textsignal.Read(n.Text),
		replyTo: n.ReplyTo, decision: n.DecisionID, session: n.SessionID, handles: handles, begins: n.Begin != nil}
	err = s.write(ctx, func(a *act) error {
		if _, there, err := a.message(d.id); there || err != nil {
			return err
		}
		r, err := a.open(n.RoomID)
		if err != nil {
			return err
		}
		if r == nil || r.find(string(n.AgentID)) == nil {
			return errRoom
		}
		if !r.find(string(n.AgentID)).alive {
			return fault.New(fault.Forbidden, "agent_silenced", "The agent's kill switch is on; revive it first.")
		}
		if r.over(a.at) {
			return errOver
		}
		if n.Begin != nil {
			if err := a.beginning(r, n.AgentID, n.Begin); err != nil {
				return err
			}
		}
		_, err = a.say(r, d)
		return err
	})
	if err != nil {
		return "", err
	}
	return d.id, nil
}

// ReplyID is the id of the message that a decision leads to.
func ReplyID(d event.DecisionID) event.MessageID {
	return event.MessageID(event.HashID("chat", "reply", string(d)))
}

// mentionable gives the handles of a room's agents when the text may mention one.
func (s *Service) mentionable(ctx context.Context, id event.RoomID, text string) (map[event.AgentID][]string, error) {
	if !strings.Contains(text, "@") {
		return nil, nil
	}
	var agents []event.AgentID
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select member_id from members where room_id = $1 and kind = $2 and left_at = 0 order by member_id`, id, event.KindAgent)
		agents, err = column[event.AgentID](rows, err)
		return err
	})
	if err != nil || len(agents) == 0 {
		return nil, err
	}
	return s.handles(ctx, agents)
}

// draft is a message about to be said.
type draft struct {
	id       event.MessageID
	author   event.Member
	text     string
	read     *textsignal.Text
	replyTo  event.MessageID
	decision event.DecisionID
	session  event.SessionID // of the decision
	begins   bool            // the session is a new one
	handles  map[event.AgentID][]string
	imported bool
	occurred event.Micros
	consent  *bool // the foreign platform's word for the author's
}

// say stores a message, opens or prolongs its sessions and tells of it; false
// when a message of that id exists, and nothing changed. A fresh room, and an
// author who is not in it (both of a foreign platform), are stored on the way.
func (a *act) say(r *room, d draft) (bool, error) {
	to, known, err := a.message(d.replyTo)
	if err != nil {
		return false, err
	}
	known = known && to.room == r.id
	if d.replyTo != "" && !known && !d.imported {
		return false, fault.New(fault.Invalid, "reply_unknown", "The message to reply to is not in this room.")
	}
	if r.find(d.author.ID()) == nil || d.consent != nil {
		if _, there, err := a.message(d.id); there || err != nil {
			return false, err
		}
		if err := a.join(r, d.author, ""); err != nil {
			return false, err
		}
		if err := a.consent(r, r.find(d.author.ID()), d.consent); err != nil {
			return false, err
		}
	}
	consent := d.author.Kind == event.KindAgent || r.consents(d.author.PersonID)
	h, err := a.hearing(r)
	if err != nil {
		return false, err
	}
	var turn *event.Turn
	if d.author.Kind == event.KindPerson && consent && !r.protected() && r.count(event.KindAgent) > 0 {
		if turn, err = a.turn(r, h, d, to, known); err != nil {
			return false, err
		}
	}
	toAgent, about := surely(turn)
	features := d.read.Features()
	put, err := a.put(stored{room: r.id, seq: r.seq + 1, author: d.author, text: d.text, replyTo: d.replyTo, about: about},
		[]any{string(d.id), string(r.id), r.seq + 1, r.change + 1, d.author.Kind, d.author.ID(), d.text, string(d.replyTo), string(d.decision), a.at, d.occurred,
			0, 0, features.Chars, features.Sentiment, consent, string(toAgent), string(about)})
	if err != nil || !put {
		return false, err
	}
	h.hear(a.s, heard{seq: r.seq + 1, id: d.id, author: d.author, about: about}, a.at, d.read)
	heard := a.at
	if d.occurred > 0 {
		heard = d.occurred
	}
	stamps, err := a.stamp(r, d, known && d.aside(to), heard)
	if err != nil {
		return false, err
	}
	if len(stamps) == 0 && d.author.Kind == event.KindPerson && r.alone() && !d.imported { // nobody will even consider it
		for _, m := range r.members {
			if m.Kind == event.KindAgent {
				t := Trouble{AgentID: m.AgentID, MessageID: d.id, Code: "killed", Says: "it is stopped"}
				a.tx.OnCommit(func() { a.s.Trouble(r.id, t) })
			}
		}
	}
	r.seq++
	a.emit(event.MessageCreated{
		RoomID: r.id, MessageID: d.id, Author: d.author, Sequence: r.seq, ReplyTo: d.replyTo, Addressed: r.addressed(d, to, known),
		Sessions: stamps, DecisionID: d.decision, Features: features, Turn: turn, Direct: r.alone(), People: r.people(), Members: len(r.members),
		Consent: consent, Protected: r.protected(), Imported: d.imported, OccurredAt: d.occurred,
	})
	r.next()
	return true, nil
}

// addressed lists the agents that a message speaks to: those it mentions, the one
// it replies to, and alone with a person always the one. By id, never its author.
func (r *room) addressed(d draft, to stored, known bool) []event.AgentID {
	out := r.named(d)
	for _, m := range r.members {
		if m.Kind == event.KindAgent && m.AgentID != d.author.AgentID && (r.alone() || known && to.author.AgentID == m.AgentID) {
			out = append(out, m.AgentID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// named lists the agents that a message calls by name, by id, never its author.
func (r *room) named(d draft) []event.AgentID {
	if len(d.handles) == 0 {
		return nil
	}
	var agents []event.AgentID
	var handles []string
	for _, m := range r.members {
		if m.Kind != event.KindAgent || m.AgentID == d.author.AgentID {
			continue
		}
		for _, h := range d.handles[m.AgentID] {
			agents, handles = append(agents, m.AgentID), append(handles, h)
		}
	}
	var out []event.AgentID
	if len(handles) > 0 {
		for i, yes := range textsignal.Mentions(d.text, handles) {
			if yes {
				out = append(out, agents[i])
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// surely is what a turn says that may be acted on.
func surely(t *event.Turn) (to event.AgentID, about event.MessageID) {
	if t == nil || t.Chance < textsignal.ActAt {
		return "", ""
	}
	return t.To, t.About
}

// stored is what verbs need of a message that exists.
type stored struct {
	room    event.RoomID
	seq     int64
	author  event.Member
	text    string
	replyTo event.MessageID
	about   event.MessageID
	edited  bool
	deleted bool
}

// message looks a message up.
func (a *act) message(id event.MessageID) (m stored, found bool, err error) {
	if id == "" {
		return m, false, nil
	}
	if kept, is := a.messages[id]; is {
		if kept == nil {
			return m, false, nil
		}
		return *kept, true, nil
	}
	err = a.tx.QueryMany(selectStored, 0, `)`, []any{id}, func(rows *sql.Rows) error {
		found = true
		_, m, err = scanStored(rows)
		return err
	})
	return m, found, err
}

const selectStored = `select message_id, room_id, seq, kind, author_id, text, reply_to, about, edited_at, deleted_at from messages where message_id in (`

func scanStored(rows *sql.Rows) (id event.MessageID, m stored, err error) {
	var kind, author string
	var edited, deleted event.Micros
	err = rows.Scan(&id, &m.room, &m.seq, &kind, &author, &m.text, &m.replyTo, &m.about, &edited, &deleted)
	m.author, m.edited, m.deleted = memberOf(kind, author), edited > 0, deleted > 0
	return id, m, err
}

// Edit gives a message of the caller another text.
//
// Faults: room_unknown, message_unknown, not_allowed, the text faults of Post.
func (s *Service) Edit(ctx context.Context, id event.RoomID, message event.MessageID, text string) (Message, error) {
	p, err := caller(ctx)
	if err != nil {
		return Message{}, err
	}
	if err := checkText(text, false); err != nil {
		return Message{}, err
	}
	handles, err := s.mentionable(ctx, id, text)
	if err != nil {
		return Message{}, err
	}
	if err := s.callThem(ctx, []event.RoomID{id}, nil); err != nil {
		return Message{}, err
	}
	read := textsignal.Read(text)
	err = s.write(ctx, func(a *act) error {
		r, err := a.enter(id, p.Person)
		if err != nil {
			return err
		}
		m, found, err := a.message(message)
		if err != nil {
			return err
		}
		if !found || m.room != id || m.deleted {
			return errMessage
		}
		if err := p.Check(authz.Message, authz.Change, authorship(m, p)...); err != nil {
			return err
		}
		if m.text == text {
			return nil
		}
		return a.edit(r, m, draft{id: message, author: m.author, text: text, read: read, replyTo: m.replyTo, handles: handles})
	})
	if err != nil {
		return Message{}, err
	}
	return s.Message(ctx, id, message)
}

// edit gives a person's message another text and says anew what it is in its talk.
func (a *act) edit(r *room, m stored, d draft) error {
	if err := a.rewrites(d.id); err != nil {
		return err
	}
	e := event.MessageEdited{RoomID: r.id, MessageID: d.id, Features: d.read.Features(), Was: m.about, PersonID: d.author.PersonID,
		Consent: r.consents(d.author.PersonID), Protected: r.protected()}
	if e.Consent && !e.Protected && r.count(event.KindAgent) > 0 {
		to, known, err := a.message(m.replyTo)
		if err != nil {
			return err
		}
		h, err := a.recall(r, m.seq-1, !r.alone())
		if err != nil {
			return err
		}
		if e.Turn, err = a.turn(r, h, d, to, known && to.room == r.id); err != nil {
			return err
		}
	}
	toAgent, about := surely(e.Turn)
	if _, err := a.tx.Exec(`update messages set text = $1, edited_at = $2, chars = $3, sentiment = $4, to_agent = $5, about = $6, changed = $7 where message_id = $8`,
		d.text, a.at, e.Features.Chars, e.Features.Sentiment, toAgent, about, r.next(), d.id); err != nil {
		return err
	}
	a.s.hearings.drop(r.id)
	a.emit(e)
	return nil
}

func authorship(m stored, p authz.Principal) []authz.Relation {
	if m.author == person(p.Person) {
		return []authz.Relation{authz.Author}
	}
	return nil
}

// Delete takes a message's text and reactions away; its place stays. The author
// may do so also after leaving the room, and an operator. Doing it again changes
// nothing.
//
// Faults: room_unknown, message_unknown, not_allowed.
func (s *Service) Delete(ctx context.Context, id event.RoomID, message event.MessageID) error {
	p := authz.From(ctx)
	return s.write(ctx, func(a *act) error {
		r, err := a.open(id)
		if err != nil {
			return err
		}
		if r == nil {
			return errRoom
		}
		m, found, err := a.message(message)
		if err != nil {
			return err
		}
		author := found && m.room == id && m.author == person(p.Person)
		if !author && len(s.relations(p, r)) == 0 {
			return errRoom
		}
		if !found || m.room != id {
			return errMessage
		}
		if err := p.Check(authz.Message, authz.Erase, authorship(m, p)...); err != nil {
			return err
		}
		if m.deleted {
			return nil
		}
		if !author {
			slog.InfoContext(ctx, "an operator deleted a message", "person", p.Person, "token", p.Token, "message", message)
		}
		return a.wipe(r, message)
	})
}

// wipe takes a message's text and reactions away.
func (a *act) wipe(r *room, id event.MessageID) error {
	if err := a.rewrites(id); err != nil {
		return err
	}
	m, _, err := a.message(id)
	if err != nil {
		return err
	}
	a.s.hearings.drop(r.id)
	if m.about != "" { // of several answers the first tells of the message
		earlier, err := a.tx.Get(`select 1 from messages where about = $1 and author_id = $2 and seq < $3`, []any{m.about, m.author.ID(), m.seq}, new(int))
		if err != nil {
			return err
		}
		if earlier {
			m.about = ""
		}
	}
	if _, err := a.tx.Exec(`update messages set text = '', deleted_at = $1, changed = $2 where message_id = $3`, a.at, r.next(), id); err != nil {
		return err
	}
	if _, err := a.tx.Exec(`delete from reactions where message_id = $1`, id); err != nil {
		return err
	}
	a.emit(event.MessageDeleted{RoomID: r.id, MessageID: id, PersonID: m.author.PersonID, About: m.about})
	return nil
}
