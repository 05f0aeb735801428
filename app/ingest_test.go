package app

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"rapport/event"
	"rapport/feedback"
)

// payload is a sample of what a platform sends.
func payload(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("door/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fates posts a payload and gives what became of it.
func (p *person) fates(platform string, body []byte) (status int, out []string) {
	p.rig.t.Helper()
	a := p.raw("POST", "/v1/ingest/"+platform, body)
	var results []struct{ Status, Reason string }
	if a.status < 300 {
		if err := json.Unmarshal(a.body, &results); err != nil {
			p.rig.t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
	}
	for _, r := range results {
		out = append(out, r.Status+r.Reason)
	}
	return a.status, out
}

type given struct {
	Items []feedback.Item
}

func (c *companion) given() (s given) {
	c.p.rig.t.Helper()
	c.p.rig.settle()
	c.p.must("GET", "/v1/feedback?agent="+string(c.ID), nil, &s)
	return s
}

// TestFeedbackFromElsewhere: what people on other platforms press and react reaches
// the learner, once, and goes when they take it back or the message goes.
func TestFeedbackFromElsewhere(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	elsewhere := r.platform("workspace")
	door := func(id, typ string, data map[string]any) {
		t.Helper()
		if a := elsewhere.send("POST", "/v1/events", item(id, typ, data), "Content-Type", oneEvent); a.status != 200 {
			t.Fatalf("%s: %d %s", id, a.status, a.body)
		}
	}
	rooms := map[string]string{"T01/C01": "1767225600.000200", "345626669114982999": "1456003800000000000", "-100123": "77", "19:abc@thread.tacv2": "1767225600001"}
	people := map[string]string{"T01/C01": "T01/U01ADA", "345626669114982999": "53908232506183680", "-100123": "501", "19:abc@thread.tacv2": "29:1ada"}
	for room, message := range rooms {
		door("room "+room, "room.created", map[string]any{"room": room, "agents": []event.AgentID{luna.ID}})
		door("join "+room, "room.joined", map[string]any{"room": room, "who": map[string]string{"person": people[room]}, "consent": true})
		door("say "+room, "message.ingested", map[string]any{"room": room, "message": room + "/" + message, "who": map[string]any{"agent": luna.ID}, "text": "What a day it was!"})
	}
	r.settle()
	for _, c := range []struct {
		platform, sample string
		fates            string
	}{
		{"slack", "slack-buttons", "accepted"}, {"slack", "slack-buttons", "duplicate"},
		{"slack", "slack-reaction-added", "accepted"}, {"slack", "slack-reaction-removed", "accepted"}, {"slack", "slack-reaction-added", "duplicate"},
		{"teams", "teams-feedback", "accepted"}, {"teams", "teams-reactions", "accepted duplicate"},
		{"discord", "discord-button", "accepted"}, {"discord", "discord-reaction-added", "accepted"}, {"discord", "discord-reaction-added", "duplicate"},
		{"telegram", "telegram-reaction", "duplicate accepted"}, {"telegram", "telegram-reaction", "duplicate duplicate"}, {"telegram", "telegram-button", "accepted"},
	} {
		if status, got := elsewhere.fates(c.platform, payload(t, c.sample)); status != 200 || strings.Join(got, " ") != c.fates {
			t.Errorf("%s: %d %v, want %s", c.sample, status, got, c.fates)
		}
	}
	s := luna.given()
	var values []string
	for _, i := range s.Items {
		values = append(values, i.Kind+" "+i.Value)
		if i.By != "a guest" || i.MessageID != "" {
			t.Errorf("the owner sees who or where: %+v", i)
		}
		if strings.Contains(i.Comment, "too long") != (i.Value == "down" && i.Comment != "") {
			t.Errorf("comment: %+v", i)
		}
	}
	if len(s.Items) != 4 {
		t.Errorf("the owner reads %v, want the four buttons", values)
	}
	e := luna.explanation()
	used := 0
	for _, one := range e.Ratings {
		if one.Channel == "reaction" && one.By == "a guest" && one.Used {
			used++
		}
	}
	if used < 4 {
		t.Errorf("%d reactions count: %+v", used, e.Ratings)
	}
	// The log has no words.
	var seen int
	err := r.eachEvent(t.Context(), every, func(e event.Event) error {
		seen++
		for _, words := range []string{"too long", "What a day", "U01ADA", "53908232506183680"} {
			if bytes.Contains(e.Data, []byte(words)) {
				t.Errorf("%q is on the log: %s", words, e.Data)
			}
		}
		return nil
	})
	if err != nil || seen < 20 {
		t.Errorf("%d records of the log: %v", seen, err)
	}
	// What goes takes with it what was said of it.
	door("gone", "message.deleted", map[string]any{"room": "T01/C01", "message": "T01/C01/1767225600.000200"})
	door("edit", "message.edited", map[string]any{"room": "-100123", "message": "-100123/77", "text": "What a day."})
	s = luna.given()
	if len(s.Items) != 3 {
		t.Errorf("%d items are left: %+v", len(s.Items), s.Items)
	}
	edited := 0
	for _, i := range s.Items {
		if i.Edited {
			edited++
		}
	}
	if edited != 1 {
		t.Errorf("%d are marked as said of another text", edited)
	}
	if status, got := elsewhere.fates("slack", bytes.Replace(payload(t, "slack-buttons"), []byte("1767225601.123456"), []byte("1767225609.5"), 1)); status != 422 {
		t.Errorf("a button under a message that is gone: %d %v", status, got)
	}
	// Nobody owns by saying so, and a person's token brings nothing.
	if status, _ := ada.fates("slack", payload(t, "slack-buttons")); status != 403 {
		t.Errorf("a person's token: %d", status)
	}
}

// TestTakenOutAgain: the owner reads in which version a press was used, and in which
// it was taken out again.
func TestTakenOutAgain(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	first := luna.version()
	var presses []event.FeedbackID
	for i := 0; luna.version() == first; i++ {
		if i == 40 {
			t.Fatal("the agent never moved: this test tells nothing")
		}
		s := luna.say(question)
		presses = append(presses, ada.give("tone", "funnier", "messageId", string(s.ID)).FeedbackID)
		ada.must("POST", "/v1/rooms/"+luna.room+"/end", nil, nil)
		r.settle()
	}
	effect := func(id event.FeedbackID) (i feedback.Item) {
		r.settle()
		ada.must("GET", "/v1/feedback/"+string(id), nil, &i)
		if i.Effect == nil {
			t.Fatalf("%+v: nothing is told of what it did", i)
		}
		return i
	}
	last := presses[len(presses)-1]
	if i := effect(last); len(i.Effect.UsedIn) != 1 || !strings.HasPrefix(i.Effect.Says, "used in v") || i.Effect.UsedIn[0].Moved["humor"] <= 0 {
		t.Errorf("%+v %+v", i, i.Effect)
	}
	moved := luna.version()
	for _, id := range presses {
		ada.must("DELETE", "/v1/feedback/"+string(id), nil, nil)
	}
	i := effect(last)
	for _, id := range presses {
		if o := effect(id); len(o.Effect.TakenOutIn) > 0 {
			i = o
		}
	}
	if i.Status != feedback.Retracted || len(i.Effect.TakenOutIn) == 0 || i.Effect.TakenOutIn[0].Version <= moved || !strings.Contains(i.Effect.Says, "withdrawn, taken out in v") {
		t.Errorf("%+v %+v", i, i.Effect)
	}
	for _, x := range luna.explanation().Traits {
		if x.Trait == "humor" && x.Target != .5 {
			t.Errorf("something of it is left: %+v", x)
		}
	}
}
