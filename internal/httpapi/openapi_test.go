package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	a, _ := newAPI(t)
	// Two contexts may give unexported types the same name.
	type page struct{ A int }
	Get(a, "/v1/one", Op{Tag: "x", Summary: "One"}, func(context.Context, *struct{}) (page, error) { return page{}, nil })
	{
		type page struct{ B []string }
		Get(a, "/v1/two", Op{Tag: "x", Summary: "Two"}, func(context.Context, *struct{}) (page, error) { return page{}, nil })
	}
	a.Handle("GET /v1/files/{path...}", Op{Tag: "x", Summary: "Files"}, http.NotFoundHandler(), func(o *Operation) { o.Description = "Described." })

	got, err := a.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(got, &doc); err != nil {
		t.Fatal(err)
	}
	if v, _ := doc["openapi"].(string); !strings.HasPrefix(v, "3.1") {
		t.Errorf("openapi %q", v)
	}
	ids := map[string]bool{}
	paths := doc["paths"].(map[string]any)
	for route, op := range a.Routes() {
		method, path, _ := strings.Cut(route, " ")
		o := dig(paths, path, strings.ToLower(method))
		if o == nil {
			t.Errorf("%s is not described", route)
			continue
		}
		id, _ := o["operationId"].(string)
		if id == "" || ids[id] {
			t.Errorf("%s: operation id %q is missing or taken", route, id)
		}
		ids[id] = true
		if o["summary"] == "" || op.Public == (o["security"] != nil) {
			t.Errorf("%s: summary %v, security %v", route, o["summary"], o["security"])
		}
		responses := o["responses"].(map[string]any)
		if responses[fmt.Sprint(op.success())] == nil {
			t.Errorf("%s: no %d among %v", route, op.success(), responses)
		}
		for status, r := range responses {
			if status >= "400" && dig(r, "content", "application/problem+json", "schema") == nil {
				t.Errorf("%s: %s is no problem document: %v", route, status, r)
			}
		}
		wanted := []string{"500"}
		if !op.Public {
			wanted = append(wanted, "401", "403")
		}
		for _, status := range wanted {
			if responses[status] == nil {
				t.Errorf("%s: %s is not described", route, status)
			}
		}
		for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
			if !strings.Contains(fmt.Sprint(o["parameters"]), "name:"+m[1]) {
				t.Errorf("%s: parameter %s is not described", route, m[1])
			}
		}
	}
	refs := 0
	walk(doc, func(ref string) {
		refs++
		at := any(doc)
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[part]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	})
	if refs == 0 {
		t.Error("no reference in the whole description")
	}
	schemas := dig(doc, "components", "schemas")
	for _, name := range []string{"Problem", "Room", "Page", "Page2"} {
		if schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
}

func dig(v any, path ...string) map[string]any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	m, _ := v.(map[string]any)
	return m
}

func walk(v any, ref func(string)) {
	switch v := v.(type) {
	case map[string]any:
		if r, ok := v["$ref"].(string); ok {
			ref(r)
		}
		for _, x := range v {
			walk(x, ref)
		}
	case []any:
		for _, x := range v {
			walk(x, ref)
		}
	}
}
