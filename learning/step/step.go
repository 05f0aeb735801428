package step

import (
	"math"

	"rapport/policy"
)

// Observe takes in that the features f were worth y, with weight w: 1 is the
// information of one owner rating, under a prior. It says whether the observation was one
// disappointment too many, so that the evidence was cut to a tenth and the belief
// falls back to the prior. O(P³/6).
//
// The residual of the noise belief and of the drift test is that of predicting y
// before seeing it, computed from the posterior after it: with g = φᵀΛ⁻¹φ it is
// (y−φᵀm)/(1−wg), of variance σ²/(w(1−wg)).
func (s *State) Observe(p *Prior, f *Vec, y, w float64) (drifted bool) {
	if !(w > 0) {
		return false
	}
	s.add(f, y, w)
	var b Belief
	b.factor(p, s)
	fitted, q := 0., *f
	for i, v := range f {
		fitted += float64(v * b.M[i])
	}
	b.forward(&q)
	g := 0.
	for _, v := range q {
		g += float64(v * v)
	}
	left := 1 - float64(w*g)
	e2 := (y - fitted) / left * ((y - fitted) / left) // squared residual
	t := 1 / float64(w*left)                          // its variance in units of σ²
	ratio := e2 / t
	s.C = s.driftOf(math.Copysign(math.Sqrt(ratio/b.Scale), y-fitted), w)
	s.A += .5
	s.B += float64(.5 * ratio)
	if s.A > shapeCap {
		s.B = float64(s.B * (shapeCap / s.A))
		s.A = shapeCap
	}
	if s.C > cusumLimit {
		s.Shrink(cusumKeep)
		s.C = 0
		return true
	}
	return false
}

// driftOf moves the CUSUM of disappointments (Page 1954) by a standardised
// residual.
func (s *State) driftOf(z, w float64) float64 {
	z = min(max(z, -3), 3)
	return max(0, s.C-float64(z*min(1, math.Sqrt(w)))-cusumSlack)
}

// The measured values of a tone button as evidence: slope and weight.
const (
	askSlope  = .5
	askWeight = 2.
)

// Ask takes in that the owner wished for more (toward > 0) or less (< 0) of a
// trait than the levels x had: satisfaction rises along it, d(β·φ)/dz_j = ±½.
// share in (0,1] is how much of the wish concerns these levels, toward in [-1,1].
func (s *State) Ask(x *policy.Traits, j policy.Trait, toward, share float64) {
	var f Vec
	f[1+j], f[1+D+j] = 1, 2*(2*x[j]-1)
	s.add(&f, float64(askSlope*toward), float64(askWeight*share))
}

func (s *State) add(f *Vec, y, w float64) {
	keep := forget(min(w, 1))
	s.N = float64(keep*s.N) + 1
	s.YY = float64(keep*s.YY) + float64(float64(w*y)*y)
	k := 0
	for i := range P {
		wf := float64(w * f[i])
		for j := range i + 1 {
			s.S[k] = float64(keep*s.S[k]) + float64(wf*f[j])
			k++
		}
		s.H[i] = float64(keep*s.H[i]) + float64(wf*y)
	}
}

// logLambda is ln λ.
const logLambda = -.005012541823544285854

// forget is λ^w for w in [0,1], by the series of the exponential, exact to the
// last place for so small an argument.
func forget(w float64) float64 {
	x := float64(logLambda * w)
	v := 1 + x/6
	v = 1 + float64(x/5*v)
	v = 1 + float64(x/4*v)
	v = 1 + float64(x/3*v)
	v = 1 + float64(x/2*v)
	return 1 + float64(x*v)
}

// StepBound is the farthest a level moves on one entry.
const StepBound = .02

// Fence says how far a move may go.
type Fence struct {
	Lo, Hi policy.Traits // the levels allowed
	Gate   policy.Traits // per trait the z-score that P(improvement) must reach
	May    policy.Mask   // the traits that may move at all
}

// Move lets the levels follow the belief: each trait by at most StepBound to the
// best level of its fence, if that is better with at least the gate's
// probability. It gives the traits that moved. O(D).
func (s *State) Move(b *Belief, fence *Fence) policy.Mask {
	var moved policy.Mask
	for j := range D {
		t := policy.Trait(j)
		if !fence.May.Has(t) {
			continue
		}
		from := s.Theta[j]
		lo, hi := max(fence.Lo[j], from-StepBound), min(fence.Hi[j], from+StepBound)
		if lo > hi {
			continue
		}
		to := (1 + best(b.M[1+j], b.M[1+D+j], 2*lo-1, 2*hi-1)) / 2
		to = min(max(to, lo), hi)
		mean, variance := b.Difference(t, from, to)
		if mean > 0 && mean >= float64(fence.Gate[j]*math.Sqrt(variance)) {
			s.Theta[j] = to
			moved |= 1 << j
		}
	}
	return moved
}
