package learning

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/policy"
)

// TestLastActions: the newest ten decisions in the order of time, at most two of them
// silences after what another agent said, whatever order they come in.
func TestLastActions(t *testing.T) {
	t.Parallel()
	var said []event.ReplyGenerated
	for i := range 30 {
		p := event.ReplyGenerated{DecisionID: event.DecisionID(fmt.Sprintf("d%02d", i)), Action: "silence"}
		switch i % 3 {
		case 0:
			p.Action, p.PersonID = "reply", "ann"
		case 2:
			p.PersonID = "ann"
		}
		said = append(said, p)
	}
	want := []string{"d18", "d20", "d21", "d23", "d24", "d25", "d26", "d27", "d28", "d29"}
	for _, order := range []func(i int) int{func(i int) int { return i }, func(i int) int { return 29 - i }, func(i int) int { return i * 7 % 30 }} {
		a := actions{Distribution: map[string]int64{}}
		for i := range said {
			p := said[order(i)]
			a.note(event.Micros(order(i)), &p)
		}
		var got []string
		for _, x := range a.Last {
			got = append(got, string(x.DecisionID))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// TestAnActionWeightIsLearned: an owner whose talks in small groups are better the
// less the agent says unasked; replies that nobody's weight decided say nothing.
func TestAnActionWeightIsLearned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newStory("a")
	b.feed(1, s.events...)
	r := policy.NewStream([32]byte{6})
	last, moves := s.doc.ActionPolicy, 0
	for k := range 120 {
		chance := .2 + .7*r.Float64()
		e := s.session(policy.Neutral())
		reply, _ := event.As[event.ReplyGenerated](e)
		reply.Context, reply.Chance, reply.Reasons = event.ContextGroupSmall, &chance, []string{"reply_frequency"}
		if k%10 == 9 {
			reply.Reasons = append(reply.Reasons, "floor_share")
		}
		if reply.PersonID = "ann"; k%10 == 8 {
			reply.PersonID = "" // to another agent
		}
		f := s.feedback(event.ChannelSession, 0)
		switch {
		case chance < .4:
			f.Level = "loved"
		case chance < .6:
			f.Level = "meh"
		default:
			f.Level = "not_great"
		}
		b.feed(Batch, event.New("test", e.ID, e.Time, reply), s.add(f), s.add(s.engagement(.7)))
		for _, p := range s.answer(b) {
			var d policy.Document
			if err := json.Unmarshal(p.Policy, &d); err != nil {
				t.Fatal(err)
			}
			for name, v := range policy.Diff(policy.Document{ActionPolicy: last}, policy.Document{ActionPolicy: d.ActionPolicy}).ActionPolicyDelta {
				if name != "replyFrequency.groupSmall" || math.Abs(v) > .02+1e-9 {
					t.Fatalf("%s moved by %v", name, v)
				}
				moves++
			}
			last = d.ActionPolicy
		}
	}
	if block := b.state("a").Actions[fold.ReplyGroupSmall]; block.Episodes != 96 {
		t.Errorf("%d episodes had a part of the weight, want 96", block.Episodes)
	}
	if f := s.doc.ActionPolicy.ReplyFrequency; moves == 0 || f.GroupSmall > .6 || f.GroupLarge != .4 {
		t.Errorf("after %d moves the frequencies are %+v", moves, f)
	}
	// the owner's word counts and holds
	s.doc.ActionPolicy.ReplyFrequency.GroupSmall = .9
	s.doc.Version++
	b.feed(1, s.add(event.AgentUpdated{AgentState: s.state(), Change: event.Change{Kind: event.ChangeSettings, By: policy.ByOwner, Actions: []string{"replyFrequency.groupSmall"}}}))
	if block := b.state("a").Actions[fold.ReplyGroupSmall]; block.Level != .9 || block.Hold != 10 {
		t.Errorf("after the owner set it the weight is %v, held for %d", block.Level, block.Hold)
	}
}
