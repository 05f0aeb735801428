package rival

import (
	"math"

	"rapport/policy"
)

// nArms: stay, and each trait up or down.
const nArms = 2*policy.NTraits + 1

// The settings that all three bandits share.
const (
	banditReach   = .3  // how far an arm is from the policy
	banditStep    = .02 // how far the policy follows the best arm on a reward
	banditPenalty = .3
	banditForget  = .99
)

// bandit uses in every session one of 17 arms around the policy, chosen by a
// linear model of the reward over 1, z and z² of all traits, which arms share. On
// a reward the policy takes a step towards the arm that the model thinks best.
// What is chosen:
//
//   - LinUCB (Li, Chu, Langford and Schapire 2010): the largest βᵀφ + 1.5·√(φᵀA⁻¹φ);
//   - LinTS (Agrawal and Goyal 2013): the largest β̃ᵀφ, β̃ ~ N(β, .25·A⁻¹);
//   - SquareCB (Foster and Rakhlin 2020): an arm worse by g than the best with
//     probability 1/(17 + 6·√(n+1)·g), else the best.
//
// Settings: arms .3 away, steps .02, penalty .3, forgetting .99.
type bandit struct {
	choose func(b *bandit, arms *[nArms]vector) int
	theta  policy.Traits
	r      policy.Stream
	model  ridge
	n      float64
}

func (b bandit) start(start policy.Traits, r policy.Stream) player {
	b.theta, b.r, b.model = start, r, newRidge(banditPenalty)
	return &b
}

// arm is the policy with the k-th arm's trait moved by d.
func (b *bandit) arm(k int, d float64) policy.Traits {
	x := b.theta
	switch j := (k - 1) / 2; {
	case k == 0:
	case k%2 == 1:
		x[j] = clip(x[j] + d)
	default:
		x[j] = clip(x[j] - d)
	}
	return x
}

func (b *bandit) arms(d float64) *[nArms]vector {
	var arms [nArms]vector
	for k := range arms {
		x := b.arm(k, d)
		arms[k] = features(&x)
	}
	return &arms
}

func (b *bandit) act() policy.Traits { return b.arm(b.choose(b, b.arms(banditReach)), banditReach) }

func (b *bandit) learn(_ int, x *policy.Traits, reward float64) {
	f := features(x)
	b.model.add(&f, reward, banditForget)
	b.n++
	b.theta = b.arm(largest(b.arms(banditStep), b.mean), banditStep)
}

func (b *bandit) levels() policy.Traits { return b.theta }

func (b *bandit) mean(f *vector) float64 { return dot(f, &b.model.beta) }

// largest is the arm of the largest value, the first on a tie.
func largest(arms *[nArms]vector, value func(*vector) float64) int {
	best, top := 0, math.Inf(-1)
	for k := range arms {
		if v := value(&arms[k]); v > top {
			best, top = k, v
		}
	}
	return best
}

func linUCB(b *bandit, arms *[nArms]vector) int {
	return largest(arms, func(f *vector) float64 { return b.mean(f) + 1.5*b.model.width(f) })
}

func linTS(b *bandit, arms *[nArms]vector) int {
	beta := b.model.sample(.5, &b.r)
	return largest(arms, func(f *vector) float64 { return dot(f, &beta) })
}

func squareCB(b *bandit, arms *[nArms]vector) int {
	best := largest(arms, b.mean)
	top, gamma, u := b.mean(&arms[best]), 6*math.Sqrt(b.n+1), b.r.Float64()
	for k := range arms {
		if k == best {
			continue
		}
		if u -= 1 / (nArms + gamma*(top-b.mean(&arms[k]))); u < 0 {
			return k
		}
	}
	return best
}
