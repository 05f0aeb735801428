package rater

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// people answer 0, 1 or 2 by how good an item is and how strict each is; half of them
// (odd numbers) also mind something that the others like.
func people(name string, n, items int) []Mark {
	r := stream(name)
	good, special := make([]float64, items), make([]float64, items)
	for i := range good {
		good[i], special[i] = r.Normal(), r.Normal()
	}
	var marks []Mark
	for p := range n {
		strict, side := .8*r.Normal(), float64(2*(p%2)-1)
		for i := range items {
			x := good[i] - strict + side*special[i] + .5*r.Normal()
			a := 1
			if x < -.5 {
				a = 0
			} else if x > .5 {
				a = 2
			}
			marks = append(marks, Mark{fmt.Sprintf("item %03d", i), fmt.Sprintf("person %02d", p), a})
		}
	}
	return marks
}

func lossOf(p []float64, answer int) float64 { return -math.Log(p[answer]) }

// Persons that the population was not fitted to, predicted on the last 40 items from
// marks on the first.
func TestTasteLearnsAPerson(t *testing.T) {
	t.Parallel()
	all := people("tastes", 40, 80)
	var known []Mark
	byPerson := map[string][]Mark{}
	for _, m := range all {
		byPerson[m.Rater] = append(byPerson[m.Rater], m)
		if m.Rater < "person 30" {
			known = append(known, m)
		}
	}
	tastes := FitTastes(mustTable(t, known, 3))
	table := mustTable(t, all, 3)
	loss := map[int]float64{}
	for p := 30; p < 40; p++ {
		marks := byPerson[fmt.Sprintf("person %02d", p)]
		for _, k := range []int{0, 5, 40} {
			taste, err := tastes.Of(table, marks[0].Rater, marks[:k])
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range marks[40:] {
				prediction := taste.Predict(m.Item)
				if s := sumOf(prediction); math.Abs(s-1) > 1e-9 {
					t.Fatalf("a prediction sums to %v", s)
				}
				loss[k] += lossOf(prediction, m.Answer) / 400
			}
		}
	}
	if !(loss[5] < loss[0]-.05 && loss[40] < loss[5]-.1) {
		t.Errorf("loss by own marks: %v", loss)
	}
}

// What the table holds of the person beyond own changes nothing.
func TestTasteDoesNotSeeLaterMarks(t *testing.T) {
	t.Parallel()
	all := people("unseen", 12, 30)
	tastes := FitTastes(mustTable(t, all, 3))
	own := all[:10] // of person 00
	changed := append([]Mark(nil), all...)
	for i := 10; i < 30; i++ {
		changed[i].Answer = 2 - changed[i].Answer
	}
	without := append(append([]Mark(nil), all[:10]...), all[30:]...)
	var want [][]float64
	for n, marks := range [][]Mark{all, changed, without, all[30:]} {
		taste, err := tastes.Of(mustTable(t, marks, 3), "person 00", own)
		if err != nil {
			t.Fatal(err)
		}
		var got [][]float64
		for _, m := range all[10:30] {
			got = append(got, taste.Predict(m.Item))
		}
		if n == 0 {
			want = got
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("table %d: %s", n, d)
		}
	}
}

func TestTasteOfAStrangerIsThePopulations(t *testing.T) {
	t.Parallel()
	table := mustTable(t, people("strangers", 12, 30), 3)
	tastes := FitTastes(table)
	var want []float64
	for _, id := range []string{"never seen", "nor this one"} {
		taste, err := tastes.Of(table, id, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := taste.Predict("item 003")
		if want != nil {
			if d := cmp.Diff(want, p); d != "" {
				t.Error(d)
			}
		}
		want = p
		if taste.Predict("no such item") != nil {
			t.Error("an item that nobody marked is predicted")
		}
	}
}

func TestTasteOrderChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		answers := rapid.IntRange(2, 5).Draw(rt, "answers")
		marks := anyMarks(rt, answers)
		table := mustTable(t, marks, answers)
		var own []Mark
		for _, m := range marks {
			if m.Rater == marks[0].Rater {
				own = append(own, m)
			}
		}
		a, err := FitTastes(table).Of(table, marks[0].Rater, own)
		if err != nil {
			rt.Fatal(err)
		}
		again := mustTable(t, rapid.Permutation(marks).Draw(rt, "order"), answers)
		b, err := FitTastes(again).Of(again, marks[0].Rater, rapid.Permutation(own).Draw(rt, "own"))
		if err != nil {
			rt.Fatal(err)
		}
		for _, m := range marks {
			p := a.Predict(m.Item)
			if d := cmp.Diff(p, b.Predict(m.Item)); d != "" {
				rt.Fatal(d)
			}
			if s := sumOf(p); !(math.Abs(s-1) < 1e-9) {
				rt.Fatalf("a prediction sums to %v", s)
			}
		}
	})
}

func TestTasteRefuses(t *testing.T) {
	t.Parallel()
	table := mustTable(t, people("refusals", 4, 6), 3)
	tastes := FitTastes(table)
	for name, own := range map[string][]Mark{
		"unknown item": {{"no such item", "person 00", 1}}, "no such answer": {{"item 000", "person 00", 3}},
		"below 0": {{"item 000", "person 00", -1}}, "twice": {{"item 000", "person 00", 1}, {"item 000", "person 00", 1}},
		"another's": {{"item 000", "person 01", 1}},
	} {
		if _, err := tastes.Of(table, "person 00", own); !errors.Is(err, ErrTaste) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tastes.Of(mustTable(t, []Mark{{"i", "r", 1}}, 2), "r", nil); !errors.Is(err, ErrTaste) {
		t.Errorf("another number of answers: %v", err)
	}
}

// One person alone, and one answer only, still give probabilities.
func TestTasteOfThinTables(t *testing.T) {
	t.Parallel()
	for name, marks := range map[string][]Mark{"one mark": {{"i", "r", 1}}, "one answer": {{"i", "a", 2}, {"j", "a", 2}, {"i", "b", 2}, {"j", "b", 2}}} {
		table := mustTable(t, marks, 3)
		taste, err := FitTastes(table).Of(table, marks[0].Rater, marks[:1])
		if err != nil {
			t.Fatal(err)
		}
		if p := taste.Predict("i"); !(math.Abs(sumOf(p)-1) < 1e-9) {
			t.Errorf("%s: %v", name, p)
		}
	}
}

// The inverse of a matrix times it is one.
func TestInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(rt, "n")
		b, a := grid(n, n), grid(n, n)
		for i := range n {
			for j := range n {
				b[i][j] = rapid.Float64Range(-1, 1).Draw(rt, "b")
			}
		}
		for i := range n {
			a[i][i] = .5
			for j := range n {
				for k := range n {
					a[i][j] += b[i][k] * b[j][k]
				}
			}
		}
		v := inverse(a)
		for i := range n {
			for j := range n {
				x := 0.
				for k := range n {
					x += a[i][k] * v[k][j]
				}
				if i == j {
					x--
				}
				if math.Abs(x) > 1e-9 {
					rt.Fatalf("row %d, column %d is off by %v", i, j, x)
				}
			}
		}
	})
}
