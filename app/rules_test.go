package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"rapport/gateway"
	"rapport/gateway/rule"
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
