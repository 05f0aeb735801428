package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"rapport/chat/textsignal"
)

// topicTalk is a talk whose turns people marked as changing the topic or not.
type topicTalk struct {
	texts []string
	shift []bool // the first is none
}

func readTopics(part string) ([]topicTalk, error) {
	data, err := os.ReadFile(filepath.Join(dataDir(), "tiage", "anno_"+part+".json"))
	if err != nil {
		return nil, errNoData
	}
	var raw map[string][][2]string
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	var out []topicTalk
	for _, id := range sortedKeys(raw) {
		var t topicTalk
		for _, turn := range raw[id] {
			t.texts, t.shift = append(t.texts, turn[0]), append(t.shift, turn[1] == "1")
		}
		out = append(out, t)
	}
	return out, nil
}

// topicChange judges the detector of topic changes on talks that it was not fitted
// on, beside never and always. Its fit on the other part is repeated and compared
// with the weights in the product.
func topicChange(context.Context) (metrics, error) {
	train, err := readTopics("train")
	if err != nil {
		return nil, err
	}
	dev, err := readTopics("dev")
	if err != nil {
		return nil, err
	}
	w := fitShifts(train)
	differ := 0.0
	for k := range w {
		differ = max(differ, math.Abs(w[k]-textsignal.ShiftWeights[k]))
		fmt.Fprintf(os.Stderr, "%.3f, ", w[k])
	}
	fmt.Fprintln(os.Stderr)
	chances := func(talks []topicTalk) [][]float64 { return shiftChances(talks, textsignal.ShiftWeights[:]) }
	tp := chances(train)
	trainNever := pk(train, called(tp, 2))
	for at := .1; at < .8; at += .02 {
		f1, _, _ := f1Of(train, called(tp, at))
		fmt.Fprintf(os.Stderr, "fit: at %.2f F1 %.3f Pk %.3f (never %.3f)\n", at, f1, pk(train, called(tp, at)), trainNever)
	}
	p := chances(dev)
	yes := called(p, textsignal.ShiftAt)
	f1, precision, recall := f1Of(dev, yes)
	always, _, _ := f1Of(dev, called(p, -1))
	return metrics{"f1": f1, "pk": pk(dev, yes), "precision": precision, "recall": recall, "f1_always": always, "pk_always": pk(dev, called(p, -1)),
		"pk_never": pk(dev, called(p, 2)), "talks": len(dev), "shipped_weights_differ": differ,
		"f1_ci95": overTalks(dev, yes, func(t []topicTalk, y [][]bool) float64 { f, _, _ := f1Of(t, y); return f }),
		"pk_minus_never_ci95": overTalks(dev, yes, func(t []topicTalk, y [][]bool) float64 {
			none := make([][]bool, len(y))
			for i := range y {
				none[i] = make([]bool, len(y[i]))
			}
			return pk(t, y) - pk(t, none)
		})}, nil
}

func fitShifts(talks []topicTalk) []float64 {
	var xs [][][]float64
	var right [][]bool
	for _, t := range talks {
		for i := 1; i < len(t.texts); i++ {
			f := textsignal.ShiftFeatures(t.texts[:i], t.texts[i])
			xs = append(xs, [][]float64{make([]float64, len(f)), f[:]})
			right = append(right, []bool{!t.shift[i], t.shift[i]})
		}
	}
	return fitChoices(xs, right, 2, 300)
}

func shiftChances(talks []topicTalk, w []float64) [][]float64 {
	out := make([][]float64, len(talks))
	for k, t := range talks {
		out[k] = make([]float64, len(t.texts))
		for i := 1; i < len(t.texts); i++ {
			f := textsignal.ShiftFeatures(t.texts[:i], t.texts[i])
			out[k][i] = softmax([][]float64{make([]float64, len(f)), f[:]}, w)[1]
		}
	}
	return out
}

func called(p [][]float64, at float64) [][]bool {
	out := make([][]bool, len(p))
	for k := range p {
		out[k] = make([]bool, len(p[k]))
		for i := 1; i < len(p[k]); i++ {
			out[k][i] = p[k][i] >= at
		}
	}
	return out
}

func f1Of(talks []topicTalk, yes [][]bool) (f1, precision, recall float64) {
	var hit, said, is float64
	for k, t := range talks {
		for i := 1; i < len(t.texts); i++ {
			hit += indicator(t.shift[i] && yes[k][i])
			said += indicator(yes[k][i])
			is += indicator(t.shift[i])
		}
	}
	return 2 * hit / max(1, said+is), hit / max(1, said), hit / max(1, is)
}

// pk is the share of pairs of turns, half a mean segment apart in their talk, of
// which it is told wrongly whether they are in one segment (Beeferman, Berger &
// Lafferty 1999); mean over talks.
func pk(talks []topicTalk, yes [][]bool) float64 {
	sum := 0.0
	for n, t := range talks {
		segments := 1.0
		for _, s := range t.shift {
			segments += indicator(s)
		}
		k := max(1, int(math.Round(float64(len(t.texts))/(2*segments))))
		wrong, pairs := 0.0, 0.0
		for i := 0; i+k < len(t.texts); i++ {
			a, b := false, false
			for j := i + 1; j <= i+k; j++ {
				a, b = a || t.shift[j], b || yes[n][j]
			}
			wrong += indicator(a != b)
			pairs++
		}
		sum += wrong / max(1, pairs)
	}
	return sum / float64(len(talks))
}

// overTalks is half of the 95 % interval of a measure, by the jackknife over talks.
func overTalks(talks []topicTalk, yes [][]bool, of func([]topicTalk, [][]bool) float64) float64 {
	n := len(talks)
	v := make([]float64, n)
	for k := range talks {
		t := append(append([]topicTalk{}, talks[:k]...), talks[k+1:]...)
		v[k] = of(t, append(append([][]bool{}, yes[:k]...), yes[k+1:]...))
	}
	mean, _ := meanInterval(v)
	s := 0.0
	for _, x := range v {
		s += (x - mean) * (x - mean)
	}
	return 1.96 * math.Sqrt(s*float64(n-1)/float64(n))
}
