package app

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// description is an OpenAPI document as these tests read it.
type description struct {
	OpenAPI string
	Paths   map[string]map[string]*operation
	root    map[string]any
}

type operation struct {
	OperationID string
	Tags        []string
	Security    []map[string][]string
	Responses   map[string]struct {
		Content map[string]struct{ Schema map[string]any }
	}
	path string
}

func describe(t testing.TB, a *App) *description {
	t.Helper()
	raw, err := a.API.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	d := &description{}
	if err := json.Unmarshal(raw, d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &d.root); err != nil {
		t.Fatal(err)
	}
	for path, ops := range d.Paths {
		for _, op := range ops {
			op.path = path
		}
	}
	return d
}

// find gives the operation that a request meets: of several that fit, the one with
// the most words of its own. nil for none.
func (d *description) find(method, path string) (found *operation) {
	parts := strings.Split(path, "/")
	best := -1
	for template, ops := range d.Paths {
		op := ops[strings.ToLower(method)]
		if op == nil {
			continue
		}
		words := 0
		pattern := strings.Split(template, "/")
		if len(pattern) != len(parts) {
			continue
		}
		for i, p := range pattern {
			switch {
			case strings.HasPrefix(p, "{"):
			case p == parts[i]:
				words++
			default:
				words = math.MinInt
			}
		}
		if words > best {
			best, found = words, op
		}
	}
	return found
}

// keywords are those of JSON Schema that fits knows, and those that say nothing of
// a value. Another one is an error: a check that is not made looks like one that
// succeeds.
var keywords = []string{"$ref", "type", "properties", "required", "items", "enum", "additionalProperties", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
	"description", "format", "examples", "default", "readOnly", "contentEncoding"}

// fits says what is wrong with a value, by a schema of the description.
func (d *description) fits(schema map[string]any, v any, at string) (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, at+": "+fmt.Sprintf(format, args...)) }
	for k := range schema {
		if !slices.Contains(keywords, k) {
			bad("the schema has a keyword %q, which this check does not know", k)
		}
	}
	if ref, ok := schema["$ref"].(string); ok {
		node := any(d.root)
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := node.(map[string]any)
			node = m[part]
		}
		target, ok := node.(map[string]any)
		if !ok {
			bad("%s leads nowhere", ref)
			return wrong
		}
		return append(wrong, d.fits(target, v, at)...)
	}
	var types []string
	switch one := schema["type"].(type) {
	case string:
		types = []string{one}
	case []any:
		for _, x := range one {
			types = append(types, fmt.Sprint(x))
		}
	}
	if len(types) > 0 && !slices.ContainsFunc(types, func(name string) bool { return isA(name, v) }) {
		bad("is %T, want %v", v, types)
		return wrong
	}
	if enum, ok := schema["enum"].([]any); ok && v != nil && !slices.Contains(enum, v) {
		bad("%v is none of %v", v, enum)
	}
	number := func(key string) (float64, bool) { n, ok := schema[key].(float64); return n, ok }
	switch v := v.(type) {
	case float64:
		if n, ok := number("minimum"); ok && v < n {
			bad("%v is below %v", v, n)
		}
		if n, ok := number("maximum"); ok && v > n {
			bad("%v is above %v", v, n)
		}
	case string:
		if n, ok := number("minLength"); ok && len([]rune(v)) < int(n) {
			bad("is shorter than %v", n)
		}
		if n, ok := number("maxLength"); ok && len([]rune(v)) > int(n) {
			bad("is longer than %v", n)
		}
	case []any:
		if n, ok := number("minItems"); ok && len(v) < int(n) {
			bad("has fewer than %v items", n)
		}
		if n, ok := number("maxItems"); ok && len(v) > int(n) {
			bad("has more than %v items", n)
		}
		if items, ok := schema["items"].(map[string]any); ok {
			for i, x := range v {
				wrong = append(wrong, d.fits(items, x, fmt.Sprintf("%s[%d]", at, i))...)
			}
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		if required, ok := schema["required"].([]any); ok {
			for _, name := range required {
				if _, there := v[fmt.Sprint(name)]; !there {
					bad("%v is missing", name)
				}
			}
		}
		if n, ok := number("minProperties"); ok && len(v) < int(n) {
			bad("has fewer than %v properties", n)
		}
		for name, x := range v {
			if p, ok := properties[name].(map[string]any); ok {
				wrong = append(wrong, d.fits(p, x, at+"."+name)...)
				continue
			}
			switch more := schema["additionalProperties"].(type) {
			case bool:
				if !more {
					bad("%s is not described", name)
				}
			case map[string]any:
				wrong = append(wrong, d.fits(more, x, at+"."+name)...)
			}
		}
	}
	return wrong
}

func isA(name string, v any) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

// TestFits sees that the check can find fault.
func TestFits(t *testing.T) {
	t.Parallel()
	d := &description{root: map[string]any{"a": map[string]any{"type": "string", "enum": []any{"x"}}}}
	object := map[string]any{"type": "object", "additionalProperties": false, "required": []any{"n"}, "properties": map[string]any{
		"n": map[string]any{"type": []any{"integer", "null"}, "minimum": 1.0}, "l": map[string]any{"type": "array", "items": map[string]any{"$ref": "#/a"}}}}
	for text, faults := range map[string]int{
		`{"n":1,"l":["x"]}`: 0, `{"n":null}`: 0, `{}`: 1, `{"n":1.5}`: 1, `{"n":0}`: 1, `{"n":1,"m":2}`: 1, `{"n":1,"l":["y","x",3]}`: 2, `[]`: 1, `{"n":1,"l":{}}`: 1,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if got := d.fits(object, v, ""); len(got) != faults {
			t.Errorf("%s: %q, want %d faults", text, got, faults)
		}
	}
	if len(d.fits(map[string]any{"oneOf": nil}, 1.0, "")) == 0 {
		t.Error("an unknown keyword passes")
	}
}
