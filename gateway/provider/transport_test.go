package provider

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// dialled counts the lines of a transport.
func dialled() (*Transport, *atomic.Int64) {
	var n atomic.Int64
	return NewTransport(func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}), &n
}

func askOver(t *testing.T, tr http.RoundTripper, ctx context.Context, url, body string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return tr.RoundTrip(r)
}

// A line is used again, whether its answer was read to the end or almost, and not
// when it was not.
func TestLinesAreUsedAgain(t *testing.T) {
	t.Parallel()
	on := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/stream":
			_, _ = w.Write([]byte("data: x\n"))
			w.(http.Flusher).Flush()
			<-on
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = w.Write(raw)
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		case "/elsewhere":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		default:
			_, _ = w.Write(raw)
		}
	}))
	defer s.Close()
	tr, lines := dialled()
	defer tr.CloseIdleConnections()
	want := int64(1)
	for _, c := range []struct {
		path   string
		status int
		early  bool // closed before the end
		more   int64
	}{
		{"/", 200, false, 0}, {"/hints", 200, false, 0}, {"/nothing", 204, false, 0}, {"/elsewhere", 307, false, 0}, {"/stream", 200, true, 0}, {"/endless", 200, true, 1}, {"/", 200, false, 0},
	} {
		resp, err := askOver(t, tr, t.Context(), s.URL+c.path, strings.Repeat("b", 100000))
		if err != nil || resp.StatusCode != c.status {
			t.Fatalf("%s: %v %v", c.path, resp, err)
		}
		if c.early {
			if _, err := bufio.NewReader(resp.Body).ReadByte(); err != nil {
				t.Fatal(err)
			}
		} else if raw, err := io.ReadAll(resp.Body); err != nil || c.status == 200 && len(raw) != 100000 {
			t.Fatalf("%s: %d bytes, %v", c.path, len(raw), err)
		}
		for range 2 {
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after its end: %d %v", n, err)
		}
		if c.path == "/stream" {
			on <- struct{}{}
			for end := time.Now().Add(5 * time.Second); tr.resting() == 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
		}
		if got := lines.Load(); got != want {
			t.Errorf("%s: %d lines, want %d", c.path, got, want)
		}
		want += c.more
	}
}

func (t *Transport) resting() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, rest := range t.idle {
		n += len(rest)
	}
	return n
}

// A server that hung up meanwhile is asked anew; one that hangs up instead of
// answering is an error, and so are endless headers.
func TestLinesThatBreak(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answers := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			for a := range answers {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil { // hung up on by us
					answers <- a
					break
				}
				fmt.Fprint(c, strings.TrimSuffix(a, "HANG UP"))
				if strings.HasSuffix(a, "HANG UP") {
					break
				}
			}
			c.Close()
		}
	}()
	tr, lines := dialled()
	const fine = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
	for i, c := range []struct {
		answers []string
		ok      bool
		lines   int64
	}{
		{[]string{fine + "HANG UP"}, true, 1},
		{[]string{fine}, true, 2}, // the line that rested is gone
		{[]string{fine}, true, 2},
		{[]string{"HANG UP", "HANG UP"}, false, 3}, // the new one hangs up, too
		{[]string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nxHANG UP"}, false, 4},
		{[]string{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nxHANG UP"}, true, 5},
		{[]string{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHeader)}, false, 6},
		{[]string{"nonsense\r\n\r\n"}, false, 7},
		{[]string{fine + fine}, true, 8}, // more than was asked for: not used again
		{[]string{fine}, true, 9},
	} {
		for _, a := range c.answers {
			answers <- a
		}
		resp, err := askOver(t, tr, t.Context(), "http://"+l.Addr().String(), "x")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if (err == nil) != c.ok || lines.Load() != c.lines {
			t.Errorf("%d: %v, %d lines", i, err, lines.Load())
		}
	}
	close(answers)
}

// The end of a request's context ends it, wherever it is.
func TestRequestsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or nobody sees that the line ends
		if r.URL.Path == "/body" {
			w.(http.Flusher).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
	}))
	defer s.Close()
	for _, path := range []string{"/headers", "/body"} {
		tr, _ := dialled()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-begun
			cancel()
		}()
		resp, err := askOver(t, tr, ctx, s.URL+path, "x")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil || ctx.Err() == nil || tr.resting() > 0 {
			t.Errorf("%s: %v, %d rest", path, err, tr.resting())
		}
	}
	tr := NewTransport(func(context.Context, string, string) (net.Conn, error) { return nil, errForbidden })
	if _, err := askOver(t, tr, t.Context(), "http://x", "x"); !errors.Is(err, errForbidden) {
		t.Errorf("%v", err)
	}
}

// Servers with TLS are asked by an http.Transport.
func TestServersWithTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }))
	defer s.Close()
	tr, _ := dialled()
	tr.other.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
	defer tr.CloseIdleConnections()
	resp, err := askOver(t, tr, t.Context(), s.URL, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, err := io.ReadAll(resp.Body); string(raw) != "x" || err != nil {
		t.Errorf("%s %v", raw, err)
	}
}

func BenchmarkTransport(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer s.Close()
	ours, _ := dialled()
	for name, tr := range map[string]http.RoundTripper{"ours": ours, "http.Transport": &http.Transport{DisableCompression: true}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader("x"))
				resp, err := tr.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				cancel()
			}
		})
	}
}
