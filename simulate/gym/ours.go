package gym

import (
	"encoding/binary"
	"fmt"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/population"
	"rapport/learning/rater"
	"rapport/learning/safety"
	"rapport/learning/step"
	"rapport/policy"
)

// Options of the product's learner.
type Options struct {
	Pace    string // how sure it must be before a level moves; normal when empty
	Alone   bool   // no refit of the prior: every agent by itself
	Refit   int    // most sessions between two refits, 10 when 0; the first come sooner
	NoTrust bool   // sources and raters count by default: neither calibration nor reputation
}

// Ours makes the product's learner: each agent's list is folded by package fold,
// the exploration is drawn from its mixture, and the population's parameters are
// refitted between sessions and adopted as numbered versions.
func Ours(o Options) Maker {
	if o.Refit == 0 {
		o.Refit = 10
	}
	if o.Pace == "" {
		o.Pace = safety.Normal
	}
	return func(starts []policy.Traits, seed uint64) Learner {
		return newOurs(o, newKnown(), starts, seed)
	}
}

// ours plays for the agents of a cohort.
type ours struct {
	Options
	*known
	seed    uint64
	heard   int // sessions of an agent that were told of
	refits  int // of them, when the parameters were last refitted
	agents  []companion
	raters  []string
	folder  fold.Folder
	entry   fold.Entry
	earlier []population.Statistics // of cohorts before
	pressed []fold.Presser          // of them
	said    []fusion.Value
}

// companion is one agent.
type companion struct {
	name    string
	state   fold.State
	mean    step.Vec // of the coefficients, as believed before the next session
	mixture policy.Mixture
	key     uint64 // of the draws
}

// known is what is known of a population: every version of its parameters.
type known struct {
	versions    []population.Version
	priors      []*step.Prior
	loadings    []*fusion.Loadings
	asking      []float64 // by calibration
	reputations []fold.Reputation
	newest      fold.Versions

	moments   fusion.Moments
	standings []standing // by rater
}

type standing struct {
	rater.Standing
	known, reviews bool
}

func newKnown() *known {
	return &known{
		versions:    []population.Version{{}},
		priors:      []*step.Prior{step.DefaultPrior()},
		loadings:    []*fusion.Loadings{fusion.Defaults()},
		asking:      []float64{fold.AskingDefault},
		reputations: []fold.Reputation{{}},
	}
}

// Prior, Calibration and Reputation are a fold.Library.
func (k *known) Prior(v uint32) *step.Prior            { return k.priors[v] }
func (k *known) Calibration(v uint32) *fusion.Loadings { return k.loadings[v] }
func (k *known) Asking(v uint32) float64               { return k.asking[v] }
func (k *known) Reputation(v uint32) fold.Reputation   { return k.reputations[v] }
func (k *known) previous() *population.Version         { return &k.versions[len(k.versions)-1] }

func newOurs(o Options, k *known, starts []policy.Traits, seed uint64) *ours {
	l := &ours{Options: o, known: k, seed: seed, agents: make([]companion, len(starts))}
	l.folder.Library = k
	for i, start := range starts {
		a := &l.agents[i]
		a.name, a.key, a.state = fmt.Sprintf("%x-%d", seed, i), mix(seed^mix(uint64(i))), fold.Started(start)
		a.state.Pace = fold.PaceOf(o.Pace)
		if k.newest != (fold.Versions{}) {
			l.adopt(a)
		}
		b, err := l.folder.Believe(&a.state)
		if err != nil {
			panic(err) // a state without evidence
		}
		l.explore(a, b)
	}
	return l
}

// Next plays for another cohort of the population, with its parameters.
func (l *ours) Next(starts []policy.Traits, seed uint64) Learner {
	n := newOurs(l.Options, l.known, starts, seed)
	n.earlier, n.pressed = l.statistics(), l.pressers()
	return n
}

func (l *ours) Act(agent int, s Session) policy.Traits {
	if n := l.heard; agent == 0 && n > l.refits && n >= min(l.refits+l.Refit, 1+l.refits*4/3) {
		l.refits = n
		l.refit()
	}
	a := &l.agents[agent]
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], a.key)
	for k := range 4 {
		binary.LittleEndian.PutUint64(key[8*k:], mix(a.key^mix(uint64(4*s.Number+k))))
	}
	x, _ := a.mixture.Draw(key)
	return x
}

func (l *ours) Policy(agent int) policy.Traits { return l.agents[agent].state.Theta }

func (l *ours) Learn(agent int, x policy.Traits, signals []Signal) {
	a, e := &l.agents[agent], &l.entry
	if !l.NoTrust {
		l.listen(a, &x, signals)
	}
	e.About = fold.Episode{Decided: true, Consent: true, Rendered: x, Contributions: e.About.Contributions[:0]}
	for i := range signals {
		s := &signals[i]
		e.At = event.Micros(s.Session)
		l.heard = max(l.heard, s.Session+1)
		c := fold.Contribution{At: e.At, Owner: s.Rater == Owner, Rater: l.raterName(s.Rater), Source: sources[s.Source], Value: s.Value, Share: 1}
		switch s.Source {
		case TonePress:
			c.Toward, c.Trait = s.Toward, s.Trait
		case Implicit:
			c.Value = clip(s.Value)
		}
		e.About.Contributions = append(e.About.Contributions, c)
	}
	if err := l.folder.Apply(&a.state, e); err != nil {
		panic(err) // signals of the world are sound
	}
	b, err := l.folder.Believe(&a.state)
	if err != nil {
		panic(err)
	}
	l.explore(a, b)
}

var sources = [...]fusion.Source{
	OwnerRating: fusion.OwnerRating, OwnerThumb: fusion.OwnerThumb, GuestThumb: fusion.Guest,
	Implicit: fusion.Engagement, Review: fusion.Review, TonePress: fusion.OwnerThumb,
}

// Ideal makes it a Believer.
func (l *ours) Ideal(agent int, t policy.Trait) (level, sd float64) {
	b, err := l.folder.Believe(&l.agents[agent].state)
	if err != nil {
		panic(err) // the state is one that Apply left
	}
	return b.Ideal(t)
}

// listen takes in what calibration and reputation are learned from.
func (l *ours) listen(a *companion, x *policy.Traits, signals []Signal) {
	expected, loadings := 0., l.loadings[l.newest.Calibration]
	for i, v := range a.state.Features(x, policy.AllTraits) {
		expected += v * a.mean[i]
	}
	l.said = l.said[:0]
	for i := range signals {
		s := &signals[i]
		if s.Source == TonePress {
			continue
		}
		v := fusion.Value{Source: sources[s.Source], Val: min(max(s.Value, -1), 1)}
		l.said = append(l.said, v)
		if s.Rater == Owner || s.Source == Implicit {
			continue
		}
		for len(l.standings) <= s.Rater {
			l.standings = append(l.standings, standing{})
		}
		r := &l.standings[s.Rater]
		r.known, r.reviews = true, r.reviews || s.Source == Review
		r.Standing = r.After(s.Value, expected, loadings[v.Source].A, loadings[v.Source].B)
	}
	if err := l.moments.Add(l.said); err != nil {
		panic(err) // signals of the world are sound
	}
}

// raterName names somebody.
func (l *ours) raterName(n int) string {
	if n == Owner {
		return "owner"
	}
	for len(l.raters) <= n {
		l.raters = append(l.raters, fmt.Sprintf("guest-%d", len(l.raters)))
	}
	return l.raters[n]
}

// explore publishes what the next session's levels are drawn from.
func (l *ours) explore(a *companion, b *step.Belief) {
	a.mean = b.M
	var centres [policy.DefaultCentres]policy.Traits
	a.state.Centres(b, a.name, &a.state.Theta, &a.state.Lo, &a.state.Hi, 0, &centres)
	a.mixture = policy.NewMixture(a.state.Theta, centres[:], policy.Exploration{Strategy: policy.StrategyMixture, Epsilon: 1}, nil, 0)
}

// adopt tells an agent of the newest parameters; they work from its next evidence
// on.
func (l *ours) adopt(a *companion) {
	l.folder.Newest = l.newest
	if err := l.folder.Apply(&a.state, &fold.Entry{Adopt: &l.newest}); err != nil {
		panic(err)
	}
}

// statistics are what the agents give to a refit.
func (l *ours) statistics() []population.Statistics {
	out := l.earlier[:len(l.earlier):len(l.earlier)]
	for i := range l.agents {
		s := &l.agents[i].state
		out = append(out, population.Statistics{Agent: l.agents[i].name, Owner: l.agents[i].name, Start: s.Start, S: s.S, H: s.H, YY: s.YY, N: s.N})
	}
	return out
}

// pressers are what is known of the presses of tone buttons.
func (l *ours) pressers() []fold.Presser {
	out := l.pressed[:len(l.pressed):len(l.pressed)]
	for i := range l.agents {
		out = append(out, l.agents[i].state.Presser)
	}
	return out
}

// trust learns what sources tell, and which raters to believe; as in the product
// somebody who reviews only loses weight.
func (l *ours) trust() {
	loadings, _, err := fusion.Calibrate(&l.moments)
	if err != nil {
		loadings = l.loadings[l.newest.Calibration]
	}
	l.loadings, l.asking = append(l.loadings, loadings), append(l.asking, fold.Asking(l.pressers()))
	l.newest.Calibration++
	known := fold.Reputation{}
	for i := range l.standings {
		if r := &l.standings[i]; r.known {
			g := r.Reputation()
			known[l.raterName(i)] = fold.Regard{Weight: g * g, Excluded: r.Excluded() && !r.reviews}
		}
	}
	l.reputations = append(l.reputations, known)
	l.newest.Reputation++
}

// refit learns the population's parameters anew; a refit that is refused leaves
// the version there is.
func (l *ours) refit() {
	before := l.newest
	if !l.Alone {
		if r, err := population.Fit(l.statistics(), l.previous(), l.seed); err == nil {
			l.versions = append(l.versions, r.Version)
			l.priors = append(l.priors, r.Version.Prior)
			l.newest.Prior++
		}
	}
	if !l.NoTrust {
		l.trust()
	}
	if l.newest == before {
		return
	}
	for i := range l.agents {
		l.adopt(&l.agents[i])
	}
}
