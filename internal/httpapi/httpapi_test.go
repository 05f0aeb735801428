package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/internal/authz"
	"rapport/internal/fault"
)

// tokens is an Authenticator over a fixed list.
type tokens map[string]authz.Principal

func (t tokens) Authenticate(r *http.Request) (authz.Principal, error) {
	h := r.Header.Get("Authorization")
	if h == "" {
		return authz.Principal{}, nil
	}
	if h == "Bearer panic" {
		panic("authenticator broke")
	}
	p, ok := t[strings.TrimPrefix(h, "Bearer ")]
	if !ok {
		return p, fault.New(fault.Unauthenticated, "token_invalid", "This token is not known.")
	}
	return p, nil
}

type Room struct {
	ID    string  `json:"id"`
	Title string  `json:"title"`
	Heat  float64 `json:"heat,omitempty"`
	made  bool
}

func (r Room) HTTPStatus() int {
	if r.made {
		return http.StatusCreated
	}
	return http.StatusOK
}

type makeRoom struct {
	IdempotencyHeader
	Body struct {
		Title string `json:"title" minLength:"1" maxLength:"40"`
		Size  int    `json:"size,omitempty" minimum:"1"`
	}
}

type getRoom struct {
	Room string `path:"room" maxLength:"64"`
	Full bool   `query:"full"`
}

var faults = map[string]error{
	"internal": errors.New("secret: the password is hunter2"), "invalid": fault.New(fault.Invalid, "bad_title", "Take another title."),
	"unauthenticated": fault.New(fault.Unauthenticated, "login_required", "Log in."), "forbidden": fault.New(fault.Forbidden, "not_allowed", "No."),
	"missing": fault.New(fault.NotFound, "no_room", "No such room."), "conflict": fault.New(fault.Conflict, "stale", "Read it again."),
	"large": fault.New(fault.TooLarge, "too_large", "Send less."), "unavailable": &fault.Error{Kind: fault.Unavailable, Code: "busy", Message: "Later.", RetryAfter: 1500 * time.Millisecond},
	"limited": &fault.Error{Kind: fault.RateLimited, Code: "slow_down", Message: "Later.", RetryAfter: 7 * time.Second},
}

func newAPI(t *testing.T) (*API, *httptest.Server) {
	t.Helper()
	a := New("1.2.3", tokens{
		"chat":  {Person: "p1", Token: "t1", Scopes: []authz.Scope{authz.ScopeChat}},
		"admin": {Person: "p2", Token: "t2", Scopes: []authz.Scope{authz.ScopeAdmin}},
	})
	Post(a, "/v1/rooms", Op{Summary: "Make a room", Tag: "chat", Scope: authz.ScopeChat, Status: 201}, func(ctx context.Context, in *makeRoom) (Room, error) {
		return Room{ID: string(authz.From(ctx).Person), Title: in.Body.Title, made: in.Body.Size != 2}, nil
	})
	Get(a, "/v1/rooms/{room}", Op{Summary: "Show a room", Tag: "chat", Errors: []int{429, 503}}, func(_ context.Context, in *getRoom) (Room, error) {
		switch {
		case in.Room == "panic":
			panic("hunter2")
		case in.Room == "nan":
			return Room{Heat: math.NaN()}, nil
		case faults[in.Room] != nil:
			return Room{}, faults[in.Room]
		}
		return Room{ID: in.Room}, nil
	})
	Delete(a, "/v1/rooms/{room}", Op{Summary: "Drop a room", Tag: "chat", Status: 204}, func(context.Context, *getRoom) (struct{}, error) { return struct{}{}, nil })
	Put(a, "/v1/open", Op{Summary: "Say hello", Tag: "chat", Public: true}, func(ctx context.Context, in *struct {
		Body struct{ Name string }
	}) (Room, error) {
		SetCookie(ctx, &http.Cookie{Name: "rapport_session", Value: "x", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		return Room{Title: in.Body.Name, ID: string(authz.From(ctx).Person) + "@" + Peer(ctx)}, nil
	})
	a.Handle("POST /v1/raw/{name}", Op{Summary: "Take anything", Tag: "chat", Scope: authz.ScopeChat, MaxBody: 1000}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		if string(b) == "panic" {
			panic("hunter2")
		}
		if string(b) == "half" {
			w.Write([]byte("half of"))
			panic("hunter2")
		}
		WriteJSON(w, 200, len(b))
	}), nil)
	a.Handle("GET /v1/stream", Op{Summary: "Hear", Tag: "chat", Public: true}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := OpenStream(w)
		_ = s.Send("7", "message", Room{ID: "a\nb"})
		_ = s.Ping()
		_ = s.Send("8\nevent: forged", "", 1)
		<-r.Context().Done()
	}), nil)
	srv := httptest.NewServer(a.Handler())
	t.Cleanup(srv.Close)
	return a, srv
}

type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, srv := newAPI(t)
	chat := []string{"Authorization", "Bearer chat", "Content-Type", "application/json"}
	big := `{"title":"` + strings.Repeat("x", 10<<20) + `"}`
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		code               string
	}{
		"broken JSON":             {"POST", "/v1/rooms", `{"title":`, chat, 422, "invalid_request"},
		"no body":                 {"POST", "/v1/rooms", ``, chat, 422, "invalid_request"},
		"null":                    {"POST", "/v1/rooms", `null`, chat, 422, "invalid_request"},
		"two values":              {"POST", "/v1/rooms", `{"title":"a"}{}`, chat, 422, "invalid_request"},
		"unknown field":           {"POST", "/v1/rooms", `{"title":"a","score":5}`, chat, 422, "invalid_request"},
		"wrong type":              {"POST", "/v1/rooms", `{"title":5}`, chat, 422, "invalid_request"},
		"missing field":           {"POST", "/v1/rooms", `{}`, chat, 422, "invalid_request"},
		"too long":                {"POST", "/v1/rooms", `{"title":"` + strings.Repeat("x", 41) + `"}`, chat, 422, "invalid_request"},
		"out of range":            {"POST", "/v1/rooms", `{"title":"a","size":0}`, chat, 422, "invalid_request"},
		"huge number":             {"POST", "/v1/rooms", `{"title":"a","size":1e999}`, chat, 422, "invalid_request"},
		"deep nesting":            {"POST", "/v1/rooms", strings.Repeat("[", 100_000), chat, 422, "invalid_request"},
		"ten megabytes":           {"POST", "/v1/rooms", big, chat, 413, "body_too_large"},
		"plain text":              {"POST", "/v1/rooms", `{"title":"a"}`, []string{"Authorization", "Bearer chat", "Content-Type", "text/plain"}, 415, "media_type"},
		"odd content type":        {"POST", "/v1/rooms", `{"title":"a"}`, []string{"Authorization", "Bearer chat", "Content-Type", "a;+b"}, 415, "media_type"},
		"long key":                {"POST", "/v1/rooms", `{"title":"a"}`, append(chat, "Idempotency-Key", strings.Repeat("k", 256)), 422, "invalid_request"},
		"nobody":                  {"POST", "/v1/rooms", `{"title":"a"}`, nil, 401, "login_required"},
		"nobody, broken body":     {"POST", "/v1/rooms", `{`, nil, 401, "login_required"},
		"nobody, ten megabytes":   {"POST", "/v1/rooms", big[:100_000], nil, 401, "login_required"},
		"unknown token":           {"POST", "/v1/rooms", `{"title":"a"}`, []string{"Authorization", "Bearer x"}, 401, "token_invalid"},
		"another scope":           {"POST", "/v1/rooms", `{"title":"a"}`, []string{"Authorization", "Bearer admin"}, 403, "scope_missing"},
		"unknown query":           {"GET", "/v1/rooms/a?ful=true", "", chat, 422, "invalid_request"},
		"bad query":               {"GET", "/v1/rooms/a?full=perhaps", "", chat, 422, "invalid_request"},
		"long path":               {"GET", "/v1/rooms/" + strings.Repeat("a", 65), "", chat, 422, "invalid_request"},
		"unknown path":            {"GET", "/v1/nothing", "", chat, 404, "no_such_route"},
		"unknown path, bad token": {"GET", "/v1/nothing", "", []string{"Authorization", "Bearer x"}, 404, "no_such_route"},
		"unknown method":          {"PATCH", "/v1/rooms", "{}", chat, 405, "method_not_allowed"},
		"panic":                   {"GET", "/v1/rooms/panic", "", chat, 500, "internal"},
		"unwritable answer":       {"GET", "/v1/rooms/nan", "", chat, 500, "internal"},
		"panic in authenticator":  {"GET", "/v1/rooms/a", "", []string{"Authorization", "Bearer panic"}, 500, "internal"},
		"another site":            {"PUT", "/v1/open", `{"Name":"a"}`, []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross_origin"},
		"another origin":          {"PUT", "/v1/open", `{"Name":"a"}`, []string{"Origin", "https://elsewhere.example"}, 403, "cross_origin"},
		"raw: nobody":             {"POST", "/v1/raw/a", "", nil, 401, "login_required"},
		"raw: another scope":      {"POST", "/v1/raw/a", "", []string{"Authorization", "Bearer admin"}, 403, "scope_missing"},
		"raw: unknown token":      {"POST", "/v1/raw/a", "", []string{"Authorization", "Bearer x"}, 401, "token_invalid"},
		"raw: too large":          {"POST", "/v1/raw/a", big[:2000], chat, 413, "body_too_large"},
		"raw: panic":              {"POST", "/v1/raw/a", "panic", chat, 500, "internal"},
		"fault: unknown error":    {"GET", "/v1/rooms/internal", "", chat, 500, "internal"},
		"fault: invalid":          {"GET", "/v1/rooms/invalid", "", chat, 422, "bad_title"},
		"fault: unauthenticated":  {"GET", "/v1/rooms/unauthenticated", "", chat, 401, "login_required"},
		"fault: forbidden":        {"GET", "/v1/rooms/forbidden", "", chat, 403, "not_allowed"},
		"fault: missing":          {"GET", "/v1/rooms/missing", "", chat, 404, "no_room"},
		"fault: conflict":         {"GET", "/v1/rooms/conflict", "", chat, 409, "stale"},
		"fault: large":            {"GET", "/v1/rooms/large", "", chat, 413, "too_large"},
		"fault: limited":          {"GET", "/v1/rooms/limited", "", chat, 429, "slow_down"},
		"fault: unavailable":      {"GET", "/v1/rooms/unavailable", "", chat, 503, "busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, c.method, srv.URL+c.path, c.body, c.header...)
			var p Problem
			if err := json.Unmarshal([]byte(got.body), &p); err != nil {
				t.Fatalf("%d %q: %v", got.status, got.body, err)
			}
			if got.status != c.status || p.Status != c.status || p.Code != c.code || p.Type != "urn:rapport:problem:"+c.code || p.Title == "" || p.Detail == "" {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, c.status, c.code)
			}
			if ct := got.header["Content-Type"]; !slices.Equal(ct, []string{"application/problem+json"}) {
				t.Errorf("content type %q", ct)
			}
			if strings.Contains(got.body, "hunter2") || strings.Contains(got.body, "xxxx") || strings.Contains(got.body, "goroutine") {
				t.Errorf("the answer tells too much: %.200s", got.body)
			}
			retry := map[string]string{"slow_down": "7", "busy": "2"}[c.code]
			if r := strings.Join(got.header["Retry-After"], ","); r != retry {
				t.Errorf("Retry-After %q, want %q", r, retry)
			}
			if auth := got.header.Get("WWW-Authenticate"); (auth != "") != (got.status == 401) {
				t.Errorf("WWW-Authenticate %q", auth)
			}
			if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", got.header)
			}
		})
	}
}

func TestFieldsAreNamed(t *testing.T) {
	t.Parallel()
	_, srv := newAPI(t)
	got := ask(t, "POST", srv.URL+"/v1/rooms", `{"score":5,"size":0}`, "Authorization", "Bearer chat")
	var p Problem
	_ = json.Unmarshal([]byte(got.body), &p)
	for _, want := range []string{"body.score: ", "body.size: ", "body: "} {
		if !slices.ContainsFunc(p.Errors, func(e string) bool { return strings.HasPrefix(e, want) }) {
			t.Errorf("no error begins with %q: %q", want, p.Errors)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	_, srv := newAPI(t)
	chat := []string{"Authorization", "Bearer chat", "Content-Type", "application/json"}
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		want               string
	}{
		"made":                       {"POST", "/v1/rooms", `{"title":"a & b"}`, chat, 201, `{"id":"p1","title":"a & b"}` + "\n"},
		"status of the output":       {"POST", "/v1/rooms", `{"title":"a","size":2}`, chat, 200, `{"id":"p1","title":"a"}` + "\n"},
		"charset":                    {"POST", "/v1/rooms", `{"title":"a"}`, []string{"Authorization", "Bearer chat", "Content-Type", "application/json; charset=utf-8"}, 201, `{"id":"p1","title":"a"}` + "\n"},
		"without content type":       {"POST", "/v1/rooms", `{"title":"a"}`, chat[:2], 201, `{"id":"p1","title":"a"}` + "\n"},
		"any Accept":                 {"GET", "/v1/rooms/r", "", append(chat, "Accept", "text/html"), 200, `{"id":"r","title":""}` + "\n"},
		"no content":                 {"DELETE", "/v1/rooms/r", "", chat, 204, ""},
		"public":                     {"PUT", "/v1/open", `{"Name":"a"}`, nil, 200, `{"id":"@127.0.0.1","title":"a"}` + "\n"},
		"public with a token":        {"PUT", "/v1/open", `{"Name":"a"}`, chat, 200, `{"id":"p1@127.0.0.1","title":"a"}` + "\n"},
		"public with a stale one":    {"PUT", "/v1/open", `{"Name":"a"}`, []string{"Authorization", "Bearer stale"}, 200, `{"id":"@127.0.0.1","title":"a"}` + "\n"},
		"same site":                  {"PUT", "/v1/open", `{"Name":"a"}`, []string{"Sec-Fetch-Site", "same-origin"}, 200, `{"id":"@127.0.0.1","title":"a"}` + "\n"},
		"reading from another site":  {"GET", "/v1/rooms/r", "", append(chat, "Sec-Fetch-Site", "cross-site"), 200, `{"id":"r","title":""}` + "\n"},
		"raw":                        {"POST", "/v1/raw/x", "12345", chat, 200, "5\n"},
		"raw, as large as it may be": {"POST", "/v1/raw/x", strings.Repeat("x", 1000), chat, 200, "1000\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, c.method, srv.URL+c.path, c.body, c.header...)
			if got.status != c.status || got.body != c.want {
				t.Errorf("%d %q, want %d %q", got.status, got.body, c.status, c.want)
			}
		})
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	a, plain := newAPI(t)
	got := ask(t, "PUT", plain.URL+"/v1/open", `{"Name":"a"}`).header.Get("Set-Cookie")
	if want := "rapport_session=x; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("cookie %q, want %q", got, want)
	}
	tls := httptest.NewTLSServer(a.Handler())
	defer tls.Close()
	req, _ := http.NewRequest("PUT", tls.URL+"/v1/open", strings.NewReader(`{"Name":"a"}`))
	res, err := tls.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := res.Header.Get("Set-Cookie"); !strings.Contains(got, "; Secure") {
		t.Errorf("cookie over TLS %q is not Secure", got)
	}
	SetCookie(context.Background(), &http.Cookie{Name: "x"}) // outside a request: nothing
	if Peer(context.Background()) != "" {
		t.Error("a peer outside a request")
	}
}

// Half an answer must not look whole.
func TestPanicAfterTheFirstByteCutsTheConnection(t *testing.T) {
	t.Parallel()
	_, srv := newAPI(t)
	req, _ := http.NewRequest("POST", srv.URL+"/v1/raw/a", strings.NewReader("half"))
	req.Header.Set("Authorization", "Bearer chat")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the client read %q to the end", b)
	}
}

// A verb may take longer than a body may take to arrive.
func TestBodyDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	var deadlines []time.Time
	w := &deadlineWriter{ResponseWriter: httptest.NewRecorder(), set: &deadlines}
	a := New("1", tokens{})
	Post(a, "/x", Op{Public: true}, func(context.Context, *struct {
		Body struct{ A int }
	}) (Room, error) {
		return Room{}, nil
	})
	a.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/x", strings.NewReader(`{"A":1}`)))
	if len(deadlines) < 2 || deadlines[0].IsZero() || !deadlines[len(deadlines)-1].IsZero() {
		t.Errorf("read deadlines %v, want one while reading and none afterwards", deadlines)
	}
}

type deadlineWriter struct {
	http.ResponseWriter
	set *[]time.Time
}

func (w *deadlineWriter) SetReadDeadline(t time.Time) error { *w.set = append(*w.set, t); return nil }

func TestStream(t *testing.T) {
	t.Parallel()
	_, srv := newAPI(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/v1/stream", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if ct := res.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("content type %q", ct)
	}
	want := []string{"id: 7", "event: message", `data: {"id":"a\nb","title":""}`, "", ": ping", "", "id: 8event: forged", "data: 1", ""}
	in := bufio.NewScanner(res.Body)
	for i, w := range want { // arrives while the handler still runs
		if !in.Scan() || in.Text() != w {
			t.Fatalf("line %d is %q, want %q", i, in.Text(), w)
		}
	}
}

func TestStreamGivesUpOnADeadPeer(t *testing.T) {
	t.Parallel()
	w := &deadPeer{ResponseRecorder: httptest.NewRecorder()}
	s := OpenStream(w)
	if err := s.Send("1", "", "x"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Send: %v", err)
	}
	if err := s.Ping(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Ping: %v", err)
	}
	if w.deadlines != 2 {
		t.Errorf("%d write deadlines for two writes", w.deadlines)
	}
	if err := s.Send("1", "", math.NaN()); err == nil {
		t.Error("a NaN was sent")
	}
}

type deadPeer struct {
	*httptest.ResponseRecorder
	deadlines int
}

func (*deadPeer) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (w *deadPeer) SetWriteDeadline(time.Time) error {
	w.deadlines++
	return nil
}

func TestMetricsHaveBoundedLabels(t *testing.T) {
	t.Parallel()
	a, srv := newAPI(t)
	for _, path := range []string{"/v1/rooms/1", "/v1/rooms/2", "/v1/rooms/panic", "/nothing/1", "/nothing/2"} {
		ask(t, "GET", srv.URL+path, "", "Authorization", "Bearer chat")
	}
	ask(t, "INVENTED", srv.URL+"/v1/rooms/1", "", "Authorization", "Bearer chat")
	got, err := a.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range got {
		if f.GetName() != "rapport_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			counts[strings.Join(labels, " ")] = m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{"GET /v1/rooms/{room} 2xx": 2, "GET /v1/rooms/{room} 5xx": 1, "GET none 4xx": 2, "other none 4xx": 1}
	if !maps.Equal(counts, want) {
		t.Errorf("counts %v, want %v", counts, want)
	}
	w := httptest.NewRecorder()
	a.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(w.Body.String(), `rapport_http_request_seconds_count{method="GET",route="/v1/rooms/{room}"} 3`) {
		t.Errorf("metrics page:\n%s", w.Body)
	}
}

// What a typed route costs apart from its verb and the network.
func BenchmarkTypedRoute(b *testing.B) {
	a := New("1", tokens{"chat": {Person: "p1", Scopes: []authz.Scope{authz.ScopeChat}}})
	Post(a, "/v1/rooms", Op{Tag: "chat", Scope: authz.ScopeChat, Status: 201}, func(_ context.Context, in *makeRoom) (Room, error) {
		return Room{ID: "r", Title: in.Body.Title}, nil
	})
	h := a.Handler()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest("POST", "/v1/rooms", strings.NewReader(`{"title":"a room","size":3}`))
			r.Header.Set("Authorization", "Bearer chat")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 200 {
				b.Fatal(w.Code, w.Body)
			}
		}
	})
}

// A route that says so takes requests of other sites' pages with a token; what it refuses
// can be read there, too. Other methods of its path stay closed.
func TestAnySite(t *testing.T) {
	t.Parallel()
	a := New("1", tokens{"t": {Person: "ann"}})
	Post(a, "/v1/notes", Op{Summary: "Write", Tag: "notes", AnySite: true}, func(context.Context, *struct{}) (Room, error) { return Room{ID: "n"}, nil })
	Delete(a, "/v1/notes", Op{Summary: "Burn", Tag: "notes"}, func(context.Context, *struct{}) (Room, error) { return Room{}, nil })
	srv := httptest.NewServer(a.Handler())
	t.Cleanup(srv.Close)
	for _, c := range []struct {
		method, token string
		status        int
		open          string
	}{
		{"OPTIONS", "", 204, "*"}, {"POST", "Bearer t", 200, "*"}, {"POST", "Bearer wrong", 401, "*"}, {"POST", "", 403, "*"}, {"POST", "Basic t", 403, "*"}, {"DELETE", "Bearer t", 403, ""},
	} {
		r, err := http.NewRequest(c.method, srv.URL+"/v1/notes", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://front.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if c.token != "" {
			r.Header.Set("Authorization", c.token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if h := resp.Header; resp.StatusCode != c.status || h.Get("Access-Control-Allow-Origin") != c.open || h.Get("Access-Control-Allow-Credentials") != "" || c.method == "OPTIONS" && h.Get("Access-Control-Allow-Methods") != "POST" {
			t.Errorf("%s %s: %d %v", c.method, c.token, resp.StatusCode, h)
		}
	}
}
