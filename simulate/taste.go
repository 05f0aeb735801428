// Package simulate is a world of people with hidden tastes who talk with agents
// and react. It drives the real pipeline: everything it does, a person could do.
//
// Owns: Taste (what a simulated person likes and how they show it), World (a
// seeded cast and its days), Pipeline (what it needs of the system). Seeded: the
// same seed makes the same people, tastes, words and moods.
//
// Start reading at taste.go, then World.Live.
package simulate

import (
	"math"
	"math/rand/v2"

	"rapport/policy"
)

// Taste is a hidden ideal: how content a person is with an agent's behaviour,
// and how they let it be known.
type Taste struct {
	Ideal      policy.Traits // x*
	Importance policy.Traits // w, sums to 5
	Strictness float64       // what they subtract before rating, N(0, .06)
}

// NewTaste draws a taste around one of four characters.
func NewTaste(r *rand.Rand) Taste {
	var t Taste
	c := characters[r.IntN(len(characters))]
	sum := 0.0
	for j := range policy.NTraits {
		t.Ideal[j] = clamp(c[j]+.12*r.NormFloat64(), 0, 1)
		w := .02 + .13*r.Float64()
		if r.Float64() < .45 {
			w = .5 + .7*r.Float64()
		}
		t.Importance[j] = w * math.Exp(.35*r.NormFloat64())
		sum += t.Importance[j]
	}
	for j := range t.Importance {
		t.Importance[j] *= 5 / sum
	}
	t.Strictness = .06 * r.NormFloat64()
	return t
}

// characters are the centres that tastes lie around, in the order of the trait
// vocabulary.
var characters = [4]policy.Traits{
	{.85, .60, .45, .60, .15, .55, .75, .55}, // quick and funny
	{.30, .90, .10, .25, .35, .80, .30, .30}, // warm listener
	{.20, .40, .15, .85, .60, .35, .85, .75}, // crisp expert
	{.55, .70, .20, .45, .75, .85, .20, .45}, // courteous storyteller
}

// Satisfaction is clip(1 − Σ_j w_j (x_j − x*_j)², 0, 1): 1 at the ideal.
func (t Taste) Satisfaction(x policy.Traits) float64 {
	s := 1.0
	for j := range x {
		d := x[j] - t.Ideal[j]
		s -= t.Importance[j] * d * d
	}
	return clamp(s, 0, 1)
}

// Level is the rating of a session that satisfied by u: u + strictness + noise
// against the thresholds .85, .62 and .40.
func (t Taste) Level(u float64, r *rand.Rand) string {
	switch v := u + t.Strictness + .12*r.NormFloat64(); {
	case v >= .85:
		return "loved"
	case v >= .62:
		return "good"
	case v >= .40:
		return "meh"
	default:
		return "not_great"
	}
}

// Thumb says whether a thumb goes up: P = sigmoid((u − .62)/.10).
func (t Taste) Thumb(u float64, r *rand.Rand) bool {
	return r.Float64() < 1/(1+math.Exp(-(u+.12*r.NormFloat64()-.62)/.10))
}

// Press is the tone button somebody with this taste would press at x: a trait
// drawn by importance × distance, in the right direction 85 times of 100. False
// when nothing bothers them.
func (t Taste) Press(x policy.Traits, r *rand.Rand) (policy.Trait, int, bool) {
	var weight [policy.NTraits]float64
	sum := 0.0
	for j := range x {
		if d := math.Abs(x[j] - t.Ideal[j]); d > .08 {
			weight[j] = t.Importance[j] * d
		}
		sum += weight[j]
	}
	if sum == 0 {
		return 0, 0, false
	}
	at := r.Float64() * sum
	for j, w := range weight {
		if at -= w; at < 0 {
			sign := 1
			if x[j] > t.Ideal[j] {
				sign = -1
			}
			if r.Float64() > .85 {
				sign = -sign
			}
			return policy.Trait(j), sign, true
		}
	}
	return 0, 0, false
}

func clamp(v, lo, hi float64) float64 { return math.Max(lo, math.Min(hi, v)) }
