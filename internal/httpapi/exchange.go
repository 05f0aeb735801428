package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"rapport/internal/fault"
)

// exchange is one request with the answer in progress. It holds the status back
// until the first byte, so that a panic or an unknown path can still become a
// problem document.
type exchange struct {
	http.ResponseWriter
	r       *http.Request
	refused error // by the authenticator
	show    Shower
	dialect Dialect
	status  int // 0 until decided
	sent    bool
	mute    bool // what follows is the mux's own text
	began   time.Time
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// Address is the address that the request of ctx came from, as the connection says
// it: behind a proxy the proxy's. The zero one outside a request.
func Address(ctx context.Context) netip.Addr {
	x := exchangeOf(ctx)
	if x == nil {
		return netip.Addr{}
	}
	from, err := netip.ParseAddrPort(x.r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}

// SetCookie adds a cookie to the answer of the request that ctx belongs to,
// Secure when it came over TLS. Outside a request it does nothing.
func SetCookie(ctx context.Context, c *http.Cookie) {
	if x := exchangeOf(ctx); x != nil {
		c.Secure = x.r.TLS != nil
		http.SetCookie(x.ResponseWriter, c)
	}
}

// Peer is the network address, without port, that the request of ctx came from;
// empty outside a request.
func Peer(ctx context.Context) string {
	x := exchangeOf(ctx)
	if x == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(x.r.RemoteAddr)
	if err != nil {
		return x.r.RemoteAddr
	}
	return host
}

func (x *exchange) WriteHeader(status int) {
	if status < 200 {
		x.ResponseWriter.WriteHeader(status)
		return
	}
	if x.status != 0 {
		return
	}
	x.status = status
	if x.r.Pattern == "" && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		x.sent, x.mute = true, true
		WriteError(x.ResponseWriter, x.r, unrouted(status))
	}
}

func unrouted(status int) error {
	p := &Problem{Type: "urn:rapport:problem:no_such_route", Title: http.StatusText(status), Status: status, Code: "no_such_route",
		Detail: "There is nothing at this path; the API description lists what there is."}
	if status == http.StatusMethodNotAllowed {
		p.Type, p.Code, p.Detail = "urn:rapport:problem:method_not_allowed", "method_not_allowed", "This path does not take this method; the Allow header names those it takes."
	}
	return p
}

func (x *exchange) Write(b []byte) (int, error) {
	if x.mute {
		return len(b), nil
	}
	x.send()
	return x.ResponseWriter.Write(b)
}

// FlushError is found by http.ResponseController.
func (x *exchange) FlushError() error {
	x.send()
	return http.NewResponseController(x.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) send() {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	if !x.sent {
		x.sent = true
		x.ResponseWriter.WriteHeader(x.status)
	}
}

// finish sends what was held back. A panic becomes a 500; when the answer had
// begun the connection is cut, so that nobody takes half of it for the whole.
func (x *exchange) finish() {
	v := recover()
	if v == nil {
		x.send()
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	slog.Error("panic in a request", "method", x.r.Method, "route", x.r.Pattern, "panic", v, "stack", string(debug.Stack()))
	if x.sent {
		panic(http.ErrAbortHandler)
	}
	x.status = 0
	WriteError(x, x.r, fault.New(fault.Internal, "internal", "Something broke on our side; it was logged."))
}
