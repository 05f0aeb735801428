package learning

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"rapport/event"
	"rapport/policy"
)

// month feeds four weeks of agents whose owners show an engagement and say in
// check-ins how the agent is doing, both by whether it is the later half.
func (b *bench) month(agents int, engagement func(late bool) float64, checkIn func(late bool) float64) (stories []*story, due event.Micros) {
	b.t.Helper()
	due = dawn + 29*day
	for i := range agents {
		s := newStory(fmt.Sprintf("agent-%03d", i))
		for k := range 6 {
			late := k >= 3
			s.now = dawn + 3*day + int64(k)*4*day
			s.session(policy.Neutral())
			s.add(s.engagement(engagement(late) + .01*float64(i%3)))
			f := s.feedback(event.ChannelCheckIn, checkIn(late))
			f.Shares, f.SessionID = nil, "" // of the agent as a whole
			s.add(f)
		}
		b.feed(Batch, s.events...)
		stories = append(stories, s)
	}
	b.emitted()
	return stories, due
}

func worse(late bool) float64 {
	if late {
		return -1
	}
	return 1
}

func rises(late bool) float64 {
	if late {
		return .8
	}
	return .5
}

// Where engagement rises while check-ins fall, levels stay where they are, nothing is
// tried, and the owner is told why; once that is over learning goes on.
func TestGuardFreezes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := alone(t)
	stories, due := b.month(40, rises, worse)
	var log []event.Event
	for _, s := range stories {
		log = append(log, s.events...)
	}
	run, err := b.s.RunJob(ctx, "guard", due)
	if err != nil || run.Outcome != RunChanged {
		t.Fatalf("%+v, %v", run, err)
	}
	news := b.emitted()
	if len(news) != len(stories) {
		t.Fatalf("%d agents are told, want %d", len(news), len(stories))
	}
	b.feed(Batch, news...)
	log = append(log, news...)
	for _, e := range b.emitted() {
		p, err := event.As[event.ExplorationUpdated](e)
		if err != nil {
			t.Fatal(err)
		}
		var m policy.Mixture
		if err := json.Unmarshal(p.Mixture, &m); err != nil || m.Strategy != policy.StrategyOff {
			t.Fatalf("a frozen agent tries %q, %v", m.Strategy, err)
		}
	}
	s := stories[7]
	explained := func() *Explanation {
		x, err := b.s.Explain(ctx, event.AgentID(s.agent))
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if x := explained(); x.Frozen != "updates are frozen because over four weeks engagement rose for 40 of 40 owners of agents like this one, while check-ins fell for 40 of 40" || x.Traits[0].Waits != "frozen" {
		t.Errorf("the owner is told %q, humor waits for %q", x.Frozen, x.Traits[0].Waits)
	}
	if again, err := b.s.RunJob(ctx, "guard", due+1); err != nil || again.Outcome != RunUnchanged || len(b.emitted()) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}

	// evidence for another level is held back, and said to be
	count := func(news []event.Event) (proposed, held int) {
		for _, e := range news {
			switch e.Type {
			case event.PolicyProposed{}.EventType():
				proposed++
			case event.UpdateRefused{}.EventType():
				held++
				p, err := event.As[event.UpdateRefused](e)
				if err != nil || p.Gate != "guard" || p.Reason != explained().Frozen {
					t.Errorf("held back by %s: %s, %v", p.Gate, p.Reason, err)
				}
			}
		}
		return proposed, held
	}
	s.now = due
	loves := func(n int) (news []event.Event) {
		for k := range n {
			x := policy.Neutral()
			x[policy.Humor] += .15 - .3*float64(k%2)
			from := len(s.events)
			s.session(x)
			f := s.feedback(event.ChannelSession, 0)
			f.Level = []string{"loved", "not_great"}[k%2]
			s.add(f)
			b.feed(Batch, s.events[from:]...)
			log = append(log, s.events[from:]...)
			news = append(news, b.emitted()...)
		}
		return news
	}
	if proposed, held := count(loves(30)); proposed != 0 || held == 0 {
		t.Errorf("frozen, and %d proposals and %d refusals", proposed, held)
	}
	b.s = open(b.s.db)
	if x := explained(); x.Frozen == "" {
		t.Error("a new process has forgotten it")
	}

	// four weeks later there is nothing of it any more
	run, err = b.s.RunJob(ctx, "guard", due+40*day)
	if err != nil || run.Outcome != RunChanged {
		t.Fatalf("%+v, %v", run, err)
	}
	over := b.emitted()
	b.feed(Batch, over...)
	log = append(log, over...)
	b.emitted()
	if x := explained(); x.Frozen != "" || x.Traits[0].Waits == "frozen" {
		t.Errorf("it is over, and the owner is told %q", x.Frozen)
	}
	s.now = due + 41*day
	if proposed, _ := count(loves(2)); proposed == 0 {
		t.Error("it is over, and nothing is proposed")
	}
	live := b.dump(b.s.Projections()...)
	b.clear()
	if b.feed(37, log...); b.dump(b.s.Projections()...) != live {
		t.Error("a replay gives other bytes")
	}
}

// One trend alone freezes nobody, nor do both when few say so.
func TestGuardLetsGo(t *testing.T) {
	t.Parallel()
	same := func(bool) float64 { return 0 }
	still := func(bool) float64 { return .6 }
	for _, c := range []struct {
		name       string
		agents     int
		engagement func(bool) float64
		checkIn    func(bool) float64
	}{
		{"engagement rises", 40, rises, same},
		{"engagement and check-ins rise", 40, rises, func(late bool) float64 { return -worse(late) }},
		{"check-ins fall", 40, still, worse},
		{"both, of few sessions", 33, rises, worse},
	} {
		b := alone(t)
		_, due := b.month(c.agents, c.engagement, c.checkIn)
		if run, err := b.s.RunJob(t.Context(), "guard", due); err != nil || run.Outcome != RunUnchanged || len(b.emitted()) != 0 {
			t.Errorf("%s: %+v, %v", c.name, run, err)
		}
	}
}

// The sign test is exact, and its freeze rare by chance: the level of all looks of a
// year together is .05.
func TestTrend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trend
		want float64
	}{{trend{0, 0}, 1}, {trend{0, 5}, 1}, {trend{5, 5}, 1. / 32}, {trend{3, 5}, .5}, {trend{9, 10}, 11. / 1024}, {trend{600, 1000}, 1.36e-10}} {
		if p := c.p(); math.Abs(p/c.want-1) > .01 {
			t.Errorf("%+v: %g, want %g", c.trend, p, c.want)
		}
	}
	if p := (trend{20, 20}).p(); p > freezeLevel {
		t.Errorf("twenty of twenty say too little: %g", p)
	}
	if p := (trend{15, 20}).p(); p <= freezeLevel {
		t.Errorf("fifteen of twenty say enough: %g", p)
	}
	if s := fmt.Sprintf("%.1e", freezeLevel); !strings.HasPrefix(s, "3.4e-05") {
		t.Errorf("level %s", s)
	}
}
