package app

import (
	"slices"
	"testing"
	"time"

	"rapport/event"
)

// all are a room's messages.
func (c *companion) all() roomPage {
	c.p.rig.t.Helper()
	var page roomPage
	c.p.must("GET", "/v1/rooms/"+c.room+"/messages", nil, &page)
	return page
}

// TestOpening: who opens a talk with an agent that has first words hears one of them,
// and can say what they think of it.
func TestOpening(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, bob := r.person("Ada"), r.person("Bob")
	luna := &companion{p: ada}
	words := []string{"Ahoy!", "Come in.", "You again?"}
	ada.must("POST", "/v1/agents", map[string]any{"name": "Luna", "greeting": words[0]}, luna)
	ada.must("PATCH", luna.path(""), map[string]any{"openings": words[1:]}, nil)
	r.settle()
	for _, p := range []*person{ada, bob} {
		talk := luna.with(p)
		r.ask("the agent opens the talk", func() bool { return len(talk.all().Messages) == 1 })
		luna.with(p) // again
		r.settle()
		page := talk.all()
		m := page.Messages[0]
		if len(page.Messages) != 1 || m.Author.AgentID != luna.ID || !slices.Contains(words, m.Text) || m.DecisionID == "" {
			t.Fatalf("%+v", page.Messages)
		}
		if p == bob {
			continue
		}
		var d struct {
			Action   string
			Decision event.ReplyGenerated
		}
		ada.must("GET", "/v1/decisions/"+string(m.DecisionID), nil, &d)
		if o := d.Decision.Opening; d.Action != "reply" || d.Decision.Begins != event.BeginsOpening || o == nil || o.Of != 3 || o.Chance != 1./3 {
			t.Errorf("%+v", d)
		}
		if got := ada.give("thumb", "up", "messageId", string(m.ID)); got.Status == "waiting" {
			t.Errorf("feedback on it does not reach its decision: %+v", got)
		}
		if s := talk.say("Hello"); s.SessionID != d.Decision.SessionID {
			t.Errorf("the answer is of session %s, the opening of %s", s.SessionID, d.Decision.SessionID)
		}
	}
}

// TestAgentBegins: an agent that may begins a talk with its owner the day after, not in
// their night, not while it is paused, and never more often than it may.
func TestAgentBegins(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	talk := func() {
		luna.say("Hello")
		ada.must("POST", "/v1/rooms/"+luna.room+"/end", nil, nil)
		r.settle()
	}
	for range 20 {
		talk()
	}
	r.clock.advance(15 * 24 * time.Hour) // to 9 o'clock UTC
	set := func(quiet string) {
		ada.must("PUT", luna.path("/settings"), map[string]any{"autonomyLevel": 3, "quiet": map[string]any{"zone": quiet, "from": 22, "to": 8},
			"actionPolicy": map[string]any{"replyFrequency": map[string]any{"dmWithOwner": .9, "dmWithOthers": .6, "groupSmall": .7, "groupLarge": .4},
				"postProbability": 0, "commentProbability": 0.1, "inviteProbability": 0, "startThreadProbability": 1, "maxAutonomousActionsPerDay": 1}}, nil)
		r.settle()
	}
	said := func() int { return len(luna.all().Messages) }
	begins := func(what string, after time.Duration, want int) {
		t.Helper()
		before := said()
		r.clock.advance(after)
		if want > 0 {
			r.ask(what, func() bool { return said() == before+want })
		}
		time.Sleep(600 * time.Millisecond) // nothing more comes
		if got := said() - before; got != want {
			t.Fatalf("%s: %d messages, want %d", what, got, want)
		}
	}

	set("Asia/Tokyo") // 18 o'clock there
	talk()
	begins("before the day is over", 19*time.Hour, 0)  // 4 UTC
	begins("in the morning after", 2*time.Hour, 1)     // 6 UTC, 15 there
	begins("nobody answered", 48*time.Hour, 0)         // what it began leads to nothing else
	talk()                                             // 6 UTC
	begins("at night", 20*time.Hour+30*time.Minute, 1) // 2 UTC, 11 there
	set("America/New_York")
	talk()                              // 2 UTC, 21 there
	begins("at night", 24*time.Hour, 0) // 2 UTC, 22 in summer there
	ada.must("POST", luna.path("/pause"), nil, nil)
	r.settle()
	begins("while paused", 40*time.Hour, 0)
}

// TestSilenceIsTold: what an agent kept to itself is recorded with its reasons, and its
// owner can look them up; nobody else can.
func TestSilenceIsTold(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, bob := r.person("Ada"), r.person("Bob")
	luna := ada.make("Luna", nil)
	var room struct{ ID string }
	ada.must("POST", "/v1/rooms", map[string]any{"people": []event.PersonID{bob.ID}, "agents": []event.AgentID{luna.ID}}, &room)
	bob.must("POST", "/v1/rooms/"+room.ID+"/messages", map[string]string{"text": "What a day, everybody."}, nil)
	r.settle()
	var did struct {
		LastNActions []struct {
			DecisionID event.DecisionID
			Action     string
		}
	}
	r.ask("the silence is listed", func() bool {
		ada.must("GET", luna.path("/learning"), nil, &did)
		return len(did.LastNActions) == 1
	})
	var d struct {
		Action   string
		Decision *event.ReplyGenerated
	}
	at := "/v1/decisions/" + string(did.LastNActions[0].DecisionID)
	ada.must("GET", at, nil, &d)
	if d.Action != "silence" || d.Decision == nil || !slices.Equal(d.Decision.Reasons, []string{"autonomy"}) {
		t.Errorf("%+v", d)
	}
	var seen struct{ Decision *event.ReplyGenerated }
	if bob.must("GET", at, nil, &seen); seen.Decision != nil {
		t.Error("who was not answered sees why the owner's agent was silent")
	}
}
