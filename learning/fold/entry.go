package fold

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"rapport/event"
	"rapport/learning/fusion"
	"rapport/learning/wire"
	"rapport/policy"
)

// Entry is one item of the list that an agent's learner is the fold of: an
// episode (one session under one variation), an act of its owner, or the adoption
// of population-wide parameters. Entries are ordered by the stamp of the server
// that accepted their start, then by id; never by arrival.
type Entry struct {
	At    event.Micros
	ID    string    // of the episode, or of the event that told of the act or adoption
	Act   *Act      // nil for all others
	Adopt *Versions // nil for all others
	About Episode
}

// Episodic says that the entry is an episode.
func (e *Entry) Episodic() bool { return e.Act == nil && e.Adopt == nil }

// Episode is what is known of one session under one variation. Until its
// decision arrives it only holds contributions and adds nothing.
type Episode struct {
	Decided   bool
	DecidedAt event.Micros // of the first reply: what it rendered counts for the episode
	Decision  string
	Rendered  policy.Traits // x̃, rounded to 1e-6
	Inaudible policy.Mask   // traits that the model's replies do not change with: nothing is learned of them
	Protected bool          // behaviour counts nothing
	Consent   bool          // behaviour counts only with it

	Did    byte    // the action whose weight had a part in it, plus one; 0 for none
	Weight float64 // that weight then, rounded to 1e-6

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
	Doubt     uint8   // signs that one person is behind many accounts: each halves what it counts for
	Extra     float64 // variance of its noise above what its source's usually is, rounded to 1e-6

	Toward   int8         // ±1: a tone button asked for more or less of Trait; the value is not used
	Trait    policy.Trait //
	Measured policy.Mask  // the traits whose level was read from the text
	Levels   policy.Traits
}

// MaxDoubt is the most signs that a contribution carries.
const MaxDoubt = 8

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
	Set      byte    // bit k: action k was set
	Actions  Actions // the action weights afterwards
}

// The acts.
const (
	Created byte = iota + 1
	Edited
	RolledBack
	Pinned
	Settings // bounds, pause, kill switch, pace: what the act carries holds from here on
	Transferred
)

// Compare is the order of the list.
func Compare(at event.Micros, id string, otherAt event.Micros, otherID string) int {
	switch {
	case at < otherAt:
		return -1
	case at > otherAt:
		return 1
	}
	return strings.Compare(id, otherID)
}

// Hollow says that nothing is left of an episode: no decision, no contribution.
func (e *Entry) Hollow() bool {
	return e.Episodic() && !e.About.Decided && e.About.Did == 0 && len(e.About.Contributions) == 0
}

// Put adds a contribution, or replaces the one with its feedback id; false when
// that changes nothing.
func (e *Episode) Put(c Contribution) bool {
	i, found := e.Find(c.Feedback)
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

// Take removes the contribution of a feedback; false when there is none.
func (e *Episode) Take(feedback string) bool {
	i, found := e.Find(feedback)
	if found {
		e.Contributions = slices.Delete(e.Contributions, i, i+1)
	}
	return found
}

// Find gives the place of a feedback among the contributions, or where it would be.
func (e *Episode) Find(feedback string) (int, bool) {
	return slices.BinarySearchFunc(e.Contributions, feedback, func(c Contribution, id string) int { return strings.Compare(c.Feedback, id) })
}

// The encoding of an entry: a length (u32), the format, what it is, and then fixed
// places as in package wire.
const (
	entryFormat = 1

	isEpisode  = 0
	isAct      = 1
	isAdoption = 2
	hasActions = 4 // an act that carries action weights, an episode in which one had a part
	hasUnheard = 8 // an episode in which some traits were inaudible
)

// isNoisy marks the source of a contribution with a noise of its own.
const isNoisy = 1 << 7

// many stands for a number of contributions that does not fit into its place.
const many = 1<<16 - 1

// Append encodes the entry.
func (e *Entry) Append(b []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, entryFormat, isEpisode)
	kind := &b[len(b)-1]
	switch {
	case e.Act != nil && (e.Act.Set != 0 || e.Act.Actions != Actions{}):
		*kind = isAct | hasActions
	case e.Act != nil:
		*kind = isAct
	case e.Adopt != nil:
		*kind = isAdoption
	case e.About.Did != 0:
		*kind = isEpisode | hasActions
	}
	if *kind&^hasActions == isEpisode && e.About.Inaudible != 0 {
		*kind |= hasUnheard
	}
	with := *kind&hasActions != 0
	b = wire.AppendInt64(b, e.At)
	b = wire.AppendID(b, e.ID)
	if v := e.Adopt; v != nil {
		b = v.append(b)
	} else if a := e.Act; a != nil {
		b = append(b, a.Kind, a.Pace)
		b = wire.AppendBool(b, a.Learning)
		b = wire.AppendBool(b, a.Alive)
		b = wire.AppendMask(b, a.Touched)
		b = wire.AppendMask(b, a.Pinned)
		for _, levels := range [...]*policy.Traits{&a.Levels, &a.Baseline, &a.Lo, &a.Hi} {
			b = wire.AppendLevels(b, levels[:])
		}
		if with {
			b = wire.AppendLevels(append(b, a.Set), a.Actions[:])
		}
	} else {
		x := &e.About
		b = wire.AppendBool(b, x.Decided)
		if x.Decided {
			b = wire.AppendBool(b, x.Protected)
			b = wire.AppendBool(b, x.Consent)
			b = wire.AppendInt64(b, x.DecidedAt)
			b = wire.AppendID(b, x.Decision)
			b = wire.AppendLevels(b, x.Rendered[:])
		}
		if x.Inaudible != 0 {
			b = wire.AppendMask(b, x.Inaudible)
		}
		if with {
			b = wire.AppendMicro(append(b, x.Did), x.Weight)
		}
		if n := len(x.Contributions); n < many {
			b = wire.AppendUint16(b, uint16(n))
		} else {
			b = wire.AppendUint32(wire.AppendUint16(b, many), uint32(n))
		}
		for i := range x.Contributions {
			b = x.Contributions[i].append(b)
		}
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

func (c *Contribution) append(b []byte) []byte {
	b = wire.AppendID(b, c.Feedback)
	b = wire.AppendID(b, c.Rater)
	b = wire.AppendInt64(b, c.At)
	source := byte(c.Source)
	if c.Extra != 0 {
		source |= isNoisy
	}
	b = append(b, source, byte(c.Toward), byte(c.Trait))
	b = wire.AppendBool(b, c.Owner)
	b = wire.AppendBool(b, c.CheckIn)
	marks := c.Doubt << 1
	if c.Protected {
		marks |= 1
	}
	b = append(b, marks)
	b = wire.AppendMicro(b, c.Value)
	b = wire.AppendMicro(b, c.Share)
	if c.Extra != 0 {
		b = wire.AppendMicro(b, c.Extra)
	}
	b = wire.AppendMask(b, c.Measured)
	if c.Measured != 0 {
		b = wire.AppendLevels(b, c.Levels[:])
	}
	return b
}

// ErrEntry is the error of reading bytes that are no entry.
var ErrEntry = errors.New("not an entry of the learner's list")

// Length is the length of the first entry of b.
func Length(b []byte) (int, error) {
	if len(b) < 5 {
		return 0, ErrEntry
	}
	n := binary.LittleEndian.Uint32(b)
	if n < 5 || uint64(n) > uint64(len(b)) {
		return 0, ErrEntry
	}
	return int(n), nil
}

// AdoptionIn reads what an encoded entry adopts; false when it is no adoption.
func AdoptionIn(b []byte) (Versions, bool) {
	if len(b) < 6 || b[5] != isAdoption {
		return Versions{}, false
	}
	e, err := ReadEntry(b)
	if err != nil || e.Adopt == nil {
		return Versions{}, false
	}
	return *e.Adopt, true
}

// Mentions says whether an encoded entry may hold a contribution of somebody with
// the encoded id: no false is wrong.
func Mentions(b, id []byte) bool { return bytes.Contains(b, id) }

// ReadEntry decodes exactly one entry.
func ReadEntry(b []byte) (*Entry, error) {
	if n, err := Length(b); err != nil || n != len(b) || b[4] != entryFormat {
		return nil, ErrEntry
	}
	r := wire.Reader{B: b[5:]}
	e := &Entry{}
	kind := r.Byte()
	e.At = r.Int64()
	e.ID = r.ID()
	switch kind {
	case isAdoption:
		e.Adopt = &Versions{}
		e.Adopt.read(&r)
	case isAct, isAct | hasActions:
		a := &Act{Kind: r.Byte(), Pace: r.Byte()}
		a.Learning, a.Alive = r.Bool(), r.Bool()
		a.Touched, a.Pinned = r.Mask(), r.Mask()
		for _, levels := range [...]*policy.Traits{&a.Levels, &a.Baseline, &a.Lo, &a.Hi} {
			r.Levels(levels[:])
		}
		if kind&hasActions != 0 {
			a.Set = r.Byte()
			r.Levels(a.Actions[:])
			r.Bad = r.Bad || a.Set>>NActions != 0 || a.Set == 0 && a.Actions == Actions{}
		}
		r.Bad = r.Bad || a.Kind < Created || a.Kind > Transferred || int(a.Pace) >= len(paces)
		e.Act = a
	case isEpisode, isEpisode | hasActions, isEpisode | hasUnheard, isEpisode | hasActions | hasUnheard:
		x := &e.About
		if x.Decided = r.Bool(); x.Decided {
			x.Protected, x.Consent = r.Bool(), r.Bool()
			x.DecidedAt = r.Int64()
			x.Decision = r.ID()
			r.Levels(x.Rendered[:])
		}
		if kind&hasUnheard != 0 {
			x.Inaudible = r.Mask()
			r.Bad = r.Bad || x.Inaudible == 0
		}
		if kind&hasActions != 0 {
			x.Did, x.Weight = r.Byte(), r.Micro()
			r.Bad = r.Bad || x.Did == 0 || x.Did > byte(NActions) || x.Weight < 0
		}
		n := int(r.Uint16())
		if n == many {
			n = int(r.Uint32())
			r.Bad = r.Bad || n < many
		}
		if n > len(r.B) {
			return nil, ErrEntry
		}
		if n > 0 {
			x.Contributions = make([]Contribution, n, n+1)
		}
		for i := range x.Contributions {
			x.Contributions[i].read(&r)
			r.Bad = r.Bad || i > 0 && x.Contributions[i-1].Feedback >= x.Contributions[i].Feedback
		}
	default:
		return nil, ErrEntry
	}
	if !r.Done() {
		return nil, ErrEntry
	}
	return e, nil
}

func (c *Contribution) read(r *wire.Reader) {
	c.Feedback, c.Rater, c.At = r.ID(), r.ID(), r.Int64()
	source := r.Byte()
	c.Source, c.Toward, c.Trait = fusion.Source(source&^isNoisy), int8(r.Byte()), policy.Trait(r.Byte())
	c.Owner, c.CheckIn = r.Bool(), r.Bool()
	marks := r.Byte()
	c.Protected, c.Doubt = marks&1 != 0, marks>>1
	c.Value, c.Share = r.Micro(), r.Micro()
	if source&isNoisy != 0 {
		c.Extra = r.Micro()
		r.Bad = r.Bad || c.Extra == 0
	}
	if c.Measured = r.Mask(); c.Measured != 0 {
		r.Levels(c.Levels[:])
	}
	r.Bad = r.Bad || c.Doubt > MaxDoubt || c.Source >= fusion.NSources || c.Toward < -1 || c.Toward > 1 || c.Trait >= policy.NTraits || c.Share < 0
}
