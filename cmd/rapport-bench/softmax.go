package main

import "math"

// fitChoices finds the weights w that make the right choices likeliest,
//
//	Σ ln Σ_{right} softmax(w·x) − ridge/2·|w|²
//
// by gradient ascent with a step per weight (RMSprop with a falling rate). xs[i] are the
// choices of case i, right[i] says which are right. No randomness.
func fitChoices(xs [][][]float64, right [][]bool, ridge float64, rounds int) []float64 {
	k := len(xs[0][0])
	w, size := make([]float64, k), make([]float64, k)
	for round := range rounds {
		g := make([]float64, k)
		for j := range w {
			g[j] = -ridge * w[j]
		}
		for i, choices := range xs {
			p := softmax(choices, w)
			hit := 0.0
			for c := range choices {
				hit += p[c] * indicator(right[i][c])
			}
			if hit == 0 {
				continue
			}
			for c, x := range choices {
				d := -p[c]
				if right[i][c] {
					d += p[c] / hit
				}
				if math.Abs(d) < 1e-7 {
					continue
				}
				for j, v := range x {
					g[j] += d * v
				}
			}
		}
		rate := .3 / (1 + 8*float64(round)/float64(rounds)) * (1 - float64(round)/float64(rounds))
		for j := range w {
			size[j] = .9*size[j] + .1*g[j]*g[j]
			w[j] += rate * g[j] / (math.Sqrt(size[j]) + 1e-6)
		}
	}
	return w
}

func softmax(choices [][]float64, w []float64) []float64 {
	p, top, sum := make([]float64, len(choices)), math.Inf(-1), 0.0
	for i, x := range choices {
		for j, v := range x {
			p[i] += w[j] * v
		}
		top = max(top, p[i])
	}
	for i := range p {
		p[i] = math.Exp(p[i] - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}
