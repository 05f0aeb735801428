package policy

import "math"

// The normal distribution, in + − × ÷ and square roots only: the same bits on every
// processor.

// The upper tail is a Taylor polynomial around the nearest of tailNodes points.
const (
	tailNodes  = 141 // from 0 to 8.75, above which nothing is left beside 1
	tailStep   = 16  // points for each deviation
	tailDegree = 8   // the rest is below 1e-18
)

// tailAt holds the polynomials: coefficient n is that of hⁿ.
var tailAt = func() (t [tailNodes][tailDegree + 1]float64) {
	const degree = 14 // to go from point to point
	last := 0.        // Q at the point above
	for i := tailNodes - 1; i >= 0; i-- {
		z := float64(float64(i) / tailStep)
		phi := float64(Exp(-float64(z*z)/2) * .39894228040143267794)
		// Q⁽ⁿ⁾(z)/n! = −φ(z)·(−1)ⁿ⁻¹He_{n−1}(z)/n!, He_{n+1} = z·He_n − n·He_{n−1}
		var c [degree + 1]float64
		he, before, factorial := 1., 0., 1.
		for n := 1; n <= degree; n++ {
			factorial *= float64(n)
			c[n] = -float64(phi*he) / factorial
			if n%2 == 0 {
				c[n] = -c[n]
			}
			he, before = float64(z*he)-float64(float64(n-1)*before), he
		}
		if i == tailNodes-1 {
			fraction := z // Mills' ratio as a continued fraction (Laplace)
			for n := 100.; n > 0; n-- {
				fraction = z + n/fraction
			}
			c[0] = phi / fraction
		} else {
			up := 0.
			for n := degree; n > 0; n-- {
				up = float64((up + c[n]) / tailStep)
			}
			c[0] = last - up
		}
		last = c[0]
		copy(t[i][:], c[:])
	}
	return t
}()

// tail is P(N > z) for z ≥ 0, to 2e-16, and to 1e-10 of itself; 0 above 8.75.
func tail(z float64) float64 {
	if !(z <= (tailNodes-1.)/tailStep) {
		return 0
	}
	i := int(float64(z*tailStep) + .5)
	c := &tailAt[i]
	h := z - float64(float64(i)/tailStep)
	h2 := float64(h * h)
	h4 := float64(h2 * h2)
	a := float64(c[1]*h) + c[0]
	b := float64(c[3]*h) + c[2]
	d := float64(c[5]*h) + c[4]
	e := float64(c[7]*h) + c[6]
	return a + float64(b*h2) + float64((d+float64(e*h2)+float64(c[8]*h4))*h4)
}

func normalCDF(z float64) float64 {
	if z < 0 {
		return tail(-z)
	}
	return 1 - tail(z)
}

// normalQuantile is the inverse of the normal distribution function: algorithm AS
// 241 (Wichura 1988), relative accuracy about 1e-16.
func normalQuantile(p float64) float64 {
	q := p - .5
	if math.Abs(q) <= .425 {
		r := .180625 - float64(q*q)
		return q * poly(r, 2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
			13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608) /
			poly(r, 5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
				5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1)
	}
	r := p
	if q > 0 {
		r = 1 - p
	}
	r = math.Sqrt(-Ln(max(r, 0x1p-1022)))
	var z float64
	if r <= 5 {
		r -= 1.6
		z = poly(r, 7.7454501427834140764e-4, .0227238449892691845833, .24178072517745061177, 1.27045825245236838258,
			3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734) /
			poly(r, 1.05075007164441684324e-9, 5.475938084995344946e-4, .0151986665636164571966, .14810397642748007459,
				.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1)
	} else {
		r -= 5
		z = poly(r, 2.01033439929228813265e-7, 2.71155556874348757815e-5, .0012426609473880784386, .026532189526576123093,
			.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772) /
			poly(r, 2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
				.0148753612908506148525, .13692988092273580531, .59983220655588793769, 1)
	}
	if q < 0 {
		return -z
	}
	return z
}

// poly evaluates c[0]r⁷ + … + c[7] by Horner's rule.
func poly(r, c7, c6, c5, c4, c3, c2, c1, c0 float64) float64 {
	v := c7
	v = float64(v*r) + c6
	v = float64(v*r) + c5
	v = float64(v*r) + c4
	v = float64(v*r) + c3
	v = float64(v*r) + c2
	v = float64(v*r) + c1
	return float64(v*r) + c0
}
