// Package safety decides how far a learner may go: which traits may move, how
// sure it must be, what is never allowed, and how much of a wish is published.
//
// Owns: Gate, Together, Fence, Permit, Propose, Verdict.
//
// Invariants: pure and standard library only. A pinned trait never moves; nothing
// leaves the bounds; a published level moves by at most the step bound per new
// entry of evidence and by at most .15 in any seven days, unless the owner acts
// or feedback is withdrawn.
package safety

import (
	"fmt"
	"math"

	"rapport/policy"
)

// The learning paces: how sure a learner must be that a move improves things.
const (
	Careful = "careful" // P ≥ .90
	Normal  = "normal"  // P ≥ .70
	Fast    = "fast"    // P ≥ .60
)

// Gate is a probability and the z-score it stands for.
type Gate struct{ P, Z float64 }

var (
	gateCareful = Gate{.90, 1.2815515655446004}
	gateNormal  = Gate{.70, .5244005127080407}
	gateFast    = Gate{.60, .2533471031357997}
)

// Learned is the probability of being better than the start from which on pages
// may say "learned" and "prefers"; below it they say "trying".
const Learned = .95

// GateOf is the gate of a pace, normal when it is none of the three. A trait whose
// support is approval only (thumbs and ratings, no behaviour, no check-in, no
// wish of the owner) has the gate of the careful pace at least.
func GateOf(pace string, approvalOnly bool) Gate {
	switch {
	case pace == Careful || approvalOnly:
		return gateCareful
	case pace == Fast:
		return gateFast
	}
	return gateNormal
}

// Together is the gate of all moves of one entry in sum, at a pace: what is doubted
// of the kind of owner is doubted of all traits at once. In a world in which no
// trait matters it, and not the gate of single traits, keeps the levels where they
// are.
func Together(pace string) Gate {
	switch pace {
	case Careful:
		return Gate{.99, 2.3263478740408408}
	case Fast:
		return gateNormal
	}
	return Gate{Learned, 1.6448536269514722}
}

// The minimum evidence before a trait moves at all.
const (
	MinEpisodes = 5
	MinRatings  = 1. // owner ratings' worth of information since the start
)

// flattery is how far a trait of the flattery set (empathy up, directness and
// assertiveness down) may go from the start on approval alone.
const flattery = .05

// Fence narrows the range of one trait for a learner that has approval only.
func Fence(t policy.Trait, r policy.Range, start float64, approvalOnly bool) policy.Range {
	if !approvalOnly {
		return r
	}
	switch t {
	case policy.Empathy:
		r.Hi = min(r.Hi, start+flattery)
	case policy.Directness, policy.Assertiveness:
		r.Lo = max(r.Lo, start-flattery)
	}
	return r
}

// Permit gives to, with the traits of every forbidden combination that it would
// complete left as they were in from.
func Permit(from, to policy.Traits) policy.Traits {
	for _, c := range policy.Forbidden() {
		if c.Holds(to) && !c.Holds(from) {
			for _, k := range c.All {
				to[k.Trait] = from[k.Trait]
			}
		}
	}
	return to
}

// The bounds of publication.
const (
	StepBound  = .02 // per trait and new entry of evidence
	DriftBound = .15 // per trait and seven days
	// Noticeable is the smallest difference for which a new version is proposed.
	Noticeable = .005
)

// Verdict is what one bound said of a proposal.
type Verdict struct {
	Gate string // pinned, bounds, step, drift, forbidden
	OK   bool   // false when it held something back
	Note string
}

// Request is a wish to publish levels.
type Request struct {
	Canonical policy.Traits // what is published
	Target    policy.Traits // what the evidence asks for
	WeekAgo   policy.Traits // what was published seven days ago, or by the owner since
	Limits    policy.Bounds
	Pinned    policy.Mask
	Steps     int  // new entries of evidence
	Withdrawn bool // a correction: evidence was taken back
}

// Propose gives the levels to publish, rounded to 1e-6, and a verdict per bound.
// A correction is exempt from step and drift bound, not from pins, bounds and
// forbidden combinations. Levels that would move by less than Noticeable (for a
// correction: at all) stay.
func Propose(r Request) (policy.Traits, []Verdict) {
	var held [5]policy.Mask
	const pinned, bounds, step, drift, forbidden = 0, 1, 2, 3, 4
	least := Noticeable
	if r.Withdrawn {
		least = 1e-6
	}
	to := r.Canonical
	for j := range to {
		t := policy.Trait(j)
		wish := math.Round(r.Target[j]*1e6) / 1e6
		if math.Abs(wish-r.Canonical[j]) < least-1e-12 {
			continue
		}
		if r.Pinned.Has(t) {
			held[pinned] |= 1 << j
			continue
		}
		hold := func(by int, lo, hi float64) {
			if wish < lo || wish > hi {
				held[by] |= 1 << j
				wish = min(max(wish, lo), hi)
			}
		}
		limit := r.Limits.Of(t)
		hold(bounds, limit.Lo, limit.Hi)
		if !r.Withdrawn {
			most := float64(StepBound * float64(r.Steps))
			hold(step, r.Canonical[j]-most, r.Canonical[j]+most)
			// what is already too far stays, it is not drawn back
			hold(drift, min(r.Canonical[j], r.WeekAgo[j]-DriftBound), max(r.Canonical[j], r.WeekAgo[j]+DriftBound))
		}
		to[j] = math.Round(wish*1e6) / 1e6
	}
	if safe := Permit(r.Canonical, to); safe != to {
		for j := range to {
			if safe[j] != to[j] {
				held[forbidden] |= 1 << j
			}
		}
		to = safe
	}
	verdicts := make([]Verdict, len(held))
	for i, gate := range [...]string{"pinned", "bounds", "step", "drift", "forbidden"} {
		verdicts[i] = Verdict{Gate: gate, OK: held[i] == 0}
		if held[i] != 0 {
			verdicts[i].Note = fmt.Sprintf("held back: %v", held[i].Traits())
		}
	}
	return to, verdicts
}
