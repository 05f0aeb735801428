package account

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, session := w.person("ada")
	_, other := w.person("ben")
	in := func(d time.Duration) int64 { return w.now().Add(d).UnixMicro() }
	var program, adminToken MadeToken
	w.ask(session, "POST", "/v1/tokens", m{"name": "bot", "scopes": []string{"chat"}}).into(t, &program)
	w.ask(w.admin, "POST", "/v1/tokens", m{"name": "ops", "scopes": []string{"admin"}}).into(t, &adminToken)
	for name, c := range map[string]struct {
		token  string
		body   m
		status int
		code   string
	}{
		"nobody":                  {"", m{"name": "x", "scopes": []string{"chat"}}, 401, "login_required"},
		"a program":               {program.Secret, m{"name": "x", "scopes": []string{"chat"}}, 403, "login_needed"},
		"admin by a person":       {session, m{"name": "x", "scopes": []string{"chat", "admin"}}, 403, "scope_not_yours"},
		"ingest by a person":      {session, m{"name": "x", "scopes": []string{"ingest"}, "source": "forum"}, 403, "scope_not_yours"},
		"for somebody else":       {session, m{"name": "x", "scopes": []string{"chat"}, "person": "p"}, 403, "not_allowed"},
		"admin for a person":      {w.admin, m{"name": "x", "scopes": []string{"admin"}, "person": id}, 403, "scope_not_yours"},
		"for nobody":              {w.admin, m{"name": "x", "scopes": []string{"chat"}, "person": "nobody"}, 404, "person_unknown"},
		"no scope":                {session, m{"name": "x", "scopes": []string{}}, 422, "invalid_request"},
		"invented scope":          {session, m{"name": "x", "scopes": []string{"everything"}}, 422, "scope_invalid"},
		"a hidden name":           {session, m{"name": "a\U000e0041", "scopes": []string{"chat"}}, 422, "name_invalid"},
		"no name":                 {session, m{"name": " ", "scopes": []string{"chat"}}, 422, "name_invalid"},
		"expired":                 {session, m{"name": "x", "scopes": []string{"chat"}, "expiresAt": in(-time.Second)}, 422, "expiry_invalid"},
		"ingest without source":   {w.admin, m{"name": "x", "scopes": []string{"ingest"}}, 422, "source_invalid"},
		"source without ingest":   {w.admin, m{"name": "x", "scopes": []string{"chat"}, "source": "forum"}, 422, "source_invalid"},
		"odd source":              {w.admin, m{"name": "x", "scopes": []string{"ingest"}, "source": "a/b"}, 422, "source_invalid"},
		"a person's":              {session, m{"name": "x", "scopes": []string{"feedback", "chat", "chat"}, "expiresAt": in(time.Hour)}, 201, ""},
		"ingest by an operator":   {w.admin, m{"name": "x", "scopes": []string{"ingest"}, "source": "forum"}, 201, ""},
		"ingest by an admin only": {adminToken.Secret, m{"name": "x", "scopes": []string{"ingest"}, "source": "forum"}, 201, ""},
		"for a person":            {w.admin, m{"name": "x", "scopes": []string{"chat"}, "person": id}, 201, ""},
	} {
		if got := w.ask(c.token, "POST", "/v1/tokens", c.body); got.status != c.status || got.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, got.status, got.body, c.status, c.code)
		}
	}

	p, err := w.s.principal(t.Context(), program.Secret, false)
	if err != nil || p.Person != id || p.Token != program.ID || !slices.Equal(p.Scopes, []authz.Scope{authz.ScopeChat}) || !strings.HasPrefix(program.Secret, "rpt_") {
		t.Errorf("principal %+v %v of %+v", p, err, program)
	}
	var list TokenList
	raw := w.ask(session, "GET", "/v1/tokens", nil)
	raw.into(t, &list)
	if len(list.Tokens) != 3 || strings.Contains(raw.body, "rpt_") || !slices.IsSortedFunc(list.Tokens, func(a, b Token) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("list %s", raw.body)
	}
	if empty := w.ask(other, "GET", "/v1/tokens", nil); empty.body != `{"tokens":[]}`+"\n" {
		t.Errorf("empty list %q", empty.body)
	}

	for _, c := range []struct {
		name, token, id string
		status          int
		code            string
	}{
		{"nobody", "", program.ID, 401, "login_required"},
		{"somebody else", other, program.ID, 404, "token_unknown"},
		{"a program another", program.Secret, adminToken.ID, 403, "login_needed"},
		{"unknown", session, "x", 404, "token_unknown"},
		{"a program itself", program.Secret, program.ID, 204, ""},
		{"again", program.Secret, program.ID, 401, "token_invalid"},
		{"operator's own", w.admin, adminToken.ID, 204, ""},
	} {
		if got := w.ask(c.token, "DELETE", "/v1/tokens/"+c.id, nil); got.status != c.status || got.code() != c.code {
			t.Errorf("revoke by %s: %d %s, want %d %s", c.name, got.status, got.body, c.status, c.code)
		}
	}

	for i := range maxTokens {
		if got := w.ask(other, "POST", "/v1/tokens", m{"name": fmt.Sprint(i), "scopes": []string{"chat"}}); got.status != 201 {
			t.Fatalf("token %d: %d %s", i, got.status, got.body)
		}
	}
	if got := w.ask(other, "POST", "/v1/tokens", m{"name": "one more", "scopes": []string{"chat"}}); got.code() != "too_many_tokens" {
		t.Errorf("token %d: %d %s", maxTokens+1, got.status, got.body)
	}
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, session := w.person("ada")
	var made MadeToken
	w.ask(session, "POST", "/v1/tokens", m{"name": "bot", "scopes": []string{"chat"}, "expiresAt": w.now().Add(10 * time.Second).UnixMicro()}).into(t, &made)
	if !w.s.Valid(t.Context(), made.Secret) {
		t.Error("it does not work at first")
	}
	w.later(10 * time.Second) // within the time it is remembered
	if w.s.Valid(t.Context(), made.Secret) {
		t.Error("it works after its end")
	}
}

// What another process revokes ends within half a minute.
func TestRevokedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, session := w.person("ada")
	if !w.s.Valid(t.Context(), session) {
		t.Fatal("not logged in")
	}
	err := w.db.Write(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(`delete from sessions`); return err })
	if err != nil {
		t.Fatal(err)
	}
	w.later(knownFor)
	if w.s.Valid(t.Context(), session) {
		t.Error("it is remembered for longer")
	}
}

// A secret that is read while it is revoked must not be remembered afterwards.
func TestRevocationDuringLoading(t *testing.T) {
	t.Parallel()
	k := newKnownSecrets()
	age := k.age() // read …
	k.forget()     // … revoked …
	k.put([32]byte{1}, authz.Principal{Person: "p"}, 0, 0, age)
	if _, ok := k.get([32]byte{1}, 1); ok {
		t.Error("… and remembered")
	}
	k.put([32]byte{1}, authz.Principal{Person: "p"}, 0, 0, k.age())
	if _, ok := k.get([32]byte{1}, 1); !ok {
		t.Error("what was read afterwards is not remembered")
	}
}

func TestPeopleFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, ctx := w.s, t.Context()
	before := len(w.events())
	first, err := s.PeopleFor(ctx, "forum", []Foreign{{"u1", "Ada"}, {"u2", ""}, {"u1", ""}, {"u3", strings.Repeat("x", 500) + "\n"}})
	if err != nil || first[0] != first[2] || first[0] == first[1] || first[0] == "" {
		t.Fatalf("%v %v", first, err)
	}
	ev := w.events()[before:]
	if len(ev) != 3 || ev[0] != `account.created {"personId":"`+string(first[0])+`"}` {
		t.Errorf("events %q", ev)
	}
	if strings.Contains(strings.Join(ev, ""), "u1") {
		t.Errorf("a foreign id on the log: %q", ev)
	}
	elsewhere, err := s.PersonFor(ctx, "other", "u1", "")
	if err != nil || elsewhere == first[0] {
		t.Errorf("the same id on another platform is the same person: %v %v", elsewhere, err)
	}
	for range 2 { // from the table, then from memory
		s.foreign.forget()
		again, err := s.PeopleFor(ctx, "forum", []Foreign{{"u2", ""}, {"u1", ""}})
		if err != nil || again[0] != first[1] || again[1] != first[0] {
			t.Errorf("%v %v", again, err)
		}
	}
	if n := len(w.events()); n != before+4 {
		t.Errorf("%d events for 4 people", n-before)
	}

	if again, err := s.PersonFor(ctx, "forum", "u1", "Ada L."); err != nil || again != first[0] {
		t.Errorf("renamed: %v %v", again, err)
	}
	_, _ = s.PersonFor(ctx, "forum", "u1", "")
	names, err := s.Names(ctx, first)
	if err != nil || names[first[0]] != "Ada L." || names[first[3]] != strings.Repeat("x", maxName) || len(names) != 2 {
		t.Errorf("names %v %v", names, err)
	}

	for given, want := range map[string]string{"A\u202eda\U000e0041 ": "Ada", "\u200b\u3164": "", "\u0301": ""} {
		if got := cutName(given); got != want {
			t.Errorf("%q becomes %q", given, got)
		}
	}
	for _, bad := range []Foreign{{"", "x"}, {strings.Repeat("u", 201), ""}, {"a\x00", ""}, {"\xff", ""}} {
		if _, err := s.PeopleFor(ctx, "forum", []Foreign{{"fine", ""}, bad}); !fault.Is(err, "foreign_invalid") {
			t.Errorf("%q: %v", bad.ID, err)
		}
	}
	if _, err := s.PersonFor(ctx, "", "u1", ""); !fault.Is(err, "foreign_invalid") {
		t.Errorf("no source: %v", err)
	}

	if _, err := s.Erase(ctx, operator(w), first[0]); err != nil {
		t.Fatal(err)
	}
	after, err := s.PersonFor(ctx, "forum", "u1", "")
	if err != nil || after == first[0] {
		t.Errorf("an erased pseudonym came back: %v %v", after, err)
	}
}

func TestPersonForIsOneUnderConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := len(w.events())
	var mu sync.Mutex
	seen := map[event.PersonID]bool{}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			id, err := w.s.PersonFor(context.Background(), "forum", "u1", "Ada")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			seen[id] = true
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(seen) != 1 || len(w.events()) != before+1 {
		t.Errorf("%d people, %d events", len(seen), len(w.events())-before)
	}
}

// Every route without anybody: 401, but for the door itself.
func TestRoutesNeedSomebody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := httpapi.New("test", w.s)
	w.s.Routes(api)
	if n := len(api.Routes()); n != 14 {
		t.Errorf("%d routes", n)
	}
	for route, op := range api.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if op.Public != (path == "/v1/login" || path == "/v1/erasures/{receipt}") {
			t.Errorf("%s: public %v", route, op.Public)
		}
		if got := w.ask("", method, strings.NewReplacer("{person}", "p", "{id}", "t").Replace(path), nil); !op.Public && got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", route, got.status, got.body)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	r := httptest.NewRequest("GET", "/v1/me", nil)
	r.Header.Set("Authorization", "Bearer "+w.admin)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.s.Authenticate(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPeopleFor(b *testing.B) {
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprintf("known=%v", known), func(b *testing.B) {
			w := newWorld(b)
			people := make([]Foreign, 1000)
			for n := range b.N {
				for i := range people {
					if !known || n == 0 {
						people[i] = Foreign{ID: fmt.Sprintf("u%d-%d", n, i), Name: "Somebody"}
					}
				}
				if _, err := w.s.PeopleFor(context.Background(), "forum", people); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "people/s")
		})
	}
}

func BenchmarkMe(b *testing.B) {
	w := newWorld(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := w.ask(w.admin, "GET", "/v1/me", nil); got.status != 200 {
				b.Fatal(got.body)
			}
		}
	})
}
