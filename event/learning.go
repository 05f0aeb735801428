package event

import "encoding/json"

func init() {
	register[PolicyProposed]("learning", TopicAgents, "a whole policy that the evidence asks for")
	register[UpdateRefused]("learning", TopicAgents, "a change that a bound or gate of the learner stopped")
	register[ExplorationUpdated]("learning", TopicAgents, "the mixture that variations are drawn from; read by the gateway only, never exported")
	register[RelationshipUpdated]("learning", TopicAgents, "how close a person and an agent are, as a level")
}

// Moved is one trait's part in a proposal.
type Moved struct {
	Trait  string  `json:"trait"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	P      float64 `json:"p"` // P(improvement) of the step
	N      int     `json:"n"` // episodes with evidence
}

// Verdict is what one bound or gate said.
type Verdict struct {
	Gate string `json:"gate"`
	OK   bool   `json:"ok"`
	Note string `json:"note,omitempty"`
}

// PolicyProposed: the learning side asks for a policy.
type PolicyProposed struct {
	ProposalID string          `json:"proposalId"`
	AgentID    AgentID         `json:"agentId"`
	Parent     int64           `json:"parent"` // the version it was computed from
	Kind       string          `json:"kind"`   // learned, withdrawn or bounds
	Reason     string          `json:"reason"`
	Policy     json.RawMessage `json:"policy"` // a policy.Document
	Moved      []Moved         `json:"moved"`
	Causes     []string        `json:"causes"` // feedback ids, newest last
	Verdicts   []Verdict       `json:"verdicts"`
}

// UpdateRefused: a bound or gate of the learner stopped a change.
type UpdateRefused struct {
	AgentID AgentID   `json:"agentId"`
	Gate    string    `json:"gate"`
	Reason  string    `json:"reason"`
	Values  []float64 `json:"values,omitempty"`
}

// ExplorationUpdated: the mixture a session's variation is drawn from.
type ExplorationUpdated struct {
	AgentID  AgentID         `json:"agentId"`
	Version  int64           `json:"version"`  // the policy version it surrounds
	Revision int64           `json:"revision"` // grows with every change of evidence
	Mixture  json.RawMessage `json:"mixture"`  // a policy.Mixture
}

// RelationshipUpdated: a level, not a number.
type RelationshipUpdated struct {
	AgentID  AgentID  `json:"agentId"`
	PersonID PersonID `json:"personId"`
	Level    string   `json:"level"` // new, familiar, close, dear
}

func (PolicyProposed) EventType() Type      { return "rl.agent.policy.updated" }
func (UpdateRefused) EventType() Type       { return "rl.agent.update.refused" }
func (ExplorationUpdated) EventType() Type  { return "agent.exploration.updated" }
func (RelationshipUpdated) EventType() Type { return "rl.relationship.updated" }

func (e PolicyProposed) Key() string      { return string(e.AgentID) }
func (e UpdateRefused) Key() string       { return string(e.AgentID) }
func (e ExplorationUpdated) Key() string  { return string(e.AgentID) }
func (e RelationshipUpdated) Key() string { return string(e.AgentID) }
