package rater

import "math"

// choice is one answer with the features of every answer there was to give.
type choice struct {
	answer int
	phi    [][]float64 // answer, feature
}

// probabilities writes P(answer) ∝ exp(θ·φ).
func (c *choice) probabilities(theta, out []float64) {
	for l, phi := range c.phi {
		out[l] = 0
		for i, x := range phi {
			out[l] += theta[i] * x
		}
	}
	fromLogs(out)
}

// belief is the population of coefficients: mean and covariance, and its inverse.
type belief struct {
	mean      []float64
	spread    [][]float64
	precision [][]float64
}

const (
	beliefRounds = 12
	newtonSteps  = 12
	longestStep  = 1. // of one coefficient
	firstSpread  = .5 // variance before any person, worth one
)

// fitBelief is EM over people: each one's mode and curvature, then the mean and
// covariance of modes with the curvatures' inverse. So many people at usual are added
// to the mean.
func fitBelief(people [][]choice, usual []float64, pseudo float64) belief {
	d := len(usual)
	b := belief{mean: append([]float64(nil), usual...), spread: grid(d, d)}
	for i := range d {
		b.spread[i][i] = firstSpread
	}
	modes := make([][]float64, len(people))
	for range beliefRounds {
		b.precision = inverse(b.spread)
		mean, spread := make([]float64, d), grid(d, d)
		for r, choices := range people {
			start := modes[r]
			if start == nil {
				start = b.mean
			}
			var curvature [][]float64
			modes[r], curvature = b.mode(choices, start)
			for i, row := range inverse(curvature) {
				mean[i] += modes[r][i]
				for j, x := range row {
					spread[i][j] += x
				}
			}
		}
		for i := range mean {
			mean[i] = (mean[i] + pseudo*usual[i]) / (float64(len(people)) + pseudo)
			spread[i][i] += firstSpread
		}
		for _, m := range modes {
			for i := range d {
				for j := range d {
					spread[i][j] += (m[i] - mean[i]) * (m[j] - mean[j])
				}
			}
		}
		for i := range d {
			for j := range d {
				spread[i][j] /= float64(len(people)) + 1
			}
		}
		b.mean, b.spread = mean, spread
	}
	b.precision = inverse(b.spread)
	return b
}

// mode is the most probable coefficients of one person, and the curvature of the log
// posterior there, by Newton's method from start.
func (b *belief) mode(choices []choice, start []float64) ([]float64, [][]float64) {
	d := len(b.mean)
	theta, curvature := append([]float64(nil), start...), grid(d, d)
	slope, expected := make([]float64, d), make([]float64, d)
	var p [MaxAnswers]float64
	for range newtonSteps {
		for i := range d {
			slope[i] = 0
			copy(curvature[i], b.precision[i])
			for j := range d {
				slope[i] -= b.precision[i][j] * (theta[j] - b.mean[j])
			}
		}
		for k := range choices {
			c := &choices[k]
			c.probabilities(theta, p[:len(c.phi)])
			clear(expected)
			for l, phi := range c.phi {
				for i, x := range phi {
					expected[i] += p[l] * x
				}
			}
			for i, x := range c.phi[c.answer] {
				slope[i] += x - expected[i]
			}
			for l, phi := range c.phi {
				for i := range d {
					x := p[l] * (phi[i] - expected[i])
					for j := 0; j <= i; j++ {
						curvature[i][j] += x * (phi[j] - expected[j])
					}
				}
			}
		}
		for i := range d {
			for j := range i {
				curvature[j][i] = curvature[i][j]
			}
		}
		moved := 0.
		for i, row := range inverse(curvature) {
			step := 0.
			for j, x := range row {
				step += x * slope[j]
			}
			step = min(max(step, -longestStep), longestStep)
			theta[i] += step
			moved += math.Abs(step)
		}
		if moved < 1e-6 {
			break
		}
	}
	return theta, curvature
}

// posterior is the mode and points around it that stand for the normal
// approximation: mode ± √d along each column of the covariance's root (third-degree
// cubature; Arasaratnam and Haykin 2009). Without choices it is the population's.
func (b *belief) posterior(choices []choice) (mode []float64, points [][]float64) {
	mode, curvature := b.mode(choices, b.mean)
	root := cholesky(inverse(curvature))
	d := len(mode)
	reach := math.Sqrt(float64(d))
	for k := range d {
		plus, minus := append([]float64(nil), mode...), append([]float64(nil), mode...)
		for i := range d {
			plus[i] += reach * root[i][k]
			minus[i] -= reach * root[i][k]
		}
		points = append(points, plus, minus)
	}
	return mode, points
}

// cholesky is the lower root of a positive definite matrix.
func cholesky(a [][]float64) [][]float64 {
	l := grid(len(a), len(a))
	for i := range a {
		for j := 0; j <= i; j++ {
			s := a[i][j]
			for k := range j {
				s -= l[i][k] * l[j][k]
			}
			if i == j {
				l[i][i] = math.Sqrt(max(s, 1e-12))
			} else {
				l[i][j] = s / l[j][j]
			}
		}
	}
	return l
}

// inverse of a positive definite matrix.
func inverse(a [][]float64) [][]float64 {
	n, l := len(a), cholesky(a)
	out := grid(n, n)
	v := make([]float64, n)
	for c := range n {
		clear(v)
		v[c] = 1
		for i := c; i < n; i++ {
			for k := c; k < i; k++ {
				v[i] -= l[i][k] * v[k]
			}
			v[i] /= l[i][i]
		}
		for i := n - 1; i >= 0; i-- {
			for k := i + 1; k < n; k++ {
				v[i] -= l[k][i] * v[k]
			}
			v[i] /= l[i][i]
		}
		for i := range n {
			out[i][c] = v[i]
		}
	}
	return out
}
