package signal

import "math"

// Found is what a detector found.
type Found struct {
	Detector string
	Score    float64 // in the range of the detector
	Noise    float64 // variance of what is not meant by the score, on its scale
}

// SureEnough is the chance of an addressee below which a signal goes to nobody.
const SureEnough = .9

// Turn is a person's message in a talk with an agent: measures, never a text. Each
// stands for itself, so that the order in which they come does not matter.
type Turn struct {
	Sure     float64 // chance that it speaks to the agent, 0…1
	Named    bool    // it calls the agent by name
	About    bool    // it answers a message of the agent that is known
	First    bool    // and is the person's first answer to that
	Next     bool    // nothing was said between
	Question bool
	Mood     float64 // sentiment, -1…1
	MoodVar  float64 // its variance, 1: unknown
	Shift    float64 // chance of another topic, 0…1
	Trouble  float64 // how badly the agent's message seems to have gone, (0,1]; 0: not measured

	Milli int64 // pause since the agent's message by the server's clock; 0: none that can be trusted
}

// Words are the detectors that read a message's words; another text may say otherwise.
var Words = []string{Sentiment, TopicChange, FollowUp, Trouble, Tag}

// Answers are all that read a message.
var Answers = append([]string{Reply, Slow}, Words...)

// Read derives the signals of a message for a person of these habits: nothing below
// SureEnough. Only the first answer to a message tells of it; calling by name counts
// unless it follows the agent's own words at once.
func (t Turn) Read(p Pauses, b Baseline) (out []Found) {
	if !(t.Sure >= SureEnough) {
		return nil
	}
	if t.Named && !(t.About && t.Next) {
		out = append(out, found(Tag, 1))
	}
	if !t.About || !t.First {
		return out
	}
	if t.MoodVar > 0 && t.MoodVar < 1 {
		f := found(Sentiment, t.Mood)
		f.Noise = t.MoodVar
		out = append(out, f)
	}
	changes := t.Shift >= shiftAt
	switch {
	case changes:
		out = append(out, found(TopicChange, -1))
	case t.Question:
		out = append(out, found(FollowUp, 1))
	}
	if t.Trouble > 0 {
		out = append(out, found(Trouble, round(1-2*min(1, t.Trouble))))
	}
	if t.Milli <= 0 {
		return out
	}
	out = append(out, found(Reply, ReplyScore(t.Milli, b)))
	if slow, known := p.Slow(t.Milli); known && slow {
		out = append(out, found(Slow, -1))
	}
	return out
}

// Numbers of the end of a session.
const (
	stayedFor     = 180_000 // ms from a person's first to last message to the agent
	ignoredTurns  = 2       // messages to others after an answer of the agent
	abandonedMost = 2       // messages of the agent after a person's last
	engagedPeople = 3       // the least number of people of whom a share is told
)

// Part is what a person had to do with an agent in a session.
type Part struct {
	With      int   // messages that speak to the agent
	WithMilli int64 // from the first to the last of them; 0: no time can be trusted
	Gone      bool  // left before the end
	Left      bool  // right after a message of the agent
	Answered  bool  // the agent answered them
	Heard     bool  // they spoke to the agent after its last answer to them
	Others    int   // what they said to others after it
	Stood     int64 // ms from that answer to the end; 0: no time can be trusted
	Spoken    int   // messages of the agent after their last one
}

// Read derives what the end of a session tells of a person who spoke with the agent.
// Ignored and Abandoned are about the agent's last answer, the rest about the session.
func (p Part) Read(pauses Pauses) (out []Found) {
	if p.With == 0 {
		return nil
	}
	if p.Left {
		out = append(out, found(LeftAfter, LeftAfterScore))
	}
	if p.WithMilli >= stayedFor && !p.Gone {
		out = append(out, found(Stayed, 1))
	}
	switch {
	case !p.Answered || p.Heard:
	case p.Others >= ignoredTurns:
		out = append(out, found(Ignored, -1))
	case p.Others == 0 && !p.Gone && p.Stood > 0 && p.Spoken <= abandonedMost && pauses.N >= PausesNeeded && p.Stood >= pauses.Quantile(.95):
		out = append(out, found(Abandoned, -1))
	}
	return out
}

// RoomEngaged is the share of the people who spoke in a room that spoke with the
// agent; false for fewer than three, of whom it would tell each.
func RoomEngaged(spoke, with int) (Found, bool) {
	if spoke < engagedPeople || with <= 0 {
		return Found{}, false
	}
	return found(EngagedRoom, round(math.Min(1, float64(with)/float64(spoke)))), true
}

// Invited is what bringing an agent back tells.
func Invited() Found { return found(InvitedAgain, 1) }

// Reacted is what an emoji tells; false when it says nothing.
func Reacted(emoji string, e Emoji) (Found, bool) {
	score, ok := e.Score(emoji)
	if !ok {
		return Found{}, false
	}
	return found(Reaction, score), true
}

// Engaged is what a session's counts tell; see EngagementOf.
func Engaged(turns, medianChars int, pauseMilli int64, b Baseline) (Found, bool) {
	score, ok := EngagementOf(turns, medianChars, pauseMilli, b)
	return found(Engagement, score), ok
}

// found is a signal with the noise of its registration.
func found(detector string, score float64) Found {
	d, err := Lookup(detector)
	if err != nil {
		panic(err) // a constant of this package
	}
	return Found{detector, score, d.Noise}
}
