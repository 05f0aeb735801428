package learning

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/learning/fusion"
)

// What one detector found becomes a contribution of its own source, with the noise of
// the single signal.
func TestBehavioursHaveSources(t *testing.T) {
	t.Parallel()
	for signal, want := range map[string]fusion.Source{
		"engagement/1": fusion.Engagement, "reply/1": fusion.Reply, "sentiment/2": fusion.Sentiment, "topic_change/1": fusion.TopicChange, "trouble/1": fusion.Trouble,
		"follow_up/1": fusion.FollowUp, "tag/1": fusion.Tag, "slow/1": fusion.Slow, "ignored/1": fusion.Ignored, "abandoned/1": fusion.Abandoned, "stayed/1": fusion.Stayed,
		"invited_again/1": fusion.InvitedAgain, "left_after/9": fusion.LeftAfter, "engaged_room/1": fusion.EngagedRoom, "unheard_of/1": fusion.Behaviour, "": fusion.Behaviour,
	} {
		c := contributionOf(&event.FeedbackCreated{Channel: event.ChannelBehaviour, Signal: signal, Score: .5, Role: event.RoleOwner}, 1, 1)
		if c.Source != want || c.Extra != 0 || !c.Source.Behavioural() || did[want] == "" {
			t.Errorf("%s: %+v", signal, c)
		}
	}
	c := contributionOf(&event.FeedbackCreated{Channel: event.ChannelBehaviour, Signal: "sentiment/2", Score: .5, Noise: .055}, 1, 1)
	if c.Extra != -.075 {
		t.Errorf("%+v", c)
	}
}

// Of what others show an owner hears from five people on, and of each thing too.
func TestGuestsOnlyTogether(t *testing.T) {
	t.Parallel()
	signals := map[string]*Signal{}
	add := func(person, detector string, at event.Micros) {
		signals[fmt.Sprint(len(signals))] = &Signal{Event: Event{PersonID: person, Timestamp: at}, Channel: event.ChannelBehaviour, Detector: detector}
	}
	for i := range 4 {
		add(fmt.Sprint("p", i), "follow_up/1", 10)
		add(fmt.Sprint("p", i), "follow_up/1", 11)
	}
	add("owner", "follow_up/1", 10)
	add("", "engaged_room/1", 10)
	add("before", "follow_up/1", 1)
	if g := guestsOf(signals, "owner", 5); g != nil {
		t.Errorf("four people are told: %+v", g)
	}
	add("p4", "tag/1", 10)
	if d := cmp.Diff(&Guests{People: 5, Showed: map[string]int{}}, guestsOf(signals, "owner", 5)); d != "" {
		t.Error(d)
	}
	add("p4", "follow_up/2", 10)
	if d := cmp.Diff(&Guests{People: 5, Showed: map[string]int{"follow_up": 5}}, guestsOf(signals, "owner", 5)); d != "" {
		t.Error(d)
	}
}
