// Package reward turns signals into numbers: what a session level, a thumb or a
// behaviour is worth, under a numbered formula.
//
// Owns: Version, Event (the normalised input), Score, Of.
//
// Invariants: pure and standard library only. Equal inputs under an equal version
// give equal numbers, byte for byte; a formula never changes, it gets a
// successor.
package reward

import "strings"

// Version numbers a formula.
type Version int

const (
	// V1 is the classic formula of fixed weights.
	V1 Version = 1
	// V2 gives the values that the learner's loadings are defined on; how much
	// each weighs is for package fusion.
	V2 Version = 2
)

// The session levels.
const (
	Loved    = "loved"
	Good     = "good"
	Meh      = "meh"
	NotGreat = "not_great"
)

var levels = map[string][2]float64{ // V1, V2
	Loved: {1, 1}, Good: {.5, .5}, Meh: {0, -.25}, NotGreat: {-1, -1},
}

// The channels that have values of their own; any other keeps its score.
const (
	channelSession  = "session"
	channelThumb    = "thumb"
	channelMoreLess = "more_less"
)

// Score is the value of an explicit signal in [-1,1]. A session level by its
// word: loved 1, good .5, meh 0 (V1) or −.25 (V2), not great −1; without a word
// its score. A thumb, and more or less like this, by its sign: +.8 or −1 (V1),
// ±1 (V2). Everything else its score, clipped.
func Score(v Version, channel, level string, score float64) float64 {
	switch channel {
	case channelSession:
		if l, ok := levels[level]; ok {
			return l[v-1]
		}
	case channelThumb, channelMoreLess:
		switch {
		case score > 0 && v == V1:
			return .8
		case score > 0:
			return 1
		case score < 0:
			return -1
		}
	}
	return clamp(score)
}

// Event is one signal in the form that reward takes: who, about what kind of
// action, with which scores.
type Event struct {
	AgentID         string   `json:"agentId"`
	PersonID        string   `json:"personId"`
	ActionType      string   `json:"actionType"` // reply, session, invite, review, check_in
	ContextTags     []string `json:"contextTags"`
	FeedbackScore   *float64 `json:"feedbackScore"`   // explicit, [-1,1]; absent when only behaviour speaks
	EngagementScore *float64 `json:"engagementScore"` // [0,1]
	Timestamp       int64    `json:"timestamp"`       // microseconds UTC
}

// Behaviour is what formula V1 asks of a session beside the scores.
type Behaviour struct {
	LongPositive bool // a long session with positive sentiment
	LeftAfter    bool // left right after the agent spoke
	EngagedRoom  bool // a room that stayed engaged
	GuardFired   bool // a safety guard stopped something
}

// BehaviourOf reads the name of a behaviour signal (as "left_after/1") for V1.
func BehaviourOf(signal string) Behaviour {
	name, _, _ := strings.Cut(signal, "/")
	return Behaviour{LongPositive: name == "long_session", LeftAfter: name == "left_after", EngagedRoom: name == "engaged_room"}
}

// Reward is a number in [-1,1] with its parts.
type Reward struct {
	Value    float64 `json:"value"`
	Explicit float64 `json:"explicit"`
	Implicit float64 `json:"implicit"`
	Safety   float64 `json:"safety"`
	Version  Version `json:"version"`
}

// Of is formula V1: clamp(1·explicit + 1·implicit + 1·safety) to [-1,1], where
// explicit is the event's score, implicit the sum of long positive session +.3,
// left right after −.4 and engaged room +.5, and safety −1 when a guard fired.
func Of(e Event, b Behaviour) Reward {
	r := Reward{Version: V1}
	if e.FeedbackScore != nil {
		r.Explicit = clamp(*e.FeedbackScore)
	}
	if b.LongPositive {
		r.Implicit += .3
	}
	if b.LeftAfter {
		r.Implicit -= .4
	}
	if b.EngagedRoom {
		r.Implicit += .5
	}
	if b.GuardFired {
		r.Safety = -1
	}
	r.Value = clamp(r.Explicit + r.Implicit + r.Safety)
	return r
}

func clamp(v float64) float64 { return min(1, max(-1, v)) }
