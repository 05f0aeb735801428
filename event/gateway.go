package event

func init() {
	register[ReplyGenerated]("gateway", TopicAgents, "a decision: what was said or not said, under which variation")
	register[RulesPublished]("gateway", TopicPlatform, "another version of the mapping rules is in force")
}

// ReplyGenerated: one decision of the gateway and its outcome. The decision is
// durable before the first byte of a reply leaves.
type ReplyGenerated struct {
	DecisionID   DecisionID `json:"decisionId"`
	AgentID      AgentID    `json:"agentId"`
	OwnerID      PersonID   `json:"ownerId"`
	PersonID     PersonID   `json:"personId,omitempty"` // who is answered
	RoomID       RoomID     `json:"roomId,omitempty"`   // empty for a caller who keeps the texts
	MessageID    MessageID  `json:"messageId,omitempty"`
	SessionID    SessionID  `json:"sessionId"`
	EpisodeID    EpisodeID  `json:"episodeId"`
	EpisodeStart Micros     `json:"episodeStart"`

	Action  string   `json:"action"`            // reply, silence, failed
	Reasons []string `json:"reasons,omitempty"` // of the decision to speak or not
	Chance  *float64 `json:"chance,omitempty"`  // of speaking, where the reply frequency decided
	Context string   `json:"context"`           // dmWithOwner …
	Tags    []string `json:"tags,omitempty"`

	Begins  string   `json:"begins,omitempty"`  // what nobody's message asked for: one of the Begins constants
	Opening *Opening `json:"opening,omitempty"` // the variant, of an opening

	PolicyVersion int64     `json:"policyVersion"`
	Revision      int64     `json:"revision"`
	X             []float64 `json:"x"`                    // the variation, per trait in the order of the vocabulary
	Rendered      []float64 `json:"rendered"`             // the levels that reached the model
	Free          uint16    `json:"free"`                 // bit i: trait i was free to vary
	Inaudible     uint16    `json:"inaudible,omitempty"`  // bit i: the model's replies do not change with trait i, so nothing is to be learned of it here
	LogDensity    *float64  `json:"logDensity,omitempty"` // over the free traits; absent when commanded
	Commanded     bool      `json:"commanded,omitempty"`  // a tone button moved the variation

	HoldoutShare float64 `json:"holdoutShare,omitempty"` // how likely the session was to be held out at the owner's start; 0 where it could not be
	Holdout      bool    `json:"holdout,omitempty"`      // it was

	Protected bool `json:"protected,omitempty"`
	Consent   bool `json:"consent"`

	CompileHash  string   `json:"compileHash"`
	RulesVersion int64    `json:"rulesVersion"`
	RulesShare   float64  `json:"rulesShare,omitempty"` // how likely the session was to get this version of the rules, where another one is tried beside it; absent where none is
	Provider     string   `json:"provider,omitempty"`
	Model        string   `json:"model,omitempty"`
	Dropped      []string `json:"dropped,omitempty"` // parameters the model would have refused
	PromptTokens int      `json:"promptTokens,omitempty"`
	ReplyTokens  int      `json:"replyTokens,omitempty"`
	LatencyMilli int64    `json:"latencyMilli,omitempty"`
	Finish       string   `json:"finish,omitempty"` // stop, length, content_filter, error
	Error        string   `json:"error,omitempty"`  // code, never a text of a person
}

// What an agent begins without a message to answer.
const (
	BeginsOpening = "opening"      // the first words in a new direct room
	BeginsPost    = "post"         // something said in a group that fell silent
	BeginsInvite  = "invite"       // another agent of its owner brought into a group of the owner's
	BeginsThread  = "start_thread" // a talk with somebody it is alone with
)

// Opening is one of the first words that were written for an agent, drawn.
type Opening struct {
	Variant string  `json:"variant"` // the same for the same words of the same agent; nothing of them can be read back
	Of      int     `json:"of"`      // how many there were
	Chance  float64 `json:"chance"`  // of this one to be drawn
}

// RulesPublished: another version of the mapping rules is in force.
type RulesPublished struct {
	Version int64 `json:"version"`
}

func (ReplyGenerated) EventType() Type { return "ai.reply.generated" }
func (RulesPublished) EventType() Type { return "gateway.rules.published" }

func (e ReplyGenerated) Key() string { return string(e.AgentID) }
func (e RulesPublished) Key() string { return "rules" }
