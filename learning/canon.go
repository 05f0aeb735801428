package learning

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/learning/fold"
	"rapport/learning/wire"
	"rapport/policy"
)

// canon is what the learner must know of an agent's canonical state.
type canon struct {
	Version int64
	At      event.Micros
	Retired bool
	Owner   event.PersonID
	Act     fold.Act     // levels, baseline, limits, pins, pace, switches
	Since   event.Micros // when the owner got the agent from another; 0 for the first
	Explore policy.Exploration
	Trail   []mark // levels at the end of the last days, oldest first

	Adopted   fold.Versions // the newest adoption
	AdoptedAt event.Micros
	Adoption  string // id of its event
	Untold    bool   // no proposal has listed it among its causes yet

	Frozen   string       // why updates are frozen; empty when they are not
	FrozenAt event.Micros // when that was last said

	Asked    int64 // the version that the newest proposal was computed from
	AskedFor policy.Traits

	AskedActions fold.Actions
}

// mark is the levels and action weights at the end of a day.
type mark struct {
	Day     int64
	Levels  policy.Traits
	Actions fold.Actions
}

const day = int64(24 * 3600 * 1e6)

// actOf reads the canonical state that an event carries.
func actOf(kind byte, change event.Change, s *event.AgentState) (fold.Act, policy.Document, error) {
	var d policy.Document
	if err := json.Unmarshal(s.Policy, &d); err != nil {
		return fold.Act{}, d, fmt.Errorf("%w: policy of agent %s: %v", event.ErrMalformed, s.AgentID, err)
	}
	a := fold.Act{Kind: kind, Levels: d.Traits, Baseline: d.Traits, Pinned: d.Pinned & policy.AllTraits, Pace: fold.PaceOf(s.Pace), Learning: s.Learning, Alive: s.Alive}
	for i, v := range s.Baseline {
		if i < policy.NTraits && v >= 0 && v <= 1 {
			a.Baseline[i] = v
		}
	}
	limits := d.Limits()
	for j := range policy.NTraits {
		r := limits.Of(policy.Trait(j))
		a.Lo[j], a.Hi[j] = r.Lo, r.Hi
	}
	for _, levels := range [...]*policy.Traits{&a.Levels, &a.Baseline, &a.Lo, &a.Hi} {
		for j := range levels {
			levels[j] = wire.Micro(levels[j])
		}
	}
	for _, name := range change.Traits {
		if t, ok := policy.ParseTrait(name); ok {
			a.Touched |= 1 << t
		}
	}
	a.Actions = fold.ActionsOf(&d.ActionPolicy)
	for k := range a.Actions {
		a.Actions[k] = wire.Micro(min(1, max(0, a.Actions[k])))
		if slices.Contains(change.Actions, fold.Action(k).String()) {
			a.Set |= 1 << k
		}
	}
	return a, d, nil
}

// limitsOf are an act's bounds in the form of a document.
func limitsOf(a *fold.Act) policy.Bounds {
	b := policy.Bounds{}
	for j := range policy.NTraits {
		b[policy.Trait(j)] = policy.Range{Lo: a.Lo[j], Hi: a.Hi[j]}
	}
	return b
}

// walked notes the levels at a time. fresh forgets the way here: the owner asked
// for these levels.
func (c *canon) walked(at event.Micros, levels policy.Traits, actions fold.Actions, fresh bool) {
	today := at / day
	if fresh {
		c.Trail = c.Trail[:0]
	}
	if n := len(c.Trail); n > 0 && c.Trail[n-1].Day == today {
		c.Trail[n-1].Levels, c.Trail[n-1].Actions = levels, actions
		return
	}
	c.Trail = append(c.Trail, mark{today, levels, actions})
	// the newest of the marks older than eight days says where the window began
	for len(c.Trail) > 1 && c.Trail[1].Day <= today-8 {
		c.Trail = slices.Delete(c.Trail, 0, 1)
	}
}

// weekAgo is where the levels were at the end of the day before the last seven
// days began, or at the owner's last word if that is later.
func (c *canon) weekAgo(at event.Micros) mark {
	from := mark{Levels: c.Act.Levels, Actions: c.Act.Actions}
	for i, m := range c.Trail {
		if i == 0 || m.Day <= at/day-8 {
			from = m
		}
	}
	return from
}

var strategies = []string{policy.StrategyMixture, policy.StrategyEpsilon, policy.StrategyOff}

// What is said beside the strategy's place.
const (
	holdoutOff = 1 << 7
	guardSpoke = 1 << 6
)

func (c *canon) append(b []byte) []byte {
	act := fold.Entry{At: c.At, ID: string(c.Owner), Act: &c.Act}
	b = act.Append(b)
	b = wire.AppendInt64(wire.AppendInt64(b, c.Since), c.Asked)
	b = wire.AppendLevels(wire.AppendLevels(b, c.AskedFor[:]), c.AskedActions[:])
	b = wire.AppendFloat(b, c.Explore.Epsilon)
	adoption := fold.Entry{At: c.AdoptedAt, ID: c.Adoption, Adopt: &c.Adopted}
	b = wire.AppendBool(adoption.Append(b), c.Untold)
	strategy := byte(max(0, slices.Index(strategies, c.Explore.Strategy)))
	if c.Explore.HoldoutOff {
		strategy |= holdoutOff
	}
	if c.FrozenAt != 0 {
		strategy |= guardSpoke
	}
	b = append(b, strategy, byte(len(c.Trail)))
	for i := range c.Trail {
		b = wire.AppendInt64(b, c.Trail[i].Day)
		b = wire.AppendLevels(wire.AppendLevels(b, c.Trail[i].Levels[:]), c.Trail[i].Actions[:])
	}
	if c.FrozenAt != 0 {
		b = wire.AppendText(wire.AppendInt64(b, c.FrozenAt), c.Frozen)
	}
	return b
}

// unreadable is the fault learning_unreadable: bytes of a projection that this
// program would not have written. All of them follow from the log.
func unreadable(err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Internal, "learning_unreadable", "What is stored of an agent's learning was written by another version of the program, or is damaged. "+
		"Nothing is lost: `rapport rebuild` makes it anew from the log; then replay what `rapport dead-letters` lists, if it lists anything.").Because(err)
}

// read takes over what append wrote. The fault is learning_unreadable.
func (c *canon) read(b []byte) error { return unreadable(c.decode(b)) }

func (c *canon) decode(b []byte) error {
	n, err := fold.Length(b)
	if err != nil {
		return err
	}
	e, err := fold.ReadEntry(b[:n])
	if err != nil || e.Act == nil {
		return fold.ErrEntry
	}
	c.At, c.Owner, c.Act = e.At, event.PersonID(e.ID), *e.Act
	r := wire.Reader{B: b[n:]}
	c.Since = r.Int64()
	c.Asked = r.Int64()
	r.Levels(c.AskedFor[:])
	r.Levels(c.AskedActions[:])
	c.Explore.Epsilon = min(1, math.Max(0, r.Float()))
	if n, err = fold.Length(r.B); err != nil {
		return err
	}
	if e, err = fold.ReadEntry(r.Take(n)); err != nil || e.Adopt == nil {
		return fold.ErrEntry
	}
	c.AdoptedAt, c.Adoption, c.Adopted = e.At, e.ID, *e.Adopt
	c.Untold = r.Bool()
	strategy := r.Byte()
	c.Explore.HoldoutOff = strategy&holdoutOff != 0
	c.Explore.Strategy = strategies[min(int(strategy&^(holdoutOff|guardSpoke)), len(strategies)-1)]
	c.Trail = make([]mark, r.Byte())
	for i := range c.Trail {
		c.Trail[i].Day = r.Int64()
		r.Levels(c.Trail[i].Levels[:])
		r.Levels(c.Trail[i].Actions[:])
	}
	if strategy&guardSpoke != 0 {
		c.FrozenAt, c.Frozen = r.Int64(), r.Text()
	}
	if !r.Done() {
		return fold.ErrEntry
	}
	return nil
}
