package rater

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Weight is what a published version says about one rater.
type Weight struct {
	Rater     string
	Agreement float64 // [0,1], the soft weight
	Abuse     float64 // [0,1], probability of answering without looking or against what was seen
	Excluded  bool    // counts for nothing
}

// Unknown is the weight of a rater that a version does not name.
func Unknown(rater string) Weight {
	return Weight{Rater: rater, Agreement: honestShare, Abuse: 1 - honestShare}
}

// Published is one numbered version of all weights. Agents adopt it by its number;
// it does not change once it is made.
type Published struct {
	Number  uint32
	weights []Weight
}

// ErrPublished is the error of weights or bytes that are no version; the text says
// why.
var ErrPublished = errors.New("reputation version refused")

const (
	publishedFormat = 1
	publishedHead   = 1 + 4 + 4
	publishedTail   = 2 + 2 + 1 // of one rater, after the id
)

// Publish makes a version. Numbers are rounded to 1e-4, raters sorted. The error is
// ErrPublished: a rater without an id, with one longer than 255 bytes or named
// twice, a number outside [0,1].
func Publish(number uint32, weights []Weight) (*Published, error) {
	p := &Published{Number: number, weights: slices.Clone(weights)}
	slices.SortFunc(p.weights, func(a, b Weight) int { return strings.Compare(a.Rater, b.Rater) })
	for i := range p.weights {
		w := &p.weights[i]
		if n := len(w.Rater); n < 1 || n > 255 {
			return nil, fmt.Errorf("%w: an id of %d bytes", ErrPublished, n)
		}
		if i > 0 && p.weights[i-1].Rater == w.Rater {
			return nil, fmt.Errorf("%w: a rater is named twice", ErrPublished)
		}
		if !(w.Agreement >= 0 && w.Agreement <= 1 && w.Abuse >= 0 && w.Abuse <= 1) {
			return nil, fmt.Errorf("%w: agreement %v and abuse %v are not in [0,1]", ErrPublished, w.Agreement, w.Abuse)
		}
		w.Agreement, w.Abuse = fraction(units(w.Agreement)), fraction(units(w.Abuse))
	}
	return p, nil
}

func units(v float64) uint16    { return uint16(math.Round(float64(v * 1e4))) }
func fraction(u uint16) float64 { return float64(u) / 1e4 }

// Of is the weight of a rater, Unknown for one that is not named. O(log n).
func (p *Published) Of(rater string) Weight {
	i, ok := slices.BinarySearchFunc(p.weights, rater, func(w Weight, id string) int { return strings.Compare(w.Rater, id) })
	if !ok {
		return Unknown(rater)
	}
	return p.weights[i]
}

// Weights are all of them, by rater.
func (p *Published) Weights() []Weight { return slices.Clone(p.weights) }

// Append writes the version behind b: format (1 byte), number and count (4 each,
// little endian), then by rising id: length (1), id, agreement and abuse in 1e-4
// (2 each), excluded (1). Equal versions give equal bytes.
func (p *Published) Append(b []byte) []byte {
	b = append(b, publishedFormat)
	b = binary.LittleEndian.AppendUint32(b, p.Number)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.weights)))
	for i := range p.weights {
		w := &p.weights[i]
		b = append(b, byte(len(w.Rater)))
		b = append(b, w.Rater...)
		b = binary.LittleEndian.AppendUint16(b, units(w.Agreement))
		b = binary.LittleEndian.AppendUint16(b, units(w.Abuse))
		excluded := byte(0)
		if w.Excluded {
			excluded = 1
		}
		b = append(b, excluded)
	}
	return b
}

// ReadPublished decodes exactly what Append wrote; anything else is ErrPublished.
func ReadPublished(b []byte) (*Published, error) {
	if len(b) < publishedHead || b[0] != publishedFormat {
		return nil, fmt.Errorf("%w: not this format", ErrPublished)
	}
	p := &Published{Number: binary.LittleEndian.Uint32(b[1:])}
	count := uint64(binary.LittleEndian.Uint32(b[5:]))
	b = b[publishedHead:]
	if count > uint64(len(b))/(2+publishedTail) {
		return nil, fmt.Errorf("%w: cut short", ErrPublished)
	}
	if count > 0 {
		p.weights = make([]Weight, 0, count)
	}
	for range count {
		if len(b) < 1 || b[0] == 0 || len(b) < 1+int(b[0])+publishedTail {
			return nil, fmt.Errorf("%w: cut short", ErrPublished)
		}
		n := int(b[0])
		w := Weight{Rater: string(b[1 : 1+n])}
		b = b[1+n:]
		agreement, abuse := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		if agreement > 1e4 || abuse > 1e4 || b[4] > 1 {
			return nil, fmt.Errorf("%w: a number is out of its range", ErrPublished)
		}
		if k := len(p.weights); k > 0 && p.weights[k-1].Rater >= w.Rater {
			return nil, fmt.Errorf("%w: ids do not rise", ErrPublished)
		}
		w.Agreement, w.Abuse, w.Excluded = fraction(agreement), fraction(abuse), b[4] == 1
		b = b[publishedTail:]
		p.weights = append(p.weights, w)
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("%w: bytes behind the end", ErrPublished)
	}
	return p, nil
}
