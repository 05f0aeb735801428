package app

import (
	"maps"
	"slices"
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/provider/providertest"
)

// TestAgentsAnswerEachOther: in a group an agent that another one speaks to answers it,
// three times in a row at most, not more often a day than it may and not in its quiet
// hours; and nothing of it is taken for a person's opinion.
func TestAgentsAnswerEachOther(t *testing.T) {
	t.Parallel()
	steps := make([]providertest.Step, 40)
	for i := range steps {
		steps[i].Reply = []string{"@sol and @luna, what do you think?"} // nobody calls themselves
	}
	model := providertest.NewFake(t, steps...)
	r := run(t, t.TempDir(), func(c *Config) {
		c.Provider.Offline, c.Provider.BaseURL, c.Provider.Model = false, model.URL, "small-1"
	})
	ada := r.person("Ada")
	luna, sol := ada.make("Luna", nil), ada.make("Sol", nil)
	name := map[event.AgentID]string{luna.ID: "Luna", sol.ID: "Sol"}
	var room struct{ ID string }
	ada.must("POST", "/v1/rooms", map[string]any{"agents": []event.AgentID{luna.ID, sol.ID}}, &room)
	den := &companion{p: ada, room: room.ID}
	said, newest := 0, event.DecisionID("")
	// talk says something; then those speak, and Sol is silent at last.
	talk := func(text, reason string, want ...string) {
		t.Helper()
		said++
		ada.must("POST", "/v1/rooms/"+room.ID+"/messages", map[string]string{"text": text}, nil)
		r.ask("Sol is silent after "+text+": "+reason, func() bool {
			var did struct {
				LastNActions []struct{ DecisionID event.DecisionID }
			}
			if ada.must("GET", sol.path("/learning"), nil, &did); len(did.LastNActions) == 0 {
				return false
			}
			last := did.LastNActions[len(did.LastNActions)-1].DecisionID
			var d struct{ Decision event.ReplyGenerated }
			ada.must("GET", "/v1/decisions/"+string(last), nil, &d)
			if last == newest || d.Decision.Action != "silence" || !slices.Equal(d.Decision.Reasons, []string{reason}) {
				return false
			}
			newest = last
			return true
		})
		r.settle()
		var got []string
		for _, m := range den.all().Messages {
			if int(m.Sequence) > said {
				got = append(got, name[m.Author.AgentID])
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %v spoke, want %v", text, got, want)
		}
		said += len(want)
	}

	talk("@luna hello", "agent_turns", "Luna", "Sol", "Luna")
	talk("@luna go on", "agent_turns", "Luna", "Sol", "Luna") // a person spoke
	talk("@luna go on", "agent_turns", "Luna", "Sol", "Luna")
	talk("@luna go on", "daily_cap", "Luna") // both did three times what no person asked for
	r.clock.advance(24 * time.Hour)
	talk("@luna good morning", "agent_turns", "Luna", "Sol", "Luna")
	ada.must("PUT", sol.path("/settings"), map[string]any{"quiet": map[string]any{"zone": "UTC", "from": 8, "to": 12}}, nil)
	r.settle()
	talk("@luna hush", "quiet_hours", "Luna")
	talk("@sol you too", "quiet_hours", "Sol", "Luna") // a person is answered

	ada.must("POST", "/v1/rooms/"+room.ID+"/end", nil, nil)
	r.settle()
	toPeople := map[string][]int{}
	if err := r.eachEvent(t.Context(), every, func(e event.Event) error {
		switch e.Type {
		case event.FeedbackCreated{}.EventType():
			p, err := event.As[event.FeedbackCreated](e)
			if p.RaterID != ada.ID {
				t.Errorf("%+v", p)
			}
			return err
		case event.SessionEnded{}.EventType():
			p, err := event.As[event.SessionEnded](e)
			toPeople[name[p.AgentID]] = append(toPeople[name[p.AgentID]], p.AgentMessages)
			if len(p.People) != 1 || p.People[0].PersonID != ada.ID {
				t.Errorf("%+v", p)
			}
			return err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := map[string][]int{"Luna": {4, 2}, "Sol": {0, 1}}; !maps.EqualFunc(want, toPeople, slices.Equal) {
		t.Errorf("they said %v to people, want %v", toPeople, want)
	}
	r.sameOnRebuild()
}
