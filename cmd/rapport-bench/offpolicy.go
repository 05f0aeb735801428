package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"rapport/learning/evaluate"
)

// impression is a row of the Open Bandit data: which item was shown at which
// position, whether it was clicked, and how likely the policy was to show it.
type impression struct {
	item, position int
	click          float64
	propensity     float64
}

// offPolicy computes every estimator for each target policy of the reference file
// and compares with the value there. q̂ and the policies are as the file defines
// them: q̂ = (clicks of the item + 20·mean)/(shows + 20) within the log,
// π(item, position) uniform, as often as the other log showed it at that
// position, or always the item that the other log showed most.
func offPolicy(context.Context) (metrics, error) {
	dir := filepath.Join(dataDir(), "obd")
	logs := map[string][]impression{}
	for _, name := range []string{"random", "bts"} {
		rows, err := readImpressions(filepath.Join(dir, name, "men", "men.csv.gz"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errNoData
		} else if err != nil {
			return nil, err
		}
		logs[name] = rows
	}
	references, err := os.Open(filepath.Join(dir, "oracle_values_men.txt"))
	if err != nil {
		return nil, err
	}
	defer references.Close()
	head := regexp.MustCompile(`^men (random|bts) -> (uniform|empirical freq|always item (\d+)).*? (IPW=.*)$`)
	var worst, relative float64
	policies, values := 0, 0
	lines := bufio.NewScanner(references)
	for lines.Scan() {
		m := head.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		policies++
		other := map[string]string{"random": "bts", "bts": "random"}[m[1]]
		got, err := judge(logs[m[1]], targetPolicy(m[2], m[3], logs[other]))
		if err != nil {
			return nil, err
		}
		for part := range strings.FieldsSeq(m[4]) {
			name, text, _ := strings.Cut(part, "=")
			want, err := strconv.ParseFloat(text, 64)
			v, known := got[name]
			if err != nil || !known {
				return nil, fmt.Errorf("%s: cannot read %q", references.Name(), part)
			}
			values++
			if want > 1.5 { // sizes and weights: ten digits are given
				relative = max(relative, math.Abs(v-want)/want)
				continue
			}
			worst = max(worst, math.Abs(v-want))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if policies == 0 {
		return nil, fmt.Errorf("%s names no policy", references.Name())
	}
	return metrics{"max_abs_error": worst, "max_relative_error_of_sizes": relative, "policies": float64(policies), "values": float64(values)}, nil
}

// targetPolicy gives π(item, position).
func targetPolicy(kind, item string, other []impression) func(item, position int) float64 {
	if kind == "uniform" {
		return func(int, int) float64 { return 1. / items }
	}
	if only, err := strconv.Atoi(item); err == nil {
		return func(i, _ int) float64 {
			if i == only {
				return 1
			}
			return 0
		}
	}
	shown, all := map[[2]int]float64{}, map[int]float64{}
	for _, x := range other {
		shown[[2]int{x.item, x.position}]++
		all[x.position]++
	}
	return func(i, p int) float64 { return shown[[2]int{i, p}] / all[p] }
}

// items is how many there are to show.
const items = 34

// judge gives every value by the name it has in the reference file.
func judge(log []impression, pi func(item, position int) float64) (map[string]float64, error) {
	var clicks, shows [items]float64
	var mean float64
	for _, x := range log {
		clicks[x.item] += x.click
		shows[x.item]++
		mean += x.click / float64(len(log))
	}
	var q [items]float64
	for i := range q {
		q[i] = (clicks[i] + 20*mean) / (shows[i] + 20)
	}
	rows := make([]evaluate.Observation, len(log))
	for i, x := range log {
		v := 0.
		for item := range items {
			v += pi(item, x.position) * q[item]
		}
		rows[i] = evaluate.Observation{Reward: x.click, Logged: math.Log(x.propensity), Target: math.Log(pi(x.item, x.position)), Q: q[x.item], V: v}
	}
	r, err := evaluate.Evaluate(rows, evaluate.Options{Clip: 10})
	return map[string]float64{"IPW": r.IPS.Value, "SNIPW": r.SNIPS.Value, "DM": r.DM.Value, "DR": r.DR.Value, "SNDR": r.SNDR.Value, "IPWclip10": r.Clipped.Value,
		"SEipw": r.IPS.SE, "ESS": r.ESS, "maxw": r.MaxWeight, "meanw": r.MeanWeight}, err
}

func readImpressions(path string) ([]impression, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	all, err := csv.NewReader(z).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	place := map[string]int{}
	for i, name := range all[0] {
		place[name] = i
	}
	out := make([]impression, 0, len(all)-1)
	for n, row := range all[1:] {
		number := func(name string) (v float64) {
			i, ok := place[name]
			if !ok {
				err = errors.Join(err, fmt.Errorf("no column %s", name))
				return 0
			}
			v, e := strconv.ParseFloat(row[i], 64)
			err = errors.Join(err, e)
			return v
		}
		x := impression{int(number("item_id")), int(number("position")), number("click"), number("propensity_score")}
		if err != nil || x.item < 0 || x.item >= items || !(x.propensity > 0 && x.propensity <= 1) {
			return nil, fmt.Errorf("%s, row %d cannot be read (%v)", path, n+1, err)
		}
		out = append(out, x)
	}
	return out, nil
}
