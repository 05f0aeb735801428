package gym

import (
	"math"

	"rapport/policy"
)

// Place is where a session happens.
type Place uint8

// The places: with the owner (60 %), with somebody else (15 %), in a small (15 %)
// or large (10 %) room without the owner.
const (
	WithOwner Place = iota
	WithOther
	SmallRoom
	LargeRoom
)

// Session is what an agent knows of one when it begins.
type Session struct {
	Number int // of this agent's, from 0
	Place  Place
}

// Source is who let something be known, and how.
type Source uint8

// The sources.
const (
	OwnerRating Source = iota // of the session: 1, .5, −.25 or −1
	OwnerThumb                // ±1
	GuestThumb                // ±1
	Implicit                  // engagement, about .66 ± .17
	Review                    // [−1,1]
	TonePress                 // the owner asks for more or less of a trait
)

// Owner is the rater number of the agent's owner.
const Owner = -1

// Signal is one thing that people let be known of a session.
type Signal struct {
	Session int // of the agent's
	Source  Source
	Rater   int // Owner, or the number of somebody in the pool of the population
	Value   float64
	Trait   policy.Trait // of a press
	Toward  int8         // of a press: +1 more, −1 less
}

// begin draws what is known of a session at its beginning.
func (p *Population) begin(cohort, agent, session int) Session {
	r := p.stream(4, uint64(cohort)<<32|uint64(agent), uint64(session))
	s := Session{Number: session}
	switch u := r.Float64(); {
	case u < .60:
	case u < .75:
		s.Place = WithOther
	case u < .90:
		s.Place = SmallRoom
	default:
		s.Place = LargeRoom
	}
	return s
}

// maxThumbs of a session.
const maxThumbs = 3

// live plays a session at the levels x and appends what people let be known.
func (p *Population) live(o *owner, cohort, agent int, s Session, x *policy.Traits, out []Signal) []Signal {
	r := p.stream(5, uint64(cohort)<<32|uint64(agent), uint64(s.Number))
	u := p.satisfaction(o, s.Number, x) + .08*r.Normal() // mood

	if rates, feel := r.Float64() < p.Rating, u+o.strict+.12*r.Normal(); rates {
		value := -1.
		switch {
		case feel >= .85:
			value = 1
		case feel >= .62:
			value = .5
		case feel >= .40:
			value = -.25
		}
		out = append(out, Signal{Session: s.Number, Source: OwnerRating, Rater: Owner, Value: value})
	}

	thumbs := poisson(p.Thumbs, r.Float64())
	first := Owner // of whom the engagement is
	for k := range maxThumbs {
		noise, coin, quiet := .12*r.Normal(), r.Float64(), r.Float64() < p.Quiet
		who := p.guest(o, &r)
		if k == 0 && s.Place != WithOwner {
			first = who
		}
		if k >= thumbs || s.Place == WithOwner && quiet {
			continue
		}
		sig := Signal{Session: s.Number, Source: OwnerThumb, Rater: Owner, Value: -1}
		up := 0.
		if s.Place != WithOwner {
			sig.Source, sig.Rater = GuestThumb, who
			noise += p.pool[who].bias
		}
		if s.Place != WithOwner && p.pool[who].hostile {
			if p.Attack == Directional {
				up = x[Target]
			}
		} else {
			up = 1 / (1 + math.Exp(-(u+noise-.62)/.10))
		}
		if coin < up {
			sig.Value = 1
		}
		out = append(out, sig)
	}

	e := .66 + o.bias + .15*(.3*(u-.7)/.2+.954*r.Normal())
	out = append(out, Signal{Session: s.Number, Source: Implicit, Rater: first, Value: e})

	reviews, noise := r.Float64() < p.Review, .12*r.Normal()
	if who := p.guest(o, &r); reviews {
		value := 2*u - 1 + noise
		if p.pool[who].hostile {
			value = -1
			if p.Attack == Directional {
				value = 2*x[Target] - 1
			}
		}
		out = append(out, Signal{Session: s.Number, Source: Review, Rater: who, Value: min(max(value, -1), 1)})
	}

	presses, which, right := r.Float64() < p.Press, r.Float64(), r.Float64() < p.Right
	if presses && s.Place == WithOwner {
		if sig, ok := p.press(o, s.Number, x, which, right); ok {
			out = append(out, sig)
		}
	}
	return out
}

// guest draws somebody of the pool who is with the agent.
func (p *Population) guest(o *owner, r *policy.Stream) int {
	who, sought := int(r.Float64()*float64(len(p.pool))), r.Float64() < p.Brigade
	if o.brigaded && sought {
		for range p.pool {
			if p.pool[who].hostile {
				break
			}
			who = (who + 1) % len(p.pool)
		}
	}
	return who
}

// press is a tone button: a trait by importance × distance, towards the ideal or
// away from it.
func (p *Population) press(o *owner, session int, x *policy.Traits, which float64, right bool) (Signal, bool) {
	t, sum := o.at(session), 0.
	for j := range x {
		sum += t.weight[j] * math.Abs(x[j]-t.ideal[j])
	}
	which *= sum
	for j := range x {
		if which -= t.weight[j] * math.Abs(x[j]-t.ideal[j]); which < 0 {
			sig := Signal{Session: session, Source: TonePress, Rater: Owner, Trait: policy.Trait(j), Toward: 1}
			if (x[j] > t.ideal[j]) == right {
				sig.Toward = -1
			}
			return sig, true
		}
	}
	return Signal{}, false
}

// poisson is the quantile u of the Poisson distribution, at most maxThumbs.
func poisson(mean, u float64) int {
	n, q := 0, math.Exp(-mean)
	for c := q; n < maxThumbs && u > c; c += q {
		n++
		q *= mean / float64(n)
	}
	return n
}
