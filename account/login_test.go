package account

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ask(w.admin, "POST", "/v1/people", m{"handle": "ada", "name": "Ada", "password": "correct horse"})
	w.ask(w.admin, "POST", "/v1/people", m{"handle": "linkonly", "name": "L"})
	refusals := map[string]struct {
		body   m
		status int
		code   string
	}{
		"wrong password":    {m{"handle": "ada", "password": "correct cow!"}, 401, "login_failed"},
		"unknown handle":    {m{"handle": "eve", "password": "correct horse"}, 401, "login_failed"},
		"no password set":   {m{"handle": "linkonly", "password": "correct horse"}, 401, "login_failed"},
		"dummy's password":  {m{"handle": "linkonly", "password": ""}, 422, "login_form"},
		"too long":          {m{"handle": "ada", "password": strings.Repeat("x", 300)}, 401, "login_failed"},
		"nothing":           {m{}, 422, "login_form"},
		"both":              {m{"handle": "ada", "password": "correct horse", "link": "rpl_x"}, 422, "login_form"},
		"invented link":     {m{"link": "rpl_x"}, 401, "link_invalid"},
		"a token as a link": {m{"link": w.admin}, 401, "link_invalid"},
	}
	peer := 1
	for name, c := range refusals {
		peer++
		got := w.from("192.0.2."+strconv.Itoa(peer), "", "POST", "/v1/login", c.body)
		if got.status != c.status || got.code() != c.code || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s, want %d %s", name, got.status, got.body, c.status, c.code)
		}
	}

	got := w.ask("rps_stale", "POST", "/v1/login", m{"handle": "ADA", "password": "correct horse"})
	var s Session
	got.into(t, &s)
	if got.status != 200 || s.ExpiresAt != day0.Add(sessionLasts).UnixMicro() {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if c, want := got.header.Get("Set-Cookie"), "rapport_session="+s.Token+"; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"; c != want {
		t.Errorf("cookie %q, want %q", c, want)
	}
	for _, as := range []string{s.Token, "cookie:" + s.Token} {
		if got := w.ask(as, "GET", "/v1/me", nil); got.status != 200 {
			t.Errorf("%.10s…: %d %s", as, got.status, got.body)
		}
	}
	out := w.ask("cookie:"+s.Token, "POST", "/v1/logout", nil)
	if out.status != 204 || !strings.Contains(out.header.Get("Set-Cookie"), "rapport_session=; Path=/; Max-Age=0") {
		t.Errorf("logout: %d %v", out.status, out.header)
	}
	if got := w.ask(s.Token, "GET", "/v1/me", nil); got.code() != "token_invalid" {
		t.Errorf("after logout: %d %s", got.status, got.body)
	}
	if got := w.ask(w.admin, "POST", "/v1/logout", nil); got.code() != "not_a_session" {
		t.Errorf("logout of a token: %d %s", got.status, got.body)
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, session := w.person("ada")
	for header, want := range map[string]string{
		"":                             "login_required",
		"Basic YTpi":                   "authorization_invalid",
		"Bearer":                       "token_invalid",
		"Bearer rpt_":                  "token_invalid",
		"Bearer rps_' or 1=1":          "token_invalid",
		"Bearer " + session + "x":      "token_invalid",
		"Bearer " + w.admin[:20]:       "token_invalid",
		"Bearer " + hashOf(session):    "token_invalid",
		"bearer  " + session:           "",
		"Bearer " + w.admin:            "",
		"Token " + w.admin:             "authorization_invalid",
		"Bearer " + session + " extra": "token_invalid",
	} {
		r := httptest.NewRequest("GET", "/v1/me", nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		rec := httptest.NewRecorder()
		w.serve.ServeHTTP(rec, r)
		if got := (answer{rec.Code, nil, rec.Body.String()}); got.code() != want {
			t.Errorf("%q: %d %s, want %q", header, got.status, got.body, want)
		}
	}
	// A token is no cookie: cookies travel where tokens must not.
	if got := w.ask("cookie:"+w.admin, "GET", "/v1/me", nil); got.code() != "login_required" {
		t.Errorf("a token as a cookie: %d %s", got.status, got.body)
	}
}

func TestSessionsSlideAndEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, session := w.person("ada")
	cookies := 0
	for range 50 { // used every other day, it lives on
		w.later(48 * time.Hour)
		got := w.ask("cookie:"+session, "GET", "/v1/me", nil)
		if got.status != 200 {
			t.Fatalf("at %v: %d %s", w.now(), got.status, got.body)
		}
		if strings.Contains(got.header.Get("Set-Cookie"), session) {
			cookies++
		}
	}
	if cookies != 50 {
		t.Errorf("the cookie was moved on %d times of 50", cookies)
	}
	w.later(sessionLasts)
	if got := w.ask("cookie:"+session, "GET", "/v1/me", nil); got.code() != "token_invalid" {
		t.Errorf("30 days unused: %d %s", got.status, got.body)
	}
}

func TestLinkWorksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.person("ada")
	link, err := w.s.MintLink(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var entered atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			_, err := w.s.LoginByLink(context.Background(), fmt.Sprintf("192.0.2.%d", i), link.Link)
			switch {
			case err == nil:
				entered.Add(1)
			case !fault.Is(err, "link_invalid"):
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if entered.Load() != 1 {
		t.Errorf("the link logged in %d times", entered.Load())
	}
}

func TestLinkExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, session := w.person("ada")
	for after, want := range map[time.Duration]string{14 * time.Minute: "", 15 * time.Minute: "link_invalid"} {
		link, err := w.s.MintLink(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		w.later(after)
		if got := w.ask("", "POST", "/v1/login", m{"link": link.Link}); got.code() != want {
			t.Errorf("after %v: %d %s, want %q", after, got.status, got.body, want)
		}
	}
	if got := w.ask(session, "POST", "/v1/admin/links", m{}); got.code() != "scope_missing" {
		t.Errorf("a person makes a link: %d %s", got.status, got.body)
	}
	if got := w.ask(w.admin, "POST", "/v1/admin/links", m{"person": "nobody"}); got.code() != "person_unknown" {
		t.Errorf("a link for nobody: %d %s", got.status, got.body)
	}
	var own Link
	w.ask(w.admin, "POST", "/v1/admin/links", m{}).into(t, &own)
	if own.Person != operator(w).Person || own.ExpiresAt != w.now().Add(linkLasts).UnixMicro() {
		t.Errorf("own link %+v", own)
	}
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "account.db")
	open := func() (*Service, *sqldb.DB) {
		db, err := sqldb.Open(t.Context(), sqldbtest.Options(t, path, "account"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(t.Context(), db, Options{Clock: func() time.Time { return day0 }})
		if err != nil {
			t.Fatal(err)
		}
		return s, db
	}
	s, db := open()
	if _, err := s.LocalToken(t.Context()); !fault.Is(err, "no_operator") {
		t.Errorf("a local token before the operator: %v", err)
	}
	first, err := s.Bootstrap(t.Context())
	if err != nil || !strings.HasPrefix(first, linkPrefix) {
		t.Fatalf("%q %v", first, err)
	}
	db.Close()
	s, db = open() // nobody logged in yet: another link for the same operator
	defer db.Close()
	second, err := s.Bootstrap(t.Context())
	if err != nil || second == "" || second == first {
		t.Fatalf("%q %v", second, err)
	}
	a, err := s.LoginByLink(t.Context(), "", first)
	b, err2 := s.LoginByLink(t.Context(), "", second)
	if err != nil || err2 != nil || a.Person != b.Person || a.Person == "" {
		t.Fatalf("%+v %v, %+v %v", a, err, b, err2)
	}
	if third, err := s.Bootstrap(t.Context()); third != "" || err != nil {
		t.Errorf("after the login: %q %v", third, err)
	}
	one, err := s.LocalToken(t.Context())
	if err != nil || !s.Valid(t.Context(), one) {
		t.Fatalf("%q %v", one, err)
	}
	two, err := s.LocalToken(t.Context())
	if err != nil || s.Valid(t.Context(), one) || !s.Valid(t.Context(), two) {
		t.Errorf("the token before it still works, or the new one does not: %v", err)
	}
	var events int
	_ = db.Read(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select count(*) from outbox`, nil, &events)
		return err
	})
	if events != 1 {
		t.Errorf("%d events for one person", events)
	}
}

func TestLoginLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ask(w.admin, "POST", "/v1/people", m{"handle": "ada", "name": "Ada", "password": "correct horse"})
	try := func(peer, password string) answer {
		return w.from(peer, "", "POST", "/v1/login", m{"handle": "ada", "password": password})
	}
	for i := range perPair.burst {
		if got := try("192.0.2.1", "a wrong one"); got.status != 401 {
			t.Fatalf("attempt %d: %d %s", i, got.status, got.body)
		}
	}
	got := try("192.0.2.1", "correct horse")
	if got.code() != "too_many_logins" || got.status != 429 || got.header.Get("Retry-After") != "60" {
		t.Errorf("the right one after too many: %d %s, Retry-After %q", got.status, got.body, got.header.Get("Retry-After"))
	}
	if got := try("192.0.2.2", "correct horse"); got.status != 200 {
		t.Errorf("from elsewhere: %d %s", got.status, got.body)
	}
	w.later(time.Minute)
	if got := try("192.0.2.1", "correct horse"); got.status != 200 {
		t.Errorf("a minute later: %d %s", got.status, got.body)
	}
	for range perPair.burst + 2 { // success is not counted
		if got := try("192.0.2.3", "correct horse"); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	r := rate{3, 10 * time.Second}
	l := &limiter{full: map[string]time.Time{}}
	now := day0
	take := func(keys ...string) time.Duration {
		of := map[string]rate{}
		for _, k := range keys {
			of[k] = r
		}
		_, err := l.take(now, of)
		if err == nil {
			return 0
		}
		var f *fault.Error = err.(*fault.Error)
		return f.RetryAfter
	}
	for i, step := range []struct {
		later time.Duration
		keys  []string
		wait  time.Duration
	}{
		{0, []string{"a"}, 0}, {0, []string{"a"}, 0}, {0, []string{"a"}, 0}, {0, []string{"a"}, 10 * time.Second},
		{0, []string{"a", "b"}, 10 * time.Second}, // counts for none:
		{0, []string{"b"}, 0}, {0, []string{"b"}, 0}, {0, []string{"b"}, 0}, {0, []string{"b"}, 10 * time.Second},
		{4 * time.Second, []string{"a"}, 6 * time.Second}, {6 * time.Second, []string{"a"}, 0}, {0, []string{"a"}, 10 * time.Second},
		{time.Hour, []string{"a"}, 0}, {0, []string{"a"}, 0}, {0, []string{"a"}, 0}, {0, []string{"a"}, 10 * time.Second}, // full again, not more
	} {
		now = now.Add(step.later)
		if got := take(step.keys...); got != step.wait {
			t.Errorf("step %d: wait %v, want %v", i, got, step.wait)
		}
	}
	for i := range maxBuckets + 100 {
		take("x" + strconv.Itoa(i))
	}
	if len(l.full) > maxBuckets+2 {
		t.Errorf("%d buckets kept", len(l.full))
	}
	for in, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "x": "x"} {
		if got := network(in); got != want {
			t.Errorf("network(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	h, ctx := newHasher(), t.Context()
	stored, err := h.hash(ctx, "correct horse")
	if err != nil || !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%q %v", stored, err)
	}
	if again, _ := h.hash(ctx, "correct horse"); again == stored {
		t.Error("two hashes without salt")
	}
	// Of the reference implementation: echo -n password | argon2 somesalt -id -t 2 -k 64 -p 2 -l 24
	const reference = "$argon2id$v=19$m=64,t=2,p=2$c29tZXNhbHQ$NQrDciL0Nsy1wJcvHr079rlYvyBxhBNi"
	for _, c := range []struct {
		stored, password string
		ok, broken       bool
	}{
		{stored, "correct horse", true, false}, {stored, "correct horsf", false, false}, {stored, "", false, false},
		{reference, "password", true, false}, {reference, "Password", false, false},
		{"", "correct horse", false, false}, {"", "", false, false}, {nobodys, "x", false, false},
		{"$argon2id$v=19$m=19456,t=2,p=1$AAAA", "x", false, true}, {"$2a$10$x", "x", false, true},
		{"$argon2id$v=19$m=999999999,t=2,p=1$AAAA$AAAA", "x", false, true}, {"$argon2id$v=19$m=19456,t=2,p=1$AAAA$", "", false, true},
	} {
		ok, err := h.verify(ctx, c.stored, c.password)
		if ok != c.ok || (err != nil) != c.broken {
			t.Errorf("verify(%q, %q) = %v %v", c.stored, c.password, ok, err)
		}
	}
	if n := len(h.queue) + len(h.slots); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

func TestHasherRunsTwoAtOnceAndRefusesACrowd(t *testing.T) {
	t.Parallel()
	h := newHasher()
	var leave []func()
	for range hashersAtOnce {
		l, err := h.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, hashersWaiting)
	for range hashersWaiting {
		go func() { _, err := h.enter(ctx); waiting <- err }()
	}
	for len(h.queue) < cap(h.queue) {
		time.Sleep(time.Millisecond)
	}
	if _, err := h.enter(t.Context()); !fault.Is(err, "login_busy") || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("one more: %v", err)
	}
	if len(h.slots) != hashersAtOnce {
		t.Errorf("%d run at once", len(h.slots))
	}
	cancel()
	for range hashersWaiting {
		if err := <-waiting; err != context.Canceled {
			t.Errorf("a waiting one: %v", err)
		}
	}
	for _, l := range leave {
		l()
	}
	if len(h.queue) != 0 || len(h.slots) != 0 {
		t.Errorf("%d and %d places are still taken", len(h.queue), len(h.slots))
	}
}

// What is done for a wrong handle is what is done for a wrong password: the same
// answer, and one hash of the same cost each.
func TestWrongHandleCostsAHash(t *testing.T) {
	t.Parallel()
	if got, want := strings.Split(nobodys, "$")[:4], "$argon2id$v=19$m=19456,t=2,p=1"; strings.Join(got, "$") != want {
		t.Errorf("the dummy is %q, want the parameters %q", got, want)
	}
	w := newWorld(t)
	w.ask(w.admin, "POST", "/v1/people", m{"handle": "ada", "name": "Ada", "password": "correct horse"})
	type cost struct {
		time, memory uint32
		lanes        uint8
	}
	var paid []cost
	derive := w.s.hasher.key
	w.s.hasher.key = func(password, salt []byte, time, memory uint32, lanes uint8, length uint32) []byte {
		paid = append(paid, cost{time, memory, lanes})
		return derive(password, salt, time, memory, lanes, length)
	}
	answers := map[string]bool{}
	for _, handle := range []string{"ada", "operator", "nobody-at-all"} {
		answers[w.ask("", "POST", "/v1/login", m{"handle": handle, "password": "a wrong one"}).body] = true
	}
	one := cost{argonTime, argonMemory, argonLanes}
	if !slices.Equal(paid, []cost{one, one, one}) || len(answers) != 1 {
		t.Errorf("paid %v, answers %v", paid, answers)
	}
}

func TestCookieIsForTheSiteOnly(t *testing.T) {
	t.Parallel()
	c := sessionCookie("x", sessionLasts)
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("%+v", c)
	}
}
