package step

import (
	"errors"
	"fmt"
	"math"

	"rapport/policy"
)

// ErrObservation is the error of an observation that cannot be one; the text says
// why.
var ErrObservation = errors.New("observation refused")

// The limits of an observation. Features lie in [-2,4], those of a wish in [-4,4].
const (
	maxFeature = 4.
	maxY       = 2.5
	maxWeight  = 1e3
	minLeft    = 1e-9 // of 1−wg, which rounding could make 0 under a very vague prior
)

// Observe is ObserveInto for those who do not look at the belief. What would be
// refused changes nothing.
func (s *State) Observe(p *Prior, f *Vec, y, w float64) (drifted bool) {
	drifted, _ = s.ObserveInto(p, new(Belief), f, y, w)
	return drifted
}

// ObserveInto takes in that the features f were worth y in [-2.5,2.5], with a weight
// w in [0,1000]: 1 is the information of one owner rating. It leaves in b what is
// believed afterwards under the prior p, as Believe would. It says whether the
// observation was one disappointment too many, so that the evidence was cut to 3 %
// and the belief falls back to the prior. Weight 0 is no observation.
//
// The error is ErrObservation with the reason, or ErrState; then nothing changes in
// the state and nothing is believed. O(K·P³/3).
//
// The residual of the noise belief and of the drift test is that of predicting y
// before seeing it, computed from the posterior after it. With g = φᵀΛ_k⁻¹φ the
// prediction for owners of one kind was wrong by e_k = (y−φᵀm_k)/(1−wg), of a
// variance t_k = 1/(w(1−wg)) in units of σ²; before the observation the kind was
// probable in proportion to r_k·√t_k·exp(½e_k²/(σ0²t_k)); and the mixture of these
// predictions was wrong by e = Σ r'_k e_k, of the variance σ²t = σ²Σ r'_k t_k +
// Σ r'_k (e_k−e)². Of the noise σ² = B/A, A grows by ½ and B by ½e²/t.
func (s *State) ObserveInto(p *Prior, b *Belief, f *Vec, y, w float64) (drifted bool, err error) {
	if err := sound(f, y, w); err != nil {
		*b = Belief{Err: err}
		return false, err
	}
	if w == 0 || !s.sound() {
		return false, s.Believe(p, b).Err
	}
	next := *s
	next.A, next.B = s.Noise(p)
	sigma2 := next.B / next.A
	next.add(f, y, w)
	if !b.weigh(p, &next, f) {
		return false, b.Err
	}
	e, t := b.surprise(p, y, w, sigma2)
	ratio := float64(e*e) / t
	next.C = s.driftOf(e/math.Sqrt(float64(t*sigma2)), w)
	next.A += .5
	next.B += float64(.5 * ratio)
	if next.A > shapeCap {
		next.B = float64(next.B * (shapeCap / next.A))
		next.A = shapeCap
	}
	if !(t > 0 && next.C >= 0 && next.B > 0 && next.B/next.A <= maxPivot) {
		*b = Belief{Err: ErrState}
		return false, ErrState
	}
	if drifted = next.C > cusumLimit; drifted {
		next.Shrink(cusumKeep)
		next.C = 0
		if next.Believe(p, b).Err != nil {
			return false, b.Err
		}
	} else {
		b.mix(p, &next)
	}
	*s = next
	return drifted, nil
}

// sound says why an observation is none.
func sound(f *Vec, y, w float64) error {
	for i, v := range f {
		if !(math.Abs(v) <= maxFeature) {
			return fmt.Errorf("%w: feature %d is %v", ErrObservation, i, v)
		}
	}
	if !(math.Abs(y) <= maxY) {
		return fmt.Errorf("%w: the value %v lies outside ±%v", ErrObservation, y, maxY)
	}
	if !(w >= 0 && w <= maxWeight) {
		return fmt.Errorf("%w: the weight %v is not in [0, %v]", ErrObservation, w, maxWeight)
	}
	return nil
}

// surprise is the error e of having predicted the newest observation before it was
// seen, and its variance t in units of σ². The factors hold the belief after it.
func (b *Belief) surprise(p *Prior, y, w, sigma2 float64) (e, t float64) {
	n := len(p.prepared)
	var before, es, ts [MaxK]float64
	for k := range n {
		l := &b.kinds[k].l
		left := max(minLeft, 1-float64(w*dot(&l[rowFeatures], &l[rowFeatures])))
		es[k] = (y - dot(&l[rowFeatures], &l[rowMean])) / left
		ts[k] = 1 / float64(w*left)
		if n > 1 {
			before[k] = b.kinds[k].log + float64(.5*(policy.Ln(ts[k])+float64(es[k]*es[k])/float64(p.Noise*ts[k])))
		}
	}
	softmax(before[:n])
	for k, r := range before {
		e += float64(r * es[k])
		t += float64(r * ts[k])
	}
	for k, r := range before {
		d := es[k] - e
		t += float64(r*float64(d*d)) / sigma2
	}
	return e, t
}

// driftOf moves the CUSUM of disappointments (Page 1954) by a standardised
// residual.
func (s *State) driftOf(z, w float64) float64 {
	z = min(max(z, -3), 3)
	return max(0, s.C-float64(z*min(1, math.Sqrt(w)))-cusumSlack)
}

// The measured values of a tone button as evidence: slope and weight, of presses that
// are never wrong.
const (
	askSlope  = 2.4
	askWeight = .6
)

// Ask takes in that the owner wished for more (toward > 0) or less (< 0) of a
// trait than the levels x had: satisfaction rises along it, d(β·φ)/dz_j = ±2.4,
// with the weight of .6 owner ratings times share. A steep slope of little weight pushes
// about as far whatever is believed already, and leaves the doubt as it was: who
// presses says which way, not how steep. share in [0,1] is how much of the wish
// concerns these levels and how far wishes can be trusted, toward in [-1,1].
// The error is ErrObservation with the reason; then nothing changes.
func (s *State) Ask(x *policy.Traits, j policy.Trait, toward, share float64) error {
	if j >= D {
		return fmt.Errorf("%w: there is no trait %d", ErrObservation, j)
	}
	var f Vec
	f[1+j], f[1+D+j] = 1, 4*(x[j]-s.Start[j])
	y, w := float64(askSlope*toward), float64(askWeight*share)
	if err := sound(&f, y, w); err != nil || w == 0 {
		return err
	}
	s.add(&f, y, w)
	return nil
}

func (s *State) add(f *Vec, y, w float64) {
	keep := forget(min(w, 1))
	s.N = float64(keep*s.N) + 1
	s.YY = float64(keep*s.YY) + float64(float64(w*y)*y)
	for i := range P {
		wf := float64(w * f[i])
		si := s.S[row(i) : row(i)+i+1]
		fi := f[:len(si)]
		for j := range si {
			si[j] = float64(keep*si[j]) + float64(wf*fi[j])
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

// leastMove is what is no move.
const leastMove = 1e-9

// Fence says how far a move may go.
type Fence struct {
	Lo, Hi   policy.Traits // the levels allowed
	Gate     policy.Traits // per trait the z-score that P(improvement) must reach
	Together float64       // the z-score that P(improvement) of all moves together must reach
	May      policy.Mask   // the traits that may move at all
}

// Move lets the levels follow the belief: each trait by at most StepBound to the
// best level of its fence, if that is better with at least the gate's probability.
// Of these moves those are made, surest first, that are together an improvement
// with at least the probability of Together: the least sure one is left out until
// they are. It gives the traits that moved. O(D·K·P²) at most, mostly O(K·P²).
//
// Together matters because doubt about the kind of owner is doubt about all traits
// at once.
func (s *State) Move(b *Belief, fence *Fence) policy.Mask {
	type move struct {
		trait      int
		to, d1, d2 float64
		mean, sure float64
	}
	var all [D]move
	moves := all[:0]
	for j := range D {
		t := policy.Trait(j)
		if !fence.May.Has(t) {
			continue
		}
		from := s.Theta[j]
		lo, hi := max(fence.Lo[j], from-StepBound), min(fence.Hi[j], from+StepBound)
		if !(lo <= hi) {
			continue
		}
		to := b.start[j] + float64(best(b.M[1+j], b.M[1+D+j], b.z(j, lo), b.z(j, hi))/2)
		to = min(max(to, lo), hi)
		if math.Abs(to-from) < leastMove {
			continue
		}
		z0, z1 := b.z(j, from), b.z(j, to)
		m := move{trait: j, to: to, d1: z1 - z0, d2: float64(z1*z1) - float64(z0*z0)}
		variance := 0.
		m.mean, variance = b.Difference(t, from, to)
		if !(m.mean > 0 && m.mean >= float64(fence.Gate[j]*math.Sqrt(variance))) {
			continue
		}
		m.sure = m.mean / math.Sqrt(variance)
		i := len(moves)
		moves = append(moves, m)
		for ; i > 0 && moves[i-1].sure < m.sure; i-- {
			moves[i] = moves[i-1]
		}
		moves[i] = m
	}
	mean, sum, take := 0., Vec{}, len(moves)
	for i := range moves {
		m := &moves[i]
		mean += m.mean
		sum[1+m.trait], sum[1+D+m.trait] = m.d1, m.d2
	}
	for ; take > 0 && mean < float64(fence.Together*math.Sqrt(b.variance(&sum))); take-- {
		m := &moves[take-1]
		mean -= m.mean
		sum[1+m.trait], sum[1+D+m.trait] = 0, 0
	}
	var moved policy.Mask
	for _, m := range moves[:take] {
		s.Theta[m.trait] = m.to
		moved |= 1 << m.trait
	}
	return moved
}
