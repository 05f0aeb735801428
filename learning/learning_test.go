package learning

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

// like is an owner who wants humor at a level, and says so.
func (s *story) like(b *bench, sessions int, humor float64) (proposals []event.PolicyProposed) {
	r := policy.NewStream([32]byte{1, 2, 3, byte(s.sessions)})
	for range sessions {
		b.feed(Batch, s.rated(&r, humor)...)
		proposals = append(proposals, s.answer(b)...)
	}
	return proposals
}

// rated is a session near the levels of now, and what such an owner says of it.
func (s *story) rated(r *policy.Stream, humor float64) []event.Event {
	x := s.doc.Traits
	for j := range x {
		x[j] = min(1, max(0, x[j]+.3*(r.Float64()-.5)))
	}
	session := s.session(x)
	f := s.feedback(event.ChannelSession, 0)
	f.Level = "not_great"
	switch d := math.Abs(x[policy.Humor] - humor); {
	case d < .1:
		f.Level = "loved"
	case d < .2:
		f.Level = "good"
	case d < .3:
		f.Level = "meh"
	}
	return []event.Event{session, s.add(f), s.add(s.engagement(.7))}
}

// answer plays the agent service: it accepts what was proposed, and the learner
// hears both.
func (s *story) answer(b *bench) (proposals []event.PolicyProposed) {
	for _, e := range b.emitted() {
		if e.Type != "rl.agent.policy.updated" {
			continue
		}
		p, err := event.As[event.PolicyProposed](e)
		if err != nil {
			b.t.Fatal(err)
		}
		proposals = append(proposals, p)
		b.feed(Batch, e, s.accept(p))
	}
	return proposals
}

func TestTheLoopFollowsTheOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	proposals := s.like(b, 70, .85)
	if h := s.doc.Traits[policy.Humor]; h < .6 {
		t.Errorf("after 70 sessions humor is %v, the owner wants .85", h)
	}
	version := int64(0)
	for i, p := range proposals {
		if p.Parent <= version {
			t.Fatalf("proposal %d names version %d after %d", i, p.Parent, version)
		}
		version = p.Parent
		var d policy.Document
		if err := json.Unmarshal(p.Policy, &d); err != nil {
			t.Fatal(err)
		}
		if err := policy.Validate(d); err != nil {
			t.Fatal(err)
		}
		if d.Parent != p.Parent || len(p.Causes) == 0 || len(p.Moved) == 0 {
			t.Fatalf("proposal %+v", p)
		}
		for _, m := range p.Moved {
			if math.Abs(m.After-m.Before) > .02+1e-9 || m.N < 5 {
				t.Fatalf("moved %+v on one episode", m)
			}
		}
		if i == 0 && s.sessions < 5 {
			t.Error("the first move came before the fifth session")
		}
	}
	x, err := b.s.Explain(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	humor := x.Traits[policy.Humor]
	if humor.Word == "start" || humor.P < .7 || humor.Interval[0] > humor.Interval[1] || humor.N != 70 {
		t.Errorf("humor is explained as %+v", humor)
	}
	for _, tr := range x.Traits {
		if (tr.Word == "learned") != (tr.P >= .95 && tr.Word != "start") {
			t.Errorf("%+v: the word is not honest", tr)
		}
	}
	if len(x.Ratings) != 20 || !x.Ratings[0].Used || x.Ratings[0].By != "you" {
		t.Errorf("ratings %+v", x.Ratings[:1])
	}
	if len(x.Changes) == 0 || x.Changes[len(x.Changes)-1].Outcome != "applied" {
		t.Errorf("changes %+v", x.Changes)
	}
}

// TestOneIsAskedOnce: while a proposal is on its way, and until it is answered,
// evidence for the same makes no other. A process that has forgotten asks again,
// and one that was told that its question is stale.
func TestOneIsAskedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	r := policy.NewStream([32]byte{1, 2, 3})
	ask := func(sessions int) (last event.Event, levels []policy.Traits) {
		t.Helper()
		for range sessions {
			b.feed(Batch, s.rated(&r, .9)...)
			for _, e := range b.emitted() {
				if e.Type != (event.PolicyProposed{}).EventType() {
					continue
				}
				p, err := event.As[event.PolicyProposed](e)
				if err != nil {
					t.Fatal(err)
				}
				var d policy.Document
				if err := json.Unmarshal(p.Policy, &d); err != nil {
					t.Fatal(err)
				}
				last, levels = e, append(levels, d.Traits)
			}
		}
		return last, levels
	}
	last, levels := ask(60)
	if len(levels) == 0 {
		t.Fatal("nothing was learned that could be asked for")
	}
	for i := range levels[1:] {
		if near(levels[i][:], levels[i+1][:]) {
			t.Errorf("after %v it asks for %v", levels[i], levels[i+1])
		}
	}
	for _, step := range []struct {
		when string
		do   func()
		want int
	}{
		{"on its way", func() {}, 0},
		{"forgotten", func() { b.s = open(b.s.db) }, 1},
		{"back from the log", func() { b.feed(1, last) }, 0},
		{"back from the log, in a new process", func() { b.s = open(b.s.db) }, 0},
		{"stale", func() { b.feed(1, s.add(event.PolicyRefused{AgentID: "a", Gate: "stale"})) }, 0},
	} {
		step.do()
		if step.when == "stale" {
			if out := b.emitted(); len(out) != 1 {
				t.Errorf("stale: %d events at once, want another proposal", len(out))
			}
		}
		e, levels := ask(1)
		if len(levels) != step.want {
			t.Errorf("%s: asks %d times, want %d", step.when, len(levels), step.want)
		}
		if len(levels) > 0 {
			last = e
		}
	}
}

func TestWithdrawalIsOneCorrection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	s.like(b, 60, .9)
	if s.doc.Traits == policy.Neutral() {
		t.Fatal("nothing was learned that could be withdrawn")
	}
	var all []event.Event
	for _, e := range append([]event.Event(nil), s.events...) {
		if e.Type == "feedback.created" {
			f, _ := event.As[event.FeedbackCreated](e)
			all = append(all, s.retract(f.FeedbackID))
		}
	}
	b.feed(Batch, all...)
	proposals := s.answer(b)
	if len(proposals) != 1 || proposals[0].Kind != event.ChangeWithdrawn {
		t.Fatalf("%d proposals after withdrawal", len(proposals))
	}
	if s.doc.Traits != policy.Neutral() {
		t.Errorf("after everything was withdrawn the levels are %v", s.doc.Traits)
	}
}

func TestOwnerActs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	s.like(b, 30, .9)
	before := b.state("a")

	s.doc.Traits[policy.Humor], s.baseline[policy.Humor] = .4, .4
	b.feed(1, s.change(event.ChangeEdited, "humor"))
	edited := b.state("a")
	if edited.Theta[policy.Humor] != .4 || edited.Start[policy.Humor] != .4 || edited.Hold[policy.Humor] != 10 {
		t.Errorf("after the edit humor is %v from %v, held for %d", edited.Theta[policy.Humor], edited.Start[policy.Humor], edited.Hold[policy.Humor])
	}
	if edited.S[0] != before.S[0] || edited.H[0] != before.H[0] || edited.YY != before.YY || edited.State.N != before.State.N {
		t.Error("the edit changed the belief's evidence")
	}
	s.like(b, 10, .9)
	if got := b.state("a").Theta[policy.Humor]; got != .4 {
		t.Errorf("held humor moved to %v", got)
	}
	s.like(b, 40, .6)
	if got := b.state("a").Theta[policy.Humor]; got <= .4 {
		t.Errorf("after the hold humor is still %v", got)
	}

	s.learning = false
	b.feed(1, s.change(event.ChangePaused))
	paused := b.state("a")
	if got := s.like(b, 5, .9); len(got) != 0 {
		t.Errorf("%d proposals while paused", len(got))
	}
	if got := b.state("a"); got.S != paused.S || got.Theta != paused.Theta {
		t.Error("a paused learner learned")
	}
	x, err := b.s.Explain(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if x.Ratings[0].NotUsed != "paused" || x.Traits[0].Waits != "paused" {
		t.Errorf("the newest rating is explained as %+v", x.Ratings[0])
	}

	s.learning = true
	b.feed(1, s.change(event.ChangeResumed), s.add(event.AgentTransferred{AgentID: "a", From: event.PersonID(s.owner), To: "other"}))
	given := b.state("a")
	if math.Abs(given.S[0]-.1*paused.S[0]) > 1e-12 || given.Start != given.Theta || given.Episodes[0] != 0 {
		t.Errorf("the new owner's learner has S %v of %v and starts at %v", given.S[0], paused.S[0], given.Start)
	}
	if owner, err := b.s.OwnerOf(t.Context(), "a"); err != nil || owner != "other" {
		t.Errorf("the owner is %v, %v", owner, err)
	}

	if x, err := b.s.Explain(t.Context(), "a"); err != nil || len(x.Ratings) != 0 {
		t.Errorf("the new owner is shown %d ratings of the old one, %v", len(x.Ratings), err)
	}

	b.feed(1, s.add(event.AgentRetired{AgentID: "a"}), s.add(s.engagement(.5)))
	if got := b.dump(learnerTables...); strings.Count(got, "\n") != len(learnerTables) {
		t.Errorf("a retired agent leaves\n%s", got)
	}
	if _, err := b.s.Learning(t.Context(), "a", s.now); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a retired agent answers %v", err)
	}
}

func TestDriftIsHeldAndTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	start := s.doc.Traits
	told := 0
	r := policy.NewStream([32]byte{9})
	for range 60 { // all within three days
		s.now -= 3600e6 - 3000e6
		x := s.doc.Traits
		for j := range x {
			x[j] = min(1, max(0, x[j]+.3*(r.Float64()-.5)))
		}
		news := []event.Event{s.session(x)}
		f := s.feedback(event.ChannelTone, 0)
		f.Direction = &event.Direction{Trait: "curiosity", Sign: 1}
		b.feed(Batch, append(news, s.add(f))...)
		for _, e := range b.emitted() {
			switch e.Type {
			case "rl.agent.policy.updated":
				p, _ := event.As[event.PolicyProposed](e)
				b.feed(1, e, s.accept(p))
			case "rl.agent.update.refused":
				told++
				if p, _ := event.As[event.UpdateRefused](e); p.Gate != "drift" {
					t.Errorf("refused by %s: %s", p.Gate, p.Reason)
				}
				b.feed(1, e)
			}
		}
	}
	if d := s.doc.Traits[policy.Curiosity] - start[policy.Curiosity]; d > .15+1e-9 || d < .1 {
		t.Errorf("curiosity drifted by %v in three days", d)
	}
	if told == 0 || told > 4 {
		t.Errorf("the owner was told %d times in three days", told)
	}
}

func TestTheMixtureSurroundsWhatIsPublished(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	s.doc.Pinned = policy.MaskOf(policy.Formality)
	b.feed(1, s.events...)
	last := func() (out event.ExplorationUpdated, m policy.Mixture) {
		for _, e := range b.emitted() {
			if e.Type != "agent.exploration.updated" {
				continue
			}
			var err error
			if out, err = event.As[event.ExplorationUpdated](e); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(out)
			if err != nil || !bytes.Equal(again, e.Data) {
				t.Fatalf("written by hand\n%s\nby the library\n%s", e.Data, again)
			}
			if err := json.Unmarshal(out.Mixture, &m); err != nil {
				t.Fatal(err)
			}
		}
		return out, m
	}
	p, m := last()
	if p.Version != 1 || len(m.Centres) != policy.DefaultCentres || m.Theta != policy.Neutral() || m.Free().Has(policy.Formality) == false && m.Pinned != 0 {
		t.Errorf("the first mixture: version %d, %d centres, pinned %v", p.Version, len(m.Centres), m.Pinned.Traits())
	}
	b.feed(1, s.session(policy.Neutral()))
	if p, _ := last(); p.Version != 0 {
		t.Error("a reply alone published a mixture")
	}
	b.feed(1, s.add(s.feedback(event.ChannelThumb, 1)))
	if p, _ := last(); p.Revision != 1 {
		t.Errorf("revision %d after one thumb", p.Revision)
	}
	s.doc.Traits[policy.Humor] = .7
	b.feed(1, s.change(event.ChangeEdited, "humor"))
	if p, m := last(); p.Version != 2 || m.Theta[policy.Humor] != .7 {
		t.Errorf("after the edit version %d surrounds %v", p.Version, m.Theta)
	}
	s.learning = false
	b.feed(1, s.change(event.ChangePaused))
	if _, m := last(); m.Strategy != policy.StrategyOff {
		t.Errorf("while paused the strategy is %s", m.Strategy)
	}
}

func TestRelationshipsAndProjection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	session := func(id string, minutes int64) event.SessionEnded {
		return event.SessionEnded{SessionID: event.SessionID(id), AgentID: "a", StartedAt: s.now - minutes*60e6, EndedAt: s.now,
			People: []event.SessionPerson{{PersonID: event.PersonID(s.owner), Turns: 5, Consent: true}, {PersonID: "silent", Turns: 5}}}
	}
	levels := map[string]string{}
	for i := range 8 {
		s.now += day
		b.feed(1, s.add(session("s"+string(rune('0'+i)), 20)))
		for _, e := range b.emitted() {
			if e.Type != "rl.relationship.updated" {
				continue
			}
			p, err := event.As[event.RelationshipUpdated](e)
			if err != nil {
				t.Fatal(err)
			}
			levels[string(p.PersonID)] = p.Level
		}
	}
	if diff := cmp.Diff(map[string]string{s.owner: "dear"}, levels); diff != "" {
		t.Errorf("levels told:\n%s", diff)
	}
	// I = Σ over eight daily sessions of 2, and ½ for coming back: seven times
	want := 0.
	for i := range 8 {
		amount := 2.5
		if i == 0 {
			amount = 2
		}
		want += amount * math.Exp2(-float64(7-i)/30)
	}
	got, err := b.s.Strength(t.Context(), "a", event.PersonID(s.owner), s.now)
	if err != nil || math.Abs(got-(1-math.Exp(-want/8))) > 1e-3 {
		t.Errorf("strength %v, want %v (%v)", got, 1-math.Exp(-want/8), err)
	}
	later, _ := b.s.Strength(t.Context(), "a", event.PersonID(s.owner), s.now+30*day)
	if math.Abs(later-(1-math.Exp(-want/16))) > 1e-3 {
		t.Errorf("a month later %v, want %v", later, 1-math.Exp(-want/16))
	}

	b.feed(1, s.session(policy.Neutral()))
	up, down := s.feedback(event.ChannelThumb, 1), s.feedback(event.ChannelThumb, -1)
	up.MessageID, down.MessageID = "m1", "m2"
	down.FeedbackID += "-b"
	level := s.feedback(event.ChannelSession, 0)
	level.Level, level.FeedbackID, level.SessionID = "loved", "lv", "s1"
	guest := s.engagement(.9)
	guest.RaterID, guest.Role, guest.FeedbackID = "guest", event.RoleParticipant, "ge"
	b.feed(2, s.add(up), s.add(down), s.add(level), s.add(guest))
	p, err := b.s.Learning(t.Context(), "a", s.now)
	if err != nil {
		t.Fatal(err)
	}
	if p.PositiveCount != 2 || p.NegativeCount != 1 || math.Abs(p.Avg-.8/3) > 1e-6 || math.Abs(p.AvgReward-.8/3) > 1e-6 {
		t.Errorf("feedback +%d −%d avg %v reward %v", p.PositiveCount, p.NegativeCount, p.Avg, p.AvgReward)
	}
	if p.EngagementScore != nil {
		t.Error("what one guest did is shown")
	}
	if got := p.ActionStats["reply"]; got.Count != 2 || math.Abs(got.RewardSum+.2) > 1e-9 || p.SuccessPerAction["reply"] != .5 {
		t.Errorf("replies %+v, success %v", got, p.SuccessPerAction)
	}
	if got := p.TraitScores["humor"]; got.Count != 3 || math.Abs(got.RewardSum-.4) > 1e-6 {
		t.Errorf("humor %+v", got)
	}
	if p.TotalInteractions != 8 || p.ConversationSuccessRate == nil || math.Abs(*p.ConversationSuccessRate-1./8) > 1e-6 {
		t.Errorf("%d sessions, success %v", p.TotalInteractions, p.ConversationSuccessRate)
	}
	if len(p.LastNActions) != 1 || p.Distribution["reply"] != 1 || p.TopicPreferences["humor"].Count != 3 {
		t.Errorf("actions %v, topics %v", p.LastNActions, p.TopicPreferences)
	}
	if len(p.Relationships) != 1 || p.Relationships[0].Level != "dear" || p.RelationshipStats.Interactions != 8 {
		t.Errorf("relationships %+v %+v", p.Relationships, p.RelationshipStats)
	}
}

// TestRebuild runs a life through log and relay, and the log again into a fresh
// database.
func TestRebuild(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	log, err := embedded.Open(ctx, filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	b := newBench(t)
	source, err := sqldb.Open(ctx, sqldbtest.Options(t, filepath.Join(dir, "source.db"), "source"))
	if err != nil {
		t.Fatal(err)
	}
	if err := relay.Migrate(ctx, source); err != nil {
		t.Fatal(err)
	}
	r := relay.New(log)
	r.AddOutbox("source", source)
	r.AddOutbox("learning", b.s.db)
	r.AddConsumer(b.s.Consumer())
	stopped := make(chan error, 1)
	go func() { stopped <- r.Run(ctx) }()
	s := newStory("a")
	rnd := policy.NewStream([32]byte{4, 4})
	for range 40 {
		x := policy.Neutral()
		for j := range x {
			x[j] = .3 + .4*rnd.Float64()
		}
		s.session(x)
		f := s.feedback(event.ChannelSession, 0)
		f.Level = []string{"not_great", "loved"}[int(x[0]+.5)]
		s.add(f)
		s.add(s.engagement(.7))
	}
	s.retract("a-f00004")
	for len(s.events) > 0 {
		n := min(7, len(s.events))
		if err := source.Write(ctx, func(tx *sqldb.Tx) error { return relay.Emit(tx, s.events[:n]...) }); err != nil {
			t.Fatal(err)
		}
		s.events = s.events[n:]
	}
	if err := r.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	fresh, err := sqldb.Open(ctx, sqldbtest.Options(t, filepath.Join(dir, "fresh.db"), "learning"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Migrate(ctx, fresh); err != nil {
		t.Fatal(err)
	}
	if err := relay.Rebuild(ctx, log, b.s.Consumer(), b.s.db, fresh, nil); err != nil {
		t.Fatal(err)
	}
	again := &bench{t, open(fresh)}
	want := b.dump(b.s.Projections()...)
	if got := again.dump(b.s.Projections()...); got != want {
		t.Errorf("rebuilt\n%s\nlive\n%s", got, want)
	}
	if !strings.Contains(want, "waiting") {
		t.Error("nothing was proposed: the rebuild proves too little")
	}
	cancel()
	<-stopped
}

func TestOnlyTheOwnerReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	api := httpapi.New("test", who{})
	b.s.Routes(api, func() time.Time { return time.UnixMicro(s.now) })
	h := api.Handler()
	for _, path := range []string{"/v1/agents/a/learning", "/v1/agents/a/explanation"} {
		for person, want := range map[string]int{s.owner: http.StatusOK, "somebody": http.StatusForbidden, "": http.StatusUnauthorized} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("X-Person", person)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s as %q: %d, want %d: %s", path, person, w.Code, want, w.Body)
			}
		}
	}
}

type who struct{}

func (who) Authenticate(r *http.Request) (authz.Principal, error) {
	if p := r.Header.Get("X-Person"); p != "" {
		return authz.Principal{Person: event.PersonID(p), Scopes: []authz.Scope{authz.ScopeAgents}}, nil
	}
	return authz.Principal{}, nil
}

// TestNoLevelGoesWhereItIsProbablyWorse: with one signal at a time the fold often
// loses its last step again; what was published stays while it is believed better.
func TestNoLevelGoesWhereItIsProbablyWorse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	r := policy.NewStream([32]byte{5})
	moves := 0
	hear := func(e event.Event) {
		b.feed(1, e)
		for _, p := range s.answer(b) {
			for _, m := range p.Moved {
				moves++
				if p.Kind == event.ChangeLearned && m.P < .5 {
					t.Fatalf("proposal %d moved %s from %.2f to %.2f at P(improvement) %.2f", moves, m.Trait, m.Before, m.After, m.P)
				}
			}
		}
	}
	for range 60 {
		x := s.doc.Traits
		for j := range x {
			x[j] = min(1, max(0, x[j]+.1*r.Normal()))
		}
		hear(s.session(x))
		liked := 1.
		if d := x[policy.Humor] - .8; d*d+.05*r.Normal() > .06 {
			liked = -1
		}
		for _, score := range []float64{liked, liked, -liked} {
			hear(s.add(s.feedback(event.ChannelThumb, score)))
		}
		hear(s.add(s.engagement(.6 + .2*r.Float64())))
	}
	if moves < 5 {
		t.Errorf("only %d moves: the test says nothing", moves)
	}
}
