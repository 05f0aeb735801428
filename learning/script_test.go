package learning

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/reward"
	"rapport/learning/step"
	"rapport/policy"
)

var update = flag.Bool("update", false, "rewrite the expected output of testdata/*.txt")

// TestScripts runs testdata/*.txt: a command, a line of four dashes, what it
// prints, an empty line. Lines with # are remarks.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			s := &script{}
			for i, block := range strings.Split(strings.TrimSpace(string(b)), "\n\n") {
				if i > 0 {
					out.WriteString("\n")
				}
				commands, want, _ := strings.Cut(block, "\n----\n")
				commands = strings.TrimSuffix(commands, "\n----")
				got := ""
				for _, line := range strings.Split(commands, "\n") {
					if line != "" && !strings.HasPrefix(line, "#") {
						got += s.do(t, strings.Fields(line))
					}
				}
				if strings.TrimSuffix(got, "\n") != strings.TrimSuffix(want, "\n") && !*update {
					t.Errorf("%s\n----\n%s\nwant\n%s", commands, got, want)
				}
				fmt.Fprintf(&out, "%s\n----\n%s", commands, got)
			}
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// script is a list of entries that commands add to.
type script struct {
	list []*fold.Entry
	act  fold.Act // what holds
	n    int
}

func (s *script) add(e *fold.Entry) {
	s.n++
	e.At, e.ID = int64(s.n), fmt.Sprintf("e%04d", s.n)
	s.list = append(s.list, e)
}

func (s *script) enact(kind byte) {
	a := s.act
	a.Kind = kind
	s.add(&fold.Entry{Act: &a})
}

// do runs one command:
//
//	agent [trait=level …]                     an agent begins
//	[times N] session [trait=level …] [signal=value …]
//	                                          signals: rating, thumb, engagement, check_in, review, guest, tone=humor+, stamps: undecided, protected
//	edit trait=level …, pin trait …, pause, resume, pace P, transfer
//	withdraw N                                the signals of the last N sessions
//	show trait …
func (s *script) do(t *testing.T, words []string) string {
	times := 1
	if words[0] == "times" {
		times, _ = strconv.Atoi(words[1])
		words = words[2:]
	}
	args := words[1:]
	switch words[0] {
	case "agent":
		s.list = nil
		s.act = fold.Act{Levels: policy.Neutral(), Learning: true, Alive: true, Pace: fold.PaceOf("normal")}
		for j := range s.act.Hi {
			s.act.Hi[j] = 1
		}
		s.levels(t, args)
		s.act.Baseline = s.act.Levels
		s.enact(fold.Created)
	case "session":
		for range times {
			s.session(t, args)
		}
	case "edit":
		state := foldOf(s.list)
		s.act.Levels = state.Theta
		s.act.Touched = s.levels(t, args)
		s.act.Baseline = s.act.Levels
		s.enact(fold.Edited)
		s.act.Touched = 0
	case "pin":
		state := foldOf(s.list)
		s.act.Levels, s.act.Pinned = state.Theta, 0
		for _, name := range args {
			tr, _ := policy.ParseTrait(name)
			s.act.Pinned |= policy.MaskOf(tr)
		}
		s.enact(fold.Pinned)
	case "pause", "resume":
		s.act.Learning = words[0] == "resume"
		s.enact(fold.Settings)
	case "pace":
		s.act.Pace = fold.PaceOf(args[0])
		s.enact(fold.Settings)
	case "transfer":
		s.add(&fold.Entry{Act: &fold.Act{Kind: fold.Transferred}})
	case "withdraw":
		n, _ := strconv.Atoi(args[0])
		for i := len(s.list) - 1; i >= 0 && n > 0; i-- {
			if s.list[i].Act == nil {
				s.list[i].About.Contributions = nil
				n--
			}
		}
	case "show":
		state := foldOf(s.list)
		b := state.Believe(step.DefaultPrior(), new(step.Belief))
		out := ""
		for _, name := range args {
			tr, ok := policy.ParseTrait(name)
			if !ok {
				t.Fatalf("show what? %q", name)
			}
			x := traitOf(&state, b, tr, state.Theta[tr])
			out += fmt.Sprintf("%s %.3f from %.3f: %s, P %.2f, n %d, %.1f ratings, gate %.2f, waits %q, needs %d\n",
				x.Trait, x.Target, x.Start, x.Word, x.P, x.N, x.Ratings, x.Gate, x.Waits, x.Needs)
		}
		return out + fmt.Sprintf("owner %.2f, guests %.2f, meant %.2f, shown %.2f\n", state.Owner, state.Guests, state.Meant, state.Shown)
	default:
		t.Fatalf("unknown command %q", words[0])
	}
	return ""
}

// levels sets levels and says which.
func (s *script) levels(t *testing.T, args []string) (touched policy.Mask) {
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		tr, ok := policy.ParseTrait(name)
		v, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			t.Fatalf("%q is no level", arg)
		}
		s.act.Levels[tr] = v
		touched |= policy.MaskOf(tr)
	}
	return touched
}

func (s *script) session(t *testing.T, args []string) {
	e := &fold.Entry{About: fold.Episode{Decided: true, Consent: true, Rendered: policy.Neutral()}}
	for i, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		v, _ := strconv.ParseFloat(value, 64)
		c := fold.Contribution{Feedback: fmt.Sprintf("f%04d-%d", s.n, i), Rater: "owner", Owner: true, Share: 1, Value: v}
		if tr, ok := policy.ParseTrait(name); ok {
			e.About.Rendered[tr] = v
			continue
		}
		switch name {
		case "rating":
			c.Source, c.Value = fusion.OwnerRating, reward.Score(reward.V2, event.ChannelSession, value, 0)
		case "thumb":
			c.Source, c.Value = fusion.OwnerThumb, map[string]float64{"up": 1, "down": -1}[value]
		case "engagement":
			c.Source = fusion.Engagement
		case "check_in":
			c.Source, c.CheckIn = fusion.OwnerRating, true
		case "review":
			c.Source, c.Owner, c.Rater = fusion.Review, false, "reviewer"
		case "guest":
			c.Source, c.Owner, c.Rater = fusion.Guest, false, fmt.Sprintf("guest%d", s.n%7)
		case "tone":
			tr, ok := policy.ParseTrait(strings.TrimRight(value, "+-"))
			if !ok {
				t.Fatalf("%q is no wish", arg)
			}
			c.Trait, c.Toward = tr, 1
			if strings.HasSuffix(value, "-") {
				c.Toward = -1
			}
		case "undecided":
			e.About.Decided = false
			continue
		case "protected":
			e.About.Protected = true
			continue
		default:
			t.Fatalf("unknown signal %q", arg)
		}
		e.About.Put(c)
	}
	s.add(e)
}
