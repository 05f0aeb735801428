package rater

import (
	"cmp"
	"math"
	"slices"
)

// Result is what marks say together.
type Result struct {
	Answers  int
	Items    []Item   // by id
	Raters   []Person // by id
	Pooled   bool     // rows were believed much alike; see Aggregate
	WeakLoss float64  // nats per held-out mark with weak pooling
	FullLoss float64  // and with full
}

// Item is the posterior of what is true of an item.
type Item struct {
	ID        string
	Posterior []float64 // sums to 1
}

// Best is the most probable answer, the lowest of equals.
func (i Item) Best() int {
	b := 0
	for c, p := range i.Posterior {
		if p > i.Posterior[b] {
			b = c
		}
	}
	return b
}

// Person is what the marks say about one who gave them.
type Person struct {
	ID    string
	Marks int
	// Agreement is the probability that an answer of this person is the true one, in
	// the mix of items of the table: Σ_c p(c)·E π_c(c) with the prior as fitted, so a
	// rater of few marks has about what the others have. A soft weight for this kind
	// of question.
	Agreement float64
	// Evidence is log p(answers | blind or inverse) − log p(answers | looking), in nats
	// per sitting. Above 0 speaks for abuse; few marks give little of it either way.
	Evidence float64
	// Abuse is the posterior probability of that, σ(log(.15/.85) + Evidence).
	Abuse float64
	// Excluded says that Abuse is at least .99: to be looked at by an operator.
	Excluded bool
}

// Aggregate infers what is true of each item and what each rater is worth.
//
// Model (Dawid and Skene 1979, Maximum likelihood estimation of observer
// error-rates): item i has the truth z_i with P(z_i = c) = p_c; rater j answers l
// with probability π_jc(l), independently. Rows have a prior that raters share
// (Kim and Ghahramani 2012, Bayesian classifier combination), here a mixture of two
// kinds of raters (Venanzi et al. 2014, Community-based Bayesian aggregation):
// π_jc ~ Dir(α_tc) for raters of kind t. The α are fitted to all raters (Minka
// 2000), so how much raters are alike is learned, not set; a rater of few marks has
// about the prior.
//
// How much to pool is chosen by held-out marks, never by truths: *weak* (a tenth of
// the fitted prior, rows at their posterior mean; near maximum likelihood), unless
// *full* (the prior as fitted, variational) predicts marks that were left out at
// least a tenth better in nats. That happens when raters have given few marks per
// kind of item; otherwise the two differ on items near ½ only, and the classical
// estimate stays.
//
// Deterministic: a function of the set of marks on one kind of processor.
// O(iterations·marks·answers).
func Aggregate(t *Table) *Result {
	weakLoss, fullLoss := heldOut(t, false), heldOut(t, true)
	full := fullLoss < .9*weakLoss
	c := fitCrowd(t, t.marks, full, 200)
	r := &Result{Answers: t.answers, Pooled: full, WeakLoss: weakLoss, FullLoss: fullLoss,
		Items: make([]Item, len(t.items)), Raters: make([]Person, len(t.raters))}
	for i, id := range t.items {
		r.Items[i] = Item{id, c.truth[i]}
	}
	for j, id := range t.raters {
		p := Person{ID: id, Marks: len(t.of[j])}
		for k, share := range c.prior {
			p.Agreement += share * c.mean(k, j, k, 1)
		}
		p.Evidence = c.blindEvidence(t, j)
		odds := math.Exp(p.Evidence) * (1 - honestShare) / honestShare
		p.Abuse = odds / (1 + odds)
		p.Excluded = p.Abuse >= excludeAt
		r.Raters[j] = p
	}
	return r
}

// Of is what is known of a rater, false when the table has none of that id.
func (r *Result) Of(id string) (Person, bool) {
	i, ok := slices.BinarySearchFunc(r.Raters, id, func(p Person, id string) int { return cmp.Compare(p.ID, id) })
	if !ok {
		return Person{}, false
	}
	return r.Raters[i], true
}

// Weights are the raters as a version publishes them.
func (r *Result) Weights() []Weight {
	w := make([]Weight, len(r.Raters))
	for i, p := range r.Raters {
		w[i] = Weight{Rater: p.ID, Agreement: p.Agreement, Abuse: p.Abuse, Excluded: p.Excluded}
	}
	return w
}

const (
	kinds     = 2  // of raters
	weakness  = .1 // share of the fitted prior that weak pooling keeps
	warm      = 3  // iterations before the prior is fitted
	excludeAt = .99
)

// crowd is the fitted model.
type crowd struct {
	answers int
	full    bool
	truth   [][]float64   // of each item
	prior   []float64     // p
	alpha   [][][]float64 // kind, truth, answer
	kind    [][]float64   // of each rater
	share   []float64     // of each kind
	counts  [][][]float64 // truth, rater, answer: expected
	logs    [][][]float64 // truth, rater, answer: what an answer says, in nats
}

// fitCrowd runs at most so many rounds, fewer when nothing moves.
func fitCrowd(t *Table, marks []mark, full bool, rounds int) *crowd {
	n := t.answers
	c := &crowd{answers: n, full: full, truth: grid(len(t.items), n), prior: make([]float64, n), alpha: make([][][]float64, kinds),
		share: make([]float64, kinds), counts: make([][][]float64, n), logs: make([][][]float64, n)}
	for _, m := range marks {
		c.truth[m.item][m.answer]++
	}
	for _, p := range c.truth {
		scale(p)
	}
	rest := grid(n, n)
	for k := range n {
		for l := range n {
			rest[k][l] = 1 / float64(n)
		}
		rest[k][k] = 1.5
		c.counts[k], c.logs[k] = grid(len(t.raters), n), grid(len(t.raters), n)
	}
	for g := range c.alpha {
		c.alpha[g] = grid(n, n)
		for k := range n {
			copy(c.alpha[g][k], rest[k])
		}
	}
	c.start(t, marks)
	for round := range rounds {
		c.count(marks)
		if round >= warm+2 {
			c.sort()
		}
		c.shares()
		if round >= warm {
			for g := range kinds {
				for k := range n {
					for range 2 {
						refine(c.alpha[g][k], func(j int) []float64 { return c.counts[k][j] }, func(j int) float64 { return c.kind[j][g] }, len(t.raters), rest[k])
					}
				}
			}
		}
		c.weigh()
		if moved := c.infer(marks); moved < 1e-6 && round > warm+5 {
			break
		}
	}
	return c
}

func grid(rows, columns int) [][]float64 {
	all := make([]float64, rows*columns)
	g := make([][]float64, rows)
	for i := range g {
		g[i] = all[i*columns : (i+1)*columns : (i+1)*columns]
	}
	return g
}

// start guesses the kinds: those who agree with the plurality more, and less.
func (c *crowd) start(t *Table, marks []mark) {
	agree := grid(len(t.raters), 2)
	for _, m := range marks {
		agree[m.rater][0] += c.truth[m.item][m.answer]
		agree[m.rater][1]++
	}
	order := make([]int, len(t.raters))
	for j := range order {
		order[j] = j
		agree[j][0] = (agree[j][0] + 1.4) / (agree[j][1] + 2)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(agree[b][0], agree[a][0]), cmp.Compare(a, b)) })
	c.kind = grid(len(t.raters), kinds)
	for rank, j := range order {
		for g := range kinds {
			c.kind[j][g] = .2 / kinds
		}
		c.kind[j][rank*kinds/len(order)] += .8
	}
}

// count takes the expected counts and the shares of truths.
func (c *crowd) count(marks []mark) {
	for k := range c.counts {
		c.prior[k] = 1
		for _, row := range c.counts[k] {
			clear(row)
		}
	}
	for _, p := range c.truth {
		for k, x := range p {
			c.prior[k] += x
		}
	}
	scale(c.prior)
	for _, m := range marks {
		for k, x := range c.truth[m.item] {
			c.counts[k][m.rater][m.answer] += x
		}
	}
}

// sort infers the kind of each rater.
func (c *crowd) sort() {
	for j, r := range c.kind {
		for g := range r {
			r[g] = math.Log(c.share[g])
			for k := range c.counts {
				r[g] += logCounts(c.counts[k][j], c.alpha[g][k])
			}
		}
		fromLogs(r)
	}
}

func (c *crowd) shares() {
	for g := range c.share {
		c.share[g] = 1
		for _, r := range c.kind {
			c.share[g] += r[g]
		}
	}
	scale(c.share)
}

// strength is the prior as it is used.
func (c *crowd) strength() float64 {
	if c.full {
		return 1
	}
	return weakness
}

// weigh computes what each possible answer of each rater says.
func (c *crowd) weigh() {
	s := c.strength()
	for k := range c.counts {
		for j, row := range c.counts[k] {
			logs := c.logs[k][j]
			clear(logs)
			n := sumOf(row)
			for g, r := range c.kind[j] {
				if r < 1e-6 {
					continue
				}
				a := c.alpha[g][k]
				total := n + s*sumOf(a)
				if c.full {
					at := digamma(total)
					for l := range logs {
						logs[l] += r * (digamma(row[l]+a[l]) - at)
					}
					continue
				}
				for l := range logs {
					logs[l] += r * math.Log((row[l]+s*a[l])/total)
				}
			}
		}
	}
}

// infer computes the posteriors of the items; it gives the largest change.
func (c *crowd) infer(marks []mark) float64 {
	next := grid(len(c.truth), c.answers)
	for i := range next {
		for k := range next[i] {
			next[i][k] = math.Log(c.prior[k])
		}
	}
	for _, m := range marks {
		for k := range c.logs {
			next[m.item][k] += c.logs[k][m.rater][m.answer]
		}
	}
	moved := 0.
	for i, p := range next {
		fromLogs(p)
		for k := range p {
			moved = max(moved, math.Abs(p[k]-c.truth[i][k]))
		}
	}
	c.truth = next
	return moved
}

// mean is E π_jc(l) with this share of the fitted prior.
func (c *crowd) mean(truth, rater, answer int, s float64) float64 {
	p := 0.
	row := c.counts[truth][rater]
	n := sumOf(row)
	for g, r := range c.kind[rater] {
		a := c.alpha[g][truth]
		p += r * (row[answer] + s*a[answer]) / (n + s*sumOf(a))
	}
	return p
}

// heldOut is the mean loss, in nats, of predicting three tenths of the marks from
// the others, a tenth at a time.
func heldOut(t *Table, full bool) float64 {
	loss, n := 0., 0
	for fold := range 3 {
		var in, out []mark
		for k, m := range t.marks {
			if scatter(k)%10 == uint64(fold) {
				out = append(out, m)
			} else {
				in = append(in, m)
			}
		}
		if len(in) == 0 || len(out) == 0 {
			continue
		}
		c := fitCrowd(t, in, full, 50)
		for _, m := range out {
			p := 0.
			for k, x := range c.truth[m.item] {
				p += x * c.mean(k, m.rater, m.answer, c.strength())
			}
			loss -= math.Log(p)
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return loss / float64(n)
}

// scatter spreads places so that a share of them is a fair sample (splitmix64).
func scatter(k int) uint64 {
	z := uint64(k)*0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
