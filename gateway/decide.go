package gateway

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"sync"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/watch"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// question is what a decision is about.
type question struct {
	decision  event.DecisionID
	turn      string // '' for callers that keep the texts
	lease     int64  // of the turn
	agent     event.AgentID
	session   event.SessionID
	person    event.PersonID // who is answered, '' for an agent
	room      event.RoomID
	seq       int64
	place     string // '' for a direct talk with person: then found by whose agent it is
	direct    bool
	addressed bool
	fromAgent bool
	consent   bool
	protected bool
	tags      []string
	maxWords  int
	cause     *event.Event
	begins    string // what is begun without a message, one of event's Begins constants
	opening   *event.Opening
	caller    string // not empty: the session is this caller's, until it is silent for long
}

// plan is a decision: what was logged, and how to carry it out.
type plan struct {
	watched *watch.Reply
	body    event.ReplyGenerated
	moment  compile.Moment
	profile compile.Profile
	view    *view
	made    *compile.Prepared // profile is of it
	seed    uint64
	others  []string // labels of who else speaks in the talk
	stop    []string // where the caller wants the reply to end
	barred  string   // why a model may not get the talk, '' when it may
}

// errStale: the view is older than the table; decide again.
var errStale = errors.New("the agent changed while it was being read")

// decide makes the decision and gives it as soon as it is made. The decision must not
// be acted upon visibly before committed has answered nil: only then is it durable. A
// decision to stay silent is carried out when it is stored.
//
// A caller's decision is made from memory and is durable by the journal. That of a turn
// is made and stored in one transaction, since other processes may have been at it.
func (s *Service) decide(ctx context.Context, q question) (p *plan, committed func() error, err error) {
	if q.turn != "" {
		return s.decideTurn(ctx, q)
	}
	now := s.now()
	v, err := s.view(ctx, q.agent)
	if err != nil {
		return nil, nil, err
	}
	var n *noted
	for made := false; !made; { // again, when it went from memory in between
		var seen sight
		if l := s.lacks(q, now); l != (lacking{}) {
			if err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
				seen, err = s.look(tx, q, now, l)
				return err
			}); err != nil {
				return nil, nil, err
			}
		}
		p, n, made = s.consider(q, v, seen, now)
	}
	if err := s.backlog.add(ctx, n); err != nil {
		return nil, nil, err
	}
	return p, sync.OnceValue(func() error { return s.backlog.commit(n) }), nil
}

// decideTurn is decide for a turn. errLeaseLost when another worker has it.
func (s *Service) decideTurn(ctx context.Context, q question) (p *plan, committed func() error, err error) {
	for {
		v, err := s.view(ctx, q.agent)
		if err != nil {
			return nil, nil, err
		}
		made, done := make(chan *plan, 1), make(chan error, 1)
		go func() {
			err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
				return s.decideIn(tx, q, v, func(p *plan) { made <- p })
			})
			done <- err
			close(made)
		}()
		p, ok := <-made
		if ok {
			return p, sync.OnceValue(func() error { return <-done }), nil
		}
		if err := <-done; err != errStale {
			return nil, nil, err
		}
		s.forget(q.agent)
	}
}

// decideIn gives the plan to made before it is stored: who carries it out begins
// meanwhile, and must not change it.
func (s *Service) decideIn(tx *sqldb.Tx, q question, v *view, made func(*plan)) error {
	now := s.now()
	if err := s.upToDate(tx, q.agent, v); err != nil {
		return err
	}
	if ok, err := holds(tx, q.turn, q.lease); err != nil {
		return err
	} else if !ok {
		return errLeaseLost
	}
	if err := s.catchUp(tx); err != nil {
		return err
	}
	s.desk.forgetTurn(q)
	seen, err := s.look(tx, q, now, s.lacks(q, now))
	if err != nil {
		return err
	}
	var old string
	if again, err := tx.Get(`select body from decisions where decision_id = $1`, []any{q.decision}, &old); err != nil {
		return err
	} else if again { // an earlier worker died: the same decision, the same variation
		p, err := s.decided(q, v, seen, old, now)
		if err == nil {
			made(p)
		}
		return err
	}
	p, n, ok := s.consider(q, v, seen, now)
	if !ok {
		return errStale
	}
	made(p)
	if err := n.write(); err != nil {
		return err
	}
	return s.file(tx, []kept{{n, nil}}, nil)
}

// upToDate says whether a view is what the tables say: errStale when it is older.
func (s *Service) upToDate(tx *sqldb.Tx, agent event.AgentID, v *view) error {
	var folded, rules int64
	ok, err := tx.Get(`select a.folded, r.n from agents a, rule_state r where a.agent_id = $1 and r.id = 1`, []any{agent}, &folded, &rules)
	switch {
	case err != nil:
		return err
	case !ok:
		return errUnknownAgent
	case rules != v.set.n:
		s.outdated.Store(true)
		return errStale
	case folded != v.folded:
		return errStale
	}
	return nil
}

// decided is a decision that was made before.
func (s *Service) decided(q question, v *view, seen sight, body string, now event.Micros) (*plan, error) {
	p := &plan{view: v}
	if err := json.Unmarshal([]byte(body), &p.body); err != nil {
		return nil, err
	}
	s.moment(q, p, seen, now)
	var x policy.Traits
	copy(x[:], p.body.X)
	p.made = v.compiledWith(p.body.RulesVersion)
	p.profile = p.made.Compile(x, p.moment)
	return p, nil
}

// ShouldReply decides whether an agent answers a message, as its turn does: by the
// situation of the room, stored with its reasons, durable when it returns. No model
// is asked, and an answer that is due stays open for whoever makes it. Fault
// agent_unknown, and an error for an event that is no message.
func (s *Service) ShouldReply(ctx context.Context, e event.Event, agent event.AgentID) (event.ReplyGenerated, error) {
	m, err := event.As[event.MessageCreated](e)
	if err != nil {
		return event.ReplyGenerated{}, err
	}
	t := turn{agent: agent, event: e, message: m}
	if i := slices.IndexFunc(m.Sessions, func(ms event.MessageSession) bool { return ms.AgentID == agent }); i >= 0 {
		t.session = m.Sessions[i].SessionID
	}
	q := t.question()
	q.decision = event.DecisionID(event.NewID())
	p, committed, err := s.decide(ctx, q)
	if err == nil {
		err = committed()
	}
	if err != nil {
		return event.ReplyGenerated{}, err
	}
	return p.body, nil
}

// consider makes the decision from what is in memory; false when something it needs is
// not there.
func (s *Service) consider(q question, v *view, seen sight, now event.Micros) (*plan, *noted, bool) {
	d := &s.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	q.session = d.sessionOf(q, now)
	old, known := d.episodes.get(talk{q.agent, q.session})
	unasked, knownUnasked := d.unasked.get(q.agent)
	replies, knownReplies := d.replies.get(q.person)
	if !known || !knownUnasked && !q.asked() || !knownReplies && s.limited(q) {
		return nil, nil, false
	}
	if q.place == "" {
		q.place = event.ContextDMWithOthers
		if q.person != "" && q.person == v.owner {
			q.place = event.ContextDMWithOwner
		}
	}
	p := &plan{view: v}
	s.moment(q, p, seen, now)
	p.moment.Situation.Autonomous = unasked.on(now / day)
	p.moment.Situation.Spent = s.limited(q) && replies.on(now/day) >= s.allowed(replies, now)

	ep := s.episode(q, v, old, now)
	var rulesShare float64
	p.made, rulesShare = v.rulesOf(ep)
	p.profile = p.made.Compile(ep.x, p.moment)
	f := p.profile.Flags
	p.body = event.ReplyGenerated{
		DecisionID: q.decision, AgentID: q.agent, OwnerID: v.owner, PersonID: q.person, RoomID: q.room, SessionID: q.session,
		EpisodeID: ep.id, EpisodeStart: ep.start, Reasons: f.Reasons, Context: q.place, Tags: q.tags, Begins: q.begins, Opening: q.opening,
		PolicyVersion: ep.version, Revision: ep.revision, X: ep.x[:], Rendered: p.profile.Rendered[:], Free: uint16(ep.free), Inaudible: uint16(v.unheard),
		LogDensity: ep.density, Commanded: ep.commanded, HoldoutShare: ep.holdoutShare, Holdout: ep.holdout, Protected: q.protected, Consent: q.consent,
		CompileHash: p.profile.Hash, RulesVersion: p.profile.RulesVersion, RulesShare: rulesShare, Dropped: p.profile.Dropped,
		Provider: p.profile.Route.Provider, Model: p.profile.Route.ID,
	}
	if slices.Contains(f.Reasons, compile.ReasonFrequency) || q.opening == nil && q.begins != "" && slices.Contains(f.Reasons, q.begins) {
		p.body.Chance = &f.Probability
	}
	if !f.ShouldReply || q.opening != nil { // no model speaks
		p.body.Provider, p.body.Model, p.body.Dropped = "", "", nil
	}
	n := &noted{said: make(chan said, 2), entry: entry{
		Decision: q.decision, Agent: q.agent, Session: q.session, At: now, Turn: q.turn, Lease: q.lease, Silence: !f.ShouldReply,
		Unasked: (q.fromAgent || q.begins != "" && q.opening == nil) && f.ShouldReply, Tried: f.ShouldReply && rulesShare > 0, RulesTried: ep.rulesTried, RulesGot: ep.rulesGot,
	}}
	if !ep.stored {
		n.episode, n.Episode = ep, ep.row()
	}
	if d.spoke(q, now) {
		n.Caller = q.caller
	}
	switch {
	case n.Silence:
		p.body.Action = "silence"
		if q.cause != nil {
			n.Cause = &cause{q.cause.ID, q.cause.Root, q.cause.TraceParent}
		}
	case s.limited(q):
		n.Counts = q.person
		replies.tally = tally{now / day, replies.on(now/day) + 1}
		d.replies.put(q.person, replies)
	}
	if n.Unasked {
		d.unasked.put(q.agent, tally{now / day, unasked.on(now/day) + 1})
	}
	n.reply = p.body // p is its user's
	return p, n, true
}

// moment fills in what the decision to speak depends on, and the draws that belong to
// it.
func (s *Service) moment(q question, p *plan, seen sight, now event.Micros) {
	v, m := p.view, &p.moment
	draw := s.mac("reply", string(q.agent), string(q.decision))
	p.seed = binary.BigEndian.Uint64(draw[8:])
	m.MaxWords = q.maxWords
	m.Valence, m.Arousal, m.MoodOff = feels(v.mood, now)
	m.Situation = compile.Situation{Place: q.place, Direct: q.direct, Addressed: q.addressed, AuthorIsAgent: q.fromAgent,
		Killed: !v.alive, Protected: q.protected, Quiet: s.hushed(v, now) > 0, AgentTurns: seen.unbroken}
	c := &m.Situation
	if q.begins != "" {
		c.Begins, c.Paused, c.Unwelcome, c.Quiet = q.begins, v.paused, !q.consent, v.asleep(now) > 0
	}
	if seen.said >= 4 { // before that a share says nothing
		c.FloorShare = float64(seen.mine) / float64(seen.said)
	}
	c.Draw = float64(binary.BigEndian.Uint64(draw[:])>>11) / (1 << 53)
}

// feels is a mood now: the distance from the baseline halves every six hours.
func feels(m event.Mood, now event.Micros) (valence, arousal float64, off bool) {
	left := math.Exp2(-float64(max(0, now-m.At)) / (6 * 3600e6))
	return m.BaselineValence + float64((m.Valence-m.BaselineValence)*left), m.BaselineArousal + float64((m.Arousal-m.BaselineArousal)*left), m.Off
}
