package feedback

import (
	"database/sql"
	"encoding/json"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// record is one row of feedback_events with what its event says beside.
type record struct {
	draft
	target
	role, source string
	slot         string
	score        *float64
	trait        string
	sign         int
	supersedes   event.FeedbackID
	partOf       event.FeedbackID // the correction that it was measured on
	weight       float64          // what it counts for, (0,1]
}

func newRecord(d draft, t target, role string) record {
	r := record{draft: d, target: t, role: role, score: d.Score, trait: d.Trait, sign: d.Sign, weight: 1}
	switch {
	case d.implicit():
		r.source = sourceImplicit
	case role == event.RoleOwner:
		r.source = sourceOwner
	case role == event.RoleReviewer:
		r.source = sourceReviewer
	default:
		r.source = sourceParticipant
	}
	if d.Channel == event.ChannelMoreLess {
		if r.trait, r.sign = t.leanTrait, d.Sign*t.leanSign; r.trait == "" {
			r.sign = 0
		}
	}
	if d.Sentiment != nil {
		r.sentiment = d.Sentiment
	}
	r.slot = slotOf(d, t)
	return r
}

// slotOf names what can hold one live signal. It begins with what the signal is
// about, so that signals on one thing lie together.
func slotOf(d draft, t target) string {
	on := t.aim()
	switch d.Channel {
	case event.ChannelCheckIn, kindComment:
		return string(d.ID) // they add up
	case event.ChannelReaction:
		if d.Pressed {
			return slot(on, d.Rater, d.Channel, "button") // up or down, not both
		}
		return reactionSlot(d.Rater, t.message)
	case event.ChannelReason:
		if on == "" {
			on = string(t.session)
		}
		if d.Trait != "" {
			return slot(on, d.Rater, d.Channel, d.Trait) // too long or too short, not both
		}
		return slot(on, d.Rater, d.Channel, d.Value)
	case event.ChannelTone:
		return slot(on, d.Rater, d.Channel, d.Trait) // funnier and shorter go together
	}
	if on == "" {
		on = string(t.session)
	}
	return slot(on, d.Rater, d.Channel, d.Signal)
}

// aim is the decision that a signal is about, without one the message; empty for a
// session or an agent.
func (t *target) aim() string {
	if t.decision != "" {
		return string(t.decision)
	}
	return string(t.message)
}

// reactionSlot holds the newest emoji of a person whose meaning is known: many count as one.
func reactionSlot(rater event.PersonID, m event.MessageID) string {
	return slot(string(m), rater, event.ChannelReaction, "")
}

func slot(on string, rater event.PersonID, channel, facet string) string {
	return on + "|" + string(rater) + "|" + channel + "|" + facet
}

// emitted says whether others hear of it: words without a number stay here.
func (r *record) emitted() bool { return r.score != nil || r.trait != "" }

// insert stores the record as the live one of its slot; the one before is
// superseded. Duplicate when the id is there already, fault id_conflict when it is
// there with something else.
func (r *record) insert(tx *sqldb.Tx) (status string, err error) {
	n, err := r.put(tx)
	if err != nil || n > 0 {
		return Stored, err
	}
	return r.replace(tx)
}

// replace is insert where something is in the record's way.
func (r *record) replace(tx *sqldb.Tx) (status string, err error) {
	var before event.FeedbackID
	var slot, value string
	there, err := tx.Get(`select slot, value from feedback_events where feedback_id = $1`, []any{r.ID}, &slot, &value)
	switch {
	case err == nil && there && (slot != r.slot || value != r.Value):
		return Refused, fault.New(fault.Conflict, "id_conflict", "This id was taken before for something else; give what is new an id of its own.")
	case err != nil || there:
		return Duplicate, err
	}
	if _, err := tx.Get(`select feedback_id from feedback_events where slot = $1 and live`, []any{r.slot}, &before); err != nil {
		return "", err
	}
	if _, err := tx.Exec(`update feedback_events set live = $1 where feedback_id = $2`, false, before); err != nil {
		return "", err
	}
	r.supersedes = before
	n, err := r.put(tx)
	if err == nil && n == 0 { // another transaction was first
		err = fault.New(fault.Unavailable, "feedback_busy", "You gave this twice at the same time; try again.")
	}
	return Stored, err
}

func (r *record) put(tx *sqldb.Tx) (int64, error) {
	return tx.ExecMany(putRecords, recordColumns, ` on conflict do nothing`, r.columns(nil))
}

const (
	putRecords = `insert into feedback_events (feedback_id, slot, live, agent_id, owner_id, rater_id, role, source, channel, signal, value, score, trait, sign,
		message_id, decision_id, session_id, room_id, sentiment, comment, correction, protected, imported, emitted, created_at, occurred_at, supersedes, part_of, origin, weight, retracted_at) values `
	recordColumns = 31
)

// columns appends the record's row.
func (r *record) columns(args []any) []any {
	return append(args, string(r.ID), r.slot, true, string(r.agent), string(r.owner), string(r.Rater), r.role, r.source, r.Channel, r.Signal, r.Value, r.score, r.trait, r.sign,
		string(r.message), string(r.decision), string(r.session), string(r.room), r.sentiment, r.Comment, r.Correction, r.protected, r.imported, r.emitted(),
		r.Created, r.Occurred, string(r.supersedes), string(r.partOf), r.Origin, r.weight, 0)
}

// event tells the others. Its id is the signal's own.
func (r *record) event() event.Event {
	p := event.FeedbackCreated{
		FeedbackID: r.ID, AgentID: r.agent, OwnerID: r.owner, RaterID: r.Rater, Role: r.role, Source: r.source, Channel: r.Channel, Signal: r.Signal,
		Measured: r.measured, MessageID: r.message, DecisionID: r.decision, SessionID: r.session, RoomID: r.room, Shares: r.shares,
		Sentiment: r.sentiment, Context: r.context, Tags: r.tags, Supersedes: r.supersedes, Protected: r.protected, Imported: r.imported, OccurredAt: r.Occurred,
	}
	if r.score != nil {
		p.Score, p.Noise = *r.score, r.Noise
	}
	if r.weight < 1 {
		p.Weight = r.weight
	}
	if r.Channel == event.ChannelSession && isLevel(r.Value) {
		p.Level = r.Value
	}
	if r.trait != "" {
		p.Direction = &event.Direction{Trait: r.trait, Sign: r.sign}
	}
	return event.New("feedback", string(r.ID), r.Created, p)
}

// retract marks a row as taken back, with its parts, and tells the others, once.
func retract(tx *sqldb.Tx, id event.FeedbackID, now event.Micros, cause *event.Event) error {
	return takeAway(tx, id, "withdrawn", now, cause)
}

func takeAway(tx *sqldb.Tx, id event.FeedbackID, reason string, now event.Micros, cause *event.Event) error {
	var agent event.AgentID
	var rater event.PersonID
	var emitted bool
	var channel string
	ok, err := tx.Get(`update feedback_events set retracted_at = $1, live = $2 where feedback_id = $3 and retracted_at = 0 returning agent_id, rater_id, emitted, channel`,
		[]any{now, false, id}, &agent, &rater, &emitted, &channel)
	if err == nil && channel == kindCorrection {
		err = takeParts(tx, id, now, cause)
	}
	if err != nil || !ok || !emitted {
		return err
	}
	return relay.Emit(tx, retraction(id, agent, rater, reason, now, cause))
}

func retraction(id event.FeedbackID, agent event.AgentID, rater event.PersonID, reason string, now event.Micros, cause *event.Event) event.Event {
	p := event.FeedbackRetracted{FeedbackID: id, AgentID: agent, RaterID: rater, Reason: reason}
	e := event.New("feedback", event.DerivedID("feedback", 1, string(id), p.EventType(), string(agent), 0), now, p)
	if cause != nil {
		e = e.CausedBy(*cause)
	}
	return e
}

// said is a message as far as this context knows it.
type said struct {
	id        event.MessageID
	agent     event.AgentID  // empty: a person
	owner     event.PersonID // of the agent, read only
	retired   bool
	room      event.RoomID
	sequence  int64
	session   event.SessionID
	decision  event.DecisionID
	context   string
	tags      []string
	sentiment float64
	words     int
	chars     int
	questions int
	protected bool
	imported  bool
	deleted   bool
	at        event.Micros
}

func (m said) features() event.Features {
	return event.Features{Words: m.words, Chars: m.chars, Questions: m.questions}
}

const selectSaid = `select m.message_id, m.agent_id, coalesce(a.owner_id, ''), coalesce(a.retired, false), room_id, sequence, session_id, decision_id, context, tags, sentiment, words, chars, questions, protected, imported, deleted, at
	from messages m left join agents a on a.agent_id = m.agent_id where message_id in (`

// eachSaid calls f with the messages of some ids.
func eachSaid(tx *sqldb.Tx, ids []any, f func(*said)) error {
	return tx.QueryMany(selectSaid, 0, `)`, ids, func(rows *sql.Rows) error {
		m, tags := &said{}, ""
		if err := rows.Scan(&m.id, &m.agent, &m.owner, &m.retired, &m.room, &m.sequence, &m.session, &m.decision, &m.context, &tags, &m.sentiment,
			&m.words, &m.chars, &m.questions, &m.protected, &m.imported, &m.deleted, &m.at); err != nil {
			return err
		}
		if tags != "[]" {
			if err := json.Unmarshal([]byte(tags), &m.tags); err != nil {
				return err
			}
		}
		f(m)
		return nil
	})
}

func (m *said) get(tx *sqldb.Tx, id event.MessageID) (found bool, err error) {
	err = eachSaid(tx, []any{id}, func(x *said) { *m, found = *x, true })
	return found, err
}

const (
	putSaid     = `insert into messages (message_id, agent_id, room_id, sequence, session_id, decision_id, context, tags, sentiment, words, chars, questions, protected, imported, at) values `
	saidColumns = 15
)

// columns appends the message's row.
func (m *said) columns(args []any) []any {
	return append(args, string(m.id), string(m.agent), string(m.room), m.sequence, string(m.session), string(m.decision), m.context, list(m.tags), m.sentiment,
		m.words, m.chars, m.questions, m.protected, m.imported, m.at)
}

// list is a JSON list of names.
func list(names []string) string {
	if len(names) == 0 {
		return "[]"
	}
	b, err := json.Marshal(names)
	if err != nil {
		panic(err) // strings always can be written
	}
	return string(b)
}
