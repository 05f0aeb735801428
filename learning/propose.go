package learning

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/safety"
	"rapport/learning/step"
	"rapport/learning/wire"
	"rapport/policy"
)

// conclude prepares what the outside hears of the folded state: the mixture for
// the next sessions, and a policy when the evidence asks for other levels.
func (w *work) conclude(s *fold.State, f *fold.Folder) error {
	c := w.canon
	if c == nil || w.muted || !(w.evidence || w.surround || w.again) {
		return nil
	}
	b, err := f.Believe(s)
	if err != nil {
		return err
	}
	if w.evidence || w.surround {
		if err := w.explore(s, b); err != nil {
			return err
		}
	}
	if (w.evidence || w.again) && c.Act.Alive && (c.Act.Learning || w.correction) {
		w.consider(s, b)
	}
	return nil
}

// id derives the id of something that follows from the last event of the batch
// that had an effect on the agent.
func (w *work) id(t event.Type, ordinal int) string {
	return event.DerivedID("learning", fold.Generation, w.last.ID, t, w.agent, ordinal)
}

func (w *work) emit(id string, p event.Payload) {
	w.out = append(w.out, event.New("learning", id, w.last.Time, p).CausedBy(*w.last.Event))
}

// explore publishes the mixture around the canonical levels. Its centres are
// drawn from numbers that follow from agent, entry and generation.
func (w *work) explore(s *fold.State, b *step.Belief) error {
	c, e := w.canon, w.canon.Explore
	if !c.Act.Learning || !c.Act.Alive || c.Frozen != "" {
		e.Strategy = policy.StrategyOff // variations that nobody learns from
	}
	var centres []policy.Traits
	if e.Strategy == policy.StrategyMixture {
		var around [policy.DefaultCentres]policy.Traits
		s.Centres(b, w.agent, &c.Act.Levels, &c.Act.Lo, &c.Act.Hi, c.Act.Pinned, &around)
		centres = around[:]
	}
	m := policy.NewMixture(c.Act.Levels, centres, e, limitsOf(&c.Act), c.Act.Pinned)
	if e.Strategy != policy.StrategyOff && !e.HoldoutOff {
		m.HoldOut(c.Act.Baseline, policy.DefaultHoldout)
	}
	// One of these follows every change of evidence: written by hand, as
	// json.Marshal of an event.ExplorationUpdated would.
	agent, err := json.Marshal(w.agent)
	if err != nil {
		return err
	}
	body := append(make([]byte, 0, 2048), `{"agentId":`...)
	body = append(append(body, agent...), `,"version":`...)
	body = append(strconv.AppendInt(body, c.Version, 10), `,"revision":`...)
	body = append(strconv.AppendInt(body, w.tally.Revision, 10), `,"mixture":`...)
	if body, err = m.AppendJSON(body); err != nil {
		return err
	}
	typ := event.ExplorationUpdated{}.EventType()
	out := event.Event{ID: w.id(typ, 0), Source: "/rapport/learning", Type: typ, Subject: w.agent, Time: w.last.Time, Version: 1, Data: append(body, '}')}
	w.out = append(w.out, out.CausedBy(*w.last.Event))
	return nil
}

// wish is a proposal before it is written down.
type wish struct {
	to       policy.Traits
	actions  fold.Actions
	verdicts []safety.Verdict
	state    fold.State
	belief   step.Belief
}

// consider decides whether to ask for the levels that the evidence asks for, as
// far as the bounds of publication let it.
func (w *work) consider(s *fold.State, b *step.Belief) {
	c := w.canon
	week := c.weekAgo(w.last.Time)
	actions := w.weights(s, &week.Actions)
	to, verdicts := safety.Propose(safety.Request{
		Canonical: c.Act.Levels, Target: w.target(s, b), WeekAgo: week.Levels, Limits: limitsOf(&c.Act), Pinned: c.Act.Pinned,
		Steps: max(1, len(w.fed)), Withdrawn: w.correction,
	})
	if to == c.Act.Levels && actions == c.Act.Actions {
		for _, v := range verdicts {
			if !v.OK && v.Gate != "step" {
				w.held = &event.UpdateRefused{AgentID: event.AgentID(w.agent), Gate: v.Gate, Reason: v.Note, Values: s.Theta[:]}
				break
			}
		}
		return
	}
	if c.Frozen != "" && !w.correction {
		w.held = &event.UpdateRefused{AgentID: event.AgentID(w.agent), Gate: "guard", Reason: c.frozenBecause(), Values: s.Theta[:]}
		return
	}
	asked := c.Asked == c.Version && near(to[:], c.AskedFor[:]) && near(actions[:], c.AskedActions[:]) ||
		w.asked.version == c.Version && near(to[:], w.asked.levels[:]) && near(actions[:], w.asked.actions[:])
	if asked && !w.again && !w.correction {
		return
	}
	w.wish = &wish{to, actions, verdicts, *s, *b}
}

// weights are the action weights to publish: towards what the evidence asks for
// within the bounds of publication, which are those of a level.
func (w *work) weights(s *fold.State, weekAgo *fold.Actions) fold.Actions {
	to := w.canon.Act.Actions
	for k := range to {
		b, now := &s.Actions[k], to[k]
		wish := wire.Micro(float64(b.Level))
		if b.Start == 0 && b.Level == 0 || math.Abs(wish-now) < safety.Noticeable {
			continue // never set, or nobody would notice
		}
		if !w.correction {
			most := float64(safety.StepBound * float64(max(1, len(w.fed))))
			wish = min(max(wish, now-most, min(now, weekAgo[k]-safety.DriftBound)), now+most, max(now, weekAgo[k]+safety.DriftBound))
		}
		to[k] = wire.Micro(min(max(wish, 0), 1))
	}
	return to
}

// target is where the levels are to go: where the fold is, but for a trait whose
// published level is believed to be the better of the two. A fold that is done
// again with one more signal can lose its last step; publishing that would make
// the owner see a level go to and fro at the gate, each time to where it is
// probably worse. A correction goes to the fold whatever is believed.
func (w *work) target(s *fold.State, b *step.Belief) policy.Traits {
	to, now := s.Theta, w.canon.Act.Levels
	if w.correction {
		return to
	}
	for j := range to {
		if to[j] != now[j] && b.Better(policy.Trait(j), now[j], to[j]) < .5 {
			to[j] = now[j]
		}
	}
	return to
}

// propose writes the wish down.
func (w *work) propose() error {
	if w.wish == nil {
		return nil
	}
	c, to, verdicts, s, b := w.canon, w.wish.to, w.wish.verdicts, &w.wish.state, &w.wish.belief
	var d policy.Document
	if w.doc != nil {
		d = *w.doc
	} else if err := json.Unmarshal(w.policy, &d); err != nil {
		return fmt.Errorf("canonical policy: %w", err)
	}
	p := event.PolicyProposed{
		AgentID: event.AgentID(w.agent), Parent: c.Version, Kind: event.ChangeLearned, Causes: w.causes,
		Moved: []event.Moved{}, Verdicts: make([]event.Verdict, len(verdicts)),
	}
	if w.correction {
		p.Kind = event.ChangeWithdrawn
	}
	if c.Untold {
		p.Causes = append(p.Causes, c.Adoption)
	}
	if p.Causes == nil {
		p.Causes = []string{}
	}
	for i, v := range verdicts {
		p.Verdicts[i] = event.Verdict{Gate: v.Gate, OK: v.OK, Note: v.Note}
	}
	var said []string
	d.Evidence = map[string]policy.Evidence{}
	for j := range to {
		t := policy.Trait(j)
		before := c.Act.Levels[j]
		if to[j] != before {
			p.Moved = append(p.Moved, event.Moved{Trait: t.String(), Before: before, After: to[j], P: wire.Micro(b.Better(t, before, to[j])), N: int(s.Episodes[j])})
			said = append(said, fmt.Sprintf("%s %+.2f", t, to[j]-before))
		}
		if s.Episodes[j] > 0 {
			ideal, sd := b.Ideal(t)
			d.Evidence[t.String()] = policy.Evidence{N: int(s.Episodes[j]), Ideal: wire.Micro(ideal), SD: wire.Micro(sd), P: wire.Micro(b.Better(t, s.Start[j], to[j]))}
		}
	}
	for k, to := range w.wish.actions {
		if before := c.Act.Actions[k]; to != before {
			block := &s.Actions[k]
			better := 1.
			if mean, variance := block.Difference(step.DefaultPrior().Noise, s.B/s.A, before, to); variance > 0 {
				better = .5 * math.Erfc(-mean/math.Sqrt(2*variance))
			}
			p.Moved = append(p.Moved, event.Moved{Trait: fold.Action(k).String(), Before: before, After: to, P: wire.Micro(better), N: int(block.Episodes)})
			said = append(said, fmt.Sprintf("%s %+.2f", fold.Action(k), to-before))
		}
	}
	w.wish.actions.Put(&d.ActionPolicy)
	p.Reason = p.Kind + ": " + strings.Join(said, ", ")
	d.Traits, d.ToneWeights = to, policy.ToneWeightsOf(to)
	d.Version, d.Parent, d.Reason = c.Version+1, c.Version, p.Reason
	d.Exploration.Revision = w.tally.Revision
	d.LastUpdatedBy, d.LastUpdatedAt = policy.ByLearning, w.last.Time
	if err := policy.Validate(d); err != nil {
		w.held = &event.UpdateRefused{AgentID: p.AgentID, Gate: "schema", Reason: err.Error(), Values: to[:]}
		return nil
	}
	var err error
	if p.Policy, err = json.Marshal(d); err != nil {
		return err
	}
	p.ProposalID = w.id(p.EventType(), 0)
	w.emit(p.ProposalID, p)
	w.asked = ask{c.Version, to, w.wish.actions}
	return nil
}

// ask is a proposal on its way: made here, and not yet back from the log. Until it
// is, batches in between would make it again. To forget one does no harm.
type ask struct {
	version int64 // it was computed from; 0 for none
	levels  policy.Traits
	actions fold.Actions
}

// asks are the proposals on their way, by agent.
type asks struct {
	sync.Mutex
	of map[string]ask
}

// read tells the works of a batch what is on its way.
func (a *asks) read(works []*work) {
	a.Lock()
	defer a.Unlock()
	for _, w := range works {
		w.asked = a.of[w.agent]
	}
}

// keep notes what a batch asked, once that is durable.
func (a *asks) keep(works []*work) {
	a.Lock()
	defer a.Unlock()
	for _, w := range works {
		switch {
		case w.asked.version == 0 || w.retired:
			delete(a.of, w.agent)
		case a.of == nil:
			a.of = map[string]ask{w.agent: w.asked}
		default:
			a.of[w.agent] = w.asked
		}
	}
}

// near says that nobody could tell the levels apart.
func near(a, b []float64) bool {
	for j := range a {
		if math.Abs(a[j]-b[j]) >= safety.Noticeable {
			return false
		}
	}
	return true
}

// tellHeld emits what was held back, once per version, gate and day.
func (w *work) tellHeld(tx *sqldb.Tx) error {
	if w.held == nil {
		return nil
	}
	for i := range w.held.Values {
		w.held.Values[i] = wire.Micro(w.held.Values[i])
	}
	var told int64
	_, err := tx.Get(`select count(*) from rl_proposals where agent_id = $1 and outcome = $2 and parent = $3 and gate = $4 and at > $5`,
		[]any{w.agent, outcomeHeld, w.canon.Version, w.held.Gate, w.last.Time - day}, &told)
	if err != nil || told > 0 {
		return err
	}
	w.emit(w.id(w.held.EventType(), 0), *w.held)
	return nil
}

// The outcomes of a proposal.
const (
	outcomeWaiting = "waiting" // the agent has not said
	outcomeApplied = "applied" // it is, or was, a version
	outcomeRefused = "refused" // by the agent
	outcomeHeld    = "held"    // by the learner itself
)

// remember keeps what was proposed, and what became of it.
func (w *work) remember(tx *sqldb.Tx) error {
	if w.retired {
		return nil
	}
	put := func(id string, at event.Micros, parent int64, outcome, gate string, body any) error {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`insert into rl_proposals (agent_id, proposal_id, at, parent, outcome, gate, body) values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (agent_id, proposal_id) do nothing`, w.agent, id, at, parent, outcome, gate, string(b))
		return err
	}
	settle := func(id, outcome, gate string) error {
		_, err := tx.Exec(`update rl_proposals set outcome = $1, gate = $2 where agent_id = $3 and proposal_id = $4`, outcome, gate, w.agent, id)
		return err
	}
	for _, in := range w.events {
		var err error
		switch p := in.body.(type) {
		case *event.PolicyProposed:
			said := *p
			said.Policy = json.RawMessage("null")
			err = put(p.ProposalID, in.Time, p.Parent, outcomeWaiting, "", said)
		case *event.UpdateRefused:
			err = put(in.ID, in.Time, in.version, outcomeHeld, p.Gate, p)
		case *event.AgentUpdated:
			if p.Change.Kind == event.ChangeLearned || p.Change.Kind == event.ChangeWithdrawn {
				err = settle(p.Change.Cause, outcomeApplied, "")
			}
		case *event.PolicyRefused:
			err = settle(p.ProposalID, outcomeRefused, p.Gate)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const manyRatings = 99

// needs is about how many more ratings like those so far a trait needs before it
// moves from its level towards to: the evidence that is missing, and what the
// certainty takes, which grows with the square root. 0 when it may move now, -1
// when more of the same would not do, 99 for any larger number.
func needs(s *fold.State, b *step.Belief, t policy.Trait, to float64) int {
	missing := max(0, safety.MinEpisodes-float64(s.Episodes[t]), math.Ceil(safety.MinRatings-s.Info[t]))
	mean, variance := b.Difference(t, s.Theta[t], to)
	if mean <= 0 || variance <= 0 {
		return -1
	}
	if z, gate := mean/math.Sqrt(variance), s.Gate(t).Z; z < gate {
		info := max(s.Info[t], .5)
		missing = max(missing, math.Ceil(info*((gate/z)*(gate/z)-1)))
	}
	return int(min(missing, manyRatings))
}
