package fold

import (
	"math"

	"rapport/learning/step"
	"rapport/policy"
)

// Presser is how an owner's tone buttons agree with what else is known of them. Of
// each press, e = P(its direction is the better one) − P(it is the worse one), as was
// believed when it came; here are Σ c·e², what could be seen, and Σ c·e, with the c of
// pressed. If presses are right by r more often than wrong, e is above 0 with the
// probability (1+r|e|)/2 and has the mean r·e², so that Agreed/Seen estimates r.
type Presser struct{ Seen, Agreed float64 }

// What is believed of presses. Measured in the simulated world, presses in a tenth of
// the sessions with the owner: docs/learning-results.md, "Tone buttons".
const (
	AskingDefault = .3 // before any population was looked at: right in .65 of the cases
	askingPrior   = 5. // Seen that this is worth, in a population
	presserPrior  = 5. // Seen that the population's is worth, of one owner
	presserMost   = 5. // Seen that one owner brings to the population's at most
)

// Asking is by how much presses are more often right than wrong in a population,
// [0,1], from all owners: 0 when they are coin flips. No owner brings more than
// presserMost.
func Asking(pressers []Presser) float64 {
	seen, agreed := float64(askingPrior), float64(askingPrior*AskingDefault)
	for _, p := range pressers {
		share := 1.
		if p.Seen > presserMost {
			share = presserMost / p.Seen
		}
		seen += float64(share * p.Seen)
		agreed += float64(share * p.Agreed)
	}
	return min(1, max(0, agreed/seen))
}

// worth is what a press of the owner counts, [0,1]: r², with r the owner's own where
// much is known of it, else the population's.
func (p *Presser) worth(all float64) float64 {
	r := (float64(presserPrior*all) + p.Agreed) / (presserPrior + p.Seen)
	r = min(1, max(0, r))
	return float64(r * r)
}

// pressed takes in a press, and what was believed when it came. A trait is pressed the
// more often, the more it bothers: with μ and σ of the slope of satisfaction s in the
// asked direction,
//
//	e = E[s]/E|s| ≈ μ/√(μ² + 2σ²/π) ,
//
// which counts c = 1 − σ²/σ0², σ0 what it was before any evidence of anybody: who asks for
// the same again and again meets the same belief, and only evidence can say who is right.
func (p *Presser) pressed(b *step.Belief, j policy.Trait, x, start, toward float64) {
	const h = .05
	mean, variance := b.Difference(j, x-h, x+h)
	if toward == 0 || !(variance > 0) {
		return
	}
	// what is known now, beyond what was before anything was
	unknown, now := step.SlopeVariance(2*(x-start)), variance/float64(4*h*4*h)
	c := max(0, 1-now/unknown)
	e := mean / math.Sqrt(float64(mean*mean)+float64(variance*(2/math.Pi)))
	if toward < 0 {
		e = -e
	}
	p.Seen += float64(c * float64(e*e))
	p.Agreed += float64(c * e)
}
