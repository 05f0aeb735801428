package event

import (
	"bytes"
	"encoding/json"
	"strings"
)

// The envelope as MarshalJSON writes it has one form, as long as its texts need
// no escapes: fields in the order of wire, no spaces. plain and readPlain write
// and read that form, several times faster than encoding/json, and refuse
// everything else; FuzzEnvelope holds them to encoding/json's bytes and values.

// field is one field of wire in its order.
type field struct {
	name     string // as it stands before the value: ,"id":"
	text     func(*wire) *string
	required bool
}

var fields = []field{
	{`{"specversion":"`, func(w *wire) *string { return &w.SpecVersion }, true},
	{`,"id":"`, func(w *wire) *string { return &w.ID }, true},
	{`,"source":"`, func(w *wire) *string { return &w.Source }, true},
	{`,"type":"`, func(w *wire) *string { return (*string)(&w.Type) }, true},
	{`,"subject":"`, func(w *wire) *string { return &w.Subject }, false},
	{`,"time":"`, func(w *wire) *string { return &w.Time }, false},
	{`,"dataschema":"`, func(w *wire) *string { return &w.DataSchema }, false},
	{`,"datacontenttype":"`, func(w *wire) *string { return &w.DataContentType }, false},
	{`,"partitionkey":"`, func(w *wire) *string { return &w.PartitionKey }, false},
	{`,"traceparent":"`, func(w *wire) *string { return &w.TraceParent }, false},
	{`,"cause":"`, func(w *wire) *string { return &w.Cause }, false},
	{`,"root":"`, func(w *wire) *string { return &w.Root }, false},
}

const dataName = `,"data":`

// plain writes the envelope; false when it needs escapes or its data is not
// compact JSON of ASCII.
func (w *wire) plain() ([]byte, bool) {
	b := make([]byte, 0, 512+len(w.Data))
	for _, f := range fields {
		s := *f.text(w)
		if s == "" && !f.required {
			continue
		}
		b = append(b, f.name...)
		for i := 0; i < len(s); i++ {
			if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
				return nil, false
			}
		}
		b = append(b, s...)
		b = append(b, '"')
	}
	if len(w.Data) > 0 {
		if !compact(w.Data) || !json.Valid(w.Data) {
			return nil, false
		}
		b = append(b, dataName...)
		b = append(b, w.Data...)
	}
	return append(b, '}'), true
}

// compact says that data has no space outside of texts and nothing that
// json.Marshal would write otherwise.
func compact(data []byte) bool {
	text := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			text = !text
		case c == '\\':
			i++ // whether the escape is one is json.Valid's matter
		case c < ' ' || c > '~' || c == '<' || c == '>' || c == '&' || c == ' ' && !text:
			return false
		}
	}
	return true
}

// readPlain reads the envelope; false when it is in another form. It keeps
// nothing of b.
func readPlain(b []byte) (w wire, ok bool) {
	s := string(b)
	for i := range fields {
		f := &fields[i]
		rest, has := strings.CutPrefix(s, f.name)
		if !has {
			if f.required {
				return w, false
			}
			continue
		}
		end := 0
		for ; end < len(rest) && rest[end] != '"'; end++ {
			if c := rest[end]; c < ' ' || c > '~' || c == '\\' {
				return w, false
			}
		}
		if end == len(rest) {
			return w, false
		}
		*f.text(&w) = rest[:end]
		s = rest[end+1:]
	}
	if data, has := strings.CutPrefix(s, dataName); has && strings.HasPrefix(data, "{") && strings.HasSuffix(data, "}}") {
		at := len(b) - len(data)
		w.Data = bytes.Clone(b[at : len(b)-1])
		s = "}"
		if !json.Valid(w.Data) {
			return w, false
		}
	}
	return w, s == "}"
}
