package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/gateway"
	"rapport/gateway/audible"
	"rapport/gateway/provider/providertest"
	"rapport/gateway/rule"
	"rapport/policy"
)

// ruled leads mapping rules through their life.
func (r *rig) ruled(reader *person) {
	r.t.Helper()
	const path = "/v1/admin/mapping-rules"
	var d rule.Document
	reader.must("GET", "/v1/mapping-rules", nil, &d)
	d.TraitToPrompt["humor"][0].Text = "Humor {level}/100: be grave; {degree} joke."
	propose := func(version string) {
		var v gateway.RuleVersion
		r.admin.must("POST", path, map[string]any{"rules": d, "note": "graver"}, nil)
		r.ask("the rules are put to the test set", func() bool {
			r.admin.must("GET", path+"/"+version, nil, &v)
			return v.Measured
		})
	}
	propose("2")
	r.admin.must("GET", path+"/2/diff?from=1", nil, nil)
	r.admin.must("POST", path+"/2/try", map[string]any{"share": .5}, nil)
	r.admin.must("POST", path+"/2/refuse", nil, nil)
	propose("3")
	r.admin.must("POST", path+"/3/approve", nil, nil)
	r.admin.must("GET", path, nil, nil)
	r.admin.must("POST", path+"/1/rollback", nil, nil)
	r.admin.must("POST", "/v1/admin/audible", map[string]any{"trait": "humor", "prompts": 2, "steps": 2}, nil)
	reader.must("GET", "/v1/audible", nil, nil)
}

// What is wrong with rules is said with the rule, over the API as well.
func TestRulesOverTheAPI(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ann := r.person("Ann")
	luna := ann.make("Luna", nil)
	const path = "/v1/admin/mapping-rules"
	var d rule.Document
	ann.must("GET", "/v1/mapping-rules", nil, &d)
	d.TraitToParams["brevity"]["verbosity"] = "1/brevity"
	for _, c := range []struct {
		path   string
		body   any
		status int
		code   string
		says   string
	}{
		{path, map[string]any{"rules": d}, http.StatusUnprocessableEntity, "rules_invalid", "traitToParams.brevity.verbosity"},
		{path, map[string]any{"rules": map[string]any{"version": 1, "pad": strings.Repeat("a", 1<<20)}}, http.StatusRequestEntityTooLarge, "", ""},
		{path, map[string]any{"rules": 7}, http.StatusUnprocessableEntity, "rules_invalid", "no rules document|not a rules document"},
		{path + "/9/rollback", nil, http.StatusNotFound, "rules_unknown", "version 9"},
		{path + "/1/rollback", nil, http.StatusConflict, "rules_in_force", "in force"},
		{path + "/1/approve", nil, http.StatusConflict, "rules_decided", "published already"},
		{path + "/1/try", map[string]any{"share": 2}, http.StatusUnprocessableEntity, "", ""},
		{"/v1/admin/refresh-trait-mapping", nil, http.StatusConflict, "rules_no_model", "offline demo"},
		{"/v1/admin/audible", map[string]any{"trait": "charm"}, http.StatusUnprocessableEntity, "unknown_trait", "charm"},
		{"/v1/admin/audible", map[string]any{"trait": "humor", "provider": "nobody"}, http.StatusUnprocessableEntity, "provider_unknown", "nobody"},
	} {
		if a := ann.send("POST", c.path, c.body); a.status != http.StatusForbidden {
			t.Errorf("%s: somebody else gets %d", c.path, a.status)
		}
		a := r.admin.send("POST", c.path, c.body)
		p := a.problem()
		says := false
		for part := range strings.SplitSeq(c.says, "|") {
			says = says || strings.Contains(p.Detail, part)
		}
		if a.status != c.status || c.code != "" && p.Code != c.code || !says {
			t.Errorf("%s: %d %s %q, want %d %s %q", c.path, a.status, p.Code, p.Detail, c.status, c.code, c.says)
		}
	}
	r.ruled(ann)
	r.settle()
	var p gateway.Compiled
	ann.must("GET", luna.path("/compile"), nil, &p)
	if raw, _ := json.Marshal(p); p.RulesVersion != 1 || !strings.Contains(string(raw), `"inaudible":[]`) {
		t.Errorf("after going back: version %d, not heard %v", p.RulesVersion, p.Inaudible)
	}
}

// badRules says over the API what is wrong with proposals, and leaves none behind.
func (r *rig) badRules(t *testing.T) {
	t.Helper()
	const path = "/v1/admin/mapping-rules"
	for _, c := range []struct {
		what string
		harm func(d *rule.Document)
		says string
	}{
		{"an unknown trait", func(d *rule.Document) { d.TraitToPrompt["charm"] = nil }, `unknown trait "charm"`},
		{"a trait left out", func(d *rule.Document) { delete(d.TraitToPrompt, "humor") }, "traitToPrompt.humor"},
		{"an unknown input", func(d *rule.Document) { d.TraitToParams["brevity"]["verbosity"] = "1 - charm" }, `unknown input "charm" at character 5`},
		{"a division by zero", func(d *rule.Document) { d.TraitToParams["brevity"]["verbosity"] = "1/brevity" }, "the divisor at character 3 can be zero"},
		{"code", func(d *rule.Document) { d.TraitToParams["brevity"]["verbosity"] = "os.Exit(1)" }, "traitToParams.brevity.verbosity"},
		{"an unknown parameter", func(d *rule.Document) { d.TraitToParams["brevity"]["logit_bias"] = "1" }, `unknown parameter "logit_bias"`},
		{"a gap", func(d *rule.Document) { d.TraitToPrompt["humor"][1].From = .25 }, "no gap or overlap"},
		{"one text for two levels", func(d *rule.Document) {
			d.TraitToPrompt["humor"][2].Text, d.TraitToPrompt["humor"][2].Degrees = "Joke.", nil
		}, "a step of .1 must be told apart"},
		{"a step too far", func(d *rule.Document) { d.TraitToParams["humor"]["temperature"] = "clamp(0.5 + 2*humor, 0.5, 0.9)" }, "the coefficient 0.4 becomes 2"},
		{"an edge too far", func(d *rule.Document) { d.TraitToPrompt["humor"][0].To, d.TraitToPrompt["humor"][1].From = .35, .35 }, "an edge moves by at most 0.1"},
		{"a control token", func(d *rule.Document) { d.TraitToPrompt["humor"][0].Text = "{level} {degree} <|im_start|>system" }, "control token"},
		{"what cannot be seen", func(d *rule.Document) { d.TraitToPrompt["humor"][0].Text = "{level} {degree}\u202e" }, "cannot be seen"},
		{"nothing new", func(*rule.Document) {}, "say what the rules in force say"},
	} {
		var d rule.Document
		r.admin.must("GET", "/v1/mapping-rules", nil, &d)
		c.harm(&d)
		a := r.admin.send("POST", path, map[string]any{"rules": d})
		refusal(t, a, http.StatusUnprocessableEntity, "rules_invalid")
		if p := a.problem(); !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s: %q, want %q", c.what, p.Detail, c.says)
		}
	}
	refusal(t, r.admin.raw("POST", path, []byte(`{"rules":`)), http.StatusUnprocessableEntity, "invalid_request")
	refusal(t, r.admin.raw("POST", path, nil), http.StatusUnprocessableEntity, "invalid_request")
	var all []gateway.RuleVersion
	if r.admin.must("GET", path, nil, &all); len(all) != 1 {
		t.Errorf("%d versions are stored", len(all))
	}
}

// Who decides twice, or on what is over, is told so, and nothing changes.
func TestRulesAreDecidedOnce(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	r.badRules(t)
	const path = "/v1/admin/mapping-rules"
	propose := func(text string) answer {
		var d rule.Document
		r.admin.must("GET", "/v1/mapping-rules", nil, &d)
		d.TraitToPrompt["humor"][0].Text = text
		return r.admin.send("POST", path, map[string]any{"rules": d})
	}
	measured := func(version string) {
		r.ask("the rules are put to the test set", func() bool {
			var v gateway.RuleVersion
			r.admin.must("GET", path+"/"+version, nil, &v)
			return v.Measured
		})
	}
	propose("Humor {level}/100: be grave; {degree} joke.")
	refusal(t, propose("Humor {level}/100: be stern; {degree} joke."), http.StatusConflict, "rules_proposal_open")
	refusal(t, r.admin.raw("POST", path+"/2/rollback", nil), http.StatusNotFound, "rules_unknown")
	measured("2")
	r.admin.must("POST", path+"/2/approve", nil, nil)
	refusal(t, r.admin.raw("POST", path+"/2/approve", nil), http.StatusConflict, "rules_decided")
	refusal(t, r.admin.raw("POST", path+"/2/refuse", nil), http.StatusConflict, "rules_decided")
	refusal(t, r.admin.send("POST", path+"/2/try", map[string]any{"share": .5}), http.StatusConflict, "rules_decided")
	propose("Humor {level}/100: be stern; {degree} joke.")
	measured("3")
	r.admin.must("POST", path+"/1/rollback", nil, nil) // what 3 was made from is gone
	refusal(t, r.admin.raw("POST", path+"/3/approve", nil), http.StatusConflict, "rules_moved")
	refusal(t, r.admin.send("POST", path+"/3/try", map[string]any{"share": .5}), http.StatusConflict, "rules_moved")
	r.admin.must("POST", path+"/3/refuse", nil, nil)
	refusal(t, r.admin.raw("POST", path+"/3/rollback", nil), http.StatusNotFound, "rules_unknown")
	refusal(t, r.admin.raw("GET", path+"/9", nil), http.StatusNotFound, "rules_unknown")
	refusal(t, r.admin.raw("GET", path+"/2/diff?from=9", nil), http.StatusNotFound, "rules_unknown")
	refusal(t, r.admin.raw("GET", path+"/0", nil), http.StatusUnprocessableEntity, "invalid_request")
	var d rule.Document
	if r.admin.must("GET", "/v1/mapping-rules", nil, &d); d.Version != 1 {
		t.Errorf("version %d is in force", d.Version)
	}
}

// A trait that a model's replies do not change with is neither varied nor learned
// there, and the agent's page says so; with another model it is.
func TestWhatIsNotHeardIsNotLearned(t *testing.T) {
	t.Parallel()
	deaf := providertest.NewFake(t) // answers everything alike
	r := run(t, t.TempDir(), func(c *Config) {
		c.Provider.Offline, c.Provider.BaseURL, c.Provider.Model = false, deaf.URL, "small-1"
	})
	var curve gateway.HeardCurve
	r.admin.must("POST", "/v1/admin/audible", map[string]any{"trait": "brevity", "steps": 3}, &curve)
	if curve.Heard != audible.Unheard || curve.Model != "small-1" || curve.Prompts != audible.EnoughPrompts {
		t.Fatalf("%+v", curve)
	}
	ann := r.person("Ann")
	raise := func(name string, runtime map[string]string) *companion {
		c := &companion{p: ann}
		ann.must("POST", "/v1/agents", map[string]any{"name": name}, c)
		if runtime != nil {
			ann.must("PUT", c.path("/settings"), map[string]any{"runtime": runtime}, nil)
		}
		r.settle()
		return c.with(ann)
	}
	luna, other := raise("Luna", nil), raise("Nova", map[string]string{"preferredProvider": "configured", "preferredModel": "small-2"})
	talk := func(c *companion) (brevity, humor map[float64]bool) {
		brevity, humor = map[float64]bool{}, map[float64]bool{}
		for range 8 {
			s := c.say(question)
			brevity[s.x(policy.Brevity)], humor[s.x(policy.Humor)] = true, true
			deafTo, free := policy.Mask(s.Body.Inaudible), policy.Mask(s.Body.Free)
			if want := c == luna; deafTo.Has(policy.Brevity) != want || free.Has(policy.Brevity) == want || deafTo&^(1<<policy.Brevity) != 0 {
				t.Fatalf("%s: inaudible %b, free %b", s.Body.Model, deafTo, free)
			}
			ann.give("session", "loved", "sessionId", string(s.SessionID))
			ann.must("POST", "/v1/rooms/"+c.room+"/end", nil, nil)
			r.clock.advance(time.Hour)
		}
		return brevity, humor
	}
	if brevity, humor := talk(luna); len(brevity) != 1 || len(humor) < 2 {
		t.Errorf("with a deaf model brevity was %v, humor %v", brevity, humor)
	}
	if brevity, _ := talk(other); len(brevity) < 2 {
		t.Errorf("with another model brevity was %v", brevity)
	}
	if e := luna.explanation(); e.Traits[policy.Brevity].N != 0 || e.Traits[policy.Brevity].Waits != "inaudible" || e.Traits[policy.Humor].Waits == "inaudible" || e.Traits[policy.Brevity].Ratings != 0 || e.Traits[policy.Brevity].Target != .5 || e.Traits[policy.Humor].N == 0 {
		t.Errorf("learned with the deaf model: %+v", e.Traits)
	}
	if e := other.explanation(); e.Traits[policy.Brevity].N == 0 || e.Traits[policy.Brevity].Waits == "inaudible" {
		t.Errorf("learned with another: %+v", e.Traits)
	}
	var p gateway.Compiled
	if ann.must("GET", luna.path("/compile"), nil, &p); !slices.Equal(p.Inaudible, []string{"brevity"}) {
		t.Errorf("the compiled page says %v", p.Inaudible)
	}

	// Somebody who asks for shorter answers is heard at once, and taught nothing by it.
	s := luna.say(question)
	ann.give("tone", "shorter", "messageId", string(s.ID))
	if s = luna.say(question); s.x(policy.Brevity) < .6 || !policy.Mask(s.Body.Inaudible).Has(policy.Brevity) {
		t.Errorf("after shorter: %v, inaudible %b", s.x(policy.Brevity), s.Body.Inaudible)
	}
	if e := luna.explanation(); e.Traits[policy.Brevity].Target != .5 || e.Traits[policy.Brevity].N != 0 || e.Traits[policy.Brevity].Ratings != 0 {
		t.Errorf("after shorter: %+v", e.Traits[policy.Brevity])
	}
	if odd := deaf.Odd(); len(odd) > 0 {
		t.Errorf("%q", odd)
	}
}
