package fold

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/learning/fusion"
	"rapport/policy"
)

func someEntries() []*Entry {
	return []*Entry{
		{At: 5, ID: "x", Act: &Act{Kind: Edited, Touched: 3, Levels: policy.Neutral(), Hi: policy.Neutral(), Pinned: 4, Pace: 2, Learning: true}},
		{At: 7, ID: event.HashID("a"), About: Episode{Decided: true, DecidedAt: 8, Decision: "d", Rendered: policy.Traits{.1, .25, 1}, Consent: true,
			Contributions: []Contribution{
				{Feedback: "a", Rater: event.HashID("r"), At: 9, Owner: true, Source: fusion.OwnerThumb, Value: -1, Share: .333333},
				{Feedback: event.HashID("b"), Rater: "g", Source: fusion.Guest, Toward: -1, Trait: policy.Brevity, Share: 1, Measured: 2, Levels: policy.Traits{0, .5}},
			}}},
		{At: 8, ID: "y", Act: &Act{Kind: Settings, Hi: policy.Neutral(), Set: 1 << Invite, Actions: Actions{.9, .6, .7, .4, .15, .03, .02}}},
		{At: 9, ID: "z", About: Episode{Did: byte(ReplyGroupLarge) + 1, Weight: .4, Decided: true}},
		{At: 9, ID: "za", About: Episode{Decided: true, Inaudible: 1<<policy.Humor | 1<<policy.Sarcasm}},
		{At: 9, ID: "zb", About: Episode{Decided: true, Inaudible: 1 << policy.Brevity, Did: 1, Weight: .4}},
		{At: 10, ID: "v", Adopt: &Versions{}},
	}
}

func of(t testing.TB, list []*Entry) State {
	t.Helper()
	s, err := Of(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEntriesReadBack(t *testing.T) {
	t.Parallel()
	for _, e := range someEntries() {
		e.About.Contributions = sortedContributions(e.About.Contributions)
		b := e.Append(nil)
		back, err := ReadEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Error(diff)
		}
	}
}

func sortedContributions(cs []Contribution) []Contribution {
	var e Episode
	for _, c := range cs {
		e.Put(c)
	}
	return e.Contributions
}

func TestStateReadsBack(t *testing.T) {
	t.Parallel()
	var list []*Entry
	for _, e := range someEntries() {
		e.About.Contributions = sortedContributions(e.About.Contributions)
		list = append(list, e)
	}
	state := of(t, list)
	b := state.Append(nil)
	if len(b) != Size || Size > 2500 {
		t.Fatalf("%d bytes, Size says %d", len(b), Size)
	}
	var back State
	if !back.Read(b) || back != state {
		t.Fatal("another state came back")
	}
	b[0]++
	if back.Read(b) {
		t.Fatal("a state of another generation was read")
	}
}

// TestAnAgentWithTenMillionUpdates: nothing that is counted runs over, the state stays
// as large as ever and finite, and what the owner says still counts.
func TestAnAgentWithTenMillionUpdates(t *testing.T) {
	t.Parallel()
	const many = 10_000_000
	s := Started(policy.Neutral())
	var f Folder
	r := policy.NewStream([32]byte{4})
	say := func(n int, humor float64) {
		t.Helper()
		for range n {
			e := Entry{At: 1, ID: "e", About: Episode{Decided: true, Consent: true, Rendered: policy.Neutral(), Did: byte(Post) + 1, Weight: .3 * r.Float64()}}
			for j := range e.About.Rendered {
				e.About.Rendered[j] = min(1, max(0, s.Theta[j]+.3*(r.Float64()-.5)))
			}
			d := e.About.Rendered[policy.Humor] - humor
			e.About.Put(Contribution{Feedback: "f", Rater: "o", Owner: true, Source: fusion.OwnerRating, Value: max(-1, 1-8*d*d), Share: 1})
			e.About.Put(Contribution{Feedback: "g", Rater: "guest", Source: fusion.Guest, Value: .5, Share: 1})
			e.About.Put(Contribution{Feedback: "h", Rater: "o", Owner: true, Source: fusion.Engagement, Value: .7, Share: 1})
			if err := f.Apply(&s, &e); err != nil {
				t.Fatal(err)
			}
		}
	}
	say(20_000, .8)
	if math.Abs(s.Theta[policy.Humor]-.8) > .1 {
		t.Fatalf("humor is %v", s.Theta[policy.Humor])
	}
	// what ten million leave: sums are forgotten, counts are not
	s.Entries, s.Owner, s.Guests, s.Meant, s.Shown = many, many, .3*many, many, .3*many
	for j := range s.Episodes {
		s.Episodes[j], s.Info[j] = many, many
	}
	for k := range s.Actions {
		s.Actions[k].Episodes, s.Actions[k].Info = math.MaxUint16, many
	}
	say(3_000, .3)
	if math.Abs(s.Theta[policy.Humor]-.3) > .1 {
		t.Errorf("after the owner's taste changed humor is %v", s.Theta[policy.Humor])
	}
	if b := &s.Actions[Post]; s.Entries != many+3_000 || b.Episodes != math.MaxUint16 || !(b.Info >= many) {
		t.Errorf("%d entries, the weight of posts has %d episodes and %v ratings", s.Entries, b.Episodes, b.Info)
	}
	var back State
	if b := s.Append(nil); len(b) != Size || !back.Read(b) || back != s {
		t.Errorf("the state takes %d bytes, %d are usual", len(b), Size)
	}
}

func FuzzReadEntry(f *testing.F) {
	for _, e := range someEntries() {
		f.Add(e.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ReadEntry(b)
		if err != nil {
			return
		}
		if got := e.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("read\n%x\nwritten\n%x", b, got)
		}
		act := &Entry{Act: &Act{Kind: Created, Levels: policy.Neutral(), Baseline: policy.Neutral(), Hi: ones(), Learning: true, Alive: true}}
		s, back := of(t, []*Entry{act, e, act, e, e}), State{}
		if !back.Read(s.Append(nil)) || back != s {
			t.Fatal("an entry that can be read leads to a state that cannot")
		}
	})
}

func FuzzReadState(f *testing.F) {
	s := of(f, someEntries())
	f.Add(s.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s State
		if s.Read(b) {
			if got := s.Append(nil); !bytes.Equal(got, b) {
				t.Fatal("a state that was read is written differently")
			}
		}
	})
}

// A talk full of weak signals moves no more than its strongest by a third, and each
// keeps its own noise through the encoding.
func TestBehaviourOfOneTalkIsOneGroup(t *testing.T) {
	t.Parallel()
	episode := func(sources ...fusion.Source) []*Entry {
		e := &Entry{At: 1, ID: "e", About: Episode{Decided: true, Consent: true, Rendered: policy.Neutral()}}
		e.About.Put(Contribution{Feedback: "0", Rater: "owner", Owner: true, Source: fusion.OwnerRating, Value: 1, Share: 1})
		for i, s := range sources {
			e.About.Put(Contribution{Feedback: string(rune('a' + i)), Rater: "owner", Owner: true, Source: s, Value: 1, Share: 1, Extra: float64(i%2) * .01})
		}
		back, err := ReadEntry(e.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Fatal(diff)
		}
		return []*Entry{e}
	}
	shown := func(sources ...fusion.Source) float64 {
		s, err := Of(episode(sources...), Defaults())
		if err != nil {
			t.Fatal(err)
		}
		return s.Shown
	}
	one, many := shown(fusion.Engagement), shown(fusion.Engagement, fusion.Reply, fusion.Sentiment, fusion.Trouble, fusion.FollowUp, fusion.Tag, fusion.Stayed, fusion.Reply, fusion.Reply, fusion.Sentiment)
	if one <= 0 || many <= one || many > 4./3*one+1e-9 {
		t.Errorf("ten signals of a talk count %v, one %v", many, one)
	}
}

// What a model's replies do not change with is learned nothing of, and everything
// else as before.
func TestInaudibleTraitsAreNotLearned(t *testing.T) {
	t.Parallel()
	list := func(deaf policy.Mask) (out []*Entry) {
		out = append(out, someEntries()[0])
		out[0].Act.Pinned, out[0].Act.Touched = 0, 0
		out[0].Act.Kind, out[0].Act.Baseline, out[0].Act.Alive = Created, policy.Neutral(), true
		for j := range out[0].Act.Hi {
			out[0].Act.Hi[j] = 1
		}
		r := policy.NewStream([32]byte{7})
		for i := range 60 {
			x := policy.Neutral()
			x[policy.Humor] += .3 * (r.Float64() - .5)
			x[policy.Sarcasm] += .3 * (r.Float64() - .5)
			liked := 6 * (x[policy.Humor] - .5 + x[policy.Sarcasm] - .5)
			out = append(out, &Entry{At: int64(10 + i), ID: event.HashID("e", string(rune('a'+i))), About: Episode{Decided: true, Consent: true, Rendered: x, Inaudible: deaf,
				Contributions: []Contribution{{Feedback: "f" + string(rune('a'+i)), Rater: "r", At: int64(10 + i), Owner: true, Source: fusion.OwnerRating, Value: min(1, max(-1, liked)), Share: 1}}}})
		}
		return out
	}
	heard, deaf := of(t, list(0)), of(t, list(1<<policy.Sarcasm))
	if heard.Info[policy.Sarcasm] == 0 || deaf.Info[policy.Sarcasm] != 0 {
		t.Errorf("information on sarcasm: %v where it is heard, %v where not", heard.Info[policy.Sarcasm], deaf.Info[policy.Sarcasm])
	}
	if deaf.Theta[policy.Sarcasm] != .5 || heard.Theta[policy.Humor] <= .5 || deaf.Theta[policy.Humor] <= .5 {
		t.Errorf("levels %v where all is heard, %v where sarcasm is not", heard.Theta, deaf.Theta)
	}
}
