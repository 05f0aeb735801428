package fold

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"runtime"

	"rapport/learning/safety"
	"rapport/learning/step"
	"rapport/learning/wire"
	"rapport/policy"
)

// Generation numbers the formula of the fold. Stored states carry it, with the
// numeric profile they were computed under.
const Generation = 5

// State is an agent's learner after some entries of its list: the trait block,
// and what bounds its influence. Of computes it; what is stored is a cache.
type State struct {
	step.State
	Lo, Hi   policy.Traits
	Pinned   policy.Mask
	Pace     byte // place in paces
	Paused   bool // learning is off, or the kill switch is on
	Hold     [step.D]uint8
	Adopted  Versions
	Episodes [step.D]uint32  // with evidence since the start, per trait
	Info     [step.D]float64 // owner ratings' worth of it
	Asked    policy.Mask     // traits that the owner asked for with a tone button
	Owner    float64         // information accumulated, in owner ratings: by the owner,
	Guests   float64         // by everybody else,
	Meant    float64         // by judgements,
	Shown    float64         // by behaviour,
	CheckIn  float64         // by check-ins
	Raters   [raters]raterInfo
	Presser  Presser
	Actions  [NActions]Block
	Entries  uint32
	Guarded  bool  // the newest decided episode was protected
	Lost     uint8 // episodes with evidence that still count as just after a change of taste
}

// raterInfo is what one guest has contributed. The table keeps the heaviest; one
// that is pushed out leaves its amount to the newcomer, so that nobody is ever
// taken for lighter than they are (space saving, Metwally et al. 2005).
type raterInfo struct {
	ID   uint64 // FNV-1a of the rater
	Info float64
}

const raters = 12

var paces = [...]string{"", safety.Careful, safety.Normal, safety.Fast}

// PaceOf is how a pace is stored; 0 for one that is unknown.
func PaceOf(name string) byte {
	for i, p := range paces {
		if p == name {
			return byte(i)
		}
	}
	return 0
}

// New is the state before the first entry.
func New() State {
	s := State{State: step.New(policy.Neutral())}
	for j := range s.Hi {
		s.Hi[j] = 1
	}
	return s
}

// Started is the state of an agent whose owner starts it at levels, with the normal
// pace and no limits: for those who have no list of acts.
func Started(levels policy.Traits) State {
	s := New()
	s.Theta, s.Start, s.Pace = levels, levels, PaceOf(safety.Normal)
	return s
}

// Bare is the state of which nothing is known but what its owner said: the levels
// and their start, limits, pins and pace. What remains when evidence must go that
// cannot be taken out singly.
func (s *State) Bare() State {
	b := New()
	b.State = step.New(s.Start)
	b.Lo, b.Hi, b.Pinned, b.Pace, b.Paused, b.Hold = s.Lo, s.Hi, s.Pinned, s.Pace, s.Paused, s.Hold
	for k := range b.Actions {
		b.Actions[k].set(float64(s.Actions[k].Start))
		b.Actions[k].Hold = s.Actions[k].Hold
	}
	b.Adopted, b.Entries, b.Guarded = s.Adopted, s.Entries, s.Guarded
	for j := range b.Theta {
		b.Theta[j] = min(max(b.Theta[j], b.Lo[j]), b.Hi[j])
	}
	return b
}

// Centres draws the exploration centres around the levels (the published ones,
// which may lag behind the state's) inside [lo,hi]; a pinned level stays. They
// follow from belief, agent, and the number of entries and the generation.
func (s *State) Centres(b *step.Belief, agent string, levels, lo, hi *policy.Traits, pinned policy.Mask, out *[policy.DefaultCentres]policy.Traits) {
	least, most := *lo, *hi
	for j := range levels {
		if pinned.Has(policy.Trait(j)) {
			least[j], most[j] = levels[j], levels[j]
		}
	}
	var place [64]byte
	seed := binary.LittleEndian.AppendUint32(append(place[:0], agent...), s.Entries)
	r := policy.NewStream(sha256.Sum256(append(seed, Generation)))
	b.Centres(levels, &least, &most, &r, out)
}

// ApprovalOnly says whether a trait's support is thumbs and ratings alone.
func (s *State) ApprovalOnly(t policy.Trait) bool {
	return !s.Asked.Has(t) && !s.Backed()
}

// Backed says whether behaviour or check-ins speak beside judgements and wishes.
func (s *State) Backed() bool { return s.Shown+s.CheckIn >= backing }

// Gate is what P(improvement) of a move of the trait must reach now.
func (s *State) Gate(t policy.Trait) safety.Gate {
	return safety.GateOf(paces[s.Pace], s.ApprovalOnly(t))
}

// Waits says why a trait cannot move now, empty when it can: pinned, held after
// an act of the owner, paused, or too little evidence.
func (s *State) Waits(t policy.Trait) string {
	switch {
	case s.Paused:
		return "paused"
	case s.Pinned.Has(t):
		return "pinned"
	case s.Hold[t] > 0:
		return "held"
	case s.Episodes[t] < safety.MinEpisodes || s.Info[t] < safety.MinRatings:
		return "evidence"
	}
	return ""
}

func raterID(name string) uint64 {
	id := uint64(14695981039346656037)
	for i := range len(name) {
		id = (id ^ uint64(name[i])) * 1099511628211
	}
	return id
}

// heard is what a guest has contributed, 0 for one of whom nothing is kept.
func (s *State) heard(name string) float64 {
	id := raterID(name)
	for i := range s.Raters {
		if s.Raters[i].ID == id {
			return s.Raters[i].Info
		}
	}
	return 0
}

// rater finds the place of a guest, or makes one of the lightest place.
func (s *State) rater(name string) *raterInfo {
	id, least := raterID(name), 0
	for i := range s.Raters {
		if s.Raters[i].ID == id {
			return &s.Raters[i]
		}
		if s.Raters[i].Info < s.Raters[least].Info {
			least = i
		}
	}
	s.Raters[least].ID = id
	return &s.Raters[least]
}

// Size is the length of an encoded state in bytes.
const Size = 16 + step.Size + 16*step.D + 4 + 2 + step.D + 4*step.D + 8*step.D + 5*8 + 16*raters + 16 + int(NActions)*blockSize + 4

// Append encodes the state: generation, profile, then fixed places.
func (s *State) Append(b []byte) []byte {
	b = append(b, Generation, profile, s.Pace)
	b = wire.AppendBool(b, s.Paused)
	b = s.Adopted.append(b)
	b = s.State.Append(b)
	for j := range step.D {
		b = wire.AppendFloat(wire.AppendFloat(b, s.Lo[j]), s.Hi[j])
	}
	b = wire.AppendMask(wire.AppendMask(b, s.Pinned), s.Asked)
	b = wire.AppendBool(b, s.Guarded)
	b = append(b, s.Lost)
	b = append(b, s.Hold[:]...)
	for j := range step.D {
		b = append(b, byte(s.Episodes[j]), byte(s.Episodes[j]>>8), byte(s.Episodes[j]>>16), byte(s.Episodes[j]>>24))
		b = wire.AppendFloat(b, s.Info[j])
	}
	for _, v := range [...]float64{s.Owner, s.Guests, s.Meant, s.Shown, s.CheckIn} {
		b = wire.AppendFloat(b, v)
	}
	for _, r := range s.Raters {
		b = wire.AppendFloat(wire.AppendInt64(b, int64(r.ID)), r.Info)
	}
	b = wire.AppendFloat(wire.AppendFloat(b, s.Presser.Seen), s.Presser.Agreed)
	for k := range s.Actions {
		b = s.Actions[k].append(b)
	}
	return append(b, byte(s.Entries), byte(s.Entries>>8), byte(s.Entries>>16), byte(s.Entries>>24))
}

// Read decodes a state; false when the bytes are none, or one of another
// generation or profile: then the fold is redone.
func (s *State) Read(b []byte) bool {
	if len(b) != Size || b[0] != Generation || b[1] != profile || int(b[2]) >= len(paces) || !s.State.Read(b[16:]) {
		return false
	}
	s.Pace = b[2]
	r := wire.Reader{B: b[3:16]}
	s.Paused = r.Bool()
	s.Adopted.read(&r)
	r.B = b[16+step.Size:]
	for j := range step.D {
		s.Lo[j], s.Hi[j] = r.Float(), r.Float()
	}
	s.Pinned, s.Asked = r.Mask(), r.Mask()
	s.Guarded = r.Bool()
	s.Lost = r.Byte()
	r.Bad = r.Bad || s.Lost > lostEpisodes
	copy(s.Hold[:], r.Take(step.D))
	for j := range step.D {
		s.Episodes[j], s.Info[j] = r.Uint32(), r.Float()
	}
	for _, v := range [...]*float64{&s.Owner, &s.Guests, &s.Meant, &s.Shown, &s.CheckIn} {
		*v = r.Float()
	}
	for i := range s.Raters {
		s.Raters[i] = raterInfo{uint64(r.Int64()), r.Float()}
	}
	s.Presser.Seen, s.Presser.Agreed = r.Float(), r.Float()
	r.Bad = r.Bad || !(s.Presser.Seen >= 0 && s.Presser.Seen+math.Abs(s.Presser.Agreed) <= math.MaxFloat64)
	for k := range s.Actions {
		s.Actions[k].read(&r)
	}
	s.Entries = r.Uint32()
	return !r.Bad && s.Lo.Valid() && s.Hi.Valid()
}

// AdoptedIn reads what an encoded state has adopted; false when the bytes are no
// state of this generation and profile.
func AdoptedIn(b []byte) (v Versions, ok bool) {
	if len(b) != Size || b[0] != Generation || b[1] != profile {
		return v, false
	}
	v.read(&wire.Reader{B: b[4:16]})
	return v, true
}

// profile is the processor family that a state was computed on.
var profile = func() byte {
	for i, arch := range [...]string{"amd64", "arm64", "386", "arm", "riscv64", "ppc64le", "s390x", "loong64"} {
		if runtime.GOARCH == arch {
			return byte(i + 1)
		}
	}
	return 0
}()
