package rival

import (
	"math"

	"rapport/policy"
)

// ekf is an extended Kalman filter (Jazwinski 1970) on what the owner likes. It
// believes that a reward is c − Σ_j e^(l_j)·(x_j − x*_j)² + noise, with c, the
// ideal x* and the log importances l jointly normal, and updates their mean and
// covariance with the derivatives of the model at the mean. A session uses the
// policy with a Gaussian jitter of all traits; the policy follows the believed
// ideal.
//
// Settings: x* starts as N(start, .3²), l as N(.2, .5²), c as N(.5, .5²); noise
// .5, jitter .1, the policy moves at most .1 on a reward.
type ekf struct {
	theta policy.Traits
	r     policy.Stream
	mean  vector // c, x*, l
	cov   [nFeatures]vector
}

func newEKF(start policy.Traits, r policy.Stream) player {
	e := &ekf{theta: start, r: r}
	e.mean[0], e.cov[0][0] = .5, .5*.5
	for j, v := range start {
		i, l := 1+j, 1+policy.NTraits+j
		e.mean[i], e.cov[i][i] = v, .3*.3
		e.mean[l], e.cov[l][l] = .2, .5*.5
	}
	return e
}

func (e *ekf) act() policy.Traits {
	x := e.theta
	for j := range x {
		x[j] = clip(x[j] + .1*e.r.Normal())
	}
	return x
}

func (e *ekf) learn(_ int, x *policy.Traits, reward float64) {
	const noise, farthest = .5, .1
	var slope, gain vector
	slope[0] = 1
	expected := e.mean[0]
	for j, v := range x {
		i, l := 1+j, 1+policy.NTraits+j
		w, d := math.Exp(e.mean[l]), v-e.mean[i]
		expected -= w * d * d
		slope[i], slope[l] = 2*w*d, -w*d*d
	}
	for i := range gain {
		gain[i] = dot(&e.cov[i], &slope)
	}
	s := dot(&gain, &slope) + noise
	for i := range gain {
		e.mean[i] += gain[i] / s * (reward - expected)
		for k := range gain {
			e.cov[i][k] -= gain[i] * gain[k] / s
		}
	}
	for j := range x { // where the linearisation can be trusted
		i, l := 1+j, 1+policy.NTraits+j
		e.mean[i] = min(1.1, max(-.1, e.mean[i]))
		e.mean[l] = min(2, max(-4, e.mean[l]))
		e.theta[j] += min(farthest, max(-farthest, clip(e.mean[i])-e.theta[j]))
	}
}

func (e *ekf) levels() policy.Traits { return e.theta }
