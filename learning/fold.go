package learning

import (
	"runtime"

	"rapport/learning/fusion"
	"rapport/learning/safety"
	"rapport/learning/step"
	"rapport/policy"
)

// Generation numbers the formula of the fold. Stored states carry it, with the
// numeric profile they were computed under.
const Generation = 1

// State is an agent's learner after some entries of its list: the trait block,
// and what bounds its influence. Fold computes it; what is stored is a cache.
type State struct {
	step.State
	Lo, Hi  policy.Traits
	Pinned  policy.Mask
	Pace    byte // place in paces
	Paused  bool // learning is off, or the kill switch is on
	Hold    [step.D]uint8
	N       [step.D]uint32  // episodes with evidence since the start, per trait
	Info    [step.D]float64 // owner ratings' worth of it
	Asked   policy.Mask     // traits that the owner asked for with a tone button
	Owner   float64         // information accumulated, in owner ratings: by the owner,
	Guests  float64         // by everybody else,
	Meant   float64         // by judgements,
	Shown   float64         // by behaviour,
	CheckIn float64         // by check-ins
	Raters  [raters]raterInfo
	Entries uint32
}

// raterInfo is what one guest has contributed. The table keeps the heaviest; one
// that is pushed out leaves its amount to the newcomer, so that nobody is ever
// taken for lighter than they are (space saving, Metwally et al. 2005).
type raterInfo struct {
	ID   uint64 // FNV-1a of the rater
	Info float64
}

const raters = 12

// The bounds of influence (design page on soundness, 7.11 and 7.15).
const (
	guestShare   = .3 // guests together: this share of the owner's information
	guestFloor   = 2. // and this many owner ratings
	raterShare   = 1. / 3
	shownShare   = .3  // behaviour's share of all information
	backing      = .09 // owner ratings' worth of behaviour and check-ins (five sessions' engagement) below which support is approval only
	holdEpisodes = 10
)

var paces = [...]string{"", safety.Careful, safety.Normal, safety.Fast}

func paceOf(name string) byte {
	for i, p := range paces {
		if p == name {
			return byte(i)
		}
	}
	return 0
}

// initial is the state before the first entry.
func initial() State {
	s := State{State: step.New(policy.Neutral())}
	for j := range s.Hi {
		s.Hi[j] = 1
	}
	return s
}

// Fold computes the learner from its list, which must be in order. It is the
// whole of learning: equal lists give equal bytes on one numeric profile.
func Fold(entries []*Entry) State {
	s, f := initial(), folder{}
	for _, e := range entries {
		f.apply(&s, e)
	}
	return s
}

// folder is the scratch space of folding.
type folder struct {
	belief  step.Belief
	voices  []voice
	drifted bool // by the last entry
}

// voice is what one person said in an episode.
type voice struct {
	rater       string
	owner       bool
	meant, show fusion.Evidence
	checkIn     float64
}

// apply takes in the next entry of the list. O(P³), no allocation.
func (f *folder) apply(s *State, e *Entry) {
	s.Entries++
	f.drifted = false
	if e.Act != nil {
		s.act(e.Act)
		return
	}
	x, active := &e.About.Rendered, policy.AllTraits
	var read policy.Traits
	if !e.About.Decided {
		if read, active = e.About.measured(); active == 0 {
			return
		}
		x = &read
	}
	if s.Paused {
		return
	}
	var held policy.Mask
	for j := range s.Hold {
		if s.Hold[j] > 0 {
			s.Hold[j]--
			held |= 1 << j
		}
	}
	f.listen(&e.About)
	y, w := fusion.Defaults().Fused(s.weigh(f.voices))
	if w > 0 {
		phi := step.Features(x, active)
		f.drifted = s.Observe(step.DefaultPrior(), &phi, y, w)
		s.count(active, w)
	}
	asked := f.ask(s, &e.About, x, active)
	evidence := w > 0 || asked != 0
	if w > 0 {
		asked &^= active // counted already
	}
	s.count(asked, 0)
	if evidence {
		s.move(s.Believe(step.DefaultPrior(), &f.belief), held)
	}
}

// measured is the mean of the levels read from the episode's texts, per trait
// over the signals that have one.
func (e *Episode) measured() (x policy.Traits, active policy.Mask) {
	x = policy.Neutral()
	for j := range x {
		sum, n := 0., 0.
		for i := range e.Contributions {
			if c := &e.Contributions[i]; c.Measured.Has(policy.Trait(j)) {
				sum += float64(c.Share * c.Levels[j])
				n += c.Share
			}
		}
		if n > 0 {
			x[j] = sum / n
			active |= 1 << j
		}
	}
	return x, active
}

// listen sums the episode's contributions per person, in the order of their
// first feedback.
func (f *folder) listen(e *Episode) {
	f.voices = f.voices[:0]
	quiet := e.Decided && (e.Protected || !e.Consent)
	loadings := fusion.Defaults()
	for i := range e.Contributions {
		c := &e.Contributions[i]
		if c.Toward != 0 || c.Source.Behavioural() && (quiet || c.Protected) {
			continue
		}
		k := 0
		for k < len(f.voices) && (f.voices[k].rater != c.Rater || f.voices[k].owner != c.Owner) {
			k++
		}
		if k == len(f.voices) {
			f.voices = append(f.voices, voice{rater: c.Rater, owner: c.Owner})
		}
		v, said := &f.voices[k], loadings.Of(c.Source, c.Value, c.Share)
		switch {
		case c.Source.Behavioural():
			v.show.Add(said)
		case c.CheckIn:
			v.checkIn += said.Pi
			v.meant.Add(said)
		default:
			v.meant.Add(said)
		}
	}
}

// weigh sums what the people said within the bounds of influence, and remembers
// how much each had: guests together at most .3 of the owner's information and 2,
// one of them at most a third of that, behaviour at most .3 of everything.
func (s *State) weigh(voices []voice) fusion.Evidence {
	l := fusion.Defaults()
	var meant, show fusion.Evidence
	own := 0. // behaviour of the owner
	for i := range voices {
		if v := &voices[i]; v.owner {
			s.Owner += l.Ratings(v.meant.Pi)
			own += v.show.Pi
		}
	}
	allowed := float64(guestShare*s.Owner) + guestFloor
	for i := range voices {
		v := &voices[i]
		if !v.owner {
			said := v.meant.Pi + v.show.Pi
			if said <= 0 {
				continue
			}
			slot := s.rater(v.rater)
			may := l.FromRatings(min(allowed-s.Guests, float64(raterShare*allowed)-slot.Info))
			share := min(1, max(0, may)/said)
			v.meant.Cap(float64(v.meant.Pi * share))
			v.show.Cap(float64(v.show.Pi * share))
			v.checkIn = float64(v.checkIn * share)
			counted := l.Ratings(v.meant.Pi + v.show.Pi)
			slot.Info += counted
			s.Guests += counted
		}
		meant.Add(v.meant)
		show.Add(v.show)
		s.CheckIn += l.Ratings(v.checkIn)
	}
	s.Meant += l.Ratings(meant.Pi)
	if raw := show.Pi; raw > 0 {
		left := show.Cap(l.FromRatings(float64(shownShare/(1-shownShare)*s.Meant) - s.Shown))
		s.Owner += l.Ratings(float64(own * (left / raw)))
		s.Shown += l.Ratings(left)
	}
	meant.Add(show)
	return meant
}

// rater finds the place of a guest, or makes one of the lightest place.
func (s *State) rater(name string) *raterInfo {
	id := uint64(14695981039346656037)
	for i := range len(name) {
		id = (id ^ uint64(name[i])) * 1099511628211
	}
	least := 0
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

// ask takes in the owner's tone buttons: per trait one wish, the mean of the
// directions, with at most the weight of one press. It gives the traits asked
// for.
func (f *folder) ask(s *State, e *Episode, x *policy.Traits, active policy.Mask) (asked policy.Mask) {
	for j := range step.D {
		t := policy.Trait(j)
		toward, n := 0., 0.
		for i := range e.Contributions {
			if c := &e.Contributions[i]; c.Toward != 0 && c.Owner && c.Trait == t {
				toward += float64(float64(c.Toward) * c.Share)
				n += c.Share
			}
		}
		if n > 0 && active.Has(t) {
			share := min(1, n)
			s.Ask(x, t, toward/n, share)
			s.Info[j] += share
			asked |= 1 << j
		}
	}
	s.Asked |= asked
	return asked
}

// count notes an episode with evidence about some traits.
func (s *State) count(about policy.Mask, w float64) {
	for j := range s.N {
		if about.Has(policy.Trait(j)) {
			s.N[j]++
			s.Info[j] += w
		}
	}
}

// ApprovalOnly says whether a trait's support is thumbs and ratings alone.
func (s *State) ApprovalOnly(t policy.Trait) bool {
	return !s.Asked.Has(t) && s.Shown+s.CheckIn < backing
}

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
	case s.N[t] < safety.MinEpisodes || s.Info[t] < safety.MinRatings:
		return "evidence"
	}
	return ""
}

// move lets the levels follow the belief.
func (s *State) move(b *step.Belief, held policy.Mask) {
	var fence step.Fence
	for j := range step.D {
		t := policy.Trait(j)
		r := safety.Fence(t, policy.Range{Lo: s.Lo[j], Hi: s.Hi[j]}, s.Start[j], s.ApprovalOnly(t))
		fence.Lo[j], fence.Hi[j] = r.Lo, r.Hi
		fence.Gate[j] = s.Gate(t).Z
		if s.Waits(t) == "" && !held.Has(t) {
			fence.May |= 1 << j
		}
	}
	before := s.Theta
	s.Move(b, &fence)
	s.Theta = safety.Permit(before, s.Theta)
}

// act is what the owner did. What the act says of limits, pins, pace and pause
// holds from here on; levels that were set are held for ten closed episodes.
func (s *State) act(a *Act) {
	if a.Kind == actTransferred {
		s.Shrink(step.Keep)
		s.Start = s.Theta
		s.N = [step.D]uint32{}
		s.Asked = 0
		for j := range s.Info {
			s.Info[j] = float64(s.Info[j] * step.Keep)
		}
		for _, v := range [...]*float64{&s.Owner, &s.Guests, &s.Meant, &s.Shown, &s.CheckIn} {
			*v = float64(*v * step.Keep)
		}
		for i := range s.Raters {
			s.Raters[i].Info = float64(s.Raters[i].Info * step.Keep)
		}
		return
	}
	touched := a.Touched
	if touched == 0 {
		touched = policy.AllTraits
	}
	for j := range step.D {
		t := policy.Trait(j)
		switch a.Kind {
		case actCreated:
			s.Theta[j] = a.Levels[j]
			s.Start[j] = a.Baseline[j]
		case actEdited, actRollback:
			if a.Kind == actRollback || touched.Has(t) {
				s.Theta[j] = a.Levels[j]
			}
			if touched.Has(t) {
				s.Hold[j] = holdEpisodes
			}
			s.Start[j] = a.Baseline[j]
		case actPinned:
			if a.Pinned.Has(t) {
				s.Theta[j] = a.Levels[j]
			}
		}
	}
	s.Lo, s.Hi, s.Pinned, s.Pace = a.Lo, a.Hi, a.Pinned, a.Pace
	s.Paused = !a.Learning || !a.Alive
	for j := range s.Theta {
		s.Theta[j] = min(max(s.Theta[j], s.Lo[j]), s.Hi[j])
	}
}

// StateSize is the length of an encoded state in bytes.
const StateSize = 4 + step.Size + 16*step.D + 4 + 2 + step.D + 4*step.D + 8*step.D + 5*8 + 16*raters + 4

// append encodes the state: generation, profile, then fixed places.
func (s *State) append(b []byte) []byte {
	b = append(b, Generation, profile, s.Pace)
	b = appendBool(b, s.Paused)
	b = s.State.Append(b)
	for j := range step.D {
		b = appendFloat(appendFloat(b, s.Lo[j]), s.Hi[j])
	}
	b = appendMask(appendMask(b, s.Pinned), s.Asked)
	b = append(b, 0, 0) // so that the rest lies on even places
	b = append(b, s.Hold[:]...)
	for j := range step.D {
		b = append(b, byte(s.N[j]), byte(s.N[j]>>8), byte(s.N[j]>>16), byte(s.N[j]>>24))
		b = appendFloat(b, s.Info[j])
	}
	for _, v := range [...]float64{s.Owner, s.Guests, s.Meant, s.Shown, s.CheckIn} {
		b = appendFloat(b, v)
	}
	for _, r := range s.Raters {
		b = appendFloat(appendInt64(b, int64(r.ID)), r.Info)
	}
	return append(b, byte(s.Entries), byte(s.Entries>>8), byte(s.Entries>>16), byte(s.Entries>>24))
}

// read decodes a state; false when the bytes are none, or one of another
// generation or profile: then the fold is redone.
func (s *State) read(b []byte) bool {
	if len(b) != StateSize || b[0] != Generation || b[1] != profile || int(b[2]) >= len(paces) || !s.State.Read(b[4:]) {
		return false
	}
	s.Pace = b[2]
	r := reader{b: b[3:4]}
	s.Paused = r.bool()
	r.b = b[4+step.Size:]
	for j := range step.D {
		s.Lo[j], s.Hi[j] = r.float(), r.float()
	}
	s.Pinned, s.Asked = r.mask(), r.mask()
	r.bad = r.uint16() != 0 || r.bad
	copy(s.Hold[:], r.take(step.D))
	for j := range step.D {
		s.N[j], s.Info[j] = r.uint32(), r.float()
	}
	for _, v := range [...]*float64{&s.Owner, &s.Guests, &s.Meant, &s.Shown, &s.CheckIn} {
		*v = r.float()
	}
	for i := range s.Raters {
		s.Raters[i] = raterInfo{uint64(r.int64()), r.float()}
	}
	s.Entries = r.uint32()
	return !r.bad && s.Lo.Valid() && s.Hi.Valid()
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
