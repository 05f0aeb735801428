package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/safety"
	"rapport/learning/step"
	"rapport/policy"
)

// learnerCost measures what one step of the learner takes on one core: an entry
// folded (features, observation, belief, move) under a prior of one kind of owner
// and of four that all stay probable, a refold of 1,000 entries, a draw from the
// mixture with its density, new centres. A time is that of the fastest of many
// batches, which nothing else disturbed; the median stands beside it.
func learnerCost(context.Context) (metrics, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	m := metrics{"state_bytes": fold.Size, "trait_block_bytes": step.Size}
	timed := func(name string, unit time.Duration, batch int, f func()) {
		fmt.Fprintln(os.Stderr, "  measuring", name)
		f() // warm
		var took []float64
		for begin := time.Now(); len(took) < 20 || time.Since(begin) < 1500*time.Millisecond; {
			start := time.Now()
			for range batch {
				f()
			}
			took = append(took, float64(time.Since(start))/float64(batch)/float64(unit))
		}
		m[name], m[name+"_median"] = quantile(took, 0), quantile(took, .5)
	}
	four, err := fourKinds()
	if err != nil {
		return nil, err
	}
	xs := variations(1 << 10)
	var failed error
	allocations := 0.
	for name, prior := range map[string]*step.Prior{"update_k1_us": step.DefaultPrior(), "update_k4_us": four} {
		s, b, n := step.New(policy.Neutral()), new(step.Belief), 0
		fence := step.Fence{May: policy.AllTraits, Together: safety.Together(safety.Normal).Z}
		for j := range fence.Hi {
			fence.Hi[j], fence.Gate[j] = 1, .5244
		}
		update := func() {
			x := &xs[n%len(xs)]
			f := s.Features(x, policy.AllTraits)
			if _, err := s.ObserveInto(prior, b, &f, worth(x, n), .4); err != nil {
				failed = err
			}
			s.Move(b, &fence)
			n++
		}
		timed(name, time.Microsecond, 50, update)
		allocations = max(allocations, testing.AllocsPerRun(100, update))
		for k := range prior.Components {
			if b.R[k] == 0 {
				return nil, fmt.Errorf("%s: kind %d is no longer probable, so it would cost less", name, k)
			}
		}
	}
	entries := episodes(xs)
	for name, lib := range map[string]fold.Library{"refold_1000_ms": nil, "refold_1000_k4_ms": fold.Fixed(four, nil, nil)} {
		timed(name, time.Millisecond, 1, func() {
			if _, err := fold.Of(entries, lib); err != nil {
				failed = err
			}
		})
	}
	s := step.New(policy.Neutral())
	b := s.Believe(four, new(step.Belief))
	lo, hi := policy.Traits{}, policy.Traits{1, 1, 1, 1, 1, 1, 1, 1}
	r := policy.NewStream([32]byte{1, 8: 2, 16: 3})
	var centres [policy.DefaultCentres]policy.Traits
	timed("centres_us", time.Microsecond, 20, func() { b.Centres(&s.Theta, &lo, &hi, &r, &centres) })
	mixture := policy.NewMixture(s.Theta, centres[:], policy.Exploration{Epsilon: 1, Strategy: policy.StrategyMixture}, nil, 0)
	key := [32]byte{24: 1}
	draw := func() {
		key[0]++
		key[9] += 3
		x, free := mixture.Draw(key)
		mixture.LogDensity(x, free)
	}
	timed("draw_us", time.Microsecond, 50, draw)
	m["allocations"] = max(allocations, testing.AllocsPerRun(100, draw))
	return m, failed
}

// fourKinds is a prior of four kinds that differ so little that all stay probable,
// which costs most.
func fourKinds() (*step.Prior, error) {
	kinds := make([]step.Component, 4)
	for k := range kinds {
		c := &kinds[k]
		*c = step.DefaultPrior().Components[0]
		c.Weight = .25
		for j := range c.Slope {
			c.Mean[1+j] += .02 * float64((j+k)%4)
		}
		for i := 1; i < step.P; i++ { // full, as a refit leaves it
			for j := range i {
				c.Precision[i*(i+1)/2+j] = .1 * float64((i*j+k)%5-2)
			}
		}
	}
	return step.NewPrior(step.DefaultPrior().Noise, kinds)
}

// variations are levels around the middle.
func variations(n int) []policy.Traits {
	r := policy.NewStream([32]byte{7, 8: 7, 16: 7, 24: 7})
	for range 20 {
		r.Uint64()
	}
	xs := make([]policy.Traits, n)
	for i := range xs {
		for j := range xs[i] {
			xs[i][j] = .3 + .4*r.Float64()
		}
	}
	return xs
}

// worth is what an owner says of a variation, who likes a little more of some traits
// and less of others.
func worth(x *policy.Traits, n int) float64 {
	y := .9 + .4*(float64(n*7919%97)/97-.5)
	for j, v := range x {
		d := v - .4 - .2*float64(j%2)
		y -= 2 * d * d
	}
	return y
}

// episodes is the list of an agent with one session for each variation up to 1,000:
// engagement in all, a thumb in every second, a rating in every fifth, a guest in
// every third.
func episodes(xs []policy.Traits) []*fold.Entry {
	entries := make([]*fold.Entry, 1000)
	for i := range entries {
		at := event.Micros(1_700_000_000_000_000 + int64(i)*3_600_000_000)
		id := func(what string) string { return event.HashID("learner-cost", fmt.Sprint(what, i)) }
		e := &fold.Entry{At: at, ID: id("episode"), About: fold.Episode{Decided: true, DecidedAt: at, Decision: id("decision"), Rendered: xs[i%len(xs)], Consent: true}}
		y := worth(&e.About.Rendered, i)
		say := func(source fusion.Source, rater string, owner bool, value float64) {
			e.About.Put(fold.Contribution{Feedback: id(rater + fmt.Sprint(source)), Rater: rater, At: at, Owner: owner, Source: source, Value: value, Share: 1})
		}
		say(fusion.Engagement, "owner", true, .65+.1*(y-.7))
		if i%2 == 0 {
			say(fusion.OwnerThumb, "owner", true, []float64{-1, 1}[min(1, int(max(0, 2*y)))])
		}
		if i%5 == 0 {
			say(fusion.OwnerRating, "owner", true, min(1, max(-1, y)))
		}
		if i%3 == 0 {
			say(fusion.Guest, fmt.Sprint("guest", i%20), false, []float64{-1, 1}[min(1, int(max(0, 2*y)))])
		}
		entries[i] = e
	}
	return entries
}
