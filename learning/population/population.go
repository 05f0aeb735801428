package population

import (
	"errors"

	"rapport/learning/step"
	"rapport/policy"
)

// Formula is the version of the features that coefficients belong to: a prior of
// another one cannot be compared with.
const Formula = step.Formula

// Statistics are what one agent's learner gives to a refit; nothing else leaves
// it. S, H, YY and N are forgotten together: each grows by its part of an
// observation and shrinks by the same factors.
type Statistics struct {
	Agent string        // opaque and unique; of two with one name the one with more evidence counts
	Owner string        // opaque: whose vote it shares
	Start policy.Traits // the owner's start
	S     [step.Tri]float64
	H     step.Vec // Σ w φ y
	YY    float64  // Σ w y²
	N     float64  // Σ 1, how many fused observations
}

// Version is a prior that can be adopted, with what is known of its components. The
// zero Version means the default prior.
type Version struct {
	Formula    int // of the package at the time
	Prior      *step.Prior
	Archetypes []Archetype // one per component of a fitted prior, in its order; none for the default prior
	NextID     int         // the id that the next new archetype gets
}

// Archetype is a kind of owner that emerged.
type Archetype struct {
	ID          int           // stable across refits, from 1; never given twice
	Description string        // plain words, such as "brief, direct, little small talk"
	Start       policy.Traits // where such owners start, on average
	Centre      policy.Traits // the levels that those like best, on average
	Importance  policy.Traits // what being a whole range away from the centre costs, owner-rating units
	Share       float64       // of owners
	Agents      int           // for which it is the most probable kind
	Owners      int           // of those agents
}

// Result is the version to adopt and how it was found. When Fit gives an error, the
// version is the previous one.
type Result struct {
	Version Version
	Report  Report
}

// Report says what a refit looked at and decided.
type Report struct {
	Agents     int              // that counted
	Owners     int              // of those, the votes
	Thin       int              // agents with fewer than three observations
	Refused    map[string]int   // agents whose statistics were unusable, by reason
	K          int              // kinds chosen; 0 is the default prior
	Evidence   map[int]Evidence // by K, of what was tried
	Candidates []Candidate      // K that could not be had, with the reason
	Retired    []int            // ids of archetypes of the previous version without a successor
	Diversity  float64          // of tastes under the version, owner-rating units
}

// Evidence is how well priors with K kinds, fitted on one half of the owners,
// predict the other half.
type Evidence struct {
	Mean float64 // log marginal likelihood per owner beyond that of the default prior, nats
	SE   float64 // standard error of that mean
}

// Candidate is a number of kinds that was not taken.
type Candidate struct {
	K      int
	Reason string
}

// The errors of a refit. Each comes with its reason; the previous version stays.
var (
	ErrEmpty    = errors.New("population refit refused: no agents with evidence")
	ErrThin     = errors.New("population refit refused: too few owners for the prior that is there")
	ErrUnsound  = errors.New("population refit refused: too many unusable statistics")
	ErrFormula  = errors.New("population refit refused: the previous prior has another formula version")
	ErrCollapse = errors.New("population refit refused: it would collapse the diversity of archetypes")
)
