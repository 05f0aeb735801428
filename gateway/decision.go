package gateway

import (
	"context"
	"encoding/json"
	"slices"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Decided is one decision as somebody who took part may see it: the person who
// was answered sees which session and message it is, the agent's owner all of it.
type Decided struct {
	DecisionID event.DecisionID `json:"decisionId"`
	AgentID    event.AgentID    `json:"agentId"`
	SessionID  event.SessionID  `json:"sessionId"`
	At         event.Micros     `json:"at"`
	Action     string           `json:"action"` // reply, silence, failed; empty while it is being made

	Body  *event.ReplyGenerated `json:"decision,omitempty"`
	Cause string                `json:"cause,omitempty"` // policy, exploration, holdout, tone_button: why the variation is what it is
	By    event.PersonID        `json:"by,omitempty"`    // who pressed
	Asked []Difference          `json:"asked,omitempty"` // what tone buttons made of this session's variation
	Tries []Difference          `json:"tries,omitempty"` // how that variation differs from the policy, as the policy is now
}

// Difference is a trait at two levels, with the line of the prompt that each
// becomes.
type Difference struct {
	Trait string  `json:"trait"`
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Was   string  `json:"was"`
	Line  string  `json:"line"`
}

// The causes of a variation.
const (
	CausePolicy      = "policy"
	CauseExploration = "exploration"
	CauseHoldout     = "holdout" // held out at the owner's start, to compare
	CauseToneButton  = "tone_button"
)

var errUnknownDecision = fault.New(fault.NotFound, "decision_unknown", "There is no such decision that you took part in.")

// Decision shows a decision to who took part in it. Fault decision_unknown, also
// for strangers: an id is not a capability.
func (s *Service) Decision(ctx context.Context, id event.DecisionID) (Decided, error) {
	var d Decided
	var body string
	var by event.PersonID
	var commanded bool
	var drawn string // the session's variation before the buttons
	if err := s.Settle(ctx); err != nil {
		return d, err
	}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		ok, err := tx.Get(`select agent_id, at, action, body from decisions where decision_id = $1`, []any{id}, &d.AgentID, &d.At, &d.Action, &body)
		if err != nil {
			return err
		}
		if !ok {
			return errUnknownDecision
		}
		var b event.ReplyGenerated
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			return err
		}
		b.Action, d.Body = d.Action, &b
		var ordinal int64
		if _, err := tx.Get(`select person_id, commanded, ordinal from episodes where episode_id = $1`, []any{b.EpisodeID}, &by, &commanded, &ordinal); err != nil || !commanded {
			return err
		}
		_, err = tx.Get(`select x from episodes where agent_id = $1 and session_id = $2 and ordinal < $3 and not commanded order by ordinal desc limit 1`,
			[]any{d.AgentID, b.SessionID, ordinal}, &drawn)
		return err
	})
	if err != nil {
		return Decided{}, err
	}
	v, err := s.view(ctx, d.AgentID)
	if err != nil {
		return Decided{}, err
	}
	p := authz.From(ctx)
	owner := p.Person != "" && p.Person == v.owner
	if p.Person == "" || !owner && p.Person != d.Body.PersonID {
		return Decided{}, errUnknownDecision
	}
	d.DecisionID, d.SessionID = id, d.Body.SessionID
	if !owner {
		d.Body = nil
		return d, nil
	}
	d.Cause = CausePolicy
	switch {
	case commanded:
		d.Cause, d.By = CauseToneButton, by
	case d.Body.Holdout:
		d.Cause = CauseHoldout
	case d.Body.LogDensity != nil && d.Body.Free != 0:
		d.Cause = CauseExploration
	}
	var x policy.Traits
	copy(x[:], d.Body.X)
	before := x
	if commanded {
		before = v.doc.Traits
		if drawn != "" {
			if err := json.Unmarshal([]byte(drawn), (*[policy.NTraits]float64)(&before)); err != nil {
				return Decided{}, err
			}
		}
		d.Asked = v.differences(before, x)
	}
	d.Tries = v.differences(v.doc.Traits, before)
	return d, nil
}

// differences lists the traits whose line in the prompt is another at the levels
// to than at the levels from.
func (v *view) differences(from, to policy.Traits) (out []Difference) {
	was, says := v.prepared.Compile(from, compile.Moment{}), v.prepared.Compile(to, compile.Moment{})
	line := func(p compile.Profile, trait string) string {
		i := slices.IndexFunc(p.Trace, func(t compile.Trace) bool { return t.What == "line" && t.Source == trait })
		if i < 0 {
			return ""
		}
		return p.Trace[i].Text
	}
	for j := range to {
		t := policy.Trait(j).String()
		if before, now := line(was, t), line(says, t); before != now {
			out = append(out, Difference{t, from[j], to[j], before, now})
		}
	}
	return out
}
