package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// slow reads an envelope by encoding/json alone: a leading space is not the
// plain form.
func slow(b []byte) (e Event, err error) {
	err = e.UnmarshalJSON(append([]byte(" "), b...))
	return e, err
}

func FuzzEnvelope(f *testing.F) {
	const at = 1767225600000001
	e := New("learning", "e1", at, UpdateRefused{AgentID: "a1", Gate: "pace", Reason: "a \\ \"quoted\" <reason> & ünïcode", Values: []float64{1, .5}}).
		CausedBy(Event{ID: "e0", Root: "r", TraceParent: "00-1-2-03"})
	whole, err := json.Marshal(e)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(whole),
		`{"specversion":"1.0","id":"1","source":"s","type":"t"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{}}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1}}}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{} }`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{},"data":{}}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":null}`,
		`{"specversion":"1.0","id":"1\n","source":"s","type":"t","data":[]}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","time":"2026-01-01T00:00:00Z","dataschema":"urn:rapport:schema:t:v1"}`,
		`{"specversion":"1.0","id":"1","source":"s","type":"t","dataschema":"urn:rapport:schema:t:vx"}`,
		`{"specversion":"2.0","id":"","source":"s","type":"t","root":"r"`,
	} {
		f.Add([]byte(seed), "id", "subject", []byte(`{"a":"b c"}`))
	}
	f.Add([]byte(`{}`), "<", "\u2028", []byte(` {"a": "\u003c"}`))
	f.Add([]byte(`{}`), "\x00", "é", []byte(`{"a":"é"}`))
	f.Add([]byte(`{}`), "", "", []byte(`{"a"`))
	agree := func(t *testing.T, b []byte) {
		var got Event
		err := got.UnmarshalJSON(b)
		want, wantErr := slow(b)
		if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("reading %s\n got %+v, %v\nwant %+v, %v", b, got, err, want, wantErr)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, id, subject string, data []byte) {
		agree(t, b)
		for _, w := range []wire{
			{SpecVersion: "1.0", ID: id, Source: "/rapport/x", Type: "t", Subject: subject, Time: subject, PartitionKey: id, Data: data},
			{Cause: id, Root: subject, TraceParent: subject},
		} {
			fast, ok := w.plain()
			if !ok {
				continue
			}
			agree(t, fast)
			slow, err := json.Marshal(w)
			if err != nil || !bytes.Equal(fast, slow) {
				t.Errorf("writing %+v\n got %s\nwant %s, %v", w, fast, slow, err)
			}
		}
	})
}

// What New makes takes the fast way, in both directions.
func TestPlainIsTheCommonForm(t *testing.T) {
	t.Parallel()
	e := New("feedback", "e1", 1767225600000001, FeedbackRetracted{FeedbackID: "f", AgentID: "a", RaterID: "p", Reason: "withdrawn"})
	b, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := readPlain(b); !ok {
		t.Errorf("not plain: %s", b)
	}
}

func BenchmarkEnvelope(b *testing.B) {
	e := New("feedback", DerivedID("x", 1, "c", "t", "s", 0), 1767225600000001, FeedbackRetracted{FeedbackID: "f", AgentID: "a", RaterID: "p", Reason: "withdrawn"})
	raw, _ := e.MarshalJSON()
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.MarshalJSON()
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var e Event
			e.UnmarshalJSON(raw)
		}
	})
	b.Run("read by encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			slow(raw)
		}
	})
}

func FuzzCompact(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5,3e+9,0.1E-1,0],"b":{"c":true,"d":false,"e":null},"f":"\"\\\/\u00e9\n","":{},"g":[]}`,
		``, `{`, `[`, `]`, `"`, `-`, `01`, `1.`, `1e`, `.5`, `+1`, `tru`, `nul`, `{"a"}`, `{"a":}`, `{,}`, `[1,]`, `[,1]`, `{"a":1,}`, `{1:2}`, `[1 ,2]`, ` 1`, `1 `, `"\x"`, `"\u12g4"`, `"é"`, `"<"`, "\"\x00\"",
		`[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		marshalled, err := json.Marshal(json.RawMessage(data))
		same := err == nil && bytes.Equal(marshalled, data)
		if compact(data) && !same {
			t.Errorf("%q is taken as compact", data)
		}
		simple := !bytes.ContainsFunc(data, func(r rune) bool { return r > '~' || r == 0x7f }) && bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) < 32
		if same && simple && !compact(data) {
			t.Errorf("%q is refused", data)
		}
	})
}
