package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &Client{Base: s.URL, Token: "secret", HTTP: s.Client()}
}

func TestDo(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		switch r.URL.Path {
		case "/problem":
			httpapi.WriteError(w, r, fault.New(fault.NotFound, "nothing", "There is nothing."))
		case "/proxy":
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<html>Bad Gateway</html>")
		default:
			fmt.Fprintf(w, `{"type":%q}`, r.Header.Get("Content-Type"))
		}
	})
	ctx := t.Context()
	var got struct{ Type string }
	if err := c.Do(ctx, "POST", "/", map[string]int{"a": 1}, &got); err != nil || got.Type != "application/json" {
		t.Errorf("%v %+v", err, got)
	}
	if err := c.Do(ctx, "GET", "/", nil, &got); err != nil || got.Type != "" {
		t.Errorf("without a body: %v %+v", err, got)
	}
	err := c.Do(ctx, "GET", "/problem", nil, nil)
	if p, ok := errors.AsType[*httpapi.Problem](err); !ok || p.Code != "nothing" || !NotFound(err) {
		t.Errorf("a problem comes as %v", err)
	}
	err = c.Do(ctx, "GET", "/proxy", nil, nil) // somebody in between who speaks no problem documents
	if p, ok := errors.AsType[*httpapi.Problem](err); !ok || p.Status != 502 || NotFound(err) {
		t.Errorf("a gateway's page comes as %v", err)
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if err := (&Client{Base: gone.URL}).Do(ctx, "GET", "/", nil, nil); !fault.Is(err, "no_answer") {
		t.Errorf("nobody there: %v", err)
	}
	if err := c.Do(ctx, "POST", "/", func() {}, nil); err == nil {
		t.Error("a function was sent as JSON")
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, ": ping\n\nid: 1\nevent: message\ndata: {\"a\":1}\n\n: ping\n\nid: 2\nevent: delta\ndata: x\ndata: y\n\nevent: gone\ndata: z\n\nid: 3\n\ndata: never ended")
	})
	var got []Frame
	take := func(n int) error {
		got = nil
		return c.Follow(t.Context(), "/", func(f Frame) bool { got = append(got, f); return len(got) == n })
	}
	all := []Frame{{"1", "message", []byte(`{"a":1}`)}, {"2", "delta", []byte("xy")}, {"", "gone", []byte("z")}}
	if err := take(0); err != nil || !cmp.Equal(got, all) {
		t.Errorf("%v\n%s", err, cmp.Diff(all, got))
	}
	if err := take(1); err != nil || !cmp.Equal(got, all[:1]) {
		t.Errorf("stopped after the first: %v %v", err, got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Follow(ctx, "/", func(Frame) bool { cancel(); return false })
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	left := 4
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		left--
		fmt.Fprintf(w, `{"behind":%d}`, left)
	})
	var seen []int64
	if err := c.Settle(t.Context(), func(n int64) { seen = append(seen, n) }); err != nil || !cmp.Equal(seen, []int64{3, 2, 1}) {
		t.Errorf("%v %v", err, seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	left = 100
	if err := c.Settle(ctx, func(int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
