package agent_test

import (
	"testing"
	"time"

	"rapport/agent"
	"rapport/event"
	"rapport/internal/authz"
)

// limited is a world where everybody has two places.
func limited(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	var err error
	if w.Service, err = agent.New(t.Context(), w.db, agent.Options{Clock: func() time.Time { return time.UnixMicro(w.at()) }, Places: 2}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) places(want agent.Places) {
	w.t.Helper()
	got, err := w.PlacesOf(owner)
	if err != nil || got != want {
		w.t.Errorf("%+v %v, want %+v", got, err, want)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	w := limited(t)
	create := func() error {
		_, err := w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Mo"}})
		return err
	}
	first := w.agent(nil)
	w.agent(nil)
	w.places(agent.Places{Agents: 2, Places: 2})
	wantFault(t, create(), "no_place_left")
	if _, err := w.Create(owner, agent.Draft{ID: first.ID, Texts: agent.Texts{Name: "Mo"}}); err != nil {
		t.Errorf("one that is there already: %v", err)
	}
	if _, err := w.Create(as("owner", authz.ScopeAgents, authz.ScopeAdmin), agent.Draft{Texts: agent.Texts{Name: "Op"}}); err != nil {
		t.Errorf("an operator: %v", err)
	}
	slot := event.New("feedback", "s1", w.at(), event.PointsSpent{SpendID: "s1", PersonID: "owner", Item: event.ItemSlot})
	w.deliver(slot, slot, event.New("feedback", "s2", w.at(), event.PointsSpent{SpendID: "s2", PersonID: "owner", Item: event.ItemSlot}))
	w.places(agent.Places{Agents: 3, Places: 4})
	if err := create(); err != nil {
		t.Error(err)
	}
	wantFault(t, create(), "no_place_left")

	// Whoever is given one needs a place too.
	w.deliver(event.New("account", "c1", w.at(), event.AccountCreated{PersonID: "stranger"}))
	for range 2 {
		if _, err := w.Create(stranger, agent.Draft{Texts: agent.Texts{Name: "Mine"}}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.Transfer(owner, ref(first), "stranger")
	wantFault(t, err, "no_place_left")
	if err := w.Retire(owner, ref(first)); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Errorf("after one was retired: %v", err)
	}
}

func TestLooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	look := func(id, look string, at event.Micros) event.Event {
		return event.New("feedback", id, at, event.PointsSpent{SpendID: id, PersonID: "owner", Item: event.ItemLook, AgentID: a.ID, Look: look})
	}
	w.deliver(look("s2", "ocean", 20), look("s1", "ember", 10), event.New("feedback", "s3", 30, event.PointsSpent{SpendID: "s3", PersonID: "owner", Item: event.ItemReplies}))
	for _, who := range []agent.Agent{w.get(a.ID), must(t)(w.Get(stranger, a.Slug))} {
		if who.Look != "ocean" {
			t.Errorf("%q", who.Look)
		}
	}
	w.deliver(look("s4", "dusk", 40))
	if got := w.get(a.ID).Look; got != "dusk" {
		t.Errorf("%q", got)
	}
	if got := w.agent(nil).Look; got != "" {
		t.Errorf("another one has %q", got)
	}
	w.deliver(event.New("account", "g1", 50, event.AccountErased{PersonID: "owner"}))
	if n := len(dump(t, w.db, "looks")) + len(dump(t, w.db, "places")); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
