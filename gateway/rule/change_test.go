package rule

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEdits(t *testing.T) {
	t.Parallel()
	before := document(t)
	e, err := ReadEdits([]byte(`{"note":"warmer","bands":[{"id":"humor.1","from":0,"to":0.2,"text":"Humor {level}/100: be grave; {degree} joke.","degrees":["never","hardly ever","seldom","rarely"]}],
		"formulas":[{"id":"humor.temperature","formula":"clamp(0.45 + 0.45*humor, 0.5, 0.9)"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	after, err := before.Apply(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := after.Within(before); err != nil {
		t.Error(err)
	}
	if err := after.Validate(); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(document(t), before); d != "" {
		t.Error("the edits changed the document before:", d)
	}
	got := Diff(before, after)
	if len(got) != 2 || got[0].Place != "traitToPrompt.humor" || got[0].Rule != "humor.1" || !strings.Contains(got[0].Now, "be grave") || !strings.Contains(got[0].Was, "stay serious") ||
		got[1].Rule != "humor.temperature" || got[1].Was != "clamp(0.5 + 0.4*humor, 0.5, 0.9)" {
		t.Errorf("%+v", got)
	}
	if back := Diff(after, before); len(back) != 2 || back[0].Was != got[0].Now || Diff(after, after) != nil {
		t.Errorf("%+v", back)
	}
	if same, err := before.Apply(before.Edits()); err != nil || cmp.Diff(before, same) != "" {
		t.Error(err, cmp.Diff(before, same))
	}
	raw, err := after.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read(raw)
	if err != nil || cmp.Diff(after, again) != "" {
		t.Error(err, cmp.Diff(after, again))
	}
}

func TestBadEdits(t *testing.T) {
	t.Parallel()
	before := document(t)
	for _, c := range []struct{ in, want string }{
		{`no JSON`, "no edits of rules"},
		{`[]`, "no edits of rules"},
		{`{"note":"","code":"rm"}`, "no edits of rules"},
		{`{"bands":[{"id":"charm.1","from":0,"to":1,"text":"x"}]}`, `no band "charm.1"`},
		{`{"formulas":[{"id":"humor.logit_bias","formula":"1"}]}`, `no formula "humor.logit_bias"`},
		{`{"note":"` + strings.Repeat("a", 1<<20) + `"}`, "bytes, at most"},
	} {
		e, err := ReadEdits([]byte(c.in))
		if err == nil {
			_, err = before.Apply(e)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %v, want %q", c.in, err, c.want)
		}
	}
}

// What moves far, or has another form, is refused with the rule's name.
func TestWithin(t *testing.T) {
	t.Parallel()
	before := document(t)
	for _, c := range []struct {
		name string
		harm func(d *Document)
		want string // '' for allowed
	}{
		{"nothing", func(*Document) {}, ""},
		{"words", func(d *Document) { d.TraitToPrompt["humor"][0].Text = "x {level} {degree}" }, ""},
		{"an edge by .1", func(d *Document) { d.TraitToPrompt["humor"][0].To, d.TraitToPrompt["humor"][1].From = .3, .3 }, ""},
		{"an edge by .15", func(d *Document) { d.TraitToPrompt["humor"][0].To, d.TraitToPrompt["humor"][1].From = .35, .35 }, `band "humor.1" goes from 0 to 0.35`},
		{"a band less", func(d *Document) { d.TraitToPrompt["humor"] = d.TraitToPrompt["humor"][:4] }, "traitToPrompt.humor: 4 bands"},
		{"another id", func(d *Document) { d.TraitToPrompt["humor"][0].ID = "mine" }, `band "mine"`},
		{"a coefficient by .1", func(d *Document) { d.TraitToParams["humor"]["temperature"] = "clamp(0.6 + 0.4*humor, 0.5, 0.9)" }, ""},
		{"a coefficient by .2", func(d *Document) { d.TraitToParams["humor"]["temperature"] = "clamp(0.5 + 0.6*humor, 0.5, 0.9)" }, "traitToParams.humor.temperature: the coefficient 0.4 becomes 0.6"},
		{"a large one by a tenth", func(d *Document) {
			d.TraitToParams["brevity"]["reply_words"] = "clamp(22 + 280*(1-brevity)*(1-brevity), 15, 300)"
		}, ""},
		{"a large one by a fifth", func(d *Document) {
			d.TraitToParams["brevity"]["reply_words"] = "clamp(20 + 312*(1-brevity)*(1-brevity), 15, 300)"
		}, "the coefficient 260 becomes 312"},
		{"another form", func(d *Document) { d.TraitToParams["brevity"]["verbosity"] = "1 - humor" }, "has another form"},
		{"more of a form", func(d *Document) { d.TraitToParams["brevity"]["verbosity"] = "1 - brevity + 0" }, "has another form"},
		{"a formula more", func(d *Document) { d.TraitToParams["mood"] = map[string]string{"temperature": "1"} }, "traitToParams.mood.temperature: no such formula"},
		{"a formula less", func(d *Document) { delete(d.TraitToParams["brevity"], "verbosity") }, "traitToParams.brevity.verbosity: it is in force"},
		{"a mood's effect", func(d *Document) { d.Mood[0].Effect = map[string]float64{"humor": .1} }, `mood "mood.low-low"`},
		{"a mood less", func(d *Document) { d.Mood = d.Mood[1:] }, "moods are not taken away"},
	} {
		d := document(t)
		c.harm(d)
		err := d.Within(before)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestTheSchemaOfEditsIsStrict(t *testing.T) {
	t.Parallel()
	var check func(path string, s map[string]any)
	check = func(path string, s map[string]any) {
		if p, ok := s["properties"].(map[string]any); ok {
			if s["additionalProperties"] != false {
				t.Errorf("%s: other properties are allowed", path)
			}
			required, _ := s["required"].([]any)
			for name, sub := range p {
				if !slices.Contains(required, any(name)) {
					t.Errorf("%s.%s is not required", path, name)
				}
				check(path+"."+name, sub.(map[string]any))
			}
		}
		if items, ok := s["items"].(map[string]any); ok {
			check(path+"[]", items)
		}
	}
	var s map[string]any
	if err := json.Unmarshal(EditsSchema(), &s); err != nil {
		t.Fatal(err)
	}
	check("edits", s)
}
