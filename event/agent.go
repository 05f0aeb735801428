package event

import "encoding/json"

func init() {
	register[AgentCreated]("agent", TopicAgents, "an agent exists, with its first policy")
	register[AgentUpdated]("agent", TopicAgents, "the agent's canonical state after one change; the only event a change makes")
	register[AgentTransferred]("agent", TopicAgents, "the agent has a new owner")
	register[AgentRetired]("agent", TopicAgents, "the agent is no more")
	register[AgentRolledBack]("agent", TopicAgents, "an earlier policy was made the newest version again")
	register[PolicyRefused]("agent", TopicAgents, "a proposal was not applied, and why")
}

// The kinds of change an AgentUpdated can tell of.
const (
	ChangeLearned   = "learned"   // a proposal of the learning side
	ChangeWithdrawn = "withdrawn" // feedback was withdrawn or erased and its effect with it
	ChangeEdited    = "edited"    // the owner set levels
	ChangePinned    = "pinned"    // the owner pinned or released traits
	ChangeBounds    = "bounds"    // bounds narrowed and moved the levels inside
	ChangeRollback  = "rollback"  // the owner went back to an earlier version
	ChangePaused    = "paused"    // learning stopped
	ChangeResumed   = "resumed"   // learning goes on
	ChangeKilled    = "killed"    // the kill switch: the agent neither speaks nor learns
	ChangeRevived   = "revived"   // the kill switch was lifted
	ChangeSettings  = "settings"  // anything else the owner set: actions, pace, exploration, runtime
	ChangeMood      = "mood"      // a nudge of the mood
)

// Change says what happened to an agent, by whom and because of what.
type Change struct {
	Kind    string   `json:"kind"`              // one of the Change constants
	By      string   `json:"by"`                // owner, learning, platform
	Cause   string   `json:"cause,omitempty"`   // proposal id, or the owner's own words' id
	Traits  []string `json:"traits,omitempty"`  // the traits the owner touched
	Actions []string `json:"actions,omitempty"` // the action weights the owner changed, as replyFrequency.groupSmall
}

// Mood is an emotional state, each in [-1,1], at a time; it decays to the
// baseline with a half-life of six hours and is computed at reading.
type Mood struct {
	Valence         float64 `json:"valence"`
	Arousal         float64 `json:"arousal"`
	At              Micros  `json:"at"`
	BaselineValence float64 `json:"baselineValence"`
	BaselineArousal float64 `json:"baselineArousal"`
	Off             bool    `json:"off,omitempty"`
}

// AgentState is the canonical state of an agent without its texts.
type AgentState struct {
	AgentID  AgentID         `json:"agentId"`
	OwnerID  PersonID        `json:"ownerId"`
	Version  int64           `json:"version"`
	Policy   json.RawMessage `json:"policy"`   // a policy.Document
	Baseline []float64       `json:"baseline"` // the owner's start per trait, in the order of the vocabulary
	Learning bool            `json:"learning"` // false while paused
	Alive    bool            `json:"alive"`    // false while the kill switch is on
	Pace     string          `json:"pace"`     // careful, normal or fast: the gate of the learner
	Mood     Mood            `json:"mood"`
	Asking   *Asking         `json:"asking,omitempty"` // absent: normal, every tenth talk
	Quiet    *Quiet          `json:"quiet,omitempty"`  // absent: the owner set none
}

// Quiet are the hours in which the agent begins nothing, and answers nobody unasked: from the
// first on until the second, by the owner's clock. Equal for none.
type Quiet struct {
	Zone string `json:"zone"` // of the IANA database, as Europe/Berlin
	From int    `json:"from"` // 0…23
	To   int    `json:"to"`   // 0…23
}

// Asking is how much the owner wants to be asked about the agent.
type Asking struct {
	Intensity string `json:"intensity"` // off, gentle, normal or eager
	Every     int    `json:"every"`     // also after every so many talks that were not long and lively; 0 never
}

// AgentCreated: an agent exists.
type AgentCreated struct{ AgentState }

// AgentUpdated: one change, and the state after it.
type AgentUpdated struct {
	AgentState
	Change Change `json:"change"`
}

// AgentTransferred: the agent has a new owner; its learner keeps a tenth.
type AgentTransferred struct {
	AgentID AgentID  `json:"agentId"`
	From    PersonID `json:"from"`
	To      PersonID `json:"to"`
}

// AgentRetired: the agent is no more.
type AgentRetired struct {
	AgentID AgentID `json:"agentId"`
	Erased  bool    `json:"erased,omitempty"` // with its owner: what was decided for it goes too
}

// AgentRolledBack: version From was left for the levels of version To, as
// version New.
type AgentRolledBack struct {
	AgentID AgentID `json:"agentId"`
	From    int64   `json:"from"`
	To      int64   `json:"to"`
	New     int64   `json:"new"`
}

// PolicyRefused: a proposal was not applied.
type PolicyRefused struct {
	AgentID    AgentID `json:"agentId"`
	ProposalID string  `json:"proposalId"`
	Gate       string  `json:"gate"` // stale, bounds, pinned, paused, killed, drift, approval, schema
	Reason     string  `json:"reason"`
}

func (AgentCreated) EventType() Type     { return "agent.created" }
func (AgentUpdated) EventType() Type     { return "agent.updated" }
func (AgentTransferred) EventType() Type { return "agent.transferred" }
func (AgentRetired) EventType() Type     { return "agent.retired" }
func (AgentRolledBack) EventType() Type  { return "agent.rolled_back" }
func (PolicyRefused) EventType() Type    { return "agent.policy.refused" }

func (e AgentCreated) Key() string     { return string(e.AgentID) }
func (e AgentUpdated) Key() string     { return string(e.AgentID) }
func (e AgentTransferred) Key() string { return string(e.AgentID) }
func (e AgentRetired) Key() string     { return string(e.AgentID) }
func (e AgentRolledBack) Key() string  { return string(e.AgentID) }
func (e PolicyRefused) Key() string    { return string(e.AgentID) }
