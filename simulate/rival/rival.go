// Package rival holds learners to compare with: what one would try first, what
// the textbooks offer, and our own regression without its population.
//
// Owns: Rival, All, Named; Reward, the classic formula of fixed weights that all
// of them but the last learn from.
//
// Invariants: a rival is a function of its starts, its seed and what it is told;
// every agent is learned for on its own. Settings are those that did best in the
// yardstick world on other seeds than any that is reported; each docstring names
// them.
//
// Start reading at All, then the file of a rival.
package rival

import (
	"rapport/policy"
	"rapport/simulate/gym"
)

// Rival is a learner to compare with.
type Rival struct {
	Name string
	What string // in one line
	Make gym.Maker
}

// All lists the rivals in the order of the table in docs/simulate.md.
var All = []Rival{
	{"static", "never changes", gym.Static},
	{"plain", "ε-greedy on single traits, running means, small steps", solo(plain{epsilon: .2, delta: .1, step: .05}.start)},
	{"plain-tuned", "the same, tuned: ε .7, δ .3", solo(plain{epsilon: .7, delta: .3, step: .05, margin: .1, all: true}.start)},
	{"es", "evolution strategy: all traits perturbed at once (SPSA), tuned", solo(newSPSA)},
	{"ekf", "extended Kalman filter on the ideal and the importances", solo(newEKF)},
	{"linucb", "LinUCB over 17 arms: each trait up or down, or stay", solo(bandit{choose: linUCB}.start)},
	{"lints", "linear Thompson sampling over the same arms", solo(bandit{choose: linTS}.start)},
	{"squarecb", "SquareCB over the same arms", solo(bandit{choose: squareCB}.start)},
	{"bayes", "our regression, each agent alone: no population prior, no learned loadings, no reputation", gym.Ours(gym.Options{Alone: true, NoTrust: true})},
}

// Named finds a rival.
func Named(name string) (Rival, bool) {
	for _, r := range All {
		if r.Name == name {
			return r, true
		}
	}
	return Rival{}, false
}

// Reward is the classic formula: an owner's rating as it is, their thumb +.8 or −1,
// anybody else's thumb or review half its value, an engagement above .75 +.3 (+.5
// in a room) and below .5 −.4; summed and clipped to [−1,1]. Said is false when
// none of these is there, and there is nothing to learn from.
func Reward(signals []gym.Signal, place gym.Place) (reward float64, said bool) {
	for _, s := range signals {
		var v float64
		switch s.Source {
		case gym.OwnerRating:
			v = s.Value
		case gym.OwnerThumb:
			v = .8
			if s.Value < 0 {
				v = -1
			}
		case gym.GuestThumb, gym.Review:
			v = .5 * s.Value
		case gym.Implicit:
			switch {
			case s.Value > .75 && place >= gym.SmallRoom:
				v = .5
			case s.Value > .75:
				v = .3
			case s.Value < .5:
				v = -.4
			default:
				continue
			}
		default:
			continue
		}
		reward, said = reward+v, true
	}
	return min(1, max(-1, reward)), said
}

// player plays for one agent, and is asked to act session by session.
type player interface {
	// act gives the levels to use in the next session.
	act() policy.Traits
	// learn tells what session n, with the levels x, was worth.
	learn(n int, x *policy.Traits, reward float64)
	// levels gives the policy.
	levels() policy.Traits
}

// solo lets a player of its own play for every agent.
func solo(start func(policy.Traits, policy.Stream) player) gym.Maker {
	return func(starts []policy.Traits, seed uint64) gym.Learner {
		c := crowd{make([]player, len(starts)), make([][]gym.Place, len(starts))}
		for i, s := range starts {
			c.players[i] = start(s, gym.Stream(seed, uint64(i)))
		}
		return c
	}
}

type crowd struct {
	players []player
	places  [][]gym.Place // by agent and session
}

func (c crowd) Act(agent int, s gym.Session) policy.Traits {
	c.places[agent] = append(c.places[agent], s.Place)
	return c.players[agent].act()
}

func (c crowd) Learn(agent int, x policy.Traits, signals []gym.Signal) {
	if len(signals) == 0 {
		return
	}
	n := signals[0].Session
	if r, said := Reward(signals, c.places[agent][n]); said {
		c.players[agent].learn(n, &x, r)
	}
}

func (c crowd) Policy(agent int) policy.Traits { return c.players[agent].levels() }

func clip(v float64) float64 { return min(1, max(0, v)) }
