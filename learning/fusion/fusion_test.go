package fusion

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestOneOwnerRatingWeighsOne(t *testing.T) {
	t.Parallel()
	l := Defaults()
	y, w := l.Fused(l.Of(OwnerRating, .5, 1))
	if math.Abs(y-.5) > 1e-12 || math.Abs(w-1) > 1e-12 {
		t.Errorf("y %v w %v, want .5 and 1", y, w)
	}
	if y, w := l.Fused(Evidence{}); y != 0 || w != 0 {
		t.Errorf("nothing said gives y %v w %v", y, w)
	}
	if y, _ := l.Fused(l.Of(Engagement, .65, 1)); y != 0 {
		t.Errorf("an engagement of .65 says %v", y)
	}
}

// The formula of the design page, written the long way.
func TestFusedFollowsTheFormula(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := Defaults()
		var e Evidence
		var num, pi float64
		for range rapid.IntRange(1, 6).Draw(rt, "signals") {
			s := Source(rapid.IntRange(0, int(NSources)-1).Draw(rt, "source"))
			val, g := rapid.Float64Range(-1, 1).Draw(rt, "value"), rapid.Float64Range(.1, 1).Draw(rt, "g")
			e.Add(l.Of(s, val, g))
			num += g * l[s].B * (val - l[s].A) / l[s].V
			pi += g * l[s].B * l[s].B / l[s].V
		}
		y, w := l.Fused(e)
		wantY, wantW := max(-2.5, min(2.5, num/pi)), (.05+.12)/(.05+1/pi)
		if math.Abs(y-wantY) > 1e-9 || math.Abs(w-wantW) > 1e-9 {
			rt.Fatalf("y %v w %v, want %v and %v", y, w, wantY, wantW)
		}
		before := e.Num / e.Pi
		if left := e.Cap(pi / 3); math.Abs(left-pi/3) > 1e-9 || math.Abs(e.Num/e.Pi-before) > 1e-9 {
			rt.Fatalf("a cap to %v left %v and moved the estimate", pi/3, left)
		}
	})
}
