package rater

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// crowdOf makes marks of raters named by what they do: look (right in 80 %), sloppy
// (60 %), random, constant, inverse (wrong in 85 %), strict (says one answer lower
// than the truth in half of the cases).
func crowdOf(name string, answers, items int, raters map[string]int) ([]Mark, []int) {
	r := stream(name)
	truth := make([]int, items)
	for i := range truth {
		truth[i] = int(r.Float64() * float64(answers))
	}
	var marks []Mark
	for _, kind := range []string{"look", "sloppy", "random", "constant", "inverse", "strict"} {
		for k := range raters[kind] {
			for i, z := range truth {
				u, other := r.Float64(), (z+1+int(r.Float64()*float64(answers-1)))%answers
				a := z
				switch kind {
				case "look":
					if u > .8 {
						a = other
					}
				case "sloppy":
					if u > .6 {
						a = other
					}
				case "random":
					a = int(u * float64(answers))
				case "constant":
					a = 0
				case "inverse":
					if u < .85 {
						a = other
					}
				case "strict":
					if u < .5 {
						a = max(0, z-1)
					}
				}
				marks = append(marks, Mark{fmt.Sprintf("item %03d", i), fmt.Sprintf("%s %d", kind, k), a})
			}
		}
	}
	return marks, truth
}

func mustTable(t testing.TB, marks []Mark, answers int) *Table {
	t.Helper()
	table, err := NewTable(marks, answers)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestAggregateBeatsThePluralityOfABadCrowd(t *testing.T) {
	t.Parallel()
	marks, truth := crowdOf("bad crowd", 2, 200, map[string]int{"look": 4, "random": 3, "constant": 4})
	r := Aggregate(mustTable(t, marks, 2))
	votes := make([]int, len(truth))
	for k, m := range marks {
		votes[k%len(truth)] += 2*m.Answer - 1
	}
	ours, plurality := 0, 0
	for i, z := range truth {
		if r.Items[i].Best() == z {
			ours++
		}
		if (votes[i] > 0) == (z == 1) {
			plurality++
		}
	}
	// four who are right in 80 % decide at best .90
	if ours < 170 || ours <= plurality+15 {
		t.Errorf("right in %d of 200, the plurality in %d", ours, plurality)
	}
}

func TestAgreementAndAbuseAreTwoMeasures(t *testing.T) {
	t.Parallel()
	marks, _ := crowdOf("two measures", 3, 120, map[string]int{"look": 8, "sloppy": 3, "strict": 3, "random": 2, "constant": 2, "inverse": 2})
	r := Aggregate(mustTable(t, marks, 3))
	want := map[string][2]float64{"look": {.8, 0}, "sloppy": {.6, 0}, "strict": {.67, 0}, "random": {.33, 1}, "constant": {.33, 1}, "inverse": {.15, 1}}
	for _, p := range r.Raters {
		var kind string
		if _, err := fmt.Sscan(p.ID, &kind); err != nil {
			t.Fatal(err)
		}
		w := want[kind]
		if math.Abs(p.Agreement-w[0]) > .12 {
			t.Errorf("%s: agreement %.2f, want about %.2f", p.ID, p.Agreement, w[0])
		}
		if (p.Abuse > .5) != (w[1] == 1) {
			t.Errorf("%s: abuse %.3f with evidence %.1f", p.ID, p.Abuse, p.Evidence)
		}
		if p.Excluded && w[1] == 0 {
			t.Errorf("%s is excluded", p.ID)
		}
		if p.Marks != 120 {
			t.Errorf("%s: %d marks", p.ID, p.Marks)
		}
	}
	if p, ok := r.Of("look 0"); !ok || p.ID != "look 0" {
		t.Errorf("Of gives %+v, %v", p, ok)
	}
	if _, ok := r.Of("nobody"); ok {
		t.Error("somebody unknown is known")
	}
	if _, err := Publish(1, r.Weights()); err != nil {
		t.Error(err)
	}
}

// A rater of one mark has about what the others have on the whole, and is not
// accused of anything.
func TestFewMarksGiveThePrior(t *testing.T) {
	t.Parallel()
	marks, truth := crowdOf("few marks", 2, 100, map[string]int{"look": 10})
	marks = append(marks, Mark{"item 000", "right once", truth[0]}, Mark{"item 000", "wrong once", 1 - truth[0]})
	r := Aggregate(mustTable(t, marks, 2))
	for _, id := range []string{"right once", "wrong once"} {
		p, _ := r.Of(id)
		if p.Agreement < .55 || p.Agreement > .95 || p.Abuse > .35 || p.Excluded {
			t.Errorf("%s: %+v", id, p)
		}
	}
}

func TestOrderOfMarksChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		marks := anyMarks(rt, 3)
		want := Aggregate(mustTable(t, marks, 3))
		got := Aggregate(mustTable(t, rapid.Permutation(marks).Draw(rt, "order"), 3))
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatal(d)
		}
		for _, item := range got.Items {
			if s := sumOf(item.Posterior); math.Abs(s-1) > 1e-9 {
				rt.Fatalf("a posterior sums to %v", s)
			}
		}
		for _, p := range got.Raters {
			if !(p.Agreement >= 0 && p.Agreement <= 1 && p.Abuse >= 0 && p.Abuse <= 1) {
				rt.Fatalf("%+v", p)
			}
		}
	})
}

func anyMarks(rt *rapid.T, answers int) []Mark {
	type pair struct{ item, rater int }
	pairs := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) pair {
		return pair{rapid.IntRange(0, 7).Draw(rt, "item"), rapid.IntRange(0, 5).Draw(rt, "rater")}
	}), 1, 30, rapid.ID[pair]).Draw(rt, "pairs")
	var marks []Mark
	for _, p := range pairs {
		marks = append(marks, Mark{fmt.Sprint("i", p.item), fmt.Sprint("r", p.rater), rapid.IntRange(0, answers-1).Draw(rt, "answer")})
	}
	return marks
}

func TestThinTables(t *testing.T) {
	t.Parallel()
	for name, marks := range map[string][]Mark{
		"one mark":   {{"i", "r", 1}},
		"one rater":  {{"i", "r", 1}, {"j", "r", 0}, {"k", "r", 1}},
		"one item":   {{"i", "a", 1}, {"i", "b", 1}, {"i", "c", 0}},
		"one answer": {{"i", "a", 1}, {"j", "a", 1}, {"i", "b", 1}, {"j", "b", 1}},
	} {
		r := Aggregate(mustTable(t, marks, 2))
		for _, item := range r.Items {
			if s := sumOf(item.Posterior); !(math.Abs(s-1) < 1e-9) {
				t.Errorf("%s: %v", name, item)
			}
		}
		for _, p := range r.Raters {
			if p.Excluded || !(p.Agreement >= 0 && p.Agreement <= 1) || !(p.Abuse > 0 && p.Abuse < .9) {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

func TestTableRefuses(t *testing.T) {
	t.Parallel()
	ok := []Mark{{"i", "r", 1}}
	for name, c := range map[string]struct {
		marks   []Mark
		answers int
	}{
		"no marks": {nil, 2}, "one answer to give": {ok, 1}, "too many": {ok, MaxAnswers + 1},
		"answer too high": {[]Mark{{"i", "r", 2}}, 2}, "answer below 0": {[]Mark{{"i", "r", -1}}, 2},
		"no item": {[]Mark{{"", "r", 0}}, 2}, "no rater": {[]Mark{{"i", "", 0}}, 2}, "twice": {[]Mark{{"i", "r", 0}, {"i", "r", 1}}, 2},
	} {
		if _, err := NewTable(c.marks, c.answers); !errors.Is(err, ErrTable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDigamma(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]float64{1: -.5772156649015329, .5: -1.9635100260214235, 10: 2.251752589066721, .01: -100.56088545786867} {
		if got := digamma(x); math.Abs(got-want) > 1e-9 {
			t.Errorf("digamma(%v) = %v, want %v", x, got, want)
		}
	}
}

// Rows drawn from a known Dirichlet lead back to it.
func TestRefineFindsTheDirichlet(t *testing.T) {
	t.Parallel()
	r := stream("rows")
	rows := make([][]float64, 400)
	for j := range rows { // Dir(2,2): the middle of three uniform numbers
		a, b, c := r.Float64(), r.Float64(), r.Float64()
		p := max(min(a, b), min(max(a, b), c))
		rows[j] = make([]float64, 2)
		for range 60 {
			if r.Float64() < p {
				rows[j][0]++
			} else {
				rows[j][1]++
			}
		}
	}
	alpha := []float64{.5, 1.5}
	for range 300 {
		refine(alpha, func(j int) []float64 { return rows[j] }, func(int) float64 { return 1 }, len(rows), []float64{1, 1})
	}
	for _, a := range alpha {
		if math.Abs(a-2) > .35 {
			t.Errorf("found %v, want about 2 and 2", alpha)
		}
	}
}
