package event

func init() {
	register[FeedbackCreated]("feedback", TopicAgents, "one learning signal about an agent, joined to what it is about")
	register[FeedbackRetracted]("feedback", TopicAgents, "a signal was withdrawn; its effect goes with it")
	register[FeedbackAsked]("feedback", TopicPeople, "a person is asked what they think of an agent of theirs, and what became of that")
}

// Roles of a rater towards the agent, decided by the server.
const (
	RoleOwner       = "owner"
	RoleParticipant = "participant"
	RoleReviewer    = "reviewer"
)

// Channels: how a signal was given.
const (
	ChannelSession   = "session"   // a level after a session
	ChannelThumb     = "thumb"     // up or down on a message
	ChannelMoreLess  = "more_less" // more or less like this message
	ChannelTone      = "tone"      // a tone button: direction only
	ChannelCheckIn   = "check_in"  // how is the agent doing lately
	ChannelReaction  = "reaction"  // an emoji with a known sign
	ChannelBehaviour = "behaviour" // derived by the server
	ChannelReview    = "review"    // a reviewer's mark
	ChannelReason    = "reason"    // why a message or session was bad, where that says in which direction
	ChannelCorrected = "corrected" // what the owner would have said, measured against what was said
)

// Share is the part of a signal that one episode gets. Shares of one signal
// sum to 1.
type Share struct {
	EpisodeID EpisodeID `json:"episodeId"`
	Start     Micros    `json:"start"` // the episode's start, its place in the learner's list
	Weight    float64   `json:"weight"`
}

// Direction is what a tone button, a reason or a correction asks for: more (+1) or
// less (-1) of a trait than the message at hand had.
type Direction struct {
	Trait string `json:"trait"`
	Sign  int    `json:"sign"`
}

// Measured is a level read from a text by a versioned meter, for messages that
// no variation of ours produced.
type Measured struct {
	Meter  int                `json:"meter"`
	Levels map[string]float64 `json:"levels"` // by trait name, [0,1]
}

// FeedbackCreated: one learning signal.
type FeedbackCreated struct {
	FeedbackID FeedbackID `json:"feedbackId"`
	AgentID    AgentID    `json:"agentId"`
	OwnerID    PersonID   `json:"ownerId"`
	RaterID    PersonID   `json:"raterId"`
	Role       string     `json:"role"`
	Source     string     `json:"source"` // owner, participant, implicit, reviewer
	Channel    string     `json:"channel"`
	Signal     string     `json:"signal,omitempty"` // what derived it, with its version: the detector of a behaviour, as engagement/1, or the meter of a correction
	Level      string     `json:"level,omitempty"`  // loved, good, meh, not_great
	Score      float64    `json:"score"`            // -1…1; of an engagement 0…1
	Noise      float64    `json:"noise,omitempty"`  // of a behaviour: variance of what the score does not mean, on its scale

	Direction *Direction `json:"direction,omitempty"`
	Measured  *Measured  `json:"measured,omitempty"`

	MessageID  MessageID  `json:"messageId,omitempty"`
	DecisionID DecisionID `json:"decisionId,omitempty"`
	SessionID  SessionID  `json:"sessionId,omitempty"`
	RoomID     RoomID     `json:"roomId,omitempty"`
	Shares     []Share    `json:"shares,omitempty"` // empty: for projections only, no episode is known

	Sentiment  *float64   `json:"sentiment,omitempty"`
	Context    string     `json:"context,omitempty"` // dmWithOwner …
	Tags       []string   `json:"tags,omitempty"`
	Supersedes FeedbackID `json:"supersedes,omitempty"`
	Protected  bool       `json:"protected,omitempty"`
	Imported   bool       `json:"imported,omitempty"`
	Weight     float64    `json:"weight,omitempty"` // less than 1: it counts for so much of one, because of signs that one person is behind many accounts; absent: fully
	OccurredAt Micros     `json:"occurredAt,omitempty"`
}

// Commands says whether a direction also acts at once, for the rest of the session: a
// reason and a correction are evidence only.
func (e FeedbackCreated) Commands() bool {
	return e.Direction != nil && (e.Channel == ChannelTone || e.Channel == ChannelMoreLess)
}

// FeedbackRetracted: a signal was withdrawn.
type FeedbackRetracted struct {
	FeedbackID FeedbackID `json:"feedbackId"`
	AgentID    AgentID    `json:"agentId"`
	RaterID    PersonID   `json:"raterId"`
	Reason     string     `json:"reason"` // withdrawn, erased, excluded, deleted (with the message it is about)
}

// FeedbackAsked: a prompt took a step. There is one event for each step it takes.
type FeedbackAsked struct {
	PromptID   PromptID   `json:"promptId"`
	PersonID   PersonID   `json:"personId"`
	AgentID    AgentID    `json:"agentId"`
	Kind       string     `json:"kind"`                // after_session, inline, check_in
	State      string     `json:"state"`               // asked, shown, skipped, answered
	SessionID  SessionID  `json:"sessionId,omitempty"` // the talk it is about
	MessageID  MessageID  `json:"messageId,omitempty"` // the answer it is about
	FeedbackID FeedbackID `json:"feedbackId,omitempty"`
}

func (FeedbackCreated) EventType() Type   { return "feedback.created" }
func (FeedbackRetracted) EventType() Type { return "feedback.retracted" }
func (FeedbackAsked) EventType() Type     { return "feedback.asked" }

func (e FeedbackCreated) Key() string   { return string(e.AgentID) }
func (e FeedbackRetracted) Key() string { return string(e.AgentID) }
func (e FeedbackAsked) Key() string     { return string(e.PersonID) }
