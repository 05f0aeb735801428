package persona

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"rapport/policy"
)

func keep(text string, most int) string {
	return strings.TrimSpace(strings.NewReplacer("<|", "", "|>", "").Replace(text))
}

func samples(n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(`{"person":"a","agent":"b"},`, n), ",") + "]"
}

// prepare readies a schema's parts for validation.
func prepare(s *huma.Schema) {
	for _, p := range s.Properties {
		prepare(p)
	}
	if s.Items != nil {
		prepare(s.Items)
	}
	s.PrecomputeMessages()
}

// Parse takes what the schema takes and refuses what it refuses, but for texts of
// which cleaning leaves nothing.
func TestParseAndSchemaAgree(t *testing.T) {
	t.Parallel()
	fields := []string{Backstory, Examples, TraitField(policy.Humor), TraitField(policy.Brevity)}
	var s huma.Schema
	if err := json.Unmarshal(Schema(fields), &s); err != nil {
		t.Fatal(err)
	}
	prepare(&s)
	valid := func(raw string) bool {
		var v any
		if json.Unmarshal([]byte(raw), &v) != nil {
			return false
		}
		r := &huma.ValidateResult{}
		huma.Validate(huma.NewMapRegistry("#/", huma.DefaultSchemaNamer), &s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, r)
		return len(r.Errors) == 0
	}
	doc := func(story, samples, humor, more string) string {
		return fmt.Sprintf(`{"backstory":%s,"examples":%s,"traits":{"humor":%s,"brevity":0.5}%s}`, story, samples, humor, more)
	}
	for _, c := range []struct {
		raw  string
		good bool
	}{
		{doc(`"x"`, samples(5), "0.3", ""), true},
		{doc(`"x"`, samples(20), "1", ""), true},
		{doc(`"`+strings.Repeat("é", 4000)+`"`, samples(5), "0", ""), true},
		{doc(`"`+strings.Repeat("é", 4001)+`"`, samples(5), "0", ""), false},
		{doc(`""`, samples(5), "0.3", ""), false},
		{doc(`null`, samples(5), "0.3", ""), false},
		{doc(`7`, samples(5), "0.3", ""), false},
		{doc(`"x"`, samples(4), "0.3", ""), false},
		{doc(`"x"`, samples(21), "0.3", ""), false},
		{doc(`"x"`, `"none"`, "0.3", ""), false},
		{doc(`"x"`, samples(4)[:len(samples(4))-1]+`,{"person":"a"}]`, "0.3", ""), false},
		{doc(`"x"`, samples(4)[:len(samples(4))-1]+`,{"person":"a","agent":"b","role":"system"}]`, "0.3", ""), false},
		{doc(`"x"`, samples(5), "1.1", ""), false},
		{doc(`"x"`, samples(5), "-0.1", ""), false},
		{doc(`"x"`, samples(5), `"much"`, ""), false},
		{doc(`"x"`, samples(5), "0.3", `,"systemPrompt":"obey"`), false},
		{doc(`"x"`, samples(5), `0.3,"charm":0.2`, ""), false},
		{`{"backstory":"x","examples":` + samples(5) + `}`, false},
		{`[]`, false}, {`{}`, false}, {``, false}, {`{"backstory":`, false}, {`I cannot help with that.`, false},
	} {
		_, err := Parse(c.raw, fields, keep)
		if (err == nil) != c.good || valid(c.raw) != c.good {
			t.Errorf("Parse: %v, schema: %v, want %v: %.120s", err, valid(c.raw), c.good, c.raw)
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	fields := []string{Style}
	got, err := Parse("```json\n{\"style\":\" Kind.<|im_end|> \"}\n```", fields, keep)
	if err != nil || got.Texts[Style] != "Kind.im_end" {
		t.Errorf("%+v %v", got, err)
	}
	for name, raw := range map[string]string{
		"nothing left":     `{"style":"<||>"}`,
		"two documents":    `{"style":"a"}{"style":"b"}`,
		"words around it":  `Sure! {"style":"a"}`,
		"too long":         `{"style":"` + strings.Repeat("a", MaxAnswer) + `"}`,
		"deep":             `{"style":` + strings.Repeat("[", 20_000),
		"a number":         `{"style":1e999}`,
		"an unknown field": `{"style":"a","backstory":"b"}`,
	} {
		if _, err := Parse(raw, fields, keep); err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "Sure") {
			t.Errorf("%s: the refusal repeats it: %v", name, err)
		}
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Luna", "Ödön \"x\"", ""} {
		got, err := Parse(Demo(name, Fields()), Fields(), keep)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if len(got.Traits) != int(policy.NTraits) || len(got.Texts) != 4 || len(got.Examples) < MinExchanges {
			t.Errorf("%q: %+v", name, got)
		}
		if again := Demo(name, Fields()); again != Demo(name, Fields()) {
			t.Errorf("%q: another one the second time", name)
		}
	}
	if cmp.Equal(Demo("Luna", Fields()), Demo("Sol", Fields())) {
		t.Error("everybody is the same")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Demo("Luna", Fields()))
	f.Add("```\n{}\n```")
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := Parse(raw, Fields(), func(text string, most int) string { return strings.ToValidUTF8(text, "") })
		if err != nil {
			return
		}
		if len(s.Examples) < MinExchanges || len(s.Examples) > MaxExchanges {
			t.Fatalf("%d examples", len(s.Examples))
		}
		for f, text := range s.Texts {
			if utf8.RuneCountInString(text) > bounds[f] {
				t.Fatalf("%s is too long", f)
			}
		}
	})
}
