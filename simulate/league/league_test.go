package league

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rapport/policy"
	"rapport/simulate/gym"
	"rapport/simulate/outside"
)

// This test program is also an outside learner that stays at its start, or is
// broken.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "learner" {
		var l struct {
			Hello struct{ Starts [][]float64 }
			Act   *struct{ Agent int }
		}
		for d := json.NewDecoder(os.Stdin); d.Decode(&l) == nil; l.Act = nil {
			if l.Act != nil {
				x := l.Hello.Starts[l.Act.Agent]
				if os.Args[2] == "broken" {
					x = x[1:]
				}
				out, _ := json.Marshal(map[string]any{"x": x})
				fmt.Printf("%s\n", out)
			}
		}
		return
	}
	os.Exit(m.Run())
}

func entrants(t *testing.T, names ...string) (out []Entrant) {
	t.Helper()
	for _, name := range names {
		e, err := Named(name, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func small(t *testing.T, names ...string) Options {
	return Options{World: gym.Main(), Entrants: entrants(t, names...), Populations: 3, Agents: 6, Sessions: 60, Seed: 11}
}

func self(how string) string { return "exec:'" + os.Args[0] + "' learner " + how }

func TestAnOutsideLearnerIsOneOfUs(t *testing.T) {
	t.Parallel()
	o := small(t, "static", self("stays"), "plain")
	var calls []int
	o.Progress = func(done, total int) {
		if total != 9 {
			t.Errorf("%d plays, want 9", total)
		}
		calls = append(calls, done)
	}
	fromWorld, toLearner := io.Pipe()
	fromLearner, toWorld := io.Pipe()
	var hellos []int
	go func() { // over a conversation: all populations, one after the other
		var l struct {
			Hello *outside.Hello
			Act   *outside.Act
		}
		for d := json.NewDecoder(fromWorld); d.Decode(&l) == nil; l.Act, l.Hello = nil, nil {
			if l.Hello != nil {
				hellos = append(hellos, l.Hello.Population)
			}
			if l.Act != nil {
				fmt.Fprintln(toWorld, `{"x":[0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5]}`)
			}
		}
		toWorld.Close()
	}()
	r, err := Play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Progress = nil
	o.Entrants = append(o.Entrants[:1], Talking("you", outside.NewTalk(fromLearner, toLearner)))
	talked, err := Play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []*gym.Run{r.Standings[1].Run, talked.Standings[1].Run} {
		if want := r.Standings[0].Run; !reflect.DeepEqual(want.Curve(), other.Curve()) || !slices.Equal(want.Policy, other.Policy) {
			t.Error("standing still from outside is something else")
		}
	}
	if !slices.Equal(hellos, []int{0, 1, 2}) {
		t.Errorf("said hello to %v", hellos)
	}
	if len(calls) == 0 || calls[len(calls)-1] != 9 || !slices.IsSorted(calls) {
		t.Errorf("progress %v", calls)
	}
	if d := r.Against(1); d.Mean != 0 || r.Beaten(1) != 0 {
		t.Errorf("standing still against itself: %+v, beaten %d", d, r.Beaten(1))
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	r, err := Play(t.Context(), small(t, "static", "plain-tuned"))
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	r.Table(&table)
	for _, says := range []string{"regret@20", "regret@50", "regret@60", "against static", "/3", "3 populations of 6 agents (seeds 11 to 13), 60 sessions each."} {
		if !strings.Contains(table.String(), says) {
			t.Errorf("the table has no %q:\n%s", says, &table)
		}
	}
	if strings.Contains(table.String(), "NaN") || strings.Contains(table.String(), "regret@100") {
		t.Errorf("the table has what was not played:\n%s", &table)
	}
	text, err := json.Marshal(r.Report(true))
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Learners []map[string]any }
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	l := report.Learners[1]
	if l["learner"] != "plain-tuned" || l["regret50"] == nil || l["regret100"] != nil || l["ci200"] != nil || l["against_first"] == nil || len(l["curve"].([]any)) != 60 {
		t.Errorf("%v", l)
	}
	var svg bytes.Buffer
	if err := r.Chart().SVG(&svg); err != nil || !strings.Contains(svg.String(), "plain-tuned  ") {
		t.Errorf("%v", err)
	}

	alone := small(t, "static")
	alone.Populations, alone.Sessions = 1, 250
	if r, err = Play(t.Context(), alone); err != nil {
		t.Fatal(err)
	}
	table.Reset()
	r.Table(&table)
	if !strings.Contains(table.String(), "regret@200") || strings.Contains(table.String(), "NaN") {
		t.Errorf("one population, 250 sessions:\n%s", &table)
	}
	if text, err = json.Marshal(r.Report(false)); err != nil || strings.Contains(string(text), "curve") {
		t.Errorf("%v %s", err, text)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for says, spoil := range map[string]func(*Options){
		"agents is 0":                   func(o *Options) { o.Agents = 0 },
		"sessions is -1":                func(o *Options) { o.Sessions = -1 },
		"at most 50000000":              func(o *Options) { o.Agents, o.Sessions = 1e6, 1e6 },
		"one agent has no interval":     func(o *Options) { o.Agents, o.Populations = 1, 1 },
		"drift is 1.5":                  func(o *Options) { o.World.Drift = 1.5 },
		"bad is NaN":                    func(o *Options) { o.World.Bad = nan() },
		"kinds is -1":                   func(o *Options) { o.World.Kinds = -1 },
		"raters is 0":                   func(o *Options) { o.World.Raters = 0 },
		"delay is 61":                   func(o *Options) { o.World.Delay = 61 },
		"static plays twice":            func(o *Options) { o.Entrants = append(o.Entrants, o.Entrants[0]) },
		"nobody plays":                  func(o *Options) { o.Entrants = nil },
		"thumbs is 11, want a number f": func(o *Options) { o.World.Thumbs = 11 },
	} {
		o := small(t, "static")
		spoil(&o)
		if _, err := Play(t.Context(), o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), says) {
			t.Errorf("want a refusal that says %q, got %v", says, err)
		}
	}
	for name, says := range map[string]string{"best": `there is no learner "best", only ours, static`, "exec:": "names no program", "exec:'x": "quote"} {
		if _, err := Named(name, io.Discard); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: want a refusal that says %q, got %v", name, says, err)
		}
	}
	if _, err := Play(t.Context(), small(t, "static", self("broken"))); !errors.Is(err, outside.ErrProtocol) || !strings.Contains(err.Error(), "line 1") || !strings.HasPrefix(err.Error(), "exec:") {
		t.Errorf("a broken learner: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Play(ctx, small(t, "static")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func nan() float64 { z := 0.; return z / z }

// What is built in has names and lines, and the product comes first.
func TestEntrants(t *testing.T) {
	t.Parallel()
	all := Entrants()
	if all[0].Name != Ours || len(all) < 9 {
		t.Fatalf("%d entrants, first %s", len(all), all[0].Name)
	}
	for _, e := range all {
		if e.What == "" {
			t.Errorf("%s says nothing of itself", e.Name)
		}
		l, end, err := e.enter(t.Context(), seat{Starts: []policy.Traits{policy.Neutral()}, Sessions: 20})
		if err != nil || l.Policy(0) != policy.Neutral() || end(nil) != nil {
			t.Errorf("%s: %v, begins at %v", e.Name, err, l.Policy(0))
		}
	}
}

// The learner in docs/simulate.md is whole, and learns.
func TestTheExampleInTheDocs(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	page, err := os.ReadFile("../../docs/simulate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "```python\n")
	program, _, found := strings.Cut(after, "```")
	if n := strings.Count(program, "\n"); !found || n < 10 || n > 22 {
		t.Fatalf("an example of %d lines", n)
	}
	file := filepath.Join(t.TempDir(), "mine.py")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	o := small(t, "static", "exec:'"+python+"' '"+file+"'")
	o.Agents, o.Sessions = 10, 200
	r, err := Play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if still, mine := r.Standings[0].Run.Summary().Final, r.Standings[1].Run.Summary().Final; mine < still+.05 {
		t.Errorf("the example ends at a satisfaction of %.3f, standing still at %.3f", mine, still)
	}
}
