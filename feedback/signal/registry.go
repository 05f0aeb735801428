// Package signal derives learning signals from what people do, and levels from
// the measured features of a text. It is pure: numbers in, numbers out.
//
// Owns: the registry of detectors, each with a version that never changes
// meaning and the variance of its noise; what a message and a session's end tell;
// the engagement and reply formulas; the text meter; a person's baseline and
// pauses; the meanings of emoji.
//
// Invariants: no detector sees a text; every result is finite and in the range
// that its registration states; sums of a baseline are whole numbers, so that
// their order does not matter.
//
// Start reading at Detectors, then turn.go, then engagement.go.
package signal

import "fmt"

// The detectors in force, as they are named in records and events.
const (
	Engagement   = "engagement/1"
	LeftAfter    = "left_after/1"
	Reply        = "reply/1"
	Reaction     = "reaction/1"
	Sentiment    = "sentiment/2"
	TopicChange  = "topic_change/1"
	Trouble      = "trouble/1"
	FollowUp     = "follow_up/1"
	Tag          = "tag/1"
	Slow         = "slow/1"
	Ignored      = "ignored/1"
	Abandoned    = "abandoned/1"
	Stayed       = "stayed/1"
	InvitedAgain = "invited_again/1"
	EngagedRoom  = "engaged_room/1"
)

// shiftAt is the chance of another topic from which a turn is called a change; the
// detector of the chance says at which it was measured.
const shiftAt = .28

// Detector is one registered way to derive a signal.
type Detector struct {
	ID       string  // name/version
	Min, Max float64 // range of its scores
	Noise    float64 // variance of what is not meant by the score, on its scale, before anything is learned
	Measured bool    // Noise was measured on real data; else it is a cautious guess
	Reads    string  // what it is derived from
	Says     string
}

var detectors = []Detector{
	{Abandoned, -1, -1, .8, false, "session's end, the person's own pauses", "a person let the agent's last answer to them stand for longer than 95 of 100 of their pauses, and the session ended within two messages of the agent"},
	{EngagedRoom, 0, 1, .1, false, "session's end", "share of the people who spoke in the room that spoke with the agent; from three people, about nobody alone"},
	{Engagement, 0, 1, .022, false, "session's counts, the person's habit", "how much a person took part in a session, against their own habit once ten sessions are known"},
	{FollowUp, 1, 1, .8, false, "questions and topic of an answer", "a person answered a message of the agent by asking on"},
	{Ignored, -1, -1, .8, false, "session's end", "a person spoke to others twice after the agent's last answer to them, and to it no more"},
	{InvitedAgain, 1, 1, .5, false, "invitations", "a person invited an agent that they had invited before, here or into another room"},
	{LeftAfter, -.4, -.4, .16, false, "session's end", "a person who had spoken with the agent left the room right after a message of it"},
	{Reaction, -1, 1, .7, false, "emoji, the platform's and owner's meanings", "an emoji whose sign is known on a message of the agent"},
	{Reply, .5, 1, .022, false, "time of an answer, the person's habit", "a person answered a message of the agent; quicker than their habit is more"},
	{Sentiment, -1, 1, .13, true, "sentiment of an answer", "how pleased an answer to the agent sounds; each value has a noise of its own"},
	{Slow, -1, -1, .9, false, "time of an answer, the person's own pauses", "an answer to the agent took longer than 96 of 100 of the person's pauses"},
	{Stayed, 1, 1, .8, false, "session's end", "a person spoke with the agent for three minutes or more and was there at the end"},
	{Tag, 1, 1, .6, false, "mentions", "a person called the agent by name, unasked"},
	{TopicChange, -1, -1, .25, true, "chance of another topic of an answer", "a person answered the agent by speaking of something else"},
	{Trouble, -1, 1, .103, true, "words of an answer", "1 − 2 × how badly the answer says that the agent's message went"},
}

// Detectors lists the registry.
func Detectors() []Detector { return append([]Detector(nil), detectors...) }

// Lookup finds a detector. An unknown one is an error: a signal without a
// definition is not stored.
func Lookup(id string) (Detector, error) {
	if i, ok := place[id]; ok {
		return detectors[i], nil
	}
	return Detector{}, fmt.Errorf("unknown signal %q", id)
}

var place = func() map[string]int {
	m := make(map[string]int, len(detectors))
	for i, d := range detectors {
		m[d.ID] = i
	}
	return m
}()

// Check says whether a score is one that the detector can give.
func (d Detector) Check(score float64) error {
	if !(score >= d.Min && score <= d.Max) {
		return fmt.Errorf("signal %s: score %v outside [%v,%v]", d.ID, score, d.Min, d.Max)
	}
	return nil
}
