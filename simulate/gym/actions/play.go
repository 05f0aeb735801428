package actions

import (
	"math"

	"rapport/learning/fold"
	"rapport/learning/step"
	"rapport/simulate/gym"
)

// Life is how one agent fared.
type Life struct {
	Regret          [len(gym.Marks)]float64 // Σ (best possible − satisfaction) at gym.Marks
	Traits, Weights float64                 // Σ of what the policy misses of the best: by its levels, by its weights
	Moves, False    int                     // moves of weights; of them, those away from the ideal
	Worse           bool                    // at the end the weights are worth .01 less than at the start
	Far             bool                    // at the end some weight is .10 from its start or farther
}

// Play lets a form learn for the agents of one population. What weights are worth is
// averaged over the actions by how often they have a part.
func (w *World) Play(f Form, seed uint64, agents, sessions int) ([]Life, error) {
	world := gym.Main()
	world.Drift = 0
	p := world.NewPopulation(seed)
	lives := make([]Life, agents)
	var e episode
	for i := range lives {
		a, o, l := &lives[i], w.owner(p, seed, i), f.learner()
		x, weights := l.policy()
		begun, regret := o.misses(&weights), 0.
		for n := range sessions {
			a.Weights += o.misses(&weights)
			for j := range x {
				a.Traits += o.importance[j] * (x[j] - o.ideal[j]) * (x[j] - o.ideal[j])
			}
			regret += w.live(&o, seed, i, n, x, &weights, &e)
			for m, mark := range gym.Marks {
				if n < mark {
					a.Regret[m] = regret
				}
			}
			if err := l.learn(&e); err != nil {
				return nil, err
			}
			before := weights[e.action]
			x, weights = l.policy()
			if after, ideal := weights[e.action], o.weight[e.action]; after != before {
				a.Moves++
				if math.Abs(after-ideal) > math.Abs(before-ideal) {
					a.False++
				}
			}
		}
		a.Worse = o.misses(&weights) > begun+.01
		for k, v := range weights {
			a.Far = a.Far || math.Abs(v-starts[k]) >= .10
		}
	}
	return lives, nil
}

// misses is what the weights take from an owner's satisfaction.
func (o *person) misses(weights *fold.Actions) (sum float64) {
	for k, v := range weights {
		share := (1 - withOwner) / float64(fold.NActions-1)
		if fold.Action(k) == fold.ReplyDMWithOwner {
			share = withOwner
		}
		sum += share * o.matters[k] * (v - o.weight[k]) * (v - o.weight[k])
	}
	return sum
}

// StateBytes is what a form keeps of evidence, levels, starts, noise and drift, in the
// product's widths: 64 bits, and 32 in separate blocks.
func (f Form) StateBytes() int {
	switch f {
	case Joint, JointStart, JointBold:
		return jointBytes(1+2*dimensions, dimensions)
	case JointLevels:
		return jointBytes(1+2*dimensions+int(fold.NActions), dimensions)
	}
	return step.Size + blockBytes*int(fold.NActions)
}

const (
	dimensions = step.D + int(fold.NActions)
	blockBytes = 47 // an encoded fold.Block
)

// jointBytes is step.Size for other widths, with count, information and hold for each
// action as a fold.Block has.
func jointBytes(p, dimensions int) int {
	return 8*(p*(p+1)/2+p+2*dimensions+5) + 7*int(fold.NActions)
}

// Script gives episodes to time a form with: what an owner of the yardstick lives
// through while nothing is learned.
func Script(seed uint64, n int) *Episodes {
	w := &Worlds[0]
	p := gym.Main().NewPopulation(seed)
	o, s := w.owner(p, seed, 0), &Episodes{list: make([]episode, n)}
	l := Fixed.learner()
	x, weights := l.policy()
	for i := range s.list {
		w.live(&o, seed, 0, i, x, &weights, &s.list[i])
	}
	return s
}

// Episodes are what Script gives.
type Episodes struct{ list []episode }

// Learn gives a function that lets a new learner of the form take in the next episode,
// round and round.
func (s *Episodes) Learn(f Form) func() error {
	l, i := f.learner(), 0
	return func() error {
		e := &s.list[i%len(s.list)]
		i++
		return l.learn(e)
	}
}
