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

	Body    *event.ReplyGenerated `json:"decision,omitempty"`
	Cause   string                `json:"cause,omitempty"`   // policy, exploration, tone_button: why the variation is what it is
	By      event.PersonID        `json:"by,omitempty"`      // who pressed
	Differs []Difference          `json:"differs,omitempty"` // from the policy's own words, as the policy is now
}

// Difference is a trait that the variation set apart from the policy, with the
// line of the prompt that it became and the one it replaced.
type Difference struct {
	Trait  string  `json:"trait"`
	Policy float64 `json:"policy"`
	Level  float64 `json:"level"`
	Line   string  `json:"line"`
	Was    string  `json:"was"`
}

// The causes of a variation.
const (
	CausePolicy      = "policy"
	CauseExploration = "exploration"
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
		_, err = tx.Get(`select person_id, commanded from episodes where episode_id = $1`, []any{b.EpisodeID}, &by, &commanded)
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
	case d.Body.LogDensity != nil && d.Body.Free != 0:
		d.Cause = CauseExploration
	}
	d.Differs = differences(v, d.Body)
	return d, nil
}

// differences compares what a variation says with what the policy alone would.
func differences(v *view, b *event.ReplyGenerated) []Difference {
	var x policy.Traits
	copy(x[:], b.X)
	said, plain := v.prepared.Compile(x, compile.Moment{}), v.prepared.Compile(v.doc.Traits, compile.Moment{})
	line := func(p compile.Profile, trait string) string {
		i := slices.IndexFunc(p.Trace, func(t compile.Trace) bool { return t.What == "line" && t.Source == trait })
		if i < 0 {
			return ""
		}
		return p.Trace[i].Text
	}
	var out []Difference
	for j := range x {
		t := policy.Trait(j)
		if now, was := line(said, t.String()), line(plain, t.String()); now != was {
			out = append(out, Difference{t.String(), v.doc.Traits[j], x[j], now, was})
		}
	}
	return out
}
