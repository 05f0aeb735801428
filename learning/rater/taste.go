package rater

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Tastes is what is known of how people's answers differ from what others say,
// learned from many people: the prior of a stranger. It does not change once it is
// made; it may be shared.
type Tastes struct {
	answers int
	rates   []float64 // how often each answer is given
	belief
}

// Taste is how one person answers.
type Taste struct {
	tastes *Tastes
	table  *Table
	rater  int // −1 when the table does not have the person
	kin    map[int]kinship
	mode   []float64
	points [][]float64 // of the posterior
}

// ErrTaste is the error of asking for a taste that cannot be had; the text says why.
var ErrTaste = errors.New("taste refused")

// The features of an answer, each a coefficient of a person.
const (
	features    = 10
	usedMarks   = 150 // of a person, when tastes are fitted
	rateShrink  = 20. // pseudo-marks behind a person's rates
	kinShrink   = 10. // pseudo-items behind a kinship
	meanShrink  = 1.  // pseudo-marks at 0 behind an item's mean
	countShrink = 1.  // pseudo-marks behind each answer's count on an item
	priorPeople = 10  // who answer as the others do
)

// FitTastes learns from everybody in a table of ordered answers. Person r answers l
// on item i with probability ∝ exp(θ_r·φ_r(i, l)), θ_r ~ N(μ, Σ), μ and Σ fitted by
// EM with the normal approximation of each posterior at its mode (empirical Bayes;
// Laird and Ware 1982; Gelman et al., Bayesian Data Analysis, 13). With v the answer
// from −1 to 1 and u = 1 − v² how middling it is, φ holds
//
//   - v and u: a person's bias;
//   - s·v, c·u, s·u, c·v: the log shares of the others' answers, their slope s and
//     their curvature c; whoever answers as the others do has s·v 1, c·u 3/2;
//   - the same two with the others' answers freed of each one's own rates;
//   - what those say who erred like this person, weighted by how alike they erred on
//     items that both have marked (collaborative filtering; Resnick et al. 1994).
//
// For the last two, a person's marks are cut in half by item and each half is read
// with the other's kinships, as at prediction. O(people·marks).
func FitTastes(t *Table) *Tastes {
	p := &Tastes{answers: t.answers, rates: make([]float64, t.answers)}
	for l := range p.rates {
		p.rates[l] = 1
	}
	for _, m := range t.marks {
		p.rates[m.answer]++
	}
	scale(p.rates)
	var people [][]choice
	for r, places := range t.of {
		places = places[:min(len(places), usedMarks)]
		own := make([]mark, len(places))
		for i, k := range places {
			own[i] = t.marks[k]
		}
		first, second := own[:len(own)/2], own[len(own)/2:]
		var choices []choice
		kin := p.kinOf(t, r, second)
		for _, m := range first {
			choices = append(choices, p.choice(t, r, m.item, m.answer, kin))
		}
		kin = p.kinOf(t, r, first)
		for _, m := range second {
			choices = append(choices, p.choice(t, r, m.item, m.answer, kin))
		}
		people = append(people, choices)
	}
	usual := make([]float64, features)
	usual[2], usual[3] = 1, 1.5
	p.belief = fitBelief(people, usual, priorPeople)
	return p
}

// Of is the taste of a rater who has given the marks own. Nothing else that the table
// may hold of this rater is looked at; the others' marks are. The order of own does
// not matter. The error is ErrTaste: another number of answers than fitted, an own
// mark of somebody else, on an item that the table does not have, with an answer that
// there is not, two on one item.
func (p *Tastes) Of(t *Table, rater string, own []Mark) (*Taste, error) {
	if t.answers != p.answers {
		return nil, fmt.Errorf("%w: fitted to %d answers, asked about %d", ErrTaste, p.answers, t.answers)
	}
	x := &Taste{tastes: p, table: t, rater: place(t.raters, rater)}
	answers := map[int]int{}
	for _, m := range own {
		item := place(t.items, m.Item)
		if m.Rater != rater || item < 0 || m.Answer < 0 || m.Answer >= t.answers {
			return nil, fmt.Errorf("%w: a mark that is not of this person and table", ErrTaste)
		}
		if _, ok := answers[item]; ok {
			return nil, fmt.Errorf("%w: two marks on one item", ErrTaste)
		}
		answers[item] = m.Answer
	}
	var marks []mark
	for _, item := range slices.Sorted(maps.Keys(answers)) {
		marks = append(marks, mark{item, x.rater, answers[item]})
	}
	choices := make([]choice, len(marks))
	for i, m := range marks {
		choices[i] = p.choice(t, x.rater, m.item, m.answer, nil)
	}
	x.kin = p.kinOf(t, x.rater, marks)
	x.mode, x.points = p.posterior(choices)
	return x, nil
}

// Predict gives the probability of each answer of this person on an item, averaged
// over the posterior; nil when the table does not have the item. What the person
// has said on it, if anything, is not looked at.
func (x *Taste) Predict(item string) []float64 {
	i := place(x.table.items, item)
	if i < 0 {
		return nil
	}
	c := x.tastes.choice(x.table, x.rater, i, 0, x.kin)
	out := make([]float64, x.table.answers)
	p := make([]float64, x.table.answers)
	for _, theta := range x.points {
		c.probabilities(theta, p)
		for l := range out {
			out[l] += p[l] / float64(len(x.points))
		}
	}
	return out
}

// level is v of an answer, in [−1,1].
func (p *Tastes) level(answer int) float64 {
	return 2*float64(answer)/float64(p.answers-1) - 1
}

// middling is u of an answer, in [0,1].
func (p *Tastes) middling(answer int) float64 { return 1 - p.level(answer)*p.level(answer) }

// kinship is how alike two people erred on the items both have marked: sums of
// products of their distances from the others' mean.
type kinship struct{ level, middling, items float64 }

// off is how far an answer lies from the mean of the item's marks but two people's.
func (p *Tastes) off(sums *[3]float64, level, middling float64) (float64, float64) {
	n := sums[2] + meanShrink
	return level - sums[0]/n, middling - sums[1]/n
}

// sums adds up an item's marks without one person's: levels, middlings, number.
func (p *Tastes) sums(t *Table, item, without int) (s [3]float64) {
	for _, m := range t.on(item) {
		if m.rater != without {
			s[0] += p.level(m.answer)
			s[1] += p.middling(m.answer)
			s[2]++
		}
	}
	return s
}

func less(s [3]float64, level, middling float64) [3]float64 {
	return [3]float64{s[0] - level, s[1] - middling, s[2] - 1}
}

func (p *Tastes) kinOf(t *Table, rater int, own []mark) map[int]kinship {
	kin := map[int]kinship{}
	for _, m := range own {
		sums := p.sums(t, m.item, rater)
		level, middling := p.off(&sums, p.level(m.answer), p.middling(m.answer))
		for _, o := range t.on(m.item) {
			if o.rater == rater {
				continue
			}
			v, u := p.level(o.answer), p.middling(o.answer)
			rest := less(sums, v, u)
			v, u = p.off(&rest, v, u)
			k := kin[o.rater]
			kin[o.rater] = kinship{k.level + level*v, k.middling + middling*u, k.items + 1}
		}
	}
	return kin
}

// choice builds the features of every answer of a rater on an item.
func (p *Tastes) choice(t *Table, rater, item, answer int, kin map[int]kinship) choice {
	counts := make([]float64, t.answers)
	for l := range counts {
		counts[l] = countShrink
	}
	sums := p.sums(t, item, rater)
	var freeLevel, freeMiddling, kinLevel, kinMiddling float64
	for _, o := range t.on(item) {
		if o.rater == rater {
			continue
		}
		counts[o.answer]++
		v, u := p.level(o.answer), p.middling(o.answer)
		usualLevel, usualMiddling := p.usual(t, o.rater)
		freeLevel += v - usualLevel
		freeMiddling += u - usualMiddling
		if k, ok := kin[o.rater]; ok {
			rest := less(sums, v, u)
			offLevel, offMiddling := p.off(&rest, v, u)
			kinLevel += offLevel * k.level / (k.items + kinShrink)
			kinMiddling += offMiddling * k.middling / (k.items + kinShrink)
		}
	}
	n := max(1, sums[2])
	freeLevel, freeMiddling = 2*freeLevel/n, 3*freeMiddling/n
	kinLevel, kinMiddling = 10*kinLevel/n, 30*kinMiddling/n
	var slope, curve, levels, mean float64
	for l := range counts {
		mean += p.middling(l) / float64(t.answers)
	}
	for l, c := range counts {
		v := p.level(l)
		slope += v * math.Log(c)
		levels += v * v
		curve += (p.middling(l) - mean) * math.Log(c)
	}
	slope /= levels
	c := choice{answer: answer, phi: grid(t.answers, features)}
	for l := range counts {
		v, u := p.level(l), p.middling(l)
		copy(c.phi[l], []float64{v, u, slope * v, curve * u, slope * u, curve * v, freeLevel * v, freeMiddling * u, kinLevel * v, kinMiddling * u})
	}
	return c
}

// usual is a rater's mean level and middling, shrunk to everybody's.
func (p *Tastes) usual(t *Table, rater int) (level, middling float64) {
	n := rateShrink
	for l, share := range p.rates {
		x := rateShrink*share + t.given[rater][l]
		level += x * p.level(l)
		middling += x * p.middling(l)
		n += t.given[rater][l]
	}
	return level / n, middling / n
}
