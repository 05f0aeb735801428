package policy

import (
	"encoding/binary"
	"math/bits"
)

// Stream is a sequence of random numbers that is a function of its key alone, on
// every machine and in every release: xoshiro256** (Blackman and Vigna 2018).
type Stream struct{ s [4]uint64 }

// NewStream starts a stream. The key is best a hash: keys that differ in few bits
// start alike.
func NewStream(key [32]byte) Stream {
	var r Stream
	for i := range r.s {
		r.s[i] = binary.LittleEndian.Uint64(key[8*i:])
	}
	if r.s == [4]uint64{} {
		r.s[0] = 1 // the only state it cannot leave
	}
	return r
}

// Uint64 gives 64 random bits.
func (r *Stream) Uint64() uint64 {
	out := bits.RotateLeft64(r.s[1]*5, 7) * 9
	t := r.s[1] << 17
	r.s[2] ^= r.s[0]
	r.s[3] ^= r.s[1]
	r.s[1] ^= r.s[2]
	r.s[0] ^= r.s[3]
	r.s[2] ^= t
	r.s[3] = bits.RotateLeft64(r.s[3], 45)
	return out
}

// Float64 gives a number in (0,1), both ends excluded.
func (r *Stream) Float64() float64 {
	return (float64(r.Uint64()>>12) + .5) * 0x1p-52
}

// Normal gives a standard normal number.
func (r *Stream) Normal() float64 { return normalQuantile(r.Float64()) }

// Truncated gives a normal number of mean c and deviation sd inside [lo,hi].
func (r *Stream) Truncated(c, sd, lo, hi float64) float64 {
	a, b := normalCDF((lo-c)/sd), normalCDF((hi-c)/sd)
	u := a + float64(r.Float64()*(b-a))
	return min(max(c+float64(sd*normalQuantile(u)), lo), hi)
}
