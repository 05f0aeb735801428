package feedback

import (
	"encoding/json"
	"errors"

	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Sources of a signal.
const (
	sourceOwner       = "owner"
	sourceParticipant = "participant"
	sourceReviewer    = "reviewer"
	sourceImplicit    = "implicit"
)

// target is what a signal is about.
type target struct {
	agent     event.AgentID
	owner     event.PersonID // of the agent, empty while that is not known
	retired   bool
	message   event.MessageID
	decision  event.DecisionID
	session   event.SessionID
	room      event.RoomID
	context   string
	tags      []string
	sentiment *float64
	shares    []event.Share
	measured  *event.Measured
	features  *event.Features // of the message, when it is known
	protected bool
	imported  bool
	leanTrait string // what the decision rendered farthest from the policy
	leanSign  int
	at        event.Micros // 0: no window
}

// outcome is what became of a draft.
type outcome struct {
	Receipt
	agent   event.AgentID
	session event.SessionID
	event   *event.Event // to be emitted in the same transaction
}

// lookup finds what a draft is about; awaits is the id of what has not arrived.
type lookup func(tx *sqldb.Tx, d draft) (t target, awaits string, err error)

// settle joins a draft to what it is about and stores it, or lets it wait. The one
// way in for every signal.
func (s *Service) settle(tx *sqldb.Tx, d draft, look lookup) (outcome, error) {
	r, o, err := s.join(tx, d, look)
	if err != nil || r == nil {
		return o, err
	}
	status, err := r.insert(tx)
	if err != nil {
		return outcome{}, err
	}
	o = outcome{Receipt: Receipt{FeedbackID: d.ID, Status: status, Role: r.role, Supersedes: r.supersedes}, agent: r.agent, session: r.session}
	if r.trait != "" {
		o.Direction = &event.Direction{Trait: r.trait, Sign: r.sign}
	}
	if status != Stored {
		return o, nil
	}
	if r.emitted() {
		e := r.event()
		o.event = &e
	}
	if d.Channel == kindCorrection {
		if err := s.compare(tx, r); err != nil {
			return outcome{}, err
		}
	}
	if r.source == sourceOwner {
		err = answered(tx, *r)
	}
	return o, err
}

// join makes the record of a draft; nil when it waits.
func (s *Service) join(tx *sqldb.Tx, d draft, look lookup) (*record, outcome, error) {
	t, awaits, err := look(tx, d)
	if err != nil {
		return nil, outcome{}, err
	}
	counted := d.Admitted || d.Brought || d.implicit()
	if awaits != "" {
		if !counted {
			if err := s.limit.take(d.Rater, "", d.Created); err != nil {
				return nil, outcome{}, err
			}
			d.Admitted = true
		}
		return nil, outcome{Receipt: Receipt{FeedbackID: d.ID, Status: Waiting}}, wait(tx, d, awaits)
	}
	role, err := admit(tx, d, t)
	if err != nil {
		return nil, outcome{}, err
	}
	if t.at != 0 && d.Created-t.at > s.window {
		return nil, outcome{}, fault.New(fault.Invalid, "feedback_too_late", "This was more than %d days ago and no longer counts; rate something newer.", s.window/(24*3600*1e6))
	}
	if d.Pressed {
		d.becomes(role)
	}
	if !counted {
		if err := s.limit.take(d.Rater, t.agent, d.Created); err != nil {
			return nil, outcome{}, err
		}
	}
	r := newRecord(d, t, role)
	r.weight, err = s.worth(tx, &r)
	return &r, outcome{}, err
}

// admit finds the rater's role towards the agent and whether it may give this.
// Who took no part hears that there is no such thing.
func admit(tx *sqldb.Tx, d draft, t target) (role string, err error) {
	own := d.Rater == t.owner
	switch {
	case d.Agent != "" && d.Agent != t.agent:
		return "", errNotFound
	case d.implicit():
		if t.protected {
			return "", errProtected
		}
		if own {
			return event.RoleOwner, nil
		}
		return event.RoleParticipant, nil
	case d.Pressed && !own && t.protected:
		return "", errProtected
	case d.Pressed && !own && d.Message != "": // the platform brought the message, and says who pressed
		return event.RoleParticipant, nil
	case d.Brought && own:
		return "", fault.New(fault.Invalid, "own_agent", "Nobody reviews an agent of their own.")
	case d.Brought:
		return event.RoleReviewer, nil
	case own:
		return event.RoleOwner, nil
	}
	if t.session == "" {
		return "", errNotFound
	}
	there, err := tx.Get(`select 1 from participants where session_id = $1 and (person_id = $2 or person_id = $3)`, []any{t.session, d.Rater, d.Voucher}, new(int))
	if err != nil {
		return "", err
	}
	if !there || !authz.Allowed(authz.Feedback, authz.Create, authz.Participant) {
		return "", errNotFound
	}
	if d.Channel != event.ChannelSession && d.Channel != kindComment && !d.Pressed {
		return "", fault.New(fault.Forbidden, "owners_only", "Only the agent's owner gives this; you can react to the message, rate the session or comment.")
	}
	return event.RoleParticipant, nil
}

var errDeleted = fault.New(fault.Invalid, "message_deleted", "This message is gone, and what was said of it with it; rate another one.")

var errProtected = fault.New(fault.Invalid, "protected", "Nothing is derived from what happens in a protected room.")

// find is the lookup by the tables.
func find(tx *sqldb.Tx, d draft) (t target, awaits string, err error) {
	switch {
	case d.Message != "":
		t, awaits, err = findMessage(tx, d.Message)
	case d.Decision != "":
		t, awaits, err = findDecision(tx, d.Decision)
	case d.Session != "":
		t, awaits, err = findSession(tx, d.Session, d.implicit())
	default:
		var known bool
		if known, err = tx.Get(`select agent_id, owner_id, retired from agents where agent_id = $1`, []any{d.Agent}, &t.agent, &t.owner, &t.retired); err == nil && !known {
			err = errNotFound
		}
	}
	if err == nil && awaits == "" && d.Channel == kindCorrection && t.features == nil && t.message != "" {
		if d.Message == "" {
			t, awaits, err = findMessage(tx, t.message)
		}
		if err == nil && awaits == "" && t.features == nil {
			awaits = string(t.message) // what was said is not known yet
		}
	}
	return ready(t, awaits, err)
}

// ready says whether what was found can be judged now.
func ready(t target, awaits string, err error) (target, string, error) {
	switch {
	case err != nil || awaits != "":
		return t, awaits, err
	case t.owner == "":
		return t, string(t.agent), nil // the agent's own event is still on its way
	case t.retired:
		return t, "", errNotFound
	}
	return t, "", nil
}

func findMessage(tx *sqldb.Tx, id event.MessageID) (t target, awaits string, err error) {
	var m said
	ok, err := m.get(tx, id)
	if err != nil {
		return t, "", err
	}
	if !ok {
		// A decision can tell of its message before the message itself arrives.
		var decision event.DecisionID
		if ok, err = tx.Get(`select decision_id from decisions where message_id = $1 and message_id <> ''`, []any{id}, &decision); err != nil || !ok {
			return t, string(id), err
		}
		return findDecision(tx, decision)
	}
	return m.target(tx)
}

// target is what is said of a message is about.
func (m *said) target(tx *sqldb.Tx) (t target, awaits string, err error) {
	if m.agent == "" {
		return t, "", fault.New(fault.Invalid, "not_an_agent", "Feedback is for what an agent said; a person wrote this message.")
	}
	if m.deleted {
		return t, "", errDeleted
	}
	features := m.features()
	if m.decision != "" {
		t, awaits, err = findDecision(tx, m.decision)
		t.message, t.sentiment, t.features = m.id, &m.sentiment, &features
		t.protected = t.protected || m.protected
		return t, awaits, err
	}
	measured := signal.Measure(features)
	return target{features: &features,
		agent: m.agent, owner: m.owner, retired: m.retired, message: m.id, session: m.session, room: m.room, context: m.context, tags: m.tags, sentiment: &m.sentiment,
		shares:   []event.Share{{EpisodeID: event.EpisodeID(m.id), Start: m.at, Weight: 1}},
		measured: &measured, protected: m.protected, imported: m.imported, at: m.at,
	}, "", nil
}

func findDecision(tx *sqldb.Tx, id event.DecisionID) (t target, awaits string, err error) {
	var tags string
	var share = event.Share{Weight: 1}
	var deleted bool
	ok, err := tx.Get(`select d.agent_id, coalesce(a.owner_id, ''), coalesce(a.retired, false), d.session_id, episode_id, start, d.room_id, d.message_id, d.context, d.tags, d.protected, lean_trait, lean_sign, d.at,
			exists (select 1 from messages m where m.decision_id = d.decision_id and m.deleted)
		from decisions d left join agents a on a.agent_id = d.agent_id where d.decision_id = $1`,
		[]any{id}, &t.agent, &t.owner, &t.retired, &t.session, &share.EpisodeID, &share.Start, &t.room, &t.message, &t.context, &tags, &t.protected, &t.leanTrait, &t.leanSign, &t.at, &deleted)
	if err != nil || !ok {
		return t, string(id), err
	}
	if deleted {
		return t, "", errDeleted
	}
	t.decision, t.shares = id, []event.Share{share}
	return t, "", json.Unmarshal([]byte(tags), &t.tags)
}

// findSession joins a signal to the session's episodes by messages of the agent. A
// living session in which it has not answered yet, as far as is known here, is
// waited for: a rating can be quicker than the news of the answer it is about. An
// imported session that somebody rates is one episode with the mean of its
// messages' levels; behaviour in one has no episode.
func findSession(tx *sqldb.Tx, id event.SessionID, implicit bool) (t target, awaits string, err error) {
	ended := false
	ok, err := tx.Get(`select s.agent_id, coalesce(a.owner_id, ''), coalesce(a.retired, false), room_id, context, protected, imported, last_at, ended
		from sessions s left join agents a on a.agent_id = s.agent_id where session_id = $1`, []any{id}, &t.agent, &t.owner, &t.retired, &t.room, &t.context, &t.protected, &t.imported, &t.at, &ended)
	if err != nil || !ok {
		return t, string(id), err
	}
	t.session = id
	if t.shares, err = episodesOf(tx, id); err != nil || len(t.shares) > 0 || implicit {
		return t, "", err
	}
	if !ended {
		return t, string(id), nil
	}
	if !t.imported {
		return t, "", nil
	}
	measured, start, err := measuredSession(tx, t.room, id)
	if err == nil && measured != nil {
		t.measured, t.shares = measured, []event.Share{{EpisodeID: event.EpisodeID(id), Start: start, Weight: 1}}
	}
	return t, "", err
}

// episodesOf weighs a session's episodes, in order of start, by the agent's
// messages in each.
func episodesOf(tx *sqldb.Tx, id event.SessionID) ([]event.Share, error) {
	rows, err := tx.Query(`select episode_id, start, messages from episodes where session_id = $1 and messages > 0 order by start, episode_id`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var shares []event.Share
	var counts []int64
	for rows.Next() {
		var sh event.Share
		var n int64
		if err := rows.Scan(&sh.EpisodeID, &sh.Start, &n); err != nil {
			return nil, err
		}
		shares, counts = append(shares, sh), append(counts, n)
	}
	for i, w := range proportions(counts) {
		shares[i].Weight = w
	}
	return shares, rows.Err()
}

// proportions are counts over their sum; they sum to 1 within rounding of the last
// place.
func proportions(counts []int64) []float64 {
	var total int64
	for _, n := range counts {
		total += n
	}
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = float64(n) / float64(total)
	}
	return out
}

func measuredSession(tx *sqldb.Tx, room event.RoomID, id event.SessionID) (*event.Measured, event.Micros, error) {
	rows, err := tx.Query(`select words, chars, questions, at from messages where room_id = $1 and session_id = $2 and agent_id <> '' order by sequence`, room, id)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	sums, n, start := map[string]float64{}, 0., event.Micros(0)
	for rows.Next() {
		var f event.Features
		var at event.Micros
		if err := rows.Scan(&f.Words, &f.Chars, &f.Questions, &at); err != nil {
			return nil, 0, err
		}
		if n == 0 {
			start = at
		}
		n++
		for trait, level := range signal.Measure(f).Levels {
			sums[trait] += level
		}
	}
	if n == 0 {
		return nil, 0, rows.Err()
	}
	for trait := range sums {
		sums[trait] /= n
	}
	return &event.Measured{Meter: signal.Meter, Levels: sums}, start, rows.Err()
}

// refusal is the code of an error that no later event can heal; false for any
// other error.
func refusal(err error) (string, bool) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return "", false
	}
	switch f.Kind {
	case fault.Invalid, fault.NotFound, fault.Forbidden, fault.RateLimited:
		return f.Code, true
	}
	return f.Code, f.Code == "id_conflict" // other conflicts are the database's, and pass
}
