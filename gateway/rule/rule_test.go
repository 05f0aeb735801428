package rule

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"pgregory.net/rapid"

	"rapport/policy"
)

func document(t testing.TB) *Document {
	t.Helper()
	var d Document
	if err := json.Unmarshal(BuiltInDocument(), &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// Every trait has at least ten levels that a model can tell apart, and a step of
// .1 from anywhere changes the text.
func TestLevelsAreDistinguishable(t *testing.T) {
	t.Parallel()
	r := BuiltIn()
	for i := range policy.NTraits {
		trait := policy.Trait(i)
		texts := map[string]bool{}
		for s := range 11 {
			texts[r.Line(trait, float64(s)/10).Text] = true
		}
		if len(texts) < 10 {
			t.Errorf("%s: %d texts at the levels 0, .1 … 1", trait, len(texts))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		trait := policy.Trait(rapid.IntRange(0, policy.NTraits-1).Draw(t, "trait"))
		at := rapid.Float64Range(0, .9).Draw(t, "at")
		if a, b := r.Line(trait, at), r.Line(trait, at+.1); a.Text == b.Text {
			t.Fatalf("%s: levels %v and %v say the same: %s", trait, at, at+.1, a.Text)
		}
		if l := r.Line(trait, at); math.Abs(l.Level-at) > .0251 {
			t.Fatalf("%s: level %v is rendered as %v", trait, at, l.Level)
		}
	})
}

func TestLinesOutsideTheBoxAreClamped(t *testing.T) {
	t.Parallel()
	r := BuiltIn()
	for _, c := range []struct{ at, want float64 }{{-3, 0}, {math.NaN(), 0}, {0, 0}, {1, 1}, {7, 1}} {
		if got := r.Line(policy.Humor, c.at).Level; got != c.want {
			t.Errorf("level %v is rendered as %v, want %v", c.at, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		harm func(d *Document)
		want string
	}{
		{"gap", func(d *Document) { d.TraitToPrompt["humor"][1].From = .25 }, "no gap or overlap"},
		{"overlap", func(d *Document) { d.TraitToPrompt["humor"][1].From = .15 }, "no gap or overlap"},
		{"does not reach 1", func(d *Document) { d.TraitToPrompt["humor"] = d.TraitToPrompt["humor"][:4] }, "not at 1"},
		{"off the grid", func(d *Document) { d.TraitToPrompt["humor"][0].To = .21 }, "multiples of .05"},
		{"trait missing", func(d *Document) { delete(d.TraitToPrompt, "brevity") }, "traitToPrompt.brevity: it has no bands"},
		{"unknown trait", func(d *Document) { d.TraitToPrompt["charm"] = nil }, `unknown trait "charm"`},
		{"same text over .1", func(d *Document) {
			d.TraitToPrompt["humor"][2].Text = "Joke sometimes."
			d.TraitToPrompt["humor"][2].Degrees = nil
		}, "a step of .1 must be told apart"},
		{"id twice", func(d *Document) { d.TraitToPrompt["humor"][1].ID = "humor.1" }, "used twice"},
		{"unknown input", func(d *Document) { d.TraitToParams["brevity"]["reply_words"] = "charm*2" }, `traitToParams.brevity.reply_words: formula "charm*2": unknown input "charm" at character 1`},
		{"division by zero", func(d *Document) { d.TraitToParams["humor"]["temperature"] = "1/(humor - 0.5)" }, `traitToParams.humor.temperature: formula "1/(humor - 0.5)": the divisor at character 3 can be zero`},
		{"two formulas", func(d *Document) { d.TraitToParams["mood"] = map[string]string{"temperature": "1"} }, "two formulas"},
		{"unknown parameter", func(d *Document) { d.TraitToParams["mood"] = map[string]string{"logit_bias": "1"} }, "unknown parameter"},
		{"no length", func(d *Document) { delete(d.TraitToParams["brevity"], "reply_words") }, "reply_words needs"},
		{"control token", func(d *Document) { d.Mood[0].Text = "<|im_start|>system" }, "control token"},
		{"hidden", func(d *Document) { d.Mood[0].Text = "calm\u200b today" }, "cannot be seen"},
		{"not UTF-8", func(d *Document) { d.Mood[0].Text = "calm \xff" }, "cannot be seen"},
		{"template", func(d *Document) { d.TraitToPrompt["humor"][0].Text = "{secret} {degree}" }, "braces"},
		{"newline", func(d *Document) { d.Mood[0].Text = "a\nb" }, "one line"},
		{"mood effect", func(d *Document) { d.Mood[0].Effect = map[string]float64{"humor": .2} }, "at most ±.1"},
		{"mood twice", func(d *Document) { d.Mood[0].Arousal = "mid" }, "second line"},
		{"version", func(d *Document) { d.Version = 0 }, "version is 0"},
	} {
		d := document(t)
		c.harm(d)
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestFormulas(t *testing.T) {
	t.Parallel()
	in := Inputs{}
	in[policy.Humor], in[Epsilon], in[Valence] = .5, .25, -1
	for _, c := range []struct {
		src  string
		want float64
	}{
		{"0.2 + epsilon*1.2", .5},
		{"-(humor - 1) / 2", .25},
		{"min(humor, epsilon) + max(humor, epsilon)", .75},
		{"clamp(valence, 0, 1)", 0},
		{"clamp(3*humor, 0, 1)", 1},
		{"1/(1+humor)", 1 / 1.5},
	} {
		f, err := ParseFormula(c.src)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		if got := f.Eval(&in); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s = %v, want %v", c.src, got, c.want)
		}
	}
	for _, c := range []struct{ src, want string }{
		{"1/humor", "can be zero"},
		{"1/(valence*valence)", "can be zero"},
		{"temperature", "unknown input"},
		{"humor % 2", "not an expression|operator %"},
		{"os.Exit(1)", "only min, max and clamp"},
		{"func() int { return 1 }()", "only min, max and clamp"},
		{"sqrt(humor)", "unknown function"},
		{"min(humor)", "takes 2 arguments"},
		{`"text"`, "not a number"},
		{"humor; 1", "not an expression"},
		{"1e5*1e5", "can pass"},
		{strings.Repeat("(", 40) + "1" + strings.Repeat(")", 40), "nested deeper"},
		{strings.Repeat("-", 40) + "1", "nested deeper|not an expression|operator"},
		{strings.Repeat("1+", 99) + "1", "more than|nested deeper"},
		{strings.Repeat("9", 300), "bytes, at most"},
		{"", "not an expression"},
	} {
		_, err := ParseFormula(c.src)
		ok := false
		for w := range strings.SplitSeq(c.want, "|") {
			ok = ok || err != nil && strings.Contains(err.Error(), w)
		}
		if !ok {
			t.Errorf("%q: got %v, want an error with %q", c.src, err, c.want)
		}
	}
}

func TestTheSchemaAcceptsTheBuiltInAndRefusesOthers(t *testing.T) {
	t.Parallel()
	var s huma.Schema
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	prepare(&s)
	check := func(raw []byte) []error {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		res := &huma.ValidateResult{}
		huma.Validate(huma.NewMapRegistry("#/", huma.DefaultSchemaNamer), &s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, res)
		return res.Errors
	}
	if errs := check(BuiltInDocument()); len(errs) > 0 {
		t.Errorf("the built-in rules break the schema: %v", errs)
	}
	if errs := check([]byte(`{"version":1,"traitToPrompt":{},"traitToParams":{},"mood":[],"x":1}`)); len(errs) == 0 {
		t.Error("the schema accepts a document without bands and with an unknown field")
	}
}

func prepare(s *huma.Schema) {
	for _, p := range s.Properties {
		prepare(p)
	}
	if s.Items != nil {
		prepare(s.Items)
	}
	s.PrecomputeMessages()
}

func FuzzParseFormula(f *testing.F) {
	for _, s := range []string{"0.2 + epsilon*1.2", "clamp(humor,0,1)/(1+valence*valence)", "-(-1)", "1/(2-humor)", "min(1,max(2,3))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		fm, err := ParseFormula(src)
		if err != nil {
			return
		}
		for _, v := range []float64{0, .3, 1} {
			var in Inputs
			for i := range in {
				in[i] = v
			}
			in[Valence], in[Arousal] = 2*v-1, 1-2*v
			got := fm.Eval(&in)
			if !(got >= fm.Lo-1e-9*math.Abs(fm.Lo)-1e-9 && got <= fm.Hi+1e-9*math.Abs(fm.Hi)+1e-9) {
				t.Fatalf("%q at %v = %v, outside [%v,%v]", src, v, got, fm.Lo, fm.Hi)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(BuiltInDocument()))
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data)
		if err != nil {
			return
		}
		for i := range policy.NTraits {
			for s := range Steps + 1 {
				if l := r.Line(policy.Trait(i), float64(s)/Steps); l.Text == "" || l.Rule == "" {
					t.Fatalf("accepted rules have no text for %s at %v", policy.Trait(i), float64(s)/Steps)
				}
			}
		}
	})
}
