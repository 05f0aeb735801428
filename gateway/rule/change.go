package rule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"rapport/policy"
)

// maxMove is how far a number may move from one version to the next: a level by
// .1, a coefficient by .1 or by a tenth of its size, whichever is more.
const maxMove = .1

// Edits are what a model or a person wants to be otherwise: rules by their ids.
// Everything that is not named stays.
type Edits struct {
	Note     string        `json:"note"` // why, in a sentence
	Bands    []BandEdit    `json:"bands"`
	Formulas []FormulaEdit `json:"formulas"`
}

// BandEdit is a band as it shall be.
type BandEdit struct {
	ID      string   `json:"id"`
	From    float64  `json:"from"`
	To      float64  `json:"to"`
	Text    string   `json:"text"`
	Degrees []string `json:"degrees"`
}

// FormulaEdit is a formula as it shall be; the id is its source, a dot and its
// parameter, as in brevity.reply_words.
type FormulaEdit struct {
	ID      string `json:"id"`
	Formula string `json:"formula"`
}

// EditsSchema is the JSON Schema of Edits, in the part that vendors enforce.
func EditsSchema() json.RawMessage {
	return json.RawMessage(`{"type":"object","additionalProperties":false,"required":["note","bands","formulas"],"properties":{
"note":{"type":"string","description":"Why, in one sentence."},
"bands":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["id","from","to","text","degrees"],"properties":{
 "id":{"type":"string"},"from":{"type":"number"},"to":{"type":"number"},"text":{"type":"string"},"degrees":{"type":"array","items":{"type":"string"}}}}},
"formulas":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["id","formula"],"properties":{
 "id":{"type":"string"},"formula":{"type":"string"}}}}}}`)
}

// ReadEdits reads edits strictly: one JSON object, no unknown field.
func ReadEdits(data []byte) (Edits, error) {
	var e Edits
	if len(data) > maxDocument {
		return e, fmt.Errorf("the edits have %d bytes, at most %d", len(data), maxDocument)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return e, fmt.Errorf("the edits are no edits of rules: %w", err)
	}
	return e, nil
}

// Edits gives all rules that can be edited, as edits that change nothing.
func (d *Document) Edits() Edits {
	e := Edits{Bands: []BandEdit{}, Formulas: []FormulaEdit{}}
	for i := range policy.NTraits {
		for _, b := range d.TraitToPrompt[policy.Trait(i).String()] {
			e.Bands = append(e.Bands, BandEdit(b))
		}
	}
	all := flat(d.TraitToParams)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		e.Formulas = append(e.Formulas, FormulaEdit{id, all[id]})
	}
	return e
}

// Apply gives the document with the edits made. An edit of a rule that is not there
// is an error; whether the result is sound says Document.Rules.
func (d *Document) Apply(e Edits) (*Document, error) {
	out := d.clone()
	for _, b := range e.Bands {
		found := false
		for _, bands := range out.TraitToPrompt {
			for i := range bands {
				if bands[i].ID == b.ID {
					bands[i].From, bands[i].To, bands[i].Text, bands[i].Degrees, found = b.From, b.To, b.Text, slices.Clone(b.Degrees), true
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no band %q to change", b.ID)
		}
	}
	for _, f := range e.Formulas {
		found := false
		for source, formulas := range out.TraitToParams {
			for name := range formulas {
				if source+"."+name == f.ID {
					formulas[name], found = f.Formula, true
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no formula %q to change", f.ID)
		}
	}
	return out, nil
}

func (d *Document) clone() *Document {
	out := *d
	out.TraitToPrompt, out.TraitToParams = map[string][]Band{}, map[string]map[string]string{}
	for t, bands := range d.TraitToPrompt {
		out.TraitToPrompt[t] = slices.Clone(bands)
	}
	for s, formulas := range d.TraitToParams {
		out.TraitToParams[s] = maps.Clone(formulas)
	}
	out.Mood, out.Examples = slices.Clone(d.Mood), slices.Clone(d.Examples)
	return &out
}

// Within says whether a document stays near the one before it: the same rules by
// id, edges of bands and effects of moods moved by at most .1, formulas of the same
// form with each coefficient moved by at most .1 or a tenth of its size. Words may
// be any. The error names the rule.
func (d *Document) Within(before *Document) error {
	for i := range policy.NTraits {
		t := policy.Trait(i).String()
		old, now := before.TraitToPrompt[t], d.TraitToPrompt[t]
		if len(old) != len(now) {
			return fmt.Errorf("traitToPrompt.%s: %d bands where %d are in force: bands are not added or taken away", t, len(now), len(old))
		}
		for j := range now {
			if now[j].ID != old[j].ID {
				return fmt.Errorf("traitToPrompt.%s: band %q stands where %q is in force", t, now[j].ID, old[j].ID)
			}
			if far(now[j].From, old[j].From, 0) || far(now[j].To, old[j].To, 0) {
				return fmt.Errorf("traitToPrompt.%s: band %q goes from %v to %v where %v to %v is in force: an edge moves by at most %v", t, now[j].ID, now[j].From, now[j].To, old[j].From, old[j].To, maxMove)
			}
		}
	}
	if err := formulasWithin(d.TraitToParams, before.TraitToParams); err != nil {
		return err
	}
	moods := map[string]MoodLine{}
	for _, m := range before.Mood {
		moods[m.ID] = m
	}
	for _, m := range d.Mood {
		old, ok := moods[m.ID]
		if !ok || old.Valence != m.Valence || old.Arousal != m.Arousal {
			return fmt.Errorf("mood %q: no such mood is in force: moods are not added or moved", m.ID)
		}
		for i := range policy.NTraits {
			t := policy.Trait(i).String()
			if far(m.Effect[t], old.Effect[t], 0) {
				return fmt.Errorf("mood %q: the effect on %s goes from %v to %v, at most by %v", m.ID, t, old.Effect[t], m.Effect[t], maxMove)
			}
		}
	}
	if len(d.Mood) != len(before.Mood) {
		return fmt.Errorf("mood: %d lines where %d are in force: moods are not taken away", len(d.Mood), len(before.Mood))
	}
	return nil
}

func formulasWithin(now, before map[string]map[string]string) error {
	old := flat(before)
	new := flat(now)
	for _, id := range slices.Sorted(maps.Keys(old)) {
		if _, ok := new[id]; !ok {
			return fmt.Errorf("traitToParams.%s: it is in force and missing here: formulas are not taken away", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(new)) {
		was, ok := old[id]
		if !ok {
			return fmt.Errorf("traitToParams.%s: no such formula is in force: formulas are not added", id)
		}
		a, err := ParseFormula(was)
		if err != nil {
			return fmt.Errorf("traitToParams.%s: %w", id, err)
		}
		b, err := ParseFormula(new[id])
		if err != nil {
			return fmt.Errorf("traitToParams.%s: %w", id, err)
		}
		if err := b.within(a); err != nil {
			return fmt.Errorf("traitToParams.%s: %w", id, err)
		}
	}
	return nil
}

func flat(m map[string]map[string]string) map[string]string {
	out := map[string]string{}
	for source, formulas := range m {
		for name, f := range formulas {
			out[source+"."+name] = f
		}
	}
	return out
}

// within compares two formulas part by part.
func (f *Formula) within(before *Formula) error {
	if len(f.nodes) != len(before.nodes) {
		return fmt.Errorf("%q has another form than %q", f.Source, before.Source)
	}
	for i := range f.nodes {
		a, b := before.nodes[i], f.nodes[i]
		x, y := a.v, b.v
		if a.v, b.v = 0, 0; a != b {
			return fmt.Errorf("%q has another form than %q", f.Source, before.Source)
		}
		if far(y, x, math.Abs(x)) {
			return fmt.Errorf("the coefficient %v becomes %v: it moves by at most %v", x, y, move(math.Abs(x)))
		}
	}
	return nil
}

func move(size float64) float64 { return maxMove * max(1, size) }

func far(now, before, size float64) bool { return !(math.Abs(now-before) <= move(size)+1e-9) }

// Change is one rule that two versions have in different words or numbers; Was or
// Now is empty where one of them does not have it.
type Change struct {
	Place string `json:"place"` // traitToPrompt.humor, traitToParams.brevity.reply_words, mood, examples
	Rule  string `json:"rule"`
	Was   string `json:"was"`
	Now   string `json:"now"`
}

// Diff lists what changes from one document to another: first traits in their
// order, then formulas, moods and examples by id.
func Diff(from, to *Document) (out []Change) {
	differ := func(place string, was, now map[string]string) {
		ids := map[string]bool{}
		for id := range was {
			ids[id] = true
		}
		for id := range now {
			ids[id] = true
		}
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			if was[id] != now[id] {
				out = append(out, Change{place, id, was[id], now[id]})
			}
		}
	}
	bands := func(list []Band) map[string]string {
		m := map[string]string{}
		for _, b := range list {
			m[b.ID] = fmt.Sprintf("%.2f to %.2f: %s", b.From, b.To, b.Text)
			if len(b.Degrees) > 0 {
				m[b.ID] += fmt.Sprintf(" %q", b.Degrees)
			}
		}
		return m
	}
	for i := range policy.NTraits {
		t := policy.Trait(i).String()
		differ("traitToPrompt."+t, bands(from.TraitToPrompt[t]), bands(to.TraitToPrompt[t]))
	}
	was, now := flat(from.TraitToParams), flat(to.TraitToParams)
	differ("traitToParams", was, now)
	moods := func(list []MoodLine) map[string]string {
		m := map[string]string{}
		for _, l := range list {
			m[l.ID] = fmt.Sprintf("valence %s, arousal %s: %s %v", l.Valence, l.Arousal, l.Text, l.Effect)
		}
		return m
	}
	differ("mood", moods(from.Mood), moods(to.Mood))
	examples := func(list []Example) map[string]string {
		m := map[string]string{}
		for _, e := range list {
			m[e.ID] = fmt.Sprintf("%s %.2f to %.2f: %q → %q", e.Trait, e.From, e.To, e.User, e.Agent)
		}
		return m
	}
	differ("examples", examples(from.Examples), examples(to.Examples))
	return out
}

// Read reads a document strictly, without validating it.
func Read(data []byte) (*Document, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("rules have %d bytes, at most %d", len(data), maxDocument)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var d Document
	if err := dec.Decode(&d); err != nil {
		if odd, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, fmt.Errorf("rules are not a rules document: %s is of the wrong type, a JSON %s", cmp.Or(odd.Field, "the whole"), odd.Value)
		}
		return nil, fmt.Errorf("rules are not a rules document: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("rules have something after the document")
	}
	return &d, nil
}

// JSON is the document as it is stored.
func (d *Document) JSON() (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(d)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}
