package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"rapport/event"
	"rapport/feedback/asking"
)

// What the simulated heavy user does.
const (
	askedWeeks  = 4
	askedPeople = 500
	askedAgents = 6
	askedTalks  = 20 // a day
	answerRate  = .3
)

const (
	askedHour = event.Micros(3600e6)
	askedDay  = 24 * askedHour
)

// askingBench lets heavy users (20 talks a day with 6 agents of theirs, 4 weeks) be
// asked at the end of each talk and whenever they come by, and answer 30 % of what they
// see. max_week is the most prompts that any seven days of any of them held, to be at
// most asking.Budget; answers_per_week the mean over them, with the tenth that answered
// least beside it. Thumbs that were emphasised in the talks are counted apart.
// RAPPORT_SEED draws the same people again.
func askingBench(context.Context) (metrics, error) {
	seed := rand.Uint64()
	if text := os.Getenv("RAPPORT_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("RAPPORT_SEED is %q, not a number", text)
		}
		seed = n
	}
	r := asking.Defaults()
	var most, prompts, inline, spoken int
	rates := make([]float64, askedPeople)
	for i := range rates {
		u := heavyUser{rules: r, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		u.live()
		most = max(most, u.busiestWeek())
		prompts, inline, spoken = prompts+len(u.asked), inline+u.inline, spoken+u.spoken
		rates[i] = float64(u.answers) / askedWeeks
	}
	slices.Sort(rates)
	var sum float64
	for _, v := range rates {
		sum += v
	}
	return metrics{"max_week": most, "budget": asking.Budget, "answers_per_week": sum / askedPeople, "answers_per_week_p10": rates[askedPeople/10],
		"prompts_per_week": float64(prompts) / askedPeople / askedWeeks, "thumbs_emphasised_share": float64(inline) / float64(spoken),
		"people": askedPeople, "seed": strconv.FormatUint(seed, 10)}, nil
}

// heavyUser is somebody with agents at normal intensity.
type heavyUser struct {
	rules  asking.Rules
	rng    *rand.Rand
	asked  []asking.Prompt
	given  [askedAgents]event.Micros
	talks  [askedAgents]int
	since  [askedAgents]int // answers of the agent since thumbs were emphasised
	passed [askedAgents]int

	answers, inline, spoken int
}

func (u *heavyUser) live() {
	start := event.Micros(2000) * askedDay
	for day := range event.Micros(7 * askedWeeks) {
		for talk := range event.Micros(askedTalks) {
			at := start + day*askedDay + 7*askedHour + talk*50*60e6 + event.Micros(u.rng.Int64N(20*60e6))
			a := u.rng.IntN(askedAgents)
			s := &asking.Session{ID: event.SessionID(fmt.Sprint(day, talk)), EndedAt: at, Duration: event.Micros(math.Exp(u.rng.NormFloat64()) * 5 * 60e6),
				Spoke: 1 + int(math.Exp(u.rng.NormFloat64()*.7)*6), Engaged: u.rng.Float64(), Began: u.rng.IntN(4) > 0}
			u.talks[a]++
			s.Number = u.talks[a]
			k := asking.Known{Owns: true, Listening: true, Intensity: asking.Normal, Every: asking.Every, Budget: asking.Budget, Agent: event.AgentID(fmt.Sprint(a)),
				Since: start, Close: 1 - math.Exp(-float64(u.talks[a])/8), Session: s}
			u.talk(a, k, s.Spoke)
			u.ask(a, k, asking.AtEnd, at)
			if u.rng.IntN(3) == 0 { // and comes by later
				u.ask(a, k, asking.AtVisit, at+event.Micros(u.rng.Int64N(int64(askedHour/2))))
			}
		}
	}
}

func (u *heavyUser) talk(a int, k asking.Known, spoke int) {
	sentiment := u.rng.Float64()*2 - 1
	for range spoke {
		u.spoken++
		u.since[a]++
		k.Message = &asking.Message{Since: u.since[a], NewTone: math.Abs(u.rng.NormFloat64() * .05), Sentiment: &sentiment, Passed: u.passed[a]}
		if asking.Decide(u.rules, asking.AtMessage, k, 0).Ask == asking.Inline {
			u.inline++
			u.since[a] = 0
			u.passed[a]++ // the thumbs are not pressed: the worst for asking
		}
	}
}

func (u *heavyUser) ask(a int, k asking.Known, m asking.Moment, at event.Micros) {
	k.History, k.Given = u.asked, u.given[a]
	d := asking.Decide(u.rules, m, k, at)
	if d.Ask == asking.None {
		return
	}
	p := asking.Prompt{Kind: d.Ask, Agent: k.Agent, Session: k.Session.ID, At: at, ExpiresAt: at + u.rules.Open(d.Ask), State: asking.Skipped}
	if u.rng.Float64() < answerRate {
		p.State, u.given[a] = asking.Answered, at
		u.answers++
	}
	u.asked = append(u.asked, p)
}

// busiestWeek is the most prompts in any seven days.
func (u *heavyUser) busiestWeek() (most int) {
	for _, from := range u.asked {
		n := 0
		for _, p := range u.asked {
			if p.At >= from.At && p.At < from.At+7*askedDay {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
