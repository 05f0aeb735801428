package rival

import (
	"math"

	"rapport/policy"
)

// spsa is the evolution strategy with one perturbation a session, of all traits at
// once: simultaneous perturbation stochastic approximation (Spall 1992). With
// Δ ∈ {−1,1}^8 by coin, x = θ + c_n·Δ, and θ ← θ + a_n·(r − r̄)·(x − θ)/c², where r̄
// is a running mean of the reward.
//
// Settings: c .12·(1+n/20)^−.15, a .007·(1+n/20)^−.6, n rewards so far (close to
// Spall's exponents .101 and .602); r̄ forgets 5 % a reward.
type spsa struct {
	theta policy.Traits
	r     policy.Stream
	mean  float64
	n     float64
	tried []policy.Traits // x − θ, by session
}

const spsaWidth = .12

func newSPSA(start policy.Traits, r policy.Stream) player { return &spsa{theta: start, r: r} }

func (e *spsa) act() policy.Traits {
	x, d := e.theta, policy.Traits{}
	c := spsaWidth * math.Pow(1+e.n/20, -.15)
	for j := range x {
		x[j] = clip(x[j] + math.Copysign(c, e.r.Float64()-.5))
		d[j] = x[j] - e.theta[j]
	}
	e.tried = append(e.tried, d)
	return x
}

func (e *spsa) learn(n int, _ *policy.Traits, reward float64) {
	e.n++
	e.mean += (reward - e.mean) * max(.05, 1/e.n)
	a := .007 * math.Pow(1+e.n/20, -.6) * (reward - e.mean) / (spsaWidth * spsaWidth)
	for j, d := range e.tried[n] {
		e.theta[j] = clip(e.theta[j] + a*d)
	}
}

func (e *spsa) levels() policy.Traits { return e.theta }
