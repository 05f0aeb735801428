package step

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"rapport/policy"
)

// MaxK is how many kinds of owners a prior may tell apart.
const MaxK = 4

// Component is one kind of owner: the coefficients of such an agent are normal
// with precision P, and the mean of the linear coefficient of trait j is
// Mean + Slope_j·(2·start_j − 1): an extreme start is often too extreme.
type Component struct {
	Weight    float64 // π, the share of agents
	Mean      Vec     // μ
	Slope     policy.Traits
	Precision [Tri]float64 // P, lower triangle by rows
}

// Prior is what is believed of an agent before any evidence of its own: a mixture
// of one to MaxK components, and the noise of one owner rating. NewPrior makes it (one
// that it did not make is good for comparing and storing only); it does not change
// afterwards and may be shared.
type Prior struct {
	Noise      float64 // σ0², variance
	Components []Component

	prepared []prepared // what every agent needs of each component
}

// prepared are the numbers of a component that do not depend on the agent.
type prepared struct {
	precision [Tri]float64 // σ0²P
	least     Vec          // half the pivots of its factorisation: evidence only adds to them
	pull      Vec          // σ0²Pμ
	tilt      [D]Vec       // what a start of z_j = 1 adds to it
	logWeight float64      // ln π + ½ ln|σ0²P|
}

// ErrPrior is the error of a prior that cannot be used; the text says why.
var ErrPrior = errors.New("prior refused")

// NewPrior checks a prior and makes it ready: one to MaxK components, weights above
// 0 that sum to 1 within 1e-9, finite numbers, precisions that are positive
// definite, a noise in (0, 10]. The components are copied. The error is ErrPrior
// with the reason.
func NewPrior(noise float64, components []Component) (*Prior, error) {
	if !(noise > 0 && noise <= 10) {
		return nil, fmt.Errorf("%w: a noise of %v is not in (0, 10]", ErrPrior, noise)
	}
	if n := len(components); n < 1 || n > MaxK {
		return nil, fmt.Errorf("%w: %d components, want 1 to %d", ErrPrior, n, MaxK)
	}
	p := &Prior{Noise: noise, Components: slices.Clone(components), prepared: make([]prepared, len(components))}
	sum := 0.
	for i := range p.Components {
		c := &p.Components[i]
		if !(c.Weight > 1e-300) {
			return nil, fmt.Errorf("%w: component %d has the weight %v", ErrPrior, i, c.Weight)
		}
		sum += c.Weight
		for _, part := range [...][]float64{c.Mean[:], c.Slope[:], c.Precision[:]} {
			for _, v := range part {
				if !(math.Abs(v) <= maxPivot) {
					return nil, fmt.Errorf("%w: component %d has the number %v", ErrPrior, i, v)
				}
			}
		}
		if !p.prepared[i].from(c, noise) {
			return nil, fmt.Errorf("%w: the precision of component %d is not positive definite", ErrPrior, i)
		}
	}
	if !(math.Abs(sum-1) <= 1e-9) {
		return nil, fmt.Errorf("%w: weights sum to %v", ErrPrior, sum)
	}
	return p, nil
}

// from computes the numbers; false when the precision is not positive definite.
func (k *prepared) from(c *Component, noise float64) bool {
	for i, v := range c.Precision {
		k.precision[i] = float64(noise * v)
	}
	for i := range P {
		for j := range P {
			v := k.precision[row(max(i, j))+min(i, j)]
			k.pull[i] += float64(v * c.Mean[j])
			if t := j - 1; t >= 0 && t < D {
				k.tilt[t][i] = float64(v * c.Slope[t])
			}
		}
	}
	var l factor
	l.load(&k.precision, new([Tri]float64))
	floor := Vec{}
	for i := range floor {
		floor[i] = minPivot
	}
	det, ok := l.decompose(&floor)
	if !ok {
		return false
	}
	for i := range k.least {
		k.least[i] = .5 / float64(l[i][i]*l[i][i])
	}
	k.logWeight = policy.Ln(c.Weight) + float64(.5*policy.Ln(det))
	return true
}

// mean is μ of an agent that started so, and at where it draws the coefficients:
// σ0²Pμ.
func (k *prepared) mean(c *Component, start *policy.Traits) (mean, pull Vec) {
	mean, pull = c.Mean, k.pull
	for j := range D {
		z := 2*start[j] - 1
		mean[1+j] += float64(z * c.Slope[j])
		tilt := &k.tilt[j]
		for i := range pull {
			pull[i] += float64(z * tilt[i])
		}
	}
	return mean, pull
}

// Equal says whether two priors are the same, bit for bit.
func (p *Prior) Equal(o *Prior) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Noise == o.Noise && slices.Equal(p.Components, o.Components)
}

// DefaultPrior is the prior before any population was looked at (version 0), and
// the hyper-prior of every refit: intercept N(.4, .5²), linear N(−.35·(2·start−1), .35²),
// quadratic N(−.35, .25²), noise .2.
func DefaultPrior() *Prior { return defaultPrior }

var defaultPrior = func() *Prior {
	c := Component{Weight: 1}
	for i := range P {
		c.Mean[i] = priorMean[kind(i)]
		c.Precision[row(i)+i] = priorPrecision[kind(i)]
	}
	for j := range c.Slope {
		c.Slope[j] = slope
	}
	p, err := NewPrior(noise, []Component{c})
	if err != nil {
		panic(err)
	}
	return p
}()

// SlopeVariance is that of the slope of satisfaction along z, at a distance z from the
// start, under the default prior.
func SlopeVariance(z float64) float64 {
	return 1/priorPrecision[1] + float64(float64(4*z*z)/priorPrecision[2])
}

// Formula is the version of the features that coefficients belong to, and of the
// encoding of a prior.
const Formula = 2

// ErrFormula is the error of a prior whose coefficients belong to another formula
// version: they would be taken for something else.
var ErrFormula = fmt.Errorf("%w: another formula version", ErrPrior)

// The places of an encoded prior: formula version and number of components, a byte
// each, the noise, then per component weight, mean, slope and precision as
// little-endian float64.
const (
	componentSize = 8 * (1 + P + D + Tri)
	priorHead     = 2 + 8
)

// Append encodes a prior in 10 + 1,432 bytes a component.
func (p *Prior) Append(b []byte) []byte {
	b = append(b, Formula, byte(len(p.Components)))
	b = appendFloats(b, []float64{p.Noise})
	for i := range p.Components {
		c := &p.Components[i]
		b = appendFloats(b, []float64{c.Weight}, c.Mean[:], c.Slope[:], c.Precision[:])
	}
	return b
}

// ReadPrior decodes what Append wrote, all of it, and checks it as NewPrior does.
// The error is ErrFormula for another formula version, else ErrPrior with the
// reason.
func ReadPrior(b []byte) (*Prior, error) {
	if len(b) < priorHead {
		return nil, fmt.Errorf("%w: %d bytes are none", ErrPrior, len(b))
	}
	if b[0] != Formula {
		return nil, fmt.Errorf("%w: it has %d, this program %d", ErrFormula, b[0], Formula)
	}
	n := int(b[1])
	if want := priorHead + n*componentSize; n > MaxK || len(b) != want {
		return nil, fmt.Errorf("%w: %d bytes for %d components", ErrPrior, len(b), n)
	}
	var noise [1]float64
	b = readFloats(b[2:], noise[:])
	components := make([]Component, n)
	for i := range components {
		var weight [1]float64
		c := &components[i]
		b = readFloats(b, weight[:], c.Mean[:], c.Slope[:], c.Precision[:])
		c.Weight = weight[0]
	}
	return NewPrior(noise[0], components)
}

func appendFloats(b []byte, parts ...[]float64) []byte {
	for _, part := range parts {
		for _, v := range part {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b
}

// readFloats takes numbers off the front of b, which has enough of them.
func readFloats(b []byte, parts ...[]float64) []byte {
	for _, part := range parts {
		for i := range part {
			part[i] = math.Float64frombits(binary.LittleEndian.Uint64(b))
			b = b[8:]
		}
	}
	return b
}
