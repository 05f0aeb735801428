package provider

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// NewTransport makes a transport that connects by dial. It follows nobody who leads
// elsewhere, waits for no time limit but its request's, and takes at most 64 KB of
// headers.
//
// Servers without TLS, most often on this machine or next to it, are asked over
// lines whose request and answer are written and read by who asks: an
// http.Transport has two goroutines for each of its connections, and what they hand
// to each other costs more than the reading. All others go by an http.Transport.
func NewTransport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Transport {
	return &Transport{dial: dial, idle: map[string][]*line{}, other: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: maxRest, ForceAttemptHTTP2: true,
		MaxResponseHeaderBytes: maxHeader, DisableCompression: true,
		ReadBufferSize: lineBuffer, WriteBufferSize: lineBuffer, // a prompt is one write
	}}
}

const (
	maxIdle    = 64 // lines that rest, to one server
	maxRest    = 90 * time.Second
	maxHeader  = 64 << 10
	lineBuffer = 16 << 10
	maxTail    = 4 << 10     // of an answer that nobody reads to its end
	tailWait   = time.Second // for it
)

// Transport is an http.RoundTripper. A request's body must be one that can be had
// again (GetBody); an answer's is for one goroutine.
type Transport struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	other *http.Transport
	mu    sync.Mutex
	idle  map[string][]*line // by address, the last used last
}

// RoundTrip asks. A line that the server left while it rested is not an error: the
// request goes over a new one.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" {
		return t.other.RoundTrip(r)
	}
	if proxy, err := t.other.Proxy(r); proxy != nil || err != nil {
		return t.other.RoundTrip(r)
	}
	address := r.URL.Host
	if r.URL.Port() == "" {
		address = net.JoinHostPort(r.URL.Hostname(), "80")
	}
	if l := t.rested(address); l != nil {
		resp, err := l.ask(r)
		if err == nil || l.heard || r.Context().Err() != nil {
			return resp, err
		}
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	conn, err := t.dial(r.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &line{t: t, address: address, conn: conn, out: bufio.NewWriterSize(conn, lineBuffer)}
	l.in = bufio.NewReaderSize(l, lineBuffer)
	return l.ask(r)
}

// rested takes a line that rests, nil for none.
func (t *Transport) rested(address string) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := t.idle[address]
	if len(rest) == 0 {
		return nil
	}
	l := rest[len(rest)-1]
	rest[len(rest)-1] = nil
	t.idle[address] = rest[:len(rest)-1]
	l.end.Stop()
	return l
}

// CloseIdleConnections closes the lines that rest.
func (t *Transport) CloseIdleConnections() {
	t.other.CloseIdleConnections()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, rest := range t.idle {
		for _, l := range rest {
			l.end.Stop()
			_ = l.conn.Close()
		}
	}
	clear(t.idle)
}

// line is one connection. One at a time uses it.
type line struct {
	t       *Transport
	address string
	conn    net.Conn
	in      *bufio.Reader // reads the line itself, which counts
	out     *bufio.Writer
	left    int64       // bytes that may still be read
	heard   bool        // a byte of this answer came
	end     *time.Timer // of its rest
}

var errHeader = errors.New("headers too long")

func (l *line) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errHeader
	}
	n, err := l.conn.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	l.heard = l.heard || n > 0
	return n, err
}

// ask sends a request and reads the beginning of its answer. With an error the line
// is closed.
func (l *line) ask(r *http.Request) (*http.Response, error) {
	stop := context.AfterFunc(r.Context(), func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	l.left, l.heard = maxHeader, false
	err := r.Write(l.out)
	if err == nil {
		err = l.out.Flush()
	}
	resp, unread := l.answer(r) // one who refuses may not have read all of it
	if unread != nil {
		stop()
		_ = l.conn.Close()
		if err == nil {
			err = unread
		}
		return nil, err
	}
	l.left = math.MaxInt64
	resp.Body = &tail{ReadCloser: resp.Body, l: l, stop: stop, again: err == nil && !resp.Close && resp.StatusCode >= 200}
	return resp, nil
}

func (l *line) answer(r *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(l.in, r)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// over lets the line rest when it can be used again.
func (l *line) over(again bool) {
	t := l.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if !again || l.in.Buffered() > 0 || len(t.idle[l.address]) >= maxIdle {
		_ = l.conn.Close()
		return
	}
	t.idle[l.address] = append(t.idle[l.address], l)
	if l.end == nil {
		l.end = time.AfterFunc(maxRest, l.leave)
		return
	}
	l.end.Reset(maxRest)
}

// leave ends a rest that was long.
func (l *line) leave() {
	t := l.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.idle[l.address], l); i >= 0 {
		t.idle[l.address] = slices.Delete(t.idle[l.address], i, i+1)
		_ = l.conn.Close()
	}
}

// tail is the body of an answer. At its end the line is free.
type tail struct {
	io.ReadCloser
	l     *line
	stop  func() bool // what ends the request with its context
	again bool        // the line can be used again
	done  bool
}

func (b *tail) Read(p []byte) (int, error) {
	if b.done {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.done = true
		b.l.over(b.stop() && err == io.EOF && b.again)
	}
	return n, err
}

// Close frees the line. Who has read what there was to know often stops just before
// the end, which comes in a moment.
func (b *tail) Close() error {
	if b.done {
		return nil
	}
	b.done = true
	if !b.stop() || !b.again {
		b.l.over(false)
		return nil
	}
	go func() {
		_ = b.l.conn.SetReadDeadline(time.Now().Add(tailWait))
		_, err := io.CopyN(io.Discard, b.ReadCloser, maxTail)
		b.l.over(err == io.EOF && b.l.conn.SetReadDeadline(time.Time{}) == nil)
	}()
	return nil
}
