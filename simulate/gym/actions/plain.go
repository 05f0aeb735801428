package actions

import (
	"cmp"
	"math"
	"slices"

	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/safety"
	"rapport/policy"
)

const pace = safety.Normal

// The product's bounds on behaviour.
const (
	shownShare = .3
	backing    = .09
)

// plain is a learner with one block for the traits, or for traits and weights.
type plain struct {
	form    Form
	x       policy.Traits
	weights fold.Actions
	main    *regression                // 1, then z and z² of the traits; jointly of the weights; then levels
	apart   [fold.NActions]*regression // of the weights, in separate blocks: 1, z, z²
	f, one  []float64                  // features, scratch of zeros

	episodes     [fold.NActions + 1]int     // with evidence: of the traits (last), of the weights
	info         [fold.NActions + 1]float64 // owner ratings' worth of it
	meant, shown float64
}

// ofTraits is the place of the traits' counts.
const ofTraits = fold.NActions

func newPlain(f Form) *plain {
	p := &plain{form: f, x: policy.Neutral(), weights: starts}
	mean, deviation := []float64{.4}, []float64{.5}
	dimension := func(slope float64) { mean, deviation = append(mean, slope, -.35), append(deviation, .35, .25) }
	for range p.x {
		dimension(0) // levels start in the middle
	}
	// Counted from the middle the slope believed in is .35·z of the start, from the
	// start −.35·z: both say that the best is half-way between the two.
	slope := func(v float64) float64 {
		if f == JointStart {
			return -.35 * (2*v - 1)
		}
		return .35 * (2*v - 1)
	}
	if f == Plain {
		for k, v := range starts {
			p.apart[k] = newRegression([]float64{0, slope(v), -.35}, []float64{.3, .35, .25})
		}
	} else {
		for _, v := range starts {
			dimension(slope(v))
		}
	}
	if f == JointLevels {
		for range starts {
			mean, deviation = append(mean, 0), append(deviation, .3)
		}
	}
	p.main = newRegression(mean, deviation)
	p.f, p.one = make([]float64, len(mean)), make([]float64, len(mean))
	return p
}

func (p *plain) policy() (policy.Traits, fold.Actions) { return p.x, p.weights }

// ofTrait and ofAction are where the two coefficients are in the main block.
func ofTrait(j int) int          { return 1 + 2*j }
func ofAction(k fold.Action) int { return 1 + 2*(policy.NTraits+int(k)) }

// fuse is the observation that the episode's signals make, as package fold makes it where
// guests stay within what they may say.
func (p *plain) fuse(e *episode) (y, w float64) {
	l := fusion.Defaults()
	var meant, show fusion.Evidence
	for _, s := range e.said {
		if v := l.Of(s.source, s.value, 1); s.source.Behavioural() {
			show.Add(v)
		} else {
			meant.Add(v)
		}
	}
	p.meant += l.Ratings(meant.Pi)
	p.shown += l.Ratings(show.Cap(l.FromRatings(shownShare/(1-shownShare)*p.meant - p.shown)))
	meant.Add(show)
	return l.Fused(meant)
}

// origin is where an action's weight is counted from.
func (p *plain) origin(k fold.Action) float64 {
	if p.form == JointStart {
		return starts[k]
	}
	return .5
}

func (p *plain) learn(e *episode) error {
	y, w := p.fuse(e)
	if w <= 0 {
		return nil
	}
	clear(p.f)
	p.f[0] = 1
	for j, v := range e.x {
		put(p.f[ofTrait(j):], v, .5)
	}
	if p.form != Plain {
		put(p.f[ofAction(e.action):], e.weight, p.origin(e.action))
	}
	if p.form == JointLevels {
		p.f[ofAction(fold.NActions)+int(e.action)] = 1
	}
	drifted, err := p.main.observe(p.f, y, w)
	if err != nil {
		return err
	}
	for _, i := range [...]fold.Action{e.action, ofTraits} {
		p.episodes[i]++
		p.info[i] += w
	}
	gate := safety.GateOf(pace, p.shown < backing)
	block, at, one := p.main, ofAction(e.action), p.one
	if p.form == Plain {
		for _, b := range p.apart {
			if drifted {
				b.shrink(.1)
			}
		}
		block, at, one = p.apart[e.action], 1, p.one[:3]
		f := [3]float64{1}
		put(f[1:], e.weight, p.origin(e.action))
		block.add(f[:], y-p.main.expects(p.f), w)
		if err := block.believe(); err != nil {
			return err
		}
	}
	scale, sure := p.main.b/p.main.a, gate
	if p.form == JointBold {
		sure = safety.GateOf(safety.Fast, p.shown < backing)
	}
	if p.may(e.action) {
		from := &p.weights[e.action]
		to, mean, variance := block.toward(at, p.origin(e.action), *from, 0, 1, scale, one)
		if mean > 0 && mean >= sure.Z*math.Sqrt(variance) {
			*from = p.within(e.action, to)
		}
	}
	if p.may(ofTraits) {
		p.move(gate, scale)
	}
	return nil
}

func put(f []float64, v, origin float64) {
	z := 2 * (v - origin)
	f[0], f[1] = z, z*z
}

func (p *plain) may(i fold.Action) bool {
	return p.episodes[i] >= safety.MinEpisodes && p.info[i] >= safety.MinRatings
}

// The product's bounds on how far a weight goes.
const (
	lean        = .08
	farEpisodes = 10
	farRatings  = 3
)

func beyond(k fold.Action, level float64) bool { return math.Abs(level-starts[k]) > lean+1e-6 }

// within is the level that the weight of an action may have on its way to another, as
// fold.State moves it: beyond a lean all weights there must be sure together.
func (p *plain) within(k fold.Action, to float64) float64 {
	from, start := p.weights[k], starts[k]
	outward := math.Abs(to-start) > math.Abs(from-start)
	if !outward || !beyond(k, to) || p.episodes[k] >= farEpisodes && p.info[k] >= farRatings && p.sureOf(k, to) {
		return to
	}
	if edge := start + math.Copysign(lean, to-start); math.Abs(edge-start) > math.Abs(from-start) {
		return edge
	}
	return from
}

// sureOf says whether all weights beyond a lean, one of them being moved to a level,
// are together better than their starts.
func (p *plain) sureOf(k fold.Action, to float64) bool {
	mean, variance, together := 0., 0., make([]float64, len(p.f))
	for i, level := range p.weights {
		i := fold.Action(i)
		if i == k {
			level = to
		}
		if !beyond(i, level) {
			continue
		}
		if p.form != Plain {
			difference(together[ofAction(i):], p.origin(i), starts[i], level)
			continue
		}
		var f [3]float64
		difference(f[1:], p.origin(i), starts[i], level)
		mean, variance = mean+p.apart[i].expects(f[:]), variance+p.apart[i].spread(f[:])
	}
	if p.form != Plain {
		mean, variance = p.main.expects(together), p.main.spread(together)
	}
	return mean >= safety.Together(pace).Z*math.Sqrt(variance*p.main.b/p.main.a)
}

// move moves the levels as step.Move does.
func (p *plain) move(gate safety.Gate, scale float64) {
	type move struct {
		trait          int
		to, mean, sure float64
	}
	var moves []move
	for j, from := range p.x {
		r := safety.Fence(policy.Trait(j), policy.Range{Lo: 0, Hi: 1}, .5, p.shown < backing)
		to, mean, variance := p.main.toward(ofTrait(j), .5, from, r.Lo, r.Hi, scale, p.one)
		if mean > 0 && mean >= gate.Z*math.Sqrt(variance) {
			moves = append(moves, move{j, to, mean, mean / math.Sqrt(variance)})
		}
	}
	slices.SortStableFunc(moves, func(a, b move) int { return cmp.Compare(b.sure, a.sure) })
	mean, take := 0., len(moves)
	together := make([]float64, len(p.f))
	for _, m := range moves {
		mean += m.mean
		difference(together[ofTrait(m.trait):], .5, p.x[m.trait], m.to)
	}
	for ; take > 0 && mean < safety.Together(pace).Z*math.Sqrt(scale*p.main.spread(together)); take-- {
		m := moves[take-1]
		mean -= m.mean
		together[ofTrait(m.trait)], together[ofTrait(m.trait)+1] = 0, 0
	}
	next := p.x
	for _, m := range moves[:take] {
		next[m.trait] = m.to
	}
	p.x = safety.Permit(p.x, next)
}
