package kafka_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/kafka/kafkatest"
)

// Records in every form that CloudEvents has on Kafka come out as records whose
// value is the whole event.
func TestForms(t *testing.T) {
	t.Parallel()
	h := func(pairs ...string) (out []kgo.RecordHeader) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, kgo.RecordHeader{Key: pairs[i], Value: []byte(pairs[i+1])})
		}
		return out
	}
	event := `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"id":"not this"}}`
	binary := []string{"ce_specversion", "1.0", "ce_id", "1", "ce_source", "/s", "ce_type", "t"}
	type form struct {
		headers []kgo.RecordHeader
		value   []byte
		id, typ string
		want    string // JSON, or the value as it is
	}
	forms := map[string]form{
		"structured":                     {h("content-type", "application/cloudevents+json; charset=UTF-8"), []byte(event), "1", "t", event},
		"structured with headers":        {h("content-type", "application/cloudevents+json", "ce_id", "1/replay/g/1", "ce_type", "t"), []byte(event), "1/replay/g/1", "t", event},
		"structured, unsaid":             {nil, []byte(event), "1", "t", event},
		"binary":                         {h(append(binary, "content-type", "application/json")...), []byte(` {"a": 1} `), "1", "t", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":{"a":1}}`},
		"binary, another JSON":           {h(append(binary, "content-type", "application/x+json; v=1")...), []byte(`[1]`), "1", "t", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/x+json; v=1","data":[1]}`},
		"binary, type unsaid":            {h(append(binary, "ce_subject", "ü")...), []byte(`{}`), "1", "t", `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"ü","data":{}}`},
		"binary, value like an event":    {h(append(binary, "content-type", "application/json")...), []byte(event), "1", "t", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":` + event + `}`},
		"binary, no JSON":                {h(append(binary, "content-type", "text/plain")...), []byte("hi"), "1", "t", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data_base64":"aGk="}`},
		"binary, JSON that is none":      {h(append(binary, "content-type", "application/json")...), []byte("{"), "1", "t", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data_base64":"ew=="}`},
		"binary, nothing in it":          {h(binary...), nil, "1", "t", `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`},
		"no event":                       {nil, []byte("hello"), "", "", "hello"},
		"no event, but a JSON of others": {h("content-type", "application/json"), []byte(`{"a":1}`), "", "", `{"a":1}`},
	}
	c := kafkatest.New(t)
	l := open(t, c.Options())
	if _, err := l.Partitions(t.Context(), "agents"); err != nil { // makes the topic
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("test.agents"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for name, f := range forms {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Key: []byte(name), Headers: f.headers, Value: f.value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, rec := range take(t, read(t, l, "g", fromStart), len(forms)) {
		f := forms[rec.Key]
		if rec.ID != f.id || rec.Type != f.typ {
			t.Errorf("%s: id %q and type %q", rec.Key, rec.ID, rec.Type)
		}
		if diff := cmp.Diff(value(f.want), value(string(rec.Value))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rec.Key, diff)
		}
	}
}

// What we append is an event to other readers too.
func TestOurForm(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t)
	l := open(t, c.Options())
	put(t, l, eventlog.Record{Topic: "agents", Key: "luna", ID: "1/replay/g/1", Type: "t", Value: []byte(`{"id":"1"}`)})
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("test.agents"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	records := cl.PollRecords(soon(t), 1).Records()
	if len(records) != 1 {
		t.Fatal(records)
	}
	got := map[string]string{"key": string(records[0].Key), "value": string(records[0].Value)}
	for _, h := range records[0].Headers {
		got[h.Key] = string(h.Value)
	}
	want := map[string]string{"key": "luna", "value": `{"id":"1"}`, "ce_id": "1/replay/g/1", "ce_type": "t", "content-type": "application/cloudevents+json; charset=UTF-8"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// value is a JSON value, or the text where it is none.
func value(s string) (v any) {
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	return v
}
