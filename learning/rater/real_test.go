package rater

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// 108 pictures, 39 people, known truths; and eight who always give the commonest
// answer. The benches look at the other sets.
func TestRealCrowd(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir = filepath.Join(dir, "truth_inference", "d_Duck_Identification")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no data: put the files under $RAPPORT_DATA or ../shared/data")
	}
	read := func(name string) [][]string {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows[1:]
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	var marks []Mark
	items := map[string]bool{}
	for _, r := range read("label.csv") {
		marks = append(marks, Mark{r[0], r[1], number(r[2])})
		items[r[0]] = true
	}
	truth := map[string]int{}
	for _, r := range read("truth.csv") {
		truth[r[0]] = number(r[1])
	}
	right := 0
	for _, item := range Aggregate(mustTable(t, marks, 2)).Items {
		if truth[item.ID] == item.Best() {
			right++
		}
	}
	if right < 97 { // Dawid-Skene; the plurality has 82
		t.Errorf("right on %d of %d", right, len(items))
	}
	for k := range 8 {
		for item := range items {
			marks = append(marks, Mark{item, "constant " + strconv.Itoa(k), 0})
		}
	}
	r := Aggregate(mustTable(t, marks, 2))
	above, pairs := 0, 0
	for _, p := range r.Raters {
		if len(p.ID) < 8 {
			continue
		}
		for _, q := range r.Raters {
			if len(q.ID) < 8 {
				pairs++
				if p.Evidence > q.Evidence {
					above++
				}
			}
		}
	}
	if float64(above) < .8*float64(pairs) {
		t.Errorf("constant answers are above real people in %d of %d pairs", above, pairs)
	}
}
