package actions

import (
	"fmt"

	"rapport/learning/fold"
	"rapport/policy"
)

// Form is a form of a learner.
type Form string

// The forms. Those from Plain on are written plainly for the comparison, with the
// prior, gates, bounds and fusion of the product.
const (
	Separate    Form = "separate"     // the product's
	Fixed       Form = "fixed"        // the product's, its weights stay where they start
	Plain       Form = "plain"        // the product's once more, written like the joint one
	Joint       Form = "joint"        // one block, p = 31
	JointLevels Form = "joint_levels" // the same with a level for each action's episodes, p = 38: the prior of the separate blocks
	JointStart  Form = "joint_start"  // p = 31, weights counted from their start as levels are, not from the middle
	JointBold   Form = "joint_bold"   // p = 31, a weight moves at P ≥ .60
)

// Forms are those that differ in what they learn: all but Plain.
var Forms = []Form{Separate, Joint, Fixed, JointLevels, JointStart, JointBold}

// learner learns for one agent.
type learner interface {
	policy() (policy.Traits, fold.Actions)
	learn(*episode) error
}

func (f Form) learner() learner {
	switch f {
	case Separate, Fixed:
		return newProduct(f == Separate)
	}
	return newPlain(f)
}

// product is the product's learner.
type product struct {
	moves bool
	state fold.State
	fold  fold.Folder
	entry fold.Entry
}

func newProduct(moves bool) *product {
	p := &product{moves: moves, state: fold.New()}
	a := &fold.Act{Kind: fold.Created, Levels: policy.Neutral(), Baseline: policy.Neutral(), Learning: true, Alive: true, Pace: fold.PaceOf(pace), Actions: starts}
	for j := range a.Hi {
		a.Hi[j] = 1
	}
	if err := p.fold.Apply(&p.state, &fold.Entry{Act: a}); err != nil {
		panic(err) // an act is never refused
	}
	return p
}

func (p *product) policy() (x policy.Traits, a fold.Actions) {
	for k := range a {
		a[k] = float64(p.state.Actions[k].Level)
	}
	return p.state.Theta, a
}

func (p *product) learn(e *episode) error {
	about := &p.entry.About
	*about = fold.Episode{Decided: true, Consent: true, Rendered: e.x, Contributions: about.Contributions[:0]}
	if p.moves {
		about.Did, about.Weight = byte(e.action)+1, e.weight
	}
	for _, s := range e.said {
		c := fold.Contribution{Rater: "owner", Owner: s.owner, Source: s.source, Value: s.value, Share: 1}
		if !s.owner {
			c.Rater = guests[s.guest]
		}
		about.Contributions = append(about.Contributions, c)
	}
	return p.fold.Apply(&p.state, &p.entry)
}

var guests = func() (names [300]string) {
	for i := range names {
		names[i] = fmt.Sprint("guest-", i)
	}
	return names
}()
