package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Mixture is the distribution a session's variation is drawn from: M equally
// weighted truncated normals around posterior centres, and a defensive part
// around the current levels that keeps importance weights bounded (Owen and Zhou
// 2000; design page on learning, 3.4).
//
//	x ~ (1−η)·(1/M) Σ_q Π_j TN(x_j; c_qj, s², B_j) + η·Π_j TN(x_j; θ_j, s_d², B_j)
//
// with B_j = [max(0, lo_j, θ_j−ρ), min(1, hi_j, θ_j+ρ)]. Only free traits vary:
// unpinned and with a box wider than 1e-6; the others sit at θ. A share 1−ε of
// the sessions does not explore at all and sits at θ.
//
// Strategy says which family it is: StrategyMixture is the one above,
// StrategyEpsilon varies one free trait in a share ε of the sessions, uniformly
// in its box, StrategyOff always gives θ. The density of each is exact and is
// that of the published (rounded) numbers.
//
// In JSON levels are lists in the order of the vocabulary, and the centres one
// list after another: one is published with every change of evidence.
type Mixture struct {
	Strategy    string
	Epsilon     float64 // share of sessions that explore, [0,1]
	Theta       Traits
	Centres     []Traits // rounded to 1e-4; without any, η counts as 1
	SD          float64
	DefensiveSD float64
	Eta         float64
	Rho         float64
	Lo          Traits // the box B
	Hi          Traits
	Pinned      Mask

	// A share of the sessions is held out: it sits at Start, so that an owner can
	// be told whether what was learned is better (see HeldOut). Draw and LogDensity
	// are about the other sessions.
	Holdout float64 // [0,1); 0 for none
	Start   Traits
}

// mixtureJSON is the form that AppendJSON writes.
type mixtureJSON struct {
	Strategy    string           `json:"strategy"`
	Epsilon     float64          `json:"epsilon"`
	SD          float64          `json:"sd"`
	DefensiveSD float64          `json:"defensiveSd"`
	Eta         float64          `json:"eta"`
	Rho         float64          `json:"rho"`
	Pinned      Mask             `json:"pinned"`
	Theta       [NTraits]float64 `json:"theta"`
	Lo          [NTraits]float64 `json:"lo"`
	Hi          [NTraits]float64 `json:"hi"`
	Centres     []float64        `json:"centres"`

	Holdout float64           `json:"holdout"`
	Start   *[NTraits]float64 `json:"start"`
}

// MarshalJSON writes the mixture; an error when a number is none.
func (m Mixture) MarshalJSON() ([]byte, error) { return m.AppendJSON(make([]byte, 0, 1500)) }

// AppendJSON appends what MarshalJSON gives.
func (m *Mixture) AppendJSON(b []byte) ([]byte, error) {
	switch m.Strategy {
	case StrategyMixture, StrategyEpsilon, StrategyOff:
	default:
		return nil, fmt.Errorf("mixture of unknown strategy %q", m.Strategy)
	}
	sound := true
	number := func(v float64) {
		sound = sound && v-v == 0
		b = strconv.AppendFloat(b, v, 'f', -1, 64)
	}
	b = append(b, `{"strategy":"`...)
	b = append(b, m.Strategy...)
	b = append(b, '"')
	for _, f := range [...]struct {
		name string
		v    float64
	}{{"epsilon", m.Epsilon}, {"sd", m.SD}, {"defensiveSd", m.DefensiveSD}, {"eta", m.Eta}, {"rho", m.Rho}} {
		b = append(b, `,"`...)
		b = append(b, f.name...)
		b = append(b, `":`...)
		number(f.v)
	}
	b = append(b, `,"pinned":[`...)
	for i, t := range m.Pinned.Traits() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, t.String()...)
		b = append(b, '"')
	}
	b = append(b, ']')
	list := func(name string, levels ...Traits) {
		b = append(b, `,"`...)
		b = append(b, name...)
		b = append(b, `":[`...)
		for i := range levels {
			for j, v := range levels[i] {
				if i+j > 0 {
					b = append(b, ',')
				}
				number(v)
			}
		}
		b = append(b, ']')
	}
	list("theta", m.Theta)
	list("lo", m.Lo)
	list("hi", m.Hi)
	list("centres", m.Centres...)
	if m.Holdout != 0 {
		b = append(b, `,"holdout":`...)
		number(m.Holdout)
		list("start", m.Start)
	}
	if !sound {
		return nil, fmt.Errorf("mixture with a number that is none")
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads a mixture and refuses one that nothing can be drawn from:
// an unknown strategy, a level outside [0,1], a deviation that is not positive, a
// share outside [0,1].
func (m *Mixture) UnmarshalJSON(data []byte) error {
	var f mixtureJSON
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*m = Mixture{Strategy: f.Strategy, Epsilon: f.Epsilon, Theta: f.Theta, Centres: make([]Traits, len(f.Centres)/NTraits),
		SD: f.SD, DefensiveSD: f.DefensiveSD, Eta: f.Eta, Rho: f.Rho, Lo: f.Lo, Hi: f.Hi, Pinned: f.Pinned, Holdout: f.Holdout}
	if f.Start != nil {
		m.Start = *f.Start
	}
	sound := len(f.Centres)%NTraits == 0 && m.Theta.Valid() && m.Lo.Valid() && m.Hi.Valid() && m.SD > 0 && m.DefensiveSD > 0 &&
		m.Epsilon >= 0 && m.Epsilon <= 1 && m.Eta >= 0 && m.Eta <= 1 && m.Holdout >= 0 && m.Holdout < 1 && m.Start.Valid() &&
		(m.Strategy == StrategyMixture || m.Strategy == StrategyEpsilon || m.Strategy == StrategyOff)
	for q := range m.Centres {
		copy(m.Centres[q][:], f.Centres[q*NTraits:])
		sound = sound && m.Centres[q].Valid()
	}
	if !sound {
		return fmt.Errorf("a mixture that nothing can be drawn from")
	}
	return nil
}

// The measured defaults of the mixture.
const (
	DefaultSD          = .03
	DefaultDefensiveSD = .05
	DefaultEta         = .10
	DefaultRho         = .15
	DefaultCentres     = 16 // M
	DefaultHoldout     = .05
	freeWidth          = 1e-6
)

// NewMixture makes the mixture of an agent with the measured defaults: the box
// from θ, ρ and the limits, the centres clamped into it and rounded to 1e-4, all
// else to 1e-6, so that what is written to JSON and read back is the same
// distribution. The caller's centres are not kept.
func NewMixture(theta Traits, centres []Traits, e Exploration, limits Bounds, pinned Mask) Mixture {
	m := Mixture{Strategy: e.Strategy, Epsilon: e.Epsilon, SD: DefaultSD, DefensiveSD: DefaultDefensiveSD,
		Eta: DefaultEta, Rho: DefaultRho, Pinned: pinned & AllTraits, Centres: make([]Traits, len(centres))}
	for j := range NTraits {
		r := limits.Of(Trait(j))
		m.Theta[j] = round(theta[j], 1e6)
		m.Lo[j] = round(max(0, r.Lo, m.Theta[j]-DefaultRho), 1e6)
		m.Hi[j] = round(min(1, r.Hi, m.Theta[j]+DefaultRho), 1e6)
	}
	for q, c := range centres {
		for j := range c {
			m.Centres[q][j] = round(m.box(j).Clamp(c[j]), 1e4)
		}
	}
	return m
}

func round(v, scale float64) float64 { return math.Round(v*scale) / scale }

// box is B_j. A mixture whose θ lies outside its box has an empty one there.
func (m *Mixture) box(j int) Range { return Range{m.Lo[j], m.Hi[j]} }

// Free is the set of traits that vary: unpinned, with θ in a box wider than 1e-6.
func (m *Mixture) Free() Mask {
	var f Mask
	if m.Strategy == StrategyOff {
		return 0
	}
	for j := range NTraits {
		if !m.Pinned.Has(Trait(j)) && m.Hi[j]-m.Lo[j] > freeWidth && m.box(j).Has(m.Theta[j]) {
			f |= 1 << j
		}
	}
	return f
}

// Draw gives the variation of a session and the set of traits that were free to
// vary. Equal keys give equal variations.
func (m *Mixture) Draw(key [32]byte) (Traits, Mask) {
	x, free := m.Theta, m.Free()
	if free == 0 {
		return x, 0
	}
	r := NewStream(key)
	if r.Float64() >= m.Epsilon {
		return x, free
	}
	if m.Strategy == StrategyEpsilon {
		among := free.Traits()
		j := among[int(r.Float64()*float64(len(among)))]
		x[j] = m.Lo[j] + float64(r.Float64()*(m.Hi[j]-m.Lo[j]))
		return x, free
	}
	u, centre, sd := r.Float64(), m.Theta, m.DefensiveSD
	if u >= m.eta() {
		q := int((u - m.eta()) / (1 - m.eta()) * float64(len(m.Centres)))
		centre, sd = m.Centres[min(q, len(m.Centres)-1)], m.SD
	}
	for j := range NTraits {
		if free.Has(Trait(j)) {
			b := m.box(j)
			x[j] = r.Truncated(b.Clamp(centre[j]), sd, b.Lo, b.Hi)
		}
	}
	return x, free
}

func (m *Mixture) eta() float64 {
	if len(m.Centres) == 0 {
		return 1
	}
	return m.Eta
}

// LogDensity is the log of the density of x over the free traits, −Inf outside
// the support: a level outside its box, or a trait that is not in free away from
// θ. free is what Draw gave; over a subset it is the marginal density.
//
// The measure: Lebesgue over the free traits; plus, because a share 1−ε stays at
// θ, a point of mass one at θ, so that the density of x = θ is the probability
// 1−ε (and of StrategyMixture with ε = 1 the ordinary density). With
// StrategyEpsilon instead of the box its axes through θ: x that differs from θ
// in exactly one trait j has density ε / (number free · width of B_j). Ratios of
// two such densities over equal free sets and equal θ are importance weights.
func (m *Mixture) LogDensity(x Traits, free Mask) float64 {
	if free&^m.Free() != 0 {
		return math.Inf(-1)
	}
	apart, one := 0, 0
	for j := range NTraits {
		if x[j] == m.Theta[j] {
			continue
		}
		if !free.Has(Trait(j)) || !m.box(j).Has(x[j]) {
			return math.Inf(-1)
		}
		apart, one = apart+1, j
	}
	switch {
	case free == 0:
		return 0
	case apart == 0 && (m.Epsilon < 1 || m.Strategy == StrategyEpsilon):
		return Ln(1 - m.Epsilon)
	case m.Strategy == StrategyEpsilon && apart > 1:
		return math.Inf(-1)
	case m.Strategy == StrategyEpsilon:
		return Ln(m.Epsilon / float64(len(free.Traits())) / (m.Hi[one] - m.Lo[one]))
	}
	// log of the sum over components, each a log density, by the largest
	var buf [32]float64
	logs := buf[:0]
	eta := m.eta()
	if eta > 0 {
		logs = append(logs, Ln(eta)+m.component(&x, &m.Theta, m.DefensiveSD, Ln(m.DefensiveSD), free))
	}
	if eta < 1 {
		share, lnSD := Ln((1-eta)/float64(len(m.Centres))), Ln(m.SD)
		for q := range m.Centres {
			logs = append(logs, share+m.component(&x, &m.Centres[q], m.SD, lnSD, free))
		}
	}
	top := math.Inf(-1)
	for _, l := range logs {
		top = max(top, l)
	}
	var sum float64
	for _, l := range logs {
		sum += Exp(l - top)
	}
	return Ln(m.Epsilon) + top + Ln(sum)
}

// component is the log density of one product of truncated normals.
func (m *Mixture) component(x, centre *Traits, sd, lnSD float64, free Mask) float64 {
	var squares float64
	mass, n := 1., 0
	inv := 1 / sd
	for j := range NTraits {
		if !free.Has(Trait(j)) {
			continue
		}
		b := m.box(j)
		c := b.Clamp(centre[j])
		z := (x[j] - c) * inv
		squares += float64(z * z)
		mass *= 1 - tail((b.Hi-c)*inv) - tail((c-b.Lo)*inv)
		n++
	}
	return float64(-.5*squares) - float64(float64(n)*(lnSD+.91893853320467274178)) - Ln(mass)
}

// HoldOut makes a share of the sessions sit at a start, rounded to 1e-6: as far as
// it differs from θ, and pinned traits stay at θ. Where nothing differs, or the
// start is a forbidden combination, nobody is held out.
func (m *Mixture) HoldOut(start Traits, share float64) {
	m.Holdout, m.Start = 0, Traits{}
	for j := range start {
		if start[j] = round(start[j], 1e6); m.Pinned.Has(Trait(j)) {
			start[j] = m.Theta[j]
		}
	}
	if start == m.Theta || !start.Valid() {
		return
	}
	for _, c := range Forbidden() {
		if c.Holds(start) {
			return
		}
	}
	m.Holdout, m.Start = share, start
}

// HeldOut says whether the session with this key is held out: with probability
// Holdout, the same for equal keys. The key must not depend on the version or
// revision, or a session could change sides; and it must be another than that of
// Draw, so that the sessions that are not held out still vary by the density.
func (m *Mixture) HeldOut(key [32]byte) bool {
	r := NewStream(key)
	return m.Holdout > 0 && r.Float64() < m.Holdout
}

// Contains says whether every variation that other can draw lies in the support
// of m, over equal free sets: only then do importance weights from sessions drawn
// under m to the policy other exist.
func (m *Mixture) Contains(other *Mixture) bool {
	free := m.Free()
	if free != other.Free() {
		return false
	}
	atom, axes := m.Epsilon < 1, m.Strategy == StrategyEpsilon
	if free != 0 && (axes != (other.Strategy == StrategyEpsilon) || other.Epsilon < 1 && !atom || other.Epsilon > 0 && m.Epsilon == 0) {
		return false
	}
	for j := range NTraits {
		fixed := !free.Has(Trait(j))
		if (fixed || axes || other.Epsilon < 1) && m.Theta[j] != other.Theta[j] {
			return false
		}
		if !fixed && (other.Lo[j] < m.Lo[j] || other.Hi[j] > m.Hi[j]) {
			return false
		}
	}
	return true
}
