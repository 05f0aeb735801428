package rater

import "math"

// sitting is how many marks are judged together. A rater's marks are dealt out into
// sittings of about this length and the evidence of abuse is their mean: who gave a
// thousand blind marks is not ten times surer blind than who gave a hundred, and a
// long honest past does not hide what follows.
const sitting = 60

// strengths of the priors over rows, in marks.
const (
	lookPrior  = 2. // half on the true answer, half spread
	blindPrior = 2. // spread
)

// blindEvidence compares three explanations of a rater's marks by how well each
// predicts every mark from those before (prequential evidence, Dawid 1984):
//
//   - looking: the answer depends on the truth by rows π_c ~ Dir, half of the prior
//     on the diagonal;
//   - blind: one row whatever the truth, random and constant answers alike;
//   - inverse: rows with that half off the diagonal.
//
// The truth of an item is what the others' marks say, this rater's own taken out. A
// constant answer agrees with many and still says nothing about the items, so it is
// blind; taste moves the rows but they still differ, so it is looking. The result is
// log ½(blind + inverse) − log looking, the mean over sittings.
func (c *crowd) blindEvidence(t *Table, rater int) float64 {
	places := t.of[rater]
	sittings := max(1, len(places)/sitting)
	sum := 0.
	others := grid(len(places), c.answers)
	for q, k := range places {
		m := t.marks[k]
		for z, p := range c.truth[m.item] {
			others[q][z] = math.Log(max(p, 1e-12)) - c.logs[z][rater][m.answer]
		}
		fromLogs(others[q])
	}
	for first := range sittings {
		looking, inverse := newRows(c.answers, true), newRows(c.answers, false)
		blind := make([]float64, c.answers)
		for l := range blind {
			blind[l] = blindPrior / float64(c.answers)
		}
		n := blindPrior
		var look, against, without float64
		for q := first; q < len(places); q += sittings {
			answer := t.marks[places[q]].answer
			look += looking.take(others[q], answer)
			against += inverse.take(others[q], answer)
			without += math.Log(blind[answer] / n)
			blind[answer]++
			n++
		}
		top := max(without, against)
		sum += top + math.Log(.5*math.Exp(without-top)+.5*math.Exp(against-top)) - look
	}
	return sum / float64(sittings)
}

// rows are Dirichlet counts of answers by truth, learned mark by mark.
type rows struct {
	counts [][]float64
	totals []float64
	joint  []float64
}

func newRows(answers int, diagonal bool) *rows {
	r := &rows{grid(answers, answers), make([]float64, answers), make([]float64, answers)}
	for c := range answers {
		r.totals[c] = lookPrior
		for l := range answers {
			r.counts[c][l] = .5 * lookPrior / float64(answers)
			if diagonal && l == c {
				r.counts[c][l] += .5 * lookPrior
			}
			if !diagonal && l != c {
				r.counts[c][l] += .5 * lookPrior / float64(answers-1)
			}
		}
	}
	return r
}

// take gives the log probability of the answer and learns from it, the truth being
// known as truth.
func (r *rows) take(truth []float64, answer int) float64 {
	p := 0.
	for c, x := range truth {
		r.joint[c] = x * r.counts[c][answer] / r.totals[c]
		p += r.joint[c]
	}
	for c := range r.joint {
		r.counts[c][answer] += r.joint[c] / p
		r.totals[c] += r.joint[c] / p
	}
	return math.Log(p)
}
