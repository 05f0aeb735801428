package relay

import (
	"math"
	"math/bits"
)

// sketch estimates how many different keys were added, to within 13 % (two
// standard errors), in 256 bytes: HyperLogLog (Flajolet, Fusy, Gandouet and
// Meunier 2007) with linear counting below 640 keys. Adding twice changes nothing.
type sketch [256]byte

func (s *sketch) add(key string) {
	h := uint64(14695981039346656037) // FNV-1a, then the finisher of MurmurHash3
	for i := 0; i < len(key); i++ {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	cell, rank := h>>56, byte(bits.LeadingZeros64(h<<8|1<<7)+1)
	s[cell] = max(s[cell], rank)
}

func (s *sketch) estimate() float64 {
	const m = float64(len(sketch{}))
	sum, empty := 0.0, 0
	for _, r := range s {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			empty++
		}
	}
	e := 0.7213 / (1 + 1.079/m) * m * m / sum
	if e <= 2.5*m && empty > 0 {
		e = m * math.Log(m/float64(empty))
	}
	return e
}
