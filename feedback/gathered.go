package feedback

import (
	"database/sql"
	"maps"
	"slices"

	"rapport/event"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// Messages and reactions come by the thousands, as decisions do (decided.go). What a batch of them asks for is read
// before the first is applied, and what it leaves is written together, many rows a
// statement: at the end of the batch, or when another event comes that may read or
// change it (habits.sees). The rows and events are the same, whatever lay in a batch.

// gathered is what a batch has read and not written yet.
type gathered struct {
	texts  map[event.MessageID]*said  // messages that were looked up, or are of the batch
	about  map[event.MessageID]looked // what was found about them
	owners map[event.AgentID]ownership
	means  map[event.PersonID]map[string]float64 // what emoji mean to owners

	decisions []decided

	fresh []any // rows of messages
	parts []any // rows of participants
	took  map[part]bool
	found []finding
	open  map[event.PersonID]bool // raters of findings without a row
}

type part struct {
	session event.SessionID
	person  event.PersonID
}

// looked is a lookup's.
type looked struct {
	target
	err error
}

type ownership struct {
	owner   event.PersonID
	retired bool
}

// finding is a signal that was found, and what the event was that told it.
type finding struct {
	*record
	cause  event.Event
	status string // empty before it has a row
}

// foresee reads the payloads of a batch's messages, reactions and decisions, and at
// once what they will ask for.
func (h *habits) foresee(events []event.Event) ([]event.Payload, error) {
	read := make([]event.Payload, len(events))
	people, texts := map[event.PersonID]bool{}, map[event.MessageID]bool{}
	for i, e := range events {
		switch e.Type {
		case event.MessageCreated{}.EventType():
			p, err := event.As[event.MessageCreated](e)
			if err != nil {
				return nil, err
			}
			read[i] = p
			if p.Author.Kind != event.KindAgent && (len(p.Sessions) > 0 || tells(p)) {
				people[p.Author.PersonID] = true
			}
			if tells(p) {
				texts[p.Turn.About] = true
			}
		case event.ReactionAdded{}.EventType():
			p, err := event.As[event.ReactionAdded](e)
			if err != nil {
				return nil, err
			}
			read[i] = p
			if p.Consent && !p.Protected {
				people[p.PersonID], texts[p.MessageID] = true, true
			}
		case event.ReplyGenerated{}.EventType():
			p, err := event.As[event.ReplyGenerated](e)
			if err != nil {
				return nil, err
			}
			read[i] = p
		}
	}
	for _, p := range read {
		if p, is := p.(event.MessageCreated); is {
			delete(texts, p.MessageID) // it will be here
		}
	}
	delete(people, "")
	delete(texts, "")
	h.texts = make(map[event.MessageID]*said, len(events))
	if err := h.learn(slices.Sorted(maps.Keys(people))); err != nil {
		return nil, err
	}
	return read, h.recall(slices.Sorted(maps.Keys(texts)))
}

// recall reads messages.
func (h *habits) recall(ids []event.MessageID) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = string(id)
	}
	return eachSaid(h.tx, args, func(m *said) { h.texts[m.id] = m })
}

// said notes a message of the batch.
func (h *habits) said(m *said) {
	h.fresh = m.columns(h.fresh)
	h.texts[m.id] = m
	delete(h.about, m.id)
}

// takesPart notes once that a person was in a session.
func (h *habits) takesPart(session event.SessionID, person event.PersonID) error {
	p := part{session, person}
	if h.took[p] || session == "" || person == "" {
		return nil
	}
	b, err := h.get(person)
	if err != nil || b.erased {
		return err
	}
	if h.took == nil {
		h.took = map[part]bool{}
	}
	h.took[p] = true
	h.parts = append(h.parts, session, person)
	return nil
}

// message gives a message; nil when it is not known.
func (h *habits) message(id event.MessageID) (*said, error) {
	if m := h.texts[id]; m != nil {
		return m, nil
	}
	m := &said{}
	if ok, err := m.get(h.tx, id); err != nil || !ok {
		return nil, err
	}
	h.texts[id] = m
	return m, nil
}

// find is the lookup of a batch: what was found about a message holds until an event
// comes that may change it.
func (h *habits) find(tx *sqldb.Tx, d draft) (target, string, error) {
	if d.Message == "" {
		return find(tx, d)
	}
	if a, ok := h.about[d.Message]; ok {
		return a.target, "", a.err
	}
	t, awaits, err := h.ask(d)
	if _, refused := refusal(err); awaits == "" && (err == nil || refused) {
		if h.about == nil {
			h.about = map[event.MessageID]looked{}
		}
		h.about[d.Message] = looked{t, err}
	}
	return t, awaits, err
}

func (h *habits) ask(d draft) (target, string, error) {
	m := h.texts[d.Message]
	if m == nil {
		return find(h.tx, d)
	}
	if m.agent != "" && m.owner == "" { // the row tells, one of the batch does not
		o, known := h.owners[m.agent]
		if !known {
			if _, err := h.tx.Get(`select owner_id, retired from agents where agent_id = $1`, []any{m.agent}, &o.owner, &o.retired); err != nil {
				return target{}, "", err
			}
			if h.owners == nil {
				h.owners = map[event.AgentID]ownership{}
			}
			h.owners[m.agent] = o
		}
		m.owner, m.retired = o.owner, o.retired
	}
	return ready(m.target(h.tx))
}

// meaning is what an owner says that their emoji mean.
func (h *habits) meaning(owner event.PersonID) (map[string]float64, error) {
	m, known := h.means[owner]
	if known || owner == "" {
		return m, nil
	}
	rows, err := h.tx.Query(`select emoji, meaning from emoji_meanings where owner_id = $1`, owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var emoji string
		var v float64
		if err := rows.Scan(&emoji, &v); err != nil {
			return nil, err
		}
		if m == nil {
			m = map[string]float64{}
		}
		m[emoji] = v
	}
	if h.means == nil {
		h.means = map[event.PersonID]map[string]float64{}
	}
	h.means[owner] = m
	return m, rows.Err()
}

// beforeJoin gives rows to what the joining of a draft looks for: what a reaction is
// worth depends on what its rater gave before, and on the reactions of others.
func (h *habits) beforeJoin(d draft) error {
	if d.Channel == event.ChannelReaction && h.open[d.Rater] {
		return h.record()
	}
	return nil
}

// finds takes in a signal. It has a row at once when others are weighed by it.
func (h *habits) finds(r *record, cause event.Event) (err error) {
	f := finding{record: r, cause: cause}
	if r.Channel == event.ChannelReaction {
		f.status, err = r.insert(h.tx)
		if _, refused := refusal(err); refused {
			return nil
		}
	} else {
		if h.open == nil {
			h.open = map[event.PersonID]bool{}
		}
		h.open[r.Rater] = true
	}
	h.found = append(h.found, f)
	return err
}

// record gives the findings their rows.
func (h *habits) record() error {
	var args []any
	for i := range h.found {
		if h.found[i].status == "" {
			args = h.found[i].columns(args)
		}
	}
	if len(args) == 0 {
		return nil
	}
	put := make(map[event.FeedbackID]bool, len(args)/recordColumns)
	if err := h.tx.QueryMany(putRecords, recordColumns, ` on conflict do nothing returning feedback_id`, args, func(rows *sql.Rows) error {
		var id event.FeedbackID
		err := rows.Scan(&id)
		put[id] = true
		return err
	}); err != nil {
		return err
	}
	clear(h.open)
	for i := range h.found {
		f := &h.found[i]
		switch {
		case f.status != "":
		case put[f.ID]:
			f.status = Stored
			delete(put, f.ID)
		default:
			var err error
			f.status, err = f.replace(h.tx)
			if _, refused := refusal(err); !refused && err != nil {
				return err
			}
		}
	}
	return nil
}

// sees prepares for an event that may change what the batch knows, or reads what it
// has not written.
func (h *habits) sees() error {
	err := h.tell()
	clear(h.about)
	clear(h.texts)
	clear(h.owners)
	return err
}

// tell writes what the batch holds, and emits what it found.
func (h *habits) tell() error {
	if err := h.decide(); err != nil {
		return err
	}
	if _, err := h.tx.ExecMany(putSaid, saidColumns, ` on conflict do nothing`, h.fresh); err != nil {
		return err
	}
	if _, err := h.tx.ExecMany(`insert into participants (session_id, person_id) values `, 2, ` on conflict do nothing`, h.parts); err != nil {
		return err
	}
	if err := h.record(); err != nil {
		return err
	}
	var out []event.Event
	for i := range h.found {
		if f := &h.found[i]; f.status == Stored && f.emitted() {
			out = append(out, f.record.event().CausedBy(f.cause))
		}
	}
	h.fresh, h.parts, h.found = h.fresh[:0], h.parts[:0], h.found[:0]
	return relay.Emit(h.tx, out...)
}
