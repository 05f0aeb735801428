package app

import (
	"encoding/json"
	"net/http"
	"slices"
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
