package population

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"rapport/learning/step"
)

// ErrVersion is the error of bytes that are no version.
var ErrVersion = errors.New("population version refused")

// What an encoded version holds before its prior: formula version and number of
// archetypes, a byte each, the next id, then per archetype id, agents, owners as
// uint32, share, start, centre and importance as float64, and the length of the
// description as uint16 before its bytes. All little-endian.
const archetypeSize = 3*4 + 8*(1+3*dims) + 2

// Append encodes a version; equal versions give equal bytes. About 6.5 KB for four
// archetypes.
func (v *Version) Append(b []byte) []byte {
	b = append(b, byte(v.Formula), byte(len(v.Archetypes)))
	b = binary.LittleEndian.AppendUint32(b, uint32(v.NextID))
	for i := range v.Archetypes {
		a := &v.Archetypes[i]
		for _, n := range [...]int{a.ID, a.Agents, a.Owners} {
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		}
		for _, part := range [...][]float64{{a.Share}, a.Start[:], a.Centre[:], a.Importance[:]} {
			for _, x := range part {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
			}
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(a.Description)))
		b = append(b, a.Description...)
	}
	return v.Prior.Append(b)
}

// ReadVersion decodes what Append wrote, all of it. The error is ErrFormula for
// another formula version, step.ErrPrior for a prior that cannot be used, else
// ErrVersion, each with the reason.
func ReadVersion(b []byte) (*Version, error) {
	if len(b) < 6 {
		return nil, fmt.Errorf("%w: %d bytes are none", ErrVersion, len(b))
	}
	v := &Version{Formula: int(b[0]), Archetypes: make([]Archetype, b[1])}
	if v.Formula != Formula {
		return nil, fmt.Errorf("%w: %d, not %d", ErrFormula, v.Formula, Formula)
	}
	v.NextID, b = int(binary.LittleEndian.Uint32(b[2:])), b[6:]
	for i := range v.Archetypes {
		if len(b) < archetypeSize {
			return nil, fmt.Errorf("%w: it ends within archetype %d", ErrVersion, i)
		}
		a := &v.Archetypes[i]
		for _, n := range [...]*int{&a.ID, &a.Agents, &a.Owners} {
			*n, b = int(binary.LittleEndian.Uint32(b)), b[4:]
		}
		share := [1]float64{}
		for _, part := range [...][]float64{share[:], a.Start[:], a.Centre[:], a.Importance[:]} {
			for j := range part {
				part[j], b = math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:]
			}
		}
		a.Share = share[0]
		size := int(binary.LittleEndian.Uint16(b))
		if b = b[2:]; len(b) < size {
			return nil, fmt.Errorf("%w: it ends within archetype %d", ErrVersion, i)
		}
		a.Description, b = string(b[:size]), b[size:]
		if !(a.Share > 0 && a.Share <= 1) || !a.Start.Valid() || !a.Centre.Valid() || slices.ContainsFunc(a.Importance[:], func(x float64) bool { return !(x >= 0) }) {
			return nil, fmt.Errorf("%w: archetype %d has a number out of its range", ErrVersion, i)
		}
		if a.ID < 1 || a.ID >= v.NextID || i > 0 && a.ID <= v.Archetypes[i-1].ID {
			return nil, fmt.Errorf("%w: archetype %d has the id %d", ErrVersion, i, a.ID)
		}
	}
	var err error
	if v.Prior, err = step.ReadPrior(b); err != nil {
		return nil, err
	}
	if n := len(v.Archetypes); n != 0 && n != len(v.Prior.Components) {
		return nil, fmt.Errorf("%w: %d archetypes of %d components", ErrVersion, n, len(v.Prior.Components))
	}
	return v, nil
}
