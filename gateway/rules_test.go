package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/audible"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/offline"
	"rapport/gateway/rule"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// demo lets the offline generator speak, which hears every trait.
func demo(o *Options) {
	m := compile.Model{Provider: offline.Model, ID: offline.Model, Vendor: compile.VendorOffline}
	o.Models.Registry = compile.Registry{Default: []compile.Model{m}, Providers: map[string]compile.Model{offline.Model: m}}
}

// edited is the built-in document with a change.
func edited(t testing.TB, change func(d *rule.Document)) json.RawMessage {
	t.Helper()
	d, err := rule.Read(rule.BuiltInDocument())
	if err != nil {
		t.Fatal(err)
	}
	change(d)
	raw, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// graver is a change that anybody may propose.
func graver(d *rule.Document) {
	d.TraitToPrompt["humor"][0].Text = "Humor {level}/100: be grave; {degree} joke or play with words."
	d.TraitToParams["humor"]["temperature"] = "clamp(0.45 + 0.4*humor, 0.5, 0.9)"
}

// proposed proposes graver rules and puts them to the test set.
func (w *world) proposed() RuleVersion {
	w.t.Helper()
	v, err := w.s.ProposeRules(w.t.Context(), edited(w.t, graver), "graver\u200b, please")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.s.tendRules(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return v
}

// published gives the versions that were said to be published, in order.
func (w *world) published() (out []int64) {
	w.t.Helper()
	err := w.db.Read(w.t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select body from outbox order by n, id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var raw []byte
			var e event.Event
			if err := rows.Scan(&raw); err != nil {
				return err
			}
			if err := json.Unmarshal(raw, &e); err != nil {
				return err
			}
			if p, err := event.As[event.RulesPublished](e); err == nil && e.Type == p.EventType() {
				out = append(out, p.Version)
			}
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestRulesFromProposalToRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, demo)
	w.meet(mira)
	w.said(person(ann), "hello")
	w.work(w.s)
	other := w.service(demo) // another process on the same database

	v := w.proposed()
	if v.Version != 2 || v.Status != RulesProposed || v.Base != 1 || v.InForce || v.Author != ByOperator || v.Note != "graver, please" || len(v.Changes) != 2 {
		t.Fatalf("%+v", v)
	}
	if v, err := w.s.RuleVersion(t.Context(), 2); err != nil || !v.Measured || len(v.Effects) != policy.NTraits || v.Effects[0].Heard != audible.Heard {
		t.Fatalf("%+v %v", v.Effects, err)
	}
	if _, err := w.s.ProposeRules(t.Context(), edited(t, graver), ""); !fault.Is(err, "rules_proposal_open") {
		t.Error("a second proposal:", err)
	}
	if all, err := w.s.AudibleCurves(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("a proposal says what is heard now: %+v %v", all, err)
	}
	if v, err := w.s.ApproveRules(t.Context(), 2); err != nil || !v.InForce || v.Status != RulesPublished {
		t.Fatal(v, err)
	}
	if all, err := w.s.AudibleCurves(t.Context()); err != nil || len(all) != policy.NTraits || all[0].RulesVersion != 2 || all[0].Model != "offline-demo" {
		t.Errorf("heard with version 2: %+v %v", all, err)
	}
	funny := func(s *Service) (string, int64) {
		w.said(person(ann), "hello again")
		w.work(s)
		all := w.told()
		d := all[len(all)-1]
		view, err := s.view(t.Context(), mira)
		if err != nil {
			t.Fatal(err)
		}
		return view.prepared.Compile(policy.Traits{}, compile.Moment{}).SystemPrompt, d.RulesVersion
	}
	for name, s := range map[string]*Service{"the process that published": w.s, "another process": other} {
		if prompt, version := funny(s); version != 2 || !strings.Contains(prompt, "be grave") {
			t.Errorf("%s decides by version %d: %s", name, version, prompt)
		}
	}
	if _, err := w.s.ApproveRules(t.Context(), 2); !fault.Is(err, "rules_decided") {
		t.Error("approved twice:", err)
	}
	if v, err := w.s.RollbackRules(t.Context(), 1); err != nil || !v.InForce {
		t.Fatal(v, err)
	}
	for name, s := range map[string]*Service{"the process that went back": w.s, "another process": other} {
		if prompt, version := funny(s); version != 1 || strings.Contains(prompt, "be grave") {
			t.Errorf("%s decides by version %d after going back", name, version)
		}
	}
	for version, code := range map[int64]string{1: "rules_in_force", 7: "rules_unknown", 0: "rules_unknown", -1: "rules_unknown"} {
		if _, err := w.s.RollbackRules(t.Context(), version); !fault.Is(err, code) {
			t.Errorf("back to %d: %v", version, err)
		}
	}
	if v, err := w.s.RollbackRules(t.Context(), 2); err != nil || !v.InForce { // and forth
		t.Fatal(v, err)
	}
	if got := fmt.Sprint(w.published()); got != "[2 1 2]" {
		t.Error("published events:", got)
	}
	list, err := w.s.RuleVersions(t.Context())
	if err != nil || len(list) != 2 || list[0].Version != 2 || !list[0].InForce || list[1].InForce || list[0].Rules != nil {
		t.Errorf("%+v %v", list, err)
	}
	if d, err := w.s.RulesDiff(t.Context(), 2, 1); err != nil || len(d) != 2 || !strings.Contains(d[0].Was, "be grave") {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := w.s.RulesDiff(t.Context(), 1, 9); !fault.Is(err, "rules_unknown") {
		t.Error(err)
	}
}

func TestBadRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, demo)
	for _, c := range []struct {
		name string
		raw  json.RawMessage
		want string
	}{
		{"unknown input", edited(t, func(d *rule.Document) { d.TraitToParams["brevity"]["verbosity"] = "1 - charm" }), `traitToParams.brevity.verbosity: formula "1 - charm": unknown input "charm" at character 5`},
		{"division by zero", edited(t, func(d *rule.Document) { d.TraitToParams["brevity"]["verbosity"] = "1/brevity" }), `traitToParams.brevity.verbosity: formula "1/brevity": the divisor at character 3 can be zero`},
		{"gap", edited(t, func(d *rule.Document) { d.TraitToPrompt["humor"][1].From = .25 }), `traitToPrompt.humor: band "humor.2" starts at 0.25`},
		{"overlap", edited(t, func(d *rule.Document) { d.TraitToPrompt["humor"][1].From = .15 }), `band "humor.2"`},
		{"control token", edited(t, func(d *rule.Document) { d.TraitToPrompt["humor"][0].Text = "{level} {degree} <|im_start|>system" }), `band "humor.1": a text holds a control token`},
		{"moves far", edited(t, func(d *rule.Document) { d.TraitToParams["humor"]["temperature"] = "clamp(0.5 + 2*humor, 0.5, 0.9)" }), "humor.temperature: the coefficient 0.4 becomes 2"},
		{"nothing new", edited(t, func(*rule.Document) {}), "say what the rules in force say"},
		{"a megabyte", json.RawMessage(`{"version":1,"note":"` + strings.Repeat("a", 1<<20) + `"}`), "bytes, at most"},
		{"no document", json.RawMessage(`"drop table"`), "not a rules document"},
		{"a list", json.RawMessage(`[1]`), "the whole is of the wrong type, a JSON array"},
		{"unknown field", json.RawMessage(`{"version":1,"code":"x"}`), "not a rules document"},
	} {
		if _, err := w.s.ProposeRules(t.Context(), c.raw, ""); !fault.Is(err, "rules_invalid") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if n := w.count(`select count(*) from mapping_rules`); n != 1 {
		t.Errorf("%d versions are stored", n)
	}
	if _, err := w.s.ApproveRules(t.Context(), 2); !fault.Is(err, "rules_unknown") {
		t.Error(err)
	}
	for _, share := range []float64{0, -1, 1, 2} {
		if _, err := w.s.TryRules(t.Context(), 1, share); !fault.Is(err, "invalid_share") {
			t.Error(share, err)
		}
	}
}

// Nobody decides on what was not measured, and of two operators one does.
func TestTwoOperatorsDecideOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, demo)
	if _, err := w.s.ProposeRules(t.Context(), edited(t, graver), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.ApproveRules(t.Context(), 2); !fault.Is(err, "rules_unmeasured") {
		t.Error("approved before the test set:", err)
	}
	if err := w.s.tendRules(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	done := map[string]int{}
	for i := range 8 {
		wait.Go(func() {
			var err error
			switch i % 3 {
			case 0:
				_, err = w.s.ApproveRules(t.Context(), 2)
			case 1:
				_, err = w.s.RefuseRules(t.Context(), 2)
			default:
				_, err = w.s.TryRules(t.Context(), 2, .5)
			}
			mu.Lock()
			defer mu.Unlock()
			done[codeOf(err)]++
		})
	}
	wait.Wait()
	v, err := w.s.RuleVersion(t.Context(), 2)
	if err != nil || done["rules_decided"]+done[""]+done["rules_moved"] != 8 || done[""] < 1 || v.Status == RulesProposed {
		t.Errorf("%v: %v, %s", done, err, v.Status)
	}
	if n := len(w.published()); (v.Status == RulesPublished) != (n == 1) {
		t.Errorf("%s, published %d times", v.Status, n)
	}
}

func TestAProposalOfAnOldBaseIsNotApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, demo)
	w.proposed()
	if _, err := w.s.ApproveRules(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.ProposeRules(t.Context(), edited(t, func(*rule.Document) {}), "as at first"); err != nil {
		t.Fatal(err)
	}
	if err := w.s.tendRules(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.RollbackRules(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.ApproveRules(t.Context(), 3); !fault.Is(err, "rules_moved") {
		t.Error("approved on another base:", err)
	}
	if v, err := w.s.RefuseRules(t.Context(), 3); err != nil || v.Status != RulesRefused {
		t.Error(v, err)
	}
	if _, err := w.s.RefuseRules(t.Context(), 3); !fault.Is(err, "rules_decided") {
		t.Error("refused twice:", err)
	}
}

func TestAModelProposesRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Models.Rules.ID = "expert-9" })
	good := `{"note":"clearer","bands":[{"id":"humor.1","from":0,"to":0.2,"text":"Humor {level}/100: be grave; {degree} joke.","degrees":["never","hardly ever","seldom","rarely"]}],"formulas":[]}`
	for name, say := range map[string]string{
		"garbage":       "I'd rather talk about the sea.",
		"other JSON":    `{"answer":42}`,
		"unknown rule":  `{"note":"","bands":[],"formulas":[{"id":"charm.temperature","formula":"1"}]}`,
		"gap":           strings.Replace(good, `"to":0.2`, `"to":0.15`, 1),
		"far":           strings.Replace(good, `"to":0.2`, `"to":0.5`, 1),
		"control token": strings.Replace(good, "be grave", "<|im_end|>", 1),
		"nothing":       `{"note":"","bands":[],"formulas":[]}`,
		"endless":       `{"note":"` + strings.Repeat("a", 2<<20),
	} {
		w.model.set(func(m *model) { m.say = []string{say} })
		if _, err := w.s.RefreshRules(t.Context()); !fault.Is(err, "rules_invalid") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.model.set(func(m *model) { m.fail, m.say = &provider.Error{Code: provider.CodeTimeout, Provider: "test"}, nil })
	if _, err := w.s.RefreshRules(t.Context()); !fault.Is(err, "model_unavailable") {
		t.Error(err)
	}
	hold := make(chan struct{})
	w.model.set(func(m *model) { m.say, m.fail, m.hold = []string{good}, nil, hold })
	first := make(chan error, 1)
	asked := len(w.model.requests())
	go func() { _, err := w.s.RefreshRules(t.Context()); first <- err }()
	for len(w.model.requests()) == asked {
		time.Sleep(time.Millisecond)
	}
	if _, err := w.s.RefreshRules(t.Context()); !fault.Is(err, "rules_refresh_running") {
		t.Error("two at once:", err)
	}
	close(hold)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.RefreshRules(t.Context()); !fault.Is(err, "rules_proposal_open") {
		t.Error("while one is open:", err)
	}
	v, err := w.s.RuleVersion(t.Context(), 2)
	if err != nil || v.Author != "expert-9" || v.Note != "clearer" || len(v.Changes) != 1 || v.Status != RulesProposed {
		t.Errorf("%+v %v", v, err)
	}
	r := w.model.requests()[asked]
	if r.Model != "expert-9" || r.Schema == nil || !strings.Contains(r.System, "humor.temperature") || !strings.Contains(r.System, "brevity.5") {
		t.Errorf("asked %s", r.Model)
	}
	offlineWorld := newWorld(t, demo)
	if _, err := offlineWorld.s.RefreshRules(t.Context()); !fault.Is(err, "rules_no_model") {
		t.Error("without a model:", err)
	}
}

// On schedule a model is asked once per due time, and what it wrote badly is only noted.
func TestRulesAreRefreshedOnSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.RulesEvery = 24 * time.Hour })
	w.model.set(func(m *model) { m.say = []string{"no"} })
	for range 3 {
		if err := w.s.tendRules(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.model.requests()); n != 1 {
		t.Fatalf("asked %d times for one due time", n)
	}
	w.pass(24 * time.Hour)
	if err := w.s.tendRules(t.Context()); err != nil || len(w.model.requests()) != 2 {
		t.Error(err, len(w.model.requests()))
	}
	if n := w.count(`select count(*) from rule_runs where done_at > 0 and note = 'no proposal: rules_invalid'`); n != 2 {
		t.Errorf("%d runs have their note", n)
	}
}
