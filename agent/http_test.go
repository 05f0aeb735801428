package agent_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"rapport/agent"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/httpapi"
)

// tokens knows principals by their bearer token.
type tokens map[string]authz.Principal

func (t tokens) Authenticate(r *http.Request) (authz.Principal, error) {
	return t[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")], nil
}

// site is the context behind HTTP.
type site struct {
	*world
	api *httpapi.API
}

func newSite(t *testing.T) site {
	t.Helper()
	w := newWorld(t)
	all := []authz.Scope{authz.ScopeChat, authz.ScopeFeedback, authz.ScopeAgents}
	api := httpapi.New("test", tokens{
		"owner": {Person: "owner", Token: "1", Scopes: all}, "stranger": {Person: "stranger", Token: "2", Scopes: all},
		"chat": {Person: "owner", Token: "3", Scopes: []authz.Scope{authz.ScopeChat}}, "root": {Person: "root", Token: "4", Scopes: []authz.Scope{authz.ScopeAdmin}},
	})
	w.Routes(api)
	return site{w, api}
}

// call sends a request; headers come as "Name: value".
func (s site) call(who, method, path, body string, headers ...string) (int, map[string]any) {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	s.api.Handler().ServeHTTP(rec, r)
	raw, err := io.ReadAll(rec.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]any{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return rec.Code, out
}

func at(v any, path ...string) any {
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			v = x[int(p[0]-'0')]
		}
	}
	return v
}

// TestOverHTTP is a life of an agent over HTTP.
func TestOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var id string
	for i, tc := range []struct {
		who, method, path, body string
		headers                 []string
		status                  int
		field                   string // path in the answer, dots between
		want                    any
	}{
		{"owner", "POST", "/v1/agents", `{"name":"Mo","description":"kind","backstory":"long ago","traits":{"humor":0.4}}`, nil, 201, "slug", "mo"},
		{"owner", "POST", "/v1/agents", `{"name":"Bo"}`, []string{"Idempotency-Key: k"}, 201, "slug", "bo"},
		{"owner", "POST", "/v1/agents", `{"name":"Bo"}`, []string{"Idempotency-Key: k"}, 201, "slug", "bo"},
		{"owner", "POST", "/v1/agents", `{"name":"Co"}`, []string{"Idempotency-Key: k"}, 409, "code", "idempotency_conflict"},
		{"owner", "GET", "/v1/agents?sort=created", "", nil, 200, "items.0.name", "Mo"},
		{"owner", "GET", "/v1/agents?limit=1", "", nil, 200, "items.0.name", "Bo"},
		{"owner", "GET", "/v1/agents?sort=score", "", nil, 422, "code", "invalid_request"},
		{"owner", "GET", "/v1/agents/mo", "", nil, 200, "profile.basePersonality.humor", .4},
		{"owner", "GET", "/v1/agents/mo", "", nil, 200, "policy.traits.humor", .4},
		{"owner", "GET", "/v1/agents/mo", "", nil, 200, "state.learning", true},
		{"stranger", "GET", "/v1/agents/mo", "", nil, 200, "description", "kind"},
		{"stranger", "GET", "/v1/agents/mo", "", nil, 200, "policy", nil},
		{"stranger", "GET", "/v1/agents/mo", "", nil, 200, "profile", nil},
		{"", "GET", "/v1/agents/mo", "", nil, 401, "code", "login_required"},
		{"owner", "GET", "/v1/agents/none", "", nil, 404, "code", "agent_unknown"},
		{"owner", "PATCH", "/v1/agents/mo", `{"greeting":"hi"}`, nil, 200, "profile.greeting", "hi"},
		{"owner", "PATCH", "/v1/agents/mo", `{"greeting":""}`, []string{"If-Match: 1"}, 409, "code", "version_conflict"},
		{"owner", "PATCH", "/v1/agents/mo", `{"owner":"me"}`, nil, 422, "code", "invalid_request"},
		{"stranger", "PATCH", "/v1/agents/mo", `{"greeting":"boo"}`, nil, 403, "code", "not_allowed"},
		{"owner", "PUT", "/v1/agents/mo/traits", `{"traits":{"humor":0.6}}`, []string{"If-Match: 2"}, 200, "policy.traits.humor", .6},
		{"owner", "PUT", "/v1/agents/mo/traits", `{"traits":{}}`, nil, 422, "code", "invalid_request"},
		{"owner", "PUT", "/v1/agents/mo/traits", `{"traits":{"charm":0.6}}`, nil, 422, "code", "unknown_trait"},
		{"owner", "PUT", "/v1/agents/mo/traits", `{"traits":{"humor":"much"}}`, nil, 422, "code", "invalid_request"},
		{"owner", "PUT", "/v1/agents/mo/traits", `{"traits":{"humor":7}}`, nil, 422, "code", "policy_refused"},
		{"chat", "PUT", "/v1/agents/mo/traits", `{"traits":{"humor":0.1}}`, nil, 403, "code", "scope_missing"},
		{"stranger", "PUT", "/v1/agents/mo/traits", `{"traits":{"humor":0.1}}`, nil, 403, "code", "not_allowed"},
		{"owner", "PUT", "/v1/agents/mo/pins", `{"pinned":["formality"]}`, nil, 200, "policy.pinned.0", "formality"},
		{"owner", "PUT", "/v1/agents/mo/bounds", `{"bounds":{"humor":{"lo":0.2,"hi":0.5}}}`, nil, 200, "policy.traits.humor", .5},
		{"owner", "PUT", "/v1/agents/mo/bounds", `{"bounds":{"humor":{"lo":0.2}}}`, nil, 422, "code", "invalid_request"},
		{"owner", "PUT", "/v1/agents/mo/settings", `{"pace":"careful","exploration":{"epsilon":0.5},"mood":{"off":true},"approval":{"mode":"all"}}`, nil, 200, "state.pace", "careful"},
		{"owner", "PUT", "/v1/agents/mo/settings", `{"autonomyLevel":2}`, nil, 403, "code", "not_trusted"},
		{"owner", "PUT", "/v1/agents/mo/settings", `{"pace":"slow"}`, nil, 422, "code", "invalid_request"},
		{"owner", "PUT", "/v1/agents/mo/settings", `{"asking":{"intensity":"eager"}}`, nil, 200, "state.asking.intensity", "eager"},
		{"owner", "PUT", "/v1/agents/mo/settings", `{"asking":{"every":0}}`, nil, 200, "state.asking.intensity", "eager"},
		{"owner", "PUT", "/v1/agents/mo/settings", `{"asking":{"intensity":"often"}}`, nil, 422, "code", "invalid_request"},
		{"owner", "PUT", "/v1/agents/mo/settings", `{"asking":{"every":-1}}`, nil, 422, "code", "invalid_request"},
		{"owner", "POST", "/v1/agents/mo/pause", "", nil, 200, "state.learning", false},
		{"owner", "POST", "/v1/agents/mo/resume", "", nil, 200, "state.learning", true},
		{"owner", "POST", "/v1/agents/mo/kill", "", nil, 200, "state.alive", false},
		{"stranger", "POST", "/v1/agents/mo/revive", "", nil, 403, "code", "not_allowed"},
		{"root", "POST", "/v1/agents/mo/revive", "", nil, 409, "code", "stopped_by_others"},
		{"owner", "POST", "/v1/agents/mo/revive", "", nil, 200, "state.alive", true},
		{"root", "POST", "/v1/agents/mo/kill", "", nil, 200, "policy", nil},
		{"root", "POST", "/v1/agents/mo/revive", "", nil, 200, "name", "Mo"},
		{"root", "POST", "/v1/agents/mo/pause", "", nil, 403, "code", "scope_missing"},
		{"owner", "POST", "/v1/admin/kill", "", nil, 403, "code", "scope_missing"},
		{"root", "POST", "/v1/admin/kill", "", nil, 204, "", nil},
		{"owner", "GET", "/v1/agents/mo", "", nil, 200, "state.stoppedBy.0", "platform"},
		{"root", "POST", "/v1/admin/revive", "", nil, 204, "", nil},
		{"owner", "GET", "/v1/agents/mo/versions", "", nil, 200, "items.0.kind", "settings"},
		{"owner", "GET", "/v1/agents/mo/versions?limit=1&below=6", "", nil, 200, "items.0.change.traitsDelta.humor", -.1},
		{"owner", "GET", "/v1/agents/mo/versions/3", "", nil, 200, "policy.traits.humor", .6},
		{"owner", "GET", "/v1/agents/mo/versions/30", "", nil, 404, "code", "version_unknown"},
		{"stranger", "GET", "/v1/agents/mo/versions/30", "", nil, 403, "code", "not_allowed"},
		{"owner", "GET", "/v1/agents/mo/diff?from=1&to=3", "", nil, 200, "traitsDelta.humor", .2},
		{"owner", "GET", "/v1/agents/mo/diff?from=1", "", nil, 422, "code", "invalid_request"},
		{"owner", "POST", "/v1/agents/mo/rollback", `{"version":3}`, []string{"Idempotency-Key: r"}, 200, "state.version", 7.},
		{"owner", "POST", "/v1/agents/mo/rollback", `{"version":3}`, []string{"Idempotency-Key: r"}, 200, "state.version", 7.},
		{"owner", "POST", "/v1/agents/mo/rollback", `{"version":70}`, nil, 404, "code", "version_unknown"},
		{"owner", "POST", "/v1/agents/mo/undo", "", nil, 200, "policy.traits.humor", .5},
		{"owner", "GET", "/v1/agents/mo/audit?limit=1", "", nil, 200, "items.0.act", "rollback"},
		{"owner", "GET", "/v1/agents/mo/proposals", "", nil, 200, "items", []any{}},
		{"owner", "POST", "/v1/agents/mo/proposals/none/approve", "", nil, 404, "code", "proposal_unknown"},
		{"owner", "POST", "/v1/agents/mo/transfer", `{"to":"nobody"}`, nil, 422, "code", "person_unknown"},
		{"stranger", "DELETE", "/v1/agents/bo", "", nil, 403, "code", "not_allowed"},
		{"root", "DELETE", "/v1/agents/bo", "", nil, 204, "", nil},
		{"owner", "GET", "/v1/agents/bo", "", nil, 404, "code", "agent_unknown"},
	} {
		status, got := s.call(tc.who, tc.method, tc.path, tc.body, tc.headers...)
		if i == 0 {
			id, _ = got["id"].(string)
		}
		if status != tc.status {
			t.Fatalf("%d. %s %s %s %s: %d, want %d: %v", i, tc.who, tc.method, tc.path, tc.body, status, tc.status, got)
		}
		if tc.field == "" {
			continue
		}
		v, is := json.Marshal(at(got, strings.Split(tc.field, ".")...))
		want, err := json.Marshal(tc.want)
		if string(v) != string(want) || is != nil || err != nil {
			t.Errorf("%d. %s %s %s %s: %s is %s, want %s", i, tc.who, tc.method, tc.path, tc.body, tc.field, v, want)
		}
	}

	s.deliver(event.New("account", "c", 1, event.AccountCreated{PersonID: "stranger"}), s.learned(event.AgentID(id), 8, humor(.45)))
	_, list := s.call("owner", "GET", "/v1/agents/"+id+"/proposals", "")
	if at(list, "items") != nil && len(at(list, "items").([]any)) == 0 { // the rollback left approval as it was: it is no policy
		t.Fatalf("nothing waits: %v", list)
	}
	waits := at(list, "items", "0", "id").(string)
	if d := at(list, "items", "0", "change", "traitsDelta", "humor"); d != -.05 {
		t.Errorf("change %v", d)
	}
	if status, got := s.call("stranger", "POST", "/v1/agents/"+id+"/proposals/"+waits+"/approve", ""); status != 403 {
		t.Errorf("%d %v", status, got)
	}
	if status, got := s.call("owner", "POST", "/v1/agents/"+id+"/proposals/"+waits+"/approve", ""); status != 200 || at(got, "policy", "traits", "humor") != .45 {
		t.Errorf("%d %v", status, got)
	}
	if status, got := s.call("owner", "POST", "/v1/agents/"+id+"/transfer", `{"to":"stranger"}`); status != 200 || got["policy"] != nil {
		t.Errorf("%d %v", status, got)
	}
	chainAs(t, s.world, event.AgentID(id))
}

// chainAs gives the agent back, and looks at its history.
func chainAs(t *testing.T, w *world, id event.AgentID) {
	t.Helper()
	w.deliver(event.New("account", "c2", 1, event.AccountCreated{PersonID: "owner"}))
	if _, err := w.Transfer(stranger, agent.Ref{Agent: string(id)}, "owner"); err != nil {
		t.Fatal(err)
	}
	chain(t, w, id)
}

// TestDescription: every route is described, and answers 401 to nobody.
func TestDescription(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	raw, err := s.api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct{ Summary string }
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var routes []string
	for route := range s.api.Routes() {
		routes = append(routes, route)
	}
	slices.Sort(routes)
	if len(routes) != 37 {
		t.Errorf("%d routes: %s", len(routes), strings.Join(routes, "\n"))
	}
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		if doc.Paths[path][strings.ToLower(method)].Summary == "" {
			t.Errorf("%s is not described", route)
		}
		body := ""
		if method == "PUT" || method == "PATCH" || strings.HasSuffix(path, "rollback") || strings.HasSuffix(path, "transfer") || path == "/v1/agents" && method == "POST" {
			body = `{"name":"x","traits":{"humor":0.5},"pinned":[],"bounds":{},"version":1,"to":"x"}`
		}
		path = strings.NewReplacer("{agent}", "mo", "{version}", "1", "{proposal}", "p").Replace(path)
		if status, got := s.call("", method, path+"?from=1&to=1", body); status != 401 && status != 422 {
			t.Errorf("%s: %d %v to nobody", route, status, got)
		}
	}
}
