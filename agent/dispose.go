package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// The gates a proposal passes, in this order; the first that says no refuses it.
const (
	gateSchema   = "schema"   // it is no policy, or touches what is the owner's
	gateKilled   = "killed"   // a kill switch is on
	gatePaused   = "paused"   // learning is paused
	gateStale    = "stale"    // the owner acted after the version it was computed from
	gatePinned   = "pinned"   // it moves a pinned trait
	gateBounds   = "bounds"   // it leaves the bounds, or is a forbidden combination
	gateDrift    = "drift"    // a trait would be too far from where it was within seven days
	gateApproval = "approval" // the owner wants to see it first
)

// The drift that learning may make in any seven days.
const (
	driftMost   = .15
	driftWindow = event.Micros(7 * 24 * time.Hour / time.Microsecond)
)

// refusal says which gate refused a proposal and why.
type refusal struct{ gate, reason string }

func refuse(gate, reason string, args ...any) *refusal {
	return &refusal{gate, fmt.Sprintf(reason, args...)}
}

// judge gives the document that a proposal makes of an agent's, or its refusal;
// neither when it changes nothing. It takes from the proposal what learning may
// move — traits, action policy, memory, evidence — and refuses a proposal that
// changes anything else.
func judge(a *record, p event.PolicyProposed) (policy.Document, *refusal) {
	var asked policy.Document
	none := math.NaN() // absent is not zero
	for i := range asked.Traits {
		asked.Traits[i] = none
	}
	asked.ActionPolicy = policy.ActionPolicy{ReplyFrequency: policy.ReplyFrequency{DMWithOwner: none, DMWithOthers: none, GroupSmall: none, GroupLarge: none},
		PostProbability: none, CommentProbability: none, InviteProbability: none, StartThreadProbability: none}
	if err := json.Unmarshal(p.Policy, &asked); err != nil {
		return a.doc, refuse(gateSchema, "the policy cannot be read")
	}
	if !slices.Contains([]string{event.ChangeLearned, event.ChangeWithdrawn, event.ChangeBounds}, p.Kind) {
		return a.doc, refuse(gateSchema, "the kind is not learned, withdrawn or bounds")
	}
	if p.Parent < 1 || p.Parent > a.version {
		return a.doc, refuse(gateSchema, "version %d does not exist", p.Parent)
	}
	next := a.doc
	next.ActionPolicy, next.Memory, next.Evidence = asked.ActionPolicy, asked.Memory, asked.Evidence
	next.ActionPolicy.MaxAutonomousActionsPerDay = a.doc.ActionPolicy.MaxAutonomousActionsPerDay
	next.Exploration.Revision = max(a.doc.Exploration.Revision, asked.Exploration.Revision)
	next.Traits = asked.Traits
	for i, v := range asked.Traits {
		if math.IsNaN(v) {
			return a.doc, refuse(gateSchema, "the level of %s is missing", policy.Trait(i))
		}
	}
	theirs := asked // with all that learning may move as it is
	theirs.Traits, theirs.Memory = a.doc.Traits, a.doc.Memory
	theirs.ActionPolicy = a.doc.ActionPolicy
	theirs.ActionPolicy.MaxAutonomousActionsPerDay = asked.ActionPolicy.MaxAutonomousActionsPerDay
	meddled, change := policy.Diff(a.doc, theirs), policy.Diff(a.doc, next)
	switch {
	case meddled.Empty() && change.Empty():
		return a.doc, nil
	case a.stops != 0:
		return a.doc, refuse(gateKilled, "the kill switch is on")
	case !a.learning:
		return a.doc, refuse(gatePaused, "learning is paused")
	case p.Parent < a.ownerVersion:
		return a.doc, refuse(gateStale, "version %d is not of learning, the proposal was computed from %d", a.ownerVersion, p.Parent)
	case !meddled.Empty():
		return a.doc, refuse(gateSchema, "learning may not change %s", strings.Join(append(keys(meddled.ActionPolicyDelta), meddled.Other...), ", "))
	}
	if p.Kind == event.ChangeBounds {
		nearest := a.doc
		nearest.Traits = a.doc.Limits().Clamp(a.doc.Traits)
		if !policy.Diff(nearest, next).Empty() {
			return a.doc, refuse(gateBounds, "a move of kind bounds goes to the nearest level inside and nowhere else")
		}
	} else {
		for _, t := range a.doc.Pinned.Traits() {
			if _, moves := change.TraitsDelta[t.String()]; moves {
				return a.doc, refuse(gatePinned, "%s is pinned", t)
			}
		}
	}
	sealed := *a
	sealed.doc = next
	if err := sealed.seal(); err != nil {
		return a.doc, refuse(gateOf(err), "%s", err.(*fault.Error).Message)
	}
	return sealed.doc, nil
}

func keys(m map[string]float64) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// gateOf is bounds for a refusal of levels, schema for any other.
func gateOf(err error) string {
	if bad, ok := err.(*fault.Error).Err.(policy.Invalid); ok {
		for _, v := range bad {
			if slices.Contains([]string{policy.CodeBounds, policy.CodeForbidden, policy.CodeEmpty}, v.Code) {
				return gateBounds
			}
		}
	}
	return gateSchema
}

// drift refuses learned levels more than .15 away from any level the trait had
// in the seven days before, as far back as to the last time that the owner, a
// withdrawal or a bound moved it.
func drift(tx *sqldb.Tx, a *record, next policy.Document, at event.Micros) (*refusal, error) {
	for _, t := range moved(a.doc, next).Traits() {
		lo, hi, err := span(tx, a.id, t, at-driftWindow)
		if err != nil {
			return nil, err
		}
		if v := next.Traits[t]; v > lo+driftMost+1e-9 || v < hi-driftMost-1e-9 {
			return refuse(gateDrift, "%s was from %v to %v within seven days, %v is more than %v away", t, lo, hi, v, driftMost), nil
		}
	}
	return nil, nil
}

// waits says why a change needs the owner's word, empty when it does not.
func (ap Approval) waits(d policy.Delta) string {
	if ap.Mode == ApprovalAll {
		return "every change waits for the owner"
	}
	if ap.Mode != ApprovalSome {
		return ""
	}
	for _, t := range ap.Traits {
		if _, moves := d.TraitsDelta[t]; moves {
			return "a change of " + t + " waits for the owner"
		}
	}
	for _, deltas := range []map[string]float64{d.TraitsDelta, d.ActionPolicyDelta} {
		for _, name := range keys(deltas) {
			if ap.Above > 0 && math.Abs(deltas[name]) > ap.Above+1e-9 {
				return fmt.Sprintf("a change above %v waits for the owner", ap.Above)
			}
		}
	}
	return ""
}

// dispose applies, refuses, keeps for the owner or passes over a proposal. What
// it did with an event is remembered by a row of audit with an id made from the
// event's.
func dispose(tx *sqldb.Tx, e event.Event, p event.PolicyProposed) error {
	a, err := load(tx, string(p.AgentID))
	if err != nil || a == nil || a.retired {
		return err
	}
	d := deed{
		id: event.HashID("agent", "audit", e.ID), kind: p.Kind, by: policy.ByLearning, actor: policy.ByLearning,
		at: max(e.Time, a.updated), cause: p.ProposalID, causes: p.Causes, verdicts: p.Verdicts, reason: short(p.Reason), parent: &e,
	}
	if again, err := audited(tx, d.id); err != nil || again {
		return err
	}
	next, no := judge(a, p)
	change := policy.Diff(a.doc, next)
	if no == nil && change.Empty() {
		return nil
	}
	if no == nil && p.Kind == event.ChangeLearned {
		if no, err = drift(tx, a, next, d.at); err != nil {
			return err
		}
	}
	if no != nil {
		d.verdicts = append(slices.Clone(d.verdicts), event.Verdict{Gate: no.gate, Note: no.reason})
		return turnDown(tx, a, d, "refused", p, *no)
	}
	if err := supersede(tx, a.id, d.at); err != nil {
		return err
	}
	if why := a.approval.waits(change); why != "" && p.Kind != event.ChangeBounds {
		d.verdicts = append(slices.Clone(d.verdicts), event.Verdict{Gate: gateApproval, Note: why})
		if err := keep(tx, e, p, d.at); err != nil {
			return err
		}
		return turnDown(tx, a, d, "waiting", p, refusal{gateApproval, why})
	}
	before := *a
	a.doc = next
	return commit(tx, &before, a, d)
}

// turnDown writes down that a proposal was not applied, and says so.
func turnDown(tx *sqldb.Tx, a *record, d deed, kind string, p event.PolicyProposed, no refusal) error {
	before := *a
	a.acts++
	a.updated, d.kind = d.at, kind
	if err := put(tx, a, false); err != nil {
		return err
	}
	if err := putAudit(tx, &before, a, d); err != nil {
		return err
	}
	return d.emit(tx, event.PolicyRefused{AgentID: a.id, ProposalID: p.ProposalID, Gate: no.gate, Reason: no.reason})
}

// short is a reason that fits into a document.
func short(s string) string {
	if len(s) <= 200 {
		return s
	}
	n := 200
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Proposal is a change that waits, or waited, for the owner.
type Proposal struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Parent   int64           `json:"parent"` // the version it was computed from
	Reason   string          `json:"reason"`
	Change   policy.Delta    `json:"change"` // to the policy in force
	Moved    []event.Moved   `json:"moved"`
	Causes   []string        `json:"causes"` // feedback ids
	Verdicts []event.Verdict `json:"verdicts"`
	At       event.Micros    `json:"at"`
}

// Proposals lists what waits for the owner, oldest first. There is at most one:
// a newer proposal takes the place of an older one.
func (s *Service) Proposals(ctx context.Context, ref string) ([]Proposal, error) {
	out := []Proposal{}
	err := s.own(ctx, ref, authz.List, func(tx *sqldb.Tx, a *record) error {
		events, err := waiting(tx, a.id)
		if err != nil {
			return err
		}
		for _, e := range events {
			p, err := event.As[event.PolicyProposed](e)
			if err != nil {
				return err
			}
			next, _ := judge(a, p)
			out = append(out, Proposal{ID: p.ProposalID, Kind: p.Kind, Parent: p.Parent, Reason: p.Reason, Change: policy.Diff(a.doc, next),
				Moved: notNil(p.Moved), Causes: notNil(p.Causes), Verdicts: notNil(p.Verdicts), At: e.Time})
		}
		return nil
	})
	return out, err
}

// Approve applies a proposal that waits. All gates but the owner's own are asked
// again. Faults: proposal_unknown, proposal_decided, proposal_refused.
func (s *Service) Approve(ctx context.Context, ref Ref, proposal string) (Agent, error) {
	return s.act(ctx, ref, "approve", proposal, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error) {
		e, p, err := decide(tx, a.id, proposal, "approved", at)
		if err != nil {
			return nil, err
		}
		next, no := judge(a, p)
		if no == nil && p.Kind == event.ChangeLearned {
			if no, err = drift(tx, a, next, max(at, a.updated)); err != nil {
				return nil, err
			}
		}
		if no != nil {
			return nil, fault.New(fault.Conflict, "proposal_refused", "The gate %q refuses it now: %s.", no.gate, no.reason)
		}
		if policy.Diff(a.doc, next).Empty() {
			return nil, nil
		}
		a.doc = next
		return &deed{kind: p.Kind, by: policy.ByLearning, cause: p.ProposalID, causes: p.Causes, reason: short(p.Reason), parent: &e,
			verdicts: append(slices.Clone(p.Verdicts), event.Verdict{Gate: gateApproval, OK: true, Note: "approved by the owner"})}, nil
	})
}

// Refuse says no to a proposal that waits. Faults: proposal_unknown,
// proposal_decided.
func (s *Service) Refuse(ctx context.Context, ref Ref, proposal string) (Agent, error) {
	return s.act(ctx, ref, "refuse", proposal, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error) {
		_, p, err := decide(tx, a.id, proposal, "refused", at)
		if err != nil {
			return nil, err
		}
		no := refusal{gateApproval, "the owner said no"}
		d := deed{id: event.NewID(), by: policy.ByOwner, actor: string(authz.From(ctx).Person), at: max(at, a.updated), cause: p.ProposalID, causes: p.Causes,
			verdicts: append(slices.Clone(p.Verdicts), event.Verdict{Gate: no.gate, Note: no.reason})}
		return nil, turnDown(tx, a, d, "refused", p, no)
	})
}

// keep puts a proposal aside for the owner.
func keep(tx *sqldb.Tx, e event.Event, p event.PolicyProposed, at event.Micros) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into proposals (agent_id, id, status, event, at, decided) values ($1, $2, 'waiting', $3, $4, 0) on conflict do nothing`,
		p.AgentID, p.ProposalID, string(body), at)
	return err
}

// supersede voids what waits: the learner has newer evidence.
func supersede(tx *sqldb.Tx, id event.AgentID, at event.Micros) error {
	_, err := tx.Exec(`update proposals set status = 'superseded', decided = $1 where agent_id = $2 and status = 'waiting'`, at, id)
	return err
}

// overtake voids what waits because the owner acted: learning proposes again.
func overtake(tx *sqldb.Tx, a *record, d deed) error {
	events, err := waiting(tx, a.id)
	if err != nil || len(events) == 0 {
		return err
	}
	if _, err := tx.Exec(`update proposals set status = 'stale', decided = $1 where agent_id = $2 and status = 'waiting'`, d.at, a.id); err != nil {
		return err
	}
	for _, e := range events {
		p, err := event.As[event.PolicyProposed](e)
		if err != nil {
			return err
		}
		if err := d.emit(tx, event.PolicyRefused{AgentID: a.id, ProposalID: p.ProposalID, Gate: gateStale,
			Reason: fmt.Sprintf("version %d is not of learning, the proposal was computed from %d", a.version, p.Parent)}); err != nil {
			return err
		}
	}
	return nil
}

// decide ends a proposal's wait.
func decide(tx *sqldb.Tx, id event.AgentID, proposal, status string, at event.Micros) (e event.Event, p event.PolicyProposed, err error) {
	var was, body string
	ok, err := tx.Get(`select status, event from proposals where agent_id = $1 and id = $2`, []any{id, proposal}, &was, &body)
	switch {
	case err != nil:
		return e, p, err
	case !ok:
		return e, p, fault.New(fault.NotFound, "proposal_unknown", "There is no such proposal; look at the agent's proposals.")
	case was != "waiting":
		return e, p, fault.New(fault.Conflict, "proposal_decided", "This proposal is %s already.", was)
	}
	if _, err := tx.Exec(`update proposals set status = $1, decided = $2 where agent_id = $3 and id = $4`, status, at, id, proposal); err != nil {
		return e, p, err
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return e, p, err
	}
	p, err = event.As[event.PolicyProposed](e)
	return e, p, err
}

func waiting(tx *sqldb.Tx, id event.AgentID) (out []event.Event, err error) {
	rows, err := tx.Query(`select event from proposals where agent_id = $1 and status = 'waiting' order by at, id`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var body string
		var e event.Event
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}
