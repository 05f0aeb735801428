// Package providertest is the exercise that every adapter passes, against
// servers that refuse what the real ones refuse.
//
// Start reading at Run; Fake is the OpenAI-compatible server.
package providertest

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
)

// Step is how the fake answers one request; the zero Step answers well.
type Step struct {
	Status int               // not 0: an error answer
	Header map[string]string // of an error answer
	Body   string            // of an error answer

	Reply    []string // the pieces; two words when nil
	Raw      []string // sent as they are instead of Reply, without the end
	DieAfter int      // pieces after which the connection is cut; 0 for never
	Hang     bool     // sends nothing until the caller goes away
	HangMid  bool     // sends one piece, then nothing
	Plain    bool     // answers as one JSON document, not as a stream
	NoDone   bool     // ends without [DONE]
	Finish   string   // "stop" when empty
	NoUsage  bool
}

// Fake is an OpenAI-compatible server. It checks every request against what the
// model family it names accepts, with the real refusals' texts, and then plays
// its steps, one a request, good answers after the last.
type Fake struct {
	URL string // base URL with /v1
	Key string // required as bearer token when not empty

	mu       sync.Mutex
	steps    []Step
	requests []map[string]any
}

// NewFake starts a fake for a test.
func NewFake(t testing.TB, steps ...Step) *Fake {
	t.Helper()
	f := &Fake{steps: steps}
	s := httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	f.URL = s.URL + "/v1"
	return f
}

// Requests are the bodies received so far.
func (f *Fake) Requests() []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]map[string]any(nil), f.requests...)
}

// Add appends steps.
func (f *Fake) Add(steps ...Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = append(f.steps, steps...)
}

func refuse(w http.ResponseWriter, status int, message, param string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	var p any
	if param != "" {
		p = param
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": "invalid_request_error", "param": p, "code": nil}})
}

// family says which parameters a model refuses, and how it says so.
func family(model string) (refused []string, text string, namesParam bool) {
	switch {
	case strings.HasPrefix(model, "gpt-4"), strings.HasPrefix(model, "llama"):
		return []string{"reasoning_effort", "verbosity"}, "Unrecognized request argument supplied: %s", false
	case strings.HasPrefix(model, "claude"):
		return []string{"temperature", "top_p", "presence_penalty", "frequency_penalty"}, "`%s` is deprecated for this model", false
	}
	return []string{"temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens"}, "Unsupported parameter: '%s' is not supported with this model.", true
}

func (f *Fake) serve(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	if r.URL.Path != "/v1/chat/completions" || r.Method != http.MethodPost {
		refuse(w, http.StatusNotFound, "no such path", "")
		return
	}
	if f.Key != "" && r.Header.Get("Authorization") != "Bearer "+f.Key {
		refuse(w, http.StatusUnauthorized, "Incorrect API key provided: "+r.Header.Get("Authorization"), "")
		return
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		refuse(w, http.StatusBadRequest, "not JSON", "")
		return
	}
	f.mu.Lock()
	f.requests = append(f.requests, body)
	f.mu.Unlock()
	model, _ := body["model"].(string)
	if model == "missing" {
		refuse(w, http.StatusNotFound, "The model `missing` does not exist", "")
		return
	}
	if ms, _ := body["messages"].([]any); len(ms) == 0 {
		refuse(w, http.StatusBadRequest, "messages is empty", "messages")
		return
	}
	refused, text, names := family(model)
	for _, p := range refused {
		if _, sent := body[p]; sent {
			param := ""
			if names {
				param = p
			}
			refuse(w, http.StatusBadRequest, fmt.Sprintf(text, p), param)
			return
		}
	}
	if _, a := body["max_tokens"]; a {
		if _, b := body["max_completion_tokens"]; b {
			refuse(w, http.StatusBadRequest, "max_tokens and max_completion_tokens cannot both be set", "max_tokens")
			return
		}
	}
	f.mu.Lock()
	var step Step
	if len(f.steps) > 0 {
		step, f.steps = f.steps[0], f.steps[1:]
	}
	f.mu.Unlock()
	step.play(w, r, model)
}

func (s Step) play(w http.ResponseWriter, r *http.Request, model string) {
	if s.Hang {
		hold(r)
		return
	}
	if s.Status != 0 {
		for k, v := range s.Header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(s.Status)
		_, _ = io.WriteString(w, s.Body)
		return
	}
	finish := s.Finish
	if finish == "" {
		finish = "stop"
	}
	pieces := s.Reply
	if pieces == nil {
		pieces = []string{"Hello ", "there."}
	}
	usage := map[string]int{"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
	if s.Plain {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "chatcmpl-1", "model": model, "usage": usage,
			"choices": []any{map[string]any{"index": 0, "finish_reason": finish, "message": map[string]any{"role": "assistant", "content": strings.Join(pieces, "")}}}})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(data string) {
		_, _ = io.WriteString(w, "data: "+data+"\n\n")
		w.(http.Flusher).Flush()
	}
	chunk := func(delta any, finish any) {
		b, _ := json.Marshal(map[string]any{"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model, "obfuscation": "x",
			"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}}})
		send(string(b))
	}
	_, _ = io.WriteString(w, ": ping\n\nevent: message\n")
	chunk(map[string]any{"role": "assistant", "content": ""}, nil)
	for _, raw := range s.Raw {
		send(raw)
	}
	if s.Raw == nil {
		for i, p := range pieces {
			chunk(map[string]any{"content": p}, nil)
			if s.HangMid {
				hold(r)
				return
			}
			if i+1 == s.DieAfter {
				panic(http.ErrAbortHandler)
			}
		}
	}
	chunk(map[string]any{}, finish)
	if !s.NoUsage {
		b, _ := json.Marshal(map[string]any{"id": "chatcmpl-1", "model": model, "choices": []any{}, "usage": usage})
		send(string(b))
	}
	if !s.NoDone {
		send("[DONE]")
	}
}

// hold keeps the connection until the caller goes away, at most a while.
func hold(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(10 * time.Second):
	}
}
