package account

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// world is the context behind its routes, with a clock that tests turn.
type world struct {
	t     testing.TB
	s     *Service
	db    *sqldb.DB
	serve http.Handler
	admin string // token of the operator

	mu sync.Mutex
	at time.Time
}

var day0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, db: sqldbtest.Open(t), at: day0}
	s, err := New(t.Context(), w.db, Options{Clock: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.s = s
	if _, err := s.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.admin, err = s.LocalToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	api := httpapi.New("test", s)
	s.Routes(api)
	w.serve = api.Handler()
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// answer is a response with its decoded body.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
}

func (a answer) code() string {
	var p httpapi.Problem
	_ = json.Unmarshal([]byte(a.body), &p)
	return p.Code
}

// ask sends a request as the owner of a token (or "cookie:" and a session).
func (w *world) ask(token, method, path string, body any) answer {
	w.t.Helper()
	return w.from("192.0.2.1", token, method, path, body)
}

func (w *world) from(peer, token, method, path string, body any) answer {
	w.t.Helper()
	var in io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		in = strings.NewReader(string(b))
	}
	r := httptest.NewRequest(method, path, in)
	r.RemoteAddr = peer + ":4711"
	if c, ok := strings.CutPrefix(token, "cookie:"); ok {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: c})
	} else if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	w.serve.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

type m = map[string]any

// person makes somebody and logs them in by a link.
func (w *world) person(handle string) (id event.PersonID, session string) {
	w.t.Helper()
	var p Person
	w.ask(w.admin, "POST", "/v1/people", m{"handle": handle, "name": "Name of " + handle}).into(w.t, &p)
	var l Link
	w.ask(w.admin, "POST", "/v1/admin/links", m{"person": p.ID}).into(w.t, &l)
	var s Session
	w.ask("", "POST", "/v1/login", m{"link": l.Link}).into(w.t, &s)
	if p.ID == "" || s.Token == "" {
		w.t.Fatalf("no person or no session: %+v %+v", p, s)
	}
	return p.ID, s.Token
}

// events are what waits in the outbox, as JSON of the payloads by type.
func (w *world) events() (out []string) {
	w.t.Helper()
	for _, e := range w.envelopes() {
		out = append(out, string(e.Type)+" "+string(e.Data))
	}
	return out
}

func (w *world) envelopes() (out []event.Event) {
	w.t.Helper()
	err := w.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select body from outbox order by n, id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var body []byte
			var e event.Event
			if err := rows.Scan(&body); err != nil {
				return err
			}
			if err := json.Unmarshal(body, &e); err != nil {
				return err
			}
			out = append(out, e)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// everything is all text that the database holds, of every table.
func (w *world) everything() string {
	w.t.Helper()
	var b strings.Builder
	_ = w.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		for table, columns := range map[string]string{
			"people": "person_id, coalesce(handle, ''), name, password", "foreign_people": "source, external_id, person_id, ''",
			"sessions": "hash, session_id, person_id, ''", "tokens": "hash, person_id, name, source", "links": "hash, person_id, '', ''",
			"erasures": "person_id, '', '', ''", "outbox": "id, key, type, cast(body as text)", "idempotency": "scope, person, body, answer",
		} {
			rows, err := tx.Query(`select ` + columns + ` from ` + table)
			if err != nil {
				w.t.Fatal(err)
			}
			for rows.Next() {
				var c [4]string
				if err := rows.Scan(&c[0], &c[1], &c[2], &c[3]); err != nil {
					w.t.Fatal(err)
				}
				b.WriteString(table + ": " + strings.Join(c[:], " | ") + "\n")
			}
			rows.Close()
		}
		return nil
	})
	return b.String()
}

func TestPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.ask(w.admin, "POST", "/v1/people", m{"handle": "Ada.L", "name": " Ada Lovelace "})
	var ada Person
	got.into(t, &ada)
	want := Person{ID: ada.ID, Handle: "ada.l", Name: "Ada Lovelace", CreatedAt: day0.UnixMicro()}
	if got.status != 201 || ada != want {
		t.Errorf("%d %+v, want %+v", got.status, ada, want)
	}
	if ev := w.events(); len(ev) != 2 || ev[1] != `account.created {"personId":"`+string(ada.ID)+`"}` {
		t.Errorf("events %q", ev)
	}
	if e := w.envelopes()[1]; e.Subject != string(ada.ID) || e.Source != "/rapport/account" || e.Time != day0.UnixMicro() {
		t.Errorf("envelope %+v", e)
	}

	names, err := w.s.Names(t.Context(), []event.PersonID{ada.ID, "unknown", ada.ID})
	if d := cmp.Diff(map[event.PersonID]string{ada.ID: "Ada Lovelace"}, names); d != "" || err != nil {
		t.Errorf("names: %s %v", d, err)
	}
	_, session := w.person("ben")
	for name, c := range map[string]struct {
		token  string
		body   m
		status int
		code   string
	}{
		"nobody":           {"", m{"handle": "x1", "name": "X"}, 401, "login_required"},
		"not an operator":  {session, m{"handle": "x1", "name": "X"}, 403, "scope_missing"},
		"taken":            {w.admin, m{"handle": "ADA.L", "name": "X"}, 409, "handle_taken"},
		"short":            {w.admin, m{"handle": "a", "name": "X"}, 422, "invalid_request"},
		"space":            {w.admin, m{"handle": "a b", "name": "X"}, 422, "handle_invalid"},
		"letters":          {w.admin, m{"handle": "adä", "name": "X"}, 422, "handle_invalid"},
		"dash first":       {w.admin, m{"handle": "-ada", "name": "X"}, 422, "handle_invalid"},
		"nameless":         {w.admin, m{"handle": "x1", "name": "   "}, 422, "name_invalid"},
		"unseen":           {w.admin, m{"handle": "x1", "name": "\u200b\u2060"}, 422, "name_invalid"},
		"turns round":      {w.admin, m{"handle": "x1", "name": "a\u202eb"}, 422, "name_invalid"},
		"line break":       {w.admin, m{"handle": "x1", "name": "a\nb"}, 422, "name_invalid"},
		"NUL":              {w.admin, m{"handle": "x1", "name": "a\x00b"}, 422, "name_invalid"},
		"short password":   {w.admin, m{"handle": "x1", "name": "X", "password": "123456789"}, 422, "password_length"},
		"handle password":  {w.admin, m{"handle": "operator-9", "name": "X", "password": "Operator-9"}, 422, "password_weak"},
		"unknown field":    {w.admin, m{"handle": "x1", "name": "X", "role": "operator"}, 422, "invalid_request"},
		"id from the body": {w.admin, m{"handle": "x1", "name": "X", "id": "p"}, 422, "invalid_request"},
	} {
		if got := w.ask(c.token, "POST", "/v1/people", c.body); got.status != c.status || got.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, got.status, got.body, c.status, c.code)
		}
	}
}

func TestCreateIsIdempotentAndKeepsNoNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := operator(w)
	make := func(key, handle, password string) (Person, error) {
		return w.s.Create(t.Context(), p, key, NewPerson{Handle: handle, Name: "Somebody", Password: password})
	}
	a, err := make("k", "yuki", "")
	b, err2 := make("k", "yuki", "")
	if err != nil || err2 != nil || a != b {
		t.Errorf("%+v %v, again %+v %v", a, err, b, err2)
	}
	// The password is no part of what is compared: it would be kept as a fast hash.
	if c, err := make("k", "yuki", "correct horse"); err != nil || c != a {
		t.Errorf("with a password: %+v %v", c, err)
	}
	if _, err := make("k", "bob", ""); !fault.Is(err, "idempotency_conflict") {
		t.Errorf("another body: %v", err)
	}
	if _, err := make("l", "yuki", ""); !fault.Is(err, "handle_taken") {
		t.Errorf("another key: %v", err)
	}
	for line := range strings.Lines(w.everything()) {
		if strings.HasPrefix(line, "idempotency") && (strings.Contains(line, "Somebody") || strings.Contains(line, "yuki")) {
			t.Errorf("a name is kept with the answer: %s", line)
		}
	}
}

// operator is the principal of the local token.
func operator(w *world) authz.Principal {
	w.t.Helper()
	p, err := w.s.principal(context.Background(), w.admin, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestMe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, session := w.person("ada")
	_, other := w.person("ben")
	var me Me
	w.ask("cookie:"+session, "GET", "/v1/me", nil).into(t, &me)
	if me.ID != id || me.Handle != "ada" || me.Operator || !slices.Equal(me.Scopes, personScopes) {
		t.Errorf("me %+v", me)
	}
	var boss Me
	w.ask(w.admin, "GET", "/v1/me", nil).into(t, &boss)
	if !boss.Operator || boss.Source != "local" || !slices.Equal(boss.Scopes, authz.Scopes()) {
		t.Errorf("operator %+v", boss)
	}
	var made MadeToken
	w.ask(session, "POST", "/v1/tokens", m{"name": "bot", "scopes": []string{"chat"}}).into(t, &made)
	for _, c := range []struct {
		name, token string
		body        m
		status      int
		code        string
	}{
		{"nobody", "", m{"name": "A"}, 401, "login_required"},
		{"a program", made.Secret, m{"name": "A"}, 403, "login_needed"},
		{"taken", session, m{"handle": "ben"}, 409, "handle_taken"},
		{"bad handle", session, m{"handle": "a!"}, 422, "handle_invalid"},
		{"short password", session, m{"password": "short"}, 422, "password_length"},
		{"empty password", session, m{"password": ""}, 422, "password_length"},
		{"empty name", session, m{"name": " "}, 422, "name_invalid"},
		{"operator by oneself", session, m{"operator": true}, 422, "invalid_request"},
		{"nothing", session, m{}, 200, ""},
		{"own handle", session, m{"handle": "ada"}, 200, ""},
		{"all", session, m{"handle": "ada2", "name": "Ada 2", "password": "correct horse"}, 200, ""},
		{"password by link session, again", session, m{"password": "battery staple"}, 200, ""},
	} {
		if got := w.ask(c.token, "PATCH", "/v1/me", c.body); got.status != c.status || got.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, got.status, got.body, c.status, c.code)
		}
	}

	// Logged in by password, a new one needs the old one, and ends other logins.
	var byPassword Session
	w.ask("", "POST", "/v1/login", m{"handle": "ada2", "password": "battery staple"}).into(t, &byPassword)
	for _, c := range []struct {
		body   m
		status int
		code   string
	}{
		{m{"password": "a third one"}, 401, "login_failed"},
		{m{"password": "a third one", "currentPassword": "correct horse"}, 401, "login_failed"},
		{m{"password": "a third one", "currentPassword": "battery staple"}, 200, ""},
	} {
		if got := w.ask(byPassword.Token, "PATCH", "/v1/me", c.body); got.status != c.status || got.code() != c.code {
			t.Errorf("%v: %d %s, want %d %s", c.body, got.status, got.body, c.status, c.code)
		}
	}
	for token, want := range map[string]int{session: 401, byPassword.Token: 200, other: 200, made.Secret: 200} {
		if got := w.ask(token, "GET", "/v1/me", nil); got.status != want {
			t.Errorf("after the change of password %.8s…: %d, want %d", token, got.status, want)
		}
	}
	if got := w.ask("", "POST", "/v1/login", m{"handle": "ada2", "password": "battery staple"}); got.status != 401 {
		t.Errorf("the old password: %d", got.status)
	}
}

func TestProtection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, self := w.person("kid")
	_, other := w.person("ben")
	path := "/v1/people/" + string(id) + "/protection"
	in := func(d time.Duration) int64 { return w.now().Add(d).UnixMicro() }
	before := len(w.events())
	steps := []struct {
		name, token, path string
		body              m
		status            int
		code              string
		emits             bool
	}{
		{"nobody", "", path, m{"protected": true}, 401, "login_required", false},
		{"somebody else", other, path, m{"protected": true}, 403, "not_allowed", false},
		{"unknown to somebody", other, "/v1/people/nobody/protection", m{"protected": true}, 403, "not_allowed", false},
		{"unknown", w.admin, "/v1/people/nobody/protection", m{"protected": true}, 404, "person_unknown", false},
		{"with a reason", self, path, m{"protected": true, "reason": "x"}, 422, "invalid_request", false},
		{"until the past", self, path, m{"protected": true, "until": in(-time.Hour)}, 422, "protection_invalid", false},
		{"lifted until", self, path, m{"protected": false, "until": in(time.Hour)}, 422, "protection_invalid", false},
		{"self", self, path, m{"protected": true, "until": in(time.Hour)}, 200, "", true},
		{"self again", self, path, m{"protected": true, "until": in(time.Hour)}, 200, "", false},
		{"self lifts", self, path, m{"protected": false}, 200, "", true},
		{"operator", w.admin, path, m{"protected": true, "until": in(48 * time.Hour)}, 200, "", true},
		{"operator's is kept", self, path, m{"protected": false}, 403, "protection_kept", false},
	}
	for _, c := range steps {
		got := w.ask(c.token, "PUT", c.path, c.body)
		if got.status != c.status || got.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, got.status, got.body, c.status, c.code)
		}
		if c.emits {
			before++
		}
		if n := len(w.events()); n != before {
			t.Fatalf("%s: %d events, want %d", c.name, n, before)
		}
	}
	var me Me
	w.ask(self, "GET", "/v1/me", nil).into(t, &me)
	if !me.Protected || me.ProtectedUntil != in(48*time.Hour) {
		t.Errorf("protected %v until %d", me.Protected, me.ProtectedUntil)
	}
	last := w.envelopes()[before-1]
	if got, err := event.As[event.ProtectionChanged](last); err != nil || got != (event.ProtectionChanged{PersonID: id, Protected: true, Until: in(48 * time.Hour)}) {
		t.Errorf("event %+v %v", got, err)
	}

	w.later(49 * time.Hour) // it ends by itself, and then it is the person's again
	w.ask(self, "GET", "/v1/me", nil).into(t, &me)
	if got := w.ask(self, "PUT", path, m{"protected": true}); got.status != 200 {
		t.Errorf("after the end: %d %s", got.status, got.body)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, session := w.person("ada")
	w.ask(session, "PATCH", "/v1/me", m{"password": "correct horse"})
	var made MadeToken
	w.ask(session, "POST", "/v1/tokens", m{"name": "Adas bot", "scopes": []string{"chat"}}).into(t, &made)
	link, err := w.s.MintLink(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, token string
		status      int
	}{{"nobody", "", 401}, {"a program", made.Secret, 403}, {"herself", session, 200}, {"herself again", session, 401}, {"her token", made.Secret, 401}} {
		if got := w.ask(c.token, "DELETE", "/v1/me", nil); got.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.status)
		}
	}
	if got := w.ask("", "POST", "/v1/login", m{"link": link.Link}); got.code() != "link_invalid" {
		t.Errorf("her link: %s", got.body)
	}
	if got := w.ask("", "POST", "/v1/login", m{"handle": "ada", "password": "correct horse"}); got.code() != "login_failed" {
		t.Errorf("her password: %s", got.body)
	}
	if names, err := w.s.Names(t.Context(), []event.PersonID{id}); len(names) != 0 || err != nil {
		t.Errorf("names %v %v", names, err)
	}
	if ev := w.events(); ev[len(ev)-1] != `account.erased {"personId":"`+string(id)+`"}` {
		t.Errorf("last event %q", ev[len(ev)-1])
	}
	herName := regexp.MustCompile(`(?i)\bada\b`) // an id may hold the letters, but never as a word
	all := w.everything()
	for line := range strings.Lines(all) {
		if herName.MatchString(line) {
			t.Errorf("left: %s", line)
		}
		if strings.Contains(line, string(id)) && !strings.HasPrefix(line, "erasures") && !strings.HasPrefix(line, "erased_rows") && !strings.HasPrefix(line, "outbox") {
			t.Errorf("left: %s", line)
		}
	}
	if !strings.Contains(all, "erasures: "+string(id)) {
		t.Error("no proof of the erasure")
	}
	if _, err := w.s.Erase(t.Context(), operator(w), id); !fault.Is(err, "person_unknown") {
		t.Errorf("twice: %v", err)
	}
	// The handle is free again; its new owner is somebody else.
	if again, _ := w.person("ada"); again == id {
		t.Error("the pseudonym came back")
	}
}

func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, session := w.person("ada")
	w.ask(session, "PATCH", "/v1/me", m{"password": "correct horse"})
	var made MadeToken
	w.ask(session, "POST", "/v1/tokens", m{"name": "bot", "scopes": []string{"chat"}}).into(t, &made)
	link, err := w.s.MintLink(t.Context(), made.Person)
	if err != nil {
		t.Fatal(err)
	}
	all := w.everything()
	for _, secret := range []string{session, made.Secret, link.Link, w.admin, "correct horse"} {
		if len(secret) < 10 || strings.Contains(all, secret) || strings.Contains(all, secret[4:]) {
			t.Errorf("the database holds %q", secret)
		}
	}
	for _, e := range w.events() {
		if strings.Contains(e, "ada") || strings.Contains(e, "Name of") {
			t.Errorf("an event holds a name: %s", e)
		}
	}
}

func TestOperatorsActsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, act := range []string{"export", "trace", "backup"} {
		if err := w.s.Note(t.Context(), authz.Principal{Person: "op", Token: "t1"}, act, string(rune('a'+i))); err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.s.Acts(t.Context(), "", 10)
	if err != nil || len(all) != 3 || all[0].Act != "backup" || all[0].Person != "op" || all[0].Subject != "c" {
		t.Fatalf("%+v, %v", all, err)
	}
	rest, err := w.s.Acts(t.Context(), all[0].ID, 1)
	if err != nil || len(rest) != 1 || rest[0].Act != "trace" {
		t.Errorf("before the newest: %+v, %v", rest, err)
	}
}
