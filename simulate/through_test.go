package simulate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rapport/event"
	"rapport/policy"
	"rapport/simulate/gym"
)

// scene is a stage that answers with levels of its own and writes down who gave
// what.
type scene struct {
	fake
	starts map[event.AgentID]policy.Traits
	groups int
	said   int
	gave   []string // who what on what
}

func (s *scene) AddAgentAt(_ context.Context, owner event.PersonID, _ string, x policy.Traits) (event.AgentID, error) {
	id := event.AgentID("agent of " + owner)
	s.starts[id] = x
	return id, s.do("agent")
}

func (s *scene) Host(_ context.Context, _ event.AgentID, people []event.PersonID) error {
	s.groups += len(people)
	return s.do("host")
}

func (s *scene) Talk(_ context.Context, p event.PersonID, a event.AgentID, _ string) (Reply, error) {
	s.said++
	r := Reply{Message: event.MessageID(fmt.Sprint("m", s.said)), Session: event.SessionID(fmt.Sprint(p, " with ", a)), Rendered: policy.Neutral()}
	r.Rendered[0] = float64(s.said%10) / 10
	return r, s.do("talk")
}

func (s *scene) Thumb(_ context.Context, p event.PersonID, m event.MessageID, up bool) error {
	s.gave = append(s.gave, fmt.Sprint(p, " thumb ", m, " ", up))
	return s.do("thumb")
}

func (s *scene) Rate(_ context.Context, p event.PersonID, id event.SessionID, level string) error {
	s.gave = append(s.gave, fmt.Sprint(p, " rates ", id, " ", level))
	return s.do("rate")
}

func (s *scene) Night(context.Context) error { return s.do("night") }

func (s *scene) Policy(_ context.Context, a event.AgentID) (policy.Traits, error) {
	x := s.starts[a]
	x[1] = .9
	return x, s.do("policy")
}

func through(t *testing.T, fail string, delay int) (*scene, *Through, *gym.Run, error) {
	t.Helper()
	w := gym.Main()
	w.Raters, w.Press, w.Review, w.Thumbs, w.Delay, w.Start = 4, .5, .5, 1.5, delay, .2
	s := &scene{fake: fake{did: map[string]int{}, fail: fail}, starts: map[event.AgentID]policy.Traits{}}
	var l *Through
	var err error
	run, _ := w.NewPopulation(8).Play(0, 3, 12, func(starts []policy.Traits, seed uint64) gym.Learner {
		if l, err = NewThrough(t.Context(), s, starts, w.Raters); err != nil {
			return gym.Static(starts, seed)
		}
		return l
	})
	return s, l, run, err
}

func TestThrough(t *testing.T) {
	t.Parallel()
	s, l, run, err := through(t, "", 0)
	if err = errors.Join(err, l.Err()); err != nil {
		t.Fatal(err)
	}
	if s.did["person"] != 7 || s.did["agent"] != 3 || s.groups != 12 || s.did["end"] != 36 || s.did["talk"] < 36 {
		t.Errorf("did %v, %d people in groups", s.did, s.groups)
	}
	if s.days.Hours() < 11*24 || s.did["night"] != 11 {
		t.Errorf("twelve sessions took %v and %d nights", s.days, s.did["night"])
	}
	for _, what := range []string{"rate", "thumb", "tone", "policy"} {
		if s.did[what] == 0 {
			t.Errorf("nobody did: %s", what)
		}
	}
	seen := map[string]bool{}
	for _, g := range s.gave { // an opinion on something of one's own: a newer one would replace it
		who, rest, _ := strings.Cut(g, " ")
		on := who + " " + strings.Join(strings.Fields(rest)[:2], " ")
		if strings.Contains(rest, "thumb") && seen[on] {
			t.Errorf("twice: %s", on)
		}
		seen[on] = true
		if strings.Contains(rest, "rates") && !strings.HasPrefix(rest, "rates "+who+" with") && !strings.Contains(rest, "agent of "+who) {
			t.Errorf("neither there nor the owner: %s", g)
		}
	}
	if l.Policy(0)[1] != .9 || run.Agents[0].Start == 0 {
		t.Errorf("the policy is read as %v", l.Policy(0))
	}
	late, l, _, err := through(t, "", 3)
	if err = errors.Join(err, l.Err()); err != nil || late.did["rate"] == 0 || late.did["end"] < 33 {
		t.Errorf("with a delay: %v, did %v", err, late.did)
	}
}

func TestThroughABrokenProduct(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"talk", "thumb", "rate", "tone", "end", "policy", "settle", "night"} {
		_, l, _, err := through(t, what, 0)
		if l != nil {
			err = errors.Join(err, l.Err())
		}
		if err == nil || !strings.Contains(err.Error(), what+" is broken") {
			t.Errorf("%s is broken, but: %v", what, err)
		}
	}
	for _, what := range []string{"person", "agent", "host"} {
		if _, _, _, err := through(t, what, 0); err == nil {
			t.Errorf("%s is broken, and the play began", what)
		}
	}
}
