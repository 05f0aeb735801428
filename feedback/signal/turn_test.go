package signal

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTurn(t *testing.T) {
	t.Parallel()
	var habit Pauses
	for range 40 {
		habit = habit.With(30_000)
	}
	first := Turn{Sure: 1, About: true, First: true, MoodVar: 1, Trouble: .5}
	with := func(change func(*Turn)) Turn { x := first; change(&x); return x }
	for name, c := range map[string]struct {
		turn Turn
		want []string
	}{
		"asks on":                   {with(func(x *Turn) { x.Question, x.Mood, x.MoodVar = true, .5, .07 }), []string{"sentiment/2 0.5 0.07", "follow_up/1 1 0.8", "trouble/1 0 0.103"}},
		"speaks of something else":  {with(func(x *Turn) { x.Question, x.Shift = true, .6 }), []string{"topic_change/1 -1 0.25", "trouble/1 0 0.103"}},
		"it went badly":             {with(func(x *Turn) { x.Trouble = .7 }), []string{"trouble/1 -0.4 0.103"}},
		"unclear to whom":           {with(func(x *Turn) { x.Sure, x.Question, x.Named = .899, true, true }), nil},
		"sure enough to whom":       {with(func(x *Turn) { x.Sure, x.Question = .9, true }), []string{"follow_up/1 1 0.8", "trouble/1 0 0.103"}},
		"no chance":                 {with(func(x *Turn) { x.Sure = math.NaN() }), nil},
		"only the first answer":     {with(func(x *Turn) { x.First, x.Question = false, true }), nil},
		"answers what is unknown":   {with(func(x *Turn) { x.About, x.Question = false, true }), nil},
		"calls by name":             {Turn{Sure: 1, Named: true}, []string{"tag/1 1 0.6"}},
		"by name, when spoken to":   {Turn{Sure: 1, Named: true, About: true, Next: true}, nil},
		"quick":                     {with(func(x *Turn) { x.Milli = 30_000 }), []string{"trouble/1 0 0.103", "reply/1 1 0.022"}},
		"slow for them":             {with(func(x *Turn) { x.Milli = 9_000_000 }), []string{"trouble/1 0 0.103", "reply/1 0.5 0.022", "slow/1 -1 0.9"}},
		"a pause of another clock":  {with(func(x *Turn) { x.Milli = -5 }), []string{"trouble/1 0 0.103"}},
		"trouble that is no number": {with(func(x *Turn) { x.Trouble = 1e9 }), []string{"trouble/1 -1 0.103"}},
	} {
		if diff := cmp.Diff(c.want, words(c.turn.Read(habit, Baseline{}))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	if got := words(with(func(x *Turn) { x.Milli = 9_000_000 }).Read(Pauses{}, Baseline{})); len(got) != 2 {
		t.Errorf("slow, but no habit: %v", got)
	}
}

func words(all []Found) (out []string) {
	for _, f := range all {
		out = append(out, fmt.Sprint(f.Detector, " ", f.Score, " ", f.Noise))
	}
	return out
}

func TestPart(t *testing.T) {
	t.Parallel()
	var habit Pauses
	for range 40 {
		habit = habit.With(30_000)
	}
	for name, c := range map[string]struct {
		part Part
		want string
	}{
		"said nothing to it":     {Part{WithMilli: 900_000, Left: true, Answered: true, Others: 9}, ""},
		"stayed":                 {Part{With: 3, WithMilli: 180_000}, Stayed},
		"went away":              {Part{With: 3, WithMilli: 180_000, Gone: true}, ""},
		"left after":             {Part{With: 1, Gone: true, Left: true}, LeftAfter},
		"ignored":                {Part{With: 1, Answered: true, Others: 2}, Ignored},
		"spoke to it again":      {Part{With: 2, Answered: true, Heard: true, Others: 5}, ""},
		"one word to others":     {Part{With: 1, Answered: true, Others: 1, Stood: 900_000}, ""},
		"abandoned":              {Part{With: 1, Answered: true, Stood: 60_000, Spoken: 2}, Abandoned},
		"not for long":           {Part{With: 1, Answered: true, Stood: 20_000, Spoken: 1}, ""},
		"after a long talk":      {Part{With: 1, Answered: true, Stood: 60_000, Spoken: 3}, ""},
		"a time of nobody knows": {Part{With: 1, Answered: true, Spoken: 1}, ""},
	} {
		got := ""
		for _, f := range c.part.Read(habit) {
			got += f.Detector
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := (Part{With: 1, Answered: true, Stood: 1 << 40}).Read(Pauses{}); len(got) > 0 {
		t.Errorf("gone, but no habit: %v", got)
	}
	if f, ok := RoomEngaged(3, 2); !ok || f.Score != .666667 {
		t.Error(f, ok)
	}
	for _, few := range [][2]int{{2, 2}, {5, 0}} {
		if _, ok := RoomEngaged(few[0], few[1]); ok {
			t.Error(few)
		}
	}
}

// Whatever comes in, what comes out is registered, in range and has noise.
func TestEverySignalIsWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		any := func(name string) float64 { return rapid.Float64().Draw(t, name) }
		unit := func(name string) float64 { return rapid.Float64Range(-1, 1).Draw(t, name) }
		flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
		var habit Pauses
		for range rapid.IntRange(0, 60).Draw(t, "pauses") {
			habit = habit.With(rapid.Int64().Draw(t, "pause"))
		}
		all := Turn{Sure: any("sure"), Named: flag("named"), About: flag("about"), First: flag("first"), Next: flag("next"), Question: flag("question"), Mood: unit("mood"),
			MoodVar: any("variance"), Shift: any("shift"), Trouble: any("trouble"), Milli: rapid.Int64().Draw(t, "milli")}.Read(habit, Baseline{})
		all = append(all, Part{With: rapid.Int().Draw(t, "with"), WithMilli: rapid.Int64().Draw(t, "for"), Gone: flag("gone"), Left: flag("left"), Answered: flag("answered"), Heard: flag("heard"),
			Others: rapid.Int().Draw(t, "others"), Stood: rapid.Int64().Draw(t, "stood"), Spoken: rapid.Int().Draw(t, "spoken")}.Read(habit)...)
		if f, ok := RoomEngaged(rapid.Int().Draw(t, "spoke"), rapid.Int().Draw(t, "took")); ok {
			all = append(all, f)
		}
		seen := map[string]bool{}
		for _, f := range all {
			d, err := Lookup(f.Detector)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Check(f.Score); err != nil {
				t.Fatal(err)
			}
			if !(f.Noise > 0 && f.Noise <= 1) || seen[f.Detector] {
				t.Fatalf("%+v", f)
			}
			seen[f.Detector] = true
		}
		back, ok := ReadPauses(habit.Append(nil))
		if !ok || back != habit {
			t.Fatal("the counts are not those that were written")
		}
	})
	for _, bad := range []string{"\x00", "\x01\x00", "\xff", "\x58\x01", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01"} {
		if _, ok := ReadPauses([]byte(bad)); ok {
			t.Errorf("%q is no count", bad)
		}
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	var p Pauses
	for i := range PausesNeeded {
		if _, known := p.Slow(1 << 40); known {
			t.Fatal("known after", i)
		}
		p = p.With(10_000)
	}
	for milli, want := range map[int64]bool{-5: false, 9_000: false, 10_000: false, 100_000: true, 1 << 62: true} {
		if slow, known := p.Slow(milli); slow != want || !known {
			t.Errorf("%d: %v %v", milli, slow, known)
		}
	}
	if q := p.Quantile(.95); q < 10_000 || q > 13_000 || (Pauses{}).Quantile(.5) != 0 {
		t.Error("quantile", q)
	}
	// Of pauses from one habit in any order no more than the promised share is slow.
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(1, 1<<36), PausesNeeded+1, 120).Draw(t, "pauses")
		flagged := 0
		for i := range values { // each against all the others
			var rest Pauses
			for j, v := range values {
				if j != i {
					rest = rest.With(v)
				}
			}
			if slow, _ := rest.Slow(values[i]); slow {
				flagged++
			}
		}
		if float64(flagged) > .04*float64(len(values)) {
			t.Fatalf("%d of %d", flagged, len(values))
		}
	})
}

func TestEmoji(t *testing.T) {
	t.Parallel()
	e := Emoji{Owner: map[string]float64{"💀": 1, "👍": 0, "🧀": 7}, Platform: PlatformOf("Slack-acme")}
	for emoji, want := range map[string]float64{"💀": 1, "👍🏽": 0, "👎": -1, "🙌🏽": 1, "❤️": 1, "🧀": 0, "😂": 0, "unknown": 0, "": 0} {
		f, ok := Reacted(emoji, e)
		if ok != (want != 0) || ok && f.Score != want {
			t.Errorf("%q: %v %v, want %v", emoji, f, ok, want)
		}
	}
	for source, name := range map[string]string{"slack": "slack", "telegram:7": "telegram", "slackers": "", "": ""} {
		if diff := cmp.Diff(Platforms[name], PlatformOf(source)); diff != "" {
			t.Errorf("%q:\n%s", source, diff)
		}
	}
}

func TestEveryDetectorIsWhole(t *testing.T) {
	t.Parallel()
	last := ""
	for _, d := range Detectors() {
		if d.ID <= last || d.Says == "" || d.Reads == "" || d.Min > d.Max || !(d.Noise > 0 && d.Noise <= 1) {
			t.Errorf("%+v", d)
		}
		last = d.ID
	}
}

var update = flag.Bool("update", false, "rewrite docs/signals.md")

// TestPage holds docs/signals.md to the registry.
func TestPage(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Signals that nobody has to give\n\nPrinted from `feedback/signal` by `go test ./feedback/signal -update`. A signal of another name or outside its range is not stored.\n" +
		"*Noise* is the variance of what is not meant by the score, on the score's scale, before anything is learned: measured on real data\n([results](learning-results.md#signals)) or, where no data say, a cautious guess. What a signal tells of satisfaction is learned, never assumed.\n\n" +
		"| signal | range | noise | | read from | says |\n|---|---|---|---|---|---|\n")
	for _, d := range Detectors() {
		span, measured := fmt.Sprintf("%g … %g", d.Min, d.Max), "guess"
		if d.Min == d.Max {
			span = fmt.Sprintf("%g", d.Min)
		}
		if d.Measured {
			measured = "measured"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %g | %s | %s | %s |\n", d.ID, span, d.Noise, measured, d.Reads, d.Says)
	}
	path := filepath.Join("..", "..", "docs", "signals.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != b.String() {
		t.Errorf("docs/signals.md is stale (%v); go test ./feedback/signal -update:\n%s", err, cmp.Diff(string(have), b.String()))
	}
}
