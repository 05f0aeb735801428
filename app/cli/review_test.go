package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"rapport/app"
	"rapport/app/client"
	"rapport/feedback"
)

// An operator invites a reviewer, looks at a review that was set aside and decides;
// and sets a goal for everyone.
func TestReview(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg, err := app.LoadConfig(map[string]any{"data": dir, "listen": "127.0.0.1:0", "provider.offline": true})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	operator := &client.Client{Base: a.URL(), Token: a.LocalToken()}
	do := func(c *client.Client, method, path string, body, out any) {
		t.Helper()
		if err := c.Do(t.Context(), method, path, body, out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	person := func(name string) (*client.Client, string) {
		var p struct{ ID string }
		do(operator, http.MethodPost, "/v1/people", map[string]string{"handle": strings.ToLower(name), "name": name}, &p)
		var token struct{ Token string }
		do(operator, http.MethodPost, "/v1/tokens", map[string]any{"person": p.ID, "name": name, "scopes": []string{"chat", "feedback", "agents"}}, &token)
		return &client.Client{Base: a.URL(), Token: token.Token}, p.ID
	}
	say := func(args ...string) string {
		t.Helper()
		return must(t, "", append(args, "--data", dir)...).out
	}
	settle := func() {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := operator.Settle(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	if out := say("review"); !strings.Contains(out, "no review waits") {
		t.Errorf("%s", out)
	}
	ada, _ := person("Ada")
	bob, _ := person("Bob")
	carl, carlID := person("Carl")
	var luna, room struct{ ID string }
	do(ada, http.MethodPost, "/v1/agents", map[string]string{"name": "Luna"}, &luna)
	for _, p := range []*client.Client{ada, bob} {
		do(p, http.MethodPut, "/v1/me/review-consent", map[string]bool{"consent": true}, nil)
	}
	settle()
	do(bob, http.MethodPost, "/v1/agents/"+luna.ID+"/talk", nil, &room)
	do(bob, http.MethodPost, "/v1/rooms/"+room.ID+"/messages", map[string]string{"text": "Hello there"}, nil)
	for until := time.Now().Add(time.Minute); ; { // what ends before Luna answered has nothing to review
		var said struct {
			Messages []json.RawMessage `json:"messages"`
		}
		if do(bob, http.MethodGet, "/v1/rooms/"+room.ID+"/messages", nil, &said); len(said.Messages) == 2 {
			break
		} else if time.Now().After(until) {
			t.Fatal("Luna does not answer")
		}
		time.Sleep(10 * time.Millisecond)
	}
	settle()
	do(bob, http.MethodPost, "/v1/rooms/"+room.ID+"/end", nil, nil)
	settle()

	if out := say("review", "invite", carlID); !strings.Contains(out, "invited") {
		t.Errorf("%s", out)
	}
	do(carl, http.MethodPost, "/v1/reviews/invitation", map[string]bool{"accept": true}, nil)
	var desk feedback.Desk
	do(carl, http.MethodGet, "/v1/reviews/next", nil, &desk)
	var given feedback.ReviewReceipt
	do(carl, http.MethodPost, "/v1/reviews/"+desk.AssignmentID, map[string]any{"marks": map[string]string{"inCharacter": "clearly", "helpful": "clearly", "kind": "clearly"}, "note": "Only an idiot would greet somebody like that."}, &given)
	for _, says := range []string{string(given.ReviewID), "by " + carlID, "Only an idiot", "sooner than the exchange", "words that hurt"} {
		if out := say("review", "aside"); !strings.Contains(out, says) {
			t.Errorf("review does not say %q:\n%s", says, out)
		}
	}
	if r := command("", "review", "decide", string(given.ReviewID), "refuse", "--data", dir); r.code != 1 || !strings.Contains(r.err, "reason") {
		t.Errorf("without a reason: exit %d %s", r.code, r.err)
	}
	if out := say("review", "decide", string(given.ReviewID), "exclude", "--reason", "It hurts."); !strings.Contains(out, "refused") || !strings.Contains(out, "reviews no longer") {
		t.Errorf("%s", out)
	}
	if out := say("review", "people"); !strings.Contains(out, carlID) || !strings.Contains(out, "excluded") || !strings.Contains(out, "It hurts.") {
		t.Errorf("%s", out)
	}
	if out := say("review", "goal", "Together,", "500", "helpful", "notes", "--target", "500", "--look", "aurora"); !strings.Contains(out, "Together, 500 helpful notes: fewer than five people so far of 500") {
		t.Errorf("%s", out)
	}
	var goals []feedback.Goal
	if err := json.Unmarshal([]byte(say("review", "goals", "--json")), &goals); err != nil || len(goals) != 1 || goals[0].Name != "aurora" || goals[0].Together != nil {
		t.Errorf("%+v %v", goals, err)
	}
	if r := command("", "review", "invite", "nobody", "--data", dir); r.code != 1 || !strings.Contains(r.err, "no such person") {
		t.Errorf("exit %d %s", r.code, r.err)
	}
}
