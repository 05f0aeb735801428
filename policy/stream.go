package policy

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Stream is a sequence of random numbers that is a function of its key alone, on
// every machine and in every release: xoshiro256** (Blackman and Vigna 2018).
type Stream struct{ s [4]uint64 }

// NewStream starts a stream. The key is best a hash: keys that differ in few bits
// start alike.
func NewStream(key [32]byte) Stream {
	var r Stream
	for i := range r.s {
		r.s[i] = binary.LittleEndian.Uint64(key[8*i:])
	}
	if r.s == [4]uint64{} {
		r.s[0] = 1 // the only state it cannot leave
	}
	return r
}

// Uint64 gives 64 random bits.
func (r *Stream) Uint64() uint64 {
	out := bits.RotateLeft64(r.s[1]*5, 7) * 9
	t := r.s[1] << 17
	r.s[2] ^= r.s[0]
	r.s[3] ^= r.s[1]
	r.s[1] ^= r.s[2]
	r.s[0] ^= r.s[3]
	r.s[2] ^= t
	r.s[3] = bits.RotateLeft64(r.s[3], 45)
	return out
}

// Float64 gives a number in (0,1), both ends excluded.
func (r *Stream) Float64() float64 {
	return (float64(r.Uint64()>>12) + .5) * 0x1p-52
}

// Normal gives a standard normal number.
func (r *Stream) Normal() float64 { return normalQuantile(r.Float64()) }

// Truncated gives a normal number of mean c and deviation sd inside [lo,hi].
func (r *Stream) Truncated(c, sd, lo, hi float64) float64 {
	a, b := normalCDF((lo-c)/sd), normalCDF((hi-c)/sd)
	u := a + float64(r.Float64()*(b-a))
	return min(max(c+float64(sd*normalQuantile(u)), lo), hi)
}

func normalCDF(z float64) float64 { return .5 * math.Erfc(-z*(1/math.Sqrt2)) }

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
	r = math.Sqrt(-math.Log(max(r, math.SmallestNonzeroFloat64)))
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
