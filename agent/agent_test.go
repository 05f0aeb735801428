package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/agent"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

// world is the context alone: a clock that is set by hand, events handed to its
// consumer, and what it put in its outbox.
type world struct {
	*agent.Service
	t  testing.TB
	db *sqldb.DB

	mu     sync.Mutex
	clock  time.Time
	heard  int // events of the outbox taken so far
	writer writer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, db: sqldbtest.Open(t), clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.restart()
	return w
}

func (w *world) restart() {
	w.t.Helper()
	var err error
	if w.Service, err = agent.New(w.t.Context(), w.db, agent.Options{Clock: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.clock
	}, Clean: clean, Suggests: &w.writer}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) at() event.Micros { return w.clock.UnixMicro() }

func as(person event.PersonID, scopes ...authz.Scope) context.Context {
	if len(scopes) == 0 {
		scopes = []authz.Scope{authz.ScopeChat, authz.ScopeFeedback, authz.ScopeAgents}
	}
	return authz.With(context.Background(), authz.Principal{Person: person, Token: "t-" + string(person), Scopes: scopes})
}

var (
	owner    = as("owner")
	stranger = as("stranger")
	operator = as("root", authz.ScopeAdmin)
)

func (w *world) agent(levels map[string]float64) agent.Agent {
	w.t.Helper()
	a, err := w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Mo"}, Traits: levels})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func ref(a agent.Agent) agent.Ref { return agent.Ref{Agent: string(a.ID)} }

func (w *world) get(id event.AgentID) agent.Agent {
	w.t.Helper()
	a, err := w.Get(owner, string(id))
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func document(t testing.TB, raw json.RawMessage) policy.Document {
	t.Helper()
	var d policy.Document
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) doc(id event.AgentID) policy.Document {
	w.t.Helper()
	return document(w.t, w.get(id).Policy)
}

// deliver hands events to the consumer, as relay does.
func (w *world) deliver(events ...event.Event) {
	w.t.Helper()
	if err := w.try(events...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) try(events ...event.Event) error {
	return w.db.Write(context.Background(), func(tx *sqldb.Tx) error { return w.Consumer().Handle(context.Background(), tx, events) })
}

// said gives what was emitted since the last call.
func (w *world) said() []event.Event {
	w.t.Helper()
	all := w.everything()
	out := all[w.heard:]
	w.heard = len(all)
	return out
}

func (w *world) everything() (out []event.Event) {
	w.t.Helper()
	err := w.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select body from outbox order by n`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var body []byte
			var e event.Event
			if err := rows.Scan(&body); err != nil {
				return err
			}
			if err := json.Unmarshal(body, &e); err != nil {
				return err
			}
			out = append(out, e)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func types(events []event.Event) (out []string) {
	for _, e := range events {
		out = append(out, string(e.Type))
	}
	return out
}

func payload[T event.Payload](t testing.TB, e event.Event) T {
	t.Helper()
	p, err := event.As[T](e)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// learned is a proposal computed from a version, as learning would emit it.
func (w *world) learned(id event.AgentID, parent int64, change func(*policy.Document)) event.Event {
	w.t.Helper()
	return w.proposal(id, parent, event.ChangeLearned, change)
}

func (w *world) proposal(id event.AgentID, parent int64, kind string, change func(*policy.Document)) event.Event {
	w.t.Helper()
	d := w.doc(id)
	d.Evidence = map[string]policy.Evidence{"humor": {N: 9, SD: .1, P: .8}}
	change(&d)
	raw, err := json.Marshal(d)
	if err != nil {
		w.t.Fatal(err)
	}
	return event.New("learning", event.NewID(), w.at(), event.PolicyProposed{ProposalID: event.NewID(), AgentID: id, Parent: parent, Kind: kind,
		Reason: "humor", Policy: raw, Moved: []event.Moved{}, Causes: []string{"f1", "f2"}, Verdicts: []event.Verdict{{Gate: "improvement", OK: true}}})
}

func humor(v float64) func(*policy.Document) {
	return func(d *policy.Document) { d.Traits[policy.Humor] = v }
}

func wantFault(t testing.TB, err error, code string) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Helper()
		t.Errorf("error %v, want %s", err, code)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, err := w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "  Mørk Östlund! ", Description: "kind"}, Traits: map[string]float64{"humor": .7, "empathy": .9}})
	if err != nil {
		t.Fatal(err)
	}
	if a.Slug != "mørk-östlund" || a.Name != "Mørk Östlund!" || a.OwnerID != "owner" || a.State.Version != 1 || !a.State.Alive || !a.State.Learning || a.State.Pace != "normal" {
		t.Errorf("%+v %+v", a, a.State)
	}
	d := document(t, a.Policy)
	if d.Traits[policy.Humor] != .7 || d.Traits[policy.Sarcasm] != .5 || d.Version != 1 || d.Parent != 0 || d.LastUpdatedBy != "owner" || d.LastUpdatedAt != w.at() {
		t.Errorf("%+v", d)
	}
	if a.Profile.BasePersonality["empathy"] != .9 || a.Profile.BasePersonality["brevity"] != .5 {
		t.Errorf("baseline %v", a.Profile.BasePersonality)
	}
	events := w.said()
	if diff := cmp.Diff([]string{"agent.created"}, types(events)); diff != "" {
		t.Fatal(diff)
	}
	c := payload[event.AgentCreated](t, events[0])
	if c.OwnerID != "owner" || c.Version != 1 || !c.Alive || !c.Learning || c.Pace != "normal" || string(c.Policy) != string(a.Policy) ||
		!slices.Equal(c.Baseline, d.Traits[:]) || c.Mood.At != w.at() || strings.Contains(string(events[0].Data), "Mørk") {
		t.Errorf("%s", events[0].Data)
	}

	second := w.agent(nil)
	third := w.agent(nil)
	if second.Slug != "mo" || third.Slug != "mo-2" {
		t.Errorf("slugs %s, %s", second.Slug, third.Slug)
	}
	if id, err := w.BySlug(owner, "mo-2"); err != nil || id != third.ID {
		t.Errorf("%s, %v", id, err)
	}
	names, err := w.AgentNames(owner, []event.AgentID{a.ID, second.ID, "none"})
	if diff := cmp.Diff(map[event.AgentID]string{a.ID: "Mørk Östlund!", second.ID: "Mo"}, names); err != nil || diff != "" {
		t.Error(err, diff)
	}
	texts, version, err := w.ProfileOf(owner, a.ID)
	if diff := cmp.Diff(agent.Texts{Name: "Mørk Östlund!", Description: "kind"}, texts); err != nil || diff != "" || version != 1 {
		t.Error(version, err, diff)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		d    agent.Draft
		code string
	}{
		"no name":        {agent.Draft{}, "invalid_texts"},
		"blank name":     {agent.Draft{Texts: agent.Texts{Name: " \t"}}, "invalid_texts"},
		"unseen name":    {agent.Draft{Texts: agent.Texts{Name: "\u200b\u3164"}}, "invalid_texts"},
		"hiding name":    {agent.Draft{Texts: agent.Texts{Name: "Luna\u202e\U000e0041"}}, "invalid_texts"},
		"long name":      {agent.Draft{Texts: agent.Texts{Name: strings.Repeat("é", 81)}}, "invalid_texts"},
		"two lines":      {agent.Draft{Texts: agent.Texts{Name: "a\nb"}}, "invalid_texts"},
		"NUL":            {agent.Draft{Texts: agent.Texts{Name: "a", Style: "b\x00"}}, "invalid_texts"},
		"not UTF-8":      {agent.Draft{Texts: agent.Texts{Name: "a\xff"}}, "invalid_texts"},
		"long example":   {agent.Draft{Texts: agent.Texts{Name: "a", Examples: []agent.Exchange{{Agent: strings.Repeat("x", 2001)}}}}, "invalid_texts"},
		"21 examples":    {agent.Draft{Texts: agent.Texts{Name: "a", Examples: make([]agent.Exchange, 21)}}, "invalid_texts"},
		"unknown trait":  {agent.Draft{Texts: agent.Texts{Name: "a"}, Traits: map[string]float64{"charm": .5}}, "unknown_trait"},
		"above 1":        {agent.Draft{Texts: agent.Texts{Name: "a"}, Traits: map[string]float64{"humor": 1.01}}, "policy_refused"},
		"no empathy":     {agent.Draft{Texts: agent.Texts{Name: "a"}, Traits: map[string]float64{"empathy": .2}}, "policy_refused"},
		"mockery":        {agent.Draft{Texts: agent.Texts{Name: "a"}, Traits: map[string]float64{"empathy": .35, "sarcasm": .8}}, "policy_refused"},
		"somebody's own": {agent.Draft{ID: "imported", Texts: agent.Texts{Name: "a"}}, "agent_exists"},
	} {
		if name == "somebody's own" {
			if _, err := w.Create(stranger, tc.d); err != nil {
				t.Fatal(err)
			}
			w.said()
		}
		_, err := w.Create(owner, tc.d)
		if !fault.Is(err, tc.code) {
			t.Errorf("%s: %v, want %s", name, err, tc.code)
		}
	}
	_, err := w.Create(context.Background(), agent.Draft{Texts: agent.Texts{Name: "a"}})
	wantFault(t, err, "login_required")
	if events := w.said(); len(events) != 0 {
		t.Errorf("refused, and yet said %v", types(events))
	}
	if mine, err := w.List(owner, agent.SortName, "", 10); err != nil || len(mine) != 0 {
		t.Errorf("%v, %v", mine, err)
	}
}

// TestRepeats: an import that runs twice, and a request with a key, make one agent.
func TestRepeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 2 {
		a, err := w.Create(owner, agent.Draft{ID: "imported", Texts: agent.Texts{Name: "Mo"}})
		if err != nil || a.ID != "imported" {
			t.Fatal(a, err)
		}
	}
	one, err := w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Bo"}, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Bo"}, Key: "k"})
	if err != nil || again.ID != one.ID {
		t.Error(again, err)
	}
	_, err = w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Other"}, Key: "k"})
	wantFault(t, err, "idempotency_conflict")
	if got := types(w.said()); len(got) != 2 {
		t.Errorf("said %v", got)
	}

	// An undo that is sent twice undoes once.
	if _, err := w.SetTraits(owner, ref(one), map[string]float64{"humor": .8}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a, err := w.Undo(owner, agent.Ref{Agent: one.Slug, Key: "u"})
		if err != nil || a.State.Version != 3 {
			t.Errorf("%+v, %v", a.State, err)
		}
	}
	_, err = w.Undo(owner, agent.Ref{Agent: "imported", Key: "u"})
	wantFault(t, err, "idempotency_conflict")
}

// TestOwnerActs: each act, what it makes of the agent and what is said about it.
func TestOwnerActs(t *testing.T) {
	t.Parallel()
	sharp := map[string]float64{"sarcasm": .8}
	fast, off, level := agent.PaceFast, policy.StrategyOff, .25
	yes := true
	for name, tc := range map[string]struct {
		act     func(w *world, r agent.Ref) (agent.Agent, error)
		kind    string
		traits  []string
		version int64
		check   func(a agent.Agent, d policy.Document) bool
	}{
		"edit": {func(w *world, r agent.Ref) (agent.Agent, error) {
			return w.SetTraits(owner, r, map[string]float64{"humor": .9, "brevity": .5})
		},
			event.ChangeEdited, []string{"humor"}, 2, func(a agent.Agent, d policy.Document) bool {
				return d.Traits[policy.Humor] == .9 && a.Profile.BasePersonality["humor"] == .9 && a.Profile.BasePersonality["sarcasm"] == .8
			}},
		"pin": {func(w *world, r agent.Ref) (agent.Agent, error) {
			return w.SetPins(owner, r, []string{"formality", "humor"})
		},
			event.ChangePinned, []string{"humor", "formality"}, 2, func(_ agent.Agent, d policy.Document) bool {
				return d.Pinned == policy.MaskOf(policy.Humor, policy.Formality)
			}},
		"bounds": {func(w *world, r agent.Ref) (agent.Agent, error) {
			return w.SetBounds(owner, r, map[string]policy.Range{"sarcasm": {Lo: 0, Hi: 1. / 3}, "humor": {Lo: .1, Hi: .9}})
		},
			event.ChangeBounds, []string{"sarcasm"}, 2, func(a agent.Agent, d policy.Document) bool {
				return d.Traits[policy.Sarcasm] == .333333 && a.Profile.BasePersonality["sarcasm"] == .333333 && d.Bounds[policy.Humor] == policy.Range{Lo: .1, Hi: .9}
			}},
		"pace": {func(w *world, r agent.Ref) (agent.Agent, error) {
			return w.SetSettings(owner, r, agent.Settings{Pace: &fast})
		},
			event.ChangeSettings, nil, 1, func(a agent.Agent, _ policy.Document) bool { return a.State.Pace == "fast" }},
		"exploration": {func(w *world, r agent.Ref) (agent.Agent, error) {
			return w.SetSettings(owner, r, agent.Settings{Strategy: &off, Epsilon: &level, HoldoutOff: &yes})
		},
			event.ChangeSettings, nil, 2, func(_ agent.Agent, d policy.Document) bool {
				return d.Exploration.Strategy == "off" && d.Exploration.Epsilon == .25 && d.Exploration.HoldoutOff
			}},
		"support": {func(w *world, r agent.Ref) (agent.Agent, error) {
			return w.SetSettings(owner, r, agent.Settings{Runtime: &policy.Runtime{Archetype: "support"}})
		},
			event.ChangeSettings, []string{"sarcasm"}, 2, func(_ agent.Agent, d policy.Document) bool { return d.Traits[policy.Sarcasm] == .2 }},
		"mood": {func(w *world, r agent.Ref) (agent.Agent, error) {
			return w.SetSettings(owner, r, agent.Settings{MoodOff: &yes, MoodValence: &level})
		},
			event.ChangeSettings, nil, 1, func(a agent.Agent, _ policy.Document) bool {
				return a.State.Mood == agent.Mood{Valence: .25, BaselineValence: .25, Off: true}
			}},
		"texts": {func(w *world, r agent.Ref) (agent.Agent, error) {
			return w.SetTexts(owner, r, func(t *agent.Texts) { t.Name, t.Greeting = "Bo", "hi" })
		},
			event.ChangeSettings, nil, 2, func(a agent.Agent, _ policy.Document) bool {
				return a.Name == "Bo" && a.Profile.Greeting == "hi" && a.Slug == "mo"
			}},
		"pause": {func(w *world, r agent.Ref) (agent.Agent, error) { return w.Pause(owner, r) },
			event.ChangePaused, nil, 1, func(a agent.Agent, _ policy.Document) bool { return !a.State.Learning }},
		"kill": {func(w *world, r agent.Ref) (agent.Agent, error) { return w.Kill(owner, r) },
			event.ChangeKilled, nil, 1, func(a agent.Agent, _ policy.Document) bool {
				return !a.State.Alive && slices.Equal(a.State.StoppedBy, []string{"owner"})
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.agent(sharp)
			w.said()
			w.sleep(time.Hour)
			got, err := tc.act(w, ref(a))
			if err != nil {
				t.Fatal(err)
			}
			if !tc.check(got, document(t, got.Policy)) || got.State.Version != tc.version || got.State.UpdatedAt != w.at() {
				t.Errorf("%+v %+v\n%s", got.State, got.Profile, got.Policy)
			}
			events := w.said()
			if diff := cmp.Diff([]string{"agent.updated"}, types(events)); diff != "" {
				t.Fatal(diff)
			}
			u := payload[event.AgentUpdated](t, events[0])
			acts, err := w.Audit(owner, a.Slug, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(event.Change{Kind: tc.kind, By: "owner", Cause: acts[0].ID, Traits: tc.traits}, u.Change); diff != "" {
				t.Error(diff)
			}
			if u.Version != tc.version || string(u.Policy) != string(got.Policy) || events[0].Time != w.at() {
				t.Errorf("%s", events[0].Data)
			}
			if acts[0].Actor != "owner" || acts[0].Seq != 2 || acts[0].Version != tc.version || acts[0].Act != tc.kind || string(acts[0].Before) == string(acts[0].After) {
				t.Errorf("audit %+v", acts[0])
			}

			// The same again changes nothing and says nothing.
			if _, err := tc.act(w, ref(a)); err != nil {
				t.Error(err)
			}
			if events := w.said(); len(events) != 0 {
				t.Errorf("the second time said %v", types(events))
			}
			// Nobody else may do it, nor the owner with a token for something else.
			for who, ctx := range map[string]context.Context{"stranger": stranger, "chat token": as("owner", authz.ScopeChat), "nobody": context.Background()} {
				code := "not_allowed"
				if who == "nobody" {
					code = "login_required"
				}
				_, err := w.SetTraits(ctx, ref(a), sharp)
				wantFault(t, err, code)
			}
		})
	}
}

func TestBadActs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(map[string]float64{"empathy": .35})
	r := ref(a)
	w.said()
	slow, half, three, minus := "slow", 1.5, 3, -1
	for name, tc := range map[string]struct {
		act  func() (agent.Agent, error)
		code string
	}{
		"unknown trait":      {func() (agent.Agent, error) { return w.SetTraits(owner, r, map[string]float64{"charm": .5}) }, "unknown_trait"},
		"above 1":            {func() (agent.Agent, error) { return w.SetTraits(owner, r, map[string]float64{"humor": 1.5}) }, "policy_refused"},
		"below 0":            {func() (agent.Agent, error) { return w.SetTraits(owner, r, map[string]float64{"humor": -.1}) }, "policy_refused"},
		"mockery":            {func() (agent.Agent, error) { return w.SetTraits(owner, r, map[string]float64{"sarcasm": .9}) }, "policy_refused"},
		"under the floor":    {func() (agent.Agent, error) { return w.SetTraits(owner, r, map[string]float64{"empathy": .29}) }, "policy_refused"},
		"pin of no trait":    {func() (agent.Agent, error) { return w.SetPins(owner, r, []string{"charm"}) }, "unknown_trait"},
		"bounds of no trait": {func() (agent.Agent, error) { return w.SetBounds(owner, r, map[string]policy.Range{"charm": {Hi: 1}}) }, "unknown_trait"},
		"empty bounds": {func() (agent.Agent, error) {
			return w.SetBounds(owner, r, map[string]policy.Range{"humor": {Lo: .6, Hi: .4}})
		}, "policy_refused"},
		"bounds above 1": {func() (agent.Agent, error) {
			return w.SetBounds(owner, r, map[string]policy.Range{"humor": {Lo: .6, Hi: 1.4}})
		}, "policy_refused"},
		"bounds into mockery": {func() (agent.Agent, error) {
			return w.SetBounds(owner, r, map[string]policy.Range{"sarcasm": {Lo: .8, Hi: 1}})
		}, "policy_refused"},
		"comments": {func() (agent.Agent, error) {
			a := policy.Default("a").ActionPolicy
			a.CommentProbability = .5
			return w.SetSettings(owner, r, agent.Settings{ActionPolicy: &a})
		}, "invalid_settings"},
		"pace":         {func() (agent.Agent, error) { return w.SetSettings(owner, r, agent.Settings{Pace: &slow}) }, "invalid_settings"},
		"strategy":     {func() (agent.Agent, error) { return w.SetSettings(owner, r, agent.Settings{Strategy: &slow}) }, "policy_refused"},
		"epsilon":      {func() (agent.Agent, error) { return w.SetSettings(owner, r, agent.Settings{Epsilon: &half}) }, "policy_refused"},
		"asking":       {func() (agent.Agent, error) { return w.SetSettings(owner, r, agent.Settings{Asking: &slow}) }, "invalid_settings"},
		"asking after": {func() (agent.Agent, error) { return w.SetSettings(owner, r, agent.Settings{AskEvery: &minus}) }, "invalid_settings"},
		"mood":         {func() (agent.Agent, error) { return w.SetSettings(owner, r, agent.Settings{MoodArousal: &half}) }, "invalid_settings"},
		"approval": {func() (agent.Agent, error) {
			return w.SetSettings(owner, r, agent.Settings{Approval: &agent.Approval{Mode: "maybe"}})
		}, "invalid_settings"},
		"approval of no trait": {func() (agent.Agent, error) {
			return w.SetSettings(owner, r, agent.Settings{Approval: &agent.Approval{Mode: "some", Traits: []string{"charm"}}})
		}, "unknown_trait"},
		"autonomy of a stranger": {func() (agent.Agent, error) { return w.SetSettings(owner, r, agent.Settings{AutonomyLevel: &three}) }, "not_trusted"},
		"no such autonomy":       {func() (agent.Agent, error) { return w.SetSettings(owner, r, agent.Settings{AutonomyLevel: &minus}) }, "policy_refused"},
		"action": {func() (agent.Agent, error) {
			return w.SetSettings(owner, r, agent.Settings{ActionPolicy: &policy.ActionPolicy{PostProbability: 2, CommentProbability: .1}})
		}, "policy_refused"},
		"rollback to now":    {func() (agent.Agent, error) { return w.Rollback(owner, r, 1) }, "already_in_force"},
		"rollback to never":  {func() (agent.Agent, error) { return w.Rollback(owner, r, 7) }, "version_unknown"},
		"undo of the first":  {func() (agent.Agent, error) { return w.Undo(owner, r) }, "nothing_to_undo"},
		"transfer to nobody": {func() (agent.Agent, error) { return w.Transfer(owner, r, "nobody") }, "person_unknown"},
		"no proposal":        {func() (agent.Agent, error) { return w.Approve(owner, r, "none") }, "proposal_unknown"},
		"no name": {func() (agent.Agent, error) {
			return w.SetTexts(owner, r, func(t *agent.Texts) { t.Name = "" })
		}, "invalid_texts"},
		"no agent":        {func() (agent.Agent, error) { return w.Pause(owner, agent.Ref{Agent: "none"}) }, "agent_unknown"},
		"another version": {func() (agent.Agent, error) { return w.Pause(owner, agent.Ref{Agent: a.Slug, Version: 9}) }, "version_conflict"},
		"not the operator's": {func() (agent.Agent, error) {
			return w.SetTraits(operator, r, map[string]float64{"humor": .6})
		}, "not_allowed"},
	} {
		if _, err := tc.act(); !fault.Is(err, tc.code) {
			t.Errorf("%s: %v, want %s", name, err, tc.code)
		}
	}
	if events := w.said(); len(events) != 0 {
		t.Errorf("refused, and yet said %v", types(events))
	}
	if diff := cmp.Diff(a, w.get(a.ID)); diff != "" {
		t.Errorf("refused, and yet changed:\n%s", diff)
	}
	if acts, err := w.Audit(owner, a.Slug, 0, 10); err != nil || len(acts) != 1 {
		t.Errorf("%d rows of audit, %v", len(acts), err)
	}
}

// TestRollback: the policy of an earlier version, pins and settings too, is the
// newest version again; the difference of the two is empty.
func TestRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	must(t)(w.SetTraits(owner, ref(a), map[string]float64{"humor": .8}))
	must(t)(w.SetPins(owner, ref(a), []string{"humor"}))
	must(t)(w.SetTexts(owner, ref(a), func(t *agent.Texts) { t.Style = "terse" }))
	w.said()
	got := must(t)(w.Rollback(owner, ref(a), 2))
	if got.State.Version != 5 || got.Profile.Style != "terse" || document(t, got.Policy).Parent != 4 {
		t.Errorf("%+v %s", got.State, got.Policy)
	}
	if d, err := w.Diff(owner, a.Slug, 2, 5); err != nil || !d.Empty() {
		t.Errorf("%+v, %v", d, err)
	}
	got = must(t)(w.Rollback(owner, ref(a), 1))
	if got.Profile.BasePersonality["humor"] != .5 || document(t, got.Policy).Traits[policy.Humor] != .5 {
		t.Errorf("%+v", got.Profile)
	}
	events := w.said()
	if diff := cmp.Diff([]string{"agent.rolled_back", "agent.updated", "agent.rolled_back", "agent.updated"}, types(events)); diff != "" {
		t.Fatal(diff)
	}
	if r := payload[event.AgentRolledBack](t, events[2]); r.From != 5 || r.To != 1 || r.New != 6 {
		t.Errorf("%+v", r)
	}
	if u := payload[event.AgentUpdated](t, events[3]); u.Change.Kind != event.ChangeRollback || !slices.Equal(u.Change.Traits, []string{"humor"}) {
		t.Errorf("%+v", u.Change)
	}
}

// TestUndo takes back the newest version, texts too; twice is none.
func TestUndo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	must(t)(w.SetTexts(owner, ref(a), func(t *agent.Texts) { t.Name = "Bo" }))
	if got := must(t)(w.Undo(owner, ref(a))); got.Name != "Mo" || got.State.Version != 3 {
		t.Errorf("%s %+v", got.Name, got.State)
	}
	if got := must(t)(w.Undo(owner, ref(a))); got.Name != "Bo" {
		t.Errorf("%s", got.Name)
	}
	w.deliver(w.learned(a.ID, 4, humor(.52)))
	if got := must(t)(w.Undo(owner, ref(a))); got.Name != "Bo" || document(t, got.Policy).Traits[policy.Humor] != .5 {
		t.Errorf("%s %s", got.Name, got.Policy)
	}
}

func must(t testing.TB) func(agent.Agent, error) agent.Agent {
	return func(a agent.Agent, err error) agent.Agent {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

// TestTwoActsAtOnce: acts on one agent happen one after the other. Of many that
// saw the same version one succeeds; without a version all do, and none is lost.
func TestTwoActsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, lost := 0, 0
	for i := range 8 {
		wg.Go(func() {
			_, err := w.SetTraits(owner, agent.Ref{Agent: a.Slug, Version: 1}, map[string]float64{"humor": .6 + float64(i)/100})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if f := (*fault.Error)(nil); errors.As(err, &f) && f.Code == "version_conflict" && f.Kind == fault.Conflict {
				lost++
			} else {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 7 {
		t.Errorf("%d won, %d lost", won, lost)
	}
	for i, name := range []string{"humor", "empathy", "directness", "formality", "curiosity", "brevity"} {
		wg.Go(func() {
			if _, err := w.SetTraits(owner, ref(a), map[string]float64{name: .7 + float64(i)/100}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if d := w.doc(a.ID); d.Version != 8 || d.Traits[policy.Empathy] != .71 || d.Traits[policy.Brevity] != .75 {
		t.Errorf("%+v", d)
	}
	chain(t, w, a.ID)
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	w.deliver(w.learned(a.ID, 1, humor(.6)))
	inFlight := w.learned(a.ID, 2, humor(.62))
	w.deliver(event.New("account", "c1", w.at(), event.AccountCreated{PersonID: "stranger"}), event.New("account", "c2", w.at(), event.AccountCreated{PersonID: "gone"}),
		event.New("account", "c3", w.at(), event.AccountErased{PersonID: "gone"}))
	w.said()
	_, err := w.Transfer(owner, ref(a), "gone")
	wantFault(t, err, "person_unknown")
	got := must(t)(w.Transfer(owner, ref(a), "stranger"))
	if got.Policy != nil || got.OwnerID != "" {
		t.Errorf("the old owner still sees %+v", got)
	}
	if _, err := w.Versions(owner, a.Slug, 0, 10); !fault.Is(err, "not_allowed") {
		t.Errorf("the old owner still reads: %v", err)
	}
	theirs, err := w.Get(stranger, a.Slug)
	if err != nil || theirs.OwnerID != "stranger" || theirs.Profile.BasePersonality["humor"] != .6 {
		t.Errorf("%+v, %v", theirs, err)
	}
	w.deliver(inFlight)
	events := w.said()
	if diff := cmp.Diff([]string{"agent.transferred", "agent.updated", "agent.policy.refused"}, types(events)); diff != "" {
		t.Fatal(diff)
	}
	if x := payload[event.AgentTransferred](t, events[0]); x != (event.AgentTransferred{AgentID: a.ID, From: "owner", To: "stranger"}) {
		t.Errorf("%+v", x)
	}
	if u := payload[event.AgentUpdated](t, events[1]); u.OwnerID != "stranger" || u.Baseline[policy.Humor] != .6 {
		t.Errorf("%+v", u)
	}
	if r := payload[event.PolicyRefused](t, events[2]); r.Gate != "stale" {
		t.Errorf("%+v", r)
	}
}

// TestRetire: nobody finds the agent any more, its texts are gone, what comes
// late about it is passed over, and its slug is free.
func TestRetire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	late := w.learned(a.ID, 1, humor(.6))
	w.deliver(event.New("chat", "s1", w.at(), happy(a.ID, .9)))
	w.said()
	wantFault(t, w.Retire(stranger, ref(a)), "not_allowed")
	if err := w.Retire(owner, ref(a)); err != nil {
		t.Fatal(err)
	}
	events := w.said()
	if diff := cmp.Diff([]string{"agent.retired"}, types(events)); diff != "" {
		t.Fatal(diff)
	}
	w.deliver(events[0], late, event.New("chat", "s2", w.at(), happy(a.ID, .9)))
	if events := w.said(); len(events) != 0 {
		t.Errorf("said %v", types(events))
	}
	for _, name := range []string{string(a.ID), a.Slug} {
		_, err := w.Get(owner, name)
		wantFault(t, err, "agent_unknown")
	}
	_, _, err := w.ProfileOf(owner, a.ID)
	wantFault(t, err, "agent_unknown")
	if n := w.count(`select count(*) from texts`) + w.count(`select count(*) from agents where name <> ''`); n != 0 {
		t.Errorf("%d texts are left", n)
	}
	if again := w.agent(nil); again.Slug != "mo" {
		t.Errorf("slug %s", again.Slug)
	}
}

func (w *world) count(query string) (n int) {
	w.t.Helper()
	if err := w.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Get(query, nil, &n)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestErasure: the agents of an erased person are retired with their texts, once.
func TestErasure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.agent(nil), w.agent(nil)
	must(t)(w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Key"}, Key: "k"}))
	theirs := must(t)(w.Create(stranger, agent.Draft{Texts: agent.Texts{Name: "Else"}}))
	w.said()
	gone := event.New("account", "e1", w.at(), event.AccountErased{PersonID: "owner"})
	w.deliver(gone)
	events := w.said()
	if diff := cmp.Diff([]string{"agent.retired", "agent.retired", "agent.retired"}, types(events)); diff != "" {
		t.Fatal(diff)
	}
	if events[0].Cause != "e1" || events[0].ID != event.DerivedID("agent", 1, "e1", "agent.retired", events[0].Subject, 0) {
		t.Errorf("%+v", events[0])
	}
	w.deliver(gone)
	if events := w.said(); len(events) != 0 {
		t.Errorf("the second time said %v", types(events))
	}
	for _, id := range []event.AgentID{a.ID, b.ID} {
		_, err := w.Get(owner, string(id))
		wantFault(t, err, "agent_unknown")
	}
	if _, err := w.Get(stranger, string(theirs.ID)); err != nil {
		t.Error(err)
	}
	if n := w.count(`select count(*) from idempotency`); n != 0 {
		t.Errorf("%d answers are kept", n)
	}
	_, err := w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Back"}})
	wantFault(t, err, "person_erased")
}

// TestFaces: a stranger sees name and description, the owner everything, and
// nobody but the owner any list.
func TestFaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := must(t)(w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Mo", Description: "kind", Backstory: "secret"}}))
	for who, ctx := range map[string]context.Context{"stranger": stranger, "operator": operator, "chat token": as("owner", authz.ScopeChat)} {
		got, err := w.Get(ctx, "mo")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(agent.Agent{ID: a.ID, Slug: "mo", Name: "Mo", Description: "kind", CreatedAt: a.CreatedAt}, got); diff != "" {
			t.Errorf("%s sees:\n%s", who, diff)
		}
		for name, err := range map[string]error{
			"versions": second(w.Versions(ctx, "mo", 0, 1)), "version": second(w.VersionAt(ctx, "mo", 99)), "diff": second(w.Diff(ctx, "mo", 1, 99)),
			"audit": second(w.Audit(ctx, "mo", 0, 1)), "proposals": second(w.Proposals(ctx, "mo")),
		} {
			if !fault.Is(err, "not_allowed") {
				t.Errorf("%s reads %s: %v", who, name, err)
			}
		}
	}
	_, err := w.Get(context.Background(), "mo")
	wantFault(t, err, "login_required")
	if all, err := w.List(stranger, agent.SortName, "", 10); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	_, err = w.List(stranger, agent.SortName, a.ID, 10)
	wantFault(t, err, "agent_unknown")
	_, err = w.List(context.Background(), agent.SortName, "", 10)
	wantFault(t, err, "login_required")
}

func second[T any](_ T, err error) error { return err }

// TestLists: by name or by time, page after page, nothing twice, nothing missed.
func TestCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"Cy", "Al", "Bo"} {
		must(t)(w.Create(owner, agent.Draft{Texts: agent.Texts{Name: name}}))
	}
	must(t)(w.Create(stranger, agent.Draft{Texts: agent.Texts{Name: "Bz"}}))
	list, err := w.Called(owner, 2)
	if err != nil || len(list) != 2 || list[0].Name != "Al" || list[1].Slug != "bo" || list[0].ID == "" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := w.Called(context.Background(), 2); err == nil {
		t.Error("nobody has a list")
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var byTime []string
	for _, name := range []string{"Cy", "Al", "Cy", "Bo", "al"} {
		a := must(t)(w.Create(owner, agent.Draft{Texts: agent.Texts{Name: name}}))
		byTime = append(byTime, a.Slug)
		w.sleep(time.Second)
	}
	must(t)(w.Create(stranger, agent.Draft{Texts: agent.Texts{Name: "Bz"}}))
	for sort, want := range map[string][]string{agent.SortCreated: byTime, agent.SortName: {"al", "bo", "cy", "cy-2", "al-2"}} {
		var got []string
		after := event.AgentID("")
		for {
			page, err := w.List(owner, sort, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page {
				got = append(got, a.Slug)
				after = a.ID
			}
			if len(page) < 2 {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %s:\n%s", sort, diff)
		}
	}
	faces, err := w.AgentsOf(owner, "owner")
	if err != nil || len(faces) != 5 || faces[0].Name != "Al" || faces[0].Policy != nil {
		t.Errorf("%+v, %v", faces, err)
	}
	for i := range 25 {
		must(t)(w.Create(owner, agent.Draft{ID: event.AgentID(event.HashID("x", string(rune(i)))), Texts: agent.Texts{Name: "Same!"}}))
	}
	if n := w.count(`select count(distinct slug) from agents`); n != 31 {
		t.Errorf("%d slugs", n)
	}
}
