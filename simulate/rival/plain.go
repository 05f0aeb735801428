package rival

import "rapport/policy"

// plain is the plain scheme: in a share epsilon of sessions one trait, drawn at
// random, is delta higher or lower; else the policy is used as it is. Running
// means are kept of the reward of each of these 17 ways, and of all sessions. When
// a session tried something and the mean of its way is better than that of all by
// more than margin, the policy takes a step of that trait in that direction.
//
// Source: what the platform's first description asks for, made precise. Plain
// settings: ε .2, δ .1, step .05, margin 0, compared with staying; tuned: ε .7,
// δ .3, step .05, margin .1, compared with all.
type plain struct {
	epsilon, delta, step, margin float64
	all                          bool // compare with all sessions, not with those that stayed

	theta policy.Traits
	r     policy.Stream
	tried []int8                        // by session: 0 stayed, ±(j+1) trait j up or down
	ways  [2*policy.NTraits + 1]average // stayed in the middle
	every average
}

// average is a running mean.
type average struct{ mean, n float64 }

func (a *average) add(v float64) {
	a.n++
	a.mean += (v - a.mean) / a.n
}

func (p plain) start(start policy.Traits, r policy.Stream) player {
	p.theta, p.r = start, r
	return &p
}

func (p *plain) act() policy.Traits {
	x, way := p.theta, int8(0)
	explores, j, up := p.r.Float64() < p.epsilon, int(p.r.Float64()*policy.NTraits), p.r.Float64() < .5
	if explores {
		x[j], way = clip(x[j]+p.delta), int8(j+1)
		if !up {
			x[j], way = clip(p.theta[j]-p.delta), -way
		}
	}
	p.tried = append(p.tried, way)
	return x
}

func (p *plain) learn(n int, _ *policy.Traits, reward float64) {
	way := p.tried[n]
	mine, other := &p.ways[policy.NTraits+int(way)], &p.ways[policy.NTraits]
	if p.all {
		other = &p.every
	}
	mine.add(reward)
	p.every.add(reward)
	if mine.mean <= other.mean+p.margin {
		return
	}
	switch {
	case way > 0:
		p.theta[way-1] = clip(p.theta[way-1] + p.step)
	case way < 0:
		p.theta[-way-1] = clip(p.theta[-way-1] - p.step)
	}
}

func (p *plain) levels() policy.Traits { return p.theta }
