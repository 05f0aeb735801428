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
		for i := range len(s) {
			if !asIs[s[i]] {
				return nil, false
			}
		}
		b = append(b, s...)
		b = append(b, '"')
	}
	if len(w.Data) > 0 {
		if !compact(w.Data) {
			return nil, false
		}
		b = append(b, dataName...)
		b = append(b, w.Data...)
	}
	return append(b, '}'), true
}

// readPlain reads the envelope; false when it is in another form. It keeps
// nothing of b.
func readPlain(b []byte) (w wire, ok bool) {
	head, data, has := bytes.Cut(b, []byte(dataName))
	s := string(head)
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
		for end < len(rest) && asIs[rest[end]] {
			end++
		}
		if end == len(rest) || rest[end] != '"' {
			return w, false
		}
		*f.text(&w) = rest[:end]
		s = rest[end+1:]
	}
	if !has {
		return w, s == "}"
	}
	if s != "" || !bytes.HasPrefix(data, []byte("{")) || !bytes.HasSuffix(data, []byte("}}")) {
		return w, false
	}
	w.Data = bytes.Clone(data[:len(data)-1])
	return w, compact(w.Data) || json.Valid(w.Data)
}
