package gym

import (
	"math"
	"reflect"
	"testing"

	"rapport/policy"
)

func TestASeedIsARun(t *testing.T) {
	t.Parallel()
	play := func(seed uint64) *Run {
		run, _ := Main().NewPopulation(seed).Play(0, 20, 12, Ours(Options{}))
		for i := range run.Agents {
			run.Agents[i].After50 = 0 // NaN without a jump
		}
		return run
	}
	if one, again := play(3), play(3); !reflect.DeepEqual(one, again) {
		t.Error("the same seed gave another run")
	}
	if reflect.DeepEqual(play(3), play(4)) {
		t.Error("another seed gave the same run")
	}
}

func TestOursLivesInEveryWorld(t *testing.T) {
	t.Parallel()
	for name, w := range worlds() {
		run, l := w.NewPopulation(8).Play(0, 16, 12, Ours(Options{}))
		if s := run.Summary(); !(s.Regret200 >= 0) || !(s.Final > 0 && s.Final <= 1) || len(run.Used) != 12 {
			t.Errorf("%s: %+v", name, s)
		}
		for i := range run.Agents {
			if x := l.Policy(i); !x.Valid() {
				t.Errorf("%s: agent %d has the levels %v", name, i, x)
			}
			if level, sd := l.(Believer).Ideal(i, policy.Humor); !(level >= 0 && level <= 1 && sd > 0) {
				t.Errorf("%s: agent %d's ideal is believed to be %v ± %v", name, i, level, sd)
			}
		}
	}
}

func TestLearningPaysAndTheNextCohortBeginsWithIt(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("80 agents, 60 sessions, twice")
	}
	p := Main().NewPopulation(12)
	first, l := p.Play(0, 80, 60, Ours(Options{}))
	second, _ := p.PlayNext(1, 80, 60, l.(Heir))
	still, _ := p.Play(0, 80, 60, Static)
	if d := Pair(still, first, Regret200); d.Mean-d.Half < 1 {
		t.Errorf("standing still costs %.1f ± %.1f more than learning", d.Mean, d.Half)
	}
	if a, b := first.RegretAt(20), second.RegretAt(20); b.Mean > a.Mean-.5 {
		t.Errorf("20 sessions cost the second cohort %.1f, the first %.1f", b.Mean, a.Mean)
	}
}

func TestSharesAndIntervals(t *testing.T) {
	t.Parallel()
	if s := Wilson(0, 100); s.Share != 0 || s.Lo != 0 || math.Abs(s.Hi-.037) > .001 {
		t.Errorf("none of a hundred: %+v", s)
	}
	if s := Wilson(30, 100); math.Abs(s.Lo-.219) > .001 || math.Abs(s.Hi-.396) > .001 {
		t.Errorf("thirty of a hundred: %+v", s)
	}
	for df, want := range map[int]float64{1: 12.706, 2: 4.303, 3: 3.182, 7: 2.365, 30: 2.042} {
		if got := student(df); math.Abs(got-want) > .01 {
			t.Errorf("Student's quantile of %d degrees is %v, want %v", df, got, want)
		}
	}
	run := &Run{Agents: []Agent{{Population: 0, Final: 1}, {Population: 0, Final: 3}, {Population: 1, Final: 6}, {Population: 1, Final: math.NaN()}}}
	final := func(a *Agent) float64 { return a.Final }
	if got := run.Of(final); math.Abs(got.Mean-10./3) > 1e-12 {
		t.Errorf("over agents %v", got)
	}
	if got := run.OfPopulations(final); got.Mean != 4 || math.Abs(got.Half-12.706*2) > .01 {
		t.Errorf("over populations %v", got)
	}
	if got := Pair(run, run, final); got.Mean != 0 || got.Half != 0 {
		t.Errorf("a run differs from itself by %v", got)
	}
}
