package chat_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rapport/chat"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// door lets anybody in as whom the Authorization header names.
type door struct{}

func (door) Authenticate(r *http.Request) (authz.Principal, error) {
	name := r.Header.Get("Authorization")
	switch name {
	case "":
		return authz.Principal{}, nil
	case "bad":
		return authz.Principal{}, fault.New(fault.Unauthenticated, "token_wrong", "This token is not valid.")
	case "narrow":
		return authz.Principal{Person: ada, Token: name, Scopes: []authz.Scope{authz.ScopeFeedback}}, nil
	}
	return authz.Principal{Person: event.PersonID(name), Token: name, Scopes: []authz.Scope{authz.ScopeChat}}, nil
}

func (w *world) serve() *httptest.Server {
	api := httpapi.New("test", door{})
	w.Routes(api)
	srv := httptest.NewServer(api.Handler())
	w.Cleanup(srv.Close)
	return srv
}

func call(t *testing.T, srv *httptest.Server, who, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", who)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := w.serve()
	var room chat.Room
	status, body := call(t, srv, "ada", "POST", "/v1/agents/luna/talk", "")
	same(t, 200, status)
	w.must(json.Unmarshal([]byte(body), &room))
	in := "/v1/rooms/" + string(room.ID)

	status, body = call(t, srv, "ada", "POST", in+"/messages", `{"text":"hello"}`, "Idempotency-Key", "k")
	same(t, 201, status)
	var m chat.Message
	w.must(json.Unmarshal([]byte(body), &m))
	same(t, "hello", m.Text)
	message := in + "/messages/" + string(m.ID)
	_, again := call(t, srv, "ada", "POST", in+"/messages", `{"text":"hello"}`, "Idempotency-Key", "k")
	same(t, body, again)

	for _, c := range []struct {
		who, method, path, body string
		status                  int
		code                    string
	}{
		{"ada", "POST", "/v1/rooms", `{"title":"x","agents":["luna"]}`, 201, ""},
		{"ada", "GET", "/v1/rooms?limit=1", "", 200, `"rooms":[`},
		{"ada", "GET", in, "", 200, `"consent":true`},
		{"ada", "GET", in + "/messages?after=0&limit=10", "", 200, `"hello"`},
		{"ada", "PUT", in + "/consent", `{"consent":false}`, 204, ""},
		{"ada", "PUT", message + "/reactions/%F0%9F%91%8D", "", 204, ""},
		{"ada", "GET", in + "/messages", "", 200, `"👍"`},
		{"ada", "DELETE", message + "/reactions/%F0%9F%91%8D", "", 204, ""},
		{"ada", "PATCH", message, `{"text":"hello there"}`, 200, `"hello there"`},
		{"ada", "POST", in + "/end", "", 200, `"ended":["`},
		{"ada", "DELETE", message, "", 204, ""},

		{"ada", "PUT", message + "/reactions/words", "", 422, "emoji_invalid"},
		{"ada", "POST", in + "/messages", `{"text":""}`, 422, "text_empty"},
		{"ada", "POST", in + "/messages", `{"text":"\u200b \u3164"}`, 422, "text_empty"},
		{"ada", "POST", in + "/messages", `{"text":"a\u0000"}`, 422, "text_has_nul"},
		{"ada", "POST", in + "/messages", `{"text":"` + strings.Repeat("x", 8001) + `"}`, 422, "text_too_long"},
		{"ada", "POST", in + "/messages", `{"text":1}`, 422, "invalid_request"},
		{"ada", "POST", in + "/messages", `{"words":"x"}`, 422, "invalid_request"},
		{"ada", "POST", in + "/messages", `not json`, 422, "invalid_request"},
		{"ada", "POST", in + "/members", `{"personId":"bob"}`, 409, "room_direct"},
		{"ada", "POST", in + "/members", `{}`, 422, "member_invalid"},
		{"ada", "GET", in + "/messages?after=1&before=2", "", 422, "page_invalid"},
		{"ada", "GET", "/v1/rooms/none", "", 404, "room_unknown"},
		{"ada", "POST", "/v1/agents/none/talk", "", 404, "agent_unknown"},
		{"ada", "GET", in + "/stream?after=x", "", 422, "event_id_invalid"},
		{"", "GET", in, "", 401, "login_required"},
		{"bad", "GET", in, "", 401, "token_wrong"},
		{"narrow", "GET", in, "", 403, "scope_missing"},
		{"ada", "DELETE", in + "/members/luna", "", 204, ""},
		{"ada", "DELETE", in + "/members/ada", "", 204, ""},
		{"ada", "GET", in, "", 404, "room_unknown"},
	} {
		status, body := call(t, srv, c.who, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.code) {
			t.Errorf("%s %s as %q: %d %s, want %d %s", c.method, c.path, c.who, status, body, c.status, c.code)
		}
	}
	status, body = call(t, srv, "ada", "POST", "/v1/rooms", `{"title":"a"}`, "Idempotency-Key", "k")
	if status != 409 || !strings.Contains(body, "idempotency_conflict") {
		t.Errorf("%d %s", status, body)
	}
}

// TestStrangersFindNothing: to somebody outside, a room that exists and one that
// does not are the same.
func TestStrangersFindNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := w.serve()
	r := w.talk(ada, luna)
	m := w.post(ada, r, "secret")
	for _, c := range [][3]string{
		{"GET", "", ""}, {"GET", "/messages", ""}, {"GET", "/stream", ""}, {"POST", "/messages", `{"text":"x"}`}, {"POST", "/end", ""},
		{"POST", "/members", `{"personId":"bob"}`}, {"POST", "/members", `{"personId":"nobody"}`}, {"DELETE", "/members/ada", ""}, {"DELETE", "/members/bob", ""},
		{"PUT", "/consent", `{"consent":true}`}, {"PATCH", "/messages/M", `{"text":"x"}`}, {"DELETE", "/messages/M", ""},
		{"PUT", "/messages/M/reactions/100", ""}, {"DELETE", "/messages/M/reactions/100", ""},
	} {
		path := strings.ReplaceAll(c[1], "M", string(m.ID))
		status, real := call(t, srv, "bob", c[0], "/v1/rooms/"+string(r.ID)+path, c[2])
		_, none := call(t, srv, "bob", c[0], "/v1/rooms/none"+path, c[2])
		if status != 404 || real != none {
			t.Errorf("%s %s: %d %s, of no room %s", c[0], path, status, real, none)
		}
	}
	same(t, 5, len(w.events())) // three of the room, two of the message, and nothing since
}

func TestStreamOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := w.serve()
	r := w.talk(ada, luna)
	w.post(ada, r, "one")
	w.post(ada, r, "two")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/v1/rooms/"+string(r.ID)+"/stream", nil)
	w.must(err)
	req.Header.Set("Authorization", "ada")
	req.Header.Set("Last-Event-ID", "1")
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	defer res.Body.Close()
	same(t, "text/event-stream", res.Header.Get("Content-Type"))
	lines := bufio.NewScanner(res.Body)
	read := func() (id, name, data string) {
		for lines.Scan() {
			switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
			case "id":
				id = value
			case "event":
				name = value
			case "data":
				return id, name, value
			}
		}
		t.Fatal("the stream ended")
		return
	}
	id, name, data := read()
	if id != "2" || name != "message" || !strings.Contains(data, `"text":"two"`) {
		t.Errorf("%s %s %s", id, name, data)
	}
	w.Delta(r.ID, luna, "d", "th")
	if id, name, data = read(); id != "" || name != "delta" || !strings.Contains(data, `"text":"th"`) {
		t.Errorf("%s %s %s", id, name, data)
	}
	w.reply(luna, r, "d", "three")
	if id, name, data = read(); id != "3" || name != "message" || !strings.Contains(data, `"decisionId":"d"`) {
		t.Errorf("%s %s %s", id, name, data)
	}
}
