// Package gym is the simulated yardstick: agents of owners with hidden tastes, who
// let some of it be known through noisy, late and partly hostile signals. It runs
// directly on learners, without the pipeline, so that a learner can be measured on
// millions of sessions.
//
// Owns: World (the options), Population (its hidden owners and raters), Learner
// and Maker (what plays in it), Play and Run (who did how well), Pair and Interval
// (what of it is chance).
//
// Invariants: the same world, seed and learner give the same run. A session takes
// a fixed number of draws from a stream of its own, so that learners compared with
// each other meet the same people in the same moods.
//
// Start reading at World, then Learner, then Play.
package gym

import (
	"math"

	"rapport/policy"
)

// World says what kind of people live in it. Main gives the yardstick; the other
// fields depart from it.
type World struct {
	Kinds int // archetypes that tastes lie around, shares ∝ 1/(1+.4k); 0: every owner is their own
	Shape Shape

	Start float64 // 0: agents start in the middle; else at the ideal + N(0, Start²), clipped
	Drift float64 // share of owners whose taste jumps once, in a session in [80,120)

	Raters int     // size of the pool of people who are not the owner
	Bad    float64 // share of them who are hostile
	Attack Attack

	// Brigaded is the share of agents that hostile raters seek out: there Brigade
	// of the opinions that are not the owner's come from them.
	Brigaded, Brigade float64

	Rating float64 // P(the owner rates a session)
	Thumbs float64 // mean number of thumbs in a session, by the owner if present
	Quiet  float64 // share of the owner's thumbs that is not given
	Review float64 // P(a reviewer rates a session)

	Press float64 // P(a tone button in a session with the owner)
	Right float64 // share of presses in the right direction; .5 is a coin

	Delay int // sessions until a learner hears of one
}

// Shape is how satisfaction falls with the distance from the ideal. It is 1 there
// and clipped to [0,1]; d_j is the distance, w_j the importance, Σw = 5.
type Shape string

// The shapes. Learners believe the first.
const (
	Quadratic   Shape = ""            // 1 − Σ w_j d_j²
	Interaction Shape = "interaction" // 1 − Σ w_j d_j² − .9 Σ ±√(w_j w_j+1) d_j d_j+1
	Absolute    Shape = "absolute"    // 1 − .3 Σ w_j |d_j|
	Plateau     Shape = "plateau"     // 1 − 1.6 Σ w_j max(0, |d_j|−.1)²
	NoEffect    Shape = "no-effect"   // quadratic at the start, whatever the levels
)

// Attack is what hostile raters do.
type Attack string

// The attacks.
const (
	Down        Attack = ""            // always down
	Directional Attack = "directional" // up the more, the higher one trait of the agent is; that is also what a review says
)

// Target is the trait that directional raters want more of.
const Target = policy.Sarcasm

// Main is the yardstick world: four archetypes, 15 % drift, one rater in ten
// always down, no tone buttons.
func Main() World {
	return World{Kinds: 4, Drift: .15, Raters: 300, Bad: .10, Rating: .20, Thumbs: .45, Review: .04, Right: .85}
}

// Population is the hidden truth of a seed: archetypes and raters. Its agents are
// drawn by cohort and number.
type Population struct {
	World
	seed  uint64
	kinds []taste
	pool  []person
}

// taste is an ideal and the importance of each trait.
type taste struct {
	ideal, weight policy.Traits
	sign          uint8 // of the interactions, one bit each
}

type person struct {
	bias    float64
	hostile bool
}

// NewPopulation draws the archetypes and raters of a seed.
func (w World) NewPopulation(seed uint64) *Population {
	p := &Population{World: w, seed: seed}
	r := p.stream(1, 0, 0)
	for range w.Kinds {
		p.kinds = append(p.kinds, drawKind(&r))
	}
	r = p.stream(2, 0, 0)
	for range w.Raters {
		p.pool = append(p.pool, person{.06 * r.Normal(), r.Float64() < w.Bad})
	}
	return p
}

// stream is a sequence of random numbers for one purpose.
func (p *Population) stream(purpose, a, b uint64) policy.Stream { return Stream(p.seed, purpose, a, b) }

// Stream is a sequence of random numbers that is a function of the numbers given.
func Stream(of ...uint64) policy.Stream {
	var key [32]byte
	h := uint64(0x9e3779b97f4a7c15)
	for i := range 4 {
		for _, v := range of {
			h = mix(h ^ mix(v+uint64(i)))
		}
		for k := range 8 {
			key[8*i+k] = byte(h >> (8 * k))
		}
	}
	return policy.NewStream(key)
}

// mix is the finaliser of splitmix64 (Steele, Lea and Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func drawKind(r *policy.Stream) taste {
	var k taste
	for j := range k.ideal {
		k.ideal[j] = .1 + .8*r.Float64()
		much, u := r.Float64() < .45, r.Float64()
		k.weight[j] = .02 + .13*u
		if much {
			k.weight[j] = .5 + .7*u
		}
	}
	return k
}

// drawTaste draws an owner's taste around an archetype.
func (p *Population) drawTaste(r *policy.Stream) taste {
	u := r.Float64()
	var kind taste
	if len(p.kinds) == 0 {
		kind = drawKind(r)
	} else {
		total, k := 0., 0
		for i := range p.kinds {
			total += 1 / (1 + .4*float64(i))
		}
		for u *= total; k < len(p.kinds)-1; k++ {
			if u -= 1 / (1 + .4*float64(k)); u < 0 {
				break
			}
		}
		kind = p.kinds[k]
	}
	t, sum := taste{}, 0.
	for j := range t.ideal {
		t.ideal[j] = clip(kind.ideal[j] + .12*r.Normal())
		t.weight[j] = kind.weight[j] * math.Exp(.35*r.Normal())
		sum += t.weight[j]
	}
	for j := range t.weight {
		t.weight[j] *= 5 / sum
	}
	t.sign = uint8(r.Uint64())
	return t
}

// owner is one agent's owner, with the agent's start.
type owner struct {
	taste
	later        taste // after the jump
	start        policy.Traits
	strict, bias float64 // of ratings, of engagement
	jump         int     // session of the jump; −1: never
	brigaded     bool
}

// owner draws the owner of an agent of a cohort.
func (p *Population) owner(cohort, agent int) owner {
	r := p.stream(3, uint64(cohort), uint64(agent))
	o := owner{strict: .06 * r.Normal(), bias: .08 * r.Normal(), jump: -1, start: policy.Neutral()}
	drifts, when, sought := r.Float64() < p.Drift, 80+int(40*r.Float64()), r.Float64() < p.Brigaded
	if drifts {
		o.jump = when
	}
	o.brigaded = sought
	o.taste, o.later = p.drawTaste(&r), p.drawTaste(&r)
	for j := range o.start {
		if n := r.Normal(); p.Start > 0 {
			o.start[j] = clip(o.ideal[j] + p.Start*n)
		}
	}
	return o
}

// Taste gives an agent's ideal levels in a session, and how much each trait matters
// (Σ = 5; 0 in a world where none does).
func (p *Population) Taste(cohort, agent, session int) (ideal, importance policy.Traits) {
	o := p.owner(cohort, agent)
	t := o.at(session)
	if p.Shape == NoEffect {
		return o.start, importance
	}
	return t.ideal, t.weight
}

// at is the taste in a session.
func (o *owner) at(session int) *taste {
	if o.jump >= 0 && session >= o.jump {
		return &o.later
	}
	return &o.taste
}

// satisfaction of a session's owner with the levels x, [0,1].
func (p *Population) satisfaction(o *owner, session int, x *policy.Traits) float64 {
	t := o.at(session)
	if p.Shape == NoEffect {
		x = &o.start
	}
	s := 1.
	for j := range x {
		d := x[j] - t.ideal[j]
		switch p.Shape {
		case Absolute:
			s -= .3 * t.weight[j] * math.Abs(d)
		case Plateau:
			d = max(0, math.Abs(d)-.1)
			s -= 1.6 * t.weight[j] * d * d
		default:
			s -= t.weight[j] * d * d
		}
		if p.Shape == Interaction {
			k := (j + 1) % policy.NTraits
			c := .9 * math.Sqrt(t.weight[j]*t.weight[k])
			if t.sign>>j&1 == 1 {
				c = -c
			}
			s -= c * d * (x[k] - t.ideal[k])
		}
	}
	return clip(s)
}

// best is what the levels can reach: 1, but where they change nothing.
func (p *Population) best(o *owner, session int) float64 {
	if p.Shape == NoEffect {
		return p.satisfaction(o, session, &o.start)
	}
	return 1
}

func clip(v float64) float64 { return min(max(v, 0), 1) }
