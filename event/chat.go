package event

import "time"

func init() {
	register[RoomCreated]("chat", TopicRooms, "a room exists")
	register[RoomJoined]("chat", TopicRooms, "a person or agent came into a room")
	register[RoomLeft]("chat", TopicRooms, "a person or agent left a room")
	register[ConsentChanged]("chat", TopicRooms, "a person allows or forbids signals from what they do in a room")
	register[MessageCreated]("chat", TopicRooms, "a message was said; ids, features and stamps, never its text")
	register[MessageEdited]("chat", TopicRooms, "a message has another text")
	register[MessageDeleted]("chat", TopicRooms, "a message is gone")
	register[ReactionAdded]("chat", TopicRooms, "an emoji on a message")
	register[ReactionRemoved]("chat", TopicRooms, "the emoji was taken back")
	register[AgentInvited]("chat", TopicAgents, "somebody asked an agent into a room")
	register[SessionStarted]("chat", TopicAgents, "an agent and people began to talk in a room")
	register[SessionEnded]("chat", TopicAgents, "the talk ended, with its counts")
	register[PersonForgotten]("chat", TopicAgents, "somebody who shared a room with the agent was erased: what is known of the two goes")
}

// The kinds of author and member.
const (
	KindPerson = "person"
	KindAgent  = "agent"
)

// The places an agent can be, the keys of its reply frequency.
const (
	ContextDMWithOwner  = "dmWithOwner"
	ContextDMWithOthers = "dmWithOthers"
	ContextGroupSmall   = "groupSmall"
	ContextGroupLarge   = "groupLarge"
)

// Member is a person or an agent in a room; exactly one id is set.
type Member struct {
	Kind     string   `json:"kind"`
	PersonID PersonID `json:"personId,omitempty"`
	AgentID  AgentID  `json:"agentId,omitempty"`
}

// ID is the member's id, whichever kind it is.
func (m Member) ID() string {
	if m.Kind == KindAgent {
		return string(m.AgentID)
	}
	return string(m.PersonID)
}

// RoomCreated: a room exists.
type RoomCreated struct {
	RoomID RoomID   `json:"roomId"`
	By     PersonID `json:"by"`
	Direct bool     `json:"direct"` // one person and one agent
}

// RoomJoined: somebody came in.
type RoomJoined struct {
	RoomID  RoomID   `json:"roomId"`
	Member  Member   `json:"member"`
	Inviter PersonID `json:"inviter,omitempty"`
	Members int      `json:"members"` // how many after this
}

// RoomLeft: somebody left.
type RoomLeft struct {
	RoomID  RoomID `json:"roomId"`
	Member  Member `json:"member"`
	Members int    `json:"members"`
}

// ConsentChanged: a person's word on signals in one room.
type ConsentChanged struct {
	RoomID   RoomID   `json:"roomId"`
	PersonID PersonID `json:"personId"`
	Consent  bool     `json:"consent"`
}

// Features are what the versioned text detector measured on a message; nothing
// of the text can be read back from them.
type Features struct {
	Detector  int      `json:"detector"` // version of the detector
	Chars     int      `json:"chars"`
	Words     int      `json:"words"`
	Sentences int      `json:"sentences"`
	Questions int      `json:"questions"`
	Sentiment float64  `json:"sentiment"`                   // -1…1
	Variance  float64  `json:"sentimentVariance,omitempty"` // of the noise in sentiment, 0…1; 1: it could not be read; absent from detector 1
	Tags      []string `json:"tags,omitempty"`
}

// Turn is what a person's message is in its talk with an agent, as far as chat can
// tell. Nothing of a text can be read back from it.
type Turn struct {
	Detector int       `json:"detector"`          // version of what found it
	To       AgentID   `json:"to,omitempty"`      // the agent that it most probably speaks to
	Chance   float64   `json:"chance,omitempty"`  // that it does, 0…1; 1 when a reply, a name or the absence of others says so
	Named    bool      `json:"named,omitempty"`   // it calls the agent by name
	About    MessageID `json:"about,omitempty"`   // the message of the agent that it answers; absent when the chance is too small to act on
	Next     bool      `json:"next,omitempty"`    // nothing was said between the two
	First    bool      `json:"first,omitempty"`   // it is the person's first answer to that message
	Shift    float64   `json:"shift,omitempty"`   // chance that it changes the topic, 0…1
	Trouble  float64   `json:"trouble,omitempty"` // how badly the agent's message seems to have gone, 0…1
}

// MessageSession names the session a message belongs to for one agent of the room.
type MessageSession struct {
	AgentID   AgentID   `json:"agentId"`
	SessionID SessionID `json:"sessionId"`
}

// MessageCreated: a message was said.
type MessageCreated struct {
	RoomID     RoomID           `json:"roomId"`
	MessageID  MessageID        `json:"messageId"`
	Author     Member           `json:"author"`
	Sequence   int64            `json:"sequence"` // place in the room, from 1
	ReplyTo    MessageID        `json:"replyTo,omitempty"`
	Addressed  []AgentID        `json:"addressed,omitempty"`
	Sessions   []MessageSession `json:"sessions,omitempty"`
	DecisionID DecisionID       `json:"decisionId,omitempty"` // of an agent's message made here
	Features   Features         `json:"features"`
	Turn       *Turn            `json:"turn,omitempty"` // of a person who allows signals, in a room with agents
	Direct     bool             `json:"direct"`
	People     int              `json:"people"` // people in the room
	Members    int              `json:"members"`
	Consent    bool             `json:"consent"`              // the author allows signals
	Protected  bool             `json:"protected"`            // somebody in the room is protected
	Imported   bool             `json:"imported,omitempty"`   // said on a foreign platform; nobody here answers it
	OccurredAt Micros           `json:"occurredAt,omitempty"` // a foreign clock's word, for display
}

// MessageEdited: a message has another text.
type MessageEdited struct {
	RoomID    RoomID    `json:"roomId"`
	MessageID MessageID `json:"messageId"`
	Features  Features  `json:"features"`
	Turn      *Turn     `json:"turn,omitempty"`     // what it is in its talk now
	Was       MessageID `json:"was,omitempty"`      // the message of an agent that it answered before
	PersonID  PersonID  `json:"personId,omitempty"` // its author
	Consent   bool      `json:"consent,omitempty"`
	Protected bool      `json:"protected,omitempty"`
}

// MessageDeleted: a message is gone.
type MessageDeleted struct {
	RoomID    RoomID    `json:"roomId"`
	MessageID MessageID `json:"messageId"`
	PersonID  PersonID  `json:"personId,omitempty"` // its author
	About     MessageID `json:"about,omitempty"`    // the message of an agent to which it was their first answer
}

// ReactionAdded: an emoji on a message.
type ReactionAdded struct {
	RoomID    RoomID    `json:"roomId"`
	MessageID MessageID `json:"messageId"`
	PersonID  PersonID  `json:"personId"`
	Emoji     string    `json:"emoji"`
	Consent   bool      `json:"consent"`
	Protected bool      `json:"protected,omitempty"`
	Platform  string    `json:"platform,omitempty"` // the foreign platform that the room is of
}

// ReactionRemoved: the emoji was taken back.
type ReactionRemoved struct {
	RoomID    RoomID    `json:"roomId"`
	MessageID MessageID `json:"messageId"`
	PersonID  PersonID  `json:"personId"`
	Emoji     string    `json:"emoji"`
}

// AgentInvited: somebody asked an agent into a room.
type AgentInvited struct {
	AgentID AgentID  `json:"agentId"`
	RoomID  RoomID   `json:"roomId"`
	By      PersonID `json:"by"`
	Again   bool     `json:"again"` // this person had invited it before
	Consent bool     `json:"consent"`

	Protected bool `json:"protected,omitempty"`
}

// SessionStarted: an agent and people began to talk in a room.
type SessionStarted struct {
	SessionID SessionID `json:"sessionId"`
	AgentID   AgentID   `json:"agentId"`
	RoomID    RoomID    `json:"roomId"`
	StartedBy PersonID  `json:"startedBy,omitempty"` // empty when the agent began
	Protected bool      `json:"protected"`
}

// SessionPerson is one person's part in a session.
type SessionPerson struct {
	PersonID     PersonID `json:"personId"`
	Turns        int      `json:"turns"`
	MedianChars  int      `json:"medianChars"`
	Sentiment    float64  `json:"sentiment"`    // mean over their messages
	LatencyMilli int64    `json:"latencyMilli"` // median pause before they answered the agent, 0 when they never did
	LeftAfter    bool     `json:"leftAfter"`    // left the room right after a message of the agent
	Abandoned    bool     `json:"abandoned"`    // never answered the last of the agent's one or two messages, and 20 minutes passed
	Consent      bool     `json:"consent"`

	With      int       `json:"with,omitempty"`      // messages of theirs that speak to the agent
	WithMilli int64     `json:"withMilli,omitempty"` // from the first to the last of them
	Gone      bool      `json:"gone,omitempty"`      // left the room before the end
	Answer    MessageID `json:"answer,omitempty"`    // the agent's last answer to them
	Heard     bool      `json:"heard,omitempty"`     // they spoke to the agent after it
	Others    int       `json:"others,omitempty"`    // what they said after it to others
	Stood     int64     `json:"stood,omitempty"`     // milliseconds from it to the end
	Spoken    int       `json:"spoken,omitempty"`    // messages of the agent after their last one
}

// SessionEnded: the talk ended.
type SessionEnded struct {
	SessionID     SessionID       `json:"sessionId"`
	AgentID       AgentID         `json:"agentId"`
	RoomID        RoomID          `json:"roomId"`
	StartedBy     PersonID        `json:"startedBy,omitempty"`
	StartedAt     Micros          `json:"startedAt"`
	EndedAt       Micros          `json:"endedAt"`                 // of one that fell silent: its last message
	DurationMilli int64           `json:"durationMilli,omitempty"` // of an imported one, by the clock of its messages; see Duration
	AgentMessages int             `json:"agentMessages"`           // without what it said to other agents
	Messages      int             `json:"messages"`
	People        []SessionPerson `json:"people"`
	Direct        bool            `json:"direct"`
	Protected     bool            `json:"protected"`
	Imported      bool            `json:"imported,omitempty"`
}

// PersonForgotten: somebody who shared a room with the agent was erased. No session
// that comes later names them.
type PersonForgotten struct {
	AgentID  AgentID  `json:"agentId"`
	PersonID PersonID `json:"personId"` // a pseudonym without a mapping from now on
}

// Duration is how long the talk lasted, never negative: of an imported session by
// the clock of its messages, else from its start to its end.
func (e SessionEnded) Duration() time.Duration {
	if e.Imported {
		return max(0, time.Duration(e.DurationMilli)*time.Millisecond)
	}
	return max(0, time.Duration(e.EndedAt-e.StartedAt)*time.Microsecond)
}

func (RoomCreated) EventType() Type     { return "room.created" }
func (RoomJoined) EventType() Type      { return "room.joined" }
func (RoomLeft) EventType() Type        { return "room.left" }
func (ConsentChanged) EventType() Type  { return "room.consent.changed" }
func (MessageCreated) EventType() Type  { return "message.created" }
func (MessageEdited) EventType() Type   { return "message.edited" }
func (MessageDeleted) EventType() Type  { return "message.deleted" }
func (ReactionAdded) EventType() Type   { return "reaction.added" }
func (ReactionRemoved) EventType() Type { return "reaction.removed" }
func (AgentInvited) EventType() Type    { return "agent.invited" }
func (SessionStarted) EventType() Type  { return "session.started" }
func (SessionEnded) EventType() Type    { return "session.ended" }
func (PersonForgotten) EventType() Type { return "person.forgotten" }

func (e RoomCreated) Key() string     { return string(e.RoomID) }
func (e RoomJoined) Key() string      { return string(e.RoomID) }
func (e RoomLeft) Key() string        { return string(e.RoomID) }
func (e ConsentChanged) Key() string  { return string(e.RoomID) }
func (e MessageCreated) Key() string  { return string(e.RoomID) }
func (e MessageEdited) Key() string   { return string(e.RoomID) }
func (e MessageDeleted) Key() string  { return string(e.RoomID) }
func (e ReactionAdded) Key() string   { return string(e.RoomID) }
func (e ReactionRemoved) Key() string { return string(e.RoomID) }
func (e AgentInvited) Key() string    { return string(e.AgentID) }
func (e SessionStarted) Key() string  { return string(e.AgentID) }
func (e SessionEnded) Key() string    { return string(e.AgentID) }
func (e PersonForgotten) Key() string { return string(e.AgentID) }
