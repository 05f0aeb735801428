package outside

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/policy"
	"rapport/simulate/gym"
)

var update = flag.Bool("update", false, "rewrite golden files")

// This test program is also an outside learner.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "learner" {
		os.Exit(learn(os.Args[2], os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// learn is an outside learner as somebody else would write one: by the documented
// names of fields only.
func learn(how string, in io.Reader, out io.Writer) int {
	var starts []policy.Traits
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var l struct {
			Hello *struct {
				Protocol int
				Starts   [][]float64
			}
			Act   *struct{ Agent, Session int }
			Learn *struct {
				Agent   int
				X       []float64
				Signals []struct {
					Source string
					Value  float64
				}
			}
			Result map[string]any
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		switch {
		case l.Hello != nil:
			starts = nil
			for _, s := range l.Hello.Starts {
				starts = append(starts, policy.Traits(s))
			}
		case l.Act != nil:
			switch {
			case how == "quits" && l.Act.Session == 3:
				return 7
			case how == "leaves" && l.Act.Session == 3:
				return 0
			}
			x := follow.at(starts[l.Act.Agent], l.Act.Session)
			answer, _ := json.Marshal(map[string]any{"x": x[:], "policy": starts[l.Act.Agent][:]})
			fmt.Fprintf(out, "%s\n", answer)
		case l.Learn != nil:
			for _, s := range l.Learn.Signals {
				if s.Source == "owner_rating" {
					follow.take(&starts[l.Learn.Agent], s.Value)
				}
			}
		case l.Result != nil && how == "fails":
			return 3
		}
	}
	if how == "stays" {
		time.Sleep(time.Hour)
	}
	return 0
}

// follow is a learner so simple that it can be written twice.
var follow follower

type follower struct{}

func (follower) at(theta policy.Traits, session int) policy.Traits {
	theta[session%policy.NTraits] = .25
	return theta
}

func (follower) take(theta *policy.Traits, rating float64) {
	theta[0] = min(1, max(0, theta[0]+.01*rating))
}

// inside is the same learner without the protocol, with a policy as old as the
// last answer.
type inside struct{ theta, told []policy.Traits }

func (l *inside) Act(agent int, s gym.Session) policy.Traits {
	l.told[agent] = l.theta[agent]
	return follow.at(l.theta[agent], s.Number)
}
func (l *inside) Learn(agent int, _ policy.Traits, signals []gym.Signal) {
	for _, s := range signals {
		if s.Source == gym.OwnerRating {
			follow.take(&l.theta[agent], s.Value)
		}
	}
}
func (l *inside) Policy(agent int) policy.Traits { return l.told[agent] }

func TestTheProtocolChangesNothing(t *testing.T) {
	t.Parallel()
	w := gym.Main()
	w.Start, w.Press, w.Delay = .3, .2, 2
	p := w.NewPopulation(4)
	want, _ := p.Play(0, 4, 30, func(starts []policy.Traits, _ uint64) gym.Learner {
		return &inside{append([]policy.Traits(nil), starts...), append([]policy.Traits(nil), starts...)}
	})
	for _, over := range []string{"a pipe", "a program"} {
		var talk *Talk
		var close func() error
		if over == "a pipe" {
			fromWorld, toLearner := io.Pipe()
			fromLearner, toWorld := io.Pipe()
			ended := make(chan int, 1)
			go func() { ended <- learn("well", fromWorld, toWorld) }()
			talk = NewTalk(fromLearner, toLearner)
			close = func() error { toLearner.Close(); <-ended; return talk.Err() }
		} else {
			program, err := Start(t.Context(), "'"+os.Args[0]+"' learner well", io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			talk, close = program.Talk, program.Close
		}
		got, _ := p.Play(0, 4, 30, func(starts []policy.Traits, seed uint64) gym.Learner {
			return talk.Hello(Hello{Agents: 4, Sessions: 30, Populations: 1, Seed: seed, Starts: starts})
		})
		if err := errors.Join(talk.End(map[string]int{"done": 1}), close()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want.Regret, got.Regret) || !reflect.DeepEqual(want.Policy, got.Policy) {
			t.Errorf("over %s the play is another one", over)
		}
	}
}

// What we say is written down; other people's programs read it.
func TestLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	x := `{"x":[0,0.1,0.2,0.3,0.4,0.5,0.6,1]}` + "\n"
	talk := NewTalk(strings.NewReader(x+x), &out)
	l := talk.Hello(Hello{Population: 1, Populations: 2, Agents: 2, Sessions: 40, Seed: 9, Starts: []policy.Traits{policy.Neutral(), {0: 1}}})
	levels := l.Act(1, gym.Session{Number: 0, Place: gym.SmallRoom})
	l.Learn(1, levels, nil)
	l.Act(1, gym.Session{Number: 1})
	l.Learn(1, levels, []gym.Signal{
		{Session: 1, Source: gym.OwnerRating, Rater: gym.Owner, Value: -.25},
		{Session: 1, Source: gym.OwnerThumb, Rater: gym.Owner, Value: 1},
		{Session: 1, Source: gym.GuestThumb, Rater: 17, Value: -1},
		{Session: 1, Source: gym.Implicit, Rater: gym.Owner, Value: .71},
		{Session: 1, Source: gym.Review, Rater: 3, Value: .4},
		{Session: 1, Source: gym.TonePress, Rater: gym.Owner, Trait: policy.Brevity, Toward: -1},
	})
	if err := talk.End(map[string]float64{"regret": 28.8}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "lines.ndjson")
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), out.String()); d != "" {
		t.Errorf("the lines are others (a new Protocol number, and -update, when that is wanted):\n%s", d)
	}
	if l.Policy(1) != (policy.Traits{0, .1, .2, .3, .4, .5, .6, 1}) || l.Policy(0) != policy.Neutral() {
		t.Errorf("policies %v %v", l.Policy(0), l.Policy(1))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const good = `{"x":[0,0,0,0,0,0,0,0]}` + "\n"
	for name, c := range map[string]struct{ in, says string }{
		"nothing":            {"", "output ended where line 1"},
		"ends":               {good, "output ended where line 2"},
		"too few":            {good + `{"x":[0.5]}`, `line 2: "x" has 1 levels, want 8`},
		"too many":           {`{"x":[0,0,0,0,0,0,0,0,0]}`, `line 1: "x" has 9 levels`},
		"not a number":       {`{"x":[0,0,NaN,0,0,0,0,0]}`, "line 1"},
		"null":               {`{"x":[0,0,null,0,0,0,0,0]}`, `null for sarcasm`},
		"a word":             {`{"x":[0,0,"a",0,0,0,0,0]}`, "line 1"},
		"above":              {good + `{"x":[0,0,0,0,0,0,0,1.0001]}`, `line 2: "x" has 1.0001 for assertiveness, outside [0,1]`},
		"below":              {`{"x":[-0.1,0,0,0,0,0,0,0]}`, `-0.1 for humor`},
		"huge":               {`{"x":[1e999,0,0,0,0,0,0,0]}`, "line 1"},
		"policy":             {`{"x":[0,0,0,0,0,0,0,0],"policy":[2,0,0,0,0,0,0,0]}`, `"policy" has 2 for humor`},
		"unknown":            {`{"y":[0]}`, `unknown field "y"`},
		"no levels":          {`{}`, `has no "x"`},
		"an array":           {`[0,0,0,0,0,0,0,0]`, "line 1"},
		"no JSON":            {"Loading model...\n", `line 1: "Loading model..." is not an answer`},
		"an empty line":      {"\n" + good, "line 1"},
		"two answers a line": {`{"x":[0,0,0,0,0,0,0,0]} {"x":[0,0,0,0,0,0,0,0]}`, "something after the answer"},
		"endless":            {strings.Repeat("x", maxLine+1), "longer than"},
		"no UTF-8":           {"\xff\xfe\n", "line 1"},
	} {
		talk := NewTalk(strings.NewReader(c.in), io.Discard)
		p := gym.Main().NewPopulation(1)
		p.Play(0, 1, 3, func(starts []policy.Traits, _ uint64) gym.Learner { return talk.Hello(Hello{Starts: starts}) })
		if err := talk.Err(); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: want a refusal that says %q, got %v", name, c.says, err)
		}
		if err := talk.End(1); err == nil {
			t.Errorf("%s: the end came without the error", name)
		}
	}
	deaf := NewTalk(strings.NewReader(good), broken{})
	deaf.Hello(Hello{Starts: make([]policy.Traits, 1)}).Act(0, gym.Session{})
	if err := deaf.Err(); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "no longer listens") {
		t.Errorf("a learner that does not listen: %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"x":[0,0,0,0,0,0,0,0],"policy":[0,0,0,0,0,0,0,1]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var a answer
		if a.read(text) == nil && (!a.x.Valid() || !a.policy.Valid()) {
			t.Errorf("%q gave %v", text, a)
		}
	})
}

func TestProgramsThatGoWrong(t *testing.T) {
	t.Parallel()
	play := func(ctx context.Context, command string) error {
		program, err := Start(ctx, command, io.Discard)
		if err != nil {
			return err
		}
		gym.Main().NewPopulation(1).Play(0, 2, 6, func(starts []policy.Traits, _ uint64) gym.Learner { return program.Hello(Hello{Starts: starts}) })
		_ = program.End(map[string]int{"done": 1})
		return program.Close()
	}
	self := "'" + os.Args[0] + "' learner "
	for how, says := range map[string][]string{
		"quits":  {"where line 7", "exit status 7"},
		"leaves": {"where line 7"},
		"fails":  {"exit status 3"},
	} {
		err := play(t.Context(), self+how)
		for _, s := range says {
			if err == nil || !strings.Contains(err.Error(), s) {
				t.Errorf("a learner that %s: %v, want %q", how, err, s)
			}
		}
	}
	if err := play(t.Context(), "/no/such/learner"); err == nil || !strings.Contains(err.Error(), "/no/such/learner cannot be started") {
		t.Errorf("no program: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := play(ctx, self+"stays"); err == nil || !strings.Contains(err.Error(), "ended with") {
		t.Errorf("one that would stay, when we end: %v", err)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"python3 mine.py":             {"python3", "mine.py"},
		"  a\t b  ":                   {"a", "b"},
		`"/my dir/run" -x 'a "b" $c'`: {"/my dir/run", "-x", `a "b" $c`},
		`a '' b`:                      {"a", "", "b"},
		`a"b c"d`:                     {"ab cd"},
	} {
		got, err := Split(in)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("Split(%q): %v %s", in, err, d)
		}
	}
	for _, in := range []string{"", "   ", "'a", `a "b`, "'' x"} {
		if got, err := Split(in); !errors.Is(err, ErrCommand) {
			t.Errorf("Split(%q) gave %q", in, got)
		}
	}
}
