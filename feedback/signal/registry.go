// Package signal derives learning signals from what people do, and levels from
// the measured features of a text. It is pure: numbers in, numbers out.
//
// Owns: the registry of detectors, each with a version that never changes
// meaning; the engagement, leaving, reply and reaction formulas; the text meter;
// a person's baseline.
//
// Invariants: no detector sees a text; every result is finite and in the range
// that its registration states; sums of a baseline are whole numbers, so that
// their order does not matter.
//
// Start reading at Detectors, then engagement.go.
package signal

import "fmt"

// The detectors in force, as they are named in records and events.
const (
	Engagement = "engagement/1"
	LeftAfter  = "left_after/1"
	Reply      = "reply/1"
	Reaction   = "reaction/1"
)

// Detector is one registered way to derive a signal.
type Detector struct {
	ID       string  // name/version
	Min, Max float64 // range of its scores
	Says     string
}

var detectors = []Detector{
	{Engagement, 0, 1, "how much a person took part in a session, against their own habit once ten sessions are known"},
	{LeftAfter, -.4, -.4, "a person left the room right after a message of the agent"},
	{Reply, .5, 1, "a person answered a message of the agent; quicker than their habit is more"},
	{Reaction, -1, 1, "an emoji whose sign is known on a message of the agent"},
}

// Detectors lists the registry.
func Detectors() []Detector { return append([]Detector(nil), detectors...) }

// Lookup finds a detector. An unknown one is an error: a signal without a
// definition is not stored.
func Lookup(id string) (Detector, error) {
	for _, d := range detectors {
		if d.ID == id {
			return d, nil
		}
	}
	return Detector{}, fmt.Errorf("unknown signal %q", id)
}

// Check says whether a score is one that the detector can give.
func (d Detector) Check(score float64) error {
	if !(score >= d.Min && score <= d.Max) {
		return fmt.Errorf("signal %s: score %v outside [%v,%v]", d.ID, score, d.Min, d.Max)
	}
	return nil
}
