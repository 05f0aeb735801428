package evaluate

import (
	"math"

	"rapport/policy"
)

// A reward model is β·φ(x) over the traits in question, φ = [1, z_j…, z_j²…] with
// z = 2x−1, fitted by ridge regression: the shape that the learner assumes, from
// the log alone.

const ridge = 5. // pseudo-observations on every coefficient but the intercept

// features writes φ(x) of the traits of a set.
func features(phi []float64, x *policy.Traits, of policy.Mask) []float64 {
	phi = append(phi[:0], 1)
	for _, t := range of.Traits() {
		z := 2*x[t] - 1
		phi = append(phi, z, z*z)
	}
	return phi
}

// predicted gives E φ(x) under the target, for a session drawn from a mixture.
func (t Target) predicted(phi []float64, drawn *policy.Mixture) []float64 {
	m := t.around(drawn)
	phi = append(phi[:0], 1)
	for _, trait := range t.Of.Traits() {
		mean, second := truncated(m.Theta[trait], m.DefensiveSD, m.Lo[trait], m.Hi[trait])
		phi = append(phi, 2*mean-1, 4*second-4*mean+1)
	}
	return phi
}

// truncated gives E x and E x² of a normal number of mean c and deviation sd
// inside [lo,hi] (Johnson, Kotz and Balakrishnan 1994, 13.10).
func truncated(c, sd, lo, hi float64) (mean, second float64) {
	a, b := (lo-c)/sd, (hi-c)/sd
	density := func(z float64) float64 { return math.Exp(-z*z/2) / math.Sqrt(2*math.Pi) }
	mass := .5 * (math.Erf(b/math.Sqrt2) - math.Erf(a/math.Sqrt2))
	d1 := (density(a) - density(b)) / mass
	variance := sd * sd * (1 + (a*density(a)-b*density(b))/mass - d1*d1)
	mean = c + sd*d1
	return mean, variance + mean*mean
}

// fit solves (Σ φφᵀ + ridge·I₀) β = Σ φ r over the sessions that use says.
func fit(sessions []Session, of policy.Mask, use func(i int) bool) []float64 {
	p := 1 + 2*len(of.Traits())
	a, b := make([]float64, p*p), make([]float64, p)
	var phi []float64
	n := 0
	for i := range sessions {
		if !use(i) {
			continue
		}
		n++
		phi = features(phi, &sessions[i].X, of)
		for r := range p {
			b[r] += phi[r] * sessions[i].Reward
			for c := range r + 1 {
				a[r*p+c] += phi[r] * phi[c]
			}
		}
	}
	if n == 0 {
		return b
	}
	for j := 1; j < p; j++ {
		a[j*p+j] += ridge
	}
	solve(a, b, p)
	return b
}

// solve replaces b by A⁻¹b for a positive definite A given by its lower half
// (Cholesky).
func solve(a, b []float64, p int) {
	for j := range p {
		for k := range j {
			a[j*p+j] -= a[j*p+k] * a[j*p+k]
		}
		a[j*p+j] = math.Sqrt(a[j*p+j])
		for i := j + 1; i < p; i++ {
			for k := range j {
				a[i*p+j] -= a[i*p+k] * a[j*p+k]
			}
			a[i*p+j] /= a[j*p+j]
		}
	}
	for i := range p {
		for k := range i {
			b[i] -= a[i*p+k] * b[k]
		}
		b[i] /= a[i*p+i]
	}
	for i := p - 1; i >= 0; i-- {
		for k := i + 1; k < p; k++ {
			b[i] -= a[k*p+i] * b[k]
		}
		b[i] /= a[i*p+i]
	}
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
