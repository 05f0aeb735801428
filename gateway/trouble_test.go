package gateway

import (
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/internal/authz"
	"rapport/internal/fault"
)

func as(w *world, p event.PersonID) func(event.RoomID, event.MessageID) (int, error) {
	return func(room event.RoomID, m event.MessageID) (int, error) {
		return w.s.TryAgain(authz.With(w.t.Context(), authz.Principal{Person: p}), room, m)
	}
}

// A reply that fails is shown in the room, and its author can have it tried again:
// with another decision, once.
func TestTryAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	id := w.said(person(ann), "Hi")
	w.model.set(func(m *model) { m.say, m.fail = nil, &provider.Error{Code: provider.CodeTimeout, Provider: "test"} })
	w.work(w.s)
	if len(w.troubles) != 1 || w.troubles[0] != (Trouble{MessageID: id, Code: provider.CodeTimeout, Says: says[provider.CodeTimeout], Again: true}) {
		t.Fatalf("shown %+v", w.troubles)
	}
	for who, room := range map[event.PersonID]event.RoomID{bob: hall, "": hall, ann: "elsewhere"} {
		if _, err := as(w, who)(room, id); !fault.Is(err, "message_unknown") && !fault.Is(err, "login_required") {
			t.Errorf("%s in %s: %v", who, room, err)
		}
	}
	w.model.set(func(m *model) { m.say, m.fail = []string{"Now."}, nil })
	for range 3 { // pressed three times
		if n, err := as(w, ann)(hall, id); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	w.work(w.s)
	told, replies := w.told(), w.replies()
	if len(told) != 2 || len(replies) != 1 || told[0].Action != "failed" || told[1].Action != "reply" || told[0].DecisionID == told[1].DecisionID ||
		told[1].DecisionID != replies[0].DecisionID || told[0].EpisodeID != told[1].EpisodeID {
		t.Fatalf("%+v, %+v", told, replies)
	}
	if _, err := as(w, ann)(hall, id); !fault.Is(err, "nothing_failed") {
		t.Errorf("an answered message: %v", err)
	}
	w.work(w.s)
	if len(w.replies()) != 1 {
		t.Error("answered twice")
	}
}

func TestTryAgainEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	id := w.said(person(ann), "Hi")
	w.model.set(func(m *model) { m.say, m.fail = nil, &provider.Error{Code: provider.CodeRefused, Provider: "test"} })
	w.work(w.s)
	for i := range maxTries {
		if n, err := as(w, ann)(hall, id); n != 1 || err != nil {
			t.Fatal(i, n, err)
		}
		w.work(w.s)
	}
	if _, err := as(w, ann)(hall, id); !fault.Is(err, "tried_enough") {
		t.Error(err)
	}
	if n := len(w.told()); n != 1+maxTries {
		t.Errorf("%d decisions", n)
	}
}

// A message that waits says so, and so does silence where somebody is alone with the agent.
func TestWaitingAndSilenceAreShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.model.set(func(m *model) {
		m.say, m.fail = nil, &provider.Error{Code: provider.CodeRateLimited, Provider: "test", RetryAfter: 20 * time.Second}
	})
	w.said(person(ann), "Hi")
	w.work(w.s)
	if len(w.troubles) != 1 || w.troubles[0].Wait != 20*time.Second || w.troubles[0].Again {
		t.Fatalf("waiting shows %+v", w.troubles)
	}
	w.model.set(func(m *model) { m.say, m.fail = []string{"Now."}, nil })
	w.pass(21 * time.Second)
	w.work(w.s)
	dead := state(mira, 1)
	dead.Alive = false
	w.hear(event.AgentUpdated{AgentState: dead, Change: event.Change{Kind: event.ChangeKilled, By: "owner"}})
	w.said(person(bob), "to all", func(m *event.MessageCreated) { m.Direct, m.People, m.Members, m.Addressed = false, 2, 4, nil })
	id := w.said(person(ann), "Hello?")
	w.work(w.s)
	if len(w.troubles) != 2 || w.troubles[1] != (Trouble{MessageID: id, Code: compile.ReasonKilled, Says: says[compile.ReasonKilled]}) {
		t.Errorf("silence shows %+v", w.troubles)
	}
}

// Whatever a model does wrong is said in words.
func TestTroubleHasWords(t *testing.T) {
	t.Parallel()
	for _, code := range []string{provider.CodeUnreachable, provider.CodeUnauthorized, provider.CodeQuota, provider.CodeNoModel, provider.CodeRefused, provider.CodeTooLong, provider.CodeRateLimited, provider.CodeUpstream,
		provider.CodeMoved, provider.CodeTimeout, provider.CodeBroken, provider.CodeTooLarge, provider.CodeEmpty, provider.CodeResting, provider.CodeBudget, provider.FinishFilter, codeUnchecked} {
		if says[code] == "" {
			t.Errorf("%s: %s", code, saysUnknown)
		}
	}
}
