package gym

import "rapport/policy"

// Learner plays for all agents of one cohort; agents are numbered from 0. Its
// calls come in one order: session by session, in each every agent in turn, Act
// and then Learn for what has become known by then.
type Learner interface {
	// Act gives the levels to use in a session.
	Act(agent int, s Session) policy.Traits
	// Learn tells what people let be known of one session, in which the levels x
	// were used; with a delay that session is long past. Every session is told of
	// at most once, in order. The slice is used again after the call.
	Learn(agent int, x policy.Traits, signals []Signal)
	// Policy gives the levels without exploration.
	Policy(agent int) policy.Traits
}

// Maker makes the learner of a cohort from the levels its agents start with.
type Maker func(starts []policy.Traits, seed uint64) Learner

// Heir is a learner that can play for another cohort of its population, with what
// it knows of the population.
type Heir interface {
	Learner
	Next(starts []policy.Traits, seed uint64) Learner
}

// Static never learns.
func Static(starts []policy.Traits, _ uint64) Learner { return static(starts) }

type static []policy.Traits

func (s static) Act(agent int, _ Session) policy.Traits { return s[agent] }
func (s static) Learn(int, policy.Traits, []Signal)     {}
func (s static) Policy(agent int) policy.Traits         { return s[agent] }

// Believer is a learner that says what it believes of an agent's ideal: the level
// of a trait and its standard deviation.
type Believer interface {
	Learner
	Ideal(agent int, t policy.Trait) (level, sd float64)
}
