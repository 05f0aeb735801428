package learning

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/learning/evaluate"
	"rapport/learning/population"
	"rapport/learning/step"
	"rapport/policy"
)

// kinds publishes a prior with two archetypes: owners of the first like more empathy,
// those of the second, of whom there are more, more humor.
func (b *bench) kinds(at event.Micros, agents, owners int) {
	b.t.Helper()
	components := []step.Component{step.DefaultPrior().Components[0], step.DefaultPrior().Components[0]}
	components[0].Weight, components[0].Mean[1+policy.Empathy] = .4, .5
	components[1].Weight, components[1].Mean[1+policy.Humor] = .6, .5
	prior, err := step.NewPrior(.2, components)
	if err != nil {
		b.t.Fatal(err)
	}
	v := population.Version{Formula: population.Formula, Prior: prior, NextID: 3}
	for k, share := range []float64{.4, .6} {
		v.Archetypes = append(v.Archetypes, population.Archetype{ID: k + 1, Description: "likes something", Centre: policy.Neutral(), Start: policy.Neutral(),
			Share: share, Agents: agents, Owners: owners})
	}
	if _, err := b.s.Publish(context.Background(), at, Prior{v}, ""); err != nil {
		b.t.Fatal(err)
	}
}

// The start of agents that are made for an archetype has the same gate: judged on
// agents whose owners are most probably of that kind, tried on owners who choose it,
// and reverted by itself when it is worse. Nobody else is touched, and a process that
// ends in the middle changes nothing.
func TestAWorseArchetypeIsReverted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b, r := canary(t, 2)
	if first, err := b.s.ProposeRelease(ctx, 1, map[string]float64{"humor": .55}, dawn); err != nil || first.Archetype != 1 {
		t.Fatalf("beside it, the other archetype: %+v, %v", first, err)
	}
	newest := func() Release {
		all, err := b.s.Releases(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all {
			if o.ID == r.ID {
				return o
			}
		}
		t.Fatal("it is gone")
		return r
	}
	n := 0
	for night := int64(1); newest().Stage == evaluate.InCanary && n < 900; n, night = n+60, night+1 {
		if got := b.owners(2, n, 60, func(got bool, r *policy.Stream) string {
			if got {
				return likes(.25, r)
			}
			return likes(.75, r)
		}); got < 12 || got > 48 {
			t.Fatalf("%d of 60 owners got it", got)
		}
		for _, archetype := range []int{0, 1} {
			if x, err := b.s.DefaultStart(ctx, event.PersonID(fmt.Sprintf("other-%d", n)), "other", archetype, 0, dawn); err != nil || x != policy.Neutral() {
				t.Fatalf("made for %d somebody gets %v, %v", archetype, x, err)
			}
		}
		o := b.s.o
		b.s = open(b.s.db) // another process
		b.s.o = o
		if run, err := b.s.RunJob(ctx, "release", dawn+9*day+night); err != nil || !strings.Contains(run.Note, "archetype 1: in the shadow") {
			t.Fatalf("%+v, %v", run, err)
		}
	}
	r = newest()
	t.Logf("after %d owners: %s: %s", n, r.Stage, r.Reason)
	if r.Stage != evaluate.IsReverted || !strings.HasPrefix(r.Reason, "worse") {
		t.Errorf("%+v", r)
	}
	if x, err := b.s.DefaultStart(ctx, "late", "late", 2, 0, dawn); err != nil || x != policy.Neutral() {
		t.Errorf("after the revert somebody gets %v, %v", x, err)
	}
	if got := b.dump("rl_release_owners"); strings.Count(got, "\n") != 1 {
		t.Errorf("owners are kept\n%s", got)
	}
}

// One that changes nothing for those who choose the archetype stays, and can be
// adopted: then it is where agents made for it start, and only they.
func TestAnEqualArchetypeStays(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b, _ := canary(t, 2)
	for n := 0; n < 300; n += 20 {
		b.owners(2, n, 20, func(_ bool, r *policy.Stream) string { return likes(.6, r) })
		o := b.s.o
		b.s = open(b.s.db) // another process
		b.s.o = o
		if _, err := b.s.RunJob(ctx, "release", dawn+9*day+int64(n)); err != nil {
			t.Fatal(err)
		}
		if r := b.newest(); r.Stage == evaluate.IsReverted {
			t.Fatalf("reverted after %d owners: %s", n, r.Reason)
		}
	}
	if r := b.newest(); r.With+r.Without != 300 {
		t.Errorf("%d and %d owners have counted of 300", r.With, r.Without)
	}
	for n := 300; b.newest().Stage == evaluate.InCanary && n < 900; n += 60 {
		b.owners(2, n, 60, func(got bool, r *policy.Stream) string {
			if got {
				return "loved"
			}
			return likes(.1, r)
		})
		if _, err := b.s.RunJob(ctx, "release", dawn+9*day+int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.newest(); r.Stage != evaluate.IsAdopted {
		t.Fatalf("%+v", r)
	}
	for archetype, want := range []float64{.5, .5, .55} {
		if x, err := b.s.DefaultStart(ctx, "later", "later", archetype, 0, dawn); err != nil || x[policy.Humor] != want {
			t.Errorf("made for %d somebody starts at %v, %v", archetype, x, err)
		}
	}
	shown, err := b.s.Archetypes(ctx)
	if err != nil || len(shown) != 2 || shown[0].Start["humor"] != .5 || shown[1].Start["humor"] != .55 {
		t.Errorf("%+v, %v", shown, err)
	}
	if next, err := b.s.ProposeRelease(ctx, 2, map[string]float64{"humor": .6}, dawn+20*day); err != nil || next.From["humor"] != .55 {
		t.Errorf("%+v, %v", next, err)
	}
	// a refit that does not find the kind any more ends what is under way
	if err := b.s.db.Write(ctx, func(tx *sqldb.Tx) error { _, err := tx.Exec(`delete from rl_parameters`); return err }); err != nil {
		t.Fatal(err)
	}
	if run, err := b.s.RunJob(ctx, "release", dawn+21*day); err != nil || b.newest().Stage != evaluate.IsReverted || !strings.Contains(run.Note, "does not find") {
		t.Errorf("%+v, %v", run, err)
	}
	for _, id := range []int{2, 7} {
		if _, err := b.s.DefaultStart(ctx, "late", "late", id, 0, dawn); !fault.Is(err, "archetype_unknown") {
			t.Errorf("made for %d, which is none: %v", id, err)
		}
	}
}

// The job proposes for each archetype what its own owners would like better, when
// enough of them are behind it, and beside what it proposes for all.
func TestTheJobProposesForArchetypes(t *testing.T) {
	t.Parallel()
	b := alone(t)
	b.kinds(dawn, 60, 40)
	if run, err := b.s.RunJob(t.Context(), "release", dawn); err != nil || run.Outcome != RunChanged {
		t.Fatalf("%+v, %v", run, err)
	}
	all, err := b.s.Releases(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, r := range all {
		want := map[int]map[string]float64{0: {"humor": .55, "empathy": .55}, 1: {"empathy": .55}, 2: {"humor": .55}}[r.Archetype]
		if r.By != byJob || r.Stage != evaluate.InShadow || !maps.Equal(r.To, want) {
			t.Errorf("archetype %d: %+v", r.Archetype, r)
		}
	}
	few := alone(t)
	few.kinds(dawn, 30, 19)
	if _, err := few.s.RunJob(t.Context(), "release", dawn); err != nil {
		t.Fatal(err)
	}
	if all, err := few.s.Releases(t.Context()); err != nil || len(all) != 1 || all[0].Archetype != 0 {
		t.Errorf("of 30 agents of 19 owners each: %+v, %v", all, err)
	}
	if _, err := few.s.ProposeRelease(t.Context(), 9, map[string]float64{"humor": .55}, dawn); !fault.Is(err, "archetype_unknown") {
		t.Errorf("for an archetype that is none: %v", err)
	}
}
