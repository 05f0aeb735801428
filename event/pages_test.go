package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rapport/event"
)

var update = flag.Bool("update", false, "write docs/events.md and docs/asyncapi.json anew")

// TestPagesAreFresh: docs/events.md and docs/asyncapi.json say what the registry,
// the payload types and their comments say. go test ./event -update writes them.
func TestPagesAreFresh(t *testing.T) {
	t.Parallel()
	d := describe(t)
	for name, fresh := range map[string][]byte{"events.md": d.page(), "asyncapi.json": d.asyncAPI()} {
		path := filepath.Join("..", "docs", name)
		if *update {
			if err := os.WriteFile(path, fresh, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if lies, err := os.ReadFile(path); err != nil || !bytes.Equal(lies, fresh) {
			t.Errorf("docs/%s is stale (%v): run go test ./event -update", name, err)
		}
	}
}

// TestSchemasHold: every frozen sample is valid under the printed schema, and a
// sample without a required field, or with one of another form, is not.
func TestSchemasHold(t *testing.T) {
	t.Parallel()
	var doc struct {
		Components struct {
			Schemas map[string]*schema
		}
	}
	if err := json.Unmarshal(describe(t).asyncAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	all := doc.Components.Schemas
	for _, reg := range event.Registered() {
		s := all[string(reg.Type)]
		if s == nil {
			t.Fatalf("%s has no schema", reg.Type)
		}
		for name, raw := range samples(t, reg.Type) {
			data := tree(t, raw)["data"].(map[string]any)
			if err := s.check(all, data); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, k := range s.Required {
				v := data[k]
				delete(data, k)
				if s.check(all, data) == nil {
					t.Errorf("%s is valid without %s", name, k)
				}
				if data[k] = any([]any{[]any{}}); s.check(all, data) == nil {
					t.Errorf("%s is valid with %s a list of lists", name, k)
				}
				data[k] = v
			}
		}
	}
}

// schema is the part of JSON Schema that the pages are written in.
type schema struct {
	Ref                  string             `json:"$ref,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Description          string             `json:"description,omitempty"`
	Required             []string           `json:"required,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	AdditionalProperties *schema            `json:"additionalProperties,omitempty"`
	AllOf                []*schema          `json:"allOf,omitempty"`
	Const                string             `json:"const,omitempty"`
	Format               string             `json:"format,omitempty"`
}

const refBase = "#/components/schemas/"

// check says why a value is not valid.
func (s *schema) check(all map[string]*schema, v any) error {
	if s.Ref != "" {
		return all[strings.TrimPrefix(s.Ref, refBase)].check(all, v)
	}
	for _, part := range s.AllOf {
		if err := part.check(all, v); err != nil {
			return err
		}
	}
	ok := true
	switch s.Type {
	case "string":
		_, ok = v.(string)
	case "boolean":
		_, ok = v.(bool)
	case "number", "integer":
		var n json.Number
		if n, ok = v.(json.Number); ok && s.Type == "integer" {
			_, err := n.Int64()
			ok = err == nil
		}
	case "array":
		list, is := v.([]any)
		ok = is
		for i, e := range list {
			if err := s.Items.check(all, e); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
	case "object":
		obj, is := v.(map[string]any)
		ok = is
		for _, k := range s.Required {
			if _, there := obj[k]; is && !there {
				return fmt.Errorf("%s is missing", k)
			}
		}
		for k, e := range obj {
			p := s.Properties[k]
			if p == nil {
				p = s.AdditionalProperties
			}
			if p == nil {
				continue
			}
			if err := p.check(all, e); err != nil {
				return fmt.Errorf("%s: %w", k, err)
			}
		}
	}
	if !ok {
		return fmt.Errorf("%v is no %s", v, s.Type)
	}
	return nil
}

// description is the registry with what its Go source says about it.
type description struct {
	types  map[string]string            // by type name
	fields map[string]map[string]string // by type name and field name
	frozen map[event.Type]json.RawMessage
}

func describe(t testing.TB) description {
	t.Helper()
	d := description{types: map[string]string{}, fields: map[string]map[string]string{}, frozen: map[event.Type]json.RawMessage{}}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.TypeSpec)
				st, ok := spec.Type.(*ast.StructType)
				if !ok {
					continue
				}
				d.types[spec.Name.Name] = strings.Join(strings.Fields(gen.Doc.Text()), " ")
				said := map[string]string{}
				for _, field := range st.Fields.List {
					for _, n := range field.Names {
						said[n.Name] = strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
					}
				}
				d.fields[spec.Name.Name] = said
			}
		}
	}
	for _, reg := range event.Registered() {
		d.frozen[reg.Type] = samples(t, reg.Type)[filepath.Join("testdata", string(reg.Type)+".v1.json")]
	}
	return d
}

// member is one property of a payload in JSON.
type member struct {
	name     string
	typ      reflect.Type
	required bool
	says     string
}

func (d description) members(t reflect.Type) (out []member) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, d.members(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, member{name, f.Type, options != "omitempty", d.fields[t.Name()][f.Name]})
	}
	return out
}

// form is the JSON form of a Go type in a word.
func form(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return form(t.Elem())
	case reflect.Slice:
		if t == reflect.TypeFor[json.RawMessage]() {
			return "object"
		}
		return "list of " + form(t.Elem())
	case reflect.Map:
		return "map of " + form(t.Elem())
	case reflect.Struct, reflect.String:
		if t.Name() != "string" {
			return t.Name()
		}
	case reflect.Bool:
		return "yes or no"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int64, reflect.Uint16:
		return "whole number"
	}
	return "text"
}

// page prints docs/events.md.
func (d description) page() []byte {
	var b bytes.Buffer
	b.WriteString(`# Events

Printed from the registry, the payload types and the frozen samples in event/; do not edit. ` + "`go test ./event -update`" + ` writes it anew.

Every event is a CloudEvents 1.0 event in structured JSON mode with ` + "`specversion`, `id`, `source`, `type`, `subject`, `time`, `dataschema`, `datacontenttype`, `partitionkey`" + `, and where there is one ` + "`traceparent`" + `, ` + "`cause`" + ` (the id of the event that led here) and ` + "`root`" + ` (the first of the chain). Order is promised per key, nothing else. Times are microseconds since 1970, UTC.

A payload only ever gains optional fields; a reader passes over those it does not know. Fields marked · may be absent.

| type | topic | from | says |
|---|---|---|---|
`)
	for _, reg := range event.Registered() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s |\n", reg.Type, anchor(string(reg.Type)), reg.Topic, reg.Emitter, reg.Says)
	}
	parts := map[string]reflect.Type{}
	for _, reg := range event.Registered() {
		fmt.Fprintf(&b, "\n## %s\n\nVersion %d. %s.\n\n", reg.Type, reg.Version, strings.ToUpper(reg.Says[:1])+reg.Says[1:])
		d.table(&b, reg.Payload, parts)
		var data bytes.Buffer
		var e event.Event
		if json.Unmarshal(d.frozen[reg.Type], &e) == nil && json.Compact(&data, e.Data) == nil {
			fmt.Fprintf(&b, "\n```json\n%s\n```\n", data.Bytes())
		}
	}
	b.WriteString("\n# Parts of payloads\n")
	done := map[string]bool{}
	for len(done) < len(parts) {
		for _, name := range sorted(parts) {
			if !done[name] {
				done[name] = true
				fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", name, d.types[name])
				d.table(&b, parts[name], parts)
			}
		}
	}
	return b.Bytes()
}

func (d description) table(b *bytes.Buffer, t reflect.Type, parts map[string]reflect.Type) {
	b.WriteString("| field | form | |\n|---|---|---|\n")
	for _, m := range d.members(t) {
		mark := ""
		if !m.required {
			mark = " ·"
		}
		inner := m.typ
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice && inner.Name() == "" {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			parts[inner.Name()] = inner
		}
		fmt.Fprintf(b, "| `%s`%s | %s | %s |\n", m.name, mark, form(m.typ), strings.ReplaceAll(m.says, "|", "\\|"))
	}
}

func anchor(s string) string {
	return strings.NewReplacer(".", "", " ", "-").Replace(strings.ToLower(s))
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// schemaOf gives the JSON Schema of a Go type; structs that payloads share go
// into all by name.
func (d description) schemaOf(t reflect.Type, all map[string]*schema) *schema {
	switch t.Kind() {
	case reflect.Pointer:
		return d.schemaOf(t.Elem(), all)
	case reflect.Slice:
		if t == reflect.TypeFor[json.RawMessage]() {
			return &schema{Type: "object"}
		}
		return &schema{Type: "array", Items: d.schemaOf(t.Elem(), all)}
	case reflect.Map:
		return &schema{Type: "object", AdditionalProperties: d.schemaOf(t.Elem(), all)}
	case reflect.Struct:
		if all[t.Name()] == nil {
			s := &schema{}
			all[t.Name()] = s
			*s = *d.object(t, all)
			s.Description = d.types[t.Name()]
		}
		return &schema{Ref: refBase + t.Name()}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Float64:
		return &schema{Type: "number"}
	case reflect.Int, reflect.Int64, reflect.Uint16:
		return &schema{Type: "integer"}
	}
	panic("no JSON form for " + t.String())
}

func (d description) object(t reflect.Type, all map[string]*schema) *schema {
	s := &schema{Type: "object", Properties: map[string]*schema{}}
	for _, m := range d.members(t) {
		p := d.schemaOf(m.typ, all)
		if m.says != "" && p.Ref != "" {
			p = &schema{AllOf: []*schema{p}}
		}
		p.Description = m.says
		s.Properties[m.name] = p
		if m.required {
			s.Required = append(s.Required, m.name)
		}
	}
	return s
}

// asyncAPI prints docs/asyncapi.json, AsyncAPI 3.1.
func (d description) asyncAPI() []byte {
	type object = map[string]any
	ref := func(format string, args ...any) object { return object{"$ref": fmt.Sprintf(format, args...)} }
	text := func(says string) *schema { return &schema{Type: "string", Description: says} }

	schemas := map[string]*schema{"CloudEvent": {
		Type: "object", Description: "A CloudEvents 1.0 event in structured JSON mode.",
		Required: []string{"specversion", "id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "partitionkey", "data"},
		Properties: map[string]*schema{
			"specversion": {Type: "string", Const: "1.0"}, "id": text("unique forever; equal ids are the same event"),
			"source": text("/rapport/ and the context that emitted it"), "type": text("one of the registry"),
			"subject": text("the key"), "partitionkey": text("the key again"),
			"time":       {Type: "string", Format: "date-time", Description: "the stamp of the server that accepted it"},
			"dataschema": text("urn:rapport:schema:<type>:v<version>"), "datacontenttype": {Type: "string", Const: "application/json"},
			"traceparent": text("W3C trace context"), "cause": text("id of the event that led here"), "root": text("id of the first event of the chain"),
		},
	}}
	channels, messages, operations := object{}, object{}, object{}
	for _, topic := range event.Topics() {
		of := object{}
		for _, reg := range event.Registered() {
			if reg.Topic != topic {
				continue
			}
			of[string(reg.Type)] = ref("#/components/messages/%s", reg.Type)
			name := reg.Emitter + "." + topic
			op, ok := operations[name].(object)
			if !ok {
				op = object{"action": "send", "channel": ref("#/channels/%s", topic), "summary": reg.Emitter + " emits to " + topic, "messages": []object{}}
				operations[name] = op
			}
			op["messages"] = append(op["messages"].([]object), ref("#/channels/%s/messages/%s", topic, reg.Type))
			s := d.object(reg.Payload, schemas)
			s.Description = d.types[reg.Payload.Name()]
			schemas[string(reg.Type)] = s
			messages[string(reg.Type)] = object{
				"name": reg.Type, "title": reg.Type, "summary": reg.Says, "contentType": "application/cloudevents+json",
				"payload": schema{AllOf: []*schema{{Ref: refBase + "CloudEvent"}, {Type: "object", Properties: map[string]*schema{
					"type": {Type: "string", Const: string(reg.Type)}, "data": {Ref: refBase + string(reg.Type)}}}}},
				"examples": []object{{"name": "frozen", "payload": d.frozen[reg.Type]}},
			}
		}
		channels[topic] = object{"address": topic, "description": "Events in order per key; the key is the event's subject.", "messages": of}
	}
	out, err := json.MarshalIndent(object{
		"asyncapi":           "3.1.0",
		"info":               object{"title": "Rapport", "version": "1", "description": "The events of Rapport. Printed from the registry; go test ./event -update writes it anew."},
		"defaultContentType": "application/cloudevents+json",
		"channels":           channels, "operations": operations,
		"components": object{"messages": messages, "schemas": schemas},
	}, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(out, '\n')
}
