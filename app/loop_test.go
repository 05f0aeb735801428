package app

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"rapport/event"
	"rapport/policy"
)

// explained is what the explanation says, as far as these tests look.
type explained struct {
	Version int64
	Traits  []struct {
		Trait         string
		Level, Target float64
		P             float64
		N             int
		Ratings       float64 // the information in them
		Waits         string
	}
	Ratings []struct {
		FeedbackID event.FeedbackID
		By         string
		Channel    string
		Used       bool
		NotUsed    string
		Leaned     map[string]float64
		Note       string
	}
}

func (c *companion) explanation() (e explained) {
	c.p.rig.t.Helper()
	c.p.rig.settle()
	c.p.must("GET", c.path("/explanation"), nil, &e)
	return e
}

func (c *companion) version() int64 {
	c.p.rig.t.Helper()
	var a struct{ State struct{ Version int64 } }
	c.p.must("GET", c.path(""), nil, &a)
	return a.State.Version
}

type listed struct {
	Items []struct {
		FeedbackID event.FeedbackID `json:"feedbackId"`
		Kind       string           `json:"kind"`
		Channel    string           `json:"channel"`
		Value      string           `json:"value"`
	} `json:"items"`
}

const question = "Can you tell me what to do on a rainy evening?"

func TestTheWholeLoop(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	first := luna.say(question)
	if first.Cause != "policy" || first.x(policy.Brevity) != .5 {
		t.Fatalf("first answer: cause %q, brevity %v", first.Cause, first.x(policy.Brevity))
	}

	press := ada.give("tone", "shorter", "messageId", string(first.ID))
	if press.Status != "stored" || press.Role != "owner" {
		t.Fatalf("the press became %+v", press)
	}
	second := luna.say(question)
	if got := second.x(policy.Brevity); second.Cause != "tone_button" || math.Abs(got-.65) > 1e-9 {
		t.Errorf("the very next answer: cause %q, brevity %v, want tone_button and .65", second.Cause, got)
	}
	if len(second.Text) >= len(first.Text) {
		t.Errorf("after shorter: %d bytes %q, before %d bytes %q", len(second.Text), second.Text, len(first.Text), first.Text)
	}
	if first.SessionID != second.SessionID || first.Body.EpisodeID == second.Body.EpisodeID {
		t.Error("a press should begin another episode of the same session")
	}
	if second.Body.LogDensity != nil {
		t.Error("a commanded variation was not drawn and has no density")
	}

	thumb := ada.give("thumb", "up", "messageId", string(second.ID))
	rating := ada.give("session", "good", "sessionId", string(second.SessionID))
	again := ada.give("session", "loved", "sessionId", string(second.SessionID))
	if again.Supersedes != rating.FeedbackID {
		t.Errorf("the second rating supersedes %q, want %q", again.Supersedes, rating.FeedbackID)
	}
	r.settle()
	var list listed
	ada.must("GET", "/v1/feedback?agent="+string(luna.ID), nil, &list)
	if len(list.Items) < 3 {
		t.Errorf("the list of feedback has %d items: %+v", len(list.Items), list)
	}
	var learned struct {
		PositiveCount, NegativeCount int64
		Avg                          float64
	}
	ada.must("GET", luna.path("/learning"), nil, &learned)
	if learned.PositiveCount != 2 || learned.NegativeCount != 0 { // the thumb and the newest rating; a press has no score
		t.Errorf("learning counts %+v, want 2 positive", learned)
	}
	e := luna.explanation()
	used := map[event.FeedbackID]bool{}
	for _, one := range e.Ratings {
		used[one.FeedbackID] = one.Used
	}
	for what, id := range map[string]event.FeedbackID{"press": press.FeedbackID, "thumb": thumb.FeedbackID, "rating": again.FeedbackID} {
		if !used[id] {
			t.Errorf("the explanation does not say that the %s was used: %+v", what, e.Ratings)
		}
	}
	if used[rating.FeedbackID] {
		t.Error("the replaced rating still counts")
	}
	for _, one := range e.Ratings {
		if one.FeedbackID == press.FeedbackID && !(one.Leaned["brevity"] > 0) {
			t.Errorf("shorter leans to %v, want more brevity", one.Leaned)
		}
	}

	// The next talk begins at the policy again: a press holds for its session.
	ada.must("POST", "/v1/rooms/"+luna.room+"/end", nil, nil)
	r.settle()
	if next := luna.say(question); next.Cause == "tone_button" || next.SessionID == second.SessionID {
		t.Errorf("the next session: cause %q, session %s as before", next.Cause, next.SessionID)
	}
}

func TestOwnersActsAndUndo(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", map[string]float64{"humor": .4})
	start := luna.version()
	ada.must("PUT", luna.path("/traits"), map[string]any{"traits": map[string]float64{"humor": .9}}, nil)
	r.settle()
	if s := luna.say(question); s.x(policy.Humor) != .9 || s.Body.PolicyVersion != start+1 {
		t.Errorf("after the edit: humor %v, version %d", s.x(policy.Humor), s.Body.PolicyVersion)
	}
	ada.must("POST", luna.path("/undo"), nil, nil)
	r.settle()
	if s := luna.say(question); s.x(policy.Humor) != .4 || s.Body.PolicyVersion != start+2 {
		t.Errorf("after undo: humor %v, version %d; want .4 as a new version", s.x(policy.Humor), s.Body.PolicyVersion)
	}
	if got := ada.send("PUT", luna.path("/traits"), map[string]any{"traits": map[string]float64{"humor": .5}}, "If-Match", "1"); got.status != 409 || got.problem().Code == "" {
		t.Errorf("an edit of a version that is gone: %d %s", got.status, got.body)
	}

	ada.must("PUT", luna.path("/pins"), map[string]any{"pinned": []string{"brevity"}}, nil)
	s := luna.say(question)
	ada.give("tone", "shorter", "messageId", string(s.ID))
	for _, tr := range luna.explanation().Traits {
		if want := map[string]string{"brevity": "pinned"}[tr.Trait]; (tr.Waits == "pinned") != (want == "pinned") {
			t.Errorf("%s waits for %q after brevity was pinned", tr.Trait, tr.Waits)
		}
	}
	var audit struct{ Items []struct{ Act, Actor string } }
	ada.must("GET", luna.path("/audit"), nil, &audit)
	var acts []string
	for _, a := range audit.Items {
		acts = append(acts, a.Act)
		if a.Actor != string(ada.ID) {
			t.Errorf("%s was done by %s", a.Act, a.Actor)
		}
	}
	if len(acts) < 5 {
		t.Errorf("the audit says %v", acts)
	}
}

func TestPauseKeepsFeedbackUnused(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	ada.must("POST", luna.path("/pause"), nil, nil)
	r.settle()
	s := luna.say(question)
	before := luna.explanation()
	f := ada.give("thumb", "down", "messageId", string(s.ID))
	if f.Status != "stored" {
		t.Fatalf("feedback while paused became %+v", f)
	}
	e := luna.explanation()
	found := false
	for _, one := range e.Ratings {
		if one.FeedbackID == f.FeedbackID {
			found = true
			if one.Used || one.NotUsed != "paused" {
				t.Errorf("feedback while paused: used %v, not used because %q", one.Used, one.NotUsed)
			}
		}
	}
	if !found {
		t.Errorf("the explanation hides feedback given while paused: %+v", e.Ratings)
	}
	for i := range e.Traits {
		if e.Traits[i].Waits != "paused" {
			t.Errorf("%s waits for %q", e.Traits[i].Trait, e.Traits[i].Waits)
		}
		if e.Traits[i] != before.Traits[i] {
			t.Errorf("%s moved while paused: %+v → %+v", e.Traits[i].Trait, before.Traits[i], e.Traits[i])
		}
	}
	ada.must("POST", luna.path("/resume"), nil, nil)
	luna.explanation()
}

func TestKillSwitch(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	luna.say(question)
	silent := func(what string) {
		t.Helper()
		r.settle()
		at := luna.tell("Are you there?")
		r.settle()
		got := ada.send("POST", "/v1/chat/completions", map[string]any{"model": "agent/" + luna.Slug, "messages": []any{map[string]string{"role": "user", "content": "hello"}}})
		if got.status != 409 || !strings.Contains(string(got.body), "agent_silenced") {
			t.Errorf("%s: the OpenAI endpoint answers %d %s", what, got.status, got.body)
		}
		r.ask("no turn is left", func() bool { return turnsLeft(t, r.App) == 0 })
		var page roomPage
		ada.must("GET", "/v1/rooms/"+luna.room+"/messages", nil, &page)
		for _, m := range page.Messages {
			if m.Sequence > at && m.DecisionID != "" {
				t.Errorf("%s: it said %q", what, m.Text)
			}
		}
	}
	ada.must("POST", luna.path("/kill"), nil, nil)
	silent("killed by its owner")
	ada.must("POST", luna.path("/revive"), nil, nil)
	r.settle()
	luna.say("And now?")
	r.admin.must("POST", "/v1/admin/kill", nil, nil)
	silent("all killed by the operator")
	r.admin.must("POST", "/v1/admin/revive", nil, nil)
	r.settle()
	luna.say("And now?")
}

func turnsLeft(t testing.TB, a *App) (n int) {
	t.Helper()
	rows := dump(t, a, "gateway", "turns")
	for line := range bytes.Lines(rows) {
		if bytes.Contains(line, []byte("waiting")) || bytes.Contains(line, []byte("leased")) {
			n++
		}
	}
	return n
}

func dump(t testing.TB, a *App, of string, tables ...string) []byte {
	t.Helper()
	b, err := a.dbs[of].Dump(context.Background(), tables...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRetractLeavesNothing: after taking a rating back, the learner is byte for
// byte as if it had never been given.
func TestRetractLeavesNothing(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	s := luna.say(question)
	kept := ada.give("thumb", "up", "messageId", string(s.ID))
	s2 := luna.say(question)
	r.settle()
	learner := func() []byte {
		r.settle()
		return dump(t, r.App, "learning", "rl_learners", "rl_entries", "rl_checkpoints")
	}
	before, traits := learner(), mustJSON(t, luna.explanation().Traits)
	f := ada.give("session", "not_great", "sessionId", string(s2.SessionID))
	if bytes.Equal(before, learner()) {
		t.Fatal("the rating changed nothing: this test cannot fail")
	}
	var back receipt
	ada.must("DELETE", "/v1/feedback/"+string(f.FeedbackID), nil, &back)
	if back.Status != "retracted" {
		t.Errorf("taking back became %+v", back)
	}
	if got := learner(); !bytes.Equal(before, got) {
		t.Errorf("the learner is not as if the rating had never been given:\n%s\n%s", before, got)
	}
	if got := mustJSON(t, luna.explanation().Traits); !bytes.Equal(traits, got) {
		t.Errorf("the explanation is not as before:\n%s\n%s", traits, got)
	}
	for _, one := range luna.explanation().Ratings {
		if one.FeedbackID == f.FeedbackID {
			t.Error("the rating that was taken back is still explained")
		}
		if one.FeedbackID == kept.FeedbackID && !one.Used {
			t.Error("the other feedback no longer counts")
		}
	}
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFeedbackByResponseID: a client of the OpenAI endpoint keeps the answer's id,
// and that is enough to give feedback.
func TestFeedbackByResponseID(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	got := ada.send("POST", "/v1/chat/completions", map[string]any{"model": "agent/" + luna.Slug, "messages": []any{map[string]string{"role": "user", "content": question}}})
	var c struct {
		ID      event.DecisionID
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(got.body, &c); err != nil || got.status != 200 || c.ID == "" || c.Choices[0].Message.Content == "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var f receipt
	answer := ada.send("POST", "/v1/feedback", map[string]string{"kind": "thumb", "value": "up", "decisionId": string(c.ID)})
	_ = json.Unmarshal(answer.body, &f)
	if answer.status != 201 && answer.status != 202 { // 202 when it is faster than the log
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	r.ask("it is joined to its decision", func() bool { return len(luna.explanation().Ratings) > 0 })
	if e := luna.explanation(); e.Ratings[0].FeedbackID != f.FeedbackID || !e.Ratings[0].Used {
		t.Errorf("explained: %+v", e.Ratings)
	}
	// A tone button steers the caller's next answer, even when it is pressed faster
	// than the log tells feedback of the decision.
	press := ada.send("POST", "/v1/chat/completions", map[string]any{"model": "agent/" + luna.Slug, "messages": []any{map[string]string{"role": "user", "content": question}}})
	ada.give("tone", "shorter", "decisionId", press.header.Get("x-decision-id"))
	r.ask("the press is joined", func() bool { r.settle(); return len(luna.explanation().Ratings) == 2 })
	again := ada.send("POST", "/v1/chat/completions", map[string]any{"model": "agent/" + luna.Slug, "messages": []any{map[string]string{"role": "user", "content": question}}})
	var d struct {
		Cause    string
		Decision event.ReplyGenerated
	}
	ada.must("GET", "/v1/decisions/"+again.header.Get("x-decision-id"), nil, &d)
	if d.Cause != "tone_button" || math.Abs(d.Decision.X[policy.Brevity]-.65) > 1e-9 {
		t.Errorf("the answer after the press: cause %q, brevity %v", d.Cause, d.Decision.X[policy.Brevity])
	}
}

// TestFeedbackWaits: feedback on what has not arrived is kept, and joined when it
// does.
func TestFeedbackWaits(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	elsewhere := r.platform("forum")
	mark := 1
	items := func(list ...map[string]any) []byte {
		for i := range list {
			list[i]["specversion"], list[i]["source"] = "1.0", "forum"
		}
		return mustJSON(t, list)
	}
	give := func(id, message string) map[string]any {
		return map[string]any{"id": id, "type": "feedback.given", "data": map[string]any{"message": message, "who": map[string]string{"person": "bob"}, "mark": mark}}
	}
	const batch = "application/cloudevents-batch+json"
	got := elsewhere.raw("POST", "/v1/events", items(give("f1", "m1")), "Content-Type", batch)
	if got.status != 202 || !strings.Contains(string(got.body), `"waiting"`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	got = elsewhere.raw("POST", "/v1/events", items(
		map[string]any{"id": "r1", "type": "room.created", "data": map[string]any{"room": "r", "agents": []event.AgentID{luna.ID}}},
		map[string]any{"id": "m1", "type": "message.ingested", "data": map[string]any{"room": "r", "message": "m1", "who": map[string]any{"agent": luna.ID}, "text": "Good evening."}},
	), "Content-Type", batch)
	if got.status != 200 || bytes.Count(got.body, []byte(`"accepted"`)) != 2 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	r.settle()
	e := luna.explanation()
	if len(e.Ratings) != 1 || e.Ratings[0].Channel != "review" {
		t.Errorf("the mark was not joined to its message: %+v", e.Ratings)
	}
	// Again: nothing changes.
	again := elsewhere.raw("POST", "/v1/events", items(give("f1", "m1")), "Content-Type", batch)
	if again.status != 200 || !strings.Contains(string(again.body), `"duplicate"`) {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	if e := luna.explanation(); len(e.Ratings) != 1 {
		t.Errorf("given again it counts again: %+v", e.Ratings)
	}
}

// TestFeedbackThatNeverArrives is listed after an hour, and joined by hand when
// what it is about came after all.
func TestFeedbackThatNeverArrives(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	forum := r.platform("forum")
	mark := item("f", "feedback.given", map[string]any{"message": "m", "who": map[string]string{"person": "bob"}, "mark": 1})
	if a := forum.send("POST", "/v1/events", mark, "Content-Type", oneEvent); a.status != 202 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var letters []Letter
	r.admin.must("GET", "/v1/admin/dead-letters", nil, &letters)
	if len(letters) != 0 {
		t.Errorf("at once: %+v", letters)
	}
	r.clock.advance(61 * time.Minute)
	r.admin.must("GET", "/v1/admin/dead-letters", nil, &letters)
	if len(letters) != 1 || letters[0].Group != "feedback-waiting" || letters[0].Reason != "never_arrived" || letters[0].Subject == "" {
		t.Fatalf("after an hour: %+v", letters)
	}
	replay := "/v1/admin/dead-letters/feedback-waiting/" + letters[0].ID + "/replay"
	var done struct{ Status string }
	r.admin.must("POST", replay, nil, &done)
	if done.Status != "waiting" {
		t.Errorf("replayed too soon: %s", done.Status)
	}
	for _, it := range []map[string]any{
		item("r", "room.created", map[string]any{"room": "r", "agents": []event.AgentID{luna.ID}}),
		item("m", "message.ingested", map[string]any{"room": "r", "message": "m", "who": map[string]any{"agent": luna.ID}, "text": "Good evening."}),
	} {
		if a := forum.send("POST", "/v1/events", it, "Content-Type", oneEvent); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	r.settle()
	r.admin.must("POST", replay, nil, &done)
	if e := luna.explanation(); done.Status != "replayed" || len(e.Ratings) != 1 {
		t.Errorf("replayed: %s, ratings %+v", done.Status, e.Ratings)
	}
	r.admin.must("GET", "/v1/admin/dead-letters", nil, &letters)
	if len(letters) != 0 {
		t.Errorf("afterwards: %+v", letters)
	}
	refusal(t, r.admin.raw("POST", replay, []byte("{}")), 404, "not_found")
}
