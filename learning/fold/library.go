package fold

import (
	"errors"

	"rapport/learning/fusion"
	"rapport/learning/step"
	"rapport/learning/wire"
)

// Versions name the population-wide parameters that an agent has adopted; 0 is
// the default of each kind.
type Versions struct{ Prior, Calibration, Reputation uint32 }

func (v *Versions) append(b []byte) []byte {
	return wire.AppendUint32(wire.AppendUint32(wire.AppendUint32(b, v.Prior), v.Calibration), v.Reputation)
}

func (v *Versions) read(r *wire.Reader) {
	v.Prior, v.Calibration, v.Reputation = r.Uint32(), r.Uint32(), r.Uint32()
}

// Library holds parameters by version. What it gives for a version never changes;
// nil says that it has none.
type Library interface {
	Prior(version uint32) *step.Prior
	Calibration(version uint32) *fusion.Loadings
	Asking(calibration uint32) float64 // how reliable presses of tone buttons are, as Asking gives it
	Reputation(version uint32) Reputation
}

// Reputation is what is known of raters, by name. Others is the name of all who are
// not in it; without that they count fully.
type Reputation map[string]Regard

// Others is the name of the raters who have none.
const Others = ""

// Regard is what one rater counts for. An owner counts fully, whatever is said.
type Regard struct {
	Weight   float64 // g², [0,1], from the adoption on
	Excluded bool    // as abusive: counts nothing while the newest adoption says so, in earlier entries neither
}

// Of is the regard of a rater.
func (r Reputation) Of(rater string) Regard {
	if v, ok := r[rater]; ok {
		return v
	}
	if v, ok := r[Others]; ok {
		return v
	}
	return Regard{Weight: 1}
}

// ErrVersion is the error of parameters that the library does not have.
var ErrVersion = errors.New("no such version of population-wide parameters")

// Fixed is a library of one: whatever the version, these. Nil stands for the
// default.
func Fixed(p *step.Prior, l *fusion.Loadings, r Reputation) Library {
	if p == nil {
		p = step.DefaultPrior()
	}
	if l == nil {
		l = fusion.Defaults()
	}
	if r == nil {
		r = Reputation{}
	}
	return &fixed{p, l, r}
}

type fixed struct {
	prior      *step.Prior
	loadings   *fusion.Loadings
	reputation Reputation
}

func (f *fixed) Prior(uint32) *step.Prior            { return f.prior }
func (f *fixed) Calibration(uint32) *fusion.Loadings { return f.loadings }
func (f *fixed) Asking(uint32) float64               { return AskingDefault }
func (f *fixed) Reputation(uint32) Reputation        { return f.reputation }

// Defaults is the library of an agent that has adopted nothing.
func Defaults() Library { return &defaults }

var defaults = fixed{step.DefaultPrior(), fusion.Defaults(), Reputation{}}
