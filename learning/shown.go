package learning

import (
	"strings"

	"rapport/event"
	"rapport/learning/fusion"
)

// did says in words what a behaviour was, to whoever did it.
var did = map[fusion.Source]string{
	fusion.Engagement:   "how much you took part",
	fusion.Reply:        "how quickly you answered",
	fusion.Behaviour:    "what you did",
	fusion.Sentiment:    "how pleased your answer sounded",
	fusion.TopicChange:  "you spoke of something else",
	fusion.Trouble:      "whether your answer put something right",
	fusion.FollowUp:     "you asked on",
	fusion.Tag:          "you called it by name",
	fusion.Slow:         "you answered later than you usually do",
	fusion.Ignored:      "you spoke with others instead",
	fusion.Abandoned:    "you let its answer stand",
	fusion.Stayed:       "you stayed to the end",
	fusion.InvitedAgain: "you brought it back",
	fusion.LeftAfter:    "you left right after it spoke",
	fusion.EngagedRoom:  "how many of the room took part",
}

// Did says in words what a behaviour was, by the detector that noticed it; empty for one
// that is not known.
func Did(detector string) string { return did[fusion.SourceOf(detector)] }

// Guests is what people other than the owner showed without saying it, of at least
// five people together: how many people, and of how many of them each thing is known.
// Which of them, and what it said, stays theirs.
type Guests struct {
	People int            `json:"people"`
	Showed map[string]int `json:"showed"` // by detector, without its version: people, five at least
}

const fewestGuests = 5

// guestsOf counts who showed what since the owner has the agent; nil for fewer than five.
func guestsOf(signals map[string]*Signal, owner string, since event.Micros) *Guests {
	people, by := map[string]bool{}, map[string]map[string]bool{}
	for _, s := range signals {
		if s.Channel != event.ChannelBehaviour || s.PersonID == owner || s.PersonID == "" || s.Timestamp < since {
			continue
		}
		people[s.PersonID] = true
		name, _, _ := strings.Cut(s.Detector, "/")
		if by[name] == nil {
			by[name] = map[string]bool{}
		}
		by[name][s.PersonID] = true
	}
	if len(people) < fewestGuests {
		return nil
	}
	g := &Guests{People: len(people), Showed: map[string]int{}}
	for name, who := range by {
		if name != "" && len(who) >= fewestGuests {
			g.Showed[name] = len(who)
		}
	}
	return g
}

// shownBehaviours is how many of the listed signals may be behaviour, which comes far
// more often than what somebody says.
const shownBehaviours = 6

// mayShow says whether one more behaviour may be listed.
func mayShow(listed []Rating) bool {
	n := 0
	for i := range listed {
		if listed[i].Channel == event.ChannelBehaviour {
			n++
		}
	}
	return n < shownBehaviours
}
