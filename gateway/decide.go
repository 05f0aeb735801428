package gateway

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/watch"
	"rapport/internal/fault"
	"rapport/internal/relay"
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
}

// errStale: the view is older than the table; decide again.
var errStale = errors.New("the agent changed while it was being read")

// decide makes the decision in one transaction and gives it as soon as it is
// made. The decision must not be acted upon visibly before committed has answered
// nil: only then is it durable. A decision to stay silent is carried out by the
// same transaction.
func (s *Service) decide(ctx context.Context, q question) (p *plan, committed func() error, err error) {
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

// decideIn gives the plan to made before it is stored: who carries it out begins
// meanwhile, and must not change it.
func (s *Service) decideIn(tx *sqldb.Tx, q question, v *view, made func(*plan)) error {
	now := s.now()
	var folded, rules int64
	if ok, err := tx.Get(`select a.folded, r.n from agents a, rule_state r where a.agent_id = $1 and r.id = 1`, []any{q.agent}, &folded, &rules); err != nil {
		return err
	} else if !ok {
		return errUnknownAgent
	} else if rules != v.set.n {
		s.outdated.Store(true)
		return errStale
	} else if folded != v.folded {
		return errStale
	}
	if q.turn != "" {
		if ok, err := holds(tx, q.turn, q.lease); err != nil {
			return err
		} else if !ok {
			return errLeaseLost
		}
	}
	if q.caller != "" {
		var err error
		if q.session, err = s.sessionOf(tx, q, now); err != nil {
			return err
		}
	}
	if q.place == "" {
		q.place = event.ContextDMWithOthers
		if q.person != "" && q.person == v.owner {
			q.place = event.ContextDMWithOwner
		}
	}
	draw := s.mac("reply", string(q.agent), string(q.decision))
	p := &plan{view: v, seed: binary.BigEndian.Uint64(draw[8:])}
	m := compile.Moment{MaxWords: q.maxWords}
	m.Valence, m.Arousal, m.MoodOff = feels(v.mood, now)
	var err error
	if m.Situation, err = s.situation(tx, q, v, now); err != nil {
		return err
	}
	m.Situation.Draw = float64(binary.BigEndian.Uint64(draw[:])>>11) / (1 << 53)
	p.moment = m

	var old string
	again := false
	if q.turn != "" { // a caller's decision has an id of its own
		if again, err = tx.Get(`select body from decisions where decision_id = $1`, []any{q.decision}, &old); err != nil {
			return err
		}
	}
	if again { // an earlier worker died: the same decision, the same variation
		if err := json.Unmarshal([]byte(old), &p.body); err != nil {
			return err
		}
		var x policy.Traits
		copy(x[:], p.body.X)
		p.made = v.compiledWith(p.body.RulesVersion)
		p.profile = p.made.Compile(x, m)
		made(p)
		return nil
	}
	if q.begins == "" {
		if m.Situation.Spent, err = s.spentReplies(tx, q.person, now); err != nil {
			return err
		}
	}
	p.moment = m
	ep, err := s.episode(tx, q, v, now)
	if err != nil {
		return err
	}
	var rulesShare float64
	p.made, rulesShare = v.rulesOf(ep)
	p.profile = p.made.Compile(ep.x, m)
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
	state, unasked := "open", (q.fromAgent || q.begins != "" && q.opening == nil) && f.ShouldReply
	if !f.ShouldReply || q.opening != nil { // no model speaks
		p.body.Provider, p.body.Model, p.body.Dropped = "", "", nil
	}
	if !f.ShouldReply {
		state, p.body.Action = "done", "silence"
	}
	stored := p.body // p is its user's from here on
	made(p)
	raw, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`insert into decisions (decision_id, agent_id, turn_id, at, state, action, unasked, body) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		q.decision, q.agent, q.turn, now, state, stored.Action, unasked, string(raw)); err != nil {
		return err
	}
	if f.ShouldReply {
		if rulesShare > 0 {
			if err := onTrial(tx, q.agent, q.session, ep); err != nil {
				return err
			}
		}
		if q.begins != "" {
			return nil
		}
		return s.countReply(tx, q.person, now)
	}
	if err := s.closeTurn(tx, q); err != nil {
		return err
	}
	return relay.Emit(tx, replied(q, stored, string(raw), now))
}

// situation gathers what the decision to speak depends on, as the tables say it.
func (s *Service) situation(tx *sqldb.Tx, q question, v *view, now event.Micros) (compile.Situation, error) {
	c := compile.Situation{Place: q.place, Direct: q.direct, Addressed: q.addressed, AuthorIsAgent: q.fromAgent,
		Killed: !v.alive, Protected: q.protected, Quiet: s.hushed(v, now) > 0}
	if q.begins != "" {
		c.Begins, c.Paused, c.Unwelcome, c.Quiet = q.begins, v.paused, !q.consent, v.asleep(now) > 0
		var err error
		c.Autonomous, err = unaskedToday(tx, q.agent, now)
		return c, err
	}
	if q.direct && !q.fromAgent {
		return c, nil // answered, whatever the rest says
	}
	until := q.seq
	if q.fromAgent { // agents that answer at the same time count each other
		until = math.MaxInt64
	}
	rows, err := tx.Query(`select kind, author_id from tail where room_id = $1 and seq <= $2 order by seq desc limit 10`, q.room, until)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	said, mine, unbroken := 0, 0, true
	for rows.Next() {
		var kind, author string
		if err := rows.Scan(&kind, &author); err != nil {
			return c, err
		}
		said++
		if author == string(q.agent) {
			mine++
		}
		unbroken = unbroken && kind == event.KindAgent
		if unbroken {
			c.AgentTurns++
		}
	}
	if err := rows.Err(); err != nil {
		return c, err
	}
	if err := rows.Close(); err != nil {
		return c, err
	}
	if said >= 4 { // before that a share says nothing
		c.FloorShare = float64(mine) / float64(said)
	}
	c.Autonomous, err = unaskedToday(tx, q.agent, now)
	return c, err
}

// unaskedToday counts what an agent did since midnight UTC that no person asked for.
func unaskedToday(tx *sqldb.Tx, agent event.AgentID, now event.Micros) (n int, err error) {
	_, err = tx.Get(`select count(*) from decisions where agent_id = $1 and unasked and at >= $2`, []any{agent, now / day * day}, &n)
	return n, err
}

// feels is a mood now: the distance from the baseline halves every six hours.
func feels(m event.Mood, now event.Micros) (valence, arousal float64, off bool) {
	left := math.Exp2(-float64(max(0, now-m.At)) / (6 * 3600e6))
	return m.BaselineValence + float64((m.Valence-m.BaselineValence)*left), m.BaselineArousal + float64((m.Arousal-m.BaselineArousal)*left), m.Off
}

// episode is the part of a session under one variation.
type episode struct {
	id        event.EpisodeID
	ordinal   int64
	start     event.Micros
	version   int64
	revision  int64
	ownerActs int64
	protected bool
	commanded bool
	person    event.PersonID   // who commanded it
	feedback  event.FeedbackID // by which press
	x         policy.Traits
	free      policy.Mask
	density   *float64
	mixture   string // what x was drawn from, as it was published; '' when it was not drawn

	holdoutShare float64 // how likely the session was to be held out
	holdout      bool    // it is: x is the owner's start

	rulesTried int64 // version of the mapping rules that was on trial when the session began
	rulesGot   bool  // the session was drawn to get it
}

// latest gives the newest episode of a session; nil for none.
func latest(tx *sqldb.Tx, agent event.AgentID, session event.SessionID) (*episode, error) {
	var e episode
	var x string
	ok, err := tx.Get(`select episode_id, ordinal, start, version, revision, owner_acts, protected, commanded, x, free, log_density, mixture, holdout_share, holdout, rules_tried, rules_got from episodes
		where agent_id = $1 and session_id = $2 order by ordinal desc limit 1`, []any{agent, session},
		&e.id, &e.ordinal, &e.start, &e.version, &e.revision, &e.ownerActs, &e.protected, &e.commanded, &x, &e.free, &e.density, &e.mixture, &e.holdoutShare, &e.holdout, &e.rulesTried, &e.rulesGot)
	if err != nil || !ok {
		return nil, err
	}
	return &e, json.Unmarshal([]byte(x), (*[policy.NTraits]float64)(&e.x))
}

// episode gives the session's episode, a new one when there is none yet, when the
// owner acted since, or when protection began or ended. A learned version does
// not open one.
func (s *Service) episode(tx *sqldb.Tx, q question, v *view, now event.Micros) (*episode, error) {
	old := v.recent.of(q.session)
	if old == nil {
		var err error
		if old, err = latest(tx, q.agent, q.session); err != nil {
			return nil, err
		}
	}
	if old != nil && old.ownerActs == v.ownerActs && old.protected == q.protected {
		tx.OnCommit(func() { v.recent.keep(q.session, old) })
		return old, nil
	}
	e := &episode{start: now, protected: q.protected}
	if old != nil {
		e.ordinal, e.start = old.ordinal+1, max(now, old.start+1)
		e.rulesTried, e.rulesGot = old.rulesTried, old.rulesGot
	} else {
		s.side(e, q.agent, q.session, v.set)
	}
	s.draw(e, q.agent, q.session, v)
	tx.OnCommit(func() { v.recent.keep(q.session, e) })
	return e, insert(tx, q.agent, q.session, e)
}

// draw fills in the variation. With no mixture around the version in force, and
// where somebody is protected, it is the policy itself, nothing free. A session
// that is held out sits at the owner's start, nothing free, with the log of how
// likely that was for its density; all others have the density of the mixture
// alone, because who is held out is drawn apart from what is varied.
func (s *Service) draw(e *episode, agent event.AgentID, session event.SessionID, v *view) {
	e.version, e.revision, e.ownerActs = v.doc.Version, v.revision, v.ownerActs
	e.x, e.free, e.density = v.doc.Traits, 0, new(float64)
	if v.mixture == nil || e.protected {
		return
	}
	if e.holdoutShare = v.mixture.Holdout; v.mixture.HeldOut(s.mac("holdout", string(agent), string(session))) {
		e.holdout, e.x, *e.density = true, v.mixture.Start, math.Log(v.mixture.Holdout)
		return
	}
	key := s.mac("variation", string(agent), string(session), strconv.FormatInt(v.doc.Version, 10), strconv.FormatInt(v.revision, 10))
	x, free := v.mixture.Draw(key)
	if density := v.mixture.LogDensity(x, free); x.Valid() && !math.IsInf(density, 0) && !math.IsNaN(density) {
		e.x, e.free, *e.density, e.mixture = x, free, density, v.published
	} // else the mixture is no distribution: don't explore with it
}

func insert(tx *sqldb.Tx, agent event.AgentID, session event.SessionID, e *episode) error {
	e.id = event.EpisodeID(event.HashID("gateway", "episode", string(agent), string(session), strconv.FormatInt(e.ordinal, 10)))
	x, err := json.Marshal([policy.NTraits]float64(e.x))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into episodes (episode_id, agent_id, session_id, ordinal, start, version, revision, owner_acts, protected, commanded, person_id, feedback_id, x, free, log_density,
			mixture, holdout_share, holdout, rules_tried, rules_got)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		e.id, agent, session, e.ordinal, e.start, e.version, e.revision, e.ownerActs, e.protected, e.commanded, e.person, e.feedback, string(x), int64(e.free), e.density,
		e.mixture, e.holdoutShare, e.holdout, e.rulesTried, e.rulesGot)
	return err
}

// Steer carries out a tone button: from the next reply on, for the rest of the
// session, the trait is .15 further in the direction of the sign, within bounds.
// It is a command, not exploration: the new episode has no density. Nothing
// happens when the trait is pinned or already at its bound, or while somebody in
// the room is protected. Whether the person may is the caller's to know. Carrying
// out the same feedback again changes nothing.
//
// Faults: agent_unknown, unknown_trait.
func (s *Service) Steer(ctx context.Context, id event.FeedbackID, agent event.AgentID, session event.SessionID, person event.PersonID, d event.Direction) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error { return s.steer(tx, id, agent, session, person, d) })
}

func (s *Service) steer(tx *sqldb.Tx, id event.FeedbackID, agent event.AgentID, session event.SessionID, person event.PersonID, d event.Direction) error {
	trait, ok := policy.ParseTrait(d.Trait)
	if !ok || d.Sign == 0 {
		return fault.New(fault.Invalid, "unknown_trait", "There is no trait %q to ask more or less of.", d.Trait)
	}
	if done, err := tx.Get(`select 1 from episodes where agent_id = $1 and session_id = $2 and feedback_id = $3`, []any{agent, session, id}, new(int)); done || err != nil {
		return err
	}
	v, err := load(tx, agent)
	if err != nil {
		return err
	}
	old, err := latest(tx, agent, session)
	if err != nil || old != nil && old.protected {
		return err
	}
	now := s.now()
	if old == nil || old.ownerActs != v.ownerActs { // the press comes before the first decision of an episode
		first := &episode{start: now}
		first.ordinal = -1
		set := s.set.Load()
		s.hush(v, set)
		if old != nil {
			first.ordinal, first.rulesTried, first.rulesGot = old.ordinal, old.rulesTried, old.rulesGot
		} else {
			s.side(first, agent, session, set)
		}
		s.draw(first, agent, session, v)
		old = first
	}
	x, moved := policy.Offset(old.x, trait, d.Sign, v.doc.Limits(), v.doc.Pinned)
	if !moved {
		return nil
	}
	e := *old
	e.ordinal, e.start, e.commanded, e.person, e.feedback, e.x, e.density = old.ordinal+1, max(now, old.start+1), true, person, id, x, nil
	e.mixture = ""
	tx.OnCommit(func() { s.forget(agent) }) // with its episodes
	return insert(tx, agent, session, &e)
}
