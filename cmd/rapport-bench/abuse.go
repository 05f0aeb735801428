package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"rapport/learning/rater"
	"rapport/policy"
)

// spam is one way of answering without looking.
type spam struct {
	key, set string
	constant bool // the answer most often given, always; else uniformly random
}

var spams = []spam{
	{"d_sentiment", "d_sentiment", false},
	{"SP_amt", "SP_amt", false},
	{"d_Duck_constant", "d_Duck_Identification", true},
	{"d_Duck_random", "d_Duck_Identification", false},
	{"d_sentiment_constant", "d_sentiment", true},
	{"SP_amt_constant", "SP_amt", true},
	{"rte", "rte", false},
	{"s4_Dog_data", "s4_Dog_data", false},
	{"CF", "CF", false},
	{"d_jn-product", "d_jn-product", false},
	{"trec", "trec", false},
}

const (
	spamShare = .2 // of the real raters
	spamSeeds = 8
)

// abuseBench adds spammers, a fifth of the raters of a set, each with the mean number
// of marks on random items, and asks whether the evidence of abuse finds them: the
// chance that a spammer has more of it than a real rater. Real raters who answer
// blindly count as honest here, which bounds what can be reached. The plain score,
// agreement with the others' plurality, is computed in the same run. Then: how many
// real raters are excluded, on these sets and on dbdc3, where people differ by taste.
func abuseBench(ctx context.Context) (metrics, error) {
	seeds, err := givenSeeds(spamSeeds)
	if err != nil {
		return nil, err
	}
	m := metrics{"seeds": seeds}
	for _, s := range spams {
		c, err := readCrowd(s.set)
		if err != nil {
			return nil, err
		}
		runs := seeds
		if s.set == "trec" || s.set == "d_jn-product" {
			runs = seeds[:min(2, len(seeds))] // large
		}
		var ours, plain, found, wrongly, looking []float64
		for _, seed := range runs {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			spammed, spammers := c.withSpam(seed, s.constant)
			t, err := rater.NewTable(spammed.marks, spammed.answers)
			if err != nil {
				return nil, err
			}
			r := rater.Aggregate(t)
			evidence, caught, excluded := map[string]float64{}, 0., 0.
			for _, p := range r.Raters {
				evidence[p.ID] = p.Evidence
				if p.Excluded && spammers[p.ID] {
					caught++
				} else if p.Excluded {
					excluded++
				}
			}
			ours = append(ours, auc(evidence, spammers, nil))
			looking = append(looking, auc(evidence, spammers, c.atChance()))
			plain = append(plain, auc(spammed.disagreement(), spammers, nil))
			found = append(found, caught/float64(len(spammers)))
			wrongly = append(wrongly, excluded/float64(len(r.Raters)-len(spammers)))
		}
		mean, half := meanInterval(ours)
		plainMean, plainHalf := meanInterval(plain)
		foundMean, _ := meanInterval(found)
		wronglyMean, _ := meanInterval(wrongly)
		lookingMean, _ := meanInterval(looking)
		m["auc_"+s.key] = rounded(mean, 3)
		m["detail_"+s.key] = map[string]any{"auc_ci95": rounded(half, 3), "plain_agreement_auc": rounded(plainMean, 3), "plain_agreement_ci95": rounded(plainHalf, 3),
			"auc_without_real_raters_at_chance": rounded(lookingMean, 3), "real_raters_at_chance": len(c.atChance()),
			"spammers_excluded_share": rounded(foundMean, 3), "real_excluded_share": rounded(wronglyMean, 3), "seeds": len(runs)}
		fmt.Fprintf(os.Stderr, "%-22s AUC %.3f ±%.3f  plain %.3f  excluded: spammers %.2f, real %.3f\n", s.key, mean, half, plainMean, foundMean, wronglyMean)
	}
	taste, err := tasteExcluded()
	if err != nil {
		return nil, err
	}
	for k, v := range taste {
		m[k] = v
	}
	return m, nil
}

// withSpam adds the spammers; it gives who they are.
func (c *crowd) withSpam(seed uint64, constant bool) (*crowd, map[string]bool) {
	r := streamOf(seed)
	items, raters, given := map[string]bool{}, map[string]bool{}, make([]int, c.answers)
	for _, m := range c.marks {
		items[m.Item], raters[m.Rater] = true, true
		given[m.Answer]++
	}
	common := slices.Index(given, slices.Max(given))
	names := sortedKeys(items)
	load := min(len(names), int(math.Round(float64(len(c.marks))/float64(len(raters)))))
	out := &crowd{answers: c.answers, truth: c.truth, marks: slices.Clone(c.marks)}
	spammers := map[string]bool{}
	for k := range int(math.Round(spamShare * float64(len(raters)))) {
		id := fmt.Sprintf("spammer %d", k)
		spammers[id] = true
		for i := range load { // a random choice without repetition
			j := i + below(&r, len(names)-i)
			names[i], names[j] = names[j], names[i]
			answer := common
			if !constant {
				answer = below(&r, c.answers)
			}
			out.marks = append(out.marks, rater.Mark{Item: names[i], Rater: id, Answer: answer})
		}
	}
	return out, spammers
}

// disagreement is one minus the mean share of the others who gave the same answer.
func (c *crowd) disagreement() map[string]float64 {
	votes, same, n := c.votes(), map[string]float64{}, map[string]float64{}
	for _, m := range c.marks {
		others := -1.
		for _, x := range votes[m.Item] {
			others += x
		}
		if others > 0 {
			same[m.Rater] += (votes[m.Item][m.Answer] - 1) / others
			n[m.Rater]++
		}
	}
	for id := range same {
		same[id] = 1 - same[id]/n[id]
	}
	return same
}

// withPlurality is the share of each rater's marks that are the others' commonest
// answer, ties split.
func (c *crowd) withPlurality() map[string]float64 {
	votes, same, n := c.votes(), map[string]float64{}, map[string]float64{}
	for _, m := range c.marks {
		v := slices.Clone(votes[m.Item])
		v[m.Answer]--
		top, ties := slices.Max(v), 0.
		for _, x := range v {
			ties += indicator(x == top)
		}
		same[m.Rater] += indicator(v[m.Answer] == top) / ties
		n[m.Rater]++
	}
	for id := range same {
		same[id] /= n[id]
	}
	return same
}

// atChance are the real raters with 30 marks and more on items of known truth whose
// accuracy is not above that of answering without looking, by two standard errors.
func (c *crowd) atChance() map[string]bool {
	type tally struct{ right, n, expected float64 }
	by, rates := map[string]*tally{}, map[string][]float64{}
	shares := make([]float64, c.answers)
	for _, l := range c.truth {
		shares[l] += 1 / float64(len(c.truth))
	}
	for _, m := range c.marks {
		l, ok := c.truth[m.Item]
		if !ok {
			continue
		}
		if by[m.Rater] == nil {
			by[m.Rater], rates[m.Rater] = &tally{}, make([]float64, c.answers)
		}
		t := by[m.Rater]
		t.n++
		rates[m.Rater][m.Answer]++
		if m.Answer == l {
			t.right++
		}
	}
	out := map[string]bool{}
	for id, t := range by {
		for l, x := range rates[id] {
			t.expected += x / t.n * shares[l]
		}
		if t.n >= 30 && t.right/t.n < t.expected+2*math.Sqrt(t.expected*(1-t.expected)/t.n) {
			out[id] = true
		}
	}
	return out
}

// auc is the chance that one of the wanted scores above one of the others, ties half;
// those of leave do not count.
func auc(score map[string]float64, wanted, leave map[string]bool) float64 {
	above, pairs := 0., 0.
	for a, x := range score {
		if !wanted[a] {
			continue
		}
		for b, y := range score {
			if wanted[b] || leave[b] {
				continue
			}
			pairs++
			switch {
			case x > y:
				above++
			case x == y:
				above += .5
			}
		}
	}
	return above / pairs
}

// tasteExcluded says how many people of dbdc3 would be excluded.
func tasteExcluded() (metrics, error) {
	talks, err := readTalks()
	if err != nil {
		return nil, err
	}
	marks := talks.marks()
	t, err := rater.NewTable(marks, talkAnswers)
	if err != nil {
		return nil, err
	}
	r := rater.Aggregate(t)
	c := &crowd{answers: talkAnswers, marks: marks}
	agreement := 0.
	for _, a := range c.withPlurality() {
		agreement += a / float64(len(r.Raters))
	}
	excluded := 0.
	for _, p := range r.Raters {
		if p.Excluded {
			excluded++
		}
	}
	share := excluded / float64(len(r.Raters))
	return metrics{"dbdc3_people": len(r.Raters), "dbdc3_agreement_with_plurality": rounded(agreement, 3), "dbdc3_excluded_share": rounded(share, 4),
		"dbdc3_excluded_ci95": rounded(1.96*math.Sqrt(share*(1-share)/float64(len(r.Raters))), 4)}, nil
}

// givenSeeds are those of --seeds 1,2,3, or n drawn now.
func givenSeeds(n int) ([]uint64, error) {
	if i := slices.Index(os.Args, "--seeds"); i >= 0 && i+1 < len(os.Args) {
		var out []uint64
		for _, s := range strings.Split(os.Args[i+1], ",") {
			v, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("--seeds: %w", err)
			}
			out = append(out, v)
		}
		return out, nil
	}
	out := make([]uint64, n)
	for i := range out {
		var b [4]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, err
		}
		out[i] = uint64(binary.LittleEndian.Uint32(b[:]))
	}
	return out, nil
}

func streamOf(seed uint64) policy.Stream {
	return policy.NewStream(sha256.Sum256(binary.LittleEndian.AppendUint64(nil, seed)))
}
