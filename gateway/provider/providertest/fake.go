package providertest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// Step is how a fake answers one request; the zero Step answers well.
type Step struct {
	Status int               // not 0: an error answer
	Header map[string]string // of an error answer
	Body   string            // of an error answer; in the vendor's form with Says when empty
	Says   string            // message of an error answer

	Reply    []string // the pieces; two words when nil
	Bytes    int      // so much text instead of Reply
	Raw      []string // events sent as they are instead of Reply, without the end
	Fails    string   // an error event with this text, after the pieces
	DieAfter int      // pieces after which the connection is cut; 0 for never
	Hang     bool     // sends nothing until the caller goes away
	HangMid  bool     // sends one piece, then nothing
	Drip     bool     // sends bytes, and never a piece
	Plain    bool     // answers as one JSON document, not as a stream
	NoDone   bool     // ends without its end mark
	Finish   string   // in the vendor's words; its plain end when empty
	NoUsage  bool
}

// Seen is what a request said, by our names.
type Seen struct {
	Model, System string
	Texts         []string
	Params        map[string]any // temperature, top_p, presence_penalty, frequency_penalty, effort, verbosity, tokens, schema
	Body          json.RawMessage
}

// Fake is a vendor's server. It holds every request against what the model that
// it names accepts, refuses with the vendor's words, and then plays its steps, one
// a request, good answers after the last.
type Fake struct {
	Vendor string // one of compile.Vendors
	URL    string // base URL
	Key    string // required when not empty

	wire wire
	mu   sync.Mutex
	step []Step
	seen []Seen
	odd  []string
}

// NewFake starts an OpenAI-compatible fake on a port of this machine.
func NewFake(t testing.TB, steps ...Step) *Fake {
	return NewFakeOf(t, compile.VendorCompatible, steps...)
}

// NewFakeOf starts a vendor's.
func NewFakeOf(t testing.TB, vendor string, steps ...Step) *Fake {
	t.Helper()
	f := newFake(vendor, steps...)
	s := httptest.NewServer(f)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	f.URL = s.URL + f.wire.base()
	return f
}

func newFake(vendor string, steps ...Step) *Fake {
	f := &Fake{Vendor: vendor, step: steps, wire: openaiWire{vendor}}
	switch vendor {
	case compile.VendorAnthropic:
		f.wire = anthropicWire{}
	case compile.VendorGemini:
		f.wire = geminiWire{}
	}
	f.URL = "http://fake.test" + f.wire.base()
	return f
}

// transport reaches the fake without a network, so that
// time can be a test's own.
func (f *Fake) transport(t testing.TB) http.RoundTripper {
	l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: f}
	go func() { _ = s.Serve(l) }()
	tr := provider.NewTransport(l.dial)
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = s.Close()
		synctest.Wait() // a test's own time ends with it
	})
	return tr
}

// direct calls the fake as a function; the answer comes when all of it is there.
func (f *Fake) direct() http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w.Result(), nil
	})
}

// pipes is a listener for connections within the process.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return mine, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Seen are the requests that reached a model so far, also those it refused.
func (f *Fake) Seen() []Seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Seen(nil), f.seen...)
}

// Requests are their bodies.
func (f *Fake) Requests() []map[string]any {
	var out []map[string]any
	for _, s := range f.Seen() {
		var body map[string]any
		_ = json.Unmarshal(s.Body, &body)
		out = append(out, body)
	}
	return out
}

// Odd lists what requests did that the vendor accepts and advises against.
func (f *Fake) Odd() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.odd...)
}

// Add appends steps.
func (f *Fake) Add(steps ...Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.step = append(f.step, steps...)
}

// refusal is an error answer in the vendor's words.
type refusal struct {
	status            int
	kind, text, param string
}

func (f *Fake) refuse(w http.ResponseWriter, r *refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(f.wire.problem(r))
}

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	model, bad := f.wire.open(r, f.Key)
	if bad != nil {
		f.refuse(w, bad)
		return
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		f.refuse(w, &refusal{400, "invalid_request_error", "We could not parse the JSON body of your request.", ""})
		return
	}
	seen := f.wire.see(body)
	seen.Body = raw
	if seen.Model == "" {
		seen.Model = model
	}
	f.mu.Lock()
	f.seen = append(f.seen, seen)
	f.mu.Unlock()
	if seen.Model == "missing" {
		f.refuse(w, f.wire.noModel())
		return
	}
	bad, odd := limits(f.Vendor, seen, body)
	f.mu.Lock()
	f.odd = append(f.odd, odd...)
	f.mu.Unlock()
	if bad != nil {
		f.refuse(w, bad)
		return
	}
	f.mu.Lock()
	var step Step
	if len(f.step) > 0 {
		step, f.step = f.step[0], f.step[1:]
	}
	f.mu.Unlock()
	f.play(w, r, seen, step)
}

func (f *Fake) play(w http.ResponseWriter, r *http.Request, seen Seen, s Step) {
	if s.Hang {
		hold(r)
		return
	}
	if s.Status != 0 {
		for k, v := range s.Header {
			w.Header().Set(k, v)
		}
		if s.Body == "" && s.Says != "" {
			f.refuse(w, &refusal{s.Status, "", s.Says, ""})
			return
		}
		w.WriteHeader(s.Status)
		_, _ = io.WriteString(w, s.Body)
		return
	}
	pieces := s.Reply
	if pieces == nil {
		pieces = []string{"Hello ", "there."}
	}
	if n, ok := seen.Params["tokens"].(float64); ok && thinks(f.Vendor, seen.Model) && n < 1000 {
		pieces, s.Finish = []string{}, f.wire.cut() // hidden thinking took it all
	}
	if s.Plain {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(f.wire.whole(seen.Model, strings.Join(pieces, ""), s))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(events ...string) {
		for _, e := range events {
			_, _ = io.WriteString(w, e)
		}
		w.(http.Flusher).Flush()
	}
	if s.Drip {
		for tick := time.NewTicker(time.Second); ; {
			send(": still here\n\n")
			select {
			case <-r.Context().Done():
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}
	send(f.wire.begin(seen.Model)...)
	for _, raw := range s.Raw {
		send("data: " + raw + "\n\n")
	}
	if s.Raw == nil {
		for left := s.Bytes; left > 0; left -= 1 << 16 {
			send(f.wire.piece(strings.Repeat("x", min(left, 1<<16))))
			if r.Context().Err() != nil {
				return
			}
		}
		if s.Bytes > 0 {
			pieces = nil
		}
		for i, p := range pieces {
			send(f.wire.piece(p))
			if s.HangMid {
				hold(r)
				return
			}
			if i+1 == s.DieAfter {
				panic(http.ErrAbortHandler)
			}
		}
	}
	if s.Fails != "" {
		send(f.wire.fails(s.Fails))
		return
	}
	send(f.wire.end(seen.Model, s)...)
}

// hold keeps the connection until the caller goes away, at most an hour.
func hold(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(time.Hour):
	}
}
