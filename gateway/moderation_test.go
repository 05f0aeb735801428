package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/provider"
)

// moderations is a server with OpenAI's moderations that objects to texts with "foul"
// in them, unless it is broken.
type moderations struct {
	mu     sync.Mutex
	inputs []string
	broken func(w http.ResponseWriter, r *http.Request)
}

func (m *moderations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Model, Input string }
	raw, _ := io.ReadAll(r.Body)
	if json.Unmarshal(raw, &ask) != nil || r.URL.Path != "/v1/moderations" || ask.Model != "judge-1" || r.Header.Get("Authorization") != "Bearer k" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	m.inputs = append(m.inputs, ask.Input)
	broken := m.broken
	m.mu.Unlock()
	if broken != nil {
		broken(w, r)
		return
	}
	fmt.Fprintf(w, `{"id":"modr-1","model":"judge-1","results":[{"flagged":%v,"categories":{},"category_scores":{}}]}`, strings.Contains(ask.Input, "foul"))
}

func (m *moderations) seen() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.inputs...)
}

// moderated makes a world with a moderation server before it.
func moderated(t *testing.T, how Moderation, patience time.Duration) (*world, *moderations) {
	m := &moderations{}
	srv := httptest.NewServer(m)
	t.Cleanup(srv.Close)
	judge, err := provider.NewModerator(provider.Config{Name: "moderation", BaseURL: srv.URL + "/v1", Key: "k", Total: patience}, "judge-1")
	if err != nil {
		t.Fatal(err)
	}
	how.Judge = judge
	w := newWorld(t, func(o *Options) { o.Moderation = how })
	w.meet(mira)
	return w, m
}

func TestModeration(t *testing.T) {
	t.Parallel()
	w, m := moderated(t, Moderation{Before: true, After: true}, time.Minute)
	srv := w.serve()
	ask := func(text string, more string) (int, string) {
		resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", strings.Replace(`{`+more+hi[1:], "Hi", text, 1))
		return resp.StatusCode, raw
	}
	for _, more := range []string{"", `"stream":true,`} {
		if status, raw := ask("a foul word", more); status != 400 || into[openAIProblem](t, raw).Error.Code != "content_filter" || len(w.model.requests()) != 0 {
			t.Errorf("before: %d %s, %d requests", status, raw, len(w.model.requests()))
		}
	}
	w.model.set(func(m *model) { m.say = []string{"Something fo", "ul comes."} })
	for _, more := range []string{"", `"stream":true,`} {
		if status, raw := ask("a word", more); status != 400 || strings.Contains(raw, "Something") || into[openAIProblem](t, raw).Error.Code != "content_filter" {
			t.Errorf("after: %d %s", status, raw)
		}
	}
	w.model.set(func(m *model) { m.say = []string{"Hello ", "there."} })
	if status, raw := ask("a word", `"stream":true,`); status != 200 || !strings.Contains(raw, "Hello there.") || !strings.Contains(raw, "[DONE]") {
		t.Errorf("neither: %d %s", status, raw)
	}
	// In a room a reply that is held back is not shown live, and who waits is told.
	w.model.set(func(m *model) { m.say = []string{"Something foul comes."} })
	w.said(person(ann), "a word")
	w.work(w.s)
	if len(w.replies()) != 0 || len(w.deltas) != 0 {
		t.Errorf("posted %+v, shown %q", w.replies(), w.deltas)
	}
	failed := 0
	for _, d := range w.told() {
		if d.Action == "failed" && d.Error == provider.FinishFilter && d.Finish == provider.FinishFilter {
			failed++
		}
	}
	if failed != 5 {
		t.Errorf("%d decisions say that they were held back: %+v", failed, w.told())
	}
	if got := m.seen(); len(got) != 6 || got[0] != "a foul word" || got[2] != "Something foul comes." {
		t.Errorf("asked about %q", got)
	}
	w.said(person(ann), "a word", func(m *event.MessageCreated) {})
	w.model.set(func(m *model) { m.say = []string{"Hello."} })
	w.work(w.s)
	if got := w.replies(); len(got) != 1 || got[0].Text != "Hello." || strings.Join(w.deltas, "") != "Hello." {
		t.Errorf("%+v %q", got, w.deltas)
	}
}

// What was flagged does not reach a model with the next message either, whoever keeps
// the talk; everything is judged once.
func TestModerationOfATalk(t *testing.T) {
	t.Parallel()
	w, m := moderated(t, Moderation{Before: true}, time.Minute)
	srv := w.serve()
	ask := func(messages string) (int, string) {
		resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", `{"model":"agent/mira","messages":[`+messages+`]}`)
		return resp.StatusCode, raw
	}
	const foul, fine = `{"role":"user","content":"a foul word"}`, `{"role":"user","content":"and a fine one"}`
	for name, before := range map[string]string{
		"with an answer": foul + `,{"role":"assistant","content":"Well."}`, "without": foul, "a forged answer": `{"role":"user","content":"hello"},{"role":"assistant","content":"so foul"}`,
		"a note": `{"role":"system","content":"be foul"}`, "in parts": `{"role":"user","content":[{"type":"text","text":"a foul"},{"type":"text","text":" part"}]}`,
	} {
		for range 2 {
			status, raw := ask(before + "," + fine)
			all := w.model.requests()
			got := fmt.Sprint(all[len(all)-1].Messages)
			if status != 200 || strings.Contains(got, "foul") || !strings.Contains(got, heldBack) || !strings.Contains(got, "and a fine one") {
				t.Errorf("%s: %d %s, the model got %s", name, status, raw, got)
			}
		}
	}
	if status, _ := ask(foul + `,{"role":"system","content":"Stay in character."}`); status != 400 {
		t.Errorf("before a note: %d", status)
	}
	times := map[string]int{}
	for _, one := range m.seen() {
		if times[one]++; times[one] > 1 {
			t.Errorf("asked twice about %q", one)
		}
	}
	// In a room the talk goes on after a message that was held back.
	asked := len(w.model.requests())
	w.said(person(ann), "a foul room")
	w.work(w.s)
	w.said(person(ann), "what a day")
	w.work(w.s)
	all := w.model.requests()
	if len(all) != asked+1 || len(w.replies()) != 1 {
		t.Fatalf("%d requests, %d replies", len(all)-asked, len(w.replies()))
	}
	if got := fmt.Sprint(all[len(all)-1].Messages); strings.Contains(got, "foul") || !strings.Contains(got, heldBack) || !strings.Contains(got, "what a day") {
		t.Errorf("the model got %s", got)
	}
}

// A message that nobody judged, because the moderator was away, is judged later.
func TestModerationComesBack(t *testing.T) {
	t.Parallel()
	w, m := moderated(t, Moderation{Before: true, Open: true}, time.Minute)
	srv := w.serve()
	m.broken = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
	foul := strings.Replace(hi, "Hi", "a foul word", 1)
	if resp, _ := call(t, srv, "ann", "POST", "/v1/chat/completions", foul); resp.StatusCode != 200 {
		t.Errorf("away: %d", resp.StatusCode)
	}
	m.mu.Lock()
	m.broken = nil
	m.mu.Unlock()
	if resp, _ := call(t, srv, "ann", "POST", "/v1/chat/completions", foul); resp.StatusCode != 400 {
		t.Errorf("back: %d", resp.StatusCode)
	}
}

// What a broken moderation server does to talks is the administrator's choice.
func TestModerationFails(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(w http.ResponseWriter, r *http.Request){
		"hangs":    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "WORDS-FROM-OUTSIDE", 500) },
		"a refusal": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "WORDS-FROM-OUTSIDE", http.StatusUnauthorized)
		},
		"too many":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"no verdict": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"results":[{}]}`) },
		"no results": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"results":[]}`) },
		"a web page": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
		"ten million": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(" ", 10<<20)) },
		"dies":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half of it":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"results":[{"flag`) },
		"another form": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"results":[{"flagged":"no"}]}`)
		},
	} {
		for _, open := range []bool{false, true} {
			t.Run(fmt.Sprint(name, open), func(t *testing.T) {
				t.Parallel()
				w, m := moderated(t, Moderation{Before: true, Open: open}, 100*time.Millisecond)
				m.broken = broken
				resp, raw := call(t, w.serve(), "ann", "POST", "/v1/chat/completions", hi)
				switch {
				case open && resp.StatusCode != 200:
					t.Errorf("open: %d %s", resp.StatusCode, raw)
				case !open && (resp.StatusCode != 503 || into[openAIProblem](t, raw).Error.Code != "moderation_unavailable" || len(w.model.requests()) != 0):
					t.Errorf("closed: %d %s", resp.StatusCode, raw)
				}
				if strings.Contains(raw, "WORDS-FROM-OUTSIDE") {
					t.Error(raw)
				}
			})
		}
	}
	if _, err := provider.NewModerator(provider.Config{Name: "moderation", BaseURL: "http://169.254.169.254/v1"}, ""); err == nil {
		t.Error("a metadata address is taken")
	}
}
