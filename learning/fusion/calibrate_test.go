package fusion

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// told is one session of the simulated world: its hidden satisfaction u and what was
// said.
type told struct {
	u      float64
	values []Value
}

// lives simulates agents as the design page on learning, chapter 1, says: owners with
// hidden tastes in eight traits, levels that come closer to them, a rating in a fifth
// of the sessions, thumbs by the owner or by strangers of whom a tenth always say no,
// an engagement in each session, now and then a review.
func lives(seed uint64, agents, sessions int) (all []told) {
	r := rand.New(rand.NewPCG(seed, 1))
	normal := func(sd float64) float64 { return sd * r.NormFloat64() }
	hostile, bias := make([]bool, 300), make([]float64, 300)
	for i := range hostile {
		hostile[i], bias[i] = r.Float64() < .1, normal(.06)
	}
	for range agents {
		var off, weight [8]float64
		sum := 0.
		for j := range off {
			off[j] = min(1, max(0, .1+.8*r.Float64()+normal(.12))) - .5
			weight[j] = .02 + .13*r.Float64()
			if r.Float64() < .45 {
				weight[j] = .5 + .7*r.Float64()
			}
			sum += weight[j]
		}
		strict, lean := normal(.06), normal(.08)
		for n := range sessions {
			left := max(.25, 1-1.2*float64(n)/float64(sessions)) // share of the distance
			u := 1.
			for j := range off {
				d := left*off[j] + normal(.08)
				u -= 5 * weight[j] / sum * d * d
			}
			t := told{u: min(1, max(0, u)) + normal(.08)}
			say := func(s Source, v float64) { t.values = append(t.values, Value{s, min(1, max(-1, v))}) }
			if r.Float64() < .2 {
				switch feel := t.u + strict + normal(.12); {
				case feel >= .85:
					say(OwnerRating, 1)
				case feel >= .62:
					say(OwnerRating, .5)
				case feel >= .40:
					say(OwnerRating, -.25)
				default:
					say(OwnerRating, -1)
				}
			}
			present := r.Float64() < .6
			for p, k := r.Float64(), 0; k < 3 && p > []float64{.6376, .9246, .9891}[k]; k++ { // Poisson(.45)
				feel, source, no := t.u+normal(.12), OwnerThumb, false
				if !present {
					who := r.IntN(300)
					feel, source, no = feel+bias[who], Guest, hostile[who]
				}
				if !no && r.Float64() < 1/(1+math.Exp(-(feel-.62)/.10)) {
					say(source, 1)
				} else {
					say(source, -1)
				}
			}
			say(Engagement, .66+lean+.15*(.3*(t.u-.7)/.2+.954*r.NormFloat64()))
			if r.Float64() < .04 {
				if hostile[r.IntN(300)] {
					say(Review, -1)
				} else {
					say(Review, 2*t.u-1+normal(.12))
				}
			}
			all = append(all, t)
		}
	}
	return all
}

func momentsOf(t testing.TB, all []told) *Moments {
	t.Helper()
	m := &Moments{}
	for _, s := range all {
		if err := m.Add(s.values); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// truth gives the loadings that somebody who knows u would find, by regression.
func truth(all []told) *Loadings {
	var n, su, suu, sv, svv, suv [NSources]float64
	for _, t := range all {
		for _, v := range t.values {
			s := v.Source
			n[s]++
			su[s] += t.u
			suu[s] += t.u * t.u
			sv[s] += v.Val
			svv[s] += v.Val * v.Val
			suv[s] += t.u * v.Val
		}
	}
	slope, at := [NSources]float64{}, [NSources]float64{}
	l := *Defaults()
	for s := range NSources {
		if n[s] == 0 {
			continue
		}
		cuu, cuv, cvv := suu[s]/n[s]-su[s]*su[s]/n[s]/n[s], suv[s]/n[s]-su[s]*sv[s]/n[s]/n[s], svv[s]/n[s]-sv[s]*sv[s]/n[s]/n[s]
		slope[s] = cuv / cuu
		at[s] = sv[s]/n[s] - slope[s]*su[s]/n[s]
		l[s].V = cvv - slope[s]*cuv
	}
	for s := range NSources {
		if n[s] > 0 {
			l[s].B = slope[s] / slope[OwnerRating]
			l[s].A = at[s] - l[s].B*at[OwnerRating]
		}
	}
	return &l
}

// The loadings of the simulated world come back from what can be seen: about those that
// regression on the hidden satisfaction gives (ratings and thumbs are steps, not lines,
// so that their covariance is more than their slopes explain), and the information that
// the design page reports.
func TestLoadingsOfTheSimulatedWorld(t *testing.T) {
	t.Parallel()
	all := lives(1, 600, 200)
	got, report, err := Calibrate(momentsOf(t, all))
	if err != nil {
		t.Fatal(err)
	}
	want := truth(all)
	for s, tolerance := range map[Source]float64{OwnerThumb: .10, Guest: .15, Engagement: .20, Review: .15} {
		if math.Abs(got[s].B/want[s].B-1) > tolerance {
			t.Errorf("source %d: slope %.3f, hidden %.3f", s, got[s].B, want[s].B)
		}
		if math.Abs(got[s].V/want[s].V-1) > 2*tolerance {
			t.Errorf("source %d: noise %.3f, hidden %.3f", s, got[s].V, want[s].V)
		}
		if math.Abs(got[s].A-want[s].A) > .1 {
			t.Errorf("source %d: offset %.3f, hidden %.3f", s, got[s].A, want[s].A)
		}
	}
	for s, want := range map[Source]float64{OwnerThumb: .16, Guest: .11, Engagement: .022} {
		if got := report.Sources[s].Information; math.Abs(got/want-1) > .4 {
			t.Errorf("source %d carries %.3f of an owner rating, the design page says %.3f", s, got, want)
		}
	}
	if b := got[Engagement].B; math.Abs(b-.092) > .02 {
		t.Errorf("the loading of an engagement is %.3f, the design page says .092", b)
	}
}

// loss is the variance of what a learner gets out of sessions with these loadings: for
// the slope of the weighted regression of y on the satisfaction that was hidden, the
// sandwich variance Σw²e²(u−ū)²/(Σw(u−ū)²)², relative to the slope squared.
func loss(l *Loadings, all []told) float64 {
	y, w := make([]float64, len(all)), make([]float64, len(all))
	var sw, su, sy float64
	for i, t := range all {
		var e Evidence
		for _, v := range t.values {
			e.Add(l.Of(v.Source, v.Val, 1))
		}
		y[i], w[i] = l.Fused(e)
		sw += w[i]
		su += w[i] * t.u
		sy += w[i] * y[i]
	}
	var suu, suy, see float64
	for i, t := range all {
		suu += w[i] * (t.u - su/sw) * (t.u - su/sw)
		suy += w[i] * (t.u - su/sw) * (y[i] - sy/sw)
	}
	slope := suy / suu
	for i, t := range all {
		e := w[i] * (y[i] - sy/sw - slope*(t.u-su/sw)) * (t.u - su/sw)
		see += e * e
	}
	return see / suu / suu / slope / slope
}

// With few data the learned loadings are the defaults or about as good, with many they
// are better. (The defaults were made for this world: who knows it gains 3 %.)
func TestCalibrationIsNeverHarmful(t *testing.T) {
	t.Parallel()
	held := lives(99, 100, 200)
	standard := loss(Defaults(), held)
	for _, size := range []struct{ agents, sessions, worlds int }{{10, 10, 20}, {10, 30, 20}, {20, 50, 20}, {100, 50, 10}, {300, 100, 2}} {
		worst, mean := 0., 0.
		for seed := range size.worlds {
			l, _, err := Calibrate(momentsOf(t, lives(uint64(seed), size.agents, size.sessions)))
			if err != nil && *l != *Defaults() {
				t.Fatal("a refusal did not give the defaults")
			}
			relative := loss(l, held)/standard - 1
			mean += relative / float64(size.worlds)
			worst = max(worst, relative)
		}
		if size.agents == 300 && mean > 0 {
			t.Errorf("much data make the loadings worse by %.2f %%", 100*mean)
		}
		t.Logf("%d agents × %d sessions: loss %+.2f %% on average, %+.2f %% at worst", size.agents, size.sessions, 100*mean, 100*worst)
		if mean > .02 || worst > .06 {
			t.Errorf("%d agents × %d sessions: the learned loadings lose %.2f %% on average, %.2f %% at worst", size.agents, size.sessions, 100*mean, 100*worst)
		}
	}
}

// Sums are the same in any order and partition, and what is removed was never there.
func TestMomentsForget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))
		all := lives(r.Uint64(), 2, 20)
		want := momentsOf(t, all).Append(nil)
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		cut := r.IntN(len(all))
		a, b, gone := momentsOf(t, all[:cut]), momentsOf(t, all[cut:]), lives(r.Uint64(), 1, 10)
		a.Merge(b)
		a.Merge(momentsOf(t, gone))
		for _, s := range gone {
			if err := a.Remove(s.values); err != nil {
				rt.Fatal(err)
			}
		}
		if !bytes.Equal(a.Append(nil), want) {
			rt.Fatal("order, partition or what was withdrawn shows")
		}
		a.Subtract(b)
		if !bytes.Equal(a.Append(nil), momentsOf(t, all[:cut]).Append(nil)) {
			rt.Fatal("a partition that was taken away shows")
		}
		var back Moments
		if !back.Read(want) || !bytes.Equal(back.Append(nil), want) || back.Read(want[:len(want)-1]) {
			rt.Fatal("the bytes are not those that were written")
		}
	})
}

func TestBadSignalsChangeNothing(t *testing.T) {
	t.Parallel()
	var m Moments
	for _, bad := range []Value{{OwnerRating, math.NaN()}, {OwnerRating, math.Inf(1)}, {Guest, -1.01}, {NSources, 0}} {
		if err := m.Add([]Value{{OwnerThumb, 1}, bad}); !errors.Is(err, ErrValue) {
			t.Errorf("%v: error %v", bad, err)
		}
	}
	if m != (Moments{}) {
		t.Error("a refused session left something")
	}
}

func TestUnusableMomentsKeepTheDefaults(t *testing.T) {
	t.Parallel()
	noise := func(reverse bool) *Moments {
		m, r := &Moments{}, rand.New(rand.NewPCG(3, 3))
		for range 2000 {
			mood := r.NormFloat64()
			say := func(s Source, by float64) Value {
				return Value{s, min(1, max(-1, .3*by*mood+.3*r.NormFloat64()))}
			}
			eng := 0.
			if reverse {
				eng = -1
			}
			if err := m.Add([]Value{say(OwnerRating, 1), say(OwnerThumb, 1), say(Engagement, eng)}); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	silent, constant := &Moments{}, &Moments{}
	for i := range 100 {
		v := float64(i%3 - 1)
		_ = silent.Add([]Value{{OwnerRating, v}, {OwnerThumb, v}})
		_ = constant.Add([]Value{{OwnerRating, 1}, {OwnerThumb, v}, {Engagement, .5}})
	}
	for _, c := range []struct {
		name   string
		m      *Moments
		reason string
	}{
		{"engagement that knows nothing", noise(false), "rating and engagement"},
		{"engagement of the wrong sign", noise(true), "rating and engagement"},
		{"no engagement", silent, "source 3 do not vary"},
		{"a rating that never changes", constant, "source 0 do not vary"},
	} {
		l, _, err := Calibrate(c.m)
		if !errors.Is(err, ErrMoments) || !strings.Contains(err.Error(), c.reason) || *l != *Defaults() {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if l, _, err := Calibrate(&Moments{}); err != nil || *l != *Defaults() {
		t.Errorf("nothing said: %v", err)
	}
}

// Guests who say the opposite get next to no weight, never a negative one.
func TestContraryGuestsAreClamped(t *testing.T) {
	t.Parallel()
	all := lives(2, 300, 200)
	for i := range all {
		for k, v := range all[i].values {
			if v.Source == Guest {
				all[i].values[k].Val = -v.Val
			}
		}
	}
	l, report, err := Calibrate(momentsOf(t, all))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(report.Sources[Guest].Note, "clamped") || report.Sources[Guest].Information > .05 || l[Guest].B <= 0 {
		t.Errorf("guests: %+v, %+v", l[Guest], report.Sources[Guest])
	}
}

// Whatever the moments, loadings can be used: positive slopes and noises.
func TestLoadingsAreAlwaysSound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 4))
		var m Moments
		var load, own [NSources]float64
		for s := range load {
			load[s], own[s] = 2*r.Float64()-.5, r.Float64()
		}
		for range rapid.IntRange(0, 400).Draw(rt, "sessions") {
			mood := r.NormFloat64()
			var values []Value
			for s := range NSources {
				if r.Float64() < .7 {
					values = append(values, Value{s, min(1, max(-1, load[s]*mood+own[s]*r.NormFloat64()))})
				}
			}
			if err := m.Add(values); err != nil {
				rt.Fatal(err)
			}
		}
		l, _, _ := Calibrate(&m)
		var back Loadings
		if b := l.Append(nil); !back.Read(b) || back != *l || back.Read(b[1:]) {
			rt.Fatalf("unsound loadings %+v", l)
		}
		limited := m.Limited(50)
		for s := range NSources {
			if limited.Count(s) > 50 {
				rt.Fatalf("limited to %d", limited.Count(s))
			}
		}
	})
}
