package learning

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/population"
	"rapport/learning/step"
	"rapport/policy"
)

func (s *story) adopt(prior, calibration, reputation int64) event.Event {
	return s.add(event.ParametersAdopted{AgentID: event.AgentID(s.agent), Prior: prior, Calibration: calibration, Reputation: reputation})
}

// TestShelvesAreBounded: many versions are asked for, a few are kept, and an
// operation keeps all that it asked for.
func TestShelvesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 4 * shelved {
		if _, err := b.s.Publish(t.Context(), 2, Reputation{{Rater: "guest-1", Agreement: float64(i+1) / 100}}, ""); err != nil {
			t.Fatal(err)
		}
	}
	lib := b.library()
	for v := range uint32(4*shelved + 3) {
		if lib.Reputation(v) == nil {
			t.Errorf("the operation lost reputation %d", v)
		}
	}
	s := &b.s.shelves.reputations
	if len(s.of) != shelved || len(s.last) != shelved || s.last[shelved-1] != 4*shelved+2 {
		t.Errorf("%d kept, in the order %v", len(s.of), s.last)
	}
	for _, v := range s.last {
		if _, ok := s.of[v]; !ok {
			t.Errorf("%d is listed and not there", v)
		}
	}
}

// TestAnAdoptionMovesNothing: it takes effect with the next own evidence, and is
// then among the causes until a proposal was heard that lists it.
func TestAnAdoptionMovesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	s.like(b, 40, .9)
	b.emitted()
	before := b.state("a")
	adoption := s.adopt(1, 1, 0)
	b.feed(1, adoption)
	if out := b.emitted(); len(out) != 0 {
		t.Errorf("an adoption alone made %d events, the first a %s", len(out), out[0].Type)
	}
	after := b.state("a")
	if after.Theta != before.Theta || after.S != before.S || after.H != before.H {
		t.Error("an adoption alone changed levels or evidence")
	}
	if want := (fold.Versions{Prior: 1, Calibration: 1}); after.Adopted != want {
		t.Errorf("adopted %v, want %v", after.Adopted, want)
	}
	told := false
	for _, p := range s.like(b, 30, .9) {
		if has := slices.Contains(p.Causes, adoption.ID); has == told {
			t.Fatalf("a proposal with the causes %v, when the adoption was told: %v", p.Causes, told)
		}
		told = true
	}
	if !told {
		t.Fatal("nothing was proposed after the adoption")
	}
	// earlier entries keep their versions
	entries := b.entries("a")
	at := slices.IndexFunc(entries, func(e *fold.Entry) bool { return e.Adopt != nil })
	old, err := fold.Of(entries[:at], nil)
	if err != nil || old.S != before.S {
		t.Errorf("what came before the adoption is not as it was: %v", err)
	}
}

func TestWhatCannotBeAdopted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	s.like(b, 5, .9)
	stale := (&population.Version{Formula: 7, Prior: step.DefaultPrior(), NextID: 1}).Append(nil)
	if err := b.s.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into rl_parameters (kind, version, at, body, note) values ('prior', 2, 1, $1, 'of another time')`, stale)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := b.dump(b.s.Projections()...)
	for prior, reason := range map[int64]string{9: "there is no prior of version 9 here", 2: "prior 2: parameters refused: population refit refused: the previous prior has another formula version: 7, not "} {
		e := s.adopt(prior, 0, 0)
		err := b.s.db.Write(t.Context(), func(tx *sqldb.Tx) error { return b.s.handle(tx.Context(), tx, []event.Event{e}) })
		if !errors.Is(err, event.ErrMalformed) || !strings.Contains(err.Error(), reason) {
			t.Errorf("adopting prior %d gives %v, want a malformed event with %q", prior, err, reason)
		}
	}
	if got := b.dump(b.s.Projections()...); got != want {
		t.Error("what cannot be adopted changed something")
	}
	other := Prior{population.Version{Formula: 3, Prior: step.DefaultPrior()}}
	if _, err := b.s.Publish(t.Context(), 1, other, ""); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "another formula version: 3") {
		t.Errorf("publishing a prior of formula 3: %v", err)
	}
	loadings := *fusion.Defaults()
	loadings[fusion.Guest].V = 0
	bad := []Content{Calibration{loadings, .5}, Calibration{*fusion.Defaults(), 1.5}, Calibration{*fusion.Defaults(), math.NaN()}, Reputation{{Rater: "x", Agreement: 1.5}}, Reputation{{Rater: "x", Abuse: math.NaN()}}}
	for _, c := range bad {
		if _, err := b.s.Publish(t.Context(), 1, c, ""); fault.KindOf(err) != fault.Invalid {
			t.Errorf("publishing %+v: %v", c, err)
		}
	}
}

// TestAnOlderFormulaIsHistory: a program whose formula is newer goes on from what it
// can use. Agents that adopted an older prior are not stuck: they believe the default
// in its place, the same live and when the log is replayed; nobody adopts it anew.
func TestAnOlderFormulaIsHistory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	s.like(b, 5, .9)
	e := s.adopt(1, 0, 0)
	b.feed(1, e)
	s.like(b, 5, .9)
	if err := b.s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`insert into rl_releases (id, archetype, stage, by, proposed_at, changed_at, reason, draw, looked, body) values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)`,
			"r", 2, "reverted", byJob, 1, 1, "", "", "{}"); err != nil {
			return err
		}
		var body []byte
		if _, err := tx.Get(`select body from rl_parameters where kind = $1`, []any{kindPrior}, &body); err != nil {
			return err
		}
		body[0] = population.Formula - 1
		_, err := tx.Exec(`update rl_parameters set body = $1 where kind = $2`, body, kindPrior)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b.s = open(b.s.db) // the newer program
	s.like(b, 5, .9)
	p, err := b.s.Published(ctx)
	if err != nil || p.Versions != (fold.Versions{Calibration: 1, Reputation: 2}) || p.Prior.NextID != 3 || len(p.Prior.Archetypes) != 0 {
		t.Errorf("published %+v, %v", p.Prior, err)
	}
	if n, err := b.s.Adopt(ctx, s.now); err != nil || n != 1 {
		t.Errorf("%d adopt, %v", n, err)
	}
	if v, err := b.s.Publish(ctx, s.now, Prior{population.Version{Formula: population.Formula, Prior: step.DefaultPrior(), NextID: 3}}, ""); err != nil || v != 2 {
		t.Errorf("the next is version %d, %v", v, err)
	}
	b.clear()
	b.feed(Batch, s.events...)
	if state := b.state("a"); state.Adopted.Prior != 1 || state.N == 0 {
		t.Errorf("after a replay %v is adopted, of %v sessions", state.Adopted, state.N)
	}
}

func TestPublishAndAdopt(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBench(t)
	for _, agent := range []string{"a", "b", "c"} {
		s := newStory(agent)
		b.feed(10, s.events...)
		if agent == "c" {
			b.feed(1, s.add(event.AgentRetired{AgentID: "c"}))
		}
	}
	b.emitted()
	p, err := b.s.Published(ctx)
	if err != nil || p.Versions != (fold.Versions{Prior: 1, Calibration: 1, Reputation: 2}) {
		t.Fatalf("published %v, %v", p.Versions, err)
	}
	if p.Prior.NextID != 3 || len(p.Prior.Archetypes) != 2 || p.Prior.Archetypes[1].Importance[0] != 1.7 || len(p.Prior.Prior.Components) != 2 || p.Calibration.Loadings[fusion.Guest].V != .4 {
		t.Errorf("read back %+v", p)
	}
	// the same again is the same version and nobody hears of it
	if v, err := b.s.Publish(ctx, 5, p.Prior, "again"); v != 1 || err != nil {
		t.Errorf("the same prior again is version %d, %v", v, err)
	}
	reputation := Reputation{{Rater: "guest-3", Agreement: .7}, {Rater: "guest-4", Agreement: .2}}
	if v, err := b.s.Publish(ctx, 5, reputation, ""); v != 3 || err != nil {
		t.Errorf("version %d, %v", v, err)
	}
	var told []event.ReputationUpdated
	for _, e := range b.emitted() {
		r, err := event.As[event.ReputationUpdated](e)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, r)
	}
	if diff := cmp.Diff([]event.ReputationUpdated{{RaterID: "guest-4", Version: 3, Agreement: .2}, {RaterID: "guest-2", Version: 3, Agreement: .85, Abuse: .15}}, told, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("told of raters:\n%s", diff)
	}
	n, err := b.s.Adopt(ctx, 6)
	if n != 2 || err != nil {
		t.Errorf("%d adopt, %v; want 2", n, err)
	}
	out := b.emitted()
	b.feed(10, out...)
	if again, err := b.s.Adopt(ctx, 7); again != 0 || err != nil {
		t.Errorf("%d adopt again, %v", again, err)
	}
	if got := b.state("b").Adopted; got != (fold.Versions{Prior: 1, Calibration: 1, Reputation: 3}) {
		t.Errorf("b adopted %v", got)
	}
	// a prior tells of its archetypes
	if _, err := b.s.Publish(ctx, 8, Prior{population.Version{Formula: population.Formula, NextID: 4, Archetypes: p.Prior.Archetypes[:1]}}, ""); err != nil {
		t.Fatal(err)
	}
	u, err := event.As[event.PopulationUpdated](b.emitted()[0])
	if err != nil || u.Version != 2 || u.K != 1 || u.Agents != 40 || u.Archetypes[0].Centre["humor"] != .5 || u.Archetypes[0].Owners != 30 {
		t.Errorf("told of the population: %+v, %v", u, err)
	}
}

// TestExcludedReachBack: what an abusive rater said counts nothing from the adoption
// on, earlier sessions included, and again when the exclusion is taken back.
func TestExcludedReachBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	with, without := newStory("a"), newStory("a")
	r := policy.NewStream([32]byte{3})
	for k := range 80 {
		x := policy.Neutral()
		for j := range x {
			x[j] = .3 + .4*r.Float64()
		}
		for _, s := range []*story{with, without} {
			s.session(x)
			f := s.feedback(event.ChannelSession, 0)
			f.Level = []string{"loved", "meh"}[k%2]
			s.add(f)
			g := s.feedback(event.ChannelReaction, -1)
			g.RaterID, g.Role = "guest-1", event.RoleParticipant
			if s == with {
				s.add(g)
			} else {
				s.now += 60e6
				s.n++
			}
		}
	}
	b.feed(Batch, with.events...)
	whole := b.state("a")
	b.feed(1, with.adopt(0, 0, 1))
	excluded := b.state("a")
	x, err := b.s.Explain(t.Context(), "a")
	if err != nil || x.Ratings[0].NotUsed != "excluded" {
		t.Errorf("the guest's newest is explained as %+v, %v", x.Ratings[0], err)
	}
	b.feed(1, with.adopt(0, 0, 0))
	back := b.state("a")
	b.clear()
	b.feed(Batch, without.events...)
	never := b.state("a")
	if whole.S == never.S {
		t.Fatal("the guest said nothing that counts: the test says nothing")
	}
	if excluded.S != never.S || excluded.H != never.H || excluded.Theta != never.Theta || excluded.Raters != never.Raters || excluded.Guests != never.Guests {
		t.Error("the excluded left a trace")
	}
	if back.S != whole.S || back.H != whole.H || back.Theta != whole.Theta {
		t.Error("taken back, the exclusion left a trace")
	}
}

func TestWhatJobsRead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBench(t)
	states := map[string]fold.State{}
	for i, agent := range []string{"a", "b", "paused", "protected", "retired", "silent"} {
		s := newStory(agent)
		b.feed(10, s.events...)
		if agent == "silent" {
			continue
		}
		s.like(b, 8+i, .8)
		g := s.feedback(event.ChannelReaction, .5)
		g.RaterID, g.Role = "guest-9", event.RoleParticipant
		news := []event.Event{s.add(g)}
		switch agent {
		case "paused":
			s.learning = false
			news = append(news, s.change(event.ChangePaused))
		case "protected":
			e := s.session(policy.Neutral())
			p, _ := event.As[event.ReplyGenerated](e)
			p.Protected = true
			news = append(news, event.New("test", e.ID, e.Time, p))
		case "retired":
			news = append(news, s.add(event.AgentRetired{AgentID: "retired"}))
		}
		b.feed(10, news...)
		states[agent] = b.state(agent)
	}
	var seen []string
	err := b.s.Statistics(ctx, func(r population.Statistics) error {
		seen = append(seen, r.Agent)
		want := states[r.Agent]
		if r.Owner != "owner-"+r.Agent || r.S != want.S || r.H != want.H || r.YY != want.YY || r.N != want.State.N || r.Start != want.Start {
			t.Errorf("statistics of %s are not those of its state", r.Agent)
		}
		return nil
	})
	if diff := cmp.Diff([]string{"a", "b"}, seen); diff != "" || err != nil {
		t.Errorf("statistics of (%v)\n%s", err, diff)
	}
	sessions := 0
	err = b.s.Observations(ctx, func(o *Observation) error {
		sessions++
		if !o.Said[fusion.OwnerRating] || !o.Said[fusion.Engagement] || o.Values[fusion.Engagement] != .7 {
			t.Errorf("observed %+v", o)
		}
		return nil
	})
	if want := 8 + 9; sessions != want || err != nil {
		t.Errorf("%d sessions observed, want %d (%v)", sessions, want, err)
	}
	var verdicts []Verdict
	err = b.s.Verdicts(ctx, 0, func(v *Verdict) error {
		verdicts = append(verdicts, *v)
		return nil
	})
	if len(verdicts) != 2 || err != nil || verdicts[0].Agent != "a" || verdicts[0].Rater != "guest-9" || verdicts[0].Value != .5 || verdicts[0].Predicted == 0 {
		t.Errorf("verdicts %+v, %v", verdicts, err)
	}
	if err := b.s.Verdicts(ctx, verdicts[1].At, func(*Verdict) error { return errors.New("an old one") }); err != nil {
		t.Error(err)
	}
	stop := errors.New("enough")
	if err := b.s.Statistics(ctx, func(population.Statistics) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped with %v", err)
	}
}

// TestACalibrationReadsBack: also one from before presses were learned from all owners.
func TestACalibrationReadsBack(t *testing.T) {
	t.Parallel()
	want := Calibration{*fusion.Defaults(), .62}
	b, err := want.body(1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readCalibration(b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	list, err := json.Marshal(want.Loadings)
	if err != nil {
		t.Fatal(err)
	}
	want.Asking = fold.AskingDefault
	if got, err := readCalibration(list); err != nil || got != want {
		t.Errorf("a list of sources: %+v, %v", got, err)
	}
	for _, bad := range []string{`{"sources":[],"asking":.5}`, `{"asking":.5}`, `{`, ``, `null`} {
		if _, err := readCalibration([]byte(bad)); !errors.Is(err, errParameters) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
