package evaluate

import (
	"math"

	"rapport/policy"
)

// Gate decides whether something that many agents share (a default, an archetype)
// may be published changed. What was logged is off-policy evidence: every agent
// tried levels around its own.
type Gate struct {
	MinSessions int     // with feedback, of all agents together
	MinESS      float64 // of the changed policy
	MaxChange   float64 // of any trait in one release
	Level       float64 // of the one-sided lower bound
	Clip        float64 // weights are capped at it
}

// DefaultGate publishes only with n ≥ 200, ESS ≥ 30, every change ≤ .05, a 90 %
// lower bound above 0 with weights capped at 10, and a model that agrees.
func DefaultGate() Gate {
	return Gate{MinSessions: 200, MinESS: 30, MaxChange: .05, Level: .90, Clip: DefaultClip}
}

// Decision is what the gate says of a release, with its numbers as far as they
// were reached.
type Decision struct {
	Publish     bool           `json:"publish"`
	Waits       *Refusal       `json:"waits,omitempty"` // why not: keep collecting
	Sessions    int            `json:"sessions"`        // that say something of the change
	LeftOut     map[string]int `json:"leftOut"`         // by the code of why they do not
	ESS         float64        `json:"ess"`
	Improvement *Estimate      `json:"improvement,omitempty"` // per session, in units of a rating; Lo is the bound
	Model       float64        `json:"model"`                 // what the reward model alone expects of it
}

// Decide judges the change from → to on sessions of the agents that share it. Each
// session is judged around its own agent's levels: moved by the change, against
// unmoved, by cross-fitted SNDR with capped weights (Improvement). Only traits
// that change are looked at; the others stay as they were drawn.
//
// Waits: too_far, few, free_sets, support, thin, heavy, off_balance, not_better,
// model_differs, not_a_number.
func (g Gate) Decide(sessions []Session, from, to policy.Traits) Decision {
	d := Decision{LeftOut: map[string]int{}}
	wait := func(r *Refusal) Decision { d.Waits = r; return d }
	if !from.Valid() || !to.Valid() {
		return wait(refuse(NotANumber, "A level of the release is no number from 0 to 1."))
	}
	var of policy.Mask
	var by policy.Traits
	for j := range policy.NTraits {
		if by[j] = to[j] - from[j]; by[j] != 0 {
			of |= 1 << j
		}
		if math.Abs(by[j]) > g.MaxChange+1e-9 {
			return wait(refuse(TooFar, "%s would change by %.2f; a release may change a trait by %.2f at most.", policy.Trait(j), by[j], g.MaxChange))
		}
	}
	if of == 0 {
		return wait(refuse(NotBetter, "The release changes nothing."))
	}
	around := func(share float64) func(*Session) Target {
		return func(s *Session) Target {
			t := Target{Levels: s.Drawn.Theta, Of: of}
			for j := range by {
				t.Levels[j] = min(1, max(0, t.Levels[j]+share*by[j]))
			}
			return t
		}
	}
	rows, kept, left := observe(sessions, around(1), around(0))
	d.Sessions, d.LeftOut = len(kept), left.counts
	if len(kept) < g.MinSessions {
		if left.most() >= g.MinSessions-len(kept) {
			return wait(left.why)
		}
		return wait(refuse(Few, "%d sessions with feedback say something of this change; %d are needed.", len(kept), g.MinSessions))
	}
	o := Options{Clip: g.Clip, Level: 2*g.Level - 1} // two-sided intervals whose lower end is the one-sided bound
	l := Limits{MinN: g.MinSessions, MinESS: g.MinESS, MaxShare: .15, Balance: 4}
	for k := range rows {
		r, err := Evaluate(rows[k], o)
		if err != nil {
			return wait(asRefusal(err))
		}
		if k == 0 {
			d.ESS = r.ESS
		}
		if no := l.Refuse(r); no != nil {
			return wait(no)
		}
	}
	better, err := Improvement(rows[0], rows[1], o)
	if err != nil {
		return wait(asRefusal(err))
	}
	d.Improvement = &better
	for i := range rows[0] {
		d.Model += (rows[0][i].V - rows[1][i].V) / float64(len(kept))
	}
	switch {
	case !(better.Lo > 0):
		return wait(refuse(NotBetter, "It is better by %.3f per session, but the lower bound is %.3f: keep collecting.", better.Value, better.Lo))
	case !(d.Model > 0):
		return wait(refuse(Disagree, "The log says %.3f better and the reward model %.3f: keep collecting until they agree.", better.Value, d.Model))
	}
	d.Publish = true
	return d
}
