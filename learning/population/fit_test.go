package population

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/learning/step"
	"rapport/policy"
)

// said is everything a result says, as bytes.
func said(t *testing.T, r *Result) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mustFit(t *testing.T, agents []Statistics, previous *Version) *Result {
	t.Helper()
	r, err := Fit(agents, previous, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := step.NewPrior(r.Version.Prior.Noise, r.Version.Prior.Components); err != nil {
		t.Fatal(err)
	}
	return r
}

// Four planted kinds come back within .08 of their centres, root mean square over the
// traits that matter to them.
func TestPlantedKindsComeBack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several refits")
	}
	for seed := range uint64(2) {
		w := newWorld(seed, 4)
		agents, _ := w.agents(400, 200)
		r := mustFit(t, agents, nil)
		if r.Report.K != 4 || len(r.Version.Archetypes) != 4 {
			t.Fatalf("world %d: %d kinds found, want 4: %+v", seed, r.Report.K, r.Report)
		}
		all := 0.
		for _, q := range w.kinds {
			nearest := math.Inf(1)
			for _, a := range r.Version.Archetypes {
				off, n := 0., 0.
				for j := range q.ideal {
					if q.weight[j] >= .5 {
						off += (a.Centre[j] - q.ideal[j]) * (a.Centre[j] - q.ideal[j])
						n++
					}
				}
				nearest = min(nearest, off/n)
			}
			all += nearest / 4
		}
		if math.Sqrt(all) > .08 {
			t.Errorf("world %d: kinds came back %.3f away", seed, math.Sqrt(all))
		}
		if e := r.Report.Evidence; !(e[4].Mean > e[2].Mean && e[2].Mean > e[1].Mean && e[1].Mean > 0) {
			t.Errorf("world %d: evidence %v", seed, e)
		}
	}
}

// In a population where everybody is a kind of their own, the K that is chosen is
// not worse than one kind for owners who were never seen.
func TestNoKindsFoundWhereThereAreNone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several refits")
	}
	gain, four := 0., 0
	for seed := range uint64(3) {
		w := newWorld(seed+100, 0)
		all, _ := w.agents(500, 60)
		r := mustFit(t, all[:250], nil)
		held, _ := admit(all[250:], 1, &Report{})
		c := newCohort(held)
		one := newModel(mustFitOne(t, all[:250]))
		chosen, alone := c.logLiks(newModel(r.Version.Prior)), c.logLiks(one)
		for i := range held {
			gain += (chosen[i] - alone[i]) / float64(len(held))
		}
		if r.Report.K == 4 {
			four++
		}
	}
	if gain/3 < -.02 {
		t.Errorf("the chosen K predicts new owners worse than one kind by %.3f nats each", -gain/3)
	}
	if four > 0 {
		t.Errorf("four kinds were found in %d of 3 populations without any", four)
	}
}

func mustFitOne(t *testing.T, all []Statistics) *step.Prior {
	t.Helper()
	agents, _ := admit(all, 1, &Report{})
	return newCohort(agents).fit([]int{1}, 1)[1].prior()
}

func TestOrderPartitionAndDuplicatesDoNotMatter(t *testing.T) {
	t.Parallel()
	all, _ := newWorld(5, 4).agents(150, 60)
	for i := range all {
		all[i].Owner = fmt.Sprint("owner-", i/2) // some own two
	}
	want := said(t, mustFit(t, all, nil))
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 0))
		mixed := slices.Clone(all)
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		cut := r.IntN(len(mixed))
		older := mixed[7] // a partition that moved shows an agent twice
		older.N, older.S[0] = older.N-1, older.S[0]+1
		merged := append(append(slices.Clone(mixed[cut:]), older), mixed[:cut+20]...)
		if got := said(t, mustFit(t, merged, nil)); got != want {
			t.Fatal("another order, partition or an agent given twice gives another result")
		}
	}
	before := runtime.GOMAXPROCS(1)
	got := said(t, mustFit(t, all, nil))
	runtime.GOMAXPROCS(before)
	if got != want {
		t.Error("another number of processors gives another result")
	}
}

// difference is the largest difference between two priors with as many components,
// each with the nearest one: of means in prior standard deviations, of weights, of log
// precisions.
func difference(t *testing.T, a, b *step.Prior) float64 {
	t.Helper()
	if len(a.Components) != len(b.Components) {
		t.Fatalf("%d components against %d", len(a.Components), len(b.Components))
	}
	out := math.Abs(math.Log(a.Noise / b.Noise))
	for k := range a.Components {
		x, y := &a.Components[k], &b.Components[0]
		for o := range b.Components {
			if apart(&x.Mean, &b.Components[o].Mean) < apart(&x.Mean, &y.Mean) {
				y = &b.Components[o]
			}
		}
		out = max(out, math.Abs(x.Weight-y.Weight))
		for i := range p {
			d := row(i) + i
			out = max(out, math.Abs(x.Mean[i]-y.Mean[i])*math.Sqrt(x.Precision[d]))
			out = max(out, math.Abs(math.Log(x.Precision[d]/y.Precision[d])))
		}
	}
	return out
}

func TestOneOwnerIsOneVote(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several refits")
	}
	all, _ := newWorld(6, 4).agents(60, 60)
	one := mustFit(t, all, nil)
	crowd := slices.Clone(all)
	for i := range 1000 { // of the first owner
		twin := all[0]
		twin.Agent = fmt.Sprint("twin-", i)
		crowd = append(crowd, twin)
	}
	many := mustFit(t, crowd, nil)
	if d := difference(t, one.Version.Prior, many.Version.Prior); d > 1e-6 {
		t.Errorf("a thousand equal agents of one owner change the prior by %v", d)
	}
	if many.Report.Agents != 1060 || many.Report.Owners != 60 {
		t.Errorf("counted %d agents of %d owners", many.Report.Agents, many.Report.Owners)
	}
}

// The most that an attacker can say within what is admitted: two hundred agents of one
// owner with perfectly sure, absurd tastes.
func TestOneOwnerCannotMoveThePrior(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several refits")
	}
	all, _ := newWorld(1, 4).agents(200, 60)
	honest := mustFit(t, all, nil)
	var liar Statistics
	liar.Start = policy.Neutral()
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		var x policy.Traits
		for j := range x {
			x[j] = r.Float64()
		}
		y := -2.5 // loves sarcasm without end and nothing else
		if x[policy.Sarcasm] > .9 {
			y = 2.5
		}
		liar.observe(&x, y, 3)
	}
	for i := range liar.S { // as sure as can be
		liar.S[i] *= 1e6
	}
	for i := range liar.H {
		liar.H[i] *= 1e6
	}
	liar.YY, liar.N = liar.YY*1e6, liar.N*1e6
	attacked := slices.Clone(all)
	for i := range 200 {
		liar.Agent, liar.Owner = fmt.Sprint("liar-", i), "liar"
		attacked = append(attacked, liar)
	}
	moved := mustFit(t, attacked, nil)
	if moved.Report.Agents != 400 {
		t.Fatalf("the attack was not admitted: %+v", moved.Report)
	}
	for k, c := range honest.Version.Prior.Components {
		nearest := math.Inf(1)
		for o := range moved.Version.Prior.Components {
			nearest = min(nearest, apart(&c.Mean, &moved.Version.Prior.Components[o].Mean))
		}
		if most := 4 / (c.Weight * 200); nearest > most {
			t.Errorf("one owner of 201 moves kind %d by %.3f, more than %.3f", k, nearest, most)
		}
	}
}

func TestUnusableStatisticsAreRefusedOneByOne(t *testing.T) {
	t.Parallel()
	all, _ := newWorld(8, 4).agents(60, 40)
	want := mustFit(t, all[6:], nil)
	all[0].H[3] = math.NaN()
	all[1].YY = math.Inf(1)
	all[2].Start[0] = 1.5
	all[3].S[row(4)+4] = -1
	all[4].H[0] *= 100
	all[5].YY *= 1e3
	got := mustFit(t, all, nil)
	if diff := cmp.Diff(map[string]int{reasonNumber: 2, reasonStart: 1, reasonNegative: 1, reasonMismatch: 1, reasonReward: 1}, got.Report.Refused); diff != "" {
		t.Error(diff)
	}
	got.Report.Refused = want.Report.Refused
	if said(t, got) != said(t, want) {
		t.Error("unusable statistics changed the prior")
	}
	indefinite := all[10]
	indefinite.S[row(5)+2] = 1e4
	if reason := indefinite.unsound(); reason != reasonSquares {
		t.Errorf("an indefinite S: %q", reason)
	}
}

// A singular S is what an agent has that never varied a trait, and what every young
// agent has: it counts.
func TestSingularStatisticsCount(t *testing.T) {
	t.Parallel()
	var all []Statistics
	for i := range 40 {
		s := Statistics{Agent: fmt.Sprint(i), Owner: fmt.Sprint(i), Start: policy.Neutral()}
		x := policy.Neutral()
		for range 5 {
			s.observe(&x, 1, .5)
		}
		all = append(all, s)
	}
	r := mustFit(t, all, nil)
	if r.Report.Agents != 40 || len(r.Report.Refused) != 0 {
		t.Errorf("report %+v", r.Report)
	}
	if r.Report.K > 0 && math.Abs(r.Version.Prior.Components[0].Mean[0]-1) > .2 {
		t.Errorf("everybody says 1 at the middle, the prior says %.2f", r.Version.Prior.Components[0].Mean[0])
	}
}

func TestRefusalsKeepThePreviousVersion(t *testing.T) {
	t.Parallel()
	all, _ := newWorld(9, 4).agents(200, 60)
	good := mustFit(t, all, nil).Version
	other := good
	other.Formula++
	mine := slices.Clone(all)
	for i := range mine {
		mine[i].Owner = "me"
	}
	broken := slices.Clone(all)
	for i := range 60 {
		broken[i].YY = math.NaN()
	}
	thin := slices.Clone(all)
	for i := range thin {
		thin[i].N = 2
	}
	// everybody likes the same all at once
	same := slices.Clone(all)
	for i := range same {
		same[i] = all[0]
		same[i].Agent, same[i].Owner = fmt.Sprint(i), fmt.Sprint(i)
	}
	for _, c := range []struct {
		name     string
		agents   []Statistics
		previous *Version
		want     error
		reason   string
	}{
		{"no agents", nil, &good, ErrEmpty, "0 given"},
		{"agents without evidence", thin, &good, ErrEmpty, "200 with fewer than 3"},
		{"one owner has all", mine, &good, ErrThin, "1 owners"},
		{"a lost partition", all[:10], &good, ErrThin, "10 owners"},
		{"numbers that are none", broken, &good, ErrUnsound, "30 %"},
		{"another formula", all, &other, ErrFormula, fmt.Sprintf("%d, not %d", Formula+1, Formula)},
		{"everybody is alike", same, &good, ErrCollapse, "instead of"},
	} {
		r, err := Fit(c.agents, c.previous, 1)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.reason) {
			t.Errorf("%s: error %v, want %v with %q", c.name, err, c.want, c.reason)
			continue
		}
		if !r.Version.Prior.Equal(c.previous.Prior) || !slices.Equal(r.Version.Archetypes, c.previous.Archetypes) {
			t.Errorf("%s: the previous version was not kept", c.name)
		}
	}
	if r, err := Fit(mine, nil, 1); err != nil || r.Report.K != 0 || !r.Version.Prior.Equal(step.DefaultPrior()) || len(r.Report.Candidates) == 0 {
		t.Errorf("one owner without a previous version: %v %+v", err, r.Report)
	}
}

// An archetype has at least 20 agents of at least 10 owners.
func TestSmallArchetypesFall(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several refits")
	}
	all, kinds := newWorld(1, 4).agents(400, 60)
	var some []Statistics
	rare := 0
	for i, s := range all {
		if kinds[i] == 3 {
			if rare++; rare > 12 {
				continue
			}
		}
		some = append(some, s)
	}
	r := mustFit(t, some, nil)
	for _, a := range r.Version.Archetypes {
		if a.Agents < minAgents || a.Owners < minOwners {
			t.Errorf("archetype %+v", a)
		}
	}
	// few owners with many agents each
	few := slices.Clone(all)
	for i := range few {
		few[i].Owner = fmt.Sprint(i % 17)
	}
	r = mustFit(t, few, nil)
	if r.Report.K > 1 {
		t.Errorf("%d kinds of 17 owners", r.Report.K)
	}
}

// Where owners start does not change what they like best: a kind that likes .8 of a
// trait is described so wherever its agents start.
func TestCentresDoNotDependOnTheStart(t *testing.T) {
	t.Parallel()
	var like taste
	for j := range like.ideal {
		like.ideal[j], like.weight[j] = .5, .6
	}
	like.ideal[policy.Humor], like.ideal[policy.Brevity] = .8, .2
	for _, start := range []float64{.5, .65} {
		var all []Statistics
		for i := range 100 {
			r := streamOf(21, uint64(i))
			s := Statistics{Agent: fmt.Sprint(i), Owner: fmt.Sprint(i)}
			for j := range s.Start {
				s.Start[j] = start
			}
			for range 80 {
				x := s.Start
				for j := range x {
					x[j] += .12 * r.Normal()
				}
				z := x // levels as seen from the start
				for j := range z {
					z[j] += .5 - start
				}
				s.observe(&z, 2.6*(like.satisfaction(&x)-.65)+.5*r.Normal(), .4)
			}
			all = append(all, s)
		}
		version := mustFit(t, all, nil).Version
		if len(version.Archetypes) == 0 {
			t.Errorf("started at %.2f: nothing emerged", start)
		}
		for _, a := range version.Archetypes {
			for j, c := range a.Centre {
				if math.Abs(c-like.ideal[j]) > .1 {
					t.Errorf("started at %.2f, trait %d: centre %.2f, want %.2f", start, j, c, like.ideal[j])
				}
			}
			if !strings.Contains(a.Description, "funny") || !strings.Contains(a.Description, "talkative") {
				t.Errorf("started at %.2f: %q", start, a.Description)
			}
		}
	}
}

// Refits of a population that grows keep the ids of the archetypes; what has gone is
// retired and its id is never given again.
func TestArchetypesKeepTheirIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(1, 4)
	all, _ := w.agents(500, 60)
	first := mustFit(t, all[:300], nil)
	if first.Report.K != 4 {
		t.Fatalf("%d kinds", first.Report.K)
	}
	second := mustFit(t, all[100:], &first.Version)
	if second.Report.K != 4 || len(second.Report.Retired) != 0 || second.Version.NextID != 5 {
		t.Fatalf("second refit: %d kinds, retired %v, next id %d", second.Report.K, second.Report.Retired, second.Version.NextID)
	}
	was, now := first.Version.tastes(), second.Version.tastes()
	for k := range was {
		if second.Version.Archetypes[k].ID != first.Version.Archetypes[k].ID || first.Version.Archetypes[k].ID != k+1 {
			t.Errorf("ids %d and %d at place %d", first.Version.Archetypes[k].ID, second.Version.Archetypes[k].ID, k)
		}
		for o := range now {
			if o != k && apart(&was[k], &now[o]) < apart(&was[k], &now[k]) {
				t.Errorf("archetype %d continues another one", k+1)
			}
		}
	}
	others, _ := newWorld(2, 4).agents(300, 60)
	third := mustFit(t, others, &second.Version)
	for _, a := range third.Version.Archetypes {
		if slices.Contains(third.Report.Retired, a.ID) {
			t.Errorf("archetype %d is retired and there", a.ID)
		}
	}
	if len(third.Report.Retired) == 0 || third.Version.NextID <= second.Version.NextID {
		t.Errorf("other people: retired %v, next id %d", third.Report.Retired, third.Version.NextID)
	}
}

func TestDescriptions(t *testing.T) {
	t.Parallel()
	var taste vector
	set := func(trait policy.Trait, ideal, weight float64) {
		taste[1+trait], taste[1+dims+trait] = weight/2*(2*ideal-1), -weight/4
	}
	if got := inWords(&taste); got != "likes the middle of everything" {
		t.Errorf("no taste: %q", got)
	}
	set(policy.Brevity, .9, 2)
	set(policy.Directness, .8, 2)
	set(policy.Curiosity, .25, 1.5)
	set(policy.Humor, .52, 3)
	set(policy.Empathy, .9, .1)
	if got := inWords(&taste); got != "brief, direct, little small talk" {
		t.Errorf("%q", got)
	}
}

// The start is a covariate: how much more of a trait owners like who start with more
// of it is learned.
func TestSlopeIsLearned(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several refits")
	}
	before := step.DefaultPrior().Components[0].Slope[0]
	slope := before + .55
	var all []Statistics
	for i := range 300 {
		r := streamOf(11, uint64(i))
		s := Statistics{Agent: fmt.Sprint(i), Owner: fmt.Sprint(i)}
		var beta vector
		for j := range dims {
			s.Start[j] = .2 + .6*r.Float64()
			beta[1+j] = slope*(2*s.Start[j]-1) + .1*r.Normal()
			beta[1+dims+j] = -.4 + .1*r.Normal()
		}
		for range 60 {
			x := s.Start
			for j := range x {
				x[j] = min(1, max(0, x[j]+.09*r.Normal()))
			}
			f := features(&x)
			s.observe(&x, dot(&f, &beta)+.7*r.Normal(), .3)
		}
		all = append(all, s)
	}
	r := mustFit(t, all, nil)
	for j, g := range r.Version.Prior.Components[0].Slope {
		if way := (g - before) / (slope - before); way < .25 || way > 1.2 { // the iterations stop on the way
			t.Errorf("trait %d: slope %.2f, want about %.2f", j, g, slope)
		}
	}
}
