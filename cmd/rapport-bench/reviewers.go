package main

import (
	"context"
	"fmt"
	"os"

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
		m[name] = map[string]any{"majority": percent(am), "dawid_skene": percent(bm), "ours": percent(om), "ours_ci95": percent(half),
			"ours_minus_dawid_skene": percent(gm), "ours_minus_dawid_skene_ci95": percent(gHalf),
			"items": len(c.truth), "full_pooling": r.Pooled, "heldout_weak": r.WeakLoss, "heldout_full": r.FullLoss}
		fmt.Fprintf(os.Stderr, "%-22s majority %6.2f  Dawid-Skene %6.2f  ours %6.2f ±%.2f\n", name, 100*am, 100*bm, 100*om, 100*half)
	}
	m["wins"], m["sets"] = wins, len(crowdSets)
	return m, nil
}

// percent rounds to a hundredth of a percent.
func percent(v float64) float64 { return rounded(100*v, 2) }
