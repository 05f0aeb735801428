package actions

import (
	"errors"
	"math"

	"rapport/learning/step"
)

// regression is a conjugate Bayesian regression of any width as package step has it for
// the traits, with one kind of owner and a prior without covariances: n coefficients,
// matrices of n·n numbers.
type regression struct {
	n               int
	mean, precision []float64 // prior; precision times noise
	s, h            []float64 // Σ wφφᵀ, Σ wφy, forgotten
	a, b, c         float64   // noise belief, disappointments

	l, m, v []float64 // Cholesky factor of the precision, posterior mean, scratch
}

// The constants of package step.
const (
	noise    = .2
	shape    = 10.
	shapeCap = 60.
	forget   = .005012541823544286 // −ln .995
	slack    = .35
	limit    = 5.
	kept     = .03
)

func newRegression(mean, deviation []float64) *regression {
	n := len(mean)
	g := &regression{n: n, mean: mean, precision: make([]float64, n), s: make([]float64, n*n), h: make([]float64, n),
		a: shape, b: shape * noise, l: make([]float64, n*n), m: make([]float64, n), v: make([]float64, n)}
	for i, d := range deviation {
		g.precision[i] = noise / (d * d)
	}
	return g
}

// add takes in an observation and forgets.
func (g *regression) add(f []float64, y, w float64) {
	keep := math.Exp(-forget * min(w, 1))
	for i := range g.n {
		row, wf := g.s[i*g.n:i*g.n+i+1], w*f[i]
		for j := range row {
			row[j] = keep*row[j] + wf*f[j]
		}
		g.h[i] = keep*g.h[i] + wf*y
	}
}

func (g *regression) shrink(keep float64) {
	for i := range g.s {
		g.s[i] *= keep
	}
	for i := range g.h {
		g.h[i] *= keep
	}
}

var errSingular = errors.New("not positive definite")

// believe computes factor and mean. O(n³/6).
func (g *regression) believe() error {
	n, l := g.n, g.l
	for i := range n {
		ri := l[i*n : i*n+i+1]
		for j := range ri {
			rj := l[j*n : j*n+j+1]
			sum := g.s[i*n+j]
			if i == j {
				sum += g.precision[i]
			}
			for k, v := range rj[:j] {
				sum -= ri[k] * v
			}
			if i > j {
				ri[j] = sum / rj[j]
			} else if ri[i] = math.Sqrt(sum); !(sum > 0) {
				return errSingular
			}
		}
	}
	for i := range n {
		g.m[i] = g.precision[i]*g.mean[i] + g.h[i]
	}
	g.forward(g.m)
	for i := n - 1; i >= 0; i-- { // Lᵀv = v
		g.m[i] /= l[i*n+i]
		for k := range i {
			g.m[k] -= l[i*n+k] * g.m[i]
		}
	}
	return nil
}

// forward solves Lv = v.
func (g *regression) forward(v []float64) {
	for i := range g.n {
		row := g.l[i*g.n : i*g.n+i+1]
		for k, u := range row[:i] {
			v[i] -= u * v[k]
		}
		v[i] /= row[i]
	}
}

// spread is |L⁻¹f|²: the variance of βᵀf but for the noise.
func (g *regression) spread(f []float64) (s float64) {
	copy(g.v, f)
	g.forward(g.v)
	for _, v := range g.v {
		s += v * v
	}
	return s
}

// observe takes in an observation, with belief, noise and drift as step.ObserveInto has
// them; it says whether it was one disappointment too many.
func (g *regression) observe(f []float64, y, w float64) (drifted bool, err error) {
	sigma2 := g.b / g.a
	g.add(f, y, w)
	if err := g.believe(); err != nil {
		return false, err
	}
	left := max(1e-9, 1-w*g.spread(f))
	e, t := (y-g.expects(f))/left, 1/(w*left)
	z := min(max(e/math.Sqrt(t*sigma2), -3), 3)
	g.c = max(0, g.c-z*min(1, math.Sqrt(w))-slack)
	g.a, g.b = g.a+.5, g.b+.5*e*e/t
	if g.a > shapeCap {
		g.a, g.b = shapeCap, g.b*shapeCap/g.a
	}
	if g.c <= limit {
		return false, nil
	}
	g.shrink(kept)
	g.c = 0
	return true, g.believe()
}

func (g *regression) expects(f []float64) (y float64) {
	for i, v := range f {
		y += v * g.m[i]
	}
	return y
}

// toward is the best place within the step bound of from, and [lo,hi], for what has its
// two coefficients at i and i+1 and is counted from origin; and how much better it is
// there: mean, and variance where the noise has the given one. f is scratch of zeros.
func (g *regression) toward(i int, origin, from, lo, hi, scale float64, f []float64) (to, mean, variance float64) {
	lo, hi = max(lo, from-step.StepBound), min(hi, from+step.StepBound)
	if !(lo < hi) {
		return from, 0, 0
	}
	m1, m2 := g.m[i], g.m[i+1]
	worth := func(at float64) float64 { z := 2 * (at - origin); return m1*z + m2*z*z }
	to = lo
	if m2 < 0 {
		to = min(max(origin-m1/(4*m2), lo), hi)
	} else if worth(hi) > worth(lo) {
		to = hi
	}
	difference(f[i:], origin, from, to)
	variance = scale * g.spread(f)
	f[i], f[i+1] = 0, 0
	return to, worth(to) - worth(from), variance
}

// difference sets f to the difference of the two features of to and from.
func difference(f []float64, origin, from, to float64) {
	z0, z1 := 2*(from-origin), 2*(to-origin)
	f[0], f[1] = z1-z0, z1*z1-z0*z0
}
