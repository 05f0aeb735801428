package agent_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/agent"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/policy"
)

// editor is an operator who may also raise agents.
var editor = as("editor", authz.ScopeAdmin, authz.ScopeAgents)

func (w *world) native(name, kind string, levels map[string]float64) agent.Native {
	w.t.Helper()
	n, err := w.CreateNative(editor, kind, agent.Draft{Texts: agent.Texts{Name: name, Backstory: "Old.", Openings: []string{"Hm."}}, Traits: levels})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestNatives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.CreateNative(owner, agent.NativeMentor, agent.Draft{Texts: agent.Texts{Name: "x"}}); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("anybody makes one: %v", err)
	}
	if _, err := w.CreateNative(editor, "guru", agent.Draft{Texts: agent.Texts{Name: "x"}}); !fault.Is(err, "invalid_native") {
		t.Errorf("%v", err)
	}
	sage := w.native("Sage", agent.NativeMentor, map[string]float64{"curiosity": .8})
	puck := w.native("Puck", agent.NativeStory, nil)
	host := w.native("Host", agent.NativeModerator, nil)
	names := func(kind string) (out []string) {
		all, err := w.ListNatives(stranger, kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			out = append(out, n.Name)
			if n.Policy != nil || n.OwnerID != "" {
				t.Errorf("everybody sees more than the face: %+v", n)
			}
		}
		return out
	}
	if d := cmp.Diff([]string{"Sage", "Puck", "Host"}, names("")); d != "" {
		t.Error(d)
	}
	if _, err := w.OrderNatives(owner, []event.AgentID{host.ID, sage.ID, puck.ID}); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("%v", err)
	}
	for _, bad := range [][]event.AgentID{nil, {host.ID, sage.ID}, {host.ID, sage.ID, sage.ID}, {host.ID, sage.ID, puck.ID, "x"}} {
		if _, err := w.OrderNatives(editor, bad); !fault.Is(err, "invalid_order") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := w.OrderNatives(editor, []event.AgentID{host.ID, sage.ID, puck.ID}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"Host", "Sage", "Puck"}, names("")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"Sage"}, names(agent.NativeMentor)); d != "" {
		t.Error(d)
	}

	// It does not learn, nor try things, and cannot be made to.
	id := string(sage.ID)
	if sage.State.Learning || document(t, sage.Policy).Exploration.Strategy != policy.StrategyOff || sage.OwnerID != agent.Platform {
		t.Errorf("%+v", sage)
	}
	on := policy.StrategyMixture
	if _, err := w.Resume(editor, agent.Ref{Agent: id}); !fault.Is(err, "native_rests") {
		t.Errorf("%v", err)
	}
	if _, err := w.SetSettings(editor, agent.Ref{Agent: id}, agent.Settings{Strategy: &on}); !fault.Is(err, "native_rests") {
		t.Errorf("%v", err)
	}
	if _, err := w.Transfer(editor, agent.Ref{Agent: id}, "owner"); !fault.Is(err, "native_stays") {
		t.Errorf("%v", err)
	}
	doc := document(t, sage.Policy)
	doc.Traits[policy.Humor] = .55
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	w.deliver(event.New("learning", event.NewID(), w.at(), event.PolicyProposed{ProposalID: "p", AgentID: sage.ID, Parent: 1, Kind: event.ChangeLearned, Policy: raw}))
	if v, err := w.Versions(editor, id, 0, 10); err != nil || len(v) != 1 {
		t.Errorf("it learned: %+v %v", v, err)
	}
	// An editor changes it as the platform; nobody else does.
	if _, err := w.SetTraits(owner, agent.Ref{Agent: id}, map[string]float64{"humor": .9}); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("%v", err)
	}
	a, err := w.SetTraits(editor, agent.Ref{Agent: id}, map[string]float64{"humor": .6})
	if err != nil || document(t, a.Policy).LastUpdatedBy != policy.ByPlatform {
		t.Errorf("%v %s", err, a.Policy)
	}
	if _, err := w.Versions(operator, string(w.agent(nil).ID), 0, 10); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("an editor of the platform's agents sees people's: %v", err)
	}
	if err := w.Retire(editor, agent.Ref{Agent: string(host.ID)}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"Sage", "Puck"}, names("")); d != "" {
		t.Error(d)
	}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sage := w.native("Sage", agent.NativeMentor, map[string]float64{"curiosity": .8, "humor": .3})
	w.said()
	mine, err := w.Adopt(owner, sage.Slug, "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SetTexts(editor, agent.Ref{Agent: string(sage.ID)}, func(t *agent.Texts) { t.Description = "New." }); err != nil {
		t.Fatal(err)
	}
	if again, err := w.Adopt(owner, sage.Slug, "k"); err != nil || again.ID != mine.ID {
		t.Errorf("the same key: %v", err)
	}
	if mine.ID == sage.ID || mine.OwnerID != "owner" || mine.Slug != "sage-2" || !mine.State.Learning || mine.State.Version != 1 {
		t.Errorf("%+v", mine)
	}
	if o := mine.Origin; o == nil || o.Kind != agent.FromNative || o.Source != string(sage.ID) || o.Version != 1 {
		t.Errorf("%+v", o)
	}
	if d := cmp.Diff(sage.Profile.Texts, mine.Profile.Texts); d != "" {
		t.Error(d)
	}
	doc := document(t, mine.Policy)
	if doc.Traits != document(t, sage.Policy).Traits || doc.Exploration.Strategy != policy.StrategyMixture || mine.Profile.BasePersonality["curiosity"] != .8 || doc.LastUpdatedBy != policy.ByOwner {
		t.Errorf("%s", mine.Policy)
	}
	// From here on it is another agent.
	w.deliver(w.learned(mine.ID, 1, func(d *policy.Document) { d.Traits[policy.Curiosity] = .84 }))
	if w.doc(mine.ID).Traits[policy.Curiosity] != .84 {
		t.Error("it does not learn")
	}
	if all, err := w.ListNatives(editor, ""); err != nil || document(t, all[0].Policy).Traits[policy.Curiosity] != .8 {
		t.Errorf("the platform's moved with it: %v", err)
	}
	chain(t, w, mine.ID)
	if _, err := w.Adopt(owner, string(mine.ID), ""); !fault.Is(err, "native_unknown") {
		t.Errorf("an agent of a person is adopted: %v", err)
	}
	if _, err := w.Adopt(owner, "nobody", ""); !fault.Is(err, "native_unknown") {
		t.Errorf("%v", err)
	}
	if _, err := w.Kill(operator, agent.Ref{Agent: string(sage.ID)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Adopt(stranger, sage.Slug, ""); !fault.Is(err, "native_stopped") {
		t.Errorf("a stopped one: %v", err)
	}
}

func TestNativesOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, tc := range []struct {
		who, method, path, body string
		status                  int
	}{
		{"owner", "POST", "/v1/natives", `{"name":"Sage","kind":"mentor"}`, 403},
		{"root", "POST", "/v1/natives", `{"name":"Sage","kind":"guru"}`, 422},
		{"root", "POST", "/v1/natives", `{"name":"","kind":"mentor"}`, 422},
		{"root", "POST", "/v1/natives", `{"name":"Sage","kind":"mentor","traits":{"humor":0.4},"openings":["Hm."]}`, 201},
		{"stranger", "GET", "/v1/natives", "", 200},
		{"stranger", "GET", "/v1/natives?kind=premium", "", 200},
		{"stranger", "GET", "/v1/natives?kind=best", "", 422},
		{"", "GET", "/v1/natives", "", 401},
		{"stranger", "PUT", "/v1/natives/order", `{"order":[]}`, 403},
		{"root", "PUT", "/v1/natives/order", `{"order":[]}`, 422},
		{"stranger", "POST", "/v1/natives/sage/adopt", "", 201},
		{"chat", "POST", "/v1/natives/sage/adopt", "", 403},
		{"stranger", "POST", "/v1/natives/none/adopt", "", 404},
		{"stranger", "PUT", "/v1/agents/sage/traits", `{"traits":{"humor":0.1}}`, 403},
		{"stranger", "PUT", "/v1/agents/sage-2/traits", `{"traits":{"humor":0.1}}`, 200},
	} {
		if status, got := s.call(tc.who, tc.method, tc.path, tc.body); status != tc.status {
			t.Errorf("%s %s %s %s: %d, want %d: %v", tc.who, tc.method, tc.path, tc.body, status, tc.status, got)
		}
	}
}
