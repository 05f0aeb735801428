package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"rapport/event"
	"rapport/internal/sqldb/sqldbtest"
)

// witness compares every answer to these tests with the API's description.
type witness struct {
	t    testing.TB
	doc  *description
	mu   sync.Mutex
	seen map[string]bool // "METHOD /template" that answered with success
}

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || resp.Header.Get("Content-Type") == "text/event-stream" {
		if err == nil {
			w.note(r, resp, nil)
		}
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	w.note(r, resp, body)
	return resp, nil
}

func (w *witness) note(r *http.Request, resp *http.Response, body []byte) {
	what := fmt.Sprintf("%s %s → %d", r.Method, r.URL.Path, resp.StatusCode)
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	op := w.doc.find(r.Method, r.URL.EscapedPath())
	if resp.StatusCode == http.StatusTemporaryRedirect { // to the same path without // and ..
		return
	}
	if op == nil {
		openai := media == "application/json" && (strings.HasPrefix(r.URL.Path, "/v1/models") || strings.HasPrefix(r.URL.Path, "/v1/chat/")) // refuses in its own words
		if resp.StatusCode != 404 && resp.StatusCode != 405 || media != problemType && !openai {
			w.t.Errorf("%s: no such route is described", what)
		}
		return
	}
	if resp.StatusCode < 300 {
		w.mu.Lock()
		w.seen[r.Method+" "+op.path] = true
		w.mu.Unlock()
	}
	described, ok := op.Responses[fmt.Sprint(resp.StatusCode)]
	if !ok {
		w.t.Errorf("%s: this status is not described", what)
		return
	}
	foreign := slices.Contains(op.Tags, "openai")
	if resp.StatusCode >= 400 && !foreign && media != problemType {
		w.t.Errorf("%s: an error of type %s: %s", what, media, body)
	}
	if len(described.Content) == 0 || foreign && resp.StatusCode >= 400 {
		return
	}
	content, ok := described.Content[media]
	if !ok {
		w.t.Errorf("%s: type %q is not described", what, media)
		return
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		w.t.Errorf("%s: %v", what, err)
		return
	}
	for _, wrong := range w.doc.fits(content.Schema, v, "answer") {
		w.t.Errorf("%s: %s", what, wrong)
	}
}

// TestRoutesAreDescribed: what is described is there and what is there is
// described; nobody gets in without saying who they are; ids that name nothing
// find nothing.
func TestRoutesAreDescribed(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	doc := r.witness.doc
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi %s", doc.OpenAPI)
	}
	described := map[string]*operation{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			described[strings.ToUpper(method)+" "+path] = op
		}
	}
	for route := range r.API.Routes() {
		if described[route] == nil {
			t.Errorf("%s is not described", route)
		}
	}
	// What browsers show is no part of the description. It only reads, and there is
	// nothing else beside the API.
	if want := []string{"GET /{$}", "GET /login", "GET /talk/{agent}", "GET /room/{room}", "GET /join", "GET /growth/{agent}", "GET /reviews", "GET /points", "GET /goals", "GET /mine", "GET /operator", "GET /assets/{version}/{file}"}; !slices.Equal(r.API.Pages(), want) {
		t.Errorf("pages %q, want %q", r.API.Pages(), want)
	}
	for _, page := range r.API.Pages() {
		if described[page] != nil || !strings.HasPrefix(page, "GET ") || strings.HasPrefix(page, "GET /v1") {
			t.Errorf("page %s is described, writes, or is in the API's place", page)
		}
	}
	stranger := r.as("", "")
	for _, route := range slices.Sorted(maps.Keys(described)) {
		op := described[route]
		method, path, _ := strings.Cut(route, " ")
		if _, there := r.API.Routes()[route]; !there {
			t.Errorf("%s is described and not there", route)
		}
		known := strings.Contains(path, "{")
		for _, p := range strings.Split(path, "/") {
			if strings.HasPrefix(p, "{") {
				path = strings.Replace(path, p, "nothing-of-this-name", 1)
			}
		}
		var body []byte
		if method != "GET" && method != "DELETE" {
			body = []byte("{}")
		}
		a := stranger.raw(method, path, body)
		switch {
		case slices.Contains(op.Tags, "openai"):
			if a.status != 401 || !strings.Contains(string(a.body), `"error"`) {
				t.Errorf("%s without a token: %d %s", route, a.status, a.body)
			}
		case len(op.Security) > 0:
			if p := a.problem(); a.status != 401 || p.Code != "login_required" || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s without a token: %d %s", route, a.status, a.body)
			}
		case a.status == 401 || a.status >= 500:
			t.Errorf("%s is public and answers %d %s", route, a.status, a.body)
		}
		if !known || slices.Contains(op.Tags, "openai") {
			continue
		}
		if a := r.admin.raw(method, path, body); a.status != 404 && a.status != 422 {
			t.Errorf("%s for ids of nothing: %d %s", route, a.status, a.body)
		}
	}
	for path, status := range map[string]int{"/v1": 404, "/v1/nothing": 404, "/v1/agents/a/b/c": 404, "/healthz/x": 404, "//v1/me": 0, "/v1/../etc/passwd": 0} {
		if a := r.admin.raw("GET", path, nil); status != 0 && a.status != status || a.status == 200 && path != "//v1/me" {
			t.Errorf("GET %s: %d %s", path, a.status, a.body)
		}
	}
}

// TestTour goes through every route once; the witness compares each answer with
// its description.
func TestTour(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	admin, ada, bob := r.admin, r.person("Ada"), r.person("Bob")
	luna := ada.make("Luna", map[string]float64{"humor": .7})
	s := luna.say(question)
	forum := r.platform("forum")

	// account
	login := func(p *person) *person {
		var link struct{ Link string }
		admin.must("POST", "/v1/admin/links", map[string]any{"person": p.ID}, &link)
		fresh := r.as(p.ID, "")
		var session struct{ Token string }
		fresh.must("POST", "/v1/login", map[string]string{"link": link.Link[strings.LastIndexAny(link.Link, "/=#")+1:]}, &session)
		fresh.Token = session.Token
		return fresh
	}
	fresh := login(bob)
	fresh.must("PATCH", "/v1/me", map[string]string{"name": "Robert"}, nil)
	fresh.must("GET", "/v1/me", nil, nil)
	fresh.must("GET", "/v1/me/export", nil, nil)
	var tokens struct{ Tokens []struct{ ID string } }
	bob.must("GET", "/v1/tokens", nil, &tokens)
	admin.must("PUT", "/v1/people/"+string(bob.ID)+"/protection", map[string]any{"protected": true}, nil)
	admin.must("PUT", "/v1/people/"+string(bob.ID)+"/protection", map[string]any{"protected": false}, nil)
	fresh.must("POST", "/v1/logout", nil, nil)

	// agent
	ada.must("GET", "/v1/agents", nil, nil)
	ada.must("GET", "/v1/agents/luna", nil, nil)
	bob.must("GET", luna.path(""), nil, nil)
	ada.must("PATCH", luna.path(""), map[string]any{"description": "A friend.", "examples": []map[string]string{{"person": "Hi", "agent": "Hello!"}}}, nil)
	ada.must("PUT", luna.path("/traits"), map[string]any{"traits": map[string]float64{"humor": .6}}, nil)
	ada.must("PUT", luna.path("/pins"), map[string]any{"pinned": []string{"humor"}}, nil)
	ada.must("PUT", luna.path("/bounds"), map[string]any{"bounds": map[string]any{"brevity": map[string]float64{"lo": .2, "hi": .8}}}, nil)
	for _, act := range []string{"pause", "resume", "kill", "revive", "undo"} {
		ada.must("POST", luna.path("/"+act), nil, nil)
	}
	ada.must("POST", luna.path("/rollback"), map[string]any{"version": 2}, nil)
	for _, path := range []string{"/versions", "/versions/1", "/diff?from=1&to=2", "/audit", "/proposals", "/compile", "/compile?x=humor=0.9&context=groupSmall", "/learning", "/explanation"} {
		r.settle()
		ada.must("GET", luna.path(path), nil, nil)
	}
	admin.must("POST", "/v1/admin/kill", nil, nil)
	admin.must("POST", "/v1/admin/revive", nil, nil)
	r.settle()
	var orla struct{ Agent struct{ ID string } }
	ada.must("POST", "/v1/agents/import", map[string]any{"name": "Orla", "description": "Keeps bees.", "first_mes": "Hello."}, &orla)
	ada.must("GET", "/v1/agents/"+orla.Agent.ID+"/card", nil, nil)
	ada.must("GET", "/v1/agents/"+orla.Agent.ID+"/card/json", nil, nil)
	for _, word := range []string{"accept", "refuse"} {
		ada.must("POST", "/v1/agents/orla/enrichment", map[string]any{"fields": []string{"style"}}, nil)
		ada.must("GET", "/v1/agents/orla/enrichment", nil, nil)
		ada.must("POST", "/v1/agents/orla/enrichment/"+word, map[string]any{"fields": []string{"style"}}, nil)
	}
	var sage struct{ ID event.AgentID }
	admin.must("POST", "/v1/natives", map[string]any{"name": "Sage", "kind": "mentor"}, &sage)
	bob.must("GET", "/v1/natives?kind=mentor", nil, nil)
	admin.must("PUT", "/v1/natives/order", map[string]any{"order": []event.AgentID{sage.ID}}, nil)
	bob.must("POST", "/v1/natives/sage/adopt", nil, nil)

	// chat
	var room struct{ ID string }
	ada.must("POST", "/v1/rooms", map[string]any{"title": "Kitchen"}, &room)
	in := "/v1/rooms/" + room.ID
	var link struct{ Link string }
	ada.must("POST", in+"/link", nil, &link)
	bob.must("POST", "/v1/rooms/join", map[string]any{"link": link.Link}, nil)
	ada.must("DELETE", in+"/link", nil, nil)
	ada.must("POST", in+"/members", map[string]any{"personId": bob.ID}, nil)
	ada.must("POST", in+"/members", map[string]any{"agentId": luna.ID}, nil)
	ada.must("GET", "/v1/rooms", nil, nil)
	ada.must("GET", in, nil, nil)
	bob.must("PUT", in+"/consent", map[string]any{"consent": false}, nil)
	var m struct{ ID string }
	bob.must("POST", in+"/messages", map[string]any{"text": "Hello, all"}, &m)
	bob.must("PATCH", in+"/messages/"+m.ID, map[string]any{"text": "Hello, everybody"}, nil)
	ada.must("PUT", in+"/messages/"+m.ID+"/reactions/%F0%9F%91%8D", nil, nil)
	ada.must("GET", in+"/messages", nil, nil)
	ada.must("DELETE", in+"/messages/"+m.ID+"/reactions/%F0%9F%91%8D", nil, nil)
	bob.must("DELETE", in+"/messages/"+m.ID, nil, nil)
	bob.must("DELETE", in+"/members/"+string(bob.ID), nil, nil)
	ada.must("POST", in+"/end", nil, nil)
	stream, err := ada.Send(t.Context(), "GET", in+"/stream?after=0", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream.Body.Close()

	// feedback
	f := ada.give("thumb", "up", "messageId", string(s.ID))
	ada.give("tone", "kinder", "messageId", string(s.ID))
	ada.give("session", "loved", "sessionId", string(s.SessionID))
	ada.give("thumb", "up", "messageId", event.NewID()) // waits
	ada.must("GET", "/v1/feedback?agent="+string(luna.ID), nil, nil)
	ada.must("GET", "/v1/feedback?mine=true", nil, nil)
	ada.must("GET", "/v1/feedback/"+string(f.FeedbackID), nil, nil)
	ada.must("DELETE", "/v1/feedback/"+string(f.FeedbackID), nil, nil)
	r.settle()
	ada.must("GET", luna.path("/learning"), nil, nil)
	ada.must("GET", luna.path("/explanation"), nil, nil)
	ada.must("GET", luna.path("/evaluation"), nil, nil)
	ada.must("GET", "/v1/archetypes", nil, nil)
	admin.must("GET", "/v1/admin/jobs", nil, nil)
	admin.must("POST", "/v1/admin/jobs/calibrate", nil, nil)
	var release struct{ ID string }
	admin.must("POST", "/v1/admin/releases", map[string]any{"traits": map[string]float64{"humor": .55}}, &release)
	admin.must("GET", "/v1/admin/releases", nil, nil)
	admin.must("POST", "/v1/admin/releases/"+release.ID+"/revert", nil, nil)
	ada.must("PUT", luna.path("/settings"), map[string]any{"asking": map[string]any{"intensity": "gentle", "every": 0}}, nil)
	ada.must("PUT", "/v1/me/asking", map[string]any{"budget": 3}, nil)
	ada.must("GET", "/v1/me/asking", nil, nil)
	ada.must("PUT", "/v1/me/emoji", map[string]any{"emoji": "💀", "meaning": .5}, nil)
	ada.must("GET", "/v1/me/emoji", nil, nil)
	asked := ada.make("Mia", nil).longTalk()
	ada.must("POST", "/v1/prompts/"+string(asked.PromptID)+"/shown", nil, nil)
	ada.must("POST", "/v1/prompts/"+string(asked.PromptID)+"/skipped", nil, nil)
	ada.must("GET", "/v1/feedback/why?agent="+string(luna.ID), nil, nil)
	admin.must("GET", "/v1/feedback/why?agent="+string(luna.ID)+"&person="+string(ada.ID), nil, nil)

	// gateway
	r.ruled(ada)
	ada.must("GET", "/v1/schemas/mapping-rules", nil, nil)
	ada.must("GET", "/v1/models", nil, nil)
	ada.must("GET", "/v1/models/agent/luna", nil, nil)
	ada.must("GET", "/v1/models/agent%2Fluna", nil, nil)
	ada.must("POST", "/v1/chat/completions", map[string]any{"model": "agent/luna", "messages": []any{map[string]string{"role": "user", "content": "hello"}}}, nil)

	// reviewing
	r.reviewed(ada, r.person("Ben"), r.person("Carl"), luna)
	ada.must("GET", "/v1/points", nil, nil)

	// the door and the operator
	if a := forum.send("POST", "/v1/events", item("r", "room.created", map[string]any{"room": "r", "agents": []event.AgentID{luna.ID}}), "Content-Type", oneEvent); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := forum.raw("POST", "/v1/ingest/openai", []byte(`{"id":"`+string(s.DecisionID)+`","rating":"up","user":"visitor"}`)); a.status != 404 { // nobody of the forum was there
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := forum.raw("POST", "/v1/ingest/telegram", payload(t, "telegram-anonymous")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"/healthz", "/metrics", "/openapi.json", "/v1/admin/lag", "/v1/admin/audit", "/v1/admin/dead-letters", "/v1/admin/trace/" + string(s.DecisionID), "/v1/admin/export", "/v1/admin/export/chat.messages"} {
		if a := admin.raw("GET", path, nil); a.status != 200 || len(a.body) == 0 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	admin.must("POST", "/v1/admin/rebuild", map[string]bool{"check": true}, nil)
	if a := admin.send("POST", "/v1/admin/backup", map[string]string{"dir": t.TempDir() + "/b"}); sqldbtest.OnPostgres() != strings.Contains(string(a.body), "backup_elsewhere") {
		t.Errorf("backup: %d %s", a.status, a.body)
	}

	// the end of things
	ada.must("POST", luna.path("/transfer"), map[string]any{"to": bob.ID}, nil)
	bob.must("DELETE", luna.path(""), nil, nil)
	bob.must("DELETE", "/v1/tokens/"+tokens.Tokens[0].ID, nil, nil)
	var gone struct{ Receipt string }
	login(ada).must("DELETE", "/v1/me", nil, &gone)
	r.as("", "").must("GET", "/v1/erasures/"+gone.Receipt, nil, nil)
	admin.must("DELETE", "/v1/people/"+string(bob.ID), nil, nil)
	admin.must("GET", "/v1/admin/erasures", nil, nil)

	// What needs more than a tour.
	elsewhere := []string{
		"POST /v1/agents/{agent}/proposals/{proposal}/approve", // learning has to propose first: the demo of the command line
		"POST /v1/agents/{agent}/proposals/{proposal}/refuse",
		"POST /v1/admin/dead-letters/{group}/{id}/replay", // there are none
		"POST /v1/admin/refresh-trait-mapping",            // takes a model
		"GET /v1/admin/archetypes/{archetype}/evaluation", // takes five owners
		"POST /v1/points/spend",                           // takes points: TestPointsBuy
		"POST /v1/rooms/{room}/messages/{message}/retry",  // takes a model that fails
	}
	if sqldbtest.OnPostgres() {
		elsewhere = append(elsewhere, "POST /v1/admin/backup")
	}
	for route := range r.API.Routes() {
		r.witness.mu.Lock()
		seen := r.witness.seen[route]
		r.witness.mu.Unlock()
		if !seen && !slices.Contains(elsewhere, route) {
			t.Errorf("the tour never got an answer of %s", route)
		}
	}
}
