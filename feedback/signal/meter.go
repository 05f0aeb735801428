package signal

import (
	"math"

	"rapport/event"
	"rapport/policy"
)

// Meter is the version of Measure, TextMeter its name in records.
const (
	Meter     = 1
	TextMeter = "text_meter/1"
)

// Measure reads levels from the features of a message that no variation of ours
// produced:
//
//	brevity   = 1 − ln(words/5)/ln(40), clipped to [0,1]: 5 words → 1, 200 → 0
//	curiosity = (questions + ¼)/(questions + 1): none → .25, one → .625
//
// Words are characters/5 where the detector counted none. Only these two are
// audible in counts; the other traits are not measured.
func Measure(f event.Features) event.Measured {
	words := float64(f.Words)
	if words <= 0 {
		words = float64(f.Chars) / 5
	}
	q := float64(max(0, f.Questions))
	return event.Measured{Meter: Meter, Levels: map[string]float64{
		policy.Brevity.String():   round(min(1, max(0, 1-math.Log(max(1, words)/5)/math.Log(40)))),
		policy.Curiosity.String(): round((q + .25) / (q + 1)),
	}}
}
