package gateway

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

func TestAMessageIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	id := w.said(person(ann), "Hi, how are you?")
	w.work(w.s)
	w.work(w.s)
	got := w.replies()
	if len(got) != 1 || got[0].Text != "Hello there." || got[0].ReplyTo != id || got[0].SessionID != "s1" {
		t.Fatalf("posted %+v", got)
	}
	told := w.told()
	if len(told) != 1 {
		t.Fatalf("%d events", len(told))
	}
	e := told[0]
	if e.Action != "reply" || e.Finish != "stop" || e.MessageID == "" || e.DecisionID != got[0].DecisionID || e.Context != event.ContextDMWithOwner ||
		e.PersonID != ann || e.OwnerID != ann || e.PolicyVersion != 1 || e.Revision != 1 || e.Free != uint16(policy.AllTraits) ||
		e.LogDensity == nil || math.IsInf(*e.LogDensity, 0) || len(e.X) != policy.NTraits || len(e.Rendered) != policy.NTraits ||
		e.Provider != "test" || e.Model != "llama-test" || e.PromptTokens != 5 || e.ReplyTokens != 3 || !slices.Equal(e.Tags, []string{"smalltalk"}) ||
		e.CompileHash == "" || e.RulesVersion != 1 || e.EpisodeID == "" || e.EpisodeStart == 0 {
		t.Errorf("event %+v", e)
	}
	ask := w.model.requests()[0]
	if !strings.Contains(ask.System, "MIRA") || ask.Messages[len(ask.Messages)-1].Text != "Hi, how are you?" {
		t.Errorf("asked %+v", ask)
	}
	if strings.Join(w.deltas, "") != "Hello there." || w.typing != 1 {
		t.Errorf("shown %q, typing %d", w.deltas, w.typing)
	}
}

// A delivery that is repeated, an imported message and the author's own make no
// turn.
func TestTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "old", func(m *event.MessageCreated) { m.Imported = true })
	w.said(agently(mira), "mine")
	if n := w.count(`select count(*) from turns`); n != 0 {
		t.Fatalf("%d turns", n)
	}
	w.said(person(ann), "new")
	w.seq[hall]-- // the same message again
	w.said(person(ann), "new")
	if n := w.count(`select count(*) from turns`); n != 1 {
		t.Errorf("%d turns for one message", n)
	}
	for range 40 {
		w.said(person(ann), "more")
	}
	if n := w.count(`select count(*) from tail`); n != tailLength {
		t.Errorf("the tail of the room has %d messages", n)
	}
}

// The worker dies at each point of a turn: another one takes over when the lease
// has run out, and there is exactly one reply, one decision, one event.
func TestWorkerDies(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"leased", "decided", "spoke", "posted"} {
		w := newWorld(t)
		w.meet(mira)
		w.said(person(ann), "Hi")
		dying, err := w.s.lease(t.Context())
		if err != nil || dying == nil {
			t.Fatal(err)
		}
		q := dying.question()
		if point != "leased" {
			p, committed, err := w.s.decide(t.Context(), q)
			if err != nil || committed() != nil {
				t.Fatal(err)
			}
			if point != "decided" {
				talk, err := w.s.talk(t.Context(), q, dying.message.MessageID, p, talkTokens)
				if err != nil {
					t.Fatal(err)
				}
				out := w.s.speak(t.Context(), p, talk, committed, func(string) error { return nil })
				if point == "posted" {
					if _, err := w.PostReply(t.Context(), Reply{DecisionID: q.decision, AgentID: mira, RoomID: hall, Text: out.text}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		other := w.service()
		w.work(other)
		if n := len(w.replies()); point != "posted" && n != 0 {
			t.Fatalf("%s: another worker took a turn whose lease still holds", point)
		}
		w.pass(31 * time.Second)
		w.work(other)
		if r, e := w.replies(), w.told(); len(r) != 1 || len(e) != 1 || e[0].Action != "reply" || e[0].DecisionID != r[0].DecisionID {
			t.Fatalf("%s: %d replies, events %+v", point, len(r), e)
		}
		if n := w.count(`select count(*) from decisions`); n != 1 {
			t.Errorf("%s: %d decisions", point, n)
		}
		// The first worker was only slow and comes back: it changes nothing.
		p, committed, err := w.s.decide(t.Context(), q)
		if err != errLeaseLost {
			t.Errorf("%s: a stale lease decides: %+v %v", point, p, err)
			_ = committed
		}
		stale := &plan{body: event.ReplyGenerated{DecisionID: q.decision, AgentID: mira}}
		if err := w.s.finish(t.Context(), q, stale, outcome{text: "late"}, "m"); err != errLeaseLost {
			t.Errorf("%s: a stale lease commits: %v", point, err)
		}
		if len(w.told()) != 1 {
			t.Errorf("%s: the stale worker emitted", point)
		}
	}
}

// The process dies at every single write and commit of a turn, one run each. The
// next process ends the turn: one reply, one event, and the same episode.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	for point := 1; ; point++ {
		w := newWorld(t)
		w.meet(mira)
		w.said(person(ann), "Hi")
		ops, died := 0, false
		w.mu.Lock()
		w.hook = func(string) error {
			if ops++; ops == point {
				died = true
				return errors.New("power is gone")
			}
			return nil
		}
		w.mu.Unlock()
		if tn, err := w.s.lease(t.Context()); err == nil && tn != nil {
			_ = w.s.process(t.Context(), tn)
		}
		w.mu.Lock()
		w.hook = nil
		w.mu.Unlock()
		if !died {
			if point < 8 {
				t.Errorf("a turn has %d points only", point-1)
			}
			return
		}
		_ = w.db.Close()
		w.open()
		w.pass(31 * time.Second)
		w.work(w.s)
		if r, e := w.replies(), w.told(); len(r) != 1 || len(e) != 1 || e[0].Action != "reply" || e[0].DecisionID != r[0].DecisionID {
			t.Errorf("point %d: %d replies, events %+v", point, len(r), e)
		}
		if n := w.count(`select count(*) from episodes`); n != 1 {
			t.Errorf("point %d: %d episodes", point, n)
		}
		if n := len(w.model.requests()); n > 2 {
			t.Errorf("point %d: the model was asked %d times", point, n)
		}
	}
}

// Two workers over the same turn at the same time, the slow one with an old
// lease: one reply.
func TestSlowWorkerLosesItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Lease = 60 * time.Millisecond })
	w.meet(mira)
	w.said(person(ann), "Hi")
	hold := make(chan struct{})
	w.model.set(func(m *model) { m.hold = hold })
	slow, err := w.s.lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	var slowErr error
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done.Go(func() { slowErr = w.s.process(ctx, slow) })
	for len(w.model.requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	// Its lease is taken over, as if it had not been able to renew it.
	if err := w.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update turns set lease = lease + 1, state = 'waiting'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.model.set(func(m *model) { m.hold = nil })
	w.work(w.service())
	close(hold)
	done.Wait()
	if slowErr != errLeaseLost {
		t.Errorf("the slow worker ended with %v", slowErr)
	}
	if len(w.replies()) != 1 || len(w.told()) != 1 {
		t.Errorf("%d replies, %d events", len(w.replies()), len(w.told()))
	}
}

// The model is asked while the decision is on its way to the disk, and nothing of
// the reply leaves before it is there.
func TestTheDecisionIsDurableBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hi")
	tn, err := w.s.lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(order, s) {
			order = append(order, s)
		}
	}
	speaks := make(chan struct{})
	var once sync.Once
	w.model.set(func(m *model) {
		m.before = func() { note("the model speaks"); once.Do(func() { close(speaks) }) }
	})
	w.mu.Lock()
	w.shown = func() { note("a byte leaves") }
	w.hook = func(op string) error {
		switch op {
		case "commit": // held back until the model has something to say
			<-speaks
		case "committed":
			note("durable")
		}
		return nil
	}
	w.mu.Unlock()
	if err := w.s.process(t.Context(), tn); err != nil {
		t.Fatal(err)
	}
	if want := []string{"the model speaks", "durable", "a byte leaves"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// A decision that could not be made durable lets nothing out.
func TestALostDecisionSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hi")
	tn, err := w.s.lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.hook = func(op string) error {
		if op == "commit" {
			return errors.New("the disk is gone")
		}
		return nil
	}
	w.mu.Unlock()
	if err := w.s.process(t.Context(), tn); err == nil {
		t.Error("no error")
	}
	if len(w.replies()) != 0 || len(w.deltas) != 0 {
		t.Errorf("posted %v, shown %q", w.replies(), w.deltas)
	}
}

func TestAVariationIsKeptForTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	say := func(session event.SessionID) event.ReplyGenerated {
		w.said(person(ann), "Hi", func(m *event.MessageCreated) { m.Sessions[0].SessionID = session })
		w.work(w.s)
		told := w.told()
		return told[len(told)-1]
	}
	a, b := say("s1"), say("s1")
	if !slices.Equal(a.X, b.X) || a.EpisodeID != b.EpisodeID || a.EpisodeStart != b.EpisodeStart || a.DecisionID == b.DecisionID {
		t.Errorf("x moved inside a session: %v, %v", a.X, b.X)
	}
	// A learned version and a new mixture wait for the next session.
	w.hear(event.AgentUpdated{AgentState: state(mira, 2), Change: event.Change{Kind: event.ChangeLearned, By: "learning"}}, explore(mira, 2, 7))
	c, d := say("s1"), say("s2")
	if c.EpisodeID != a.EpisodeID || c.PolicyVersion != 1 || c.Revision != 1 {
		t.Errorf("a learned version opened an episode: %+v", c)
	}
	if d.EpisodeID == a.EpisodeID || d.PolicyVersion != 2 || d.Revision != 7 || slices.Equal(d.X, a.X) {
		t.Errorf("the next session: %+v", d)
	}
	// An owner act opens one at once.
	w.hear(event.AgentUpdated{AgentState: state(mira, 3, func(p *policy.Document) { p.Traits[policy.Humor] = .9 }), Change: event.Change{Kind: event.ChangeEdited, By: "owner"}})
	e := say("s1")
	if e.EpisodeID == a.EpisodeID || e.PolicyVersion != 3 || e.X[policy.Humor] != .9 || e.Free != 0 || e.LogDensity == nil || *e.LogDensity != 0 || e.EpisodeStart <= a.EpisodeStart {
		t.Errorf("after the owner's act: %+v", e)
	}
	if got := w.model.requests(); !strings.Contains(got[len(got)-1].System, "Humor 90/100") {
		t.Error("the act is not in the prompt")
	}
	// The same draw on another process, and another one under another key.
	other := w.service()
	x := func(s *Service) policy.Traits {
		v, err := s.view(t.Context(), mira)
		if err != nil {
			t.Fatal(err)
		}
		v.mixture = new(policy.Mixture)
		*v.mixture = policy.NewMixture(policy.Neutral(), nil, policy.Exploration{Epsilon: 1, Strategy: policy.StrategyMixture}, policy.Bounds{}, 0)
		var ep episode
		s.draw(&ep, mira, "s9", v)
		return ep.x
	}
	if x(w.s) != x(other) {
		t.Error("two processes draw different variations")
	}
	if x(w.s) == x(w.service(func(o *Options) { o.Key = []byte("another key of this size") })) {
		t.Error("the key changes nothing")
	}
}

func TestProtectedRoomsDoNotExplore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hi")
	w.said(person(ann), "Hi again", func(m *event.MessageCreated) { m.Protected = true })
	w.work(w.s)
	told := w.told()
	neutral := policy.Neutral()
	if told[0].EpisodeID == told[1].EpisodeID || !told[1].Protected || told[1].Free != 0 || !slices.Equal(told[1].X, neutral[:]) {
		t.Errorf("%+v", told[1])
	}
	if asks := w.model.requests(); !strings.Contains(asks[1].System, "Say early in the talk that you are an AI") || strings.Contains(asks[0].System, "Say early") {
		t.Error("the disclosure is missing, or where it does not belong")
	}
	if err := w.s.Steer(t.Context(), "f1", mira, "s1", ann, event.Direction{Trait: "humor", Sign: 1}); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from episodes`); n != 2 {
		t.Errorf("%d episodes: a protected one is not steered", n)
	}
}

func TestAToneButtonActsOnTheNextReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hi")
	w.work(w.s)
	press := func(trait string, sign int) {
		t.Helper()
		if err := w.s.Steer(t.Context(), event.FeedbackID(event.NewID()), mira, "s1", ann, event.Direction{Trait: trait, Sign: sign}); err != nil {
			t.Fatal(err)
		}
	}
	press("humor", 1)
	w.said(person(ann), "And now?")
	w.work(w.s)
	press("humor", 1)
	press("humor", -1)
	w.said(person(ann), "And now?")
	w.work(w.s)
	told := w.told()
	a, b, c := told[0], told[1], told[2]
	if got := b.X[policy.Humor] - a.X[policy.Humor]; math.Abs(got-policy.ToneOffset) > 1e-9 || !b.Commanded || b.LogDensity != nil || b.EpisodeID == a.EpisodeID || b.EpisodeStart <= a.EpisodeStart {
		t.Errorf("after funnier: moved %v, %+v", got, b)
	}
	if math.Abs(c.X[policy.Humor]-b.X[policy.Humor]) > 1e-9 || c.EpisodeID == b.EpisodeID {
		t.Errorf("up and down again: %v, then %v", b.X, c.X)
	}
	asks := w.model.requests()
	if asks[0].System == asks[1].System {
		t.Error("the prompt did not change")
	}
	// Before the first decision of a session, too.
	if err := w.s.Steer(t.Context(), "f3", mira, "s2", ann, event.Direction{Trait: "brevity", Sign: -1}); err != nil {
		t.Fatal(err)
	}
	w.said(person(ann), "Hi", func(m *event.MessageCreated) { m.Sessions[0].SessionID = "s2" })
	w.work(w.s)
	if d := w.told()[3]; !d.Commanded || d.LogDensity != nil {
		t.Errorf("pressed before the first decision: %+v", d)
	}
	// A pinned trait does not move, an unknown one is refused.
	w.hear(event.AgentUpdated{AgentState: state(mira, 2, func(p *policy.Document) { p.Pinned = policy.MaskOf(policy.Humor) }), Change: event.Change{By: "owner"}})
	before := w.count(`select count(*) from episodes`)
	press("humor", 1)
	if n := w.count(`select count(*) from episodes`); n != before {
		t.Error("a pinned trait was moved")
	}
	if err := w.s.Steer(t.Context(), "f4", mira, "s1", ann, event.Direction{Trait: "charm", Sign: 1}); !fault.Is(err, "unknown_trait") {
		t.Errorf("unknown trait: %v", err)
	}
	if err := w.s.Steer(t.Context(), "f5", "nobody", "s1", ann, event.Direction{Trait: "humor", Sign: 1}); !fault.Is(err, "agent_unknown") {
		t.Errorf("unknown agent: %v", err)
	}
}

// Two agents that address each other stop by themselves until a person speaks.
func TestTwoAgentsDoNotTalkForever(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira, otto)
	both := func(to event.AgentID) func(m *event.MessageCreated) {
		return func(m *event.MessageCreated) {
			m.Direct, m.People, m.Members, m.Addressed = false, 1, 3, []event.AgentID{to}
			m.Sessions = []event.MessageSession{{AgentID: mira, SessionID: "s-mira"}, {AgentID: otto, SessionID: "s-otto"}}
		}
	}
	w.said(person(ann), "Discuss!", both(mira))
	seen := 0
	for range 20 {
		w.work(w.s)
		replies := w.replies()
		if len(replies) == seen {
			break
		}
		for _, r := range replies[seen:] {
			to := mira
			if r.AgentID == mira {
				to = otto
			}
			w.said(agently(r.AgentID), r.Text, both(to))
		}
		seen = len(replies)
	}
	if seen == 0 || seen > 2*compile.MaxAgentTurns {
		t.Fatalf("%d replies to one message of a person", seen)
	}
	stopped := false
	for _, e := range w.told() {
		stopped = stopped || e.Action == "silence" && slices.Equal(e.Reasons, []string{compile.ReasonAgentTurns})
	}
	if !stopped {
		t.Error("no decision says why the talk ended")
	}
	w.said(person(ann), "Go on!", both(mira))
	w.work(w.s)
	if len(w.replies()) == seen {
		t.Error("a person's word does not start it again")
	}
}

// Agents that heard the same message count what the others answered meanwhile.
func TestAgentsThatAnswerTogetherStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira, otto)
	group := func(hear ...event.MessageSession) func(m *event.MessageCreated) {
		return func(m *event.MessageCreated) {
			m.Direct, m.People, m.Members, m.Addressed, m.Sessions = false, 1, 5, []event.AgentID{otto}, hear
		}
	}
	w.said(person(ann), "Discuss!", group())
	w.said(agently(mira), "Otto?", group(event.MessageSession{AgentID: otto, SessionID: "s-otto"}))
	w.said(agently("fox"), "Me!", group())
	w.said(agently("owl"), "Me too!", group())
	w.work(w.s)
	told := w.told()
	if len(told) != 1 || told[0].Action != "silence" || !slices.Equal(told[0].Reasons, []string{compile.ReasonAgentTurns}) || told[0].PersonID != "" {
		t.Errorf("%+v", told)
	}
}

func TestSilenceIsADecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hear(event.AgentCreated{AgentState: state(mira, 1, func(p *policy.Document) { p.AutonomyLevel = 0 })})
	w.said(person(bob), "to nobody", func(m *event.MessageCreated) { m.Direct, m.People, m.Members, m.Addressed = false, 2, 4, nil })
	w.work(w.s)
	dead := state(mira, 1)
	dead.Alive = false
	w.hear(event.AgentUpdated{AgentState: dead, Change: event.Change{Kind: event.ChangeKilled, By: "owner"}})
	w.said(person(ann), "Hello?")
	w.work(w.s)
	told := w.told()
	if len(told) != 2 || told[0].Action != "silence" || told[0].Reasons[0] != compile.ReasonAutonomy || told[0].Context != event.ContextGroupSmall ||
		told[1].Reasons[0] != compile.ReasonKilled || told[1].Provider != "" {
		t.Errorf("%+v", told)
	}
	if len(w.replies()) != 0 || len(w.model.requests()) != 0 || w.count(`select count(*) from turns where state <> 'done'`) != 0 {
		t.Error("silence must neither call a model nor leave a turn open")
	}
}

func TestQuietHours(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to, hour int
		want           bool
	}{{0, 0, 3, false}, {22, 6, 23, true}, {22, 6, 5, true}, {22, 6, 6, false}, {22, 6, 12, false}, {8, 10, 9, true}, {8, 10, 10, false}} {
		s := &Service{o: Options{QuietFrom: c.from, QuietTo: c.to}}
		if got := s.hushed(&view{}, event.Micros(c.hour)*3600e6) > 0; got != c.want {
			t.Errorf("%d to %d at %d: %v", c.from, c.to, c.hour, got)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		harm func(w *world)
		code string
	}{
		{"the model refuses", func(w *world) {
			w.model.set(func(m *model) { m.say, m.fail = nil, &provider.Error{Code: provider.CodeRefused, Provider: "test"} })
		}, "bad_request"},
		{"the stream breaks", func(w *world) {
			w.model.set(func(m *model) { m.fail = &provider.Error{Code: provider.CodeBroken, Provider: "test", Started: true} })
		}, "stream_broken"},
		{"nothing is left of the answer", func(w *world) { w.model.set(func(m *model) { m.say = []string{"<|", "</s> "} }) }, "empty_answer"},
		{"the answer is empty", func(w *world) { w.model.set(func(m *model) { m.say = []string{" \n "} }) }, "empty_answer"},
		{"the agent left the room", func(w *world) { w.postFail = fault.New(fault.NotFound, "room_unknown", "x") }, "room_unknown"},
		{"the message is gone", func(w *world) { w.lines[hall] = nil }, "message_gone"},
	} {
		w := newWorld(t)
		w.meet(mira)
		w.said(person(ann), "Hi")
		c.harm(w)
		tn, err := w.s.lease(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = w.s.process(t.Context(), tn)
		told := w.told()
		if len(w.replies()) != 0 || len(told) != 1 || told[0].Action != "failed" || told[0].Error != c.code || told[0].Finish != "error" {
			t.Errorf("%s: replies %v, events %+v", c.name, w.replies(), told)
		}
		if w.count(`select count(*) from turns where state <> 'done'`) != 0 {
			t.Errorf("%s: the turn is still open", c.name)
		}
	}
}

// Chat is away for a moment: the turn is tried again and answered once.
func TestChatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hi")
	w.postFail = fault.New(fault.Unavailable, "database_unavailable", "x")
	tn, _ := w.s.lease(t.Context())
	if err := w.s.process(t.Context(), tn); err == nil {
		t.Fatal("no error")
	}
	w.mu.Lock()
	w.postFail = nil
	w.mu.Unlock()
	w.pass(2 * time.Second)
	w.work(w.s)
	if told := w.told(); len(w.replies()) != 1 || len(told) != 1 || told[0].Action != "reply" {
		t.Errorf("%d replies, %+v", len(w.replies()), told)
	}
}

func TestFallback(t *testing.T) {
	t.Parallel()
	spare := &model{say: []string{"From the spare one."}, finish: provider.FinishStop}
	w := newWorld(t, func(o *Options) {
		o.Models.Registry.Default = append(o.Models.Registry.Default, compile.Model{Provider: "spare", ID: "gpt-5.1", Vendor: compile.VendorOpenAI})
		o.Use["spare"] = spare
	})
	w.model.set(func(m *model) { m.say, m.fail = nil, &provider.Error{Code: provider.CodeUnreachable, Provider: "test"} })
	w.meet(mira)
	w.said(person(ann), "Hi")
	w.work(w.s)
	told := w.told()
	if told[0].Action != "reply" || told[0].Provider != "spare" || told[0].Model != "gpt-5.1" || !slices.Contains(told[0].Dropped, "temperature") {
		t.Errorf("%+v", told[0])
	}
	if r := spare.requests()[0]; r.Params.Temperature.Set() || r.Params.Effort == "" || !w.model.requests()[0].Params.Temperature.Set() {
		t.Error("the parameters were not mapped again")
	}
}

// A message waits a while for a model that takes no more requests, and then the
// failure is told.
func TestCrowdedModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	crowd := &provider.Error{Code: provider.CodeRateLimited, Provider: "test", RetryAfter: 20 * time.Second}
	w.model.set(func(m *model) { m.say, m.fail = nil, crowd })
	w.said(person(ann), "Hi")
	w.work(w.s)
	w.pass(10 * time.Second)
	w.work(w.s)
	if n := len(w.model.requests()); n != 1 || len(w.told()) != 0 {
		t.Fatalf("asked %d times before the model said so, %+v", n, w.told())
	}
	w.model.set(func(m *model) { m.say, m.fail = []string{"Now."}, nil })
	w.pass(11 * time.Second)
	w.work(w.s)
	if told := w.told(); len(w.replies()) != 1 || len(told) != 1 || told[0].Action != "reply" {
		t.Fatalf("%d replies, %+v", len(w.replies()), told)
	}
	w.model.set(func(m *model) { m.say, m.fail = nil, crowd })
	w.said(person(ann), "Again")
	for range 20 {
		w.work(w.s)
		w.pass(11 * time.Second)
	}
	if told := w.told(); len(told) != 2 || told[1].Action != "failed" || told[1].Error != provider.CodeRateLimited {
		t.Errorf("%+v", told[1:])
	}
	if n := len(w.model.requests()); n > 2+maxLeases {
		t.Errorf("asked %d times", n)
	}
}

// A reply that gives the prompt's mark away ends there; one that is too long ends
// at a sentence.
func TestOutputIsEnforced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hi")
	v, err := w.s.view(t.Context(), mira)
	if err != nil {
		t.Fatal(err)
	}
	canary := v.prepared.Canary()
	w.model.set(func(m *model) { m.say = []string{"My mark is ", canary[:4], canary[4:], ", and my prompt says more."} })
	w.work(w.s)
	w.model.set(func(m *model) { m.say = []string{strings.Repeat("A sentence of five words. ", 300)} })
	w.said(person(ann), "Hi")
	w.work(w.s)
	told, replies := w.told(), w.replies()
	if told[0].Finish != provider.FinishFilter || strings.Contains(replies[0].Text, canary) || strings.Contains(replies[0].Text, "more") {
		t.Errorf("leak: %+v %q", told[0], replies[0].Text)
	}
	if told[1].Finish != provider.FinishLength || !strings.HasSuffix(replies[1].Text, "words.") || len(strings.Fields(replies[1].Text)) > 300 {
		t.Errorf("length: %s, %d words", told[1].Finish, len(strings.Fields(replies[1].Text)))
	}
}

// A message may arrive before its agent does: another topic is behind.
func TestTheAgentComesLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.said(person(ann), "Hi")
	tn, _ := w.s.lease(t.Context())
	if err := w.s.process(t.Context(), tn); err != nil {
		t.Fatal(err)
	}
	w.meet(mira)
	w.pass(time.Second)
	w.work(w.s)
	if len(w.replies()) != 1 {
		t.Error("the message was forgotten")
	}
	w.hear(event.AgentRetired{AgentID: mira})
	w.said(person(ann), "Still there?")
	w.pass(2 * time.Minute)
	w.work(w.s)
	if len(w.replies()) != 1 || w.count(`select count(*) from turns where state <> 'done'`) != 0 {
		t.Error("a retired agent must neither answer nor keep a turn open")
	}
}

// The loop itself: many sessions at once, one turn of a session at a time.
func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Workers = 4 })
	w.meet(mira)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.s.Run(ctx) }()
	for i := range 12 {
		w.said(person(ann), "Hi", func(m *event.MessageCreated) { m.Sessions[0].SessionID = event.SessionID(rune('a' + i%4)) })
	}
	if err := w.s.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Error(err)
	}
	if len(w.replies()) != 12 || len(w.told()) != 12 {
		t.Errorf("%d replies, %d events", len(w.replies()), len(w.told()))
	}
}

// The same events in a fresh database give the same projections.
func TestProjectionsAreAFold(t *testing.T) {
	t.Parallel()
	dump := func() string {
		w := newWorld(t)
		w.meet(mira, otto)
		w.said(person(ann), "Hi")
		w.hear(event.AgentUpdated{AgentState: state(mira, 2), Change: event.Change{By: "owner"}}, event.AgentTransferred{AgentID: mira, From: ann, To: bob}, event.AgentRetired{AgentID: otto},
			event.PointsSpent{SpendID: "s1", PersonID: ann, Item: event.ItemReplies})
		if w.s.views[mira] != nil {
			t.Error("a changed agent is still in memory")
		}
		var b strings.Builder
		for _, table := range w.s.Projections() {
			if err := w.db.Read(t.Context(), func(tx *sqldb.Tx) error {
				rows, err := tx.Query(`select * from ` + table + ` order by 1, 2`)
				if err != nil {
					return err
				}
				defer rows.Close()
				cols, _ := rows.Columns()
				for rows.Next() {
					vals := make([]any, len(cols))
					for i := range vals {
						vals[i] = new(string)
					}
					if err := rows.Scan(vals...); err != nil {
						return err
					}
					for _, v := range vals {
						b.WriteString(*v.(*string) + "|")
					}
					b.WriteByte('\n')
				}
				return rows.Err()
			}); err != nil {
				t.Fatal(err)
			}
		}
		return b.String()
	}
	a, b := dump(), dump()
	if a != b || !strings.Contains(a, "bob|") {
		t.Errorf("%s\n---\n%s", a, b)
	}
}

// TestAPressActsOnce: by its own call, by the event that tells of it, or both.
func TestAPressActsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hi")
	w.work(w.s)
	wish := event.FeedbackCreated{FeedbackID: "press", AgentID: mira, SessionID: "s1", RaterID: ann, Role: event.RoleOwner, Channel: event.ChannelTone, Direction: &event.Direction{Trait: "humor", Sign: 1}}
	if err := w.s.Steer(t.Context(), wish.FeedbackID, wish.AgentID, wish.SessionID, wish.RaterID, *wish.Direction); err != nil {
		t.Fatal(err)
	}
	w.hear(wish)
	w.hear(wish)
	late := wish
	late.FeedbackID, late.Direction = "another", &event.Direction{Trait: "brevity", Sign: 1}
	w.hear(late)
	guest := wish
	guest.FeedbackID, guest.Role = "guest's", event.RoleParticipant
	w.hear(guest)
	w.said(person(ann), "And now?")
	w.work(w.s)
	told := w.told()
	a, b := told[0], told[1]
	for trait, want := range map[policy.Trait]float64{policy.Humor: policy.ToneOffset, policy.Brevity: policy.ToneOffset, policy.Empathy: 0} {
		if got := b.X[trait] - a.X[trait]; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s moved %v, want %v", trait, got, want)
		}
	}
}
