package event

import "encoding/json"

func init() {
	register[PolicyProposed]("learning", TopicAgents, "a whole policy that the evidence asks for")
	register[UpdateRefused]("learning", TopicAgents, "a change that a bound or gate of the learner stopped")
	register[ExplorationUpdated]("learning", TopicAgents, "the mixture that variations are drawn from; read by the gateway only, never exported")
	register[RelationshipUpdated]("learning", TopicAgents, "how close a person and an agent are, as a level")
	register[ParametersAdopted]("learning", TopicAgents, "population-wide parameters that the agent's learner uses from its next own evidence on")
	register[PopulationUpdated]("learning", TopicPlatform, "another version of the prior that learners may start from")
	register[CalibrationUpdated]("learning", TopicPlatform, "another version of what each source of signals tells")
	register[ReputationUpdated]("learning", TopicPeople, "what a rater's judgements count for")
	register[GuardChanged]("learning", TopicAgents, "whether updates of the agent are frozen, and why")
	register[ReleaseUpdated]("learning", TopicPlatform, "a change of the start that fresh agents get, on its way to all of them or back")
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
	Causes     []string        `json:"causes"` // feedback ids, newest last; then the event of an adoption that no proposal has listed
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

// ParametersAdopted: an agent uses these versions of the population-wide parameters
// from here on; 0 is the default of each kind. It moves no level by itself.
type ParametersAdopted struct {
	AgentID     AgentID `json:"agentId"`
	Prior       int64   `json:"prior"`
	Calibration int64   `json:"calibration"`
	Reputation  int64   `json:"reputation"`
}

// PopulationUpdated: another version of the prior. Agents use it once they adopt
// it.
type PopulationUpdated struct {
	Version    int64       `json:"version"`
	K          int         `json:"k"` // kinds of owners; 0 is the default prior
	Archetypes []Archetype `json:"archetypes"`
	Agents     int         `json:"agents"` // counted, together of all kinds
}

// Archetype is a kind of owner that emerged: at least twenty agents of ten owners.
type Archetype struct {
	ID     int64              `json:"id"` // stable from version to version
	Centre map[string]float64 `json:"centre"`
	Share  float64            `json:"share"`
	Agents int                `json:"agents"`
	Owners int                `json:"owners"`
}

// CalibrationUpdated: another version of what each source of signals tells.
type CalibrationUpdated struct {
	Version int64 `json:"version"`
}

// ReputationUpdated: what a rater's judgements count for, in another version.
type ReputationUpdated struct {
	RaterID   PersonID `json:"raterId"`
	Version   int64    `json:"version"`
	Agreement float64  `json:"agreement"` // with others and with what followed, [0,1]
	Abuse     float64  `json:"abuse"`     // P(they rate to harm or at random), [0,1]
	Excluded  bool     `json:"excluded,omitempty"`
}

// GuardChanged: updates of the agent are frozen, or go on. Its learner listens as
// before; what it asks for is held back.
type GuardChanged struct {
	AgentID AgentID `json:"agentId"`
	Frozen  bool    `json:"frozen"`
	Reason  string  `json:"reason"` // for the owner; of many owners together
}

// ReleaseUpdated: a release of the start that fresh agents get, all that are made for
// no archetype or those made for one, reached a stage.
type ReleaseUpdated struct {
	ReleaseID string             `json:"releaseId"`
	Archetype int64              `json:"archetype,omitempty"` // whose start; absent: of agents made for none
	Stage     string             `json:"stage"`               // shadow, canary, adopted, reverted
	By        string             `json:"by"`                  // who proposed it: job or operator
	From      map[string]float64 `json:"from"`                // the traits that change
	To        map[string]float64 `json:"to"`
	Reason    string             `json:"reason"`
}

func (PolicyProposed) EventType() Type      { return "rl.agent.policy.updated" }
func (UpdateRefused) EventType() Type       { return "rl.agent.update.refused" }
func (ExplorationUpdated) EventType() Type  { return "agent.exploration.updated" }
func (RelationshipUpdated) EventType() Type { return "rl.relationship.updated" }

func (ParametersAdopted) EventType() Type  { return "rl.agent.parameters.adopted" }
func (PopulationUpdated) EventType() Type  { return "rl.population.updated" }
func (CalibrationUpdated) EventType() Type { return "rl.calibration.updated" }
func (ReputationUpdated) EventType() Type  { return "rl.rater.reputation.updated" }
func (GuardChanged) EventType() Type       { return "rl.agent.guard.updated" }
func (ReleaseUpdated) EventType() Type     { return "rl.release.updated" }

func (e PolicyProposed) Key() string      { return string(e.AgentID) }
func (e UpdateRefused) Key() string       { return string(e.AgentID) }
func (e ExplorationUpdated) Key() string  { return string(e.AgentID) }
func (e RelationshipUpdated) Key() string { return string(e.AgentID) }

func (e ParametersAdopted) Key() string  { return string(e.AgentID) }
func (e PopulationUpdated) Key() string  { return "population" }
func (e CalibrationUpdated) Key() string { return "calibration" }
func (e ReputationUpdated) Key() string  { return string(e.RaterID) }
func (e GuardChanged) Key() string       { return string(e.AgentID) }
func (e ReleaseUpdated) Key() string     { return "release" }
