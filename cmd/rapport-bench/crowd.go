package main

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"rapport/learning/rater"
	"rapport/policy"
)

// crowd is one set of people's answers with the truth of some items.
type crowd struct {
	answers int
	marks   []rater.Mark
	truth   map[string]int
}

// crowdSets are the sets of truth_inference.
var crowdSets = []string{"d_sentiment", "d_jn-product", "rte", "s4_Dog_data", "CF", "SP_amt", "d_Duck_Identification", "trec"}

func readCrowd(name string) (*crowd, error) {
	dir := filepath.Join(dataDir(), "truth_inference", name)
	if _, err := os.Stat(dir); err != nil {
		return nil, errNoData
	}
	labels, err := readCSV(filepath.Join(dir, "label.csv"), 3)
	if err != nil {
		return nil, err
	}
	truths, err := readCSV(filepath.Join(dir, "truth.csv"), 2)
	if err != nil {
		return nil, err
	}
	c := &crowd{truth: map[string]int{}}
	for _, r := range labels {
		l, err := strconv.Atoi(r[2])
		if err != nil {
			return nil, err
		}
		c.marks = append(c.marks, rater.Mark{Item: r[0], Rater: r[1], Answer: l})
		c.answers = max(c.answers, l+1)
	}
	known := map[string]bool{}
	for _, m := range c.marks {
		known[m.Item] = true
	}
	for _, r := range truths {
		l, err := strconv.Atoi(r[1])
		if err != nil {
			return nil, err
		}
		if known[r[0]] {
			c.truth[r[0]] = l
		}
	}
	return c, nil
}

// readCSV gives the rows below the heading.
func readCSV(path string, fields int) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = fields
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[1:], nil
}

// votes are the counts of each answer by item.
func (c *crowd) votes() map[string][]float64 {
	v := map[string][]float64{}
	for _, m := range c.marks {
		if v[m.Item] == nil {
			v[m.Item] = make([]float64, c.answers)
		}
		v[m.Item][m.Answer]++
	}
	return v
}

// right is, for each item with a truth, the share of the highest answers that is it:
// 1, 0, or between when several are highest.
func (c *crowd) right(p map[string][]float64) map[string]float64 {
	out := map[string]float64{}
	for item, truth := range c.truth {
		best, n, hit := math.Inf(-1), 0., 0.
		for _, x := range p[item] {
			best = max(best, x)
		}
		for l, x := range p[item] {
			if x >= best-1e-12 {
				n++
				if l == truth {
					hit = 1
				}
			}
		}
		out[item] = hit / n
	}
	return out
}

// dawidSkene is expectation-maximisation from the shares of votes, rows smoothed by
// .01, 100 rounds: the baseline (Dawid and Skene 1979).
func (c *crowd) dawidSkene() map[string][]float64 {
	const smooth, rounds = .01, 100
	q := c.votes()
	for _, v := range q {
		normalise(v)
	}
	for range rounds {
		prior, rows := make([]float64, c.answers), map[string][][]float64{}
		for _, item := range sortedKeys(q) { // sums in one order
			for k, x := range q[item] {
				prior[k] += x
			}
		}
		normalise(prior)
		for _, m := range c.marks {
			r := rows[m.Rater]
			if r == nil {
				r = make([][]float64, c.answers)
				for k := range r {
					r[k] = make([]float64, c.answers)
					for l := range r[k] {
						r[k][l] = smooth
					}
				}
				rows[m.Rater] = r
			}
			for k, x := range q[m.Item] {
				r[k][m.Answer] += x
			}
		}
		for _, r := range rows {
			for k := range r {
				normalise(r[k])
				for l := range r[k] {
					r[k][l] = math.Log(r[k][l])
				}
			}
		}
		for _, v := range q {
			for k := range v {
				v[k] = math.Log(prior[k] + 1e-300)
			}
		}
		for _, m := range c.marks {
			for k := range c.answers {
				q[m.Item][k] += rows[m.Rater][k][m.Answer]
			}
		}
		for _, v := range q {
			top := math.Inf(-1)
			for _, x := range v {
				top = max(top, x)
			}
			for k := range v {
				v[k] = math.Exp(v[k] - top)
			}
			normalise(v)
		}
	}
	return q
}

func normalise(v []float64) {
	s := 0.
	for _, x := range v {
		s += x
	}
	for i := range v {
		v[i] /= s
	}
}

// meanInterval is the mean of v and half the width of its 95 % interval.
func meanInterval(v []float64) (mean, half float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += x / n
	}
	s := 0.
	for _, x := range v {
		s += (x - mean) * (x - mean)
	}
	if n > 1 {
		half = 1.96 * math.Sqrt(s/(n-1)/n)
	}
	return mean, half
}

// below gives an integer in [0,n).
func below(r *policy.Stream, n int) int { return int(r.Float64() * float64(n)) }

// rounded keeps so many digits behind the point.
func rounded(v float64, digits int) float64 {
	p := math.Pow(10, float64(digits))
	return math.Round(v*p) / p
}
