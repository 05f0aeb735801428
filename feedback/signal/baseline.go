package signal

import "math"

// Known is how many sessions (or replies) make a habit: below it the population's
// constants hold.
const Known = 10

// Moments are the sums of the logarithms of pauses, in thousandths, so that adding
// in any order gives the same numbers.
type Moments struct{ N, Sum, Squares int64 }

// The population's pauses before a reply are log-normal: median 78 s, ninth
// decile 16 min (measured on real chat), so sd = ln(960/78)/1.2816.
const (
	medianPause = 78_000. // ms
	sdPause     = 1.9588
	sdFloor     = .25 // of a person with a very regular pause
)

// With adds a pause in milliseconds; one that is not positive adds nothing.
func (m Moments) With(milli int64) Moments {
	if milli <= 0 {
		return m
	}
	l := int64(math.Round(1000 * math.Log(float64(milli))))
	return Moments{N: m.N + 1, Sum: m.Sum + l, Squares: m.Squares + l*l}
}

// Quickness is 1 − z clipped to [0,1] of a pause: z = (ln pause − mean)/sd over the
// person's own pauses once Known of them exist, over the population's before. A
// pause at or below the mean gives 1, one a deviation above gives 0.
func (m Moments) Quickness(milli int64) float64 {
	mean, sd := math.Log(medianPause), float64(sdPause)
	if m.N >= Known {
		n := float64(m.N)
		mean = float64(m.Sum) / n / 1000
		sd = math.Sqrt(max(0, float64(m.Squares)/n/1e6-float64(mean*mean)))
		sd = max(sd, sdFloor)
	}
	z := (math.Log(float64(max(1, milli))) - mean) / sd
	return min(1, max(0, 1-z))
}

// Baseline is a person's habit over sessions: sums, never single values.
type Baseline struct {
	Sessions int64
	Turns    int64   // sum over sessions
	Chars    int64   // sum of the sessions' median lengths
	Pauses   Moments // sessions' median pauses
	Replies  Moments // single replies
}

// With adds a session.
func (b Baseline) With(turns, medianChars int, pauseMilli int64) Baseline {
	b.Sessions++
	b.Turns += int64(turns)
	b.Chars += int64(medianChars)
	b.Pauses = b.Pauses.With(pauseMilli)
	return b
}

func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }
