package signal

import (
	"math"
	"testing"

	"rapport/event"

	"pgregory.net/rapid"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	for _, id := range []string{Engagement, LeftAfter, Reply, Reaction} {
		if _, err := Lookup(id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"", "engagement", "engagement/2", "mood/1"} {
		if _, err := Lookup(id); err == nil {
			t.Errorf("%q is not a signal and was found", id)
		}
	}
	d, _ := Lookup(Reply)
	for _, bad := range []float64{.4, 1.1, math.NaN(), math.Inf(1)} {
		if d.Check(bad) == nil {
			t.Errorf("reply of %v was accepted", bad)
		}
	}
}

func TestEngagement(t *testing.T) {
	t.Parallel()
	habit := Baseline{}
	for range Known {
		habit = habit.With(2, 20, 30_000)
	}
	for _, c := range []struct {
		name   string
		turns  int
		chars  int
		pause  int64
		b      Baseline
		want   float64
		absent bool
	}{
		{name: "never spoke", absent: true},
		{name: "population, never answered", turns: 4, chars: 60, want: .5},
		{name: "population, median pause", turns: 4, chars: 60, pause: 78_000, want: 2. / 3},
		{name: "population, a deviation slow", turns: 4, chars: 60, pause: 560_000, want: 1. / 3},
		{name: "own habit at its mean", turns: 2, chars: 20, pause: 30_000, b: habit, want: 2. / 3},
		{name: "own habit, slow for them", turns: 2, chars: 20, pause: 60_000, b: habit, want: 1. / 3},
		{name: "same by the population", turns: 2, chars: 20, pause: 60_000, want: (2./6 + 20./80 + 1) / 3},
	} {
		got, ok := EngagementOf(c.turns, c.chars, c.pause, c.b)
		if ok == c.absent || math.Abs(got-c.want) > 2e-3 {
			t.Errorf("%s: %v %v, want %v", c.name, got, ok, c.want)
		}
	}
}

func TestRangesAndOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type session struct {
			turns, chars int
			pause        int64
		}
		sessions := rapid.SliceOf(rapid.Custom(func(t *rapid.T) session {
			return session{rapid.IntRange(-3, 5000).Draw(t, "turns"), rapid.IntRange(-3, 100_000).Draw(t, "chars"), rapid.Int64Range(-5, 1<<40).Draw(t, "pause")}
		})).Draw(t, "sessions")
		engagement, _ := Lookup(Engagement)
		reply, _ := Lookup(Reply)
		var b Baseline
		for _, s := range sessions {
			if e, ok := EngagementOf(s.turns, s.chars, s.pause, b); ok {
				if err := engagement.Check(e); err != nil {
					t.Fatal(err)
				}
				b = b.With(s.turns, s.chars, s.pause)
			}
			if err := reply.Check(ReplyScore(s.pause, b)); err != nil {
				t.Fatal(err)
			}
			b.Replies = b.Replies.With(s.pause)
		}
		var forth, back Baseline
		for i := range sessions {
			a, z := sessions[i], sessions[len(sessions)-1-i]
			forth, back = forth.With(a.turns, a.chars, a.pause), back.With(z.turns, z.chars, z.pause)
		}
		if forth != back {
			t.Fatalf("the order of sessions changed the habit: %+v, %+v", forth, back)
		}
	})
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f                  event.Features
		brevity, curiosity float64
	}{
		{event.Features{}, 1, .25},
		{event.Features{Words: 5, Questions: 1}, 1, .625},
		{event.Features{Words: 200, Questions: 3}, 0, .8125},
		{event.Features{Words: 5000}, 0, .25},
		{event.Features{Chars: 1000}, 0, .25},
	} {
		m := Measure(c.f)
		if m.Meter != Meter || m.Levels["brevity"] != c.brevity || m.Levels["curiosity"] != c.curiosity || len(m.Levels) != 2 {
			t.Errorf("%+v: %+v, want %v %v", c.f, m, c.brevity, c.curiosity)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := event.Features{Words: rapid.Int().Draw(t, "words"), Chars: rapid.Int().Draw(t, "chars"), Questions: rapid.Int().Draw(t, "questions")}
		for name, v := range Measure(f).Levels {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("%s %v", name, v)
			}
		}
		longer := f
		longer.Words = max(0, f.Words) / 2
		if f.Words > 1 && Measure(f).Levels["brevity"] > Measure(longer).Levels["brevity"] {
			t.Fatal("a longer text is briefer")
		}
	})
}
