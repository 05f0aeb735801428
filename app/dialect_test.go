package app

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What programs with the OpenAI dialect see of the whole: the platform's agents are
// models for everybody, an answer's id takes feedback, an empty key is nobody's.
func TestTheDialectOfTheWhole(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, bob := r.person("Ada"), r.person("Bob")
	ada.make("Mira", nil)
	r.admin.must("POST", "/v1/natives", map[string]any{"kind": "mentor", "name": "Sage"}, nil)
	r.settle()
	models := func(p *person) (ids []string) {
		var list struct {
			Data []struct {
				ID      string
				OwnedBy string `json:"owned_by"`
			}
		}
		p.must("GET", "/v1/models", nil, &list)
		for _, m := range list.Data {
			ids = append(ids, m.ID+" "+m.OwnedBy)
		}
		return ids
	}
	if got := models(ada); !slices.Equal(got, []string{"agent/mira rapport", "agent/sage platform"}) {
		t.Errorf("ada sees %q", got)
	}
	if got := models(bob); !slices.Equal(got, []string{"agent/sage platform"}) {
		t.Errorf("bob sees %q", got)
	}
	for _, model := range []string{"agent/mira", "agent/sage"} {
		var said struct{ ID string }
		ada.must("POST", "/v1/chat/completions", map[string]any{"model": model, "messages": []map[string]string{{"role": "user", "content": "Hi"}}}, &said)
		r.settle()
		var receipt struct{ Status string }
		kind := map[string]any{"kind": "thumb", "value": "up", "decisionId": said.ID}
		if a := ada.send("POST", "/v1/feedback", kind); model == "agent/mira" && (json.Unmarshal(a.body, &receipt) != nil || receipt.Status != "stored") {
			t.Errorf("feedback on %s: %d %s", model, a.status, a.body)
		} else if a.status >= 500 {
			t.Errorf("feedback on %s: %d %s", model, a.status, a.body)
		}
	}
	const hi = `{"model":"agent/mira","messages":[{"role":"user","content":"Hi"}]}`
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer x", "Basic YTpi"} {
		req, err := http.NewRequest("POST", r.URL()+"/v1/chat/completions", strings.NewReader(hi))
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Error struct{ Code string } }
		if json.NewDecoder(resp.Body).Decode(&doc) != nil || resp.StatusCode != 401 || doc.Error.Code != "invalid_api_key" {
			t.Errorf("Authorization %q: %d %+v", header, resp.StatusCode, doc)
		}
		resp.Body.Close()
	}
}

// However people name models, agents, paths and methods, the number of series that
// Prometheus is given stays what it is.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	mira := ada.make("Mira", nil)
	hostile := func(name string) {
		q, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		hi := `[{"role":"user","content":"Hi"}]`
		ada.raw("POST", "/v1/chat/completions", []byte(`{"model":`+string(q)+`,"messages":`+hi+`}`))
		ada.send("PUT", mira.path("/settings"), map[string]any{"runtime": map[string]any{"preferredProvider": name, "preferredModel": name}})
		r.settle()
		ada.raw("POST", "/v1/chat/completions", []byte(`{"model":"agent/mira","messages":`+hi+`}`))
		ada.raw("GET", "/"+url.PathEscape(name), nil)
		ada.raw("ZQ"+strconv.Itoa(len(name)), "/v1/models", nil)
		ada.raw("GET", "/v1/models/"+url.PathEscape(name), nil)
	}
	series := func() (names []string) {
		for line := range strings.SplitSeq(string(r.admin.raw("GET", "/metrics", nil).body), "\n") {
			if line != "" && line[0] != '#' {
				names = append(names, line[:strings.LastIndexByte(line, ' ')])
			}
		}
		return names
	}
	odd := "zanzibar-" + strings.Repeat("é\"}{", 40)
	hostile("zanzibar")
	hostile(odd)
	series() // is a request, too
	before := series()
	for i := range 8 {
		hostile("zanzibar-" + strconv.Itoa(i))
		hostile(odd[:9+5*i])
	}
	after := series()
	if len(before) < 50 || len(after) != len(before) {
		t.Errorf("%d series, then %d, with %q", len(before), len(after), slices.DeleteFunc(slices.Clone(after), func(s string) bool { return slices.Contains(before, s) }))
	}
	for _, name := range after {
		if strings.Contains(name, "zanzibar") {
			t.Errorf("a person's word is a label: %s", name)
		}
	}
}
