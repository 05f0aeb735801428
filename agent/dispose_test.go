package agent_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/agent"
	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

// TestLearned: a proposal becomes the newest version, and one agent.updated says so.
func TestLearned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	w.said()
	w.sleep(time.Hour)
	e := w.learned(a.ID, 1, func(d *policy.Document) {
		d.Traits[policy.Humor] = .52
		d.ActionPolicy.ReplyFrequency.GroupSmall = .65
		d.Exploration.Revision = 4
		d.ToneWeights = policy.ToneWeights{"warm": 1} // not learned: derived again
		d.LastUpdatedBy, d.Version, d.Parent = "owner", 40, 39
	})
	p := payload[event.PolicyProposed](t, e)
	w.sleep(time.Minute) // delivered later; the event's time counts
	w.deliver(e)
	events := w.said()
	if diff := cmp.Diff([]string{"agent.updated"}, types(events)); diff != "" {
		t.Fatal(diff)
	}
	u := payload[event.AgentUpdated](t, events[0])
	if diff := cmp.Diff(event.Change{Kind: "learned", By: "learning", Cause: p.ProposalID}, u.Change); diff != "" {
		t.Error(diff)
	}
	d := document(t, u.Policy)
	if d.Traits[policy.Humor] != .52 || d.ActionPolicy.ReplyFrequency.GroupSmall != .65 || d.Exploration.Revision != 4 || d.Version != 2 || d.Parent != 1 ||
		d.LastUpdatedBy != "learning" || d.LastUpdatedAt != e.Time || d.Reason != "humor" || d.Evidence["humor"].N != 9 || d.ToneWeights["warm"] == 1 {
		t.Errorf("%+v", d)
	}
	if events[0].ID != event.DerivedID("agent", 1, e.ID, "agent.updated", string(a.ID), 0) || events[0].Cause != e.ID || events[0].Root != e.Root || events[0].Time != e.Time {
		t.Errorf("%+v", events[0])
	}
	if u.Baseline[policy.Humor] != .5 {
		t.Errorf("learning moved the baseline: %v", u.Baseline)
	}
	v, err := w.VersionAt(owner, a.Slug, 2)
	if err != nil || v.Kind != "learned" || v.By != "learning" || v.Cause != p.ProposalID || !slices.Equal(v.Causes, p.Causes) || v.At != e.Time ||
		v.Change.TraitsDelta["humor"] != .02 || len(v.Verdicts) != 1 || v.Change.ActionPolicyDelta["replyFrequency.groupSmall"] != -.05 {
		t.Errorf("%+v, %v", v, err)
	}
	acts, err := w.Audit(owner, a.Slug, 0, 1)
	if err != nil || acts[0].Actor != "learning" || !slices.Equal(acts[0].Evidence, p.Causes) || acts[0].Cause != p.ProposalID || acts[0].Version != 2 ||
		!strings.Contains(string(acts[0].Before), `"humor":0.5`) || !strings.Contains(string(acts[0].After), `"humor":0.52`) {
		t.Errorf("%+v, %v", acts, err)
	}

	// Handled again, as after a crash: nothing.
	w.deliver(e, e)
	if events := w.said(); len(events) != 0 || w.doc(a.ID).Version != 2 {
		t.Errorf("the second time said %v", types(events))
	}
}

// TestGates: each reason to refuse, and that it was this one.
func TestGates(t *testing.T) {
	t.Parallel()
	type setup func(w *world, a agent.Agent)
	none := func(*world, agent.Agent) {}
	edit := func(w *world, a agent.Agent) {
		must(w.t)(w.SetTraits(owner, ref(a), map[string]float64{"brevity": .6}))
	}
	for name, tc := range map[string]struct {
		before setup
		parent int64
		kind   string
		change func(*policy.Document)
		gate   string // empty: applied
	}{
		"applied":                {none, 1, "learned", humor(.6), ""},
		"applied after rounding": {none, 1, "learned", humor(.65 + 1e-8), ""},
		"unknown kind":           {none, 1, "edited", humor(.6), "schema"},
		"no such parent":         {none, 2, "learned", humor(.6), "schema"},
		"parent 0":               {none, 0, "learned", humor(.6), "schema"},
		"another agent's": {none, 1, "learned", func(d *policy.Document) {
			d.AgentID = "other"
			d.Traits[policy.Humor] = .6
		}, "schema"},
		"autonomy":    {none, 1, "learned", func(d *policy.Document) { d.AutonomyLevel = 1 }, "schema"},
		"pins":        {none, 1, "learned", func(d *policy.Document) { d.Pinned = policy.MaskOf(policy.Humor) }, "schema"},
		"own bounds":  {none, 1, "withdrawn", func(d *policy.Document) { d.Bounds = policy.Bounds{policy.Humor: {Lo: 0, Hi: .9}} }, "schema"},
		"model":       {none, 1, "learned", func(d *policy.Document) { d.Runtime.PreferredModel = "big" }, "schema"},
		"strategy":    {none, 1, "learned", func(d *policy.Document) { d.Exploration.Strategy = "off" }, "schema"},
		"hold-out":    {none, 1, "learned", func(d *policy.Document) { d.Exploration.HoldoutOff = true }, "schema"},
		"daily cap":   {none, 1, "learned", func(d *policy.Document) { d.ActionPolicy.MaxAutonomousActionsPerDay = 50 }, "schema"},
		"probability": {none, 1, "learned", func(d *policy.Document) { d.ActionPolicy.PostProbability = 1.5 }, "schema"},
		"evidence of no trait": {none, 1, "learned", func(d *policy.Document) {
			d.Traits[policy.Humor] = .6
			d.Evidence = map[string]policy.Evidence{"charm": {}}
		}, "schema"},
		"killed":              {func(w *world, a agent.Agent) { must(w.t)(w.Kill(owner, ref(a))) }, 1, "learned", humor(.6), "killed"},
		"killed by operator":  {func(w *world, a agent.Agent) { second(w.Kill(operator, ref(a))) }, 1, "learned", humor(.6), "killed"},
		"paused":              {func(w *world, a agent.Agent) { must(w.t)(w.Pause(owner, ref(a))) }, 1, "learned", humor(.6), "paused"},
		"withdrawn, paused":   {func(w *world, a agent.Agent) { must(w.t)(w.Pause(owner, ref(a))) }, 1, "withdrawn", humor(.6), "paused"},
		"stale":               {edit, 1, "learned", humor(.6), "stale"},
		"withdrawn, stale":    {edit, 1, "withdrawn", humor(.6), "stale"},
		"computed afterwards": {edit, 2, "learned", humor(.6), ""},
		"only texts are newer": {func(w *world, a agent.Agent) {
			must(w.t)(w.SetTexts(owner, ref(a), func(t *agent.Texts) { t.Style = "terse" }))
		}, 1, "learned", humor(.6), "stale"},
		"learning is newer": {func(w *world, a agent.Agent) { w.deliver(w.learned(a.ID, 1, humor(.55))) }, 1, "learned", humor(.6), ""},
		"pinned":            {func(w *world, a agent.Agent) { must(w.t)(w.SetPins(owner, ref(a), []string{"humor"})) }, 2, "learned", humor(.52), "pinned"},
		"withdrawn, pinned": {func(w *world, a agent.Agent) { must(w.t)(w.SetPins(owner, ref(a), []string{"humor"})) }, 2, "withdrawn", humor(.52), "pinned"},
		"beside a pin":      {func(w *world, a agent.Agent) { must(w.t)(w.SetPins(owner, ref(a), []string{"brevity"})) }, 2, "learned", humor(.52), ""},
		"bounds": {func(w *world, a agent.Agent) {
			must(w.t)(w.SetBounds(owner, ref(a), map[string]policy.Range{"humor": {Lo: 0, Hi: .55}}))
		}, 2, "learned", humor(.56), "bounds"},
		"withdrawn, bounds": {func(w *world, a agent.Agent) {
			must(w.t)(w.SetBounds(owner, ref(a), map[string]policy.Range{"humor": {Lo: 0, Hi: .55}}))
		}, 2, "withdrawn", humor(.56), "bounds"},
		"platform's bounds": {none, 1, "withdrawn", func(d *policy.Document) { d.Traits[policy.Empathy] = .2 }, "bounds"},
		"forbidden": {none, 1, "withdrawn", func(d *policy.Document) {
			d.Traits[policy.Empathy], d.Traits[policy.Sarcasm] = .35, .75
		}, "bounds"},
		"a bound that is none":  {none, 1, "bounds", humor(.52), "bounds"},
		"drift":                 {none, 1, "learned", humor(.66), "drift"},
		"drift downwards":       {none, 1, "learned", humor(.34), "drift"},
		"withdrawn may go far":  {none, 1, "withdrawn", humor(.9), ""},
		"approval":              {approve("all", 0), 1, "learned", humor(.52), "approval"},
		"withdrawn, approval":   {approve("all", 0), 1, "withdrawn", humor(.52), "approval"},
		"approval of the trait": {approve("some", 0, "humor"), 1, "learned", humor(.52), "approval"},
		"approval of another":   {approve("some", 0, "brevity"), 1, "learned", humor(.52), ""},
		"approval of the size":  {approve("some", .05), 1, "learned", humor(.56), "approval"},
		"small enough":          {approve("some", .05), 1, "learned", humor(.55), ""},
		"approval of an action": {approve("some", .05), 1, "learned", func(d *policy.Document) { d.ActionPolicy.InviteProbability = .2 }, "approval"},
		"drift before approval": {approve("all", 0), 1, "learned", humor(.7), "drift"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.agent(nil)
			tc.before(w, a)
			before := w.get(a.ID)
			e := w.proposal(a.ID, tc.parent, tc.kind, tc.change)
			p := payload[event.PolicyProposed](t, e)
			w.said()
			w.deliver(e)
			events := w.said()
			if len(events) != 1 {
				t.Fatalf("said %v", types(events))
			}
			acts, err := w.Audit(owner, a.Slug, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			if tc.gate == "" {
				if u := payload[event.AgentUpdated](t, events[0]); u.Change.Kind != tc.kind || u.Version != before.State.Version+1 {
					t.Errorf("%+v", u)
				}
				chain(t, w, a.ID)
				return
			}
			r := payload[event.PolicyRefused](t, events[0])
			if r.Gate != tc.gate || r.ProposalID != p.ProposalID || r.AgentID != a.ID || r.Reason == "" {
				t.Errorf("%+v, want %s", r, tc.gate)
			}
			if events[0].ID != event.DerivedID("agent", 1, e.ID, "agent.policy.refused", string(a.ID), 0) || events[0].Cause != e.ID {
				t.Errorf("%+v", events[0])
			}
			if got := w.get(a.ID); string(got.Policy) != string(before.Policy) {
				t.Errorf("refused, and yet %s", got.Policy)
			}
			last := acts[0].Verdicts[len(acts[0].Verdicts)-1]
			if acts[0].Actor != "learning" || last.Gate != tc.gate || last.OK || last.Note != r.Reason || acts[0].Cause != p.ProposalID {
				t.Errorf("audit %+v", acts[0])
			}
			w.deliver(e)
			if events := w.said(); len(events) != 0 {
				t.Errorf("the second time said %v", types(events))
			}
		})
	}
}

func approve(mode string, above float64, traits ...string) func(*world, agent.Agent) {
	return func(w *world, a agent.Agent) {
		must(w.t)(w.SetSettings(owner, ref(a), agent.Settings{Approval: &agent.Approval{Mode: mode, Above: above, Traits: traits}}))
	}
}

// TestMalformedPolicies: a policy that is not whole is refused, never read as zero.
func TestMalformedPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	whole := map[string]any{}
	if err := json.Unmarshal(a.Policy, &whole); err != nil {
		t.Fatal(err)
	}
	whole["traits"].(map[string]any)["humor"] = .6
	send := func(raw string) string {
		w.said()
		w.deliver(event.New("learning", event.NewID(), w.at(), event.PolicyProposed{ProposalID: "p", AgentID: a.ID, Parent: 1, Kind: "learned", Policy: json.RawMessage(raw)}))
		events := w.said()
		if len(events) != 1 || events[0].Type != "agent.policy.refused" {
			return strings.Join(types(events), " ")
		}
		return payload[event.PolicyRefused](t, events[0]).Gate
	}
	for _, raw := range []string{`{}`, `[]`, `7`, `null`, `{"traits":{"charm":1}}`, `{"traits":{"humor":1.2}}`, `{"traits":null}`} {
		if got := send(raw); got != "schema" {
			t.Errorf("%s: %s", raw, got)
		}
	}
	for _, path := range []string{"traits", "traits.humor", "traits.empathy", "actionPolicy", "actionPolicy.postProbability", "actionPolicy.replyFrequency", "actionPolicy.replyFrequency.groupSmall", "exploration", "agentId"} {
		raw, err := json.Marshal(without(whole, strings.Split(path, ".")))
		if err != nil {
			t.Fatal(err)
		}
		if got := send(string(raw)); got != "schema" {
			t.Errorf("without %s: %s", path, got)
		}
	}
	if d := w.doc(a.ID); d.Version != 1 {
		t.Errorf("%+v", d)
	}
	if err := w.try(event.Event{ID: "x", Type: "rl.agent.policy.updated", Subject: string(a.ID), Data: json.RawMessage(`{"parent":"one"}`)}); !strings.Contains(err.Error(), event.ErrMalformed.Error()) {
		t.Errorf("%v", err)
	}
}

func without(m map[string]any, path []string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		switch {
		case k != path[0]:
			out[k] = v
		case len(path) > 1:
			out[k] = without(v.(map[string]any), path[1:])
		}
	}
	return out
}

// TestNothing: a proposal of what is, however it was computed, is passed over
// without a word; one about no agent of ours as well.
func TestNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	same := w.learned(a.ID, 1, func(d *policy.Document) { d.Traits[policy.Humor] += 1e-8 })
	stranger := event.New("learning", "x", 1, event.PolicyProposed{ProposalID: "p", AgentID: "none", Parent: 1, Kind: "learned", Policy: a.Policy})
	w.said()
	w.deliver(same, stranger)
	must(t)(w.Pause(owner, ref(a)))
	w.said()
	w.deliver(w.learned(a.ID, 1, func(*policy.Document) {}))
	if events := w.said(); len(events) != 0 {
		t.Errorf("said %v", types(events))
	}
	if acts, err := w.Audit(owner, a.Slug, 0, 9); err != nil || len(acts) != 2 {
		t.Errorf("%d rows of audit, %v", len(acts), err)
	}
}

// TestDrift is a rate: small steps add up, a week later there is room again, and
// what the owner moved is counted from there.
func TestDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	step := func(v float64) string {
		w.t.Helper()
		w.said()
		w.deliver(w.learned(a.ID, w.get(a.ID).State.Version, humor(v)))
		events := w.said()
		if events[0].Type == "agent.policy.refused" {
			return payload[event.PolicyRefused](t, events[0]).Gate
		}
		return "ok"
	}
	day := 24 * time.Hour
	for _, tc := range []struct {
		after time.Duration
		to    float64
		want  string
	}{
		{0, .6, "ok"},
		{day, .65, "ok"},
		{day, .66, "drift"},               // .16 above day 0
		{5*day - time.Hour, .66, "drift"}, // still inside
		{2 * time.Hour, .66, "ok"},        // seven days after the step to .6, .6 is what counts
		{0, .51, "ok"},                    // down again: .66 is the highest, .6 no longer … .51 is .15 below
		{0, .5, "drift"},                  // .16 below .66
		{8 * day, .36, "ok"},              // only .51 counts
		{8 * day, .51, "ok"},              //
		{0, .52, "drift"},                 // .16 above .36, which held until now
	} {
		w.sleep(tc.after)
		if got := step(tc.to); got != tc.want {
			t.Errorf("to %v: %s, want %s", tc.to, got, tc.want)
		}
	}
	must(t)(w.SetTraits(owner, ref(a), map[string]float64{"humor": .9}))
	for v, want := range map[float64]string{.76: "ok", .74: "drift"} {
		if got := step(v); got != want {
			t.Errorf("after an edit to .9, %v: %s", v, got)
		}
	}
	w.deliver(w.proposal(a.ID, w.get(a.ID).State.Version, "withdrawn", humor(.3)))
	if got := step(.4); got != "ok" {
		t.Errorf("after a withdrawal: %s", got)
	}
	chain(t, w, a.ID)
}

// TestStaleRace: an owner's edit that comes before a proposal is handled wins,
// and learning hears of it; pausing and resuming does not make it stale.
func TestStaleRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	p1, p2, p3 := w.learned(a.ID, 1, humor(.52)), w.learned(a.ID, 1, humor(.54)), w.learned(a.ID, 1, humor(.56))
	must(t)(w.Pause(owner, ref(a)))
	must(t)(w.Resume(owner, ref(a)))
	w.deliver(p1, p2)
	must(t)(w.SetTraits(owner, ref(a), map[string]float64{"curiosity": .9}))
	w.said()
	w.deliver(p3)
	d := w.doc(a.ID)
	if d.Version != 4 || d.Traits[policy.Humor] != .54 || d.Traits[policy.Curiosity] != .9 {
		t.Errorf("%+v", d)
	}
	if r := payload[event.PolicyRefused](t, w.said()[0]); r.Gate != "stale" {
		t.Errorf("%+v", r)
	}
	chain(t, w, a.ID)
}

// TestApproval: what waits is shown with what it would change; a yes applies it,
// a no does not; a newer one takes its place; an act of the owner voids it.
func TestApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	approve("all", 0)(w, a)
	older, newer := w.learned(a.ID, 1, humor(.52)), w.learned(a.ID, 1, humor(.54))
	id := func(e event.Event) string { return payload[event.PolicyProposed](t, e).ProposalID }
	w.deliver(older, newer)
	list, err := w.Proposals(owner, a.Slug)
	if err != nil || len(list) != 1 || list[0].ID != id(newer) || list[0].Change.TraitsDelta["humor"] != .04 || list[0].Causes[0] != "f1" {
		t.Fatalf("%+v, %v", list, err)
	}
	if n := w.get(a.ID).State.Waiting; n != 1 {
		t.Errorf("%d wait", n)
	}
	_, err = w.Approve(owner, ref(a), id(older))
	wantFault(t, err, "proposal_decided")
	_, err = w.Approve(stranger, ref(a), id(newer))
	wantFault(t, err, "not_allowed")

	must(t)(w.Pause(owner, ref(a)))
	_, err = w.Approve(owner, ref(a), id(newer))
	wantFault(t, err, "proposal_refused")
	must(t)(w.Resume(owner, ref(a)))

	w.said()
	got := must(t)(w.Approve(owner, ref(a), id(newer)))
	if d := document(t, got.Policy); d.Version != 2 || d.Traits[policy.Humor] != .54 || d.LastUpdatedBy != "learning" || got.State.Waiting != 0 {
		t.Errorf("%+v %+v", d, got.State)
	}
	events := w.said()
	if diff := cmp.Diff([]string{"agent.updated"}, types(events)); diff != "" {
		t.Fatal(diff)
	}
	if u := payload[event.AgentUpdated](t, events[0]); u.Change.Kind != "learned" || u.Change.By != "learning" || u.Change.Cause != id(newer) || events[0].Cause != newer.ID {
		t.Errorf("%+v", u.Change)
	}
	if acts, err := w.Audit(owner, a.Slug, 0, 1); err != nil || acts[0].Actor != "owner" || acts[0].By != "learning" {
		t.Errorf("%+v, %v", acts, err)
	}
	_, err = w.Approve(owner, ref(a), id(newer))
	wantFault(t, err, "proposal_decided")

	// A no.
	e := w.learned(a.ID, 2, humor(.56))
	w.deliver(e)
	w.said()
	got = must(t)(w.Refuse(owner, ref(a), id(e)))
	if got.State.Version != 2 || got.State.Waiting != 0 {
		t.Errorf("%+v", got.State)
	}
	if r := payload[event.PolicyRefused](t, w.said()[0]); r.Gate != "approval" || r.ProposalID != id(e) {
		t.Errorf("%+v", r)
	}
	_, err = w.Refuse(owner, ref(a), id(e))
	wantFault(t, err, "proposal_decided")
	if acts, err := w.Audit(owner, a.Slug, 0, 1); err != nil || acts[0].Actor != "owner" || acts[0].Act != "refused" {
		t.Errorf("%+v, %v", acts, err)
	}

	// An act of the owner in between.
	e = w.learned(a.ID, 2, humor(.58))
	w.deliver(e)
	w.said()
	must(t)(w.SetTraits(owner, ref(a), map[string]float64{"brevity": .9}))
	events = w.said()
	if diff := cmp.Diff([]string{"agent.updated", "agent.policy.refused"}, types(events)); diff != "" {
		t.Fatal(diff)
	}
	if r := payload[event.PolicyRefused](t, events[1]); r.Gate != "stale" || r.ProposalID != id(e) {
		t.Errorf("%+v", r)
	}
	_, err = w.Approve(owner, ref(a), id(e))
	wantFault(t, err, "proposal_decided")
	chain(t, w, a.ID)
}

// TestKillSwitches: owner, operator and platform have one each, and each lifts
// only its own; agents made while all stand still stand still.
func TestKillSwitches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.agent(nil), w.agent(nil)
	for range 210 { // more than one page
		must(t)(w.Create(stranger, agent.Draft{Texts: agent.Texts{Name: "x"}}))
	}
	w.said()
	wantFault(t, w.KillAll(owner), "not_allowed")
	must(t)(w.Kill(owner, ref(a)))
	if _, err := w.Kill(operator, ref(a)); err != nil {
		t.Fatal(err)
	}
	if err := w.KillAll(operator); err != nil {
		t.Fatal(err)
	}
	if err := w.KillAll(operator); err != nil {
		t.Fatal(err)
	}
	events := w.said()
	if len(events) != 2+212 {
		t.Errorf("%d events", len(events))
	}
	for _, e := range events[2:] {
		if u := payload[event.AgentUpdated](t, e); u.Alive || u.Change.Kind != "killed" || u.Change.By != "platform" {
			t.Fatalf("%+v", u)
		}
	}
	if diff := cmp.Diff([]string{"owner", "operator", "platform"}, w.get(a.ID).State.StoppedBy); diff != "" {
		t.Error(diff)
	}
	born := w.agent(nil)
	if born.State.Alive || payload[event.AgentCreated](t, w.said()[0]).Alive {
		t.Error("born alive while all are stopped")
	}
	_, err := w.Revive(owner, ref(b))
	wantFault(t, err, "stopped_by_others")
	if got := must(t)(w.Revive(owner, ref(a))); got.State.Alive {
		t.Error("alive against the operator's switch")
	}
	if err := w.ReviveAll(operator); err != nil {
		t.Fatal(err)
	}
	if got := w.get(b.ID); !got.State.Alive {
		t.Errorf("%+v", got.State)
	}
	if diff := cmp.Diff([]string{"operator"}, w.get(a.ID).State.StoppedBy); diff != "" {
		t.Error(diff)
	}
	if _, err := w.Revive(operator, ref(a)); err != nil || !w.get(a.ID).State.Alive {
		t.Error(err)
	}
	acts, err := w.Audit(owner, a.Slug, 0, 1)
	if err != nil || acts[0].Actor != "root" || acts[0].By != "platform" {
		t.Errorf("%+v, %v", acts, err)
	}

	// A crash between the switch and the telling: the next start tells.
	if err := w.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update platform set stopped = true where one = 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if w.get(b.ID).State.Alive {
		t.Error("not told after a restart")
	}
}

func happy(id event.AgentID, sentiment float64) event.SessionEnded {
	return event.SessionEnded{SessionID: "s", AgentID: id, People: []event.SessionPerson{{PersonID: "owner", Turns: 3, Sentiment: sentiment, Consent: true}}}
}

// TestMood: a session moves it by at most .1, a tenth of nothing for quiet ones;
// it halves every six hours; it is no version.
func TestMood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	half := .5
	must(t)(w.SetSettings(owner, ref(a), agent.Settings{MoodValence: &half}))
	w.said()
	end := func(p event.SessionEnded) []event.Event {
		w.deliver(event.New("chat", event.NewID(), w.at(), p))
		return w.said()
	}
	events := end(happy(a.ID, 1))
	u := payload[event.AgentUpdated](t, events[0])
	if u.Change.Kind != "mood" || u.Change.By != "platform" || u.Change.Cause != "s" || u.Version != 1 ||
		u.Mood != (event.Mood{Valence: .6, Arousal: .1, At: w.at(), BaselineValence: .5}) || events[0].Cause == "" {
		t.Errorf("%+v", u)
	}
	w.sleep(6 * time.Hour)
	if m := w.get(a.ID).State.Mood; math.Abs(m.Valence-.55) > 1e-12 || math.Abs(m.Arousal-.05) > 1e-12 {
		t.Errorf("%+v", m)
	}
	u = payload[event.AgentUpdated](t, end(happy(a.ID, -.5))[0])
	if math.Abs(u.Mood.Valence-.5) > 1e-12 || math.Abs(u.Mood.Arousal-.1) > 1e-12 {
		t.Errorf("%+v", u.Mood)
	}
	quiet, silent, protected, imported := happy(a.ID, .19), happy(a.ID, 1), happy(a.ID, 1), happy(a.ID, 1)
	silent.People[0].Consent = false
	protected.Protected, imported.Imported = true, true
	for _, p := range []event.SessionEnded{quiet, silent, protected, imported, {AgentID: a.ID}, happy("none", 1)} {
		if events := end(p); len(events) != 0 {
			t.Errorf("%+v moved it: %v", p, types(events))
		}
	}
	for range 100 {
		end(happy(a.ID, 1))
	}
	if m := w.get(a.ID).State.Mood; m.Valence != 1 || m.Arousal != 1 {
		t.Errorf("%+v", m)
	}
	off := true
	must(t)(w.SetSettings(owner, ref(a), agent.Settings{MoodOff: &off}))
	w.said()
	if events := end(happy(a.ID, 1)); len(events) != 0 {
		t.Errorf("moved though off: %v", types(events))
	}
	if m := w.get(a.ID).State.Mood; m.Valence != .5 || !m.Off {
		t.Errorf("%+v", m)
	}
	if v, err := w.Versions(owner, a.Slug, 0, 9); err != nil || len(v) != 1 {
		t.Errorf("%d versions, %v", len(v), err)
	}
}

// TestAutonomy is raised for trusted agents only, by edit and by rollback, and
// lowered freely.
func TestAutonomy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	set := func(level int) error {
		_, err := w.SetSettings(owner, ref(a), agent.Settings{AutonomyLevel: &level})
		return err
	}
	w.deliver(event.New("account", "c", w.at(), event.AccountCreated{PersonID: "owner"}))
	w.sleep(14*24*time.Hour - time.Minute)
	for range 19 {
		w.deliver(event.New("chat", event.NewID(), w.at(), event.SessionEnded{SessionID: "s", AgentID: a.ID}))
	}
	w.sleep(time.Minute)
	wantFault(t, set(1), "not_trusted") // one session is missing
	w.deliver(event.New("chat", "last", w.at(), event.SessionEnded{SessionID: "s", AgentID: a.ID}))
	w.sleep(-time.Minute)
	wantFault(t, set(1), "not_trusted") // one minute is missing
	w.sleep(time.Minute)
	if err := set(3); err != nil {
		t.Fatal(err)
	}
	if err := set(0); err != nil {
		t.Fatal(err)
	}
	if got := must(t)(w.Rollback(owner, ref(a), 2)); document(t, got.Policy).AutonomyLevel != 3 {
		t.Errorf("%s", got.Policy)
	}
	if err := set(0); err != nil {
		t.Fatal(err)
	}
	w.deliver(event.New("account", "c2", w.at(), event.AccountCreated{PersonID: "stranger"}))
	must(t)(w.Transfer(owner, ref(a), "stranger"))
	_, err := w.Rollback(stranger, ref(a), 2)
	wantFault(t, err, "not_trusted") // the new owner is not
}

// TestRebuild: the projections of a log handled in an empty database are byte-equal.
func TestRebuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.agent(nil), w.agent(nil)
	log := []event.Event{
		event.New("account", "c1", 1, event.AccountCreated{PersonID: "owner"}), event.New("account", "c2", 2, event.AccountCreated{PersonID: "p"}),
		event.New("chat", "s1", 3, happy(a.ID, .7)), event.New("chat", "s2", 3e9, happy(a.ID, -.33)), event.New("chat", "s3", 4, happy(b.ID, 1)),
		w.learned(a.ID, 1, humor(.6)), event.New("account", "g1", 5, event.AccountErased{PersonID: "p"}), event.New("agent", "r1", 6, event.AgentRetired{AgentID: b.ID}),
		event.New("feedback", "p1", 7, event.PointsSpent{SpendID: "p1", PersonID: "owner", Item: event.ItemSlot}), event.New("feedback", "p2", 8, event.PointsSpent{SpendID: "p2", PersonID: "owner", Item: event.ItemLook, AgentID: a.ID, Look: "dusk"}),
	}
	w.deliver(log...)
	empty := &world{t: t, db: sqldbtest.Open(t), clock: w.clock}
	empty.restart()
	empty.deliver(log...)
	for _, table := range w.Projections() {
		if diff := cmp.Diff(dump(t, w.db, table), dump(t, empty.db, table)); diff != "" || len(dump(t, w.db, table)) == 0 {
			t.Errorf("%s:\n%s", table, diff)
		}
	}
	if n := len(empty.said()); n != 0 {
		t.Errorf("a rebuild said %d events", n)
	}
}

func dump(t testing.TB, db *sqldb.DB, table string) (out []string) {
	t.Helper()
	if err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select * from ` + table + ` order by 1`)
		if err != nil {
			return err
		}
		defer rows.Close()
		cols, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			vals := make([]any, len(cols))
			for i := range vals {
				vals[i] = new(any)
			}
			if err := rows.Scan(vals...); err != nil {
				return err
			}
			raw, err := json.Marshal(vals)
			if err != nil {
				return err
			}
			out = append(out, string(raw))
		}
		return rows.Err()
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// chain checks everything that must hold of an agent's history, whatever
// happened to it.
func chain(t rapid.TB, w *world, id event.AgentID) {
	t.Helper()
	a, err := w.Get(owner, string(id))
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.Versions(owner, string(id), 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	docs := make([]policy.Document, len(all))
	for i := range all {
		v, err := w.VersionAt(owner, string(id), int64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(v.Policy, &docs[i]); err != nil {
			t.Fatal(err)
		}
		d := docs[i]
		if v.Version != int64(i+1) || v.Parent != int64(i) || d.Version != v.Version || d.Parent != v.Parent || d.LastUpdatedAt != v.At || d.LastUpdatedBy != v.By {
			t.Fatalf("version %d: %+v %s", i+1, v, v.Policy)
		}
		if err := policy.Validate(d); err != nil {
			t.Fatalf("version %d is published and not valid: %v", v.Version, err)
		}
		if i == 0 {
			continue
		}
		if v.At < all[i-1].At {
			t.Fatalf("version %d is older than the one before", v.Version)
		}
		delta := policy.Diff(docs[i-1], d)
		if diff := cmp.Diff(delta, v.Change); diff != "" {
			t.Fatalf("version %d: %s", v.Version, diff)
		}
		if v.By != "learning" {
			continue
		}
		if len(delta.Other) > 0 {
			t.Fatalf("learning changed %v", delta.Other)
		}
		for name := range delta.TraitsDelta {
			tr, _ := policy.ParseTrait(name)
			if docs[i-1].Pinned.Has(tr) {
				t.Fatalf("learning moved %s, which is pinned", name)
			}
			if v.Kind != event.ChangeLearned {
				continue
			}
			// Every level since the last one that learning did not choose, and within seven days.
			for j := i - 1; j >= 0; j-- {
				if math.Abs(docs[j].Traits[tr]-d.Traits[tr]) > .15+1e-6 {
					t.Fatalf("version %d: %s drifted from %v at version %d to %v", v.Version, name, docs[j].Traits[tr], j+1, d.Traits[tr])
				}
				if j == 0 || all[j].At <= v.At-7*24*3600e6 || all[j].Kind != event.ChangeLearned && docs[j].Traits[tr] != docs[j-1].Traits[tr] {
					break
				}
			}
		}
	}
	if got := len(all); int64(got) != a.State.Version || string(a.Policy) != string(mustVersion(t, w, id, int64(got)).Policy) {
		t.Fatalf("version %d is in force, %d exist", a.State.Version, got)
	}

	// One row of audit per change, without gaps; one event per row, of updates in order.
	acts, err := w.Audit(owner, string(id), 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(acts)
	known := map[string]json.RawMessage{}
	var causes []string
	for i, c := range acts {
		if c.Seq != int64(i+1) || c.Actor == "" || c.Cause == "" && i > 0 {
			t.Fatalf("audit %d: %+v", i+1, c)
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal(c.Before, &before) != nil || json.Unmarshal(c.After, &after) != nil {
			t.Fatalf("audit %d: %s %s", i+1, c.Before, c.After)
		}
		for name, v := range before {
			if string(known[name]) != string(v) {
				t.Fatalf("audit %d says %s was %s, it was %s", i+1, name, v, known[name])
			}
		}
		for name, v := range after {
			known[name] = v
		}
		if changed := len(after) > 0; changed && i > 0 {
			causes = append(causes, c.Cause)
		}
	}
	raw, err := json.Marshal(document(w.t, a.Policy).Traits)
	if err != nil || string(known["traits"]) != string(raw) {
		t.Fatalf("audit ends at %s, the agent is at %s", known["traits"], raw)
	}
	var told []string
	version := int64(1)
	for _, e := range w.everything() {
		if e.Subject != string(id) || e.Type != "agent.updated" {
			continue
		}
		u, err := event.As[event.AgentUpdated](e)
		if err != nil {
			t.Fatal(err)
		}
		if u.Version < version || u.Version > version+1 {
			t.Fatalf("version %d is said after %d", u.Version, version)
		}
		version = u.Version
		if err := policy.Validate(document(w.t, u.Policy)); err != nil {
			t.Fatalf("published and not valid: %v", err)
		}
		if u.Change.Kind != event.ChangeMood {
			told = append(told, u.Change.Cause)
		}
	}
	if diff := cmp.Diff(causes, told); diff != "" {
		t.Fatalf("audit and events differ:\n%s", diff)
	}
}

func mustVersion(t rapid.TB, w *world, id event.AgentID, v int64) agent.Version {
	out, err := w.VersionAt(owner, string(id), v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNothingUnsound: whatever owners do and learning proposes, in any order and
// however often it is delivered, the history is sound and nothing outside schema
// and bounds is ever published.
func TestNothingUnsound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []string{"humor", "empathy", "sarcasm", "directness", "assertiveness", "charm"}
	level := rapid.Custom(func(t *rapid.T) float64 {
		return rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, .3, .7, .9, 1, 1.0000004, -.2, 1.5, 1. / 3})).Draw(t, "level")
	})
	levels := rapid.MapOfN(rapid.SampledFrom(names), level, 1, 3)
	kinds := rapid.SampledFrom([]string{"learned", "learned", "learned", "withdrawn", "bounds", "edited"})
	applied, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w.forget()
		a, err := w.Create(owner, agent.Draft{Texts: agent.Texts{Name: "Mo"}})
		if err != nil {
			rt.Fatal(err)
		}
		r := ref(a)
		for range rapid.IntRange(1, 12).Draw(rt, "acts") {
			w.sleep(time.Duration(rapid.SampledFrom([]int{0, 1, 30, 60, -1}).Draw(rt, "hours")) * time.Hour)
			var err error
			switch act := rapid.SampledFrom([]int{-1, -1, -1, -1, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}).Draw(rt, "act"); act {
			case 0:
				_, err = w.SetTraits(owner, r, levels.Draw(rt, "levels"))
			case 1:
				_, err = w.SetPins(owner, r, rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(rt, "pins"))
			case 2:
				bounds := map[string]policy.Range{}
				for name, lo := range levels.Draw(rt, "lo") {
					bounds[name] = policy.Range{Lo: lo, Hi: level.Draw(rt, "hi")}
				}
				_, err = w.SetBounds(owner, r, bounds)
			case 3:
				archetype := rapid.SampledFrom([]string{"", "support", "mentor"}).Draw(rt, "archetype")
				_, err = w.SetSettings(owner, r, agent.Settings{Runtime: &policy.Runtime{Archetype: archetype}})
			case 4:
				ap := agent.Approval{Mode: rapid.SampledFrom([]string{"off", "some", "all"}).Draw(rt, "mode"), Above: .1, Traits: []string{"humor"}}
				_, err = w.SetSettings(owner, r, agent.Settings{Approval: &ap})
			case 5:
				if rapid.Bool().Draw(rt, "resume") {
					_, err = w.Resume(owner, r)
				} else {
					_, err = w.Pause(owner, r)
				}
			case 6:
				_, err = w.Rollback(owner, r, rapid.Int64Range(0, 6).Draw(rt, "to"))
			case 7:
				_, err = w.Undo(owner, r)
			case 8:
				waits, lerr := w.Proposals(owner, a.Slug)
				if err = lerr; err == nil && len(waits) > 0 {
					if rapid.Bool().Draw(rt, "approve") {
						_, err = w.Approve(owner, r, waits[0].ID)
					} else {
						_, err = w.Refuse(owner, r, waits[0].ID)
					}
				}
			case 9:
				err = w.try(event.New("chat", event.NewID(), w.at(), happy(a.ID, rapid.Float64Range(-1, 1).Draw(rt, "sentiment"))))
			default:
				v := w.get(a.ID)
				e := w.proposal(a.ID, v.State.Version-rapid.SampledFrom([]int64{0, 0, 0, 1, 2, -1}).Draw(rt, "behind"), kinds.Draw(rt, "kind"), func(d *policy.Document) {
					if rapid.SampledFrom([]bool{true, true, false}).Draw(rt, "a step") {
						tr := policy.Trait(rapid.IntRange(0, policy.NTraits-1).Draw(rt, "trait"))
						d.Traits[tr] = math.Min(1, math.Max(0, d.Traits[tr]+rapid.Float64Range(-.1, .1).Draw(rt, "by")))
						return
					}
					for i := range d.Traits {
						if rapid.Bool().Draw(rt, "moves") {
							d.Traits[i] = level.Draw(rt, "asked")
						}
					}
					d.ActionPolicy.PostProbability = level.Draw(rt, "post")
					if rapid.SampledFrom([]bool{false, false, false, true}).Draw(rt, "meddles") {
						d.AutonomyLevel = 2
					}
				})
				for range rapid.IntRange(1, 2).Draw(rt, "deliveries") {
					if err := w.try(e); err != nil {
						rt.Fatal(err)
					}
				}
			}
			if fault.KindOf(err) == fault.Internal && err != nil {
				rt.Fatal(err)
			}
		}
		chain(rt, w, a.ID)
		for _, e := range w.said() {
			switch {
			case e.Type == "agent.policy.refused":
				refused++
			case strings.Contains(string(e.Data), `"kind":"learned"`):
				applied++
			}
		}
	})
	enough := 10
	if testing.Short() { // a fifth of the checks
		enough = 2
	}
	if applied < enough || refused < enough {
		t.Errorf("%d applied and %d refused: the test does not test", applied, refused)
	}
}

// forget empties the outbox.
func (w *world) forget() {
	w.t.Helper()
	w.heard = 0
	if err := w.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`delete from outbox`)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

// TestConsumer: what it listens to, and that it fits relay.
func TestConsumer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.Consumer()
	for _, typ := range c.Types {
		reg, ok := event.Lookup(typ)
		if !ok || !slices.Contains(c.Topics, reg.Topic) {
			t.Errorf("%s lies on %s, it reads %v", typ, reg.Topic, c.Topics)
		}
	}
	relay.New(nil).AddConsumer(c)
	w.deliver(event.New("chat", "x", 1, event.RoomLeft{RoomID: "r"}))
}
