package gateway

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/offline"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each file of testdata/requests is a request as a program that people use sends it.
// The golden file beside it is what it is answered with, and what the model was asked.
func TestRequestsOfPrograms(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/requests/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	w := newWorld(t)
	w.meet(mira)
	srv := w.serve()
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			ask := into[struct {
				From    string
				Headers map[string]string
				Body    json.RawMessage
			}](t, string(raw))
			var headers []string
			for k, v := range ask.Headers {
				headers = append(headers, k, v)
			}
			before, decided := len(w.model.requests()), len(w.told())
			resp, body := call(t, srv, "ann", "POST", "/v1/chat/completions", string(ask.Body), headers...)
			var got strings.Builder
			fmt.Fprintf(&got, "# %s\n%s\n", ask.From, resp.Status)
			for _, h := range []string{"Content-Type", "x-ignored-parameters", "x-should-retry"} {
				if v := resp.Header.Get(h); v != "" {
					fmt.Fprintf(&got, "%s: %s\n", h, v)
				}
			}
			got.WriteString("\n" + masked.ReplaceAllString(strings.TrimSpace(body), `"$1":"…"`) + "\n")
			for _, r := range w.model.requests()[before:] {
				if system, _, _ := strings.Cut(r.System, "."); strings.HasPrefix(r.System, "You do small chores") || !strings.Contains(system, "one character") {
					fmt.Fprintf(&got, "\n--- asked, without the agent\n")
				} else {
					fmt.Fprintf(&got, "\n--- asked\n")
				}
				for _, m := range r.Messages {
					fmt.Fprintf(&got, "%s: %s\n", m.Role, m.Text)
				}
			}
			fmt.Fprintf(&got, "\n--- decisions: %d\n", len(w.told())-decided)
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

// masked is what differs from run to run.
var masked = regexp.MustCompile(`"(id|episode_id|created|system_fingerprint)":("[^"]*"|\d+)`)

// What an application wants for itself is no talk: nothing is decided or learned, the
// person's replies are not spent, and there is an end to it.
func TestChores(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Replies = 1 })
	w.meet(mira)
	srv := w.serve()
	w.model.set(func(m *model) { m.say = []string{`{"title":"Ra`, `in"}`, strings.Repeat(" more", 1000)} })
	const title = `{"model":"agent/mira","messages":[{"role":"user","content":"### Task:\nMake a title.\n### Output:\nJSON\n<chat_history>\nUSER: hi\n</chat_history>"}]}`
	for i := range 5 {
		resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", title)
		if i == 4 {
			if resp.StatusCode != 429 || into[openAIProblem](t, raw).Error.Code != "chores_spent" {
				t.Errorf("%d %s", resp.StatusCode, raw)
			}
			continue
		}
		a := into[completionAnswer](t, raw)
		if resp.StatusCode != 200 || !strings.HasPrefix(*a.Choices[0].Message.Content, `{"title":"Rain"}`) || len(*a.Choices[0].Message.Content) > 2000 || a.Episode != "" || resp.Header.Get("x-decision-id") != "" {
			t.Errorf("%d %s", resp.StatusCode, raw)
		}
	}
	if resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", hi); resp.StatusCode != 200 {
		t.Errorf("the reply that was left: %d %s", resp.StatusCode, raw)
	}
	if told := w.told(); len(told) != 1 || told[0].Action != "reply" {
		t.Errorf("%+v", told)
	}
	ask := w.model.requests()[0]
	if strings.Contains(ask.System, "MIRA") || ask.Params.MaxTokens != choreTokens || ask.Owner != string(ann) {
		t.Errorf("asked %+v", ask)
	}
	w.pass(24 * time.Hour)
	w.model.set(func(m *model) { m.say, m.fail = nil, &provider.Error{Code: provider.CodeTimeout, Provider: "test"} })
	if resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", title); resp.StatusCode != 504 {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
	if resp, _ := call(t, srv, "ann", "POST", "/v1/chat/completions", strings.Replace(title, "mira", "nobody", 1)); resp.StatusCode != 404 {
		t.Errorf("of an agent that is not there: %d", resp.StatusCode)
	}
	demo := newWorld(t, func(o *Options) {
		o.Models.Registry.Default = []compile.Model{{Provider: offline.Model, ID: offline.Model, Vendor: compile.VendorOffline}}
	})
	demo.meet(mira)
	if _, raw := call(t, demo.serve(), "ann", "POST", "/v1/chat/completions", title); *into[completionAnswer](t, raw).Choices[0].Message.Content != "{}" {
		t.Errorf("without a model: %s", raw)
	}
}

// While a model thinks for long, the stream says that it is alive; what fails after
// that is a chunk.
func TestStreamsStayAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.s.keepAlive = 10 * time.Millisecond
	hold := make(chan struct{})
	w.model.set(func(m *model) { m.hold = hold })
	srv := w.serve()
	ask := func(until func()) string {
		req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL+"/v1/chat/completions", strings.NewReader(`{"stream":true,`+hi[1:]))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer ann")
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var all strings.Builder
		beats := 0
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			switch {
			case in.Text() != ": still here":
				all.WriteString(in.Text() + "\n")
			case all.Len() == 0:
				t.Error("the role comes first")
			default:
				if beats++; beats == 2 {
					until()
				}
			}
		}
		if resp.StatusCode != http.StatusOK || beats < 2 {
			t.Errorf("%d, %d signs of life", resp.StatusCode, beats)
		}
		return all.String()
	}
	list, failed, done := chunks(t, ask(func() { close(hold) }))
	if failed != nil || !done || len(list) < 3 {
		t.Errorf("%+v %v", list, done)
	}
	again := make(chan struct{})
	w.model.set(func(m *model) {
		m.hold, m.say, m.fail = again, nil, &provider.Error{Code: provider.CodeUpstream, Provider: "test"}
	})
	if _, failed, done := chunks(t, ask(func() { close(again) })); failed == nil || done {
		t.Error("a failure after a sign of life")
	}
}

// The sessions of Open WebUI's chats are apart.
func TestSessionsOfChats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	srv := w.serve()
	in := func(header ...string) event.SessionID {
		call(t, srv, "ann", "POST", "/v1/chat/completions", hi, header...)
		told := w.told()
		return told[len(told)-1].SessionID
	}
	one := in("X-OpenWebUI-Chat-Id", "c1")
	if in("X-OpenWebUI-Chat-Id", "c1") != one || in("X-OpenWebUI-Chat-Id", "c2") == one || in("x-session-id", "mine", "X-OpenWebUI-Chat-Id", "c1") == one {
		t.Error("chats and sessions are not one to one")
	}
}

// A client sends the pictures of a talk with every message; they are no reason to end it.
func TestLargePictures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	picture := `{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("iVBORw0K", 1<<19) + `"}}`
	resp, raw := call(t, w.serve(), "ann", "POST", "/v1/chat/completions", `{"model":"agent/mira","messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},`+picture+`]},{"role":"assistant","content":"A picture?"},{"role":"user","content":"Yes."}]}`)
	if resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, raw)
	}
	if got := fmt.Sprint(w.model.requests()[0].Messages); !strings.Contains(got, "What is this?[a picture, not shown to you]") || strings.Contains(got, "iVBOR") {
		t.Errorf("the model got %.300s", got)
	}
}

// What no route of OpenAI's answers is refused in OpenAI's shape, with what to do.
func TestRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := w.serve()
	for _, c := range []struct {
		as, method, path string
		header           []string
		status           int
		code, says       string
	}{
		{"ann", "PUT", "/v1/chat/completions", nil, 405, "method_not_allowed", "Allow"},
		{"ann", "DELETE", "/v1/models/agent/mira", nil, 405, "method_not_allowed", "Allow"},
		{"ann", "POST", "/v1/responses", nil, 404, "no_such_route", "/v1/chat/completions"},
		{"ann", "POST", "/v1/embeddings", nil, 404, "no_such_route", "/v1/chat/completions"},
		{"ann", "GET", "/v1/models/agent/a/b", nil, 404, "no_such_route", "/v1/models"},
		{"ann", "POST", "/chat/completions", nil, 404, "no_such_route", "ends with /v1"},
		{"ann", "POST", "/v1/v1/chat/completions", nil, 404, "no_such_route", "ends with /v1"},
		{"", "POST", "/v1/chat/completions", []string{"Origin", "https://front.example", "Sec-Fetch-Site", "cross-site"}, 403, "cross_origin", "need a token"},
		{"", "GET", "/v1/models", nil, 401, "invalid_api_key", "/mine"},
		{"", "GET", "/v1/models", []string{"Authorization", "Bearer wrong"}, 401, "invalid_api_key", "no token of this server"},
	} {
		resp, raw := call(t, srv, c.as, c.method, c.path, "", c.header...)
		e := into[openAIProblem](t, raw).Error
		if resp.StatusCode != c.status || e.Code != c.code || !strings.Contains(e.Message, c.says) || e.Type != "invalid_request_error" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s", c.method, c.path, resp.StatusCode, raw)
		}
		if c.header != nil && c.header[0] == "Origin" && resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s %s: a page cannot read why: %v", c.method, c.path, resp.Header)
		}
	}
	if resp, raw := call(t, srv, "ann", "GET", "/v1/nothing", ""); resp.StatusCode != 404 || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("elsewhere: %d %s", resp.StatusCode, raw)
	}
}

// A page of another site may talk with an agent by a token, and with nothing else.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	srv := w.serve()
	site := []string{"Origin", "https://front.example", "Sec-Fetch-Site", "cross-site"}
	resp, _ := call(t, srv, "", "OPTIONS", "/v1/chat/completions", "", append(site, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")...)
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Origin") != "*" || resp.Header.Get("Access-Control-Allow-Headers") != "authorization, content-type, *" ||
		!strings.Contains(resp.Header.Get("Access-Control-Allow-Methods"), "POST") || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}
	resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", hi, site...)
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(resp.Header.Get("Access-Control-Expose-Headers"), "x-decision-id") {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, raw)
	}
	if resp, _ := call(t, srv, "ann", "GET", "/v1/models", "", site...); resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("models: %d %v", resp.StatusCode, resp.Header)
	}
	// A token that is none, as SillyTavern's without a key, is no way around that.
	if resp, _ := call(t, srv, "", "POST", "/v1/chat/completions", hi, append(site, "Authorization", "Bearer ")...); resp.StatusCode != 403 {
		t.Errorf("without a token: %d", resp.StatusCode)
	}
	if resp, raw := call(t, srv, "", "POST", "/v1/chat/completions", hi, append(site, "Cookie", "rapport_session=x")...); resp.StatusCode != 403 || !strings.Contains(raw, "cross_origin") {
		t.Errorf("with a cookie alone: %d %s", resp.StatusCode, raw)
	}
	if resp, _ := call(t, srv, "", "OPTIONS", "/v1/me/replies", "", site...); resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("elsewhere: %d %v", resp.StatusCode, resp.Header)
	}
	if resp, _ := call(t, srv, "ann", "HEAD", "/v1/models", ""); resp.StatusCode != 200 {
		t.Errorf("HEAD: %d", resp.StatusCode)
	}
}
