package step

import (
	"errors"
	"fmt"
	"math"

	"rapport/policy"
)

// MaxK is how many kinds of owners a prior may tell apart.
const MaxK = 4

// Component is one kind of owner: the coefficients of such an agent are normal
// with precision P, and the mean of the linear coefficient of trait j is
// Mean + Slope_j·(2·start_j − 1), because owners start near what they like.
type Component struct {
	Weight    float64 // π, the share of agents
	Mean      Vec     // μ
	Slope     policy.Traits
	Precision [Tri]float64 // P, lower triangle by rows
}

// Prior is what is believed of an agent before any evidence of its own: a mixture
// of one to MaxK components, and the noise of one owner rating. A prior does not
// change once it is made; it may be shared.
type Prior struct {
	Noise      float64 // σ0², variance
	Components []Component
}

// ErrPrior is the error of a prior that cannot be used; the text says why.
var ErrPrior = errors.New("prior refused")

// NewPrior checks a prior: one to MaxK components, weights above 0 that sum to 1
// within 1e-9, finite numbers, precisions that are positive definite, a noise in
// (0, 10]. The error is ErrPrior with the reason.
func NewPrior(noise float64, components []Component) (*Prior, error) {
	if !(noise > 0 && noise <= 10) {
		return nil, fmt.Errorf("%w: a noise of %v is not in (0, 10]", ErrPrior, noise)
	}
	if n := len(components); n < 1 || n > MaxK {
		return nil, fmt.Errorf("%w: %d components, want 1 to %d", ErrPrior, n, MaxK)
	}
	sum := 0.
	for i := range components {
		c := &components[i]
		if !(c.Weight > 0) {
			return nil, fmt.Errorf("%w: component %d has the weight %v", ErrPrior, i, c.Weight)
		}
		sum += c.Weight
		for _, part := range [...][]float64{c.Mean[:], c.Slope[:], c.Precision[:]} {
			for _, v := range part {
				if v-v != 0 {
					return nil, fmt.Errorf("%w: component %d has a number that is not finite", ErrPrior, i)
				}
			}
		}
	}
	if math.Abs(sum-1) > 1e-9 {
		return nil, fmt.Errorf("%w: weights sum to %v", ErrPrior, sum)
	}
	return &Prior{Noise: noise, Components: components}, nil
}

// DefaultPrior is the prior before any population was looked at (version 0), and
// the hyper-prior of every refit: intercept N(.4, .5²), linear N(.35·start, .35²),
// quadratic N(−.35, .25²), noise .2.
func DefaultPrior() *Prior { return &defaultPrior }

var defaultPrior = func() Prior {
	c := Component{Weight: 1}
	for i := range P {
		c.Mean[i] = priorMean[kind(i)]
		c.Precision[row(i)+i] = priorPrecision[kind(i)]
	}
	for j := range c.Slope {
		c.Slope[j] = slope
	}
	return Prior{Noise: noise, Components: []Component{c}}
}()
