// Package persona reads what a model suggests to fill in what is missing of an
// agent.
//
// Owns: the fields that can be suggested, the JSON Schema of an answer, Parse,
// and Demo, which makes up an answer where there is no model to ask.
//
// Invariants: pure. An answer is a stranger's text: what breaks the schema, or
// a bound, is refused whole; what is left went through the guard's cleaning.
// Errors never repeat what the answer said.
//
// Start reading at Suggestion.
package persona

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"rapport/policy"
)

// The fields that can be suggested, besides one for each trait.
const (
	Description = "description" // for everybody
	Backstory   = "backstory"
	Style       = "style" // guidelines of tone
	Examples    = "examples"
	Appearance  = "appearance" // hints for who draws it

	traitPrefix = "traits."
)

// TraitField is the field of a trait's level.
func TraitField(t policy.Trait) string { return traitPrefix + t.String() }

// Fields lists all fields.
func Fields() []string {
	out := []string{Description, Backstory, Style, Appearance, Examples}
	for t := range policy.NTraits {
		out = append(out, TraitField(policy.Trait(t)))
	}
	return out
}

// TraitOf is the trait of a field, false for the others.
func TraitOf(field string) (policy.Trait, bool) {
	name, ok := strings.CutPrefix(field, traitPrefix)
	if !ok {
		return 0, false
	}
	return policy.ParseTrait(name)
}

// The bounds of an answer.
const (
	MaxAnswer    = 64 << 10 // bytes
	MinExchanges = 5
	MaxExchanges = 20
	MaxExchange  = 500 // characters of each side
	maxShort     = 500 // of description and appearance
	maxStyle     = 1000
	maxStory     = 4000
)

var bounds = map[string]int{Description: maxShort, Appearance: maxShort, Style: maxStyle, Backstory: maxStory}

// Exchange is one sample: what a person says, what the agent answers.
type Exchange struct {
	Person string `json:"person"`
	Agent  string `json:"agent"`
}

// Suggestion is what was suggested, for the fields that were asked for.
type Suggestion struct {
	Texts    map[string]string // by field
	Examples []Exchange
	Traits   map[policy.Trait]float64
}

// Schema is the JSON Schema of an answer to the fields: objects with every
// property required and no others, so that every vendor's structured output takes
// it.
func Schema(fields []string) json.RawMessage {
	type object map[string]any
	closed := func(properties object) object {
		var names []string
		for n := range properties {
			names = append(names, n)
		}
		slices.Sort(names)
		return object{"type": "object", "properties": properties, "required": names, "additionalProperties": false}
	}
	all, traits := object{}, object{}
	for _, f := range fields {
		if t, ok := TraitOf(f); ok {
			traits[t.String()] = object{"type": "number", "minimum": 0, "maximum": 1}
		} else if f == Examples {
			side := object{"type": "string", "minLength": 1, "maxLength": MaxExchange}
			all[f] = object{"type": "array", "minItems": MinExchanges, "maxItems": MaxExchanges, "items": closed(object{"person": side, "agent": side})}
		} else {
			all[f] = object{"type": "string", "minLength": 1, "maxLength": bounds[f]}
		}
	}
	if len(traits) > 0 {
		all["traits"] = closed(traits)
	}
	raw, _ := json.Marshal(closed(all)) // of maps, strings and numbers
	return raw
}

// Parse reads an answer to the fields. clean is what texts go through before
// anything else sees them. An answer in a fence of back-quotes is read without
// it. It refuses what Schema refuses, and texts of which nothing is left.
func Parse(answer string, fields []string, clean func(text string, most int) string) (Suggestion, error) {
	out := Suggestion{Texts: map[string]string{}, Traits: map[policy.Trait]float64{}}
	if len(answer) > MaxAnswer {
		return out, errors.New("it is too long")
	}
	var has map[string]json.RawMessage
	if err := only(unfenced(answer), &has); err != nil {
		return out, errors.New("it is no JSON object")
	}
	var levels map[string]json.RawMessage
	if raw, ok := has["traits"]; ok {
		if err := only(raw, &levels); err != nil {
			return out, errors.New("its traits are not an object")
		}
	}
	for _, f := range fields {
		if err := out.take(f, has, levels, clean); err != nil {
			return out, err
		}
		if t, ok := TraitOf(f); ok {
			delete(levels, t.String())
		} else {
			delete(has, f)
		}
	}
	delete(has, "traits")
	if len(has)+len(levels) > 0 {
		return out, errors.New("it has fields that nobody asked for")
	}
	return out, nil
}

func (s *Suggestion) take(f string, has, levels map[string]json.RawMessage, clean func(string, int) string) error {
	if t, ok := TraitOf(f); ok {
		v := -1.
		if err := only(levels[t.String()], &v); err != nil || !(v >= 0 && v <= 1) {
			return fmt.Errorf("its level of %s is no number from 0 to 1", t)
		}
		s.Traits[t] = float64(int(v*100+.5)) / 100
		return nil
	}
	if f != Examples {
		var text string
		if err := only(has[f], &text); err != nil || !within(text, bounds[f]) {
			return fmt.Errorf("its %s is missing, empty or too long", f)
		}
		if s.Texts[f] = clean(text, bounds[f]); s.Texts[f] == "" {
			return fmt.Errorf("nothing is left of its %s", f)
		}
		return nil
	}
	var all []struct{ Person, Agent *string }
	if err := only(has[f], &all); err != nil || len(all) < MinExchanges || len(all) > MaxExchanges {
		return fmt.Errorf("its examples are not %d to %d exchanges", MinExchanges, MaxExchanges)
	}
	for _, x := range all {
		if x.Person == nil || x.Agent == nil || !within(*x.Person, MaxExchange) || !within(*x.Agent, MaxExchange) {
			return errors.New("one of its examples is empty or too long")
		}
		e := Exchange{clean(*x.Person, MaxExchange), clean(*x.Agent, MaxExchange)}
		if e.Person == "" || e.Agent == "" {
			return errors.New("nothing is left of one of its examples")
		}
		s.Examples = append(s.Examples, e)
	}
	return nil
}

func within(text string, most int) bool {
	n := utf8.RuneCountInString(text)
	return n > 0 && n <= most
}

// only decodes one document with no unknown fields and nothing behind it.
func only(raw []byte, into any) error {
	if len(raw) == 0 {
		return errors.New("absent")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more behind it")
	}
	return nil
}

func unfenced(answer string) []byte {
	s := strings.TrimSpace(answer)
	if rest, ok := strings.CutPrefix(s, "```"); ok {
		if _, body, ok := strings.Cut(rest, "\n"); ok {
			s = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(body), "```"))
		}
	}
	return []byte(s)
}
