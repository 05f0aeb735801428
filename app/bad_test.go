package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
)

const (
	oneEvent    = "application/cloudevents+json"
	manyEvents  = "application/cloudevents-batch+json"
	confidence  = "hush-hush-a-secret-of-mine" // somebody's words: in no refusal
	problemType = "application/problem+json"
)

// item is a CloudEvent of a platform.
func item(id, typ string, data any) map[string]any {
	return map[string]any{"specversion": "1.0", "source": "forum", "id": id, "type": typ, "data": data}
}

// refusal holds a refusal to its form: a problem document with a code, a sentence
// that tells what to do, and nothing that was confided.
func refusal(t *testing.T, a answer, status int, code string, secrets ...string) {
	t.Helper()
	p := a.problem()
	if a.status != status || p.Status != status || p.Code != code {
		t.Errorf("answer %d %s, want %d %s", a.status, a.body, status, code)
		return
	}
	if got := a.header.Get("Content-Type"); got != problemType {
		t.Errorf("%s: content type %q", code, got)
	}
	if len(p.Detail) < 12 && len(p.Errors) == 0 {
		t.Errorf("%s tells nobody what to do: %s", code, a.body)
	}
	for _, s := range append(secrets, confidence) {
		if s != "" && bytes.Contains(a.body, []byte(s)) {
			t.Errorf("%s gives away %q: %s", code, s, a.body)
		}
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, bob := r.person("Ada"), r.person("Bob")
	luna := ada.make("Luna", nil)
	s := luna.say(question)
	forum := r.platform("forum")
	nobody := r.as("", "rpt_"+confidence)

	message := "/v1/rooms/" + luna.room + "/messages"
	thumb := func(field, id string) string {
		return fmt.Sprintf(`{"kind":"thumb","value":"up",%q:%q}`, field, id)
	}
	event := func(v any) string { return string(mustJSON(t, v)) }
	big := strings.Repeat("x", 10<<20)
	for _, c := range []struct {
		what         string
		who          *person
		method, path string
		typ, body    string
		status       int
		code         string
	}{
		// The door.
		{"an unknown type at the door", forum, "POST", "/v1/events", oneEvent, event(item("1", "weather.changed", nil)), 422, "unknown_type"},
		{"a conclusion of the learner at the door", forum, "POST", "/v1/events", oneEvent, event(item("1", "rl.agent.policy.updated", nil)), 403, "type_not_taken"},
		{"an invented rl. event at the door", forum, "POST", "/v1/events", oneEvent, event(item("1", "rl.reward.set", nil)), 403, "type_not_taken"},
		{"an agent's state at the door", forum, "POST", "/v1/events", oneEvent, event(item("1", "agent.updated", nil)), 403, "type_not_taken"},
		{"an erasure at the door", forum, "POST", "/v1/events", oneEvent, event(item("1", "account.erased", nil)), 403, "type_not_taken"},
		{"joined feedback at the door", forum, "POST", "/v1/events", oneEvent, event(item("1", "feedback.created", nil)), 403, "type_not_taken"},
		{"broken JSON at the door", forum, "POST", "/v1/events", oneEvent, `{"specversion":` + confidence, 422, "broken_json"},
		{"plain JSON at the door", forum, "POST", "/v1/events", "application/json", `{}`, 422, "media_type"},
		{"no version", forum, "POST", "/v1/events", oneEvent, `{"id":"1","type":"room.created"}`, 422, "spec_version"},
		{"no id", forum, "POST", "/v1/events", oneEvent, `{"specversion":"1.0","type":"room.created"}`, 422, "bad_id"},
		{"a time in prose", forum, "POST", "/v1/events", oneEvent, `{"specversion":"1.0","id":"1","type":"room.created","time":"yesterday","data":{}}`, 422, "bad_time"},
		{"data of another form", forum, "POST", "/v1/events", oneEvent, event(item("1", "message.ingested", []string{confidence})), 422, "bad_data"},
		{"half a mark", forum, "POST", "/v1/events", oneEvent, event(item("1", "feedback.given", map[string]any{"message": "m", "who": map[string]string{"person": "p"}, "mark": .5})), 422, "bad_data"},
		{"a mark of 2", forum, "POST", "/v1/events", oneEvent, event(item("1", "feedback.given", map[string]any{"message": "m", "who": map[string]string{"person": "p"}, "mark": 2})), 422, "unknown_value"},
		{"NUL in a foreign text", forum, "POST", "/v1/events", oneEvent, event(item("1", "message.ingested", map[string]any{"room": "r", "message": "m", "who": map[string]string{"person": "p"}, "text": confidence + "\x00"})), 422, "text_has_nul"},
		{"too many events", forum, "POST", "/v1/events", manyEvents, "[" + strings.Repeat("{},", 1000) + "{}]", 413, "batch_too_large"},
		{"10 MB at the door", forum, "POST", "/v1/events", oneEvent, big, 413, "body_too_large"},
		{"the door without its scope", bob, "POST", "/v1/events", oneEvent, `{}`, 403, "scope_missing"},
		{"feedback with a platform's token", forum, "POST", "/v1/feedback", "", thumb("messageId", "m"), 403, "scope_missing"},

		// Feedback.
		{"broken JSON", ada, "POST", "/v1/feedback", "", `{"kind":"` + confidence, 422, "invalid_request"},
		{"NaN", ada, "POST", "/v1/feedback", "", `{"kind":NaN}`, 422, "invalid_request"},
		{"10 MB", ada, "POST", "/v1/feedback", "", `{"comment":"` + big + `"}`, 413, "body_too_large"},
		{"no body", ada, "POST", "/v1/feedback", "", "", 422, "invalid_request"},
		{"a list", ada, "POST", "/v1/feedback", "", "[]", 422, "invalid_request"},
		{"a form", ada, "POST", "/v1/feedback", "application/x-www-form-urlencoded", "kind=thumb", 415, "media_type"},
		{"a fifth level", ada, "POST", "/v1/feedback", "", fmt.Sprintf(`{"kind":"session","value":"amazing","sessionId":%q}`, s.SessionID), 422, "unknown_value"},
		{"a score", ada, "POST", "/v1/feedback", "", `{"kind":"thumb","value":"up","messageId":"m","score":1.5}`, 422, "invalid_request"},
		{"somebody else's name on it", ada, "POST", "/v1/feedback", "", `{"kind":"thumb","value":"up","messageId":"m","raterId":"` + string(bob.ID) + `"}`, 422, "invalid_request"},
		{"a number for a word", ada, "POST", "/v1/feedback", "", `{"kind":"thumb","value":1.5,"messageId":"m"}`, 422, "invalid_request"},
		{"an unknown kind", ada, "POST", "/v1/feedback", "", `{"kind":"stars","value":"5"}`, 422, "invalid_request"},
		{"a tone that has no button", ada, "POST", "/v1/feedback", "", `{"kind":"tone","value":"ruder","messageId":"m"}`, 422, "unknown_value"},
		{"feedback on nothing", ada, "POST", "/v1/feedback", "", `{"kind":"thumb","value":"up"}`, 422, "aim_missing"},
		{"feedback on two things", ada, "POST", "/v1/feedback", "", fmt.Sprintf(`{"kind":"thumb","value":"up","messageId":%q,"decisionId":%q}`, s.ID, s.DecisionID), 422, "aim_ambiguous"},
		{"NUL in a comment", ada, "POST", "/v1/feedback", "", fmt.Sprintf(`{"kind":"comment","comment":"%s\u0000","messageId":%q}`, confidence, s.ID), 422, "bad_text"},
		{"a thumb on a stranger's decision", bob, "POST", "/v1/feedback", "", thumb("decisionId", string(s.DecisionID)), 404, "not_found"},
		{"a thumb on a stranger's message", bob, "POST", "/v1/feedback", "", thumb("messageId", string(s.ID)), 404, "not_found"},
		{"feedback that is not there", ada, "GET", "/v1/feedback/nothing", "", "", 404, "not_found"},
		{"the wrong query", ada, "GET", "/v1/feedback?colour=red", "", "", 422, "invalid_request"},

		// What is another's.
		{"another's agent's levels", bob, "PUT", luna.path("/traits"), "", `{"traits":{"humor":1}}`, 403, "not_allowed"},
		{"another's agent's life", bob, "DELETE", luna.path(""), "", "", 403, "not_allowed"},
		{"another's agent's learning", bob, "GET", luna.path("/learning"), "", "", 403, "not_allowed"},
		{"another's agent's explanation", bob, "GET", luna.path("/explanation"), "", "", 403, "not_allowed"},
		{"another's agent's prompt", bob, "GET", luna.path("/compile"), "", "", 403, "not_allowed"},
		{"another's decision", bob, "GET", "/v1/decisions/" + string(s.DecisionID), "", "", 404, "decision_unknown"},
		{"another's room", bob, "GET", message, "", "", 404, "room_unknown"},
		{"words into another's room", bob, "POST", message, "", `{"text":"` + confidence + `"}`, 404, "room_unknown"},
		{"the operator's routes", bob, "POST", "/v1/admin/backup", "", `{"dir":"/tmp/x"}`, 403, "scope_missing"},
		{"the switch of all agents", bob, "POST", "/v1/admin/kill", "", "", 403, "scope_missing"},

		// Levels and texts.
		{"a level of 1.5", ada, "PUT", luna.path("/traits"), "", `{"traits":{"humor":1.5}}`, 422, "policy_refused"},
		{"a level below", ada, "PUT", luna.path("/traits"), "", `{"traits":{"humor":-0.1}}`, 422, "policy_refused"},
		{"a level beyond all numbers", ada, "PUT", luna.path("/traits"), "", `{"traits":{"humor":1e999}}`, 422, "invalid_request"},
		{"an unknown trait", ada, "PUT", luna.path("/traits"), "", `{"traits":{"charisma":0.5}}`, 422, "unknown_trait"},
		{"NUL in a name", ada, "PATCH", luna.path(""), "", `{"name":"Lu\u0000na"}`, 422, "invalid_texts"},
		{"NUL in a message", ada, "POST", message, "", `{"text":"` + confidence + `\u0000"}`, 422, "text_has_nul"},
		{"an empty message", ada, "POST", message, "", `{"text":" "}`, 422, "text_empty"},
		{"a long message", ada, "POST", message, "", `{"text":"` + strings.Repeat("x", 8001) + `"}`, 422, "text_too_long"},
		{"10 MB of message", ada, "POST", message, "", `{"text":"` + big + `"}`, 413, "body_too_large"},
		{"levels that cannot be read", ada, "GET", luna.path("/compile?x=humor"), "", "", 422, "levels_unreadable"},

		// Paths and who asks.
		{"an unknown agent", ada, "GET", "/v1/agents/nobody", "", "", 404, "agent_unknown"},
		{"NUL for an agent", ada, "GET", "/v1/agents/%00", "", "", 422, "nul_in_text"},
		{"an unknown path", ada, "GET", "/v1/secrets", "", "", 404, "no_such_route"},
		{"another method", ada, "PUT", "/v1/feedback", "", `{}`, 405, "method_not_allowed"},
		{"an export that is none", r.admin, "GET", "/v1/admin/export/account.tokens", "", "", 404, "unknown_export"},
		{"an event that is none", r.admin, "GET", "/v1/admin/trace/nothing", "", "", 404, "unknown_event"},
		{"a dead letter that is none", r.admin, "POST", "/v1/admin/dead-letters/learning/x/replay", "", "", 404, "unknown_letter"},
		{"a reader that is none", r.admin, "POST", "/v1/admin/dead-letters/nobody/x/replay", "", "", 404, "unknown_group"},
		{"a wrong token", nobody, "GET", "/v1/me", "", "", 401, "token_invalid"},
		{"a wrong password", nobody, "POST", "/v1/login", "", `{"handle":"ada","password":"` + confidence + `"}`, 401, "login_failed"},
	} {
		t.Run(c.what, func(t *testing.T) {
			var body []byte
			if c.body != "" {
				body = []byte(c.body)
			}
			var header []string
			if c.typ != "" {
				header = []string{"Content-Type", c.typ}
			}
			refusal(t, c.who.raw(c.method, c.path, body, header...), c.status, c.code, ada.Token, bob.Token, r.LocalToken())
		})
	}
	// A refusal names what there is.
	got := ada.send("POST", "/v1/feedback", map[string]string{"kind": "session", "value": "amazing", "sessionId": string(s.SessionID)})
	for _, level := range []string{"loved", "good", "meh", "not_great"} {
		if !strings.Contains(got.problem().Detail, level) {
			t.Errorf("the refusal of a fifth level does not name %s: %s", level, got.body)
		}
	}
	// Nothing of all this was stored.
	r.settle()
	var list listed
	ada.must("GET", "/v1/feedback?agent="+string(luna.ID), nil, &list)
	if len(list.Items) != 0 {
		t.Errorf("refused feedback was kept: %+v", list.Items)
	}
	if got := bytes.Count(dump(t, r.App, "chat", "messages"), []byte("\n")); got != 3 { // its head, a question, an answer
		t.Errorf("%d lines of messages", got)
	}
}

func TestNotSeenYet(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	for _, field := range []string{"messageId", "decisionId"} {
		got := ada.send("POST", "/v1/feedback", map[string]string{"kind": "thumb", "value": "up", field: event.NewID()})
		if got.status != 202 || !strings.Contains(string(got.body), `"waiting"`) {
			t.Errorf("a thumb on an unknown %s: %d %s", field, got.status, got.body)
		}
	}
}

func TestAKeyWithAnotherBody(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	s := luna.say(question)
	for _, c := range []struct{ path, one, other string }{
		{"/v1/feedback", fmt.Sprintf(`{"kind":"thumb","value":"up","messageId":%q}`, s.ID), fmt.Sprintf(`{"kind":"thumb","value":"down","messageId":%q}`, s.ID)},
		{"/v1/rooms/" + luna.room + "/messages", `{"text":"one"}`, `{"text":"two"}`},
		{"/v1/agents", `{"name":"One"}`, `{"name":"Two"}`},
	} {
		first := ada.raw("POST", c.path, []byte(c.one), "Idempotency-Key", "k1")
		if first.status != 201 {
			t.Errorf("%s: %d %s", c.path, first.status, first.body)
		}
		if again := ada.raw("POST", c.path, []byte(c.one), "Idempotency-Key", "k1"); again.status != first.status || !bytes.Equal(again.body, first.body) {
			t.Errorf("%s with the same key and body: %d %s, first %d %s", c.path, again.status, again.body, first.status, first.body)
		}
		refusal(t, ada.raw("POST", c.path, []byte(c.other), "Idempotency-Key", "k1"), 409, "idempotency_conflict")
	}
}

// TestAnItemThatReturns: sending again changes nothing; an id that returns with
// something else is refused, and the first stays.
func TestAnItemThatReturns(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	luna := r.person("Ada").make("Luna", nil)
	forum := r.platform("forum")
	said := func(text string) map[string]any {
		return item("m1", "message.ingested", map[string]any{"room": "r", "message": "m1", "who": map[string]any{"agent": luna.ID}, "text": text})
	}
	mark := func(n int) map[string]any {
		return item("f1", "feedback.given", map[string]any{"message": "m1", "who": map[string]string{"person": "p"}, "mark": n})
	}
	fates := func(items ...map[string]any) (out []string) {
		t.Helper()
		got := forum.raw("POST", "/v1/events", mustJSON(t, items), "Content-Type", manyEvents)
		var rs []struct{ Status, Reason, Detail string }
		if err := json.Unmarshal(got.body, &rs); err != nil {
			t.Fatalf("%d %s", got.status, got.body)
		}
		for _, f := range rs {
			if f.Status == "refused" && (f.Reason == "" || len(f.Detail) < 12) {
				t.Errorf("a refused item is told nothing: %+v", f)
			}
			out = append(out, strings.TrimSuffix(f.Status+" "+f.Reason, " "))
		}
		return out
	}
	room := item("r", "room.created", map[string]any{"room": "r", "agents": []event.AgentID{luna.ID}})
	if got := fates(room, said("one")); fmt.Sprint(got) != "[accepted accepted]" {
		t.Fatal(got)
	}
	r.settle()
	if got := fates(mark(1)); fmt.Sprint(got) != "[accepted]" {
		t.Fatal(got)
	}
	r.settle()
	messages, signals := dump(t, r.App, "chat", "messages"), dump(t, r.App, "feedback", "feedback_events")
	for _, c := range []struct {
		items []map[string]any
		want  string
	}{
		{[]map[string]any{room, said("one"), mark(1)}, "[duplicate duplicate duplicate]"},
		{[]map[string]any{said("two")}, "[refused id_conflict]"},
		{[]map[string]any{mark(-1)}, "[refused id_conflict]"},
	} {
		if got := fates(c.items...); fmt.Sprint(got) != c.want {
			t.Errorf("%v, want %s", got, c.want)
		}
	}
	r.settle()
	if !bytes.Equal(messages, dump(t, r.App, "chat", "messages")) || !bytes.Equal(signals, dump(t, r.App, "feedback", "feedback_events")) {
		t.Error("something was changed by what was refused")
	}
}

// TestTwoRateAtOnce: everybody's newest rating counts, once, whoever else rates at
// the same moment.
func TestTwoRateAtOnce(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, bob := r.person("Ada"), r.person("Bob")
	luna := ada.make("Luna", nil)
	hers := luna.say(question)
	withBob := luna.with(bob)
	at := withBob.tell(question)
	var session event.SessionID
	r.ask("Luna answers Bob", func() bool {
		var page roomPage
		bob.must("GET", fmt.Sprintf("/v1/rooms/%s/messages?after=%d", withBob.room, at), nil, &page)
		if len(page.Messages) == 0 {
			return false
		}
		var d struct{ SessionID event.SessionID }
		bob.must("GET", "/v1/decisions/"+string(page.Messages[0].DecisionID), nil, &d)
		session = d.SessionID
		return true
	})
	r.settle()
	var wg sync.WaitGroup
	for _, c := range []struct {
		p  *person
		id event.SessionID
	}{{ada, hers.SessionID}, {bob, session}} {
		for _, level := range []string{"loved", "good", "not_great", "loved", "good", "not_great"} { // meh is neither positive nor negative
			wg.Go(func() {
				a := c.p.send("POST", "/v1/feedback", map[string]string{"kind": "session", "value": level, "sessionId": string(c.id)})
				if a.status != http.StatusCreated && a.status != http.StatusAccepted {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
		}
	}
	wg.Wait()
	r.settle()
	live := 0
	for line := range bytes.Lines(dump(t, r.App, "feedback", "feedback_events")) {
		if bytes.Contains(line, []byte("live=true")) {
			live++
		}
	}
	if live != 2 {
		t.Errorf("%d ratings are live, want one of each", live)
	}
	var learned struct{ PositiveCount, NegativeCount int64 }
	ada.must("GET", luna.path("/learning"), nil, &learned)
	var byName struct{ AgentID event.AgentID }
	if ada.must("GET", "/v1/agents/"+luna.Slug+"/learning", nil, &byName); byName.AgentID != luna.ID {
		t.Errorf("by its slug: %+v", byName)
	}
	ada.must("GET", "/v1/agents/"+luna.Slug+"/explanation", nil, nil)
	if learned.PositiveCount+learned.NegativeCount != 2 {
		t.Errorf("learning counts %+v, want 2 in all", learned)
	}
}

// TestClockSkew: a platform's clock is shown and never trusted.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	forum := r.platform("forum")
	var items []map[string]any
	for i, skew := range []time.Duration{24 * time.Hour, -24 * time.Hour, 0} {
		id := fmt.Sprint("m", i)
		it := item(id, "message.ingested", map[string]any{"room": "r", "message": id, "who": map[string]any{"agent": luna.ID}, "text": id})
		it["time"] = r.clock.Now().Add(skew).Format(time.RFC3339Nano)
		items = append(items, it)
	}
	got := forum.raw("POST", "/v1/events", mustJSON(t, append([]map[string]any{item("r", "room.created", map[string]any{"room": "r", "agents": []event.AgentID{luna.ID}})}, items...)), "Content-Type", manyEvents)
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	mark := item("f", "feedback.given", map[string]any{"message": "m0", "who": map[string]string{"person": "p"}, "mark": 1})
	mark["time"] = r.clock.Now().Add(-400 * 24 * time.Hour).Format(time.RFC3339Nano) // far outside the window, by their clock
	r.settle()
	if got := forum.send("POST", "/v1/events", mark, "Content-Type", oneEvent); got.status != 200 {
		t.Errorf("a mark of a clock that is wrong: %d %s", got.status, got.body)
	}
	now := r.clock.Now()
	rows := 0
	for line := range bytes.Lines(dump(t, r.App, "chat", "messages")) {
		var at, occurred int64
		var seq int
		f := string(line)
		if !strings.HasPrefix(f, "message_id=") {
			continue
		}
		field := func(name string, into any) {
			_, rest, _ := strings.Cut(f, " "+name+"=")
			fmt.Sscan(rest, into)
		}
		field("at", &at)
		field("occurred_at", &occurred)
		field("seq", &seq)
		rows++
		if d := now.Sub(time.UnixMicro(at)); d < 0 || d > time.Minute {
			t.Errorf("message %d was accepted at %v of %v", seq, time.UnixMicro(at), now)
		}
		want := []time.Duration{24 * time.Hour, -24 * time.Hour, 0}[seq-1]
		if d := time.UnixMicro(occurred).Sub(now) - want; d.Abs() > time.Minute {
			t.Errorf("message %d happened at %v there", seq, time.UnixMicro(occurred))
		}
	}
	if rows != 3 {
		t.Errorf("%d messages", rows)
	}
}
