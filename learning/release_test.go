package learning

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sequential"
	"rapport/internal/sqldb"
	"rapport/learning/evaluate"
	"rapport/learning/population"
	"rapport/learning/step"
	"rapport/policy"
)

// tryouts are sessions of agents around the middle whose owners like more humor.
type tryouts struct{ asked int }

func (t *tryouts) Sessions(_ context.Context, agent event.AgentID) (out []evaluate.Session, err error) {
	t.asked++
	r := policy.NewStream(sha256.Sum256([]byte(agent)))
	for i := range 30 {
		m := policy.NewMixture(policy.Neutral(), []policy.Traits{policy.Neutral()}, policy.Exploration{Strategy: policy.StrategyMixture, Epsilon: 1}, nil, 0)
		x, free := m.Draw(sha256.Sum256(fmt.Appendf(nil, "%s %d", agent, i)))
		far := .9 - x[policy.Humor]
		out = append(out, evaluate.Session{Agent: string(agent), X: x, Free: free, LogDensity: m.LogDensity(x, free), Drawn: &m, Reward: 1 - 4*far*far + .2*r.Normal()})
	}
	return out, nil
}

const dawn = event.Micros(1_700_000_000_000_000) // when the stories begin

// canary is a bench on which a release of more humor is tried, of agents made for
// an archetype or with 0 for none.
func canary(t *testing.T, archetype int) (*bench, Release) {
	b := alone(t)
	b.s.o.Sessions = &tryouts{}
	if archetype != 0 {
		b.kinds(dawn, 20, 10) // too few for the job to propose anything
	}
	for i := range 20 {
		b.feed(Batch, newStory(fmt.Sprintf("old-%02d", i)).events...)
	}
	r, err := b.s.ProposeRelease(t.Context(), archetype, map[string]float64{"humor": .55}, dawn)
	if err != nil || r.Archetype != archetype || r.Stage != evaluate.InShadow || len(r.To) != 1 || r.To["humor"] != .55 || r.From["humor"] != .5 {
		t.Fatalf("%+v, %v", r, err)
	}
	if x, err := b.s.DefaultStart(t.Context(), "early", "early", archetype, 0, dawn); err != nil || x != policy.Neutral() {
		t.Fatalf("in the shadow somebody gets %v, %v", x, err)
	}
	run, err := b.s.RunJob(t.Context(), "release", dawn+1)
	if err != nil || run.Outcome != RunChanged {
		t.Fatalf("%+v, %v", run, err)
	}
	r = b.newest()
	if r.Stage != evaluate.InCanary || r.Gate.Sessions != 20*youth {
		t.Fatalf("%+v", r)
	}
	return b, r
}

func (b *bench) newest() Release {
	b.t.Helper()
	all, err := b.s.Releases(context.Background())
	if err != nil || len(all) == 0 {
		b.t.Fatalf("%v, %v", all, err)
	}
	return all[0]
}

// owners lets n more owners make an agent, for an archetype or with 0 for none, and
// rate two talks, the levels by the side they fall on, and gives how many got the
// release.
func (b *bench) owners(archetype, from, n int, level func(got bool, r *policy.Stream) string) (got int) {
	b.t.Helper()
	var news []event.Event
	for i := from; i < from+n; i++ {
		s := newStory(fmt.Sprintf("fresh-%04d", i))
		x, err := b.s.DefaultStart(context.Background(), event.PersonID(s.owner), event.AgentID(s.agent), archetype, 0, s.now)
		if err != nil {
			b.t.Fatal(err)
		}
		with := x[policy.Humor] == .55
		if with {
			got++
		}
		r := policy.NewStream(sha256.Sum256([]byte(s.agent)))
		for range 2 {
			s.session(x)
			f := s.feedback(event.ChannelSession, 0)
			f.Level = level(with, &r)
			s.add(f)
		}
		news = append(news, s.events...)
	}
	b.feed(Batch, news...)
	return got
}

// likes gives levels: the higher the inclination, the better.
func likes(inclination float64, r *policy.Stream) string {
	switch u := r.Float64(); {
	case u < inclination/2:
		return "loved"
	case u < inclination:
		return "good"
	case u < inclination+(1-inclination)/2:
		return "meh"
	}
	return "not_great"
}

func (b *bench) stages() (out []string) {
	for _, e := range b.emitted() {
		if e.Type == (event.ReleaseUpdated{}).EventType() {
			p, err := event.As[event.ReleaseUpdated](e)
			if err != nil {
				b.t.Fatal(err)
			}
			out = append(out, p.Stage)
		}
	}
	return out
}

// A release that is worse comes back by itself, however good it looked in the
// shadow; every stage is told.
func TestAWorseReleaseIsReverted(t *testing.T) {
	t.Parallel()
	b, _ := canary(t, 0)
	nights, n := 0, 0
	for ; b.newest().Stage == evaluate.InCanary && n < 900; n += 60 {
		if got := b.owners(0, n, 60, func(got bool, r *policy.Stream) string {
			if got {
				return likes(.25, r)
			}
			return likes(.75, r)
		}); got < 12 || got > 48 {
			t.Fatalf("%d of 60 owners got it", got)
		}
		nights++
		if _, err := b.s.RunJob(t.Context(), "release", dawn+9*day+int64(nights)); err != nil {
			t.Fatal(err)
		}
	}
	r := b.newest()
	t.Logf("after %d owners: %s: %s", n, r.Stage, r.Reason)
	if r.Stage != evaluate.IsReverted || !strings.HasPrefix(r.Reason, "worse") || r.Better == nil || r.Better[1] >= 0 {
		t.Errorf("%+v", r)
	}
	if x, err := b.s.DefaultStart(t.Context(), "late", "late", 0, 0, dawn); err != nil || x != policy.Neutral() {
		t.Errorf("after the revert somebody gets %v, %v", x, err)
	}
	if got := strings.Join(b.stages(), " "); got != "shadow canary reverted" {
		t.Errorf("told %s", got)
	}
	if got := b.dump("rl_release_owners"); strings.Count(got, "\n") != 1 {
		t.Errorf("owners are kept\n%s", got)
	}
	if run, err := b.s.RunJob(t.Context(), "release", dawn+10*day); err != nil || run.Outcome != RunUnchanged || !strings.Contains(run.Note, "four weeks") {
		t.Errorf("%+v, %v", run, err)
	}
}

// One that changes nothing for anybody is not reverted, though it is looked at
// after every few owners.
func TestAnEqualReleaseStays(t *testing.T) {
	t.Parallel()
	b, _ := canary(t, 0)
	for n := 0; n < 400; n += 16 {
		b.owners(0, n, 16, func(_ bool, r *policy.Stream) string { return likes(.6, r) })
		run, err := b.s.RunJob(t.Context(), "release", dawn+9*day+int64(n))
		if err != nil {
			t.Fatal(err)
		}
		if b.newest().Stage == evaluate.IsReverted {
			t.Fatalf("reverted after %d owners: %s", n, run.Note)
		}
	}
	gone := newStory("fresh-0003")
	b.feed(Batch, gone.add(event.AgentRetired{AgentID: "fresh-0003"}))
	if _, err := b.s.RunJob(t.Context(), "release", dawn+9*day+1000); err != nil {
		t.Fatal(err)
	}
	if rows := b.dump("rl_release_owners"); strings.Contains(rows, "fresh-0003") || !strings.Contains(rows, "fresh-0004") {
		t.Error("an agent that is no more is still listed, or others are not")
	}
	if r := b.newest(); r.With+r.Without != 400 || r.Better == nil || r.Better[0] >= 0 || r.Better[1] <= 0 {
		t.Errorf("%+v %v", r, r.Better)
	}
}

// A better one is adopted: everybody who makes an agent then starts there, and the
// next release begins from it. An operator can take it back.
func TestABetterReleaseIsAdopted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b, r := canary(t, 0)
	for n := 0; b.newest().Stage == evaluate.InCanary && n < 900; n += 60 {
		b.owners(0, n, 60, func(got bool, r *policy.Stream) string {
			if got {
				return likes(.9, r)
			}
			return likes(.3, r)
		})
		if _, err := b.s.RunJob(ctx, "release", dawn+9*day+int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	if r = b.newest(); r.Stage != evaluate.IsAdopted {
		t.Fatalf("%+v", r)
	}
	for i := range 8 {
		id := fmt.Sprintf("later-%d", i)
		if x, err := b.s.DefaultStart(ctx, event.PersonID(id), event.AgentID(id), 0, 0, dawn); err != nil || x[policy.Humor] != .55 {
			t.Errorf("somebody starts at %v, %v", x, err)
		}
	}
	second, err := b.s.ProposeRelease(ctx, 0, map[string]float64{"humor": .6}, dawn+20*day)
	if err != nil || second.From["humor"] != .55 {
		t.Fatalf("%+v, %v", second, err)
	}
	if _, err := b.s.ProposeRelease(ctx, 0, map[string]float64{"brevity": .52}, dawn+20*day); !fault.Is(err, "release_open") {
		t.Errorf("two at once: %v", err)
	}
	for _, id := range []string{second.ID, r.ID} {
		if back, err := b.s.RevertRelease(ctx, id, dawn+21*day); err != nil || back.Stage != evaluate.IsReverted {
			t.Errorf("%+v, %v", back, err)
		}
	}
	if x, err := b.s.DefaultStart(ctx, "last", "last", 0, 0, dawn); err != nil || x != policy.Neutral() {
		t.Errorf("after all was reverted somebody gets %v, %v", x, err)
	}
	if _, err := b.s.RevertRelease(ctx, r.ID, dawn+22*day); !fault.Is(err, "release_over") {
		t.Errorf("twice: %v", err)
	}
	if _, err := b.s.RevertRelease(ctx, "nothing", dawn+22*day); !fault.Is(err, "release_unknown") {
		t.Errorf("one that is none: %v", err)
	}
}

// Releases that are refused, and owners who take no part.
func TestReleaseRefusals(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := alone(t)
	for code, levels := range map[string]map[string]float64{
		"release_refused": {"humor": .56}, "unknown_trait": {"nose": .5},
	} {
		if _, err := b.s.ProposeRelease(ctx, 0, levels, dawn); !fault.Is(err, code) {
			t.Errorf("%v: %v, want %s", levels, err, code)
		}
	}
	if _, err := b.s.ProposeRelease(ctx, 0, map[string]float64{"humor": .5}, dawn); !fault.Is(err, "release_refused") {
		t.Errorf("one that changes nothing: %v", err)
	}
	if all, err := b.s.Releases(ctx); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}

	c, _ := canary(t, 0)
	chosen := policy.MaskOf(policy.Humor)
	if x, err := c.s.DefaultStart(ctx, "chooser", "chosen", 0, chosen, dawn); err != nil || x != policy.Neutral() {
		t.Errorf("%v, %v", x, err)
	}
	for i := range 12 { // the second agent of an owner starts like the first and counts no more
		owner := event.PersonID(fmt.Sprintf("owner-%d", i))
		first, err := c.s.DefaultStart(ctx, owner, event.AgentID(owner)+"-1", 0, 0, dawn)
		second, err2 := c.s.DefaultStart(ctx, owner, event.AgentID(owner)+"-2", 0, 0, dawn)
		if err != nil || err2 != nil || first != second {
			t.Errorf("%v %v, %v %v", first, second, err, err2)
		}
	}
	var rows int
	if err := c.s.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select count(*) from rl_release_owners`, nil, &rows)
		return err
	}); err != nil || rows != 12 {
		t.Errorf("%d owners take part, %v", rows, err)
	}
	// their agents were never made: nobody counts, and nobody is kept
	if run, err := c.s.RunJob(ctx, "release", dawn+20*day); err != nil || run.Outcome != RunUnchanged {
		t.Errorf("%+v, %v", run, err)
	}
	if got := c.dump("rl_release_owners"); strings.Count(got, "\n") != 1 {
		t.Errorf("owners without an agent are kept\n%s", got)
	}
	if run, err := c.s.RunJob(ctx, "release", dawn+200*day); err != nil || run.Outcome != RunChanged || c.newest().Stage != evaluate.IsReverted {
		t.Errorf("a canary that nobody decides: %+v, %v", run, err)
	}
}

// The job proposes what the prior expects to be better for those who say nothing,
// at most two traits by at most .05.
func TestBetterStart(t *testing.T) {
	t.Parallel()
	c := step.DefaultPrior().Components[0]
	c.Weight = 1
	for j, m := range [...]float64{.5, -.4, .3, 0, 0, 0, 0, 0} {
		c.Mean[1+j] = m
	}
	p, err := step.NewPrior(.2, []step.Component{c})
	if err != nil {
		t.Fatal(err)
	}
	to, gain := betterStart(p.Components, policy.Neutral())
	want := policy.Neutral()
	want[policy.Humor], want[policy.Empathy] = .55, .45
	if to != want || gain < .05 || gain > .1 {
		t.Errorf("%v, %v", to, gain)
	}
	high := policy.Neutral() // the best is half-way to the middle of where an owner starts
	high[policy.Humor] = .8
	if to, gain := betterStart(step.DefaultPrior().Components, high); to[policy.Humor] != .75 || math.Abs(gain-(.21*.1-.35*.01)) > 1e-9 {
		t.Errorf("from .8: %v, %v", to, gain)
	}
	if to, gain := betterStart(step.DefaultPrior().Components, policy.Neutral()); gain != 0 || to != policy.Neutral() {
		t.Errorf("a prior that knows nothing proposes %v, %v", to, gain)
	}
}

// Canaries of owners, looked at after each: one that changes nothing is as good as
// never reverted, one that is worse always is. With -v it prints after how many.
func TestCanariesOfOwners(t *testing.T) {
	t.Parallel()
	r := policy.NewStream([32]byte{7})
	for _, c := range []struct {
		worse          float64
		least, most    int // reverted, of 40
		adoptedAtMost  int
		ownersAtATrial int
	}{{0, 0, 2, 40, 3000}, {.1, 38, 40, 2, 4000}, {.2, 38, 40, 0, 3000}} {
		reverted, adopted := 0, 0
		var when []int
		for range 40 {
			k := sequential.NewCanary(canaryShare, -1, 1, .05)
			n := 0
			for ; n < c.ownersAtATrial && k.Decided == sequential.Keep; n++ {
				got, liking, mean := r.Float64() < canaryShare, .3+.25*r.Normal(), 0.
				if got {
					liking -= c.worse
				}
				for range firstTalks {
					mean += ratingOf(liking+.5*r.Normal()) / firstTalks
				}
				if _, err := k.Add(got, mean); err != nil {
					t.Fatal(err)
				}
			}
			switch k.Decided {
			case sequential.Revert:
				reverted++
				when = append(when, n)
			case sequential.Adopt:
				adopted++
			}
		}
		slices.Sort(when)
		median := 0
		if len(when) > 0 {
			median = when[len(when)/2]
		}
		t.Logf("worse by %.2f: of 40 canaries %d reverted (median after %d owners), %d adopted within %d", c.worse, reverted, median, adopted, c.ownersAtATrial)
		if reverted < c.least || reverted > c.most || adopted > c.adoptedAtMost {
			t.Errorf("worse by %.2f: %d reverted, %d adopted", c.worse, reverted, adopted)
		}
	}
}

// ratingOf is the level nearest to what somebody thinks.
func ratingOf(v float64) float64 {
	switch {
	case v >= .75:
		return 1
	case v >= .125:
		return .5
	case v >= -.625:
		return -.25
	}
	return -1
}

// The job proposes when the prior rests on enough people and knows better, and not
// before.
func TestTheJobProposes(t *testing.T) {
	t.Parallel()
	c := step.DefaultPrior().Components[0]
	c.Weight, c.Mean[1] = 1, .5
	prior, err := step.NewPrior(.2, []step.Component{c})
	if err != nil {
		t.Fatal(err)
	}
	b := alone(t)
	for i, people := range []struct{ agents, owners int }{{49, 40}, {60, 19}, {60, 40}} {
		v := population.Version{Formula: population.Formula, Prior: prior, NextID: 2,
			Archetypes: []population.Archetype{{ID: 1, Centre: policy.Neutral(), Start: policy.Neutral(), Share: 1, Agents: people.agents, Owners: people.owners}}}
		if _, err := b.s.Publish(t.Context(), dawn+int64(i), Prior{v}, ""); err != nil {
			t.Fatal(err)
		}
		run, err := b.s.RunJob(t.Context(), "release", dawn+int64(i))
		if want := map[bool]string{false: RunUnchanged, true: RunChanged}[i == 2]; err != nil || run.Outcome != want {
			t.Errorf("%+v: %+v, %v", people, run, err)
		}
	}
	if r := b.newest(); r.By != byJob || r.Stage != evaluate.InShadow || len(r.To) != 1 || r.To["humor"] != .55 {
		t.Errorf("%+v", r)
	}
	if run, err := b.s.RunJob(t.Context(), "release", dawn+9); err != nil || run.Outcome != RunUnchanged || !strings.HasPrefix(run.Note, "in the shadow: 0 sessions") {
		t.Errorf("%+v, %v", run, err)
	}
	if run, err := b.s.RunJob(t.Context(), "release", dawn+91*day); err != nil || run.Outcome != RunChanged || b.newest().Stage != evaluate.IsReverted {
		t.Errorf("a shadow that says nothing: %+v, %v", run, err)
	}
}
