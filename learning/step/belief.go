package step

import (
	"math"

	"rapport/policy"
)

// Belief is the posterior over the coefficients: normal with mean M and
// covariance Scale·(LLᵀ)⁻¹.
type Belief struct {
	M     Vec
	Scale float64
	l     [Tri]float64  // Cholesky factor of Λ = σ0²P + S
	inv   [D][3]float64 // (Λ⁻¹) of a trait's two coefficients: linear, both, quadratic
}

// row is where row i of a packed triangle starts.
func row(i int) int { return i * (i + 1) / 2 }

// factor computes the Cholesky factor of σ0²P + S and the mean.
func (b *Belief) factor(prior *Prior, s *State) {
	c := &prior.Components[0]
	mean := c.Mean
	for j, g := range c.Slope {
		mean[1+j] += float64(g * (2*s.Start[j] - 1))
	}
	rhs := s.H
	for i := range P {
		ri := b.l[row(i) : row(i)+i+1]
		si := s.S[row(i) : row(i)+i+1]
		pi := c.Precision[row(i) : row(i)+i+1]
		for j := range i {
			p := float64(prior.Noise * pi[j])
			rhs[i] += float64(p * mean[j])
			rhs[j] += float64(p * mean[i])
			rj := b.l[row(j) : row(j)+j+1]
			sum := si[j] + p
			for t, v := range rj[:j] {
				sum -= float64(ri[t] * v)
			}
			ri[j] = float64(sum * rj[j]) // the diagonal holds 1/L_jj
		}
		p := float64(prior.Noise * pi[i])
		rhs[i] += float64(p * mean[i])
		sum := si[i] + p
		for _, v := range ri[:i] {
			sum -= float64(v * v)
		}
		ri[i] = 1 / math.Sqrt(sum)
	}
	b.M = rhs
	b.forward(&b.M)
	b.backward(&b.M)
	b.Scale = s.B / s.A
}

// forward solves L v = v.
func (b *Belief) forward(v *Vec) {
	for i := range P {
		ri := b.l[row(i) : row(i)+i+1]
		sum := v[i]
		for t, c := range ri[:i] {
			sum -= float64(c * v[t])
		}
		v[i] = float64(sum * ri[i])
	}
}

// backward solves Lᵀ v = v.
func (b *Belief) backward(v *Vec) {
	for i := P - 1; i >= 0; i-- {
		ri := b.l[row(i) : row(i)+i+1]
		x := float64(v[i] * ri[i])
		v[i] = x
		for t, c := range ri[:i] {
			v[t] -= float64(c * x)
		}
	}
}

// invert fills inv from the factor.
func (b *Belief) invert() {
	var w [Tri]float64 // L⁻¹
	for i := range P {
		ri := b.l[row(i) : row(i)+i+1]
		wi := w[row(i) : row(i)+i+1]
		for t, c := range ri[:i] {
			wt := w[row(t) : row(t)+t+1]
			for j, v := range wt {
				wi[j] -= float64(c * v)
			}
		}
		for j := range i {
			wi[j] = float64(wi[j] * ri[i])
		}
		wi[i] = ri[i]
	}
	for j := range D {
		one, two := 1+j, 1+D+j
		var v11, v12, v22 float64
		for k := one; k < P; k++ {
			a := w[row(k)+one]
			v11 += float64(a * a)
			if k >= two {
				c := w[row(k)+two]
				v12 += float64(a * c)
				v22 += float64(c * c)
			}
		}
		b.inv[j] = [3]float64{v11, v12, v22}
	}
}

// Believe computes the posterior of a state under a prior in b and gives it back.
// O(P³/2).
func (s *State) Believe(p *Prior, b *Belief) *Belief {
	b.factor(p, s)
	b.invert()
	return b
}

// Difference is the belief about how much better trait j at level to is than at
// level from, in owner-rating units: mean and variance.
func (b *Belief) Difference(j policy.Trait, from, to float64) (mean, variance float64) {
	z0, z1 := 2*from-1, 2*to-1
	d1, d2 := z1-z0, float64(z1*z1)-float64(z0*z0)
	mean = float64(b.M[1+j]*d1) + float64(b.M[1+D+j]*d2)
	v := &b.inv[j]
	variance = float64(b.Scale * (float64(float64(d1*d1)*v[0]) + float64(float64(2*d1)*float64(d2*v[1])) + float64(float64(d2*d2)*v[2])))
	return mean, variance
}

// Better is P(trait j is better at level to than at level from); ½ when they are
// equal.
func (b *Belief) Better(j policy.Trait, from, to float64) float64 {
	mean, variance := b.Difference(j, from, to)
	if variance <= 0 {
		return .5
	}
	return .5 * math.Erfc(-mean/math.Sqrt(2*variance))
}

// Ideal is the belief about the best level of trait j, in trait units: the level
// inside [0,1] and its standard deviation by the delta method, at most that of
// not knowing at all (1/√12).
func (b *Belief) Ideal(j policy.Trait) (level, sd float64) {
	m1, m2 := b.M[1+j], b.M[1+D+j]
	level = (1 + best(m1, m2, -1, 1)) / 2
	sd = 1 / math.Sqrt(12)
	if m2 < 0 {
		g1, g2 := -1/(2*m2), m1/float64(2*m2*m2)
		v := &b.inv[j]
		sd = min(sd, math.Sqrt(b.Scale*(float64(g1*g1*v[0])+float64(2*g1*g2*v[1])+float64(g2*g2*v[2])))/2)
	}
	return level, sd
}

// best is the z in [lo,hi] where m1·z + m2·z² is largest; the lower end on a tie.
func best(m1, m2, lo, hi float64) float64 {
	if m2 < 0 {
		return min(max(-m1/(2*m2), lo), hi)
	}
	if float64(m1*hi)+float64(m2*float64(hi*hi)) > float64(m1*lo)+float64(m2*float64(lo*lo)) {
		return hi
	}
	return lo
}
