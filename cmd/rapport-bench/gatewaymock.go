package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
)

const mockModel = "mock-1"

// mock is a model behind the OpenAI dialect that answers at once, always the same:
// what stands between is all that takes time.
type mock struct {
	*httptest.Server
	URL      string   // up to and with /v1
	document []byte   // a whole answer
	events   [][]byte // of a streamed one; each leaves on its own
}

func newMock(text string) *mock { return newMockOf(text, 1) }

// newMockOf is a mock that streams in so many pieces.
func newMockOf(text string, pieces int) *mock {
	const usage = `"usage":{"prompt_tokens":300,"completion_tokens":12,"total_tokens":312}`
	m := &mock{document: fmt.Appendf(nil, `{"id":"c1","object":"chat.completion","created":1,"model":%q,"choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],%s}`, mockModel, text, usage)}
	event := func(rest string) {
		m.events = append(m.events, fmt.Appendf(nil, `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":%q,%s}`+"\n\n", mockModel, rest))
	}
	event(`"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]`)
	for _, piece := range strings.SplitAfterN(text, " ", pieces) {
		event(fmt.Sprintf(`"choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]`, piece))
	}
	event(`"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]`)
	event(`"choices":[],` + usage)
	m.events[len(m.events)-1] = append(m.events[len(m.events)-1], "data: [DONE]\n\n"...)
	if pieces == 1 {
		m.events = [][]byte{bytes.Join(m.events, nil)}
	}
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	m.URL = m.Server.URL + "/v1"
	return m
}

func (m *mock) serve(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if !bytes.Contains(raw, []byte(`"stream":true`)) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(m.document)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range m.events {
		_, _ = w.Write(e)
		if len(m.events) > 1 {
			w.(http.Flusher).Flush()
		}
	}
}

// sink takes traces and throws them away, as a collector nearby would take them.
type sink struct {
	*httptest.Server
	bytes atomic.Int64
}

func newSink() *sink {
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		s.bytes.Add(n)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	return s
}

// childPass as the first argument makes this program a pass-through: the least that
// can stand before a model.
const childPass = "pass-child"

// passThrough is that program. It serves the model at args[0].
func passThrough(args []string) int {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening on http://" + l.Addr().String())
	err = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, args[0]+strings.TrimPrefix(r.URL.Path, "/v1"), r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out.ContentLength = r.ContentLength
		for _, k := range []string{"Content-Type", "Authorization"} {
			out.Header.Set(k, r.Header.Get(k))
		}
		resp, err := transport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// startPassThrough starts it in a process of its own.
func startPassThrough(ctx context.Context, m *mock) (t target, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return t, nil, err
	}
	cmd := exec.CommandContext(ctx, self, childPass, m.URL)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return t, nil, err
	}
	if err := cmd.Start(); err != nil {
		return t, nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return t, nil, fmt.Errorf("the pass-through did not start: %w", err)
	}
	base := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	return target{name: "pass-through", url: base + "/v1", headers: map[string]string{"Authorization": "Bearer x"}, pid: cmd.Process.Pid}, stop, nil
}
