package fusion

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Value is one signal of a session, as the sources give them: in [-1,1].
type Value struct {
	Source Source
	Val    float64
}

// Moments are sums over sessions of what sources said, alone and together. They are
// integers, so that the order of adding, merging and taking away does not matter to
// any bit: what is withdrawn leaves nothing behind. Exact up to 2 billion sessions.
// The zero Moments are empty.
type Moments struct {
	one [NSources]single
	two [pairs]double
}

// single is about the values of a source.
type single struct {
	n       int64
	sum     int64 // in units of 1/fine
	squares int64 // in units of 1/fine²
}

// double is about the session means of two sources, over the sessions that have both.
type double struct {
	n             int64
	first, second int64 // in units of 1/fine
	product       int64 // in units of 1/fine²
}

const (
	fine  = 1 << 16
	pairs = int(NSources) * (int(NSources) - 1) / 2
)

// pair is where two different sources are found, a < b.
func pair(a, b Source) int { return int(b)*(int(b)-1)/2 + int(a) }

// ErrValue is the error of a signal that no source gives.
var ErrValue = errors.New("signal refused")

// Add takes in what was said in one session; several signals of one source speak
// together by their mean. On an error, ErrValue with the reason, nothing is added.
func (m *Moments) Add(session []Value) error { return m.take(session, 1) }

// Remove takes away what Add took in.
func (m *Moments) Remove(session []Value) error { return m.take(session, -1) }

// Marked completes what was said in a session in which behaviour could be seen: a
// mark that is not there is 0. A mark's value never varies, only whether it is there
// tells anything.
func Marked(session []Value) []Value {
	var there [NSources]bool
	seen := false
	for _, v := range session {
		if v.Source < NSources {
			there[v.Source] = true
			seen = seen || v.Source.Behavioural()
		}
	}
	for s := Engagement; seen && s < NSources; s++ {
		if s.Mark() && !there[s] {
			session = append(session, Value{Source: s})
		}
	}
	return session
}

func (m *Moments) take(session []Value, sign int64) error {
	var n, sum [NSources]int64
	for _, v := range session {
		if v.Source >= NSources {
			return fmt.Errorf("%w: there is no source %d", ErrValue, v.Source)
		}
		if !(v.Val >= -1 && v.Val <= 1) {
			return fmt.Errorf("%w: %v is not in [-1,1]", ErrValue, v.Val)
		}
	}
	for _, v := range session {
		q := int64(math.Round(v.Val * fine))
		n[v.Source]++
		sum[v.Source] += q
		o := &m.one[v.Source]
		o.n += sign
		o.sum += sign * q
		o.squares += sign * q * q
	}
	for b := range NSources {
		if n[b] == 0 {
			continue
		}
		y := sum[b] / n[b]
		for a := range b {
			if n[a] == 0 {
				continue
			}
			x, t := sum[a]/n[a], &m.two[pair(a, b)]
			t.n += sign
			t.first += sign * x
			t.second += sign * y
			t.product += sign * x * y
		}
	}
	return nil
}

// Merge adds other sums; Subtract takes them away.
func (m *Moments) Merge(o *Moments)    { m.combine(o, 1) }
func (m *Moments) Subtract(o *Moments) { m.combine(o, -1) }

func (m *Moments) combine(o *Moments, sign int64) {
	from := o.numbers()
	for i, p := range m.numbers() {
		*p += sign * *from[i]
	}
}

// Limited are the moments as if there were at most so many signals of each source, so
// that no single agent speaks for all when the moments of agents are merged.
func (m *Moments) Limited(signals int64) Moments {
	out, most := *m, int64(0)
	for i := range m.one {
		most = max(most, m.one[i].n)
	}
	if most > signals {
		for _, p := range out.numbers() {
			*p = int64(math.Round(float64(*p) * (float64(signals) / float64(most))))
		}
	}
	return out
}

// numbers are all sums in their order of storage.
func (m *Moments) numbers() []*int64 {
	out := make([]*int64, 0, 3*int(NSources)+4*pairs)
	for i := range m.one {
		o := &m.one[i]
		out = append(out, &o.n, &o.sum, &o.squares)
	}
	for i := range m.two {
		t := &m.two[i]
		out = append(out, &t.n, &t.first, &t.second, &t.product)
	}
	return out
}

// momentsVersion is of the encoding and of the set of sources.
const momentsVersion = 2

// MomentsSize is the length of encoded Moments in bytes.
const MomentsSize = 1 + 8*(3*int(NSources)+4*pairs)

// Append encodes the moments: a version byte, then little-endian int64 in fixed
// places.
func (m *Moments) Append(b []byte) []byte {
	b = append(b, momentsVersion)
	for _, p := range m.numbers() {
		b = binary.LittleEndian.AppendUint64(b, uint64(*p))
	}
	return b
}

// Read decodes moments from the first MomentsSize bytes; false when there are fewer,
// when they have another version or a negative count.
func (m *Moments) Read(b []byte) bool {
	if len(b) < MomentsSize || b[0] != momentsVersion {
		return false
	}
	var n Moments
	for i, p := range n.numbers() {
		*p = int64(binary.LittleEndian.Uint64(b[1+8*i:]))
	}
	for i := range n.one {
		if n.one[i].n < 0 || n.one[i].squares < 0 {
			return false
		}
	}
	for i := range n.two {
		if n.two[i].n < 0 {
			return false
		}
	}
	*m = n
	return true
}

// Count is how many signals of a source are in.
func (m *Moments) Count(s Source) int64 { return m.one[s].n }

// mean and variance of a source's signals.
func (o *single) mean() float64 { return float64(o.sum) / fine / float64(o.n) }

func (o *single) variance() float64 {
	mean := o.mean()
	return float64(o.squares)/fine/fine/float64(o.n) - float64(mean*mean)
}

// covariance of two sources over the sessions that have both, and how many those are.
func (m *Moments) covariance(a, b Source) (c float64, n float64) {
	t := &m.two[pair(min(a, b), max(a, b))]
	if t.n == 0 {
		return 0, 0
	}
	n = float64(t.n)
	x, y := float64(t.first)/fine/n, float64(t.second)/fine/n
	return float64(t.product)/fine/fine/n - float64(x*y), n
}
