package signal

import (
	"encoding/binary"
	"math"
)

const (
	// PausesNeeded is how many pauses of a person must be known before one can be
	// called unusual.
	PausesNeeded = 30
	// pauseRisk is the greatest share of a person's ordinary pauses that may be
	// called unusual.
	pauseRisk = .04
	pauseBins = 88 // of a quarter of a natural logarithm each, from 1 ms to 41 days
)

// Pauses counts a person's pauses before an answer by size: whole numbers, so that
// the order in which they arrive does not matter.
type Pauses struct {
	N    int64
	Bins [pauseBins]int64
}

// With adds a pause in milliseconds; one below 1 ms counts as 1 ms.
func (p Pauses) With(milli int64) Pauses {
	p.N++
	p.Bins[pauseBin(milli)]++
	return p
}

// Slow says whether a pause is unusually long for this person: when
//
//	(1 + number of known pauses in its bin or above) / (1 + N) ≤ .04
//
// the rank test of conformal prediction (Vovk, Gammerman & Shafer 2005): of pauses
// that come from one habit, in whatever distribution, at most 4 % are called slow.
// known is false before PausesNeeded pauses: then nothing can be said. Time of
// day is not looked at.
func (p Pauses) Slow(milli int64) (slow, known bool) {
	if p.N < PausesNeeded {
		return false, false
	}
	above := int64(1)
	for _, n := range p.Bins[pauseBin(milli):] {
		above += n
	}
	return float64(above) <= pauseRisk*float64(1+p.N), true
}

// Quantile is the upper edge, in milliseconds, of the bin that holds the share q of
// the pauses; 0 without any.
func (p Pauses) Quantile(q float64) int64 {
	rest := int64(math.Ceil(q * float64(p.N)))
	for b, n := range p.Bins {
		if rest -= n; n > 0 && rest <= 0 {
			return int64(math.Exp(float64(b+1) / 4))
		}
	}
	return 0
}

func pauseBin(milli int64) int {
	return min(pauseBins-1, int(4*math.Log(float64(max(1, milli)))))
}

// Append encodes the counts: for each size that occurred its distance from the one
// before and its count, as unsigned varints. Equal counts give equal bytes.
func (p Pauses) Append(b []byte) []byte {
	last := 0
	for i, n := range p.Bins {
		if n > 0 {
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(i-last)), uint64(n))
			last = i
		}
	}
	return b
}

// ReadPauses decodes counts; false when the bytes are none.
func ReadPauses(b []byte) (p Pauses, ok bool) {
	for i := uint64(0); len(b) > 0; {
		step, n := binary.Uvarint(b)
		if n <= 0 {
			return Pauses{}, false
		}
		count, m := binary.Uvarint(b[n:])
		if i += min(step, pauseBins); m <= 0 || i >= pauseBins || count == 0 || count > 1<<48 {
			return Pauses{}, false
		}
		b = b[n+m:]
		p.Bins[i] = int64(count)
		p.N += int64(count)
	}
	return p, true
}
