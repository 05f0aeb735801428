package learning

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"

	"rapport/event"
	"rapport/learning/fusion"
	"rapport/policy"
)

// Entry is one item of the list that an agent's learner is the fold of: an
// episode (one session under one variation) or an act of its owner. Entries are
// ordered by the stamp of the server that accepted their start, then by id; never
// by arrival.
type Entry struct {
	At    event.Micros
	ID    string // of the episode, or of the event that told of the act
	Act   *Act   // nil for an episode
	About Episode
}

// Episode is what is known of one session under one variation. Until its
// decision arrives it only holds contributions and adds nothing.
type Episode struct {
	Decided   bool
	DecidedAt event.Micros // of the first reply: what it rendered counts for the episode
	Decision  string
	Rendered  policy.Traits // x̃, rounded to 1e-6
	Protected bool          // behaviour counts nothing
	Consent   bool          // behaviour counts only with it

	Contributions []Contribution // by feedback id
}

// Contribution is the part of one signal that concerns one episode.
type Contribution struct {
	Feedback  string
	Rater     string
	At        event.Micros
	Owner     bool // the rater owned the agent
	Source    fusion.Source
	CheckIn   bool
	Protected bool
	Value     float64 // rounded to 1e-6
	Share     float64 // of the signal, (0,1], rounded to 1e-6

	Toward   int8         // ±1: a tone button asked for more or less of Trait; the value is not used
	Trait    policy.Trait //
	Measured policy.Mask  // the traits whose level was read from the text
	Levels   policy.Traits
}

// Act is what the owner, or the agent's beginning, did to the learner.
type Act struct {
	Kind     byte        // one of the act constants
	Touched  policy.Mask // traits the owner set; empty means all
	Levels   policy.Traits
	Baseline policy.Traits
	Lo, Hi   policy.Traits // the limits afterwards
	Pinned   policy.Mask
	Pace     byte // place in paces
	Learning bool
	Alive    bool
}

// The acts.
const (
	actCreated byte = iota + 1
	actEdited
	actRollback
	actPinned
	actSettings // bounds, pause, kill switch, pace: what the act carries holds from here on
	actTransferred
)

// compareKeys is the order of the list.
func compareKeys(at event.Micros, id string, otherAt event.Micros, otherID string) int {
	switch {
	case at < otherAt:
		return -1
	case at > otherAt:
		return 1
	}
	return strings.Compare(id, otherID)
}

// hollow says that nothing is left of an episode: no decision, no contribution.
func (e *Entry) hollow() bool {
	return e.Act == nil && !e.About.Decided && len(e.About.Contributions) == 0
}

// put adds a contribution, or replaces the one with its feedback id; false when
// that changes nothing.
func (e *Episode) put(c Contribution) bool {
	i, found := e.find(c.Feedback)
	if found {
		if e.Contributions[i] == c {
			return false
		}
		e.Contributions[i] = c
		return true
	}
	e.Contributions = slices.Insert(e.Contributions, i, c)
	return true
}

// take removes the contribution of a feedback; false when there is none.
func (e *Episode) take(feedback string) bool {
	i, found := e.find(feedback)
	if found {
		e.Contributions = slices.Delete(e.Contributions, i, i+1)
	}
	return found
}

func (e *Episode) find(feedback string) (int, bool) {
	return slices.BinarySearchFunc(e.Contributions, feedback, func(c Contribution, id string) int { return strings.Compare(c.Feedback, id) })
}

// micro rounds to the resolution of stored numbers.
func micro(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// The encoding of an entry, formula generation 1: a length (u32) and then fixed
// places, little-endian. Ids that are UUIDs take 17 bytes, others a tag with
// their length. Numbers in [-1,1] are millionths in an i32.

const entryFormat = 1

func (e *Entry) append(b []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, entryFormat)
	b = appendBool(b, e.Act != nil)
	b = appendInt64(b, e.At)
	b = appendID(b, e.ID)
	if a := e.Act; a != nil {
		b = append(b, a.Kind, a.Pace)
		b = appendBool(b, a.Learning)
		b = appendBool(b, a.Alive)
		b = appendMask(b, a.Touched)
		b = appendMask(b, a.Pinned)
		for _, levels := range [...]*policy.Traits{&a.Levels, &a.Baseline, &a.Lo, &a.Hi} {
			b = appendLevels(b, levels)
		}
	} else {
		x := &e.About
		b = appendBool(b, x.Decided)
		if x.Decided {
			b = appendBool(b, x.Protected)
			b = appendBool(b, x.Consent)
			b = appendInt64(b, x.DecidedAt)
			b = appendID(b, x.Decision)
			b = appendLevels(b, &x.Rendered)
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(x.Contributions)))
		for i := range x.Contributions {
			b = x.Contributions[i].append(b)
		}
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

func (c *Contribution) append(b []byte) []byte {
	b = appendID(b, c.Feedback)
	b = appendID(b, c.Rater)
	b = appendInt64(b, c.At)
	b = append(b, byte(c.Source), byte(c.Toward), byte(c.Trait))
	b = appendBool(b, c.Owner)
	b = appendBool(b, c.CheckIn)
	b = appendBool(b, c.Protected)
	b = appendMicro(b, c.Value)
	b = appendMicro(b, c.Share)
	b = appendMask(b, c.Measured)
	if c.Measured != 0 {
		b = appendLevels(b, &c.Levels)
	}
	return b
}

// errEntry is the error of reading bytes that are no entry.
var errEntry = errors.New("not an entry of the learner's list")

// entryLength is the length of the first entry of b.
func entryLength(b []byte) (int, error) {
	if len(b) < 5 {
		return 0, errEntry
	}
	n := binary.LittleEndian.Uint32(b)
	if n < 5 || uint64(n) > uint64(len(b)) {
		return 0, errEntry
	}
	return int(n), nil
}

// readEntry decodes exactly one entry.
func readEntry(b []byte) (*Entry, error) {
	if n, err := entryLength(b); err != nil || n != len(b) || b[4] != entryFormat {
		return nil, errEntry
	}
	r := reader{b: b[5:]}
	e := &Entry{}
	isAct := r.bool()
	e.At = r.int64()
	e.ID = r.id()
	if isAct {
		a := &Act{Kind: r.byte(), Pace: r.byte()}
		a.Learning, a.Alive = r.bool(), r.bool()
		a.Touched, a.Pinned = r.mask(), r.mask()
		for _, levels := range [...]*policy.Traits{&a.Levels, &a.Baseline, &a.Lo, &a.Hi} {
			r.levels(levels)
		}
		r.bad = r.bad || a.Kind < actCreated || a.Kind > actTransferred || int(a.Pace) >= len(paces)
		e.Act = a
	} else {
		x := &e.About
		if x.Decided = r.bool(); x.Decided {
			x.Protected, x.Consent = r.bool(), r.bool()
			x.DecidedAt = r.int64()
			x.Decision = r.id()
			r.levels(&x.Rendered)
		}
		n := int(r.uint16())
		if n > len(r.b) {
			return nil, errEntry
		}
		if n > 0 {
			x.Contributions = make([]Contribution, n, n+1)
		}
		for i := range x.Contributions {
			r.contribution(&x.Contributions[i])
			r.bad = r.bad || i > 0 && x.Contributions[i-1].Feedback >= x.Contributions[i].Feedback
		}
	}
	if r.bad || len(r.b) != 0 {
		return nil, errEntry
	}
	return e, nil
}

// reader takes fixed places off the front; bad once anything was missing or out
// of its range.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) contribution(c *Contribution) {
	c.Feedback, c.Rater, c.At = r.id(), r.id(), r.int64()
	c.Source, c.Toward, c.Trait = fusion.Source(r.byte()), int8(r.byte()), policy.Trait(r.byte())
	c.Owner, c.CheckIn, c.Protected = r.bool(), r.bool(), r.bool()
	c.Value, c.Share = r.micro(), r.micro()
	if c.Measured = r.mask(); c.Measured != 0 {
		r.levels(&c.Levels)
	}
	r.bad = r.bad || c.Source >= fusion.NSources || c.Toward < -1 || c.Toward > 1 || c.Trait >= policy.NTraits || c.Share < 0
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte     { return r.take(1)[0] }
func (r *reader) uint16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) int64() int64   { return int64(binary.LittleEndian.Uint64(r.take(8))) }

func (r *reader) float() float64 {
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))
	r.bad = r.bad || v-v != 0
	return v
}

func (r *reader) bool() bool {
	v := r.byte()
	r.bad = r.bad || v > 1
	return v == 1
}

func (r *reader) mask() policy.Mask {
	m := policy.Mask(r.uint16())
	r.bad = r.bad || m&^policy.AllTraits != 0
	return m
}

func (r *reader) micro() float64 {
	v := int32(r.uint32())
	r.bad = r.bad || v < -1e6 || v > 1e6
	return float64(v) / 1e6
}

func (r *reader) levels(x *policy.Traits) {
	for j := range x {
		x[j] = r.micro()
		r.bad = r.bad || x[j] < 0
	}
}

func (r *reader) id() string {
	n := int(r.byte())
	if n == 0 {
		return formatUUID(r.take(16))
	}
	s := string(r.take(n - 1))
	if _, packs := packUUID(s); packs {
		r.bad = true // written the other way
	}
	return s
}

// length takes a number of things that follow, each of a byte or more.
func (r *reader) length() int {
	n, used := binary.Uvarint(r.b)
	if used <= 0 || n > uint64(len(r.b)-used) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[used:]
	return int(n)
}

func (r *reader) text() string { return string(r.take(r.length())) }

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendInt64(b []byte, v int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(v)) }

func appendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func appendMask(b []byte, m policy.Mask) []byte {
	return binary.LittleEndian.AppendUint16(b, uint16(m))
}

func appendMicro(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint32(b, uint32(int32(math.Round(v*1e6))))
}

func appendLevels(b []byte, x *policy.Traits) []byte {
	for _, v := range x {
		b = appendMicro(b, v)
	}
	return b
}

// maxID is the longest id that is stored.
const maxID = 200

func appendID(b []byte, id string) []byte {
	if u, ok := packUUID(id); ok {
		b = append(b, 0)
		return append(b, u[:]...)
	}
	id = id[:min(len(id), maxID)]
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
