package policy

// Document is the policy of one agent at one version: what the learning side
// proposes, the agent service publishes and the gateway compiles. It holds no
// text that a person wrote.
type Document struct {
	AgentID       string       `json:"agentId"`
	Version       int64        `json:"version"` // counts changes of traits, actions, pins and bounds, from 1
	Parent        int64        `json:"parent"`  // the version this one was made from, 0 for the first
	Reason        string       `json:"reason"`
	Traits        Traits       `json:"traits"`
	ToneWeights   ToneWeights  `json:"toneWeights"` // displayed, derived from the traits, never learned
	ActionPolicy  ActionPolicy `json:"actionPolicy"`
	Exploration   Exploration  `json:"exploration"`
	Memory        Memory       `json:"memory"`
	Runtime       Runtime      `json:"runtime"`
	Pinned        Mask         `json:"pinned"`
	Bounds        Bounds       `json:"bounds"`
	AutonomyLevel int          `json:"autonomyLevel"` // 0 speaks when addressed … 3 starts threads and rooms
	LastUpdatedBy string       `json:"lastUpdatedBy"` // owner, learning, platform
	LastUpdatedAt int64        `json:"lastUpdatedAt"` // microseconds UTC

	Evidence map[string]Evidence `json:"evidence,omitempty"` // by trait name
}

// Evidence is what a learned level rests on.
type Evidence struct {
	N int     `json:"n"` // own episodes with feedback since the start
	P float64 `json:"p"` // P(this level is better than the start)

	Ideal float64 `json:"ideal,omitempty"` // the level believed to be best, with its
	SD    float64 `json:"sd"`              // standard deviation, trait units
}

// ReplyFrequency is the share of unaddressed messages an agent answers, by
// where it is; each in [0,1]. An addressed message in a direct room is always
// answered.
type ReplyFrequency struct {
	DMWithOwner  float64 `json:"dmWithOwner"`
	DMWithOthers float64 `json:"dmWithOthers"`
	GroupSmall   float64 `json:"groupSmall"`
	GroupLarge   float64 `json:"groupLarge"`
}

// ActionPolicy is how likely the agent is to act, each probability in [0,1].
type ActionPolicy struct {
	ReplyFrequency             ReplyFrequency `json:"replyFrequency"`
	PostProbability            float64        `json:"postProbability"`
	CommentProbability         float64        `json:"commentProbability"`
	InviteProbability          float64        `json:"inviteProbability"`
	StartThreadProbability     float64        `json:"startThreadProbability"`
	MaxAutonomousActionsPerDay int            `json:"maxAutonomousActionsPerDay"`
}

// The exploration strategies.
const (
	StrategyMixture = "posterior-mixture"
	StrategyEpsilon = "epsilon"
	StrategyOff     = "off"
)

// Exploration is how much of an agent's sessions try something slightly new.
type Exploration struct {
	Epsilon  float64 `json:"epsilon"`  // share of sessions that explore, [0,1]
	Strategy string  `json:"strategy"` // posterior-mixture, epsilon or off
	Revision int64   `json:"revision"` // counts published mixtures, not part of the owner's history

	// HoldoutOff: no session is held out at the owner's start, so nobody can say
	// whether what was learned is better. Nor is one with the strategy off.
	HoldoutOff bool `json:"holdoutOff,omitempty"`
}

// Memory names facts, never their texts.
type Memory struct {
	LeanInto  []string `json:"leanInto"`
	AvoidWith []string `json:"avoidWith"`
}

// Runtime is what the owner or the registry set about the model.
type Runtime struct {
	PreferredProvider string `json:"preferredProvider,omitempty"`
	PreferredModel    string `json:"preferredModel,omitempty"`
	Archetype         string `json:"archetype,omitempty"`
}

// ToneWeights are display values in [0,1] that sum to 1: softmax of fixed tone
// directions in trait space.
type ToneWeights map[string]float64

// Default is the first policy of an agent about which nothing was said: neutral
// levels, answers where it is asked, explores in every session by the posterior
// mixture, acts unasked never (autonomy 0).
func Default(agentID string) Document {
	d := Document{
		AgentID: agentID, Version: 1, Reason: "created", Traits: Neutral(),
		ActionPolicy: ActionPolicy{
			ReplyFrequency:  ReplyFrequency{DMWithOwner: .9, DMWithOthers: .6, GroupSmall: .7, GroupLarge: .4},
			PostProbability: .15, CommentProbability: .10, InviteProbability: .03, StartThreadProbability: .02,
			MaxAutonomousActionsPerDay: 3,
		},
		Exploration: Exploration{Epsilon: 1, Strategy: StrategyMixture},
		Memory:      Memory{LeanInto: []string{}, AvoidWith: []string{}},
		Bounds:      Bounds{}, LastUpdatedBy: ByOwner,
	}
	d.ToneWeights = ToneWeightsOf(d.Traits)
	return d
}

// Who a version of a document was made by.
const (
	ByOwner    = "owner"
	ByLearning = "learning"
	ByPlatform = "platform"
)

// Limits are the bounds that hold for the document: its own inside the
// platform's.
func (d Document) Limits() Bounds { return d.Bounds.Within(Platform(d.Runtime.Archetype)) }
