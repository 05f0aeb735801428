package providertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/rule"
	"rapport/policy"
)

// compiled is the request that a policy becomes for a model.
func compiled(vendor, model string, x policy.Traits) provider.Request {
	doc := policy.Document{AgentID: "a1", Version: 1, Traits: x}
	p := compile.Compile(compile.Input{Persona: compile.Persona{Name: "Mira"}, Policy: doc, Rules: rule.BuiltIn(),
		Registry: compile.Registry{Default: []compile.Model{{Provider: "test", ID: model, Vendor: vendor}}}}, x,
		compile.Moment{Situation: compile.Situation{Place: event.ContextDMWithOwner, Direct: true, Addressed: true}})
	return provider.Request{Model: model, System: p.SystemPrompt, Params: p.Params, Messages: []provider.Message{{Role: provider.RoleUser, Text: "Hi"}}}
}

// Golden sends what a policy becomes to every model of a vendor. The vendor must
// take it at once, without healing, whatever the traits are; the bodies are kept
// in testdata/<vendor>.golden, models with the same body together.
func Golden(t *testing.T, vendor string, mk Make, update bool) {
	t.Run(vendor, func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		models := map[string][]string{}
		var order []string
		for _, model := range Models[vendor] {
			both := ""
			for _, schema := range []*provider.Schema{nil, {Name: "answer", JSON: json.RawMessage(`{"type":"object"}`)}} {
				r := compiled(vendor, model, policy.Neutral())
				r.System, r.Schema = "(prompt)", schema
				if schema != nil {
					r.Params = compile.Plain(compile.Model{Vendor: vendor, ID: model}, 2000)
					if vendor == compile.VendorAnthropic && strings.HasPrefix(model, "claude-3") {
						continue // takes none: heals
					}
				}
				body := accepted(t, vendor, model, mk, r)
				both += strings.Replace(body, fmt.Sprintf("%q", model), `"…"`, 1) + "\n"
			}
			if models[both] == nil {
				order = append(order, both)
			}
			models[both] = append(models[both], model)
		}
		for _, body := range order {
			fmt.Fprintf(&out, "== %s\n%s\n", strings.Join(models[body], ", "), body)
		}
		file := filepath.Join("testdata", vendor+".golden")
		if update {
			if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), out.String()); d != "" {
			t.Errorf("%s (run with -update after a look): %s", file, d)
		}
		rapid.Check(t, func(rt *rapid.T) {
			var x policy.Traits
			for i := range x {
				x[i] = rapid.Float64Range(0, 1).Draw(rt, policy.Trait(i).String())
			}
			model := rapid.SampledFrom(Models[vendor]).Draw(rt, "model")
			r := compiled(vendor, model, x)
			body, err := sent(t, mk, r, vendor)
			if err != nil {
				rt.Fatalf("%s refuses %s: %v", model, body, err)
			}
		})
	})
}

// accepted gives the body that a model took at the first try.
func accepted(t *testing.T, vendor, model string, mk Make, r provider.Request) (body string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, vendor, mk)
		res, err := b.p.Stream(t.Context(), r, func(string) error { return nil })
		seen := b.fake.Seen()
		if err != nil || len(seen) != 1 || len(res.Dropped) > 0 || len(b.fake.Odd()) > 0 {
			t.Fatalf("%s %s: %d requests, dropped %v, odd %v, %v: %s", vendor, model, len(seen), res.Dropped, b.fake.Odd(), err, seen[0].Body)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, seen[0].Body, "", "  "); err != nil {
			t.Fatal(err)
		}
		body = strings.TrimSpace(indented.String())
	})
	return body
}

// sent asks a fake without a network and fails when it was asked more than once.
func sent(t *testing.T, mk Make, r provider.Request, vendor string) (string, error) {
	f := newFake(vendor)
	var body []byte
	p := mk(t, provider.Config{Name: "test", BaseURL: f.URL, Key: secretKey, Transport: f.direct()})
	res, err := p.Stream(t.Context(), r, func(string) error { return nil })
	if seen := f.Seen(); len(seen) > 0 {
		body = seen[0].Body
		if err == nil && (len(seen) > 1 || len(res.Dropped) > 0) {
			err = fmt.Errorf("%d requests, dropped %v", len(seen), res.Dropped)
		}
	}
	return string(body), err
}
