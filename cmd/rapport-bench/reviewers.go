package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"

	"rapport/learning/rater"
)

// reviewersBench asks what is true of items that many people answered about: the
// plurality, Dawid–Skene, ours. Truths are used to count, never to fit.
func reviewersBench(ctx context.Context) (metrics, error) {
	m, wins := metrics{}, 0
	for _, name := range crowdSets {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := readCrowd(name)
		if err != nil {
			return nil, err
		}
		t, err := rater.NewTable(c.marks, c.answers)
		if err != nil {
			return nil, err
		}
		r := rater.Aggregate(t)
		posterior := map[string][]float64{}
		for _, item := range r.Items {
			posterior[item.ID] = item.Posterior
		}
		majority, ds, ours := c.right(c.votes()), c.right(c.dawidSkene()), c.right(posterior)
		var a, b, o, gain []float64
		for _, item := range sortedKeys(c.truth) {
			a, b, o = append(a, majority[item]), append(b, ds[item]), append(o, ours[item])
			gain = append(gain, ours[item]-ds[item])
		}
		am, _ := meanInterval(a)
		bm, _ := meanInterval(b)
		om, half := meanInterval(o)
		gm, gHalf := meanInterval(gain)
		if om >= max(am, bm)-1e-9 {
			wins++
		}
		accuracy, plain, agreement := c.accuracies(), c.disagreement(), map[string]float64{}
		for id := range plain {
			plain[id] = 1 - plain[id]
		}
		for _, p := range r.Raters {
			agreement[p.ID] = p.Agreement
		}
		m[name] = map[string]any{"spearman_agreement": rounded(spearman(agreement, accuracy), 3), "spearman_plain": rounded(spearman(plain, accuracy), 3),
			"majority": percent(am), "dawid_skene": percent(bm), "ours": percent(om), "ours_ci95": percent(half),
			"ours_minus_dawid_skene": percent(gm), "ours_minus_dawid_skene_ci95": percent(gHalf),
			"items": len(c.truth), "full_pooling": r.Pooled, "heldout_weak": r.WeakLoss, "heldout_full": r.FullLoss}
		fmt.Fprintf(os.Stderr, "%-22s majority %6.2f  Dawid-Skene %6.2f  ours %6.2f ±%.2f\n", name, 100*am, 100*bm, 100*om, 100*half)
	}
	m["wins"], m["sets"] = wins, len(crowdSets)
	return m, nil
}

// percent rounds to a hundredth of a percent.
func percent(v float64) float64 { return rounded(100*v, 2) }

// accuracies are the shares of right answers of each rater, on items of known truth.
func (c *crowd) accuracies() map[string]float64 {
	right, n := map[string]float64{}, map[string]float64{}
	for _, m := range c.marks {
		if truth, ok := c.truth[m.Item]; ok {
			right[m.Rater] += indicator(m.Answer == truth)
			n[m.Rater]++
		}
	}
	for id := range right {
		right[id] /= n[id]
	}
	return right
}

// spearman is the rank correlation over what both know, ties at their mean rank.
func spearman(a, b map[string]float64) float64 {
	var x, y []float64
	for _, id := range sortedKeys(a) {
		if v, ok := b[id]; ok {
			x, y = append(x, a[id]), append(y, v)
		}
	}
	x, y = ranks(x), ranks(y)
	mx, _ := meanInterval(x)
	my, _ := meanInterval(y)
	var xy, xx, yy float64
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
		yy += (y[i] - my) * (y[i] - my)
	}
	return xy / math.Sqrt(xx*yy)
}

func ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
	out := make([]float64, len(v))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && v[order[j]] == v[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			out[k] = float64(i+j-1) / 2
		}
		i = j
	}
	return out
}
