package learning

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/event"
	"rapport/learning/wire"
)

// TestSignalsReadBack: what is read is what was counted, and nothing that was
// cut short is read.
func TestSignalsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		word := func(label string) string {
			return rapid.SampledFrom([]string{"", "x", "thumb", "ünï", event.HashID("a"), event.HashID("b")}).Draw(rt, label)
		}
		score := func(label string) *float64 {
			v := wire.Micro(rapid.Float64Range(-1, 1).Draw(rt, label))
			return rapid.SampledFrom([]*float64{nil, &v}).Draw(rt, label+" given")
		}
		s := &Signal{
			Event: Event{AgentID: "a", Timestamp: 7, PersonID: word("person"), ActionType: word("action"),
				ContextTags: rapid.SliceOfN(rapid.String(), 0, 300).Draw(rt, "tags"), FeedbackScore: score("feedback"), EngagementScore: score("engagement")},
			Channel: word("channel"), Detector: word("detector"), Session: word("session"), Reward: rapid.Int64().Draw(rt, "reward"),
			Rated: rapid.Bool().Draw(rt, "rated"), Good: rapid.Bool().Draw(rt, "good"),
		}
		if len(s.ContextTags) == 0 {
			s.ContextTags = nil
		}
		for range rapid.IntRange(0, 3).Draw(rt, "places") {
			s.Places = append(s.Places, place{rapid.Int64().Draw(rt, "at"), word("place")})
		}
		b := s.append(nil)
		back, err := readSignal("a", 7, b)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			rt.Fatal(diff)
		}
		if n := rapid.IntRange(0, len(b)-1).Draw(rt, "cut"); len(s.Places) == 0 {
			if _, err := readSignal("a", 7, b[:n]); err == nil {
				rt.Fatalf("%d of %d bytes are read", n, len(b))
			}
		}
	})
}
