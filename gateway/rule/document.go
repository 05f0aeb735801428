package rule

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"rapport/gateway/guard"
	"rapport/policy"
)

// Band is the words for a part of a trait's range: levels in [From, To), the
// last band of a trait up to and including 1. From and To are multiples of .05.
// In Text, {degree} is replaced by one of Degrees (the first at the low end of
// the band, the last at its high end) and {level} by the level out of 100.
type Band struct {
	ID      string   `json:"id"`
	From    float64  `json:"from"`
	To      float64  `json:"to"`
	Text    string   `json:"text"`
	Degrees []string `json:"degrees,omitempty"`
}

// MoodLine is the one line a mood adds. Valence and Arousal are low, mid or
// high (below -.25, between, above .25). Effect is what the line does to the
// level of a trait as it reaches the model, each within ±.1.
type MoodLine struct {
	ID      string             `json:"id"`
	Valence string             `json:"valence"`
	Arousal string             `json:"arousal"`
	Text    string             `json:"text"`
	Effect  map[string]float64 `json:"effect,omitempty"`
}

// Example is a pair of lines that shows a trait within [From, To].
type Example struct {
	ID    string  `json:"id"`
	Trait string  `json:"trait"`
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	User  string  `json:"user"`
	Agent string  `json:"agent"`
}

// Document is a version of the mapping rules as it is stored.
type Document struct {
	Version       int64                        `json:"version"`
	TraitToPrompt map[string][]Band            `json:"traitToPrompt"` // every trait
	TraitToParams map[string]map[string]string `json:"traitToParams"` // trait, exploration.epsilon or mood → parameter → formula
	Mood          []MoodLine                   `json:"mood"`
	Examples      []Example                    `json:"examples,omitempty"`
}

// Param is a number that a model or the gateway can be given.
type Param uint8

// The parameters. A formula's result is clamped to the range.
const (
	Words            Param = iota // words a reply should have, [10,600]
	Verbosity                     // [0,1]: low below 1/3, high from 2/3
	Effort                        // [0,1]: low below 1/3, high from 2/3
	Temperature                   // [0,2]
	TopP                          // [.05,1]
	PresencePenalty               // [-2,2]
	FrequencyPenalty              // [-2,2]

	NParams = 7
)

var params = [NParams]struct {
	name   string
	lo, hi float64
}{
	{"reply_words", 10, 600}, {"verbosity", 0, 1}, {"effort", 0, 1}, {"temperature", 0, 2},
	{"top_p", .05, 1}, {"presence_penalty", -2, 2}, {"frequency_penalty", -2, 2},
}

// String is the parameter's name in rules and traces.
func (p Param) String() string { return params[p].name }

// Range is what the parameter may be.
func (p Param) Range() (lo, hi float64) { return params[p].lo, params[p].hi }

func parseParam(name string) (Param, bool) {
	for i := range params {
		if params[i].name == name {
			return Param(i), true
		}
	}
	return 0, false
}

// Steps is the number of steps of .05 between level 0 and level 1: what the
// text of a trait can tell apart.
const Steps = 20

// Line is the text of one level of a trait.
type Line struct {
	Text  string
	Rule  string  // the band's id
	Level float64 // the level that the text says: the mean of the steps that share it
}

// Mapping is one formula in force.
type Mapping struct {
	Param   Param
	Source  string // the trait, exploration.epsilon or mood, which the number is traced to
	Rule    string // <source>.<param>
	Formula *Formula
}

// Rules is a validated document, ready to be asked. It is immutable.
type Rules struct {
	Version  int64
	Mappings []Mapping // in the order of Param
	Examples []Example // in the order of the document
	lines    [policy.NTraits][Steps + 1]Line
	moods    [3][3]mood
}

type mood struct {
	text, id string
	effect   policy.Traits // may be negative
	set      bool
}

// Line gives the words for a level of a trait; levels outside [0,1] are clamped.
func (r *Rules) Line(t policy.Trait, level float64) *Line {
	return &r.lines[t][step(level)]
}

func step(level float64) int {
	if !(level > 0) {
		return 0
	}
	if level >= 1 {
		return Steps
	}
	return int(math.Round(level * Steps))
}

// Mood gives the line for a mood, its rule id and its effect per trait; false
// for a mood that needs no words.
func (r *Rules) Mood(valence, arousal float64) (text, id string, effect policy.Traits, ok bool) {
	m := &r.moods[third(valence)][third(arousal)]
	return m.text, m.id, m.effect, m.set
}

func third(v float64) int {
	switch {
	case v < -.25:
		return 0
	case v > .25:
		return 2
	}
	return 1
}

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema of a Document.
func Schema() json.RawMessage { return slices.Clone(schema) }

//go:embed builtin.json
var builtin []byte

// BuiltIn is version 1, the rules that ship with the program.
func BuiltIn() *Rules {
	r, err := Parse(builtin)
	if err != nil {
		panic("built-in mapping rules: " + err.Error())
	}
	return r
}

// BuiltInDocument is the text of version 1.
func BuiltInDocument() json.RawMessage { return slices.Clone(builtin) }

// maxDocument bounds a rules document.
const maxDocument = 256 << 10

// Parse reads and validates a document. Unknown fields are refused.
func Parse(data []byte) (*Rules, error) {
	d, err := Read(data)
	if err != nil {
		return nil, err
	}
	return d.Rules()
}

// Rules validates the document: every trait has bands without gap or overlap,
// at least ten distinguishable levels and another text at every step of .1;
// formulas parse, each parameter has at most one; ids are unique; texts are
// short, single lines.
func (d *Document) Rules() (*Rules, error) {
	if d.Version < 1 {
		return nil, fmt.Errorf("version is %d, from 1 on", d.Version)
	}
	r := &Rules{Version: d.Version}
	ids := map[string]bool{}
	claim := func(id string) error {
		if id == "" || len(id) > 64 {
			return fmt.Errorf("rule id %q: 1 to 64 bytes", id)
		}
		if ids[id] {
			return fmt.Errorf("rule id %q is used twice", id)
		}
		ids[id] = true
		return nil
	}
	for name := range d.TraitToPrompt {
		if _, ok := policy.ParseTrait(name); !ok {
			return nil, fmt.Errorf("traitToPrompt: unknown trait %q", name)
		}
	}
	for i := range policy.NTraits {
		t := policy.Trait(i)
		if err := r.addBands(t, d.TraitToPrompt[t.String()], claim); err != nil {
			return nil, fmt.Errorf("traitToPrompt.%s: %w", t, err)
		}
	}
	if err := r.addParams(d.TraitToParams, claim); err != nil {
		return nil, err
	}
	for _, m := range d.Mood {
		if err := r.addMood(m, claim); err != nil {
			return nil, fmt.Errorf("mood %q: %w", m.ID, err)
		}
	}
	if len(d.Examples) > 64 {
		return nil, fmt.Errorf("%d examples, at most 64", len(d.Examples))
	}
	for _, e := range d.Examples {
		if err := claim(e.ID); err != nil {
			return nil, err
		}
		if _, ok := policy.ParseTrait(e.Trait); !ok {
			return nil, fmt.Errorf("example %q: unknown trait %q", e.ID, e.Trait)
		}
		if !(e.From >= 0 && e.From < e.To && e.To <= 1) {
			return nil, fmt.Errorf("example %q: from %v to %v is no part of [0,1]", e.ID, e.From, e.To)
		}
		if err := checkText(e.User); err != nil {
			return nil, fmt.Errorf("example %q: %w", e.ID, err)
		}
		if err := checkText(e.Agent); err != nil {
			return nil, fmt.Errorf("example %q: %w", e.ID, err)
		}
	}
	r.Examples = slices.Clone(d.Examples)
	return r, nil
}

// Validate says what is wrong with the document, nil when nothing is.
func (d *Document) Validate() error { _, err := d.Rules(); return err }

func (r *Rules) addBands(t policy.Trait, bands []Band, claim func(string) error) error {
	next := 0
	lines := &r.lines[t]
	for i, b := range bands {
		if err := claim(b.ID); err != nil {
			return err
		}
		from, ok := grid(b.From)
		to, ok2 := grid(b.To)
		if !ok || !ok2 || to <= from {
			return fmt.Errorf("band %q: from %v to %v must rise in multiples of .05 within [0,1]", b.ID, b.From, b.To)
		}
		if from != next {
			return fmt.Errorf("band %q starts at %v, the one before ends at %v: no gap or overlap", b.ID, b.From, float64(next)/Steps)
		}
		next = to
		last := to - 1
		if i == len(bands)-1 {
			last = to
		}
		if err := checkText(b.Text); err != nil {
			return fmt.Errorf("band %q: %w", b.ID, err)
		}
		hasDegree := strings.Contains(b.Text, "{degree}")
		if hasDegree != (len(b.Degrees) > 0) {
			return fmt.Errorf("band %q: {degree} in the text and degrees go together", b.ID)
		}
		for _, g := range b.Degrees {
			if err := checkText(g); err != nil {
				return fmt.Errorf("band %q, degree: %w", b.ID, err)
			}
		}
		for s := from; s <= last && s <= Steps; s++ {
			text := b.Text
			if hasDegree {
				text = strings.ReplaceAll(text, "{degree}", b.Degrees[(s-from)*len(b.Degrees)/(last-from+1)])
			}
			text = strings.ReplaceAll(text, "{level}", fmt.Sprint(s*100/Steps))
			if strings.ContainsAny(text, "{}") {
				return fmt.Errorf("band %q: braces are for {degree} and {level}", b.ID)
			}
			lines[s] = Line{Text: text, Rule: b.ID}
		}
	}
	if len(bands) == 0 {
		return errors.New("it has no bands; every trait needs some, from 0 to 1")
	}
	if next != Steps {
		return fmt.Errorf("bands end at %v, not at 1", float64(next)/Steps)
	}
	distinct := map[string]bool{}
	for s := range lines {
		distinct[lines[s].Text] = true
		if s >= 2 && lines[s].Text == lines[s-2].Text {
			return fmt.Errorf("levels %.2f and %.2f have the same text: a step of .1 must be told apart", float64(s-2)/Steps, float64(s)/Steps)
		}
	}
	if len(distinct) < 10 {
		return fmt.Errorf("%d distinguishable levels, at least 10", len(distinct))
	}
	for s := 0; s <= Steps; {
		e := s
		for e < Steps && lines[e+1].Text == lines[s].Text {
			e++
		}
		for i := s; i <= e; i++ {
			lines[i].Level = float64(s+e) / (2 * Steps)
		}
		s = e + 1
	}
	return nil
}

func grid(v float64) (int, bool) {
	s := math.Round(v * Steps)
	return int(s), s >= 0 && s <= Steps && math.Abs(v*Steps-s) < 1e-6
}

func (r *Rules) addParams(m map[string]map[string]string, claim func(string) error) error {
	var taken [NParams]bool
	for _, source := range slices.Sorted(maps.Keys(m)) {
		if _, ok := policy.ParseTrait(source); !ok && source != "exploration.epsilon" && source != "mood" {
			return fmt.Errorf("traitToParams: unknown source %q", source)
		}
		for _, name := range slices.Sorted(maps.Keys(m[source])) {
			p, ok := parseParam(name)
			if !ok {
				return fmt.Errorf("traitToParams.%s: unknown parameter %q", source, name)
			}
			if taken[p] {
				return fmt.Errorf("traitToParams.%s: parameter %q has two formulas", source, name)
			}
			taken[p] = true
			f, err := ParseFormula(m[source][name])
			if err != nil {
				return fmt.Errorf("traitToParams.%s.%s: %w", source, name, err)
			}
			id := source + "." + name
			if err := claim(id); err != nil {
				return err
			}
			r.Mappings = append(r.Mappings, Mapping{Param: p, Source: source, Rule: id, Formula: f})
		}
	}
	if !taken[Words] {
		return fmt.Errorf("traitToParams: reply_words needs a formula")
	}
	slices.SortFunc(r.Mappings, func(a, b Mapping) int { return int(a.Param) - int(b.Param) })
	return nil
}

func (r *Rules) addMood(m MoodLine, claim func(string) error) error {
	if err := claim(m.ID); err != nil {
		return err
	}
	places := map[string]int{"low": 0, "mid": 1, "high": 2}
	v, ok := places[m.Valence]
	a, ok2 := places[m.Arousal]
	if !ok || !ok2 {
		return fmt.Errorf("valence and arousal are low, mid or high")
	}
	if err := checkText(m.Text); err != nil {
		return err
	}
	cell := &r.moods[v][a]
	if cell.set {
		return fmt.Errorf("a second line for valence %s, arousal %s", m.Valence, m.Arousal)
	}
	*cell = mood{text: m.Text, id: m.ID, set: true}
	for name, by := range m.Effect {
		t, ok := policy.ParseTrait(name)
		if !ok {
			return fmt.Errorf("unknown trait %q", name)
		}
		if !(by >= -.1 && by <= .1) {
			return fmt.Errorf("effect on %s is %v, at most ±.1", name, by)
		}
		cell.effect[t] = by
	}
	return nil
}

// maxText bounds a text of the rules.
const maxText = 400

func checkText(s string) error {
	if strings.TrimSpace(s) == "" || len(s) > maxText {
		return fmt.Errorf("a text has 1 to %d bytes", maxText)
	}
	switch clean := guard.Clean(s, maxText); {
	case strings.ContainsAny(s, "\n\t"):
		return fmt.Errorf("a text is one line")
	case clean != strings.TrimSpace(s):
		return fmt.Errorf("a text holds a control token, or a character that cannot be seen")
	case clean != s:
		return fmt.Errorf("a text begins or ends with a space")
	}
	return nil
}
