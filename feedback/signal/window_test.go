package signal

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const minute = int64(60_000_000)

// room builds happenings a minute apart, ids m1, m2, …
func room(seen ...Seen) []Seen {
	for i := range seen {
		seen[i].ID, seen[i].Sequence, seen[i].At = fmt.Sprint("m", i+1), int64(i+1), int64(i+1)*minute
		seen[i].Consent = true
		if seen[i].Kind == 0 {
			seen[i].Kind = Spoke
		}
		if seen[i].Kind == Spoke && seen[i].MoodVar == 0 {
			seen[i].MoodVar = 1 // unknown
		}
	}
	return seen
}

func TestRead(t *testing.T) {
	t.Parallel()
	habit := Pauses{}
	for range 40 {
		habit = habit.With(30_000)
	}
	pauses := map[string]Pauses{"regular": habit}
	ask := Seen{Person: "ann", To: "luna", Sure: 1}
	for name, c := range map[string]struct {
		window []Seen
		want   []string // detector agent person message score; trouble left out
	}{
		"asks on": {room(Seen{Agent: "luna"}, Seen{Person: "ann", On: "m1", Question: true, Mood: .5, MoodVar: .07}),
			[]string{"follow_up/1 luna ann m1 1", "sentiment/2 luna ann m1 0.5"}},
		"speaks of something else": {room(Seen{Agent: "luna"}, Seen{Person: "ann", On: "m1", Question: true, Shift: .6}), []string{"topic_change/1 luna ann m1 -1"}},
		"two agents, the one that is answered": {room(Seen{Agent: "luna"}, Seen{Agent: "mark", On: "m1"}, Seen{Person: "ann", On: "m1", Question: true}),
			[]string{"follow_up/1 luna ann m1 1"}},
		"answers a person":        {room(Seen{Agent: "luna"}, Seen{Person: "bob"}, Seen{Person: "ann", On: "m2", To: "luna", Sure: 1, Question: true}), nil},
		"unclear to whom":         {room(Seen{Agent: "luna"}, Seen{Person: "ann", To: "luna", Sure: .8, Question: true}), nil},
		"sure enough to whom":     {room(Seen{Agent: "luna"}, Seen{Person: "ann", To: "luna", Sure: .95, Question: true}), []string{"follow_up/1 luna ann m1 1"}},
		"only the first answer":   {room(Seen{Agent: "luna"}, Seen{Person: "ann", On: "m1"}, Seen{Person: "ann", On: "m1", Question: true}), nil},
		"answers what is unknown": {room(Seen{Person: "ann", On: "m0", To: "luna", Sure: 1, Question: true}), nil},
		"calls by name":           {room(Seen{Person: "ann", To: "luna", Sure: 1, Named: true}), []string{"tag/1 luna ann m1 1"}},
		"slow for them":           {room(Seen{Agent: "luna"}, Seen{Person: "bob"}, Seen{Person: "bob"}, Seen{Person: "regular", On: "m1"}), []string{"slow/1 luna regular m1 -1"}},
		"slow, but no habit":      {room(Seen{Agent: "luna"}, Seen{Person: "bob"}, Seen{Person: "bob"}, Seen{Person: "ann", On: "m1"}), nil},
		"reactions": {room(Seen{Agent: "luna"}, Seen{Kind: Reacted, Person: "ann", On: "m1", Emoji: "👍🏽"}, Seen{Kind: Reacted, Person: "bob", On: "m1", Emoji: "💀"},
			Seen{Kind: Reacted, Person: "eve", On: "m1", Emoji: "+1"}), []string{"reaction/1 luna ann m1 1", "reaction/1 luna eve m1 1"}},
		"left after":                {room(ask, Seen{Agent: "luna", On: "m1"}, Seen{Kind: Left, Person: "ann"}), []string{"left_after/1 luna ann m2 -0.4"}},
		"left, having said nothing": {room(Seen{Agent: "luna"}, Seen{Kind: Left, Person: "ann"}), nil},
		"left after a person":       {room(ask, Seen{Agent: "luna", On: "m1"}, Seen{Person: "bob"}, Seen{Kind: Left, Person: "ann"}), nil},
		"brought back":              {room(Seen{Kind: Invited, Person: "ann", Agent: "luna"}, Seen{Kind: Removed, Agent: "luna"}, Seen{Kind: Invited, Person: "bob", Agent: "luna"}), []string{"invited_again/1 luna bob m3 1"}},
		"ignored":                   {room(ask, Seen{Agent: "luna", On: "m1"}, Seen{Person: "ann"}, Seen{Person: "ann"}, Seen{Kind: Ended, Agent: "luna"}), []string{"ignored/1 luna ann m2 -1"}},
		"answered late":             {room(ask, Seen{Agent: "luna", On: "m1"}, Seen{Person: "ann"}, Seen{Person: "ann"}, Seen{Person: "ann", On: "m2"}, Seen{Kind: Ended, Agent: "luna"}), []string{"stayed/1 luna ann m5 1"}},
		"abandoned":                 {room(Seen{Person: "regular", To: "luna", Sure: 1}, Seen{Agent: "luna", On: "m1"}, Seen{Person: "bob"}, Seen{Kind: Ended, Agent: "luna"}), []string{"abandoned/1 luna regular m2 -1"}},
		"gone, but no habit":        {room(ask, Seen{Agent: "luna", On: "m1"}, Seen{Person: "bob"}, Seen{Kind: Ended, Agent: "luna"}), nil},
		"most of the room": {room(ask, Seen{Person: "bob", To: "luna", Sure: 1}, Seen{Person: "eve"}, Seen{Agent: "luna", On: "m3"}, Seen{Kind: Ended, Agent: "luna"}),
			[]string{"engaged_room/1 luna  m5 0.666667"}},
	} {
		var got []string
		for _, f := range Read(c.window, pauses, Emoji{Platform: Platforms["slack"]}) {
			if f.Detector != Trouble {
				got = append(got, fmt.Sprint(f.Detector, " ", f.Agent, " ", f.Person, " ", f.Message, " ", f.Score))
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func happenings(t *rapid.T) []Seen {
	people, agents := []string{"ann", "bob", "eve", "zoe"}, []string{"luna", "mark"}
	w := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Seen {
		s := Seen{Kind: Kind(rapid.IntRange(1, 6).Draw(t, "kind")), At: rapid.Int64Range(0, 2000).Draw(t, "at") * minute, Sequence: rapid.Int64Range(1, 40).Draw(t, "sequence"),
			ID: fmt.Sprint("m", rapid.IntRange(1, 60).Draw(t, "id")), Consent: rapid.IntRange(0, 4).Draw(t, "consent") > 0, Protected: rapid.IntRange(0, 9).Draw(t, "protected") == 0,
			Question: rapid.Bool().Draw(t, "question"), Named: rapid.Bool().Draw(t, "named"), Sure: rapid.Float64Range(0, 1).Draw(t, "sure"), Mood: rapid.Float64Range(-1, 1).Draw(t, "mood"),
			MoodVar: rapid.Float64Range(.05, 1).Draw(t, "moodvar"), Shift: rapid.Float64Range(0, 1).Draw(t, "shift"), Trouble: rapid.Float64Range(0, 1).Draw(t, "trouble"),
			Emoji: rapid.SampledFrom([]string{"👍", "👎", "💀", "", "x"}).Draw(t, "emoji")}
		if rapid.Bool().Draw(t, "answers") {
			s.On = fmt.Sprint("m", rapid.IntRange(1, 60).Draw(t, "on"))
		}
		agent := rapid.SampledFrom(agents).Draw(t, "agent")
		byAgent := rapid.Bool().Draw(t, "by agent")
		switch {
		case s.Kind == Ended || s.Kind == Removed || s.Kind == Spoke && byAgent:
			s.Agent = agent
		case s.Kind == Invited:
			s.Agent, s.Person = agent, rapid.SampledFrom(people).Draw(t, "person")
		default:
			s.Person, s.To = rapid.SampledFrom(people).Draw(t, "person"), agent
		}
		s.Consent = s.Consent && s.Person != "zoe" // never
		return s
	}), 0, 40).Draw(t, "window")
	return w
}

func TestReadIsAFunctionOfWhatHappened(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := happenings(t)
		habit := Pauses{}
		for range 40 {
			habit = habit.With(rapid.Int64Range(0, 1<<40).Draw(t, "pause"))
		}
		pauses := map[string]Pauses{"ann": habit, "zoe": habit}
		once := Read(w, pauses, Emoji{})
		again := append([]Seen{}, w...)
		for range rapid.IntRange(0, 10).Draw(t, "copies") {
			if len(w) > 0 {
				again = append(again, w[rapid.IntRange(0, len(w)-1).Draw(t, "copy")])
			}
		}
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "shuffle"))).Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if diff := cmp.Diff(once, Read(again, pauses, Emoji{})); diff != "" {
			t.Fatalf("replayed, reordered, doubled:\n%s", diff)
		}
		for _, f := range once {
			d, err := Lookup(f.Detector)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Check(f.Score); err != nil {
				t.Fatal(err)
			}
			if !(f.Noise > 0 && f.Noise <= 1) {
				t.Fatalf("%+v", f)
			}
			if f.Person == "zoe" {
				t.Fatalf("a signal without consent: %+v", f)
			}
			if f.Agent == "" || f.Person == "" && f.Detector != EngagedRoom {
				t.Fatalf("a signal about nobody: %+v", f)
			}
		}
	})
}

func TestProtectedRoomsAreSilent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := happenings(t)
		for i := range w {
			w[i].Protected = true
		}
		if got := Read(w, nil, Emoji{}); len(got) > 0 {
			t.Fatal(got)
		}
	})
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
	e := Emoji{Owner: map[string]float64{"💀": 1, "👍": 0, "🧀": 7}, Platform: Platforms["slack"]}
	for emoji, want := range map[string]float64{"💀": 1, "👍🏽": 0, "👎": -1, "+1": 1, "hankey": -1, "🧀": 0, "unknown": 0, "": 0} {
		got, ok := e.Score(emoji)
		if ok != (want != 0) || ok && got != want {
			t.Errorf("%q: %v %v, want %v", emoji, got, ok, want)
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

// BenchmarkRead reads a window of 60 happenings, the end of two sessions among them.
func BenchmarkRead(b *testing.B) {
	var w []Seen
	for i := range 29 {
		w = append(w, Seen{Person: []string{"ann", "bob", "eve"}[i%3], To: "luna", Sure: 1, MoodVar: .07}, Seen{Agent: "luna", On: fmt.Sprint("m", 2*i+1)})
	}
	w = room(append(w, Seen{Kind: Ended, Agent: "luna"}, Seen{Kind: Ended, Agent: "mark"})...)
	for b.Loop() {
		Read(w, nil, Emoji{})
	}
}
