// Package door is where a foreign platform's events come in: POST /v1/events.
// It takes commands only (rooms, sessions, messages, reactions, raw feedback),
// never what this system alone may say (rl.*, agent.*, account.*).
//
// Owns: the items' form and the dispatch to the verbs of chat and feedback. Ids
// are hashes of the token's source and the external id, so sending again is
// harmless; people become pseudonyms; the foreign time is kept as occurredAt,
// order is by receipt.
//
// Start reading at Item, then Door.Take.
package door

import (
	"encoding/json"

	"rapport/event"
)

// The item types, as CloudEvents types.
const (
	RoomCreated    = "room.created"
	RoomJoined     = "room.joined"
	RoomLeft       = "room.left"
	MessageIngest  = "message.ingested"
	SessionStarted = "session.started"
	SessionEnded   = "session.ended"
	ReactionAdded  = "reaction.added"
	ReactionGone   = "reaction.removed"
	MessageEdited  = "message.edited"
	MessageDeleted = "message.deleted"
	FeedbackGiven  = "feedback.given"
)

// Types lists what the door takes.
func Types() []string {
	return []string{RoomCreated, RoomJoined, RoomLeft, MessageIngest, SessionStarted, SessionEnded, ReactionAdded, ReactionGone, MessageEdited, MessageDeleted, FeedbackGiven}
}

// Item is one CloudEvent of a foreign platform. ID is unique within its Source.
type Item struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"` // the platform's name; a token's own source wins
	Type        string          `json:"type"`
	Time        string          `json:"time,omitempty"`
	Data        json.RawMessage `json:"data"`
}

// form is an Item with its data, for the API's description.
type form struct {
	_ struct{} `additionalProperties:"true"` // CloudEvents' other attributes are passed over

	SpecVersion string `json:"specversion" enum:"1.0"`
	ID          string `json:"id" minLength:"1" maxLength:"512" doc:"Unique on your platform. Sent again, it changes nothing."`
	Source      string `json:"source,omitempty" doc:"Your platform's name; the token's own wins."`
	Type        string `json:"type" enum:"room.created,room.joined,room.left,message.ingested,session.started,session.ended,reaction.added,reaction.removed,message.edited,message.deleted,feedback.given"`
	Time        string `json:"time,omitempty" format:"date-time" doc:"When it happened, by your clock. It is shown; order is by receipt."`
	Data        Data   `json:"data"`
}

// Who is the author or subject of an item: a person of the foreign platform by
// its id there, or an agent by its id here.
type Who struct {
	Person string        `json:"person,omitempty"`
	Agent  event.AgentID `json:"agent,omitempty"`
}

// Data is the payload of every item type; each uses the fields it names.
//
//	room.created      room, agents
//	room.joined/left  room, who, consent
//	message.ingested  room, message, who, text, replyTo, consent
//	session.started   room, agent
//	session.ended     room, agent
//	reaction.added    room, message, who (a person), emoji; reaction.removed too
//	message.edited    room, message, text
//	message.deleted   room, message
//	feedback.given    message, who (a person), mark (-1, 0 or 1): a reviewer's mark; or
//	                  message or decision, who, press (up or down), comment: a button
//	                  under an answer, pressed by somebody who took part
type Data struct {
	Room    string          `json:"room,omitempty"`
	Agents  []event.AgentID `json:"agents,omitempty"`
	Agent   event.AgentID   `json:"agent,omitempty"`
	Who     *Who            `json:"who,omitempty"`
	Message string          `json:"message,omitempty"`
	ReplyTo string          `json:"replyTo,omitempty"`
	Text    string          `json:"text,omitempty"`
	Emoji   string          `json:"emoji,omitempty"`
	Mark    *int            `json:"mark,omitempty"`
	Press   string          `json:"press,omitempty"`
	Comment string          `json:"comment,omitempty"`

	Decision event.DecisionID `json:"decision,omitempty"`

	Consent *bool `json:"consent,omitempty"` // of who, in the room: the platform's word for it that signals are allowed
}

// The fates of an item.
const (
	Accepted  = "accepted"  // durable, once
	Duplicate = "duplicate" // was here before; nothing changed
	Waiting   = "waiting"   // durable; takes effect when what it is about arrives
	Refused   = "refused"   // see Reason; send it corrected under another id
)

// Result is the fate of one item.
type Result struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"` // code of a refusal
	Detail string `json:"detail,omitempty"` // what to do about it

	RetryAfter int `json:"retryAfter,omitempty" doc:"Of one that was refused for now: seconds until it can be taken, under the same id."`

	err error
}
