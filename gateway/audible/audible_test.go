package audible

import (
	"math"
	"strings"
	"testing"

	"rapport/policy"
)

// replies makes one reply per prompt and step.
func replies(prompts int, steps []float64, say func(p int, x float64) string) [][]string {
	out := make([][]string, prompts)
	for p := range out {
		for _, x := range steps {
			out[p] = append(out[p], say(p, x))
		}
	}
	return out
}

func TestCurves(t *testing.T) {
	t.Parallel()
	words := func(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) + "." }
	noise := func(p int, x float64) int { return (p*7 + int(100*x)*13) % 11 }
	for _, c := range []struct {
		name     string
		prompts  int
		steps    []float64
		say      func(p int, x float64) string
		heard    string
		monotone bool
	}{
		{"shorter and shorter", EnoughPrompts, Steps(5), func(p int, x float64) string { return words(60 + noise(p, x) - int(50*x)) }, Heard, true},
		{"longer and longer", EnoughPrompts, Steps(5), func(p int, x float64) string { return words(10 + noise(p, x) + int(50*x)) }, Reversed, true},
		{"deaf", EnoughPrompts, Steps(5), func(p int, x float64) string { return words(30 + noise(p, x)) }, Unheard, false},
		{"all the same", EnoughPrompts, Steps(3), func(int, float64) string { return words(30) }, Unheard, true},
		{"too few to be deaf", EnoughPrompts - 1, Steps(5), func(p int, x float64) string { return words(30 + noise(p, x)) }, Unsure, false},
		{"one prompt", 1, Steps(5), func(p int, x float64) string { return words(60 - int(50*x)) }, Unsure, true},
		{"says nothing", EnoughPrompts, Steps(3), func(int, float64) string { return "" }, Unheard, true},
		{"up and down", EnoughPrompts, Steps(5), func(p int, x float64) string {
			return words(80 - int(60*x) + map[bool]int{true: 25}[x == .7] + noise(p, 0))
		}, Heard, false},
	} {
		got := Fit(policy.Brevity, c.steps, replies(c.prompts, c.steps, c.say))
		if got.Heard != c.heard || (c.heard == Heard || c.heard == Reversed) && got.Monotone != c.monotone {
			t.Errorf("%s: %+v, want %s, monotone %v", c.name, got, c.heard, c.monotone)
		}
		if !(got.Lo <= got.Slope && got.Slope <= got.Hi) || math.IsNaN(got.Slope) {
			t.Errorf("%s: slope %v in [%v,%v]", c.name, got.Slope, got.Lo, got.Hi)
		}
	}
}

// With ln(1+words) falling by a known amount the slope is that amount.
func TestTheSlopeIsExact(t *testing.T) {
	t.Parallel()
	steps := []float64{0, 1}
	got := Fit(policy.Brevity, steps, replies(4, steps, func(_ int, x float64) string {
		if x == 1 {
			return strings.Repeat("a ", 9)
		}
		return strings.Repeat("a ", 99)
	}))
	if want := math.Log(10); math.Abs(got.Slope-want) > 1e-3 || got.Heard != Heard {
		t.Errorf("%+v, want a slope of %v", got, want)
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	if s := Steps(5); s[0] != .1 || s[2] != .5 || s[4] != .9 {
		t.Error(s)
	}
	if x := Levels(policy.Humor, .9); x[policy.Humor] != .9 || x[policy.Brevity] != .5 {
		t.Error(x)
	}
	for df := 1; df < 200; df++ {
		if student(df) < student(df+1) || student(df) < 1.96 {
			t.Fatal(df, student(df))
		}
	}
}
