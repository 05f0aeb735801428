package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"rapport/chat/textsignal"
	"rapport/feedback/signal"
)

// latency asks how many ordinary pauses are called slow: of people in a real room, and of
// simulated people who talk in bursts. It also asks how many pauses that are ten
// times the person's 95th percentile are found.
func latency(ctx context.Context) (metrics, error) {
	days, err := readIRC()
	if err != nil {
		return nil, err
	}
	real, people := flags{}, map[string]bool{}
	for d, day := range days {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		habits := map[string]signal.Pauses{}
		var talk textsignal.Talk
		var heard []int64
		for i, l := range day.lines {
			if !day.said[i] {
				continue
			}
			if a := talk.Answers(l); a.Author != "" && a.AuthorP >= .5 {
				pause := (l.At - heard[len(heard)-a.Back]) / 1000
				if real.judge(habits[l.Author], pause) {
					people[fmt.Sprint(d, l.Author)] = true
				}
				habits[l.Author] = habits[l.Author].With(pause)
			}
			talk.Hear(l)
			heard = append(heard, l.At)
		}
	}
	seeds, err := givenSeeds(8)
	if err != nil {
		return nil, err
	}
	var shares, foundShares []float64
	all := flags{}
	for _, seed := range seeds {
		f, found := bursty(seed)
		shares, foundShares = append(shares, f.share()), append(foundShares, found)
		all.n, all.slow, all.unknown = all.n+f.n, all.slow+f.slow, all.unknown+f.unknown
	}
	mean, half := meanInterval(shares)
	found, _ := meanInterval(foundShares)
	return metrics{"false_flag_share": max(real.share(), mean), "irc": real.share(), "irc_ci95": 1.96 * math.Sqrt(real.share()*(1-real.share())/real.n),
		"irc_pauses": real.n, "irc_people": len(people), "irc_unknown": real.unknown, "bursty": mean, "bursty_ci95": half, "bursty_pauses": all.n,
		"bursty_long_pauses_found": found, "seeds": seeds}, nil
}

type flags struct{ n, slow, unknown float64 }

// judge counts a pause that is ordinary; it gives whether the detector knew enough.
func (f *flags) judge(habit signal.Pauses, milli int64) bool {
	slow, known := habit.Slow(milli)
	if !known {
		f.unknown++
		return false
	}
	f.n++
	f.slow += indicator(slow)
	return true
}

func (f *flags) share() float64 { return f.slow / max(1, f.n) }

// bursty simulates 60 people of 300 pauses: within a burst a log-normal around 20 s, between bursts
// around 40 min, both different for each person, the state kept with .9; a person's
// days differ by a common factor. found is the share of pauses of ten times the true 95th percentile
// that are called slow.
func bursty(seed uint64) (f flags, found float64) {
	r := streamOf(seed)
	tries := 0.0
	for range 60 {
		quick, far := 20*math.Exp(.8*r.Normal()), 2400*math.Exp(.8*r.Normal())
		rest := r.Float64() < .3
		pauses := make([]float64, 300)
		day := 0.0
		for i := range pauses {
			if i%25 == 0 {
				day = .3 * r.Normal()
			}
			if r.Float64() > .9 {
				rest = r.Float64() < .3
			}
			if pauses[i] = quick * math.Exp(day+r.Normal()); rest {
				pauses[i] = far * math.Exp(day+r.Normal())
			}
		}
		sorted := slices.SortedFunc(slices.Values(pauses), cmp.Compare)
		long := 10 * sorted[len(sorted)*95/100]
		var habit signal.Pauses
		for i, p := range pauses {
			milli := int64(1000 * p)
			if f.judge(habit, milli) && i%10 == 0 {
				slow, _ := habit.Slow(int64(1000 * long))
				tries++
				found += indicator(slow)
			}
			habit = habit.With(milli)
		}
	}
	return f, found / tries
}
