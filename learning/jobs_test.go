package learning

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/population"
	"rapport/learning/step"
	"rapport/policy"
)

// crowd feeds the lives of agents whose owners have one of two tastes, and gives the
// stories. Each has as many sessions, with a level, mostly a thumb and an engagement.
func (b *bench) crowd(agents, sessions int) []*story {
	b.t.Helper()
	stories := make([]*story, agents)
	for i := range stories {
		s := newStory(fmt.Sprintf("agent-%03d", i))
		r := policy.NewStream(sha256.Sum256([]byte(s.agent)))
		ideal := policy.Neutral()
		for j := range ideal {
			ideal[j] = .2
			if (j+i)%2 == 0 {
				ideal[j] = .8
			}
			ideal[j] += .05 * r.Normal()
		}
		for range sessions {
			x := policy.Neutral()
			far := 0.
			for j := range x {
				x[j] = .25 + .5*r.Float64()
				far += .45 * (x[j] - ideal[j]) * (x[j] - ideal[j])
			}
			s.session(x)
			u := 1 - far + .08*r.Normal()
			s.rate(u)
			if u+.12*r.Normal() > .62 {
				s.add(s.feedback(event.ChannelThumb, 1))
			} else {
				s.add(s.feedback(event.ChannelThumb, -1))
			}
			s.add(s.engagement(min(1, max(0, .6+.15*(u-.6)/.2+.05*r.Normal()))))
		}
		b.feed(Batch, s.events...)
		stories[i] = s
	}
	return stories
}

// rate is the level that a satisfied owner gives the latest session.
func (s *story) rate(satisfied float64) {
	f := s.feedback(event.ChannelSession, 0)
	switch {
	case satisfied >= .85:
		f.Level = "loved"
	case satisfied >= .62:
		f.Level = "good"
	case satisfied >= .4:
		f.Level = "meh"
	default:
		f.Level = "not_great"
	}
	s.add(f)
}

// alone is a bench on which nothing is published yet.
func alone(t *testing.T) *bench {
	b := newBench(t)
	if err := b.s.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`delete from rl_parameters`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b.clear()
	return b
}

// A night: what all agents share is learned from them, and every one adopts it. A
// fresh agent then believes what such owners turned out to like; the night that
// follows without news changes nothing.
func TestANight(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := alone(t)
	b.crowd(60, 30)
	b.emitted()
	const day = 24 * 3600 * 1e6
	due := event.Micros(1_800_000_000_000_000) / day * day
	ran, err := b.s.RunDue(ctx, due+1, 24*3600e9)
	if err != nil || ran != len(jobs) {
		t.Fatalf("%d of %d jobs ran, %v", ran, len(jobs), err)
	}
	runs, err := b.s.Jobs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		t.Logf("%s: %s, %s", r.Name, r.Outcome, r.Note)
		want := RunChanged
		switch r.Name {
		case "reputation", "guard", "release": // nobody but owners spoke, there are no check-ins, the two kinds cancel out
			want = RunUnchanged
		}
		if r.Outcome != want {
			t.Errorf("%s: %s, %s", r.Name, r.Outcome, r.Note)
		}
		if r.Due != due || r.DoneAt == 0 {
			t.Errorf("%s: due %d, done %d", r.Name, r.Due, r.DoneAt)
		}
	}
	news := b.emitted()
	adopted := 0
	for _, e := range news {
		if e.Type == (event.ParametersAdopted{}).EventType() {
			adopted++
		}
	}
	if adopted != 60 {
		t.Errorf("%d agents adopt, want 60", adopted)
	}
	b.feed(Batch, news...)
	if got := b.state("agent-007").Adopted; got.Prior != 1 || got.Calibration != 1 {
		t.Errorf("an agent adopted %+v", got)
	}

	// what a fresh agent believes under the new prior
	p, err := b.s.Published(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Prior.Archetypes) != 2 {
		t.Errorf("%d kinds of owners were found among two", len(p.Prior.Archetypes))
	}
	for _, a := range p.Prior.Archetypes {
		off := 0.
		for j := range a.Centre {
			want := .2
			if (a.Centre[0] > .5) == (j%2 == 0) {
				want = .8
			}
			off = max(off, math.Abs(a.Centre[j]-want))
		}
		if off > .2 {
			t.Errorf("the centre %.2f of kind %d is %.2f off", a.Centre, a.ID, off)
		}
	}

	// the same night again, and the next one without news
	if again, err := b.s.RunDue(ctx, due+2, 24*3600e9); again != 0 || err != nil {
		t.Errorf("the same night again ran %d jobs, %v", again, err)
	}
	if _, err := b.s.RunDue(ctx, due+day, 24*3600e9); err != nil {
		t.Fatal(err)
	}
	runs, _ = b.s.Jobs(ctx)
	for _, r := range runs {
		if r.Due != due+day || r.Outcome != RunUnchanged {
			t.Errorf("the next night %s: %s, %s", r.Name, r.Outcome, r.Note)
		}
	}
	if left := b.emitted(); len(left) != 0 {
		t.Errorf("a night without news emitted %d events, the first %s", len(left), left[0].Type)
	}
}

// A job that fails does not keep the others from running; all that failed is said.
// What failed is tried again while it is the newest due.
func TestOneFailingJobDoesNotStopTheNight(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := alone(t)
	b.crowd(12, 4)
	b.emitted()
	exec := func(q string, args ...any) {
		t.Helper()
		if err := b.s.db.Write(ctx, func(tx *sqldb.Tx) error { _, err := tx.Exec(q, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	exec(`insert into rl_parameters (kind, version, at, body, note) values ($1, $2, $3, $4, $5)`, kindPrior, 1, 1, []byte("nothing of ours"), "")
	const due = 1_800_000_000_000_000 / day * day
	ran, err := b.s.RunDue(ctx, due, 24*time.Hour)
	if err == nil || ran == 0 {
		t.Fatalf("%d jobs ran, %v", ran, err)
	}
	runs, _ := b.s.Jobs(ctx)
	failed := 0
	for _, r := range runs {
		if r.Due != due {
			t.Errorf("%s did not run", r.Name)
		}
		said := strings.Contains(err.Error(), "job "+r.Name+":")
		if r.Outcome == RunFailed {
			failed++
		}
		if said != (r.Outcome == RunFailed) {
			t.Errorf("%s: %s, in the error %v: %v", r.Name, r.Outcome, said, err)
		}
	}
	if failed < 2 || failed+ran != len(jobs) {
		t.Errorf("%d jobs ran and %d failed of %d", ran, failed, len(jobs))
	}
	exec(`delete from rl_parameters`)
	if again, err := b.s.RunDue(ctx, due+60e6, 24*time.Hour); err != nil || again != failed {
		t.Errorf("a minute later %d of the %d that failed ran, %v", again, failed, err)
	}
}

// Few agents teach nobody, and that is said.
func TestANightOfFew(t *testing.T) {
	t.Parallel()
	b := alone(t)
	b.crowd(3, 5)
	b.emitted()
	if _, err := b.s.RunDue(t.Context(), 1_800_000_000_000_000, 3600e9); err != nil {
		t.Fatal(err)
	}
	runs, err := b.s.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if r.Outcome != RunUnchanged || r.Note == "" {
			t.Errorf("%s: %s, %q", r.Name, r.Outcome, r.Note)
		}
	}
	if out := b.emitted(); len(out) != 0 {
		t.Errorf("emitted %d events", len(out))
	}
}

// A run belongs to one process; one that died gives it away when its lease ends.
func TestOneProcessRunsAJob(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := alone(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	claimed := 0
	for range 8 {
		other := open(b.s.db)
		group.Go(func() {
			mine, err := other.claim(ctx, "refit", 5, 10)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if mine {
				claimed++
			}
		})
	}
	group.Wait()
	if claimed != 1 {
		t.Errorf("%d processes have the run", claimed)
	}
	if _, err := b.s.RunJob(ctx, "refit", 10); !fault.Is(err, "job_running") {
		t.Errorf("a run beside it: %v", err)
	}
	late := 10 + lease.Microseconds() + 1
	if mine, err := b.s.claim(ctx, "refit", 5, late); !mine || err != nil {
		t.Errorf("the lease ended, and the run is still held: %v", err)
	}
	if _, err := b.s.RunJob(ctx, "dream", 10); !fault.Is(err, "job_unknown") {
		t.Errorf("an unknown job: %v", err)
	}
	if r, err := b.s.RunJob(ctx, "adopt", 11); err != nil || r.Outcome != RunUnchanged {
		t.Errorf("adopt: %+v, %v", r, err)
	}
}

// A prior by another formula is refused and the last good one stays; the agents go
// on.
func TestAPriorThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := alone(t)
	b.crowd(20, 4)
	b.emitted()
	other := Prior{population.Version{Formula: population.Formula + 1, Prior: step.DefaultPrior(), NextID: 1}}
	if _, err := b.s.Publish(ctx, 1, other, ""); !fault.Is(err, "parameters_refused") || !strings.Contains(err.Error(), "formula") {
		t.Errorf("published: %v", err)
	}
	p, err := b.s.Published(ctx)
	if err != nil || p.Versions != (fold.Versions{}) {
		t.Errorf("published %v, %v", p.Versions, err)
	}
}

// A refit after which tastes would differ much less than before is refused with its
// reason; the last good prior stays, and nobody adopts another.
func TestARefitThatWouldCollapseDiversity(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := alone(t)
	components := []step.Component{step.DefaultPrior().Components[0], step.DefaultPrior().Components[0]}
	components[0].Weight, components[1].Weight = .5, .5
	for j := range policy.NTraits {
		components[0].Mean[1+j], components[1].Mean[1+j] = 4, -4
	}
	prior, err := step.NewPrior(.2, components)
	if err != nil {
		t.Fatal(err)
	}
	wide := population.Version{Formula: population.Formula, Prior: prior, NextID: 3}
	for id := 1; id <= 2; id++ {
		wide.Archetypes = append(wide.Archetypes, population.Archetype{ID: id, Share: .5, Start: policy.Neutral(), Agents: 30, Owners: 30})
	}
	if _, err := b.s.Publish(ctx, 1, Prior{wide}, ""); err != nil {
		t.Fatal(err)
	}
	b.crowd(40, 12)
	b.emitted()
	run, err := b.s.RunJob(ctx, "refit", 1_800_000_000_000_000)
	if err != nil || run.Outcome != RunRefused || !strings.Contains(run.Note, "instead of") {
		t.Errorf("%+v, %v", run, err)
	}
	if p, err := b.s.Published(ctx); err != nil || p.Versions.Prior != 1 || !p.Prior.Prior.Equal(prior) {
		t.Errorf("published %+v, %v", p.Versions, err)
	}
	if out := b.emitted(); len(out) != 0 {
		t.Errorf("a refused refit emits %d events", len(out))
	}
}

// raise lets an agent live through sessions whose variation is what it published, with
// an owner who likes an ideal; what it proposes is accepted at once, and what it is
// welcomed with reaches it or does not. It gives the mean satisfaction at its levels
// over the sessions.
func (b *bench) raise(s *story, welcomed bool, ideal policy.Traits, sessions int) (mean float64) {
	b.t.Helper()
	r := policy.NewStream(sha256.Sum256([]byte("life of " + s.agent)))
	sat := func(x policy.Traits) float64 {
		u := 1.
		for j := range x {
			u -= .45 * (x[j] - ideal[j]) * (x[j] - ideal[j])
		}
		return u
	}
	var m policy.Mixture
	fed := 0
	live := func() {
		for fed < len(s.events) {
			news := s.events[fed:]
			fed = len(s.events)
			b.feed(Batch, news...)
			for _, e := range b.emitted() {
				if e.Subject != s.agent {
					continue
				}
				switch e.Type {
				case event.ParametersAdopted{}.EventType():
					if welcomed {
						s.events = append(s.events, e)
					}
				case event.ExplorationUpdated{}.EventType():
					p, err := event.As[event.ExplorationUpdated](e)
					if err == nil {
						err = json.Unmarshal(p.Mixture, &m)
					}
					if err != nil {
						b.t.Fatal(err)
					}
				case event.PolicyProposed{}.EventType():
					p, err := event.As[event.PolicyProposed](e)
					if err != nil {
						b.t.Fatal(err)
					}
					s.accept(p)
				}
			}
		}
	}
	live()
	for range sessions {
		mean += sat(s.doc.Traits) / float64(sessions)
		x, _ := m.Draw(sha256.Sum256(fmt.Appendf(nil, "%s %d", s.agent, s.sessions)))
		s.session(x)
		s.rate(sat(x) + .08*r.Normal())
		live()
	}
	return mean
}

// After a night fresh agents learn faster than before it: the same lives, once with
// nothing known of such owners and once with what the night found.
func TestFreshAgentsLearnFasterAfterANight(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := alone(t)
	b.crowd(60, 30)
	b.emitted()
	if _, err := b.s.RunDue(ctx, 1_800_000_000_000_000, 24*3600e9); err != nil {
		t.Fatal(err)
	}
	b.emitted()
	p, err := b.s.Published(ctx)
	if err != nil || p.Versions.Prior == 0 {
		t.Fatalf("%+v, %v", p.Versions, err)
	}
	var gains []float64
	for i := range 6 {
		ideal := policy.Neutral()
		for j := range ideal {
			ideal[j] = .2
			if (j+i)%2 == 0 {
				ideal[j] = .8
			}
		}
		before := b.raise(newStory(fmt.Sprintf("fresh-%02d", i)), false, ideal, 20)
		after := fmt.Sprintf("later-%02d", i)
		gains = append(gains, b.raise(newStory(after), true, ideal, 20)-before)
		if got := b.state(after).Adopted; got != p.Versions {
			t.Errorf("an agent that was made after the night uses %+v, not %+v", got, p.Versions)
		}
	}
	mean, spread := 0., 0.
	for _, g := range gains {
		mean += g / float64(len(gains))
	}
	for _, g := range gains {
		spread += (g - mean) * (g - mean) / float64(len(gains)-1)
	}
	se := math.Sqrt(spread / float64(len(gains)))
	t.Logf("satisfaction over the first 20 sessions: %+.3f ± %.3f", mean, 1.96*se)
	if mean < .02 || mean < 3*se {
		t.Errorf("the night gained %.3f ± %.3f", mean, se)
	}
}
