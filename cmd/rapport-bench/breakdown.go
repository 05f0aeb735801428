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

	"rapport/chat/textsignal"
)

// marked is a turn of a machine that many people marked, with the turn that answers it.
type marked struct {
	talk  int
	level float64 // mean mark: 0 fine, ½ perhaps, 1 breakdown
	x     []float64
	mood  float64
	words float64
}

func readMarked() ([]marked, error) {
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
	var out []marked
	for talk := 0; lines.Scan(); talk++ {
		var c struct {
			Turns []struct {
				U string      `json:"u"`
				A [][2]string `json:"a"`
			} `json:"turns"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, err
		}
		for k := 0; k+1 < len(c.Turns); k++ {
			t, next := c.Turns[k], c.Turns[k+1]
			if len(t.A) == 0 || len(next.A) > 0 {
				continue
			}
			m := marked{talk: talk, mood: textsignal.SentimentOf(next.U).Value, words: float64(textsignal.Measure(next.U).Words)}
			for _, a := range t.A {
				m.level += map[string]float64{"O": 0, "T": .5, "X": 1}[a[1]] / float64(len(t.A))
			}
			own := ""
			if k > 0 {
				own = c.Turns[k-1].U
			}
			x := textsignal.TroubleFeatures(own, t.U, next.U)
			m.x = x[:]
			out = append(out, m)
		}
	}
	return out, lines.Err()
}

// breakdownFolds is the number of parts of the talks; each is judged by a fit on the others.
const breakdownFolds = 10

// breakdown asks how well the next turn of a person tells what people think of the
// machine's turn before it.
func breakdown(context.Context) (metrics, error) {
	cases, err := readMarked()
	if err != nil {
		return nil, err
	}
	guess, shipped, truth, mood, words := map[string]float64{}, map[string]float64{}, map[string]float64{}, map[string]float64{}, map[string]float64{}
	squares, spread, mean := 0.0, 0.0, 0.0
	for _, c := range cases {
		mean += c.level / float64(len(cases))
	}
	for fold := range breakdownFolds {
		w := ridge(cases, func(c marked) bool { return c.talk%breakdownFolds != fold })
		for i, c := range cases {
			if c.talk%breakdownFolds != fold {
				continue
			}
			id := fmt.Sprintf("%06d", i)
			guess[id], shipped[id], truth[id], mood[id], words[id] = dot(w, c.x), dot(textsignal.TroubleWeights[:], c.x), c.level, c.mood, c.words
			squares += (guess[id] - c.level) * (guess[id] - c.level)
			spread += (mean - c.level) * (mean - c.level)
		}
	}
	n := float64(len(cases))
	rho := spearman(guess, truth)
	differ := 0.0
	for k, w := range ridge(cases, func(marked) bool { return true }) {
		differ = max(differ, math.Abs(w-textsignal.TroubleWeights[k]))
		fmt.Fprintf(os.Stderr, "%.4f, ", w)
	}
	fmt.Fprintln(os.Stderr)
	// The interval leaves talks out by tens of parts.
	var without []float64
	for part := range 40 {
		g := map[string]float64{}
		for i, c := range cases {
			if c.talk%40 != part {
				id := fmt.Sprintf("%06d", i)
				g[id] = guess[id]
			}
		}
		without = append(without, spearman(g, truth))
	}
	center, _ := meanInterval(without)
	s := 0.0
	for _, v := range without {
		s += (v - center) * (v - center)
	}
	return metrics{"abs_spearman": math.Abs(rho), "abs_spearman_ci95": 1.96 * math.Sqrt(s*39/40), "turns": len(cases), "spearman_sentiment_alone": spearman(mood, truth),
		"spearman_length_alone": spearman(words, truth), "noise_variance": squares / n, "variance_of_marks": spread / n,
		"spearman_shipped_in_sample": spearman(shipped, truth), "shipped_weights_differ": differ}, nil
}

func dot(w, x []float64) float64 {
	v := 0.0
	for k := range w {
		v += w[k] * x[k]
	}
	return v
}

// ridge is least squares with 5 added to the diagonal, but for the first weight.
func ridge(cases []marked, use func(marked) bool) []float64 {
	k := len(cases[0].x)
	a := make([][]float64, k)
	for i := range a {
		a[i] = make([]float64, k+1)
		if i > 0 {
			a[i][i] = 5
		}
	}
	for _, c := range cases {
		if !use(c) {
			continue
		}
		for i := range k {
			for j := range k {
				a[i][j] += c.x[i] * c.x[j]
			}
			a[i][k] += c.x[i] * c.level
		}
	}
	for i := range k { // positive definite: no pivoting
		for r := range k {
			if r == i {
				continue
			}
			f := a[r][i] / a[i][i]
			for j := i; j <= k; j++ {
				a[r][j] -= f * a[i][j]
			}
		}
	}
	w := make([]float64, k)
	for i := range w {
		w[i] = a[i][k] / a[i][i]
	}
	return w
}
