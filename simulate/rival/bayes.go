package rival

import (
	"rapport/learning/fusion"
	"rapport/learning/step"
	"rapport/policy"
	"rapport/simulate/gym"
)

// bayes is our own regression, agent by agent: the belief of package step under
// its default prior, signals fused with the default loadings, a variation drawn
// from the mixture of 16 posterior centres in every session, the policy moved
// where it is better with probability .70. What it lacks of ours is what other
// agents teach: a population prior, learned loadings, reputation.
type bayes struct {
	state step.State
	r     policy.Stream
	fence step.Fence
}

func newBayes(starts []policy.Traits, seed uint64) gym.Learner {
	c := make(bayesians, len(starts))
	for i, start := range starts {
		b := &c[i]
		b.state, b.r, b.fence.May = step.New(start), gym.Stream(seed, uint64(i)), policy.AllTraits
		for j := range start {
			b.fence.Hi[j], b.fence.Gate[j] = 1, .5244005127080407 // Φ⁻¹(.70)
		}
	}
	return c
}

type bayesians []bayes

func (c bayesians) Act(agent int, _ gym.Session) policy.Traits {
	b, belief := &c[agent], step.Belief{}
	b.state.Believe(step.DefaultPrior(), &belief)
	var centres [policy.DefaultCentres]policy.Traits
	belief.Centres(&b.state.Theta, &b.fence.Lo, &b.fence.Hi, &b.r, &centres)
	m := policy.NewMixture(b.state.Theta, centres[:], policy.Exploration{Epsilon: 1, Strategy: policy.StrategyMixture}, nil, 0)
	var key [32]byte
	for i := range key {
		key[i] = byte(b.r.Uint64())
	}
	x, _ := m.Draw(key)
	return x
}

func (c bayesians) Learn(agent int, x policy.Traits, signals []gym.Signal) {
	b, loadings := &c[agent], fusion.Defaults()
	var e fusion.Evidence
	for _, s := range signals {
		if source, ok := fused[s.Source]; ok {
			e.Add(loadings.Of(source, s.Value, 1))
		}
	}
	if y, w := loadings.Fused(e); w > 0 {
		f := step.Features(&x, policy.AllTraits)
		b.state.Observe(step.DefaultPrior(), &f, y, w)
		var belief step.Belief
		b.state.Move(b.state.Believe(step.DefaultPrior(), &belief), &b.fence)
	}
}

func (c bayesians) Policy(agent int) policy.Traits { return c[agent].state.Theta }

var fused = map[gym.Source]fusion.Source{
	gym.OwnerRating: fusion.OwnerRating, gym.OwnerThumb: fusion.OwnerThumb, gym.GuestThumb: fusion.Guest,
	gym.Implicit: fusion.Engagement, gym.Review: fusion.Review,
}
