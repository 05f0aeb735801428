package asking

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/event"
)

const now = 1000 * day

// known is somebody who is asked after a long talk that just ended.
func known(change ...func(*Known)) Known {
	k := Known{Owns: true, Listening: true, Intensity: Normal, Every: Every, Budget: Budget, Agent: "luna", Since: now - 100*day, Close: .5,
		Session: &Session{ID: "s9", EndedAt: now - minute, Duration: 10 * minute, Spoke: 8, Engaged: .6, Number: 9}}
	for _, f := range change {
		f(&k)
	}
	return k
}

func past(kind Kind, agent event.AgentID, ago event.Micros, state string) Prompt {
	return Prompt{Kind: kind, Agent: agent, Session: "old", At: now - ago, ExpiresAt: now - ago + 12*hour, State: state}
}

func history(p ...Prompt) func(*Known) { return func(k *Known) { k.History = append(k.History, p...) } }

func TestAfterSession(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Known)
		code   string
		until  event.Micros
	}{
		{"a good talk", func(*Known) {}, "meaningful", 0},
		{"somebody else's agent", func(k *Known) { k.Owns = false }, "not_yours", 0},
		{"protected", func(k *Known) { k.Protected = true }, "protected", 0},
		{"protected in the talk", func(k *Known) { k.Session.Protected = true }, "protected", 0},
		{"paused", func(k *Known) { k.Listening = false }, "not_listening", 0},
		{"off", func(k *Known) { k.Intensity = Off }, "off", 0},
		{"no budget", func(k *Known) { k.Budget = 0 }, "no_budget", 0},
		{"no talk", func(k *Known) { k.Session = nil }, "no_session", 0},
		{"three minutes are not more than three", func(k *Known) { k.Session.Duration = 3 * minute }, "session_short", 0},
		{"more than three", func(k *Known) { k.Session.Duration = 3*minute + 1 }, "meaningful", 0},
		{"five are not more than five", func(k *Known) { k.Session.Spoke = 5 }, "few_answers", 0},
		{"yesterday", func(k *Known) { k.Session.EndedAt = now - 13*hour }, "session_past", 0},
		{"dull", func(k *Known) { k.Session.Engaged = .49 }, "not_meaningful", 0},
		{"dull, by schedule", func(k *Known) { k.Session.Engaged, k.Session.Number = .1, 20 }, "scheduled", 0},
		{"dull, no schedule", func(k *Known) { k.Session.Engaged, k.Session.Number, k.Every = .1, 20, 0 }, "not_meaningful", 0},
		{"just engaged", func(k *Known) { k.Session.Engaged = .5 }, "meaningful", 0},
		{"given an hour ago", func(k *Known) { k.Given = now - hour }, "given_lately", now + 23*hour},
		{"given a day ago", func(k *Known) { k.Given = now - day }, "meaningful", 0},
		{"asked about this one", history(Prompt{Kind: AfterSession, Agent: "luna", Session: "s9", At: now, State: Asked}), "asked_already", 0},
		{"asked an hour ago", history(past(AfterSession, "luna", hour, Answered)), "asked_lately", now + 23*hour},
		{"another agent an hour ago", history(past(AfterSession, "mark", hour, Answered)), "meaningful", 0},
		{"checked in an hour ago", history(past(CheckIn, "luna", hour, Answered)), "asked_lately", now + 23*hour},
		{"thumbs do not count", history(past(Inline, "luna", hour, Shown)), "meaningful", 0},
		{"twice this week", history(past(AfterSession, "luna", 2*day, Answered), past(AfterSession, "luna", 5*day, Answered)), "agent_budget", now + 2*day},
		{"twice, one a week ago", history(past(AfterSession, "luna", 2*day, Answered), past(AfterSession, "luna", 7*day, Answered)), "meaningful", 0},
		{"six this week", history(past(CheckIn, "a", day, Answered), past(CheckIn, "b", day, Answered), past(CheckIn, "c", day, Answered), past(CheckIn, "d", day, Answered), past(CheckIn, "e", day, Answered), past(CheckIn, "f", 3*day, Answered)), "person_budget", now + 4*day},
		{"a clock that went back", history(past(AfterSession, "luna", -2*day, Answered)), "asked_lately", now + 3*day},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := DecideAfterSession(Defaults(), known(c.change), now)
			if got.Code != c.code || got.Until != c.until || got.Why == "" || (got.Ask == AfterSession) != (c.code == "meaningful" || c.code == "scheduled") {
				t.Errorf("%+v, want %s until %d", got, c.code, c.until)
			}
		})
	}
}

func TestCheckIn(t *testing.T) {
	t.Parallel()
	week := func(k *Known) { k.Given, k.Session.EndedAt = now-8*day, now-2*day }
	for _, c := range []struct {
		name   string
		change func(*Known)
		code   string
	}{
		{"a quiet week", func(*Known) {}, "quiet"},
		{"given six days ago", func(k *Known) { k.Given = now - 6*day }, "given_lately"},
		{"never given, met yesterday", func(k *Known) { k.Given, k.Since = 0, now-day }, "given_lately"},
		{"never given, met a week ago", func(k *Known) { k.Given, k.Since = 0, now-7*day }, "quiet"},
		{"hardly know each other", func(k *Known) { k.Close = .29 }, "not_close"},
		{"know each other", func(k *Known) { k.Close = .3 }, "quiet"},
		{"short, dull, begun by the agent", func(k *Known) { k.Session.Duration, k.Session.Engaged = minute, .69 }, "uneventful"},
		{"short, engaged", func(k *Known) { k.Session.Duration, k.Session.Engaged = minute, .7 }, "quiet"},
		{"short, dull, begun by the person", func(k *Known) { k.Session.Duration, k.Session.Engaged, k.Session.Began = minute, .1, true }, "quiet"},
		{"months ago", func(k *Known) { k.Session.EndedAt = now - 31*day }, "long_ago"},
		{"asked how the talk was yesterday", history(past(AfterSession, "luna", 23*hour, Shown)), "asked_lately"},
		{"asked the same six days ago", history(past(CheckIn, "luna", 6*day, Skipped)), "asked_lately"},
		{"asked the same a week ago", history(past(CheckIn, "luna", 7*day, Skipped)), "quiet"},
		{"somebody else's agent", func(k *Known) { k.Owns = false }, "not_yours"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := DecideCheckIn(Defaults(), known(week, c.change), now); got.Code != c.code || (got.Ask == CheckIn) != (c.code == "quiet") {
				t.Errorf("%+v, want %s", got, c.code)
			}
		})
	}
}

// TestInline lists which of forty answers have their thumbs emphasised when nobody
// presses any, and when somebody presses all of them.
func TestInline(t *testing.T) {
	t.Parallel()
	zero, sad := 0., -.5
	run := func(i Intensity, m Message, pressed bool) (out []int) {
		for n := 1; n <= 40; n++ {
			m.Since++
			if DecideInline(Defaults(), known(func(k *Known) { k.Intensity, k.Message = i, &m })).Ask == Inline {
				out = append(out, n)
				m.Since = 0
				if !pressed {
					m.Passed++
				}
			}
		}
		return out
	}
	for _, c := range []struct {
		name      string
		intensity Intensity
		m         Message
		pressed   bool
		want      []int
	}{
		{"off", Off, Message{}, true, nil},
		{"gentle", Gentle, Message{}, true, []int{10, 20, 30, 40}},
		{"normal", Normal, Message{}, true, []int{5, 10, 15, 20, 25, 30, 35, 40}},
		{"eager", Eager, Message{}, true, []int{3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39}},
		{"passed by", Normal, Message{}, false, []int{5, 10, 15, 25, 35}},
		{"a new tone", Normal, Message{NewTone: .08}, true, []int{3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39}},
		{"hardly a new tone", Gentle, Message{NewTone: .07}, true, []int{10, 20, 30, 40}},
		{"unsure", Gentle, Message{Sentiment: &zero}, true, []int{5, 10, 15, 20, 25, 30, 35, 40}},
		{"surely sad", Gentle, Message{Sentiment: &sad}, true, []int{10, 20, 30, 40}},
		{"protected", Eager, Message{Protected: true}, true, nil},
	} {
		if d := cmp.Diff(c.want, run(c.intensity, c.m, c.pressed)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	passed := func(n int, state string) (out []Prompt) {
		for i := range n {
			out = append(out, past(AfterSession, "luna", event.Micros(10+i)*day, state))
		}
		return out
	}
	for _, c := range []struct {
		name          string
		history       []Prompt
		agent, person int
	}{
		{"nothing", nil, 0, 0},
		{"two", passed(2, Skipped), 0, 0},
		{"three", passed(3, Skipped), 1, 0},
		{"three that were shown and left", passed(3, Shown), 1, 0},
		{"three that nobody saw", passed(3, Asked), 0, 0},
		{"six", passed(6, Skipped), 2, 1},
		{"thirty", passed(30, Skipped), 3, 3},
		{"an answer since", append(passed(6, Skipped), past(CheckIn, "luna", day, Answered)), 0, 0},
		{"an answer before", append(passed(3, Skipped), past(CheckIn, "luna", 30*day, Answered)), 1, 0},
		{"an answer about another", append(passed(6, Skipped), past(CheckIn, "mark", day, Answered)), 2, 0},
		{"thumbs", []Prompt{past(Inline, "luna", day, Skipped), past(Inline, "luna", day, Skipped), past(Inline, "luna", day, Skipped)}, 0, 0},
	} {
		if agent, person := Defaults().Doubled(known(history(c.history...)), now); agent != c.agent || person != c.person {
			t.Errorf("%s: doubled %d and %d times, want %d and %d", c.name, agent, person, c.agent, c.person)
		}
	}
	// After three the next waits for a fortnight's room instead of a week's.
	d := DecideAfterSession(Defaults(), known(history(passed(3, Skipped)...)), now)
	if d.Code != "agent_budget" || d.Until != now-11*day+14*day {
		t.Errorf("%+v", d)
	}
}

func intensity(t *rapid.T) Intensity { return rapid.SampledFrom(Intensities()).Draw(t, "intensity") }

// TestNeverAboveTheBudget: whatever happens and however the clock jumps, no seven
// days hold more than the person's budget, nor more about an agent than it may.
func TestNeverAboveTheBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, pace := Defaults(), intensity(t)
		budget := rapid.IntRange(0, 9).Draw(t, "budget")
		at := event.Micros(now)
		var all []Prompt
		for i := range rapid.IntRange(1, 120).Draw(t, "talks") {
			at += event.Micros(rapid.IntRange(-72, 240).Draw(t, "hours")) * hour / 10
			agent := rapid.SampledFrom([]event.AgentID{"a", "b", "c", "d"}).Draw(t, "agent")
			k := known(func(k *Known) {
				k.Intensity, k.Budget, k.Agent, k.History = pace, budget, agent, all
				k.Session.ID, k.Session.EndedAt = event.SessionID(string(rune(i))), at
			})
			if d := Decide(r, rapid.SampledFrom([]Moment{AtEnd, AtVisit}).Draw(t, "moment"), k, at); d.Ask != None {
				all = append(all, Prompt{Kind: d.Ask, Agent: agent, Session: k.Session.ID, At: at, ExpiresAt: at + r.Open(d.Ask),
					State: rapid.SampledFrom([]string{Asked, Shown, Skipped, Answered}).Draw(t, "state")})
			} else if d.Until != 0 && d.Until <= at {
				t.Fatalf("not until %d at %d", d.Until, at)
			}
		}
		for _, from := range all {
			n, about := 0, map[event.AgentID]int{}
			for _, p := range all {
				if p.At >= from.At && p.At < from.At+week {
					n++
					about[p.Agent]++
				}
			}
			if n > budget {
				t.Fatalf("%d prompts in a week, the budget is %d", n, budget)
			}
			for agent, n := range about {
				if n > r.Paces[pace].PerWeek {
					t.Fatalf("%d prompts about %s in a week at %s", n, agent, pace)
				}
			}
		}
	})
}

func anyKnown(t *rapid.T) Known {
	k := known(func(k *Known) {
		k.Owns, k.Protected, k.Listening = rapid.IntRange(0, 9).Draw(t, "owns") > 0, rapid.IntRange(0, 9).Draw(t, "protected") == 0, true
		k.Intensity, k.Budget = intensity(t), rapid.IntRange(0, 9).Draw(t, "budget")
		k.Every = rapid.IntRange(0, 3).Draw(t, "every")
		k.Given = now - event.Micros(rapid.IntRange(-1, 20*24).Draw(t, "given"))*hour
		k.Close = rapid.Float64Range(0, 1).Draw(t, "close")
		k.Session.Engaged, k.Session.Spoke = rapid.Float64Range(0, 1).Draw(t, "engaged"), rapid.IntRange(0, 20).Draw(t, "spoke")
		k.Session.Duration = event.Micros(rapid.IntRange(0, 600).Draw(t, "seconds")) * 1e6
		k.Message = &Message{Since: rapid.IntRange(1, 30).Draw(t, "since"), NewTone: rapid.Float64Range(0, .2).Draw(t, "tone"), Passed: rapid.IntRange(0, 12).Draw(t, "passed")}
	})
	for range rapid.IntRange(0, 12).Draw(t, "history") {
		k.History = append(k.History, past(rapid.SampledFrom([]Kind{AfterSession, Inline, CheckIn}).Draw(t, "kind"), rapid.SampledFrom([]event.AgentID{"luna", "mark"}).Draw(t, "agent"),
			event.Micros(rapid.IntRange(-24, 56*24).Draw(t, "ago"))*hour, rapid.SampledFrom([]string{Asked, Shown, Skipped, Answered}).Draw(t, "state")))
	}
	return k
}

// TestMonotone: more intensity, or more budget, never turns an ask into a none; a
// prompt passed by instead of answered never a none into an ask; the order of the
// history says nothing; and the same arguments give the same decision.
func TestMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, k := Defaults(), anyKnown(t)
		m := rapid.SampledFrom([]Moment{AtEnd, AtMessage, AtVisit}).Draw(t, "moment")
		d := Decide(r, m, k, now)
		if d != Decide(r, m, k, now) || d.Code == "" || d.Why == "" {
			t.Fatalf("%+v, then %+v", d, Decide(r, m, k, now))
		}
		if (!k.Owns || k.Protected || k.Intensity == Off || k.Budget == 0) && d.Ask != None {
			t.Fatalf("asked all the same: %+v", d)
		}
		more := k
		more.Budget++
		if i := rapid.IntRange(0, 3).Draw(t, "more"); Intensities()[i] != k.Intensity && r.Paces[Intensities()[i]].PerWeek > r.Paces[k.Intensity].PerWeek {
			more.Intensity = Intensities()[i]
		}
		if d.Ask != None && Decide(r, m, more, now).Ask == None {
			t.Fatalf("%+v, and with more %+v", d, Decide(r, m, more, now))
		}
		turned := k
		turned.History = append([]Prompt{}, k.History...)
		for i, j := 0, len(turned.History)-1; i < j; i, j = i+1, j-1 {
			turned.History[i], turned.History[j] = turned.History[j], turned.History[i]
		}
		if got := Decide(r, m, turned, now); got.Ask != d.Ask || got.Until != d.Until {
			t.Fatalf("%+v, and in another order %+v", d, got)
		}
		for i := range turned.History {
			if turned.History[i].State == Answered {
				turned.History[i].State = Skipped
			}
		}
		if got := Decide(r, m, turned, now); got.Ask != None && d.Ask == None || got.Until < d.Until {
			t.Fatalf("%+v, and with answers skipped %+v", d, got)
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]Intensity{"": Normal, "off": Off, "gentle": Gentle, "normal": Normal, "eager": Eager} {
		if got, ok := Parse(word); !ok || got != want {
			t.Errorf("%q: %q %v", word, got, ok)
		}
	}
	for _, word := range []string{"Normal", "often", "5"} {
		if _, ok := Parse(word); ok {
			t.Errorf("%q is an intensity", word)
		}
	}
}
