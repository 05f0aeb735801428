package rival

import (
	"math"

	"rapport/policy"
)

const nFeatures = 2*policy.NTraits + 1

type vector [nFeatures]float64

// features are 1, z and z² of each trait, z = 2x − 1.
func features(x *policy.Traits) (f vector) {
	f[0] = 1
	for j, v := range x {
		z := 2*v - 1
		f[1+j], f[1+policy.NTraits+j] = z, z*z
	}
	return f
}

// ridge is a regression that forgets: it minimises Σ forget^age·(y − βᵀφ)² and a
// penalty, by the inverse of its Gram matrix (Sherman and Morrison 1950).
type ridge struct {
	inverse [nFeatures]vector
	h       vector
	beta    vector
}

func newRidge(penalty float64) (m ridge) {
	for i := range m.inverse {
		m.inverse[i][i] = 1 / penalty
	}
	return m
}

func (m *ridge) add(f *vector, y, forget float64) {
	v := m.times(f)
	g := forget + dot(f, &v)
	for i := range v {
		for j := range v {
			m.inverse[i][j] = (m.inverse[i][j] - v[i]*v[j]/g) / forget
		}
		m.h[i] = forget*m.h[i] + y*f[i]
	}
	m.beta = m.times(&m.h)
}

func (m *ridge) times(f *vector) (v vector) {
	for i := range v {
		v[i] = dot(&m.inverse[i], f)
	}
	return v
}

// width is the square root of φᵀA⁻¹φ, which the uncertainty of a prediction is a
// multiple of.
func (m *ridge) width(f *vector) float64 {
	v := m.times(f)
	return math.Sqrt(max(0, dot(f, &v)))
}

// sample draws coefficients from N(β, scale²·A⁻¹).
func (m *ridge) sample(scale float64, r *policy.Stream) vector {
	var l [nFeatures]vector // Cholesky factor of A⁻¹
	out := m.beta
	for j := range l {
		n := scale * r.Normal()
		for i := j; i < nFeatures; i++ {
			s := m.inverse[i][j]
			for k := range j {
				s -= l[i][k] * l[j][k]
			}
			if i == j {
				l[i][i] = math.Sqrt(max(s, 1e-12))
			} else {
				l[i][j] = s / l[j][j]
			}
			out[i] += l[i][j] * n
		}
	}
	return out
}

func dot(a, b *vector) (s float64) {
	for i, v := range a {
		s += v * b[i]
	}
	return s
}
