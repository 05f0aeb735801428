package kafka

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"rapport/internal/eventlog"
)

// Headers of a record. What we append is a CloudEvent in structured mode (the
// value is the whole event) that also says its id and type in headers, as binary
// mode does, so that a reader need not decode the value.
//
// CloudEvents 1.0.2, Kafka protocol binding, sections 3.2 and 3.3.
const (
	headerContent = "content-type"
	headerMark    = "ce_"
	headerID      = headerMark + "id"
	headerType    = headerMark + "type"
	structured    = "application/cloudevents"
)

var contentType = []byte("application/cloudevents+json; charset=UTF-8")

// encode gives a record its form on Kafka. The key is never absent: records
// without one are together.
func (l *Log) encode(r *eventlog.Record) *kgo.Record {
	return &kgo.Record{
		Topic: l.name(r.Topic),
		Key:   []byte(r.Key),
		Value: r.Value,
		Headers: []kgo.RecordHeader{
			{Key: headerID, Value: []byte(r.ID)},
			{Key: headerType, Value: []byte(r.Type)},
			{Key: headerContent, Value: contentType},
		},
	}
}

// decode reads a record, from whoever it is. One that is no CloudEvent, and the
// mark of a transaction's end, come out with their position and without id and
// type, so that every reader passes over them.
func (l *Log) decode(k *kgo.Record) eventlog.Record {
	r := eventlog.Record{
		Topic:     strings.TrimPrefix(k.Topic, l.o.Prefix),
		Partition: int(k.Partition),
		Position:  eventlog.Position(k.Offset) + 1,
	}
	if k.Attrs.IsControl() {
		return r
	}
	r.Key, r.Value = string(k.Key), k.Value
	content, binary := "", false
	for i := range k.Headers {
		switch h := &k.Headers[i]; h.Key {
		case headerID:
			r.ID = string(h.Value)
		case headerType:
			r.Type = string(h.Value)
		case headerContent:
			content = string(h.Value)
		case "ce_specversion":
			binary = true
		}
	}
	if strings.HasPrefix(content, structured) || !binary {
		if r.ID == "" {
			var e struct{ ID, Type string }
			if json.Unmarshal(k.Value, &e) == nil {
				r.ID, r.Type = e.ID, e.Type
			}
		}
		return r
	}
	r.Value = whole(k, content)
	return r
}

// whole is the structured form of a record in binary mode: its headers are the
// event's attributes, its value the data.
func whole(k *kgo.Record, content string) []byte {
	e := map[string]any{}
	for _, h := range k.Headers {
		if name, is := strings.CutPrefix(h.Key, headerMark); is {
			e[name] = string(h.Value)
		}
	}
	if content != "" {
		e["datacontenttype"] = content
	}
	switch {
	case k.Value == nil:
	case isJSON(content) && json.Valid(k.Value):
		e["data"] = json.RawMessage(bytes.TrimSpace(k.Value))
	default:
		e["data_base64"] = base64.StdEncoding.EncodeToString(k.Value)
	}
	b, err := json.Marshal(e)
	if err != nil {
		return k.Value // cannot be: names are strings, values are strings or JSON
	}
	return b
}

// isJSON says whether a content type is JSON; without one it is.
func isJSON(content string) bool {
	if content == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(content)
	return err == nil && (strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json"))
}
