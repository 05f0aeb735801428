package policy

import (
	"encoding/json"
	"strings"
)

// Range is a closed interval of levels, 0 ≤ Lo ≤ Hi ≤ 1.
type Range struct {
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Has says whether the level lies in the range.
func (r Range) Has(v float64) bool { return v >= r.Lo && v <= r.Hi }

// Clamp gives the level of the range nearest to v.
func (r Range) Clamp(v float64) float64 { return min(max(v, r.Lo), r.Hi) }

// Bounds are the hard limits of an agent's traits: nothing outside them can be
// published. A trait that is absent may have any level in [0,1]; the zero value
// means the whole box. In JSON it is an object by trait name.
type Bounds map[Trait]Range

// MarshalJSON writes an object by trait name, {} for the whole box.
func (b Bounds) MarshalJSON() ([]byte, error) {
	if b == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[Trait]Range(b))
}

// Of is the range of one trait.
func (b Bounds) Of(t Trait) Range {
	if r, ok := b[t]; ok {
		return r
	}
	return Range{0, 1}
}

// Clamp moves every level to the nearest one allowed.
func (b Bounds) Clamp(x Traits) Traits {
	for i := range x {
		x[i] = b.Of(Trait(i)).Clamp(x[i])
	}
	return x
}

// Within narrows the bounds by those of outer. Where the two exclude each other
// outer wins with its nearest level: a platform rule cannot be escaped by a
// contradiction.
func (b Bounds) Within(outer Bounds) Bounds {
	out := Bounds{}
	for i := range NTraits {
		t := Trait(i)
		_, own := b[t]
		_, theirs := outer[t]
		if !own && !theirs {
			continue
		}
		o, r := outer.Of(t), b.Of(t)
		out[t] = Range{o.Clamp(r.Lo), o.Clamp(r.Hi)}
	}
	return out
}

// Platform is what holds for every agent whatever its owner wants: empathy is
// never below .3, and an agent of a support archetype ("support" or "support_…")
// keeps sarcasm at or below .2.
func Platform(archetype string) Bounds {
	b := Bounds{Empathy: {Lo: .3, Hi: 1}}
	if archetype == "support" || strings.HasPrefix(archetype, "support_") {
		b[Sarcasm] = Range{Lo: 0, Hi: .2}
	}
	return b
}

// Condition is one half of a forbidden combination: the trait above the level,
// or below it.
type Condition struct {
	Trait Trait
	Above bool
	Level float64
}

// Combination is a set of levels that no agent may have at once.
type Combination struct {
	Name string
	All  []Condition
}

// Forbidden lists the combinations: mockery (sarcasm > .7 with empathy < .4) and
// bullying (directness > .9 and assertiveness > .9 with empathy < .4).
func Forbidden() []Combination {
	return []Combination{
		{"mockery", []Condition{{Sarcasm, true, .7}, {Empathy, false, .4}}},
		{"bullying", []Condition{{Directness, true, .9}, {Assertiveness, true, .9}, {Empathy, false, .4}}},
	}
}

// Holds says whether the levels are the forbidden combination.
func (c Combination) Holds(x Traits) bool {
	for _, k := range c.All {
		if k.Above && !(x[k.Trait] > k.Level) || !k.Above && !(x[k.Trait] < k.Level) {
			return false
		}
	}
	return true
}
