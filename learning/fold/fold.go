package fold

import (
	"fmt"

	"rapport/learning/fusion"
	"rapport/learning/safety"
	"rapport/learning/step"
	"rapport/policy"
)

// The bounds of influence (design page on soundness, 7.11 and 7.15).
const (
	guestShare   = .3 // guests together: this share of the owner's information
	guestFloor   = 2. // and this many owner ratings
	raterShare   = 1. / 3
	guestKnown   = .5  // owner ratings' worth, from which on a guest is no stranger,
	guestReach   = .25 // and is heard within so much of what was expected, in units of a rating
	doubted      = 2   // signs from which on accounts count together as one guest
	shownShare   = .3  // behaviour's share of all information
	backing      = .09 // owner ratings' worth of behaviour and check-ins (five sessions' engagement) below which support is approval only
	holdEpisodes = 10
	lostEpisodes = 40 // after a change of taste
)

// Of computes the learner from its list, which must be in order. It is the whole
// of learning: equal lists give equal bytes on one numeric profile. The error is
// ErrVersion when the list adopts parameters that the library does not have.
func Of(entries []*Entry, lib Library) (State, error) { return After(New(), entries, lib) }

// After goes on from a state with what follows in its list.
func After(s State, entries []*Entry, lib Library) (State, error) {
	f := Folder{Library: lib, Newest: Newest(entries, s.Adopted)}
	for _, e := range entries {
		if err := f.Apply(&s, e); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Newest is what the last adoption in a list adopts, or what was adopted before.
func Newest(entries []*Entry, before Versions) Versions {
	for i := len(entries) - 1; i >= 0; i-- {
		if v := entries[i].Adopt; v != nil {
			return *v
		}
	}
	return before
}

// Folder folds entry by entry. It holds no more than scratch space and what it
// looked up: one may serve any number of states, one after the other.
type Folder struct {
	Library Library  // nil: the defaults
	Newest  Versions // the last adoption of the whole list, which says who is excluded
	Drifted bool     // the last entry was one disappointment too many

	from     Library // where what follows was looked up
	of       Versions
	newest   Versions
	prior    *step.Prior
	loadings *fusion.Loadings
	asking   float64
	regards  Reputation
	excluded Reputation
	belief   step.Belief
	voices   []voice
}

// voice is what one person said in an episode.
type voice struct {
	rater       string // who is heard as one
	from        string
	owner       bool
	meant, show fusion.Evidence
	shown       fusion.Shown // what show is of
	checkIn     float64
}

// use looks up what a state has adopted.
func (f *Folder) use(s *State) error {
	if f.prior != nil && f.of == s.Adopted && f.newest == f.Newest && f.from == f.Library {
		return nil
	}
	lib := f.Library
	if lib == nil {
		lib = Defaults()
	}
	prior, loadings, regards := lib.Prior(s.Adopted.Prior), lib.Calibration(s.Adopted.Calibration), lib.Reputation(s.Adopted.Reputation)
	excluded := lib.Reputation(f.Newest.Reputation)
	if prior == nil || loadings == nil || regards == nil || excluded == nil {
		return fmt.Errorf("%w: %v", ErrVersion, s.Adopted)
	}
	f.from, f.of, f.newest = f.Library, s.Adopted, f.Newest
	f.prior, f.loadings, f.regards, f.excluded = prior, loadings, regards, excluded
	f.asking = lib.Asking(s.Adopted.Calibration)
	return nil
}

// Excludes says whether a rater counts nothing by the newest adoption that the
// folder has used.
func (f *Folder) Excludes(rater string) bool { return f.excluded.Of(rater).Excluded }

// Believe gives the posterior of a state under what it has adopted. It is valid
// until the folder's next call.
func (f *Folder) Believe(s *State) (*step.Belief, error) {
	if err := f.use(s); err != nil {
		return nil, err
	}
	b := s.Believe(f.prior, &f.belief)
	return b, b.Err
}

// Apply takes in the next entry of a state's list. O(K·P³), no allocation. The
// error is ErrVersion, and the state is as it was; or step.ErrState, and the state
// is none that this list can lead to.
func (f *Folder) Apply(s *State, e *Entry) error {
	f.Drifted = false
	if e.Act != nil {
		s.Entries++
		s.act(e.Act)
		return nil
	}
	if e.Adopt != nil {
		before := s.Adopted
		s.Adopted = *e.Adopt
		if err := f.use(s); err != nil {
			s.Adopted = before
			return err
		}
		s.Entries++
		return nil
	}
	if err := f.use(s); err != nil {
		return err
	}
	s.Entries++
	if e.About.Decided {
		s.Guarded = e.About.Protected
	}
	x, active := e.About.Levels()
	if active == 0 || s.Paused {
		return nil
	}
	var held policy.Mask
	for j := range s.Hold {
		if s.Hold[j] > 0 {
			s.Hold[j]--
			held |= 1 << j
		}
	}
	may := true // the action that had a part may move
	for k := range s.Actions {
		if b := &s.Actions[k]; b.Hold > 0 {
			b.Hold--
			may = may && e.About.Did != byte(k)+1
		}
	}
	f.listen(&e.About)
	if err := f.temper(s, &x, active); err != nil {
		return err
	}
	y, w := f.loadings.Fused(f.weigh(s))
	if w > 0 {
		var err error
		phi := s.Features(&x, active)
		if f.Drifted, err = s.ObserveInto(f.prior, &f.belief, &phi, y, w); err != nil {
			return err
		}
		s.count(active, w)
		if s.Lost > 0 {
			s.Lost--
		}
		if f.Drifted {
			s.Lost = lostEpisodes
		}
		f.act(s, &e.About, &phi, y, w, may)
	}
	asked, err := f.ask(s, &e.About, &x, active, w > 0)
	if err != nil {
		return err
	}
	switch {
	case asked != 0:
		if w <= 0 { // not counted yet
			s.count(asked, 0)
		}
		if s.Believe(f.prior, &f.belief).Err != nil {
			return f.belief.Err
		}
	case w <= 0:
		return nil // nothing was said
	}
	s.move(&f.belief, held)
	return nil
}

// Levels are those that the episode's words had, and of which traits they are
// known: what was rendered in the traits that the model's replies change with, or
// without a decision the mean of the levels read from the texts, per trait over the
// signals that have one.
func (e *Episode) Levels() (x policy.Traits, active policy.Mask) {
	if e.Decided {
		return e.Rendered, policy.AllTraits &^ e.Inaudible
	}
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

// act lets the action that had a part in an episode learn from what the traits do
// not explain.
func (f *Folder) act(s *State, e *Episode, phi *step.Vec, y, w float64, may bool) {
	if f.Drifted {
		for k := range s.Actions {
			s.Actions[k].shrink(step.Keep)
		}
	}
	if e.Did == 0 || !e.Decided {
		return
	}
	for i, v := range phi {
		y -= float64(v * f.belief.M[i])
	}
	b := &s.Actions[e.Did-1]
	b.observe(e.Weight, y, w)
	if may {
		s.moveAction(Action(e.Did-1), f.prior.Noise, safety.GateOf(paces[s.Pace], !s.Backed()), safety.Together(paces[s.Pace]))
	}
}

// Hears says whether a contribution counts as a signal: no wish (that is another
// kind of evidence), and no behaviour that nobody consented to or in a protected
// session.
func (e *Episode) Hears(c *Contribution) bool {
	quiet := e.Decided && (e.Protected || !e.Consent) || c.Protected
	return c.Toward == 0 && !(quiet && c.Source.Behavioural())
}

// listen sums the episode's contributions per person, in the order of their
// first feedback.
func (f *Folder) listen(e *Episode) {
	f.voices = f.voices[:0]
	for i := range e.Contributions {
		c := &e.Contributions[i]
		if !e.Hears(c) {
			continue
		}
		share, as := c.Share, c.Rater
		if !c.Owner {
			share = float64(share / float64(uint(1)<<min(c.Doubt, MaxDoubt)))
			if c.Doubt >= doubted {
				as = manyAsOne
			}
			if len(f.excluded) > 0 && f.excluded.Of(c.Rater).Excluded {
				continue
			}
			if len(f.regards) > 0 {
				share = float64(share * f.regards.Of(c.Rater).Weight)
			}
		}
		k := 0
		for k < len(f.voices) && (f.voices[k].from != c.Rater || f.voices[k].owner != c.Owner) {
			k++
		}
		if k == len(f.voices) {
			f.voices = append(f.voices, voice{rater: as, from: c.Rater, owner: c.Owner})
		}
		if as == manyAsOne {
			f.voices[k].rater = as
		}
		v, said := &f.voices[k], f.loadings.OfNoisy(c.Source, c.Value, share, c.Extra)
		switch {
		case c.Source.Behavioural():
			v.shown.Add(said)
			v.show = v.shown.Together()
		case c.CheckIn:
			v.checkIn += said.Pi
			v.meant.Add(said)
		default:
			v.meant.Add(said)
		}
	}
}

// manyAsOne is the name of all accounts together that look like one person.
const manyAsOne = "many as one"

// temper draws what a guest says who has said much to within .25 of what their
// session was expected to be worth to the owner. The bound on what they count is one on
// information, and not yet on what that does: one who praises and blames with an end in view tells
// more in three ratings than owners do in thirty, and turned a trait by up to .18
// after 24 ratings of the owner, and .4 after 300; so it is .08 and .14 (200
// simulated agents each). Accounts that look like one person are always heard so. Strangers, of whom there are many who say little, are heard as they
// are: tempered too, they could no longer show what a silent owner likes.
func (f *Folder) temper(s *State, x *policy.Traits, active policy.Mask) error {
	known, expected := false, 0.
	for i := range f.voices {
		v := &f.voices[i]
		if v.owner || v.rater != manyAsOne && s.heard(v.rater) < guestKnown {
			continue
		}
		if !known {
			b := s.Believe(f.prior, &f.belief)
			if b.Err != nil {
				return b.Err
			}
			phi := s.Features(x, active)
			for k, p := range phi {
				expected += float64(p * b.M[k])
			}
			known = true
		}
		v.meant.Near(expected, guestReach)
		v.show.Near(expected, guestReach)
	}
	return nil
}

// weigh sums what the people said within the bounds of influence, and remembers
// how much each had: guests together at most .3 of the owner's information and 2,
// one of them at most a third of that, behaviour at most .3 of everything.
func (f *Folder) weigh(s *State) fusion.Evidence {
	l, voices := f.loadings, f.voices
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

// ask takes in the owner's tone buttons: per trait one wish, the mean of the
// directions, with at most the weight of one press, times what this owner's presses
// are worth. It gives the traits asked for. known says that the folder's belief is
// the state's.
func (f *Folder) ask(s *State, e *Episode, x *policy.Traits, active policy.Mask, known bool) (asked policy.Mask, err error) {
	worth := s.Presser.worth(f.asking)
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
			if !known {
				if s.Believe(f.prior, &f.belief).Err != nil {
					return asked, f.belief.Err
				}
				known = true
			}
			s.Presser.pressed(&f.belief, t, x[j], s.Start[j], toward)
			share := float64(worth * min(1, n))
			if share == 0 { // of one whose presses say nothing
				continue
			}
			if err := s.Ask(x, t, toward/n, share); err != nil {
				return asked, err
			}
			s.Info[j] += share
			asked |= 1 << j
		}
	}
	s.Asked |= asked
	return asked, nil
}

// count notes an episode with evidence about some traits.
func (s *State) count(about policy.Mask, w float64) {
	for j := range s.Episodes {
		if about.Has(policy.Trait(j)) {
			s.Episodes[j]++
			s.Info[j] += w
		}
	}
}

// move lets the levels follow the belief. Just after a change of taste the levels there
// are have been found to please no more, so that to stay is not the safe side: then all
// moves together must be no surer than a single one.
func (s *State) move(b *step.Belief, held policy.Mask) {
	fence := step.Fence{Together: safety.Together(paces[s.Pace]).Z}
	if s.Lost > 0 {
		fence.Together = safety.GateOf(paces[s.Pace], false).Z
	}
	for j := range step.D {
		t := policy.Trait(j)
		r := safety.Fence(t, policy.Range{Lo: s.Lo[j], Hi: s.Hi[j]}, s.Start[j], !s.Backed())
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
	if a.Kind == Transferred {
		s.Shrink(step.Keep)
		s.Rebase(s.Theta)
		s.Episodes = [step.D]uint32{}
		s.Asked, s.Lost = 0, 0
		for k := range s.Actions {
			b := &s.Actions[k]
			b.shrink(step.Keep)
			b.Start, b.Episodes, b.Info = b.Level, 0, float32(step.Keep*float64(b.Info))
		}
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
	start := s.Start
	for j := range step.D {
		t := policy.Trait(j)
		switch a.Kind {
		case Created:
			s.Theta[j] = a.Levels[j]
			start[j] = a.Baseline[j]
		case Edited, RolledBack:
			if a.Kind == RolledBack || touched.Has(t) {
				s.Theta[j] = a.Levels[j]
			}
			if touched.Has(t) {
				s.Hold[j] = holdEpisodes
			}
			start[j] = a.Baseline[j]
		case Pinned:
			if a.Pinned.Has(t) {
				s.Theta[j] = a.Levels[j]
			}
		}
	}
	s.Rebase(start)
	s.setActions(a)
	s.Lo, s.Hi, s.Pinned, s.Pace = a.Lo, a.Hi, a.Pinned, a.Pace
	s.Paused = !a.Learning || !a.Alive
	for j := range s.Theta {
		s.Theta[j] = min(max(s.Theta[j], s.Lo[j]), s.Hi[j])
	}
}
