// Package wire is the fixed-layout encoding of what a learner stores: equal values
// give equal bytes, and bytes that were read are written the same way again.
//
// Owns: Reader and the Append functions. Numbers are little-endian. Ids that are
// UUIDs take 17 bytes, others a tag with their length. A Micro is a number in
// [-1,1] in millionths, in an i32.
//
// Invariants: pure; a Reader never panics, whatever the bytes.
package wire

import (
	"encoding/binary"
	"encoding/hex"
	"math"

	"rapport/policy"
)

// Micro rounds to the resolution of stored numbers.
func Micro(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// Reader takes fixed places off the front of B; Bad once anything was missing or
// out of its range.
type Reader struct {
	B   []byte
	Bad bool
}

// Done says that everything was read and sound.
func (r *Reader) Done() bool { return !r.Bad && len(r.B) == 0 }

// Take gives the next n bytes, zeros when there are fewer.
func (r *Reader) Take(n int) []byte {
	if n > len(r.B) {
		r.Bad, r.B = true, nil
		return make([]byte, n)
	}
	out := r.B[:n]
	r.B = r.B[n:]
	return out
}

func (r *Reader) Byte() byte     { return r.Take(1)[0] }
func (r *Reader) Uint16() uint16 { return binary.LittleEndian.Uint16(r.Take(2)) }
func (r *Reader) Uint32() uint32 { return binary.LittleEndian.Uint32(r.Take(4)) }
func (r *Reader) Int64() int64   { return int64(binary.LittleEndian.Uint64(r.Take(8))) }

// Float is a finite number.
func (r *Reader) Float() float64 {
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.Take(8)))
	r.Bad = r.Bad || v-v != 0
	return v
}

// Single is a finite number of 32 bits.
func (r *Reader) Single() float32 {
	v := math.Float32frombits(r.Uint32())
	r.Bad = r.Bad || v-v != 0
	return v
}

// Bool is a byte of 0 or 1.
func (r *Reader) Bool() bool {
	v := r.Byte()
	r.Bad = r.Bad || v > 1
	return v == 1
}

// Mask is a set of traits.
func (r *Reader) Mask() policy.Mask {
	m := policy.Mask(r.Uint16())
	r.Bad = r.Bad || m&^policy.AllTraits != 0
	return m
}

// Micro is a number in [-1,1].
func (r *Reader) Micro() float64 {
	v := int32(r.Uint32())
	r.Bad = r.Bad || v < -1e6 || v > 1e6
	return float64(v) / 1e6
}

// Levels fills levels, each in [0,1].
func (r *Reader) Levels(x []float64) {
	for j := range x {
		x[j] = r.Micro()
		r.Bad = r.Bad || x[j] < 0
	}
}

// ID is a text of at most MaxID bytes.
func (r *Reader) ID() string {
	n := int(r.Byte())
	if n == 0 {
		return formatUUID(r.Take(16))
	}
	s := string(r.Take(n - 1))
	if _, packs := packUUID(s); packs || len(s) > MaxID {
		r.Bad = true // would be written otherwise
	}
	return s
}

// Length is a number of things that follow, each of a byte or more.
func (r *Reader) Length() int {
	n, used := binary.Uvarint(r.B)
	if used <= 0 || n > uint64(len(r.B)-used) {
		r.Bad, r.B = true, nil
		return 0
	}
	r.B = r.B[used:]
	return int(n)
}

// Text is a text of any length.
func (r *Reader) Text() string { return string(r.Take(r.Length())) }

func AppendLength(b []byte, n int) []byte  { return binary.AppendUvarint(b, uint64(n)) }
func AppendText(b []byte, s string) []byte { return append(AppendLength(b, len(s)), s...) }

func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func AppendUint16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }
func AppendUint32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }
func AppendInt64(b []byte, v int64) []byte   { return binary.LittleEndian.AppendUint64(b, uint64(v)) }
func AppendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}
func AppendSingle(b []byte, v float32) []byte   { return AppendUint32(b, math.Float32bits(v)) }
func AppendMask(b []byte, m policy.Mask) []byte { return AppendUint16(b, uint16(m)) }
func AppendMicro(b []byte, v float64) []byte {
	return AppendUint32(b, uint32(int32(math.Round(v*1e6))))
}
func AppendLevels(b []byte, x []float64) []byte {
	for _, v := range x {
		b = AppendMicro(b, v)
	}
	return b
}

// MaxID is the longest id that is stored; of a longer one the front is.
const MaxID = 200

func AppendID(b []byte, id string) []byte {
	if u, ok := packUUID(id); ok {
		b = append(b, 0)
		return append(b, u[:]...)
	}
	id = id[:min(len(id), MaxID)]
	b = append(b, byte(len(id)+1))
	return append(b, id...)
}

// packUUID reads a UUID in its usual small letters.
func packUUID(s string) (u [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, false
	}
	var digits [32]byte
	n := 0
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f':
			digits[n] = c
			n++
		default:
			return u, false
		}
	}
	_, err := hex.Decode(u[:], digits[:])
	return u, err == nil
}

func formatUUID(u []byte) string {
	var out [36]byte
	hex.Encode(out[0:8], u[0:4])
	hex.Encode(out[9:13], u[4:6])
	hex.Encode(out[14:18], u[6:8])
	hex.Encode(out[19:23], u[8:10])
	hex.Encode(out[24:36], u[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
