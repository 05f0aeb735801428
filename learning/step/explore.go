package step

import (
	"math"

	"rapport/policy"
)

// What exploration may cost: in expectation, and with caution standard deviations
// of doubt, a share of what is still to be gained; less than that share when that is
// less than much; never less than the floor. Owner-rating units. The samples are
// drawn with a part of their deviation: half-way between the best guess and
// Thompson's.
const (
	lossShare = .5
	lossFloor = .003
	much      = .4
	caution   = .6
	temper    = .8
)

// Centres draws the exploration centres around the levels theta: each the best
// point of the box under one tempered sample of the belief (Thompson 1933), drawn
// back towards theta by the largest α in [0,1] with
//
//	E f(c) − caution·sd(f(c) − f(θ)) ≥ E f(θ) − max(floor, share·gap·min(1, gap/much)),
//
// gap the mean over the samples of what the best levels of all are worth more than
// theta, and sd without the covariances between traits. The kinds of owners get
// samples in proportion to how probable they are (systematic sampling: one random
// number places all). The box is [lo,hi] within policy.DefaultRho of theta; a trait
// with an empty box stays. It gives the budget. O(M·P²).
func (b *Belief) Centres(theta, lo, hi *policy.Traits, r *policy.Stream, out *[policy.DefaultCentres]policy.Traits) float64 {
	if b.Scale == 0 {
		for q := range out {
			out[q] = *theta
		}
		return lossFloor
	}
	var zt, zlo, zhi policy.Traits
	for j := range D {
		zt[j] = b.z(j, theta[j])
		zlo[j] = b.z(j, max(lo[j], theta[j]-policy.DefaultRho))
		zhi[j] = b.z(j, min(hi[j], theta[j]+policy.DefaultRho))
		if !(zlo[j] <= zhi[j]) {
			zlo[j], zhi[j] = zt[j], zt[j]
		}
	}
	var samples [policy.DefaultCentres]Vec
	for q := range samples {
		for i := range samples[q] {
			samples[q][i] = r.Normal()
		}
	}
	place := 0.
	if b.R[0] < 1 {
		place = r.Float64()
	}
	k, upTo, last := 0, b.R[0], MaxK-1
	for b.R[last] == 0 {
		last--
	}
	sd, gap := temper*math.Sqrt(b.Scale), 0.
	for q := range out {
		for float64(q)+place > float64(len(out))*upTo && k < last {
			k++
			upTo += b.R[k]
		}
		post, v := &b.kinds[k], &samples[q]
		post.l.backward(v)
		for j := range D {
			m1 := post.m[1+j] + float64(sd*v[1+j])
			m2 := post.m[1+D+j] + float64(sd*v[1+D+j])
			out[q][j] = best(m1, m2, zlo[j], zhi[j]) // in z until below
			top := best(m1, m2, b.z(j, 0), b.z(j, 1))
			gap += float64(m1*(top-zt[j])) + float64(m2*(float64(top*top)-float64(zt[j]*zt[j])))
		}
	}
	gap /= float64(len(out))
	budget := max(lossFloor, float64(lossShare*gap)*min(1, gap/much))
	for q := range out {
		c := &out[q]
		// expected change along theta + α(c − theta): L·α + Q·α²
		var l, quad, doubt float64
		for j := range D {
			d := c[j] - zt[j]
			m1, m2 := b.M[1+j], b.M[1+D+j]
			l += float64(d * (m1 + float64(float64(2*m2)*zt[j])))
			quad += float64(m2 * float64(d*d))
			doubt += along(&b.cov[j], d, float64(c[j]*c[j])-float64(zt[j]*zt[j]))
		}
		l -= float64(caution * math.Sqrt(max(0, doubt)))
		alpha := 1.
		if l+quad < -budget {
			alpha = firstRoot(quad, l, budget)
		}
		for j := range D {
			c[j] = b.start[j] + float64((zt[j]+float64(alpha*(c[j]-zt[j])))/2)
		}
	}
	return budget
}

// firstRoot is the smallest α in [0,1] with quad·α² + l·α + c = 0, where c > 0
// and the value at 1 is below 0.
func firstRoot(quad, l, c float64) float64 {
	disc := math.Sqrt(max(0, float64(l*l)-float64(4*quad*c)))
	if l > 0 { // up first, then down: quad < 0
		return min(1, (-l-disc)/(2*quad))
	}
	return min(1, 2*c/(disc-l)) // the stable form
}
