package reward

import "testing"

func TestScore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		channel, level string
		score, v1, v2  float64
	}{
		{"session", "loved", 0, 1, 1},
		{"session", "good", 0, .5, .5},
		{"session", "meh", 0, 0, -.25},
		{"session", "not_great", 0, -1, -1},
		{"session", "", -1, -1, -1},
		{"thumb", "", 1, .8, 1},
		{"thumb", "", -.2, -1, -1},
		{"thumb", "", 0, 0, 0},
		{"more_less", "", .5, .8, 1},
		{"reaction", "", .4, .4, .4},
		{"review", "", 7, 1, 1},
	} {
		if got := Score(V1, c.channel, c.level, c.score); got != c.v1 {
			t.Errorf("v1 of %s %s %v is %v, want %v", c.channel, c.level, c.score, got, c.v1)
		}
		if got := Score(V2, c.channel, c.level, c.score); got != c.v2 {
			t.Errorf("v2 of %s %s %v is %v, want %v", c.channel, c.level, c.score, got, c.v2)
		}
	}
}

func TestFormulaV1(t *testing.T) {
	t.Parallel()
	score := func(v float64) *float64 { return &v }
	for _, c := range []struct {
		name string
		e    Event
		b    Behaviour
		want float64
	}{
		{"thumb up", Event{FeedbackScore: score(.8)}, Behaviour{}, .8},
		{"thumb down and left", Event{FeedbackScore: score(-1)}, Behaviour{LeftAfter: true}, -1},
		{"long session", Event{}, Behaviour{LongPositive: true}, .3},
		{"engaged room, left", Event{}, Behaviour{EngagedRoom: true, LeftAfter: true}, .1},
		{"clamped", Event{FeedbackScore: score(.8)}, Behaviour{LongPositive: true, EngagedRoom: true}, 1},
		{"a guard fired", Event{FeedbackScore: score(.8)}, Behaviour{GuardFired: true}, -.2},
	} {
		got := Of(c.e, c.b)
		if d := got.Value - c.want; d > 1e-12 || d < -1e-12 || got.Version != V1 {
			t.Errorf("%s: %+v, want %v", c.name, got, c.want)
		}
	}
	if b := BehaviourOf("left_after/2"); !b.LeftAfter || b.LongPositive {
		t.Errorf("left_after/2 reads as %+v", b)
	}
}
