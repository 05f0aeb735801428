package signal

import (
	"rapport/event"
	"rapport/internal/meter"
	"rapport/policy"
)

// Meter is the version of Measure, TextMeter its name in records.
const (
	Meter     = 1
	TextMeter = "text_meter/1"
)

// Measure reads levels from the features of a message that no variation of ours
// produced: meter.Brevity of its words, meter.Curiosity of its questions. Words are
// characters/5 where the detector counted none. Only these two are audible in
// counts; the other traits are not measured.
func Measure(f event.Features) event.Measured {
	words := float64(f.Words)
	if words <= 0 {
		words = float64(f.Chars) / 5
	}
	return event.Measured{Meter: Meter, Levels: map[string]float64{
		policy.Brevity.String():   round(meter.Brevity(words)),
		policy.Curiosity.String(): round(meter.Curiosity(f.Questions)),
	}}
}
