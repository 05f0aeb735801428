package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Trait is one dimension of an agent's personality; its number is its place in
// every vector of this project. The set grows at the end only: a place, once
// given, keeps its meaning forever.
type Trait uint8

// The trait vocabulary.
const (
	Humor Trait = iota
	Empathy
	Sarcasm
	Directness
	Formality
	Curiosity
	Brevity
	Assertiveness

	// NTraits is the number of traits, D in the learning formulas.
	NTraits = 8
)

var traitNames = [NTraits]string{
	"humor", "empathy", "sarcasm", "directness", "formality", "curiosity", "brevity", "assertiveness",
}

// String gives the trait's name in documents, rules and APIs.
func (t Trait) String() string {
	if int(t) >= NTraits {
		return fmt.Sprintf("trait(%d)", uint8(t))
	}
	return traitNames[t]
}

// ParseTrait finds a trait by name.
func ParseTrait(name string) (Trait, bool) {
	for i, n := range traitNames {
		if n == name {
			return Trait(i), true
		}
	}
	return 0, false
}

// MarshalText writes the trait's name.
func (t Trait) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a trait's name and refuses any other text.
func (t *Trait) UnmarshalText(text []byte) error {
	v, ok := ParseTrait(string(text))
	if !ok {
		return fmt.Errorf("unknown trait %q", text)
	}
	*t = v
	return nil
}

// Traits is one level per trait, each in [0,1].
type Traits [NTraits]float64

// Neutral is the middle of the box: the start of an agent about which nothing
// was said.
func Neutral() Traits {
	var t Traits
	for i := range t {
		t[i] = .5
	}
	return t
}

// Valid says whether every level is a number in [0,1].
func (t Traits) Valid() bool {
	for _, v := range t {
		if !(v >= 0 && v <= 1) || math.IsNaN(v) {
			return false
		}
	}
	return true
}

// MarshalJSON writes the traits as an object in the order of the vocabulary,
// rounded to 1e-6 so that equal policies give equal bytes.
func (t Traits) MarshalJSON() ([]byte, error) { return t.AppendJSON(make([]byte, 0, 160)) }

// AppendJSON appends what MarshalJSON gives; an error when a level is no number.
func (t Traits) AppendJSON(b []byte) ([]byte, error) {
	b = append(b, '{')
	for i, v := range t {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("trait %s is %v", traitNames[i], v)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, traitNames[i]...)
		b = append(b, '"', ':')
		b = strconv.AppendFloat(b, round(v, 1e6), 'f', -1, 64)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads an object of trait levels. A trait that is absent keeps
// the value it had; an unknown trait or a level outside [0,1] is refused.
func (t *Traits) UnmarshalJSON(data []byte) error {
	var m map[string]float64
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	for name, v := range m {
		i, ok := ParseTrait(name)
		if !ok {
			return fmt.Errorf("unknown trait %q", name)
		}
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("trait %s is %v, outside [0,1]", name, v)
		}
		t[i] = v
	}
	return nil
}

// Mask is a set of traits, one bit each.
type Mask uint16

// AllTraits has every trait in it.
const AllTraits Mask = 1<<NTraits - 1

// MaskOf is the set of the given traits.
func MaskOf(traits ...Trait) Mask {
	var m Mask
	for _, t := range traits {
		m |= 1 << t
	}
	return m
}

// Has says whether the trait is in the set.
func (m Mask) Has(t Trait) bool { return m&(1<<t) != 0 }

// Traits lists the set in the order of the vocabulary.
func (m Mask) Traits() []Trait {
	out := []Trait{}
	for i := range NTraits {
		if m.Has(Trait(i)) {
			out = append(out, Trait(i))
		}
	}
	return out
}

// MarshalJSON writes the set as a list of names.
func (m Mask) MarshalJSON() ([]byte, error) { return json.Marshal(m.Traits()) }

// UnmarshalJSON reads a list of trait names.
func (m *Mask) UnmarshalJSON(data []byte) error {
	var ts []Trait
	if err := json.Unmarshal(data, &ts); err != nil {
		return err
	}
	*m = MaskOf(ts...)
	return nil
}
