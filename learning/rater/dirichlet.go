package rater

import "math"

// digamma is the derivative of log Γ at x > 0: recurrence up to 6, then the
// asymptotic series. Absolute error below 1e-9.
func digamma(x float64) float64 {
	r := 0.
	for ; x < 6; x++ {
		r -= 1 / x
	}
	f := 1 / (x * x)
	return r + math.Log(x) - .5/x - f*(1./12-f*(1./120-f*(1./252-f*(1./240-f/132))))
}

// logCounts is the log probability of answers in this order with these counts under
// a Dirichlet-multinomial.
func logCounts(counts, alpha []float64) float64 {
	n, a, v := 0., 0., 0.
	for l, c := range counts {
		n += c
		a += alpha[l]
		if c > 0 {
			x, _ := math.Lgamma(alpha[l] + c)
			y, _ := math.Lgamma(alpha[l])
			v += x - y
		}
	}
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(a + n)
	return v + x - y
}

// refine makes one fixed-point step towards the most probable Dirichlet of rows of
// counts, each with a weight (Minka 2000, Estimating a Dirichlet distribution, eq.
// 55), with one pseudo-row's pull towards rest.
func refine(alpha []float64, row func(j int) []float64, weight func(j int) float64, rows int, rest []float64) {
	const pull = 1
	var total, base [MaxAnswers]float64
	sum, den := 0., 0.
	for l, a := range alpha {
		base[l] = digamma(a)
		sum += a
	}
	at := digamma(sum)
	for j := range rows {
		w := weight(j)
		if w < 1e-6 {
			continue
		}
		n := 0.
		for l, c := range row(j) {
			if c > 0 {
				n += c
				total[l] += w * (digamma(c+alpha[l]) - base[l])
			}
		}
		if n > 0 {
			den += w * (digamma(n+sum) - at)
		}
	}
	for l, a := range alpha {
		alpha[l] = min(max((a*total[l]+pull*rest[l])/(den+pull), 1e-3), 1e4)
	}
}

// sumOf adds up.
func sumOf(v []float64) float64 {
	s := 0.
	for _, x := range v {
		s += x
	}
	return s
}

// scale makes v sum to 1, uniform when it is all zero.
func scale(v []float64) {
	s := sumOf(v)
	for i := range v {
		if s > 0 {
			v[i] /= s
		} else {
			v[i] = 1 / float64(len(v))
		}
	}
}

// fromLogs turns log weights into probabilities.
func fromLogs(v []float64) {
	top := math.Inf(-1)
	for _, x := range v {
		top = max(top, x)
	}
	for i := range v {
		v[i] = math.Exp(v[i] - top)
	}
	scale(v)
}
