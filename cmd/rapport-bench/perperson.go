package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"rapport/learning/rater"
)

// talkAnswers: fine, possible breakdown, breakdown. They are ordered.
const talkAnswers = 3

// talks are conversations with every reply marked by many people.
type talks struct {
	turns []turn
}

// turn is one marked reply.
type turn struct {
	id    string // rises with conversation and place
	talk  int
	marks []rater.Mark
}

func readTalks() (*talks, error) {
	f, err := os.Open(filepath.Join(dataDir(), "dbdc3", "dbdc3_dev_en.jsonl.gz"))
	if err != nil {
		return nil, errNoData
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<24)
	out := &talks{}
	for talk := 0; lines.Scan(); talk++ {
		var c struct {
			Turns []struct {
				A [][2]string `json:"a"`
			} `json:"turns"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, err
		}
		for k, t := range c.Turns {
			if len(t.A) == 0 {
				continue
			}
			x := turn{id: fmt.Sprintf("%04d.%03d", talk, k), talk: talk}
			for _, a := range t.A {
				answer, ok := map[string]int{"O": 0, "T": 1, "X": 2}[a[1]]
				if !ok {
					return nil, fmt.Errorf("dbdc3: a label that is none of O, T, X")
				}
				x.marks = append(x.marks, rater.Mark{Item: x.id, Rater: a[0], Answer: answer})
			}
			out.turns = append(out.turns, x)
		}
	}
	return out, lines.Err()
}

func (t *talks) marks() []rater.Mark {
	var out []rater.Mark
	for _, x := range t.turns {
		out = append(out, x.marks...)
	}
	return out
}

var ownMarks = []int{0, 3, 5, 10, 20, 40}

const (
	personFolds = 10
	leastLater  = 10 // later marks of a person, for the person to be judged
	voteShrink  = 1. // pseudo-marks behind the others' shares, each answer
	biasShrink  = 5. // pseudo-marks behind a person's bias
)

// perPerson predicts what people answer later from k answers of their own and what
// others said. Split by person: the population is fitted without the marks of the
// people judged, a tenth at a time. Split by conversation: their conversations are
// shuffled, the first 40 marks are own, and only marks in conversations that hold none
// of these are later; the later ones are the same at every k. Numbers are means over
// people of each one's mean.
func perPerson(ctx context.Context) (metrics, error) {
	seeds, err := givenSeeds(1)
	if err != nil {
		return nil, err
	}
	t, err := readTalks()
	if err != nil {
		return nil, err
	}
	all := t.marks()
	table, err := rater.NewTable(all, talkAnswers)
	if err != nil {
		return nil, err
	}
	judged := t.judged(seeds[0])
	people := map[string]bool{}
	for _, m := range all {
		people[m.Rater] = true
	}
	fold := map[string]int{}
	r := streamOf(seeds[0] + 1)
	for _, id := range sortedKeys(people) {
		fold[id] = below(&r, personFolds)
	}
	ours, base, right, baseRight := map[int][]float64{}, map[int][]float64{}, map[int][]float64{}, map[int][]float64{}
	for f := range personFolds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		others := slices.DeleteFunc(slices.Clone(all), func(m rater.Mark) bool { return fold[m.Rater] == f })
		known, err := rater.NewTable(others, talkAnswers)
		if err != nil {
			return nil, err
		}
		tastes := rater.FitTastes(known)
		for _, p := range judged {
			if fold[p.id] != f {
				continue
			}
			for _, k := range ownMarks {
				taste, err := tastes.Of(table, p.id, p.own[:k])
				if err != nil {
					return nil, err
				}
				bias := t.bias(p.own[:k])
				var s, b score
				for _, m := range p.later {
					s.add(taste.Predict(m.Item), m.Answer)
					b.add(t.biased(m, bias), m.Answer)
				}
				ours[k], base[k] = append(ours[k], s.loss/s.n), append(base[k], b.loss/b.n)
				right[k], baseRight[k] = append(right[k], s.right/s.n), append(baseRight[k], b.right/b.n)
			}
		}
		fmt.Fprintf(os.Stderr, "fold %d of %d: %d people judged\n", f+1, personFolds, len(ours[0]))
	}
	out := metrics{"seed": seeds[0], "conversations": t.turns[len(t.turns)-1].talk + 1, "people": len(judged)}
	consensus, half := meanInterval(base[0]) // without own marks the bias is none
	out["consensus_logloss"], out["consensus_logloss_ci95"] = rounded(consensus, 4), rounded(half, 4)
	accuracy, _ := meanInterval(baseRight[0])
	out["consensus_accuracy"] = rounded(accuracy, 4)
	for _, k := range ownMarks {
		key := func(name string) string { return fmt.Sprintf("%s_k%d", name, k) }
		var gain, hurt, baseHurt []float64
		for i := range ours[k] {
			gain = append(gain, base[k][i]-ours[k][i])
			hurt = append(hurt, indicator(ours[k][i] > base[0][i]))
			baseHurt = append(baseHurt, indicator(base[k][i] > base[0][i]))
		}
		for name, v := range map[string][]float64{"logloss": ours[k], "baseline": base[k], "accuracy": right[k], "baseline_accuracy": baseRight[k],
			"gain": gain, "hurt_share": hurt, "baseline_hurt_share": baseHurt} {
			mean, half := meanInterval(v)
			out[key(name)], out[key(name)+"_ci95"] = rounded(mean, 4), rounded(half, 4)
		}
	}
	return out, nil
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// score sums log-loss in nats and hits; ties count for the lowest answer.
type score struct{ loss, right, n float64 }

func (s *score) add(p []float64, answer int) {
	s.loss -= math.Log(p[answer])
	s.right += indicator(slices.Index(p, slices.Max(p)) == answer)
	s.n++
}

// judgedPerson has own marks, given first, and later ones.
type judgedPerson struct {
	id         string
	own, later []rater.Mark
}

// judged are the people with marks enough, by id.
func (t *talks) judged(seed uint64) []judgedPerson {
	by := map[string]map[int][]rater.Mark{}
	for _, x := range t.turns {
		for _, m := range x.marks {
			if by[m.Rater] == nil {
				by[m.Rater] = map[int][]rater.Mark{}
			}
			by[m.Rater][x.talk] = append(by[m.Rater][x.talk], m)
		}
	}
	r := streamOf(seed)
	most := slices.Max(ownMarks)
	var out []judgedPerson
	for _, id := range sortedKeys(by) {
		var order []int
		for talk := range by[id] {
			order = append(order, talk)
		}
		slices.Sort(order)
		for i := range order {
			j := i + below(&r, len(order)-i)
			order[i], order[j] = order[j], order[i]
		}
		p := judgedPerson{id: id}
		for _, talk := range order {
			if len(p.own) < most {
				p.own = append(p.own, by[id][talk]...)
			} else {
				p.later = append(p.later, by[id][talk]...)
			}
		}
		if len(p.own) >= most && len(p.later) >= leastLater {
			p.own = p.own[:most]
			out = append(out, p)
		}
	}
	return out
}

// shares are those of the others' answers on the item of a mark.
func (t *talks) shares(m rater.Mark) []float64 {
	i, _ := slices.BinarySearchFunc(t.turns, m.Item, func(x turn, id string) int {
		switch {
		case x.id < id:
			return -1
		case x.id > id:
			return 1
		}
		return 0
	})
	p := []float64{voteShrink, voteShrink, voteShrink}
	for _, o := range t.turns[i].marks {
		if o.Rater != m.Rater {
			p[o.Answer]++
		}
	}
	normalise(p)
	return p
}

// bias is how much more often than the others a person gave each answer: the
// baseline's.
func (t *talks) bias(own []rater.Mark) []float64 {
	given, expected := make([]float64, talkAnswers), make([]float64, talkAnswers)
	for _, m := range own {
		given[m.Answer]++
		for l, x := range t.shares(m) {
			expected[l] += x
		}
	}
	for l := range given {
		given[l] = (given[l] + biasShrink/talkAnswers) / (expected[l] + biasShrink/talkAnswers)
	}
	return given
}

// biased is the others' shares times a bias: the baseline.
func (t *talks) biased(m rater.Mark, bias []float64) []float64 {
	p := t.shares(m)
	for l := range p {
		p[l] *= bias[l]
	}
	normalise(p)
	return p
}
