package policy

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// schemaNode is the part of JSON Schema that schema.json uses.
type schemaNode struct {
	Ref                  string                 `json:"$ref"`
	Defs                 map[string]*schemaNode `json:"$defs"`
	Type                 any                    `json:"type"`
	Properties           map[string]*schemaNode `json:"properties"`
	PropertyNames        *schemaNode            `json:"propertyNames"`
	AdditionalProperties json.RawMessage        `json:"additionalProperties"`
	Required             []string               `json:"required"`
	Items                *schemaNode            `json:"items"`
	Enum                 []string               `json:"enum"`
	Minimum              *float64               `json:"minimum"`
	Maximum              *float64               `json:"maximum"`
	MinLength            int                    `json:"minLength"`
	MaxLength            *int                   `json:"maxLength"`
	MaxItems             *int                   `json:"maxItems"`
}

func readSchema(t *testing.T) *schemaNode {
	t.Helper()
	var s schemaNode
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func (s *schemaNode) resolve(root *schemaNode) *schemaNode {
	if s.Ref != "" {
		return root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	return s
}

// accepts says whether a decoded JSON value fits the schema.
func (s *schemaNode) accepts(root *schemaNode, v any) bool {
	s = s.resolve(root)
	types, _ := s.Type.([]any)
	if one, ok := s.Type.(string); ok {
		types = []any{one}
	}
	is := ""
	switch v := v.(type) {
	case nil:
		is = "null"
	case string:
		is = "string"
		if len(v) < s.MinLength || s.MaxLength != nil && len(v) > *s.MaxLength {
			return false
		}
	case bool:
		is = "boolean"
	case float64:
		is = "number"
		if slices.Contains(types, any("integer")) && v == math.Trunc(v) {
			is = "integer"
		}
		if s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum {
			return false
		}
	case []any:
		is = "array"
		if s.MaxItems != nil && len(v) > *s.MaxItems {
			return false
		}
		for _, item := range v {
			if !s.Items.accepts(root, item) {
				return false
			}
		}
	case map[string]any:
		is = "object"
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return false
			}
		}
		for name, item := range v {
			if s.PropertyNames != nil && !s.PropertyNames.accepts(root, name) {
				return false
			}
			p, ok := s.Properties[name]
			if !ok {
				if string(s.AdditionalProperties) == "false" {
					return false
				}
				p = &schemaNode{}
				if err := json.Unmarshal(s.AdditionalProperties, p); err != nil {
					return false
				}
			}
			if !p.accepts(root, item) {
				return false
			}
		}
	}
	if text, ok := v.(string); ok && s.Enum != nil {
		return slices.Contains(s.Enum, text)
	}
	return types == nil || slices.Contains(types, any(is))
}

func TestSchemaNamesEveryFieldOfTheDocument(t *testing.T) {
	t.Parallel()
	root := readSchema(t)
	var check func(path string, typ reflect.Type, s *schemaNode)
	check = func(path string, typ reflect.Type, s *schemaNode) {
		s = s.resolve(root)
		var fields, required []string
		for f := range typ.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields = append(fields, name)
			if options != "omitempty" {
				required = append(required, name)
			}
			if f.Type.Kind() == reflect.Struct {
				check(path+"."+name, f.Type, s.Properties[name])
			}
		}
		names := sortedKeys(s.Properties)
		slices.Sort(fields)
		slices.Sort(required)
		got := slices.Clone(s.Required)
		slices.Sort(got)
		if diff := cmp.Diff(fields, names); diff != "" {
			t.Errorf("%s: fields of the struct and properties of the schema differ:\n%s", path, diff)
		}
		if diff := cmp.Diff(required, got); diff != "" {
			t.Errorf("%s: required:\n%s", path, diff)
		}
		if string(s.AdditionalProperties) != "false" {
			t.Errorf("%s: the schema lets unknown fields in", path)
		}
	}
	check("document", reflect.TypeFor[Document](), root)
	if diff := cmp.Diff(traitNames[:], root.Defs["traitName"].Enum); diff != "" {
		t.Errorf("trait names:\n%s", diff)
	}
	if diff := cmp.Diff(Tones(), root.Properties["toneWeights"].PropertyNames.Enum); diff != "" {
		t.Errorf("tones:\n%s", diff)
	}
	for i := range NTraits {
		if root.Properties["traits"].Properties[Trait(i).String()] == nil {
			t.Errorf("trait %s has no property", Trait(i))
		}
	}
}

func asJSON(t interface{ Fatal(...any) }, d Document) any {
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func drawDocument(t *rapid.T) Document {
	level := rapid.Float64Range(0, 1)
	d := Default("agent-1")
	d.Version = rapid.Int64Range(2, 1e6).Draw(t, "version")
	d.Parent = d.Version - 1
	for i := range d.Traits {
		d.Traits[i] = level.Draw(t, "level")
	}
	d.Pinned = Mask(rapid.Uint16Range(0, uint16(AllTraits)).Draw(t, "pinned"))
	d.AutonomyLevel = rapid.IntRange(0, 3).Draw(t, "autonomy")
	d.Exploration = Exploration{level.Draw(t, "ε"), rapid.SampledFrom([]string{StrategyMixture, StrategyEpsilon, StrategyOff}).Draw(t, "strategy"), 3, rapid.Bool().Draw(t, "no hold-out")}
	d.Runtime.Archetype = rapid.SampledFrom([]string{"", "support", "warm_mentor"}).Draw(t, "archetype")
	d.Evidence = map[string]Evidence{"humor": {N: 3, SD: .1, P: .7}}
	d.Bounds = Bounds{Humor: {.1, .9}}
	d.Traits = d.Limits().Clamp(d.Traits)
	d.ToneWeights = ToneWeightsOf(d.Traits)
	return d
}

func TestWhatValidateAcceptsFitsTheSchemaAndReadsBack(t *testing.T) {
	t.Parallel()
	root := readSchema(t)
	rapid.Check(t, func(rt *rapid.T) {
		d := drawDocument(rt)
		if err := Validate(d); err != nil {
			if bad, ok := errors.AsType[Invalid](err); !ok || bad[0].Code != CodeForbidden {
				rt.Fatal(err)
			}
			rt.Skip()
		}
		if !root.accepts(root, asJSON(rt, d)) {
			rt.Fatalf("the schema refuses %+v", d)
		}
		b, _ := json.Marshal(d)
		var back Document
		if err := json.Unmarshal(b, &back); err != nil {
			rt.Fatal(err)
		}
		again, _ := json.Marshal(back)
		if string(again) != string(b) {
			rt.Fatalf("read back differently:\n%s\n%s", b, again)
		}
	})
}

func TestValidateListsEveryViolation(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		break_ func(*Document)
		codes  []string
		json   bool // the schema sees it too
	}{
		{"sound", func(*Document) {}, nil, false},
		{"nan", func(d *Document) { d.Traits[Humor] = math.NaN() }, []string{CodeNaN}, false},
		{"outside the box", func(d *Document) { d.Traits[Humor] = 1.2 }, []string{CodeSchema}, true},
		{"own bounds", func(d *Document) { d.Bounds = Bounds{Humor: {.6, .9}} }, []string{CodeBounds}, false},
		{"platform bounds", func(d *Document) { d.Traits[Empathy] = .2 }, []string{CodeBounds}, false},
		{"support is not sarcastic", func(d *Document) { d.Runtime.Archetype = "support_desk" }, []string{CodeBounds}, false},
		{"mockery", func(d *Document) { d.Traits[Sarcasm], d.Traits[Empathy] = .8, .35 }, []string{CodeForbidden}, false},
		{"empty bounds", func(d *Document) { d.Bounds = Bounds{Curiosity: {.5, .4}} }, []string{CodeBounds, CodeEmpty}, false},
		{"probability", func(d *Document) { d.ActionPolicy.ReplyFrequency.GroupLarge = -1 }, []string{CodeSchema}, true},
		{"strategy", func(d *Document) { d.Exploration.Strategy = "greedy" }, []string{CodeSchema}, true},
		{"autonomy", func(d *Document) { d.AutonomyLevel = 4 }, []string{CodeSchema}, true},
		{"parent", func(d *Document) { d.Parent = d.Version }, []string{CodeVersion}, false},
		{"id", func(d *Document) { d.AgentID = "" }, []string{CodeSchema}, true},
		{"tone", func(d *Document) { d.ToneWeights = ToneWeights{"loud": .1} }, []string{CodeSchema}, true},
		{"evidence", func(d *Document) { d.Evidence = map[string]Evidence{"zeal": {}} }, []string{CodeSchema}, true},
		{"three at once", func(d *Document) { d.AgentID, d.Version, d.LastUpdatedBy = "", 0, "me" },
			[]string{CodeSchema, CodeSchema, CodeVersion, CodeSchema}, true},
	}
	root := readSchema(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := Default("agent-1")
			c.break_(&d)
			var got []string
			if err := Validate(d); err != nil {
				bad, ok := errors.AsType[Invalid](err)
				if !ok {
					t.Fatalf("error of type %T", err)
				}
				for _, v := range bad {
					got = append(got, v.Code)
				}
			}
			if diff := cmp.Diff(c.codes, got); diff != "" {
				t.Error(diff)
			}
			if !d.Traits.Valid() && c.name == "nan" {
				return // NaN cannot be written as JSON at all
			}
			if fits := root.accepts(root, asJSON(t, d)); fits == c.json {
				t.Errorf("fits the schema: %v", fits)
			}
		})
	}
}

func TestPlatformWinsOverContradictingBounds(t *testing.T) {
	t.Parallel()
	got := Bounds{Empathy: {0, .1}, Humor: {.2, .4}}.Within(Platform(""))
	want := Bounds{Empathy: {.3, .3}, Humor: {.2, .4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBoundsAreAnObjectByName(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(struct{ A, B Bounds }{Bounds{Sarcasm: {0, .2}, Humor: {.1, 1}}, nil})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"A":{"humor":{"lo":0.1,"hi":1},"sarcasm":{"lo":0,"hi":0.2}},"B":{}}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	a := Default("agent-1")
	b := a
	if d := Diff(a, b); !d.Empty() {
		t.Errorf("no change shows as %+v", d)
	}
	b.Version, b.Parent, b.Reason = 2, 1, "edited"
	b.Traits[Humor], b.Traits[Brevity] = .52, .5+1e-9
	b.ActionPolicy.ReplyFrequency.GroupSmall = .5
	b.ActionPolicy.MaxAutonomousActionsPerDay = 5
	b.Exploration.Revision = 9
	b.Pinned = MaskOf(Formality)
	b.Bounds = Bounds{Humor: {0, .9}}
	want := Delta{
		TraitsDelta:       map[string]float64{"humor": .02},
		ActionPolicyDelta: map[string]float64{"replyFrequency.groupSmall": -.2, "maxAutonomousActionsPerDay": 2},
		Other:             []string{"pinned", "bounds"},
	}
	if diff := cmp.Diff(want, Diff(a, b)); diff != "" {
		t.Error(diff)
	}
}

func TestTones(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var x Traits
		for i := range x {
			x[i] = rapid.Float64Range(0, 1).Draw(rt, "level")
		}
		var sum float64
		for _, w := range ToneWeightsOf(x) {
			sum += w
		}
		if math.Abs(sum-1) > 1e-5 {
			rt.Fatalf("tone weights sum to %v", sum)
		}
	})
	x := Neutral()
	x[Humor] = .9
	if w := ToneWeightsOf(x); !(w["playful"] > w["warm"] && w["warm"] > w["serious"]) {
		t.Errorf("a funny agent shows as %v", w)
	}
	for _, b := range ToneButtons() {
		if got, ok := ParseTone(b.Name); !ok || got != b {
			t.Errorf("%s reads back as %+v", b.Name, got)
		}
	}
	if _, ok := ParseTone("louder"); ok {
		t.Error("an unknown button was found")
	}
}

func TestOffset(t *testing.T) {
	t.Parallel()
	x := Neutral()
	limits := Bounds{Sarcasm: {0, .55}}
	if got, ok := Offset(x, Humor, 1, limits, 0); !ok || got[Humor] != .65 {
		t.Errorf("funnier gives %v %v", got[Humor], ok)
	}
	if got, ok := Offset(x, Sarcasm, 1, limits, 0); !ok || got[Sarcasm] != .55 {
		t.Errorf("bounded offset gives %v %v", got[Sarcasm], ok)
	}
	if got, ok := Offset(x, Humor, -1, limits, MaskOf(Humor)); ok || got != x {
		t.Errorf("a pinned trait moved to %v", got[Humor])
	}
}
