package fusion

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// One behaviour counts fully, to the bit; many of one talk never for more than 4/3 of
// the strongest, more of them never for less, and the estimate stays their mean.
func TestShownTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := Defaults()
		var s Shown
		var plain Evidence
		if s.Together() != (Evidence{}) {
			rt.Fatal("nothing was shown")
		}
		most, before := 0., 0.
		for n := range rapid.IntRange(1, 60).Draw(rt, "signals") {
			e := l.Of(rapid.SampledFrom([]Source{Engagement, Reply, Sentiment, Slow, Abandoned}).Draw(rt, "source"), rapid.Float64Range(-1, 1).Draw(rt, "value"), rapid.Float64Range(.01, 1).Draw(rt, "share"))
			s.Add(e)
			plain.Add(e)
			most = max(most, e.Pi)
			got := s.Together()
			if n == 0 && got != e {
				rt.Fatalf("a single signal of %v counts %v", e, got)
			}
			if got.Pi > 4./3*most+1e-12 || got.Pi > plain.Pi+1e-12 || got.Pi < before-1e-12 {
				rt.Fatalf("%d signals, strongest %v, sum %v: %v after %v", n+1, most, plain.Pi, got.Pi, before)
			}
			if math.Abs(got.Num/got.Pi-plain.Num/plain.Pi) > 1e-9 {
				rt.Fatal("the estimate moved")
			}
			before = got.Pi
		}
	})
}

// A talk full of weak signals is worth less than a twentieth of one rating.
func TestATalkIsWorthLittle(t *testing.T) {
	t.Parallel()
	l := Defaults()
	var s Shown
	for src := Engagement; src < NSources; src++ {
		if src.Behavioural() && src != Behaviour {
			for range 50 {
				s.Add(l.Of(src, 1, 1))
			}
		}
		if info := l.information(src); src.Behavioural() && src != Behaviour && info > .02 {
			t.Errorf("source %d brings %.3f of a rating by default", src, info)
		}
		if v := l[src].V; v < src.Usual() {
			t.Errorf("source %d: less noise (%v) than its detector states (%v)", src, v, src.Usual())
		}
	}
	if n := l.Ratings(s.Together().Pi); n > .05 {
		t.Errorf("%.3f ratings", n)
	}
}

func TestNoisyValuesWeighLess(t *testing.T) {
	t.Parallel()
	l := Defaults()
	usual, plain := l.OfNoisy(Sentiment, .5, 1, 0), l.Of(Sentiment, .5, 1)
	if usual != plain {
		t.Error("the usual noise is not the usual noise")
	}
	clear, noisy, perfect := l.OfNoisy(Sentiment, .5, 1, -.075), l.OfNoisy(Sentiment, .5, 1, .5), l.OfNoisy(Sentiment, .5, 1, -1)
	if !(noisy.Pi < plain.Pi && plain.Pi < clear.Pi && clear.Pi <= perfect.Pi && perfect.Pi <= 2*plain.Pi+1e-12) || math.Abs(clear.Num/clear.Pi-plain.Num/plain.Pi) > 1e-12 {
		t.Errorf("%v %v %v %v", noisy, plain, clear, perfect)
	}
	if want := plain.Pi * .2 / .7; math.Abs(noisy.Pi-want) > 1e-12 {
		t.Errorf("%v, want %v", noisy.Pi, want)
	}
}

// In a world where asking on follows from satisfaction and calling by name from
// nothing, the first is learned to tell something and the second next to nothing; values
// between do as well.
func TestDetectorsAreLearned(t *testing.T) {
	t.Parallel()
	all := lives(7, 600, 200)
	r := rand.New(rand.NewPCG(7, 7))
	for i := range all {
		t := &all[i]
		if r.Float64() < 1/(1+math.Exp(-(t.u-.7)/.1)) {
			t.values = append(t.values, Value{FollowUp, 1})
		}
		if r.Float64() < .2 {
			t.values = append(t.values, Value{Tag, 1})
		}
		t.values = append(t.values, Value{Sentiment, min(1, max(-1, .4*(t.u-.7)+.3*r.NormFloat64()))})
		t.values = Marked(t.values)
	}
	l, report, err := Calibrate(momentsOf(t, all))
	if err != nil {
		t.Fatal(err)
	}
	d := Defaults()
	if l[FollowUp].B < 2*d[FollowUp].B || report.Sources[FollowUp].Information < 3*d.information(FollowUp) {
		t.Errorf("asking on: %+v %+v", l[FollowUp], report.Sources[FollowUp])
	}
	if report.Sources[Tag].Information > d.information(Tag)/2 {
		t.Errorf("calling by name: %+v %+v", l[Tag], report.Sources[Tag])
	}
	if l[Sentiment].B < 1.1*d[Sentiment].B {
		t.Errorf("sentiment: %+v %+v", l[Sentiment], report.Sources[Sentiment])
	}
	for s := Slow; s < EngagedRoom; s++ {
		if s.Mark() && report.Sources[s].Signals == 0 {
			t.Errorf("source %d: a mark that is not there was not seen", s)
		}
	}
	// What was there before is learned as before.
	plain := lives(7, 600, 200)
	was, _, err := Calibrate(momentsOf(t, plain))
	if err != nil {
		t.Fatal(err)
	}
	for s := range Behaviour {
		if was[s] != l[s] {
			t.Errorf("source %d: %+v, was %+v", s, l[s], was[s])
		}
	}
}
