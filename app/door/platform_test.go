package door

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/feedback"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestPayloads reads one sample of each payload that is taken; what it becomes lies
// beside it.
func TestPayloads(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) < 15 {
		t.Fatalf("%d samples: %v", len(names), err)
	}
	seen := map[string]bool{}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		on, _, _ := strings.Cut(filepath.Base(name), "-")
		seen[on] = true
		items, err := platforms[on].read(payload{body, http.Header{"Idempotency-Key": {"once"}}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got strings.Builder
		for _, it := range items {
			if _, err := open(platform, it); err != nil {
				t.Errorf("%s: the door does not take %+v: %v", name, it, err)
			}
			fmt.Fprintf(&got, "%s %s %s\n  %s\n", it.Type, it.ID, it.Time, it.Data)
		}
		golden := strings.TrimSuffix(name, ".json") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		// A form is another way for Slack to say the same.
		if on == "slack" {
			again, err := platforms[on].read(payload{[]byte(url.Values{"payload": {string(body)}}.Encode()), nil})
			if err != nil || !cmp.Equal(items, again) {
				t.Errorf("%s as a form: %v %+v", name, err, again)
			}
		}
	}
	if len(seen) != len(platforms) {
		t.Errorf("samples of %d platforms of %d", len(seen), len(platforms))
	}
}

// TestPayloadsThatAreNotTaken: whatever is cut or turned is refused, or becomes
// nothing that the door would not check again.
func TestPayloadsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	for on, bodies := range map[string][]string{
		"slack": {``, `null`, `[]`, `{}`, `payload=`, `payload=%7B%7D`, `{"type":"block_actions"}`, `{"type":"view_submission"}`, `{"type":"event_callback","event":{"type":"message"}}`,
			`{"type":"block_actions","team":{"id":"T"},"user":{"id":"U"},"channel":{"id":"C"},"message":{"ts":"1.1"},"actions":[{"type":"feedback_buttons","value":"perhaps","action_ts":"1"}]}`,
			`{"type":"block_actions","team":{"id":"T"},"user":{"id":"U"},"channel":{"id":"C"},"message":{"ts":"1.1"},"actions":[]}`},
		"teams":    {``, `{}`, `{"type":"message"}`, `{"type":"invoke","name":"message/submitAction","id":"1","from":{"id":"f"},"conversation":{"id":"c"},"replyToId":"r","value":{"actionName":"feedback","actionValue":{"reaction":"hm"}}}`, `{"type":"invoke","name":"task/fetch","id":"1","from":{"id":"f"},"conversation":{"id":"c"},"replyToId":"r"}`},
		"discord":  {``, `{}`, `{"t":"MESSAGE_CREATE","d":{}}`, `{"t":"MESSAGE_REACTION_ADD","d":{}}`, `{"t":"MESSAGE_REACTION_ADD"}`, `{"type":2,"id":"1"}`, `{"type":3,"id":"1","user":{"id":"2"},"message":{"id":"3","channel_id":"4"},"data":{"custom_id":"other"}}`},
		"telegram": {``, `{}`, `{"update_id":1}`, `{"update_id":1,"message":{"text":"hi"}}`, `{"update_id":1,"message_reaction":{}}`, `{"update_id":1,"callback_query":{"id":"1","from":{"id":2},"data":"up"}}`, `{"update_id":1,"callback_query":{"id":"1","from":{"id":2},"message":{"message_id":1,"chat":{"id":2}},"data":"menu"}}`},
		"openai":   {``, `{}`, `{"id":"x"}`, `{"rating":"up"}`, `{"id":"x","rating":5}`, `{"id":"x","rating":"5"}`},
	} {
		for _, body := range bodies {
			if items, err := platforms[on].read(payload{[]byte(body), nil}); err != errPayload {
				t.Errorf("%s %q: %+v %v", on, body, items, err)
			}
		}
	}
}

// bearer is an Authenticator by the word in the token.
type bearer struct{}

func (bearer) Authenticate(r *http.Request) (authz.Principal, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer ingest":
		return platform, nil
	case "Bearer person":
		return authz.Principal{Person: "ann", Scopes: []authz.Scope{authz.ScopeFeedback}}, nil
	case "":
		return authz.Principal{}, nil
	}
	return authz.Principal{}, fault.New(fault.Unauthenticated, "token_invalid", "This token is not known.")
}

var (
	now            = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	public, secret = func() (ed25519.PublicKey, ed25519.PrivateKey) {
		key := ed25519.NewKeyFromSeed([]byte("a seed of thirty-two bytes, no less!")[:32])
		return key.Public().(ed25519.PublicKey), key
	}()
	allKeys = Keys{Slack: "s3cret", Discord: hex.EncodeToString(public), Telegram: "t3legram", Clock: func() time.Time { return now }}
)

func served(w *world, keys Keys) http.Handler {
	api := httpapi.New("test", bearer{})
	New(w, w, w, keys).Routes(api)
	return api.Handler()
}

func post(h http.Handler, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func sample(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func slackSigned(body string, at time.Time) []string {
	stamp := fmt.Sprint(at.Unix())
	h := hmac.New(sha256.New, []byte("s3cret"))
	fmt.Fprintf(h, "v0:%s:%s", stamp, body)
	return []string{"X-Slack-Request-Timestamp", stamp, "X-Slack-Signature", "v0=" + hex.EncodeToString(h.Sum(nil))}
}

func discordSigned(body string, at time.Time) []string {
	stamp := fmt.Sprint(at.Unix())
	return []string{"X-Signature-Timestamp", stamp, "X-Signature-Ed25519", hex.EncodeToString(ed25519.Sign(secret, []byte(stamp+body)))}
}

// TestSignatures: who may bring a payload, and what they get for an answer.
func TestSignatures(t *testing.T) {
	t.Parallel()
	slack, discord, telegram, teams := sample(t, "slack-buttons"), sample(t, "discord-button"), sample(t, "telegram-reaction"), sample(t, "teams-feedback")
	token := []string{"Authorization", "Bearer ingest"}
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		keys       Keys
		status     int
		says       string // in the answer
		source     string // that was asked
	}{
		"slack signed":            {"slack", slack, slackSigned(slack, now), allKeys, 200, "", "slack"},
		"slack, 4 minutes old":    {"slack", slack, slackSigned(slack, now.Add(-4*time.Minute)), allKeys, 200, "", "slack"},
		"slack, 6 minutes old":    {"slack", slack, slackSigned(slack, now.Add(-6*time.Minute)), allKeys, 401, "signature_invalid", ""},
		"slack from the future":   {"slack", slack, slackSigned(slack, now.Add(6*time.Minute)), allKeys, 401, "signature_invalid", ""},
		"slack, another body":     {"slack", slack + " ", slackSigned(slack, now), allKeys, 401, "signature_invalid", ""},
		"slack, key not set":      {"slack", slack, slackSigned(slack, now), Keys{}, 401, "login_required", ""},
		"slack unsigned":          {"slack", slack, nil, allKeys, 401, "login_required", ""},
		"slack, half signed":      {"slack", slack, []string{"X-Slack-Signature", "v0=00"}, allKeys, 401, "signature_invalid", ""},
		"slack with a token":      {"slack", slack, token, Keys{}, 200, `"status":"accepted"`, "forum"},
		"token and wrong sign":    {"slack", slack, append(slackSigned(slack+"x", now), token...), allKeys, 401, "signature_invalid", ""},
		"token and right sign":    {"slack", slack, append(slackSigned(slack, now), token...), allKeys, 200, `"status":"accepted"`, "forum"},
		"slack asks":              {"slack", `{"type":"url_verification","challenge":"c5"}`, slackSigned(`{"type":"url_verification","challenge":"c5"}`, now), allKeys, 200, `"challenge":"c5"`, ""},
		"somebody else asks":      {"slack", `{"type":"url_verification","challenge":"c5"}`, nil, allKeys, 401, "login_required", ""},
		"discord signed":          {"discord", discord, discordSigned(discord, now), allKeys, 200, `{"type":6}`, "discord"},
		"discord pings":           {"discord", `{"type":1,"id":"1"}`, discordSigned(`{"type":1,"id":"1"}`, now), allKeys, 200, `{"type":1}`, ""},
		"discord, another body":   {"discord", discord + " ", discordSigned(discord, now), allKeys, 401, "signature_invalid", ""},
		"discord, old":            {"discord", discord, discordSigned(discord, now.Add(-time.Hour)), allKeys, 401, "signature_invalid", ""},
		"discord, no hex":         {"discord", discord, []string{"X-Signature-Timestamp", fmt.Sprint(now.Unix()), "X-Signature-Ed25519", "zz"}, allKeys, 401, "signature_invalid", ""},
		"telegram":                {"telegram", telegram, []string{"X-Telegram-Bot-Api-Secret-Token", "t3legram"}, allKeys, 200, "", "telegram"},
		"telegram, another word":  {"telegram", telegram, []string{"X-Telegram-Bot-Api-Secret-Token", "t"}, allKeys, 401, "signature_invalid", ""},
		"telegram without":        {"telegram", telegram, nil, allKeys, 401, "login_required", ""},
		"teams, its own bearer":   {"teams", teams, []string{"Authorization", "Bearer eyJhbGciOi"}, allKeys, 401, "login_required", ""},
		"teams with our token":    {"teams", teams, token, Keys{}, 200, `"status":"accepted"`, "forum"},
		"somebody's token":        {"teams", teams, []string{"Authorization", "Bearer person"}, allKeys, 403, "scope_missing", ""},
		"unknown platform":        {"icq", teams, token, allKeys, 404, "telegram", ""},
		"unknown payload":         {"slack", `{"type":"view_submission"}`, token, allKeys, 422, "feedback_buttons", ""},
		"unknown payload, signed": {"telegram", `{"update_id":1,"message":{"text":"hush"}}`, []string{"X-Telegram-Bot-Api-Secret-Token", "t3legram"}, allKeys, 422, "message_reaction", ""},
		"too much":                {"slack", strings.Repeat("x", 1<<20+1), token, allKeys, 413, "body_too_large", ""},
		"nothing said":            {"discord", sample(t, "discord-reaction-custom"), token, allKeys, 200, "[]", ""},
	} {
		w := &world{mark: feedback.Result{Status: feedback.Stored}}
		got := post(served(w, c.keys), "/v1/ingest/"+c.path, c.body, c.headers...)
		if got.Code != c.status || !strings.Contains(got.Body.String(), c.says) || strings.Contains(got.Body.String(), "hush") {
			t.Errorf("%s: %d %s, want %d %q", name, got.Code, got.Body, c.status, c.says)
		}
		if c.status == 200 && c.says == "" && got.Body.Len() != 0 {
			t.Errorf("%s: a platform that signed was told %s", name, got.Body)
		}
		asked := strings.Join(w.asked, ", ")
		if c.source == "" && asked != "" || c.source != "" && !strings.Contains(asked, "people of "+c.source+":") {
			t.Errorf("%s: asked %s, want %q", name, asked, c.source)
		}
	}
}

// TestFatesOfPayloads: a limit is told with when to come again; what is refused for
// good is no reason for a platform to send it again.
func TestFatesOfPayloads(t *testing.T) {
	t.Parallel()
	body := sample(t, "slack-buttons")
	limited := fault.New(fault.RateLimited, "too_much_feedback", "Later.")
	limited.RetryAfter = 1500 * time.Millisecond
	for name, c := range map[string]struct {
		fate    feedback.Result
		token   bool
		status  int
		retries string
		says    string
	}{
		"limited, signed":  {feedback.Result{Status: feedback.Refused, Err: limited}, false, 429, "2", "too_much_feedback"},
		"limited, token":   {feedback.Result{Status: feedback.Refused, Err: limited}, true, 429, "2", "too_much_feedback"},
		"refused, signed":  {feedback.Result{Status: feedback.Refused, Err: fault.New(fault.NotFound, "not_found", "No.")}, false, 200, "", ""},
		"refused, token":   {feedback.Result{Status: feedback.Refused, Err: fault.New(fault.NotFound, "not_found", "No.")}, true, 404, "", "not_found"},
		"waiting, signed":  {feedback.Result{Status: feedback.Waiting}, false, 200, "", ""},
		"waiting, token":   {feedback.Result{Status: feedback.Waiting}, true, 202, "", "waiting"},
		"duplicate, token": {feedback.Result{Status: feedback.Duplicate}, true, 200, "", "duplicate"},
	} {
		headers := slackSigned(body, now)
		if c.token {
			headers = []string{"Authorization", "Bearer ingest"}
		}
		got := post(served(&world{mark: c.fate}, allKeys), "/v1/ingest/slack", body, headers...)
		if got.Code != c.status || got.Header().Get("Retry-After") != c.retries || !strings.Contains(got.Body.String(), c.says) {
			t.Errorf("%s: %d %q %s", name, got.Code, got.Header().Get("Retry-After"), got.Body)
		}
	}
	// In a batch each has its own.
	w := &world{mark: feedback.Result{Status: feedback.Refused, Err: limited}}
	rs, err := New(w, w, w, Keys{}).Take(t.Context(), platform, []Item{item(FeedbackGiven, "1", Data{Message: "m", Who: bob, Press: "up"})})
	if err != nil || rs[0].RetryAfter != 2 {
		t.Errorf("%+v %v", rs, err)
	}
}

// TestPress: who pressed, on what, with whose word.
func TestPress(t *testing.T) {
	t.Parallel()
	w := &world{mark: feedback.Result{Status: feedback.Stored}}
	own := platform
	own.Person = "operator"
	rs, err := New(w, w, w, Keys{}).Take(t.Context(), own, []Item{
		item(FeedbackGiven, "1", Data{Message: "m", Who: bob, Press: "up", Comment: "good"}),
		item(FeedbackGiven, "2", Data{Decision: "d", Who: bob, Press: "down"}),
		item(FeedbackGiven, "3", Data{Decision: "d", Press: "down"}),
		item(FeedbackGiven, "4", Data{Decision: "d", Message: "m", Who: bob, Press: "down"}),
		item(FeedbackGiven, "5", Data{Message: "m", Who: bob, Press: "sideways"}),
		item(FeedbackGiven, "6", Data{Message: "m", Who: bob, Press: "up", Mark: &one}),
		item(FeedbackGiven, "7", Data{Decision: "d", Who: bob, Mark: &one}),
		item(FeedbackGiven, "8", Data{Message: "m", Who: &Who{Agent: "luna"}, Press: "up"}),
		item(FeedbackGiven, "9", Data{Who: bob, Press: "up"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{Accepted, Accepted, Accepted, Refused, Refused, Refused, Refused, Refused, Refused}, statuses(rs)); d != "" {
		t.Error(d)
	}
	b, err := json.Marshal(w.marks)
	if err != nil {
		t.Fatal(err)
	}
	if m := w.marks; len(m) != 3 || m[0].RaterID != "pseudonym of bob on forum" || m[0].Comment != "good" || !m[0].Press || m[1].DecisionID != "d" || m[1].Mark != -1 || m[1].VouchedBy != "operator" || m[2].RaterID != "operator" {
		t.Errorf("%s", b)
	}
}
