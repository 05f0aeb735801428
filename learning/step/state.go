package step

import "rapport/policy"

// The shape of the model.
const (
	D   = policy.NTraits
	P   = 2*D + 1         // coefficients: intercept, D linear, D quadratic
	Tri = P * (P + 1) / 2 // of a symmetric P×P matrix
)

// The constants of formula version 2 (design page on learning, 3.2 to 3.7).
const (
	lambda     = .995 // forgetting per owner rating's worth of evidence
	noise      = .2   // σ0², noise of one owner rating before any data
	shape      = 10.  // a0 of the noise belief; b0 = a0·σ0²
	shapeCap   = 60.  // how sure of its noise a learner may become
	slope      = -.35 // G: the best level is believed to be half-way from the start to the middle
	cusumSlack = .35
	cusumLimit = 5.
	cusumKeep  = .03 // what a change of taste leaves of the evidence
)

// prior mean and precision of the intercept, a linear and a quadratic
// coefficient; the mean of a linear one is slope·(2·start − 1).
var (
	priorMean      = [3]float64{.4, 0, -.35}
	priorPrecision = [3]float64{1 / (.5 * .5), 1 / (.35 * .35), 1 / (.25 * .25)}
)

// Vec is one number per coefficient.
type Vec [P]float64

// row is where row i of a packed triangle starts.
func row(i int) int { return i * (i + 1) / 2 }

// kind of coefficient i: 0 intercept, 1 linear, 2 quadratic.
func kind(i int) int { return (i + D - 1) / D }

// State is the trait block of one agent's learner: 1,528 bytes, whatever it has seen.
type State struct {
	S     [Tri]float64  // Σ w φφᵀ, lower triangle by rows, forgotten by λ
	H     Vec           // Σ w φ y
	YY    float64       // Σ w y²
	N     float64       // Σ 1: observations, forgotten as S is, so that YY − 2mᵀH + mᵀSm has the mean N·σ²
	Theta policy.Traits // the levels the evidence asks for
	Start policy.Traits // the owner's start: levels that "better" is measured against
	A, B  float64       // noise belief: σ² has mean about B/A; see Noise
	C     float64       // CUSUM of disappointments
}

// New is the state before any evidence.
func New(start policy.Traits) State {
	return State{Theta: start, Start: start, A: shape, B: shape * noise}
}

// Noise is what is believed of the noise of one owner rating, σ² about b/a: before
// the first observation that of the prior, which may be another one than the state
// was made under.
func (s *State) Noise(p *Prior) (a, b float64) {
	if s.A == shape {
		return shape, float64(shape * p.Noise)
	}
	return s.A, s.B
}

// Shrink keeps a share of the evidence: after a change of taste, or for a new
// owner.
func (s *State) Shrink(keep float64) {
	for i := range s.S {
		s.S[i] = float64(s.S[i] * keep)
	}
	for i := range s.H {
		s.H[i] = float64(s.H[i] * keep)
	}
	s.YY, s.N = float64(s.YY*keep), float64(s.N*keep)
}

// Keep is the share of the evidence that a new owner inherits.
const Keep = .1

// Features gives φ(x) over the active traits; the others contribute nothing, as if
// they were at the start.
func (s *State) Features(x *policy.Traits, active policy.Mask) Vec {
	var f Vec
	f[0] = 1
	for j := range D {
		if active.Has(policy.Trait(j)) {
			z := 2 * (x[j] - s.Start[j])
			f[1+j], f[1+D+j] = z, float64(z*z)
		}
	}
	return f
}

// Rebase sets another start. The evidence is carried over to the features around it:
// with δ = 2(new − old), z becomes z − δ and z² becomes z² − 2δz + δ².
func (s *State) Rebase(start policy.Traits) {
	var delta policy.Traits
	for j := range delta {
		delta[j] = 2 * (start[j] - s.Start[j])
	}
	s.Start = start
	if delta == (policy.Traits{}) {
		return
	}
	// S ← ASAᵀ, h ← Ah: rows, then columns
	var m [P]Vec
	for i := range P {
		for j := range i + 1 {
			v := s.S[row(i)+j]
			m[i][j], m[j][i] = v, v
		}
	}
	for j, d := range delta {
		one, two := 1+j, 1+D+j
		d2 := float64(d * d)
		s.H[two] = s.H[two] - float64(2*d*s.H[one]) + float64(d2*s.H[0])
		s.H[one] -= float64(d * s.H[0])
		for i := range P {
			m[two][i] = m[two][i] - float64(2*d*m[one][i]) + float64(d2*m[0][i])
			m[one][i] -= float64(d * m[0][i])
		}
	}
	for j, d := range delta {
		one, two := 1+j, 1+D+j
		d2 := float64(d * d)
		for i := range P {
			m[i][two] = m[i][two] - float64(2*d*m[i][one]) + float64(d2*m[i][0])
			m[i][one] -= float64(d * m[i][0])
		}
	}
	for i := range P {
		for j := range i + 1 {
			s.S[row(i)+j] = m[i][j]
		}
	}
}

// Size is the length of an encoded State in bytes.
const Size = 8 * (Tri + P + 2*D + 5)

// Append encodes the state: little-endian float64, fixed places.
func (s *State) Append(b []byte) []byte {
	return appendFloats(b, s.S[:], s.H[:], s.Theta[:], s.Start[:], []float64{s.A, s.B, s.C, s.YY, s.N})
}

// Read decodes a state from the first Size bytes; false when there are fewer, or
// when they are no state: a number is not finite, a level lies outside [0,1], the
// noise is not positive, the sums are not those of any observations. Then s stays
// as it was.
func (s *State) Read(b []byte) bool {
	if len(b) < Size {
		return false
	}
	var n State
	var tail [5]float64
	readFloats(b, n.S[:], n.H[:], n.Theta[:], n.Start[:], tail[:])
	n.A, n.B, n.C, n.YY, n.N = tail[0], tail[1], tail[2], tail[3], tail[4]
	zero := 0. // NaN when a number is none
	for _, v := range n.S {
		zero += v - v
	}
	if zero != 0 || !n.sound() || !n.Theta.Valid() || !n.Start.Valid() {
		return false
	}
	*s = n
	return true
}

// sound says whether some observations can have led to the numbers beside S: by
// Cauchy and Schwarz (Σwφy)² ≤ Σwφ²·Σwy², but for rounding.
func (s *State) sound() bool {
	ok := s.A > 0 && s.B > 0 && s.B/s.A <= maxPivot && s.C >= 0 && s.C < maxPivot && s.YY >= 0 && s.YY <= maxPivot && s.N >= 0 && s.N <= maxPivot
	for i, h := range s.H {
		ok = ok && float64(h*h) <= float64(float64(s.S[row(i)+i]*s.YY)*(1+1e-6))+1e-12
	}
	return ok
}
