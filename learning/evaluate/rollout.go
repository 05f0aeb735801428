package evaluate

import (
	"rapport/internal/sequential"
	"rapport/policy"
)

// Rollout takes a release of something shared from a proposal to everybody, or
// back: in the shadow it is only judged on what is logged anyway and nobody gets
// it; as a canary a share of sessions does; then all or none. Each stage is left
// only forwards.
type Rollout struct {
	From     policy.Traits     `json:"from"`
	To       policy.Traits     `json:"to"`
	Stage    string            `json:"stage"`
	Decision Decision          `json:"decision"` // of the gate, the newest
	Canary   sequential.Canary `json:"canary"`
}

// The stages of a rollout.
const (
	InShadow   = "shadow"
	InCanary   = "canary"
	IsAdopted  = "adopted"
	IsReverted = "reverted"
)

// NewRollout starts in the shadow.
func NewRollout(from, to policy.Traits, c sequential.Canary) Rollout {
	return Rollout{From: from, To: to, Stage: InShadow, Canary: c}
}

// Watch judges the release on what was logged; when the gate opens, the canary
// starts. In later stages it does nothing.
func (r *Rollout) Watch(g Gate, sessions []Session) {
	if r.Stage != InShadow {
		return
	}
	if r.Decision = g.Decide(sessions, r.From, r.To); r.Decision.Publish {
		r.Stage = InCanary
	}
}

// Gets says whether the session with this key gets the release.
func (r *Rollout) Gets(key [32]byte) bool {
	return r.Stage != InShadow && r.Canary.Gets(key)
}

// Heard takes in the reward of a session that did or did not get it. Only the
// canary listens; it adopts or reverts by itself.
func (r *Rollout) Heard(with bool, reward float64) error {
	if r.Stage != InCanary {
		return nil
	}
	decided, err := r.Canary.Add(with, reward)
	switch decided {
	case sequential.Adopt:
		r.Stage = IsAdopted
	case sequential.Revert:
		r.Stage = IsReverted
	}
	return err
}
