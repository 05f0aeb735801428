package step

import (
	"errors"
	"math"

	"rapport/policy"
)

// Belief is the posterior over the coefficients: a mixture of one normal for each
// kind of owner, with the covariance Scale·Λ_k⁻¹, Λ_k = σ0²P_k + S. The zero Belief
// knows nothing: no level is better than another.
type Belief struct {
	M     Vec           // mean
	R     [MaxK]float64 // how probable each kind of owner is; sums to 1
	Scale float64       // noise variance of one owner rating, as believed now
	Err   error         // ErrState when the state was none: then nothing is believed

	start    policy.Traits
	cov      [D][3]float64 // of a trait's two coefficients: linear, both, quadratic
	evidence float64
	kinds    [MaxK]posterior
	w        [P]Vec // scratch
}

// posterior is the belief about an owner of one kind.
type posterior struct {
	m   Vec
	l   factor  // of Λ_k
	log float64 // ln of the probability of the kind, up to a constant
}

// ErrState is the error of a state that no evidence can have led to: numbers that
// are not finite, or sums that are not positive definite.
var ErrState = errors.New("learner state refused: not the sums of any evidence")

// rare is the probability below which a kind of owner is left out of a belief.
const rare = 1e-6

// Believe computes the posterior of a state under a prior in b and gives it back.
// Of a state that is none, nothing is believed and Err is ErrState. O(K·P³/3).
func (s *State) Believe(p *Prior, b *Belief) *Belief {
	if !s.sound() {
		*b = Belief{Err: ErrState}
	} else if b.weigh(p, s, &Vec{}) {
		b.mix(p, s)
	}
	return b
}

// weigh computes how probable each kind of owner is,
//
//	ln r_k = ln π_k + ½(ln|σ0²P_k| − ln|Λ_k|) + ½(m_kᵀΛ_km_k − μ_kᵀσ0²P_kμ_k)/σ0² + const,
//
// and leaves L⁻¹f in the factors. False when the state is none.
func (b *Belief) weigh(p *Prior, s *State, f *Vec) bool {
	n := len(p.prepared)
	if n == 0 {
		panic("step: a prior that NewPrior did not make")
	}
	for k := range n {
		c, post := &p.prepared[k], &b.kinds[k]
		mean, pull := c.mean(&p.Components[k], &s.Start)
		l := &post.l
		l.load(&c.precision, &s.S)
		for i := range pull {
			l[rowMean][i] = pull[i] + s.H[i]
		}
		l[rowFeatures] = *f
		det, ok := l.decompose(&c.least)
		gain := (dot(&l[rowMean], &l[rowMean]) - dot(&mean, &pull)) / p.Noise
		post.log = c.logWeight + float64(.5*(gain-policy.Ln(det)))
		if !ok || post.log-post.log != 0 {
			*b = Belief{Err: ErrState}
			return false
		}
	}
	b.R = [MaxK]float64{}
	for k := range n {
		b.R[k] = b.kinds[k].log
	}
	b.evidence = softmax(b.R[:n]) - float64(.5*(s.YY/p.Noise+float64(s.N*policy.Ln(2*math.Pi*p.Noise))))
	return true
}

// softmax turns logarithms into probabilities that sum to 1, and gives the
// logarithm of what the sum was.
func softmax(v []float64) float64 {
	top, sum := math.Inf(-1), 0.
	for _, l := range v {
		top = max(top, l)
	}
	for i, l := range v {
		v[i] = policy.Exp(l - top)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
	return top + policy.Ln(sum)
}

// mix computes mean and covariance of the mixture from the factors:
//
//	m = Σ r_k m_k,  V = Σ r_k (Scale·Λ_k⁻¹ + (m_k−m)(m_k−m)ᵀ).
//
// Kinds less probable than rare are left out.
func (b *Belief) mix(p *Prior, s *State) {
	b.Err = nil
	shape, sum := s.Noise(p)
	b.Scale = sum / shape
	sum = 0
	for k, r := range b.R {
		if r < rare {
			b.R[k] = 0
		}
		sum += b.R[k]
	}
	b.M = Vec{}
	for k := range b.R {
		r := b.R[k] / sum
		b.R[k] = r
		if r == 0 {
			continue
		}
		post := &b.kinds[k]
		post.m = post.l[rowMean]
		post.l.backward(&post.m)
		for i, v := range post.m {
			b.M[i] += float64(r * v)
		}
	}
	b.start = s.Start
	b.cov = [D][3]float64{}
	for k, r := range b.R {
		if r == 0 {
			continue
		}
		post := &b.kinds[k]
		var inv [D][3]float64
		post.l.blocks(&b.w, &inv)
		share := float64(r * b.Scale)
		for j := range inv {
			d1, d2 := post.m[1+j]-b.M[1+j], post.m[1+D+j]-b.M[1+D+j]
			o, v := &b.cov[j], &inv[j]
			o[0] += float64(share*v[0]) + float64(r*float64(d1*d1))
			o[1] += float64(share*v[1]) + float64(r*float64(d1*d2))
			o[2] += float64(share*v[2]) + float64(r*float64(d2*d2))
		}
	}
}

// z is a level of a trait as the features see it.
func (b *Belief) z(j int, level float64) float64 { return 2 * (level - b.start[j]) }

func dot(a, b *Vec) float64 {
	var even, odd float64
	for i := 0; i < P-1; i += 2 {
		even += float64(a[i] * b[i])
		odd += float64(a[i+1] * b[i+1])
	}
	return even + odd + float64(a[P-1]*b[P-1])
}

// LogEvidence is the log marginal likelihood of the state's observations under the
// prior, of noise σ0² and forgotten as they are,
//
//	ln Σ_k π_k √(|σ0²P_k|/|Λ_k|) exp(½(m_kᵀΛ_km_k − μ_kᵀσ0²P_kμ_k − YY)/σ0²) − ½N·ln(2πσ0²),
//
// but for ½Σ ln w, which is the same under every prior.
func (b *Belief) LogEvidence() float64 { return b.evidence }

// Difference is the belief about how much better trait j at level to is than at
// level from, in owner-rating units: mean and variance.
func (b *Belief) Difference(j policy.Trait, from, to float64) (mean, variance float64) {
	z0, z1 := b.z(int(j), from), b.z(int(j), to)
	d1, d2 := z1-z0, float64(z1*z1)-float64(z0*z0)
	return float64(b.M[1+j]*d1) + float64(b.M[1+D+j]*d2), along(&b.cov[j], d1, d2)
}

// variance is that of d·β. O(K·P²/2).
func (b *Belief) variance(d *Vec) float64 {
	mean, sum := dot(d, &b.M), 0.
	for k, r := range b.R {
		if r == 0 {
			continue
		}
		post, v := &b.kinds[k], *d
		post.l.forward(&v)
		off := dot(d, &post.m) - mean
		sum += float64(r * (float64(b.Scale*dot(&v, &v)) + float64(off*off)))
	}
	return sum
}

// along is the variance of d1·β1 + d2·β2.
func along(v *[3]float64, d1, d2 float64) float64 {
	return float64(float64(d1*d1)*v[0]) + float64(float64(2*d1)*float64(d2*v[1])) + float64(float64(d2*d2)*v[2])
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
	sd = 1 / math.Sqrt(12)
	if m1 == 0 && m2 == 0 {
		return .5, sd
	}
	level = b.start[j] + float64(best(m1, m2, b.z(int(j), 0), b.z(int(j), 1))/2)
	if m2 < 0 {
		g1, g2 := -1/(2*m2), m1/float64(2*m2*m2)
		sd = min(sd, math.Sqrt(along(&b.cov[j], g1, g2))/2)
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
