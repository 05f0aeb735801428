package event_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
)

// The samples are frozen: testdata/<type>.v1.json is what the log of somebody
// holds, forever. Only a new type gets a new file. When a type gains an optional
// field, a further sample with that field lies beside the first, named
// <type>.v1.<what>.json.

// samples reads the frozen samples of a type, the first one first.
func samples(t testing.TB, typ event.Type) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", string(typ)+".v1*.json"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = raw
	}
	return out
}

func decode(t testing.TB, raw []byte) event.Event {
	t.Helper()
	var e event.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func tree(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return v
}

// TestFrozenSamples: what was written once is read as it was meant and written
// the same way again, field by field. A renamed field, a removed one, or a new
// one that is not optional fails here.
func TestFrozenSamples(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{} // Go field, as event.Member.AgentID
	for _, reg := range event.Registered() {
		files := samples(t, reg.Type)
		if len(files) == 0 {
			t.Errorf("%s has no frozen sample: write testdata/%s.v1.json", reg.Type, reg.Type)
		}
		for name, raw := range files {
			e := decode(t, raw)
			if err := e.Check(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if e.Type != reg.Type || e.Topic() != reg.Topic || e.Source != "/rapport/"+reg.Emitter {
				t.Errorf("%s: type %s topic %s source %s, registered as %s on %s by %s", name, e.Type, e.Topic(), e.Source, reg.Type, reg.Topic, reg.Emitter)
			}
			strict := json.NewDecoder(bytes.NewReader(e.Data))
			strict.DisallowUnknownFields()
			p := reflect.New(reg.Payload)
			if err := strict.Decode(p.Interface()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if key := p.Interface().(event.Payload).Key(); key != e.Subject {
				t.Errorf("%s: subject %s, the payload's key is %s", name, e.Subject, key)
			}
			data, err := json.Marshal(p.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tree(t, e.Data), tree(t, data)); diff != "" {
				t.Errorf("%s: the payload comes out different (-frozen +now):\n%s", name, diff)
			}
			again, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tree(t, raw), tree(t, again)); diff != "" {
				t.Errorf("%s: the envelope comes out different (-frozen +now):\n%s", name, diff)
			}
			note(p.Elem(), seen)
		}
	}
	for _, reg := range event.Registered() {
		for _, field := range fieldsOf(reg.Payload, map[reflect.Type]bool{}) {
			if !seen[field] {
				t.Errorf("no sample of %s shows %s: add a further sample", reg.Type, field)
			}
		}
	}
	known, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range known {
		typ, _, _ := strings.Cut(filepath.Base(name), ".v")
		if _, ok := event.Lookup(event.Type(typ)); !ok {
			t.Errorf("%s is of a type that is not registered: types are never removed", name)
		}
	}
}

// note marks the fields that a value has set.
func note(v reflect.Value, seen map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			note(v.Elem(), seen)
		}
	case reflect.Slice:
		for i := range v.Len() {
			note(v.Index(i), seen)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				seen[v.Type().String()+"."+v.Type().Field(i).Name] = true
			}
			note(v.Field(i), seen)
		}
	}
}

func fieldsOf(t reflect.Type, done map[reflect.Type]bool) (out []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return fieldsOf(t.Elem(), done)
	case reflect.Struct:
		if done[t] {
			return nil
		}
		done[t] = true
		for i := range t.NumField() {
			out = append(out, t.String()+"."+t.Field(i).Name)
			out = append(out, fieldsOf(t.Field(i).Type, done)...)
		}
	}
	return out
}

// TestTolerance: a reader passes over fields it does not know, at every depth of
// envelope and payload, because a newer writer may add some.
func TestTolerance(t *testing.T) {
	t.Parallel()
	for _, reg := range event.Registered() {
		for name, raw := range samples(t, reg.Type) {
			want := decode(t, raw)
			v := tree(t, raw)
			sprinkle(v)
			more, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			got := decode(t, more)
			a, b := reflect.New(reg.Payload).Interface(), reflect.New(reg.Payload).Interface()
			if err := json.Unmarshal(want.Data, a); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(got.Data, b); err != nil {
				t.Fatalf("%s with unknown fields: %v", name, err)
			}
			want.Data, got.Data = nil, nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: unknown fields changed the envelope:\n%s", name, diff)
			}
			opaque := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type() == reflect.TypeFor[json.RawMessage]() }, cmp.Ignore())
			if diff := cmp.Diff(a, b, opaque); diff != "" {
				t.Errorf("%s: unknown fields changed the payload:\n%s", name, diff)
			}
		}
	}
}

// sprinkle adds a field that nobody knows to every object whose keys are fields
// (maps by trait are data).
func sprinkle(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, levels := v["brevity"]
		for _, k := range slices.Sorted(maps.Keys(v)) {
			sprinkle(v[k])
		}
		if !levels {
			v["zzAddedLater"] = map[string]any{"a": []any{"b"}}
		}
	case []any:
		for _, e := range v {
			sprinkle(e)
		}
	}
}
