package evaluate

import (
	"math"

	"rapport/policy"
)

// Session is one session of an agent under one variation that was drawn, with
// what came of it.
type Session struct {
	Agent      string          // whose it is: agents may be judged around different levels
	X          policy.Traits   // the variation
	Free       policy.Mask     // the traits that were free to vary
	LogDensity float64         // of X over them, as it was logged
	Drawn      *policy.Mixture // what X was drawn from
	Reward     float64         // how satisfied the owner was, in units of a rating
}

// Target is a policy to judge: the traits of Of are drawn around Levels, each
// from TN(x; level, .05²) on [level−Width, level+Width] within the agent's limits;
// all others as they were in the log, given the first:
//
//	π(x) = Π_{j∈Of} TN(x_j; level_j, .05²) · μ(x_rest | x_Of),  so  w = Π TN / μ_Of(x_Of)
//
// with μ_Of the logged marginal density. The fewer traits are in question, the
// more a log says. A single point cannot be judged: its density is nowhere in the
// log.
type Target struct {
	Levels policy.Traits
	Of     policy.Mask
	Width  float64 // DefaultWidth when 0
}

// DefaultWidth is how far a judged policy varies: two deviations. A change of up
// to ρ − DefaultWidth = .05 from the logged levels is inside the logged support.
const DefaultWidth = .10

// around gives the target's part over Of as a mixture: only a defensive part. Where
// the logged box ends at a limit of the agent, short of ρ, the target ends too.
func (t Target) around(d *policy.Mixture) policy.Mixture {
	width := t.Width
	if width == 0 {
		width = DefaultWidth
	}
	m := policy.Mixture{Strategy: policy.StrategyMixture, Epsilon: 1, Theta: t.Levels, SD: policy.DefaultSD, DefensiveSD: policy.DefaultDefensiveSD,
		Eta: 1, Rho: width, Pinned: policy.AllTraits &^ t.Of}
	for j, v := range t.Levels {
		m.Lo[j], m.Hi[j] = max(0, v-width), min(1, v+width)
		if d.Lo[j] > d.Theta[j]-d.Rho+1e-6 {
			m.Lo[j] = max(m.Lo[j], d.Lo[j])
		}
		if d.Hi[j] < d.Theta[j]+d.Rho-1e-6 {
			m.Hi[j] = min(m.Hi[j], d.Hi[j])
		}
	}
	return m
}

// LogWeights gives ln μ_Of(x) and ln π_Of(x) of a session. The refusal is
// free_sets when a trait of Of was not free to vary, support when the target
// draws levels that the logged mixture cannot, impossible when what was logged
// is not what the mixture draws, not_a_number for levels that are none.
func (t Target) LogWeights(s *Session) (logged, target float64, no *Refusal) {
	if !s.X.Valid() || !t.Levels.Valid() || math.IsNaN(s.LogDensity) {
		return 0, 0, refuse(NotANumber, "A level or density of the log is no number.")
	}
	d := s.Drawn
	if missing := t.Of &^ s.Free; t.Of == 0 || missing != 0 || s.Free != d.Free() {
		return 0, 0, refuse(FreeSets, "%s was not free to vary, so nothing was tried there.", names(max(missing, t.Of&^d.Free())))
	}
	if d.Strategy != policy.StrategyMixture || !(d.Epsilon > 0) {
		return 0, 0, refuse(Unreachable, "These sessions explored by strategy %q with a share of %g: only the posterior mixture tries all levels around the policy's.", d.Strategy, d.Epsilon)
	}
	if whole := d.LogDensity(s.X, s.Free); !(math.Abs(whole-s.LogDensity) <= 1e-6) {
		return 0, 0, refuse(Impossible, "A logged density is %g where the mixture gives %g: the log and its mixtures do not belong together.", s.LogDensity, whole)
	}
	around := t.around(d)
	for _, trait := range t.Of.Traits() {
		if around.Lo[trait] < d.Lo[trait]-1e-9 || around.Hi[trait] > d.Hi[trait]+1e-9 || !(t.Levels[trait] >= around.Lo[trait] && t.Levels[trait] <= around.Hi[trait]) {
			return 0, 0, refuse(Unreachable, "%s at %.2f ± %.2f is outside what was tried, %.2f to %.2f.", trait,
				t.Levels[trait], around.Rho, d.Lo[trait], d.Hi[trait])
		}
	}
	atLogged, atTarget, still := d.Theta, t.Levels, true
	for _, trait := range t.Of.Traits() {
		atLogged[trait], atTarget[trait] = s.X[trait], s.X[trait]
		still = still && s.X[trait] == d.Theta[trait]
	}
	logged, target = d.LogDensity(atLogged, t.Of), math.Inf(-1)
	if !(still && d.Epsilon < 1) { // the share that does not explore is a point, where the target has no mass
		target = around.LogDensity(atTarget, t.Of)
	}
	return logged, target, nil
}

// Between gives ln π(x)/μ(x) of a variation drawn from one mixture as another would
// have drawn it. The refusal is free_sets when other traits are free to vary,
// support when the judged mixture draws what the logged one does not, impossible
// when x is nothing that the logged one draws.
func Between(logged, judged *policy.Mixture, x policy.Traits) (float64, *Refusal) {
	free := logged.Free()
	if judged.Free() != free {
		return 0, refuse(FreeSets, "%s is free to vary in one of the policies only.", names(judged.Free()^free))
	}
	if !logged.Contains(judged) {
		return 0, refuse(Unreachable, "The judged policy draws what the logged one never does.")
	}
	mu := logged.LogDensity(x, free)
	if !(mu > math.Inf(-1)) {
		return 0, refuse(Impossible, "The logged policy never draws this variation.")
	}
	if judged.Epsilon == 1 && logged.Epsilon < 1 && free != 0 && x == logged.Theta {
		return math.Inf(-1), nil // a point of mass to the one, of none to the other
	}
	return judged.LogDensity(x, free) - mu, nil
}

// names lists traits for a sentence.
func names(m policy.Mask) string {
	out := ""
	for i, t := range m.Traits() {
		if i > 0 {
			out += ", "
		}
		out += t.String()
	}
	if out == "" {
		return "No trait"
	}
	return out
}
