package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
)

// TestEnvelope: every event is a CloudEvents 1.0 event in structured JSON mode:
// the four required attributes, the optional ones in their forms, extension
// names of lower-case letters and digits.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	const at = 1767225600000001
	root := event.New("chat", "e1", at, event.MessageDeleted{RoomID: "r1", MessageID: "m1"})
	root.TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	mid := event.New("feedback", "e2", at, event.FeedbackRetracted{FeedbackID: "f1", AgentID: "a1", RaterID: "p1", Reason: "withdrawn"}).CausedBy(root)
	leaf := event.New("learning", "e3", at, event.UpdateRefused{AgentID: "a1", Gate: "pace"}).CausedBy(mid)

	raw, err := json.Marshal(leaf)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"specversion": "1.0", "id": "e3", "source": "/rapport/learning", "type": "rl.agent.update.refused",
		"subject": "a1", "partitionkey": "a1", "time": "2026-01-01T00:00:00.000001Z",
		"dataschema": "urn:rapport:schema:rl.agent.update.refused:v1", "datacontenttype": "application/json",
		"traceparent": root.TraceParent, "cause": "e2", "root": "e1",
		"data": map[string]any{"agentId": "a1", "gate": "pace", "reason": ""},
	}
	if diff := cmp.Diff(want, tree(t, raw)); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
	if strings.ContainsFunc(strings.Join(keys(tree(t, raw)), ""), func(r rune) bool { return r < 'a' || r > 'z' }) {
		t.Errorf("attribute names %v", keys(tree(t, raw)))
	}
	if got := decode(t, raw); !reflect.DeepEqual(got, leaf) {
		t.Errorf("read back:\n%s", cmp.Diff(leaf, got))
	}
	if got := leaf.At(); !got.Equal(time.UnixMicro(at)) || got.Location() != time.UTC {
		t.Errorf("At = %v", got)
	}
	plain, err := json.Marshal(event.New("chat", "e4", at, event.RoomLeft{RoomID: "r1"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, empty := range []string{"traceparent", "cause"} {
		if _, there := tree(t, plain)[empty]; there {
			t.Errorf("an empty %s is written", empty)
		}
	}
}

func keys(m map[string]any) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// TestForeignTimes: any RFC 3339 time is read, to the microsecond, in UTC.
func TestForeignTimes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"1970-01-01T00:00:00Z":                0,
		"1970-01-01T01:00:00+01:00":           0,
		"1970-01-01T00:00:00.000001Z":         1,
		"1970-01-01T00:00:00.0000019Z":        1,
		"1969-12-31T23:59:59.999999Z":         -1,
		"2026-01-01T00:00:00.5-00:30":         1767227400500000,
		"2026-01-01T00:00:00.123456789+00:00": 1767225600123456,
	} {
		e := decode(t, []byte(`{"specversion":"1.0","id":"i","source":"s","type":"t","time":"`+in+`"}`))
		if e.Time != want {
			t.Errorf("%s read as %d, want %d", in, e.Time, want)
		}
	}
}

// TestMalformed: what is no CloudEvents 1.0 event of ours is refused as
// malformed, so that it is set aside and never retried.
func TestMalformed(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"no JSON":            `{"specversion"`,
		"a list":             `[]`,
		"another spec":       `{"specversion":"0.3","id":"i","source":"s","type":"t"}`,
		"no spec":            `{"id":"i","source":"s","type":"t"}`,
		"no id":              `{"specversion":"1.0","source":"s","type":"t"}`,
		"no source":          `{"specversion":"1.0","id":"i","type":"t"}`,
		"no type":            `{"specversion":"1.0","id":"i","source":"s"}`,
		"empty id":           `{"specversion":"1.0","id":"","source":"s","type":"t"}`,
		"an id of a number":  `{"specversion":"1.0","id":7,"source":"s","type":"t"}`,
		"a time of a number": `{"specversion":"1.0","id":"i","source":"s","type":"t","time":7}`,
		"no such time":       `{"specversion":"1.0","id":"i","source":"s","type":"t","time":"yesterday"}`,
		"schema, no version": `{"specversion":"1.0","id":"i","source":"s","type":"agent.invited","dataschema":"urn:rapport:schema:agent.invited"}`,
		"before year 0":      `{"specversion":"1.0","id":"i","source":"s","type":"t","time":"0000-01-01T00:00:00+23:59"}`,
		"after year 9999":    `{"specversion":"1.0","id":"i","source":"s","type":"t","time":"9999-12-31T23:59:59-23:59"}`,
		"another's schema":   `{"specversion":"1.0","id":"i","source":"s","type":"agent.invited","dataschema":"urn:rapport:schema:agent.retired:v1"}`,
		"negative version":   `{"specversion":"1.0","id":"i","source":"s","type":"agent.invited","dataschema":"urn:rapport:schema:agent.invited:v-1"}`,
		"more than version":  `{"specversion":"1.0","id":"i","source":"s","type":"agent.invited","dataschema":"urn:rapport:schema:agent.invited:v1x"}`,
		"schema, not number": `{"specversion":"1.0","id":"i","source":"s","type":"agent.invited","dataschema":"urn:rapport:schema:agent.invited:vx"}`,
	} {
		var e event.Event
		if err := e.UnmarshalJSON([]byte(raw)); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
		if err := json.Unmarshal([]byte(raw), &e); err == nil {
			t.Errorf("%s: json.Unmarshal accepts it", name)
		}
	}
}

// TestUnknown: a type or version this program does not know is refused by Check
// alone, so that it can still be stored and shown.
func TestUnknown(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		typ    event.Type
		schema string
		ok     bool
	}{
		{"agent.retired", "urn:rapport:schema:agent.retired:v1", true},
		{"agent.retired", "", true}, // a foreign sender need not say
		{"agent.retired", "https://example.org/schema/7", true},
		{"agent.retired", "urn:rapport:schema:agent.retired:v2", false},
		{"agent.retired", "urn:rapport:schema:agent.retired:v0", false},
		{"agent.praised", "urn:rapport:schema:agent.praised:v1", false},
		{"", "", false},
	} {
		e := event.Event{ID: "i", Source: "s", Type: tc.typ, Version: 1}
		if tc.typ != "" {
			raw, err := json.Marshal(map[string]string{"specversion": "1.0", "id": "i", "source": "s", "type": string(tc.typ), "dataschema": tc.schema})
			if err != nil {
				t.Fatal(err)
			}
			e = decode(t, raw)
		}
		if err := e.Check(); tc.ok && err != nil || !tc.ok && !errors.Is(err, event.ErrUnknownType) {
			t.Errorf("%s %s: %v", tc.typ, tc.schema, err)
		}
	}
	if got := (event.Event{Type: "agent.praised"}).Topic(); got != "" {
		t.Errorf("topic of an unknown type = %q", got)
	}
}

// TestAs: a payload is read as its own type only.
func TestAs(t *testing.T) {
	t.Parallel()
	want := event.AgentTransferred{AgentID: "a1", From: "p1", To: "p2"}
	e := event.New("agent", "e1", 1, want)
	if got, err := event.As[event.AgentTransferred](e); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := event.As[event.AgentRetired](e); !errors.Is(err, event.ErrMalformed) {
		t.Errorf("another type: %v", err)
	}
	for _, data := range []string{``, `7`, `{"agentId":7}`, `{"agentId"`} {
		e.Data = json.RawMessage(data)
		if _, err := event.As[event.AgentTransferred](e); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("data %q: %v", data, err)
		}
	}
}

// unwritable is registered nowhere; NaN cannot be JSON.
type unwritable struct{ X float64 }

func (unwritable) EventType() event.Type { return "never.registered" }
func (unwritable) Key() string           { return "k" }

// TestNewRefusesMistakes: what only a programmer can get wrong panics at once.
func TestNewRefusesMistakes(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]event.Payload{
		"not registered": unwritable{},
		"not a number":   event.UpdateRefused{AgentID: "a", Values: []float64{math.NaN()}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			event.New("learning", "e1", 1, p)
		}()
	}
}

// TestRegistry: types are unique and sorted, lie on a known topic and say what
// they are.
func TestRegistry(t *testing.T) {
	t.Parallel()
	topics := map[string]bool{}
	for _, topic := range event.Topics() {
		topics[topic] = true
	}
	all := event.Registered()
	for i, reg := range all {
		if i > 0 && all[i-1].Type >= reg.Type {
			t.Errorf("%s before %s", all[i-1].Type, reg.Type)
		}
		if !topics[reg.Topic] || reg.Says == "" || reg.Emitter == "" || reg.Version < 1 {
			t.Errorf("%+v", reg)
		}
		if got, ok := event.Lookup(reg.Type); !ok || got != reg {
			t.Errorf("Lookup(%s) = %+v", reg.Type, got)
		}
		if reg.Payload.NumMethod() < 2 || strings.ToLower(string(reg.Type)) != string(reg.Type) {
			t.Errorf("%s of %s", reg.Type, reg.Payload)
		}
	}
	if _, ok := event.Lookup("agent.praised"); ok {
		t.Error("an unknown type is found")
	}
}

// FuzzEvent: nothing panics; what is read can be written and is read again as
// the same event; everything else is malformed.
func FuzzEvent(f *testing.F) {
	for _, reg := range event.Registered() {
		for _, raw := range samples(f, reg.Type) {
			var b bytes.Buffer
			if err := json.Compact(&b, raw); err != nil {
				f.Fatal(err)
			}
			f.Add(b.Bytes())
		}
	}
	f.Add([]byte(`{"specversion":"1.0","id":"i","source":"s","type":"t","time":"0000-01-01T00:00:00+23:59"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"i","source":"s","type":"t","time":"9999-12-31T23:59:59-23:59"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"\ud800","source":"<s>","type":"t","data":"\u2028 <b>"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"i","source":"s","type":"t","data":null,"Data":[1e400]}`))
	f.Add([]byte(`{"specversion":"1.0","id":"i","source":"s","type":"t","dataschema":"urn:rapport:schema:v9223372036854775808"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e event.Event
		if err := e.UnmarshalJSON(raw); err != nil {
			if !errors.Is(err, event.ErrMalformed) {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		first, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("%q was read and cannot be written: %v", raw, err)
		}
		var again event.Event
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatalf("%q was written as %s, which cannot be read: %v", raw, first, err)
		}
		second, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Fatalf("written %s, then %s", first, second)
		}
		e.Data, again.Data = nil, nil
		if !reflect.DeepEqual(e, again) {
			t.Fatalf("%q came back different:\n%s", raw, cmp.Diff(e, again))
		}
	})
}
