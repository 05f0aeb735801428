package rater

import "math"

// The two-class model of a guest (design page on learning, 3.1). Adversaries say
// up in 3 % of cases whatever they saw; 15 % of guests are believed to be ones.
const (
	adversaryUp   = .03
	honestShare   = .85
	honestFloor   = .1
	honestCeiling = .97
	standingLimit = 6_000_000 // micro-nats: no record is longer than this memory
)

// priorLogOdds is log(.85/.15) in micro-nats.
const priorLogOdds = 1_734_601

// Standing is the log likelihood ratio of "honest" against "always negative" for
// one rater, in millionths of a nat, within ±6 nats. The zero value is a stranger.
// As an integer it is the same on every machine.
type Standing int32

// After is the standing after one more thumb or reaction. value is what was given:
// above 0 is up, below 0 down. expected is ŷ, the satisfaction expected of that
// session in owner ratings, [-1,1]; offset and slope are the loading of the source
// (a and b). An honest rater says up with probability
//
//	clamp((1 + a + b·ŷ)/2, .1, .97)
//
// A value of 0 or any number that is not finite leaves the standing as it was.
// Order matters only at the limits.
func (s Standing) After(value, expected, offset, slope float64) Standing {
	if value == 0 || value-value != 0 || expected-expected != 0 || offset-offset != 0 || slope-slope != 0 {
		return s
	}
	up := (1 + offset + float64(slope*expected)) / 2
	if up != up {
		return s
	}
	up = min(max(up, honestFloor), honestCeiling)
	ratio := up / adversaryUp
	if value < 0 {
		ratio = (1 - up) / (1 - adversaryUp)
	}
	step := int32(math.Round(float64(logOf(ratio) * 1e6)))
	return min(max(s+Standing(step), -standingLimit), standingLimit)
}

// Reputation is the probability of being honest, σ(log(.85/.15) + L), rounded to
// 1e-4. What a rater says counts with its square.
func (s Standing) Reputation() float64 {
	odds := expOf(float64(int32(s)+priorLogOdds) / 1e6)
	return math.Round(float64(1e4*(odds/(1+odds)))) / 1e4
}

// Excluded says that the rater is more probably an adversary than honest. The
// standing goes on: a rater may come back.
func (s Standing) Excluded() bool { return int32(s) < -priorLogOdds }

// logOf is the natural logarithm of x > 0 by +, −, × and ÷ alone, so that it has
// the same bits everywhere: x = m·2^e, log m = 2·artanh((m−1)/(m+1)). Absolute
// error below 1e-13.
func logOf(x float64) float64 {
	m, e := math.Frexp(x) // m in [.5,1)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	t := (m - 1) / (m + 1)
	t2 := float64(t * t)
	sum := 0.
	for k := 19; k >= 1; k -= 2 {
		sum = float64(sum*t2) + 1/float64(k)
	}
	return float64(2*float64(t*sum)) + float64(float64(e)*math.Ln2)
}

// expOf is e^x for |x| ≤ 20 by +, −, × and ÷ alone. Relative error below 1e-13.
func expOf(x float64) float64 {
	k := math.Round(x / math.Ln2)
	r := x - float64(k*math.Ln2)
	sum := 1.
	for n := 16; n >= 1; n-- {
		sum = 1 + float64(float64(sum*r)/float64(n))
	}
	return math.Ldexp(sum, int(k))
}
