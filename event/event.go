package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Type is the name of an event type, stable forever.
type Type string

// Micros is a point in time: microseconds since 1970, UTC. It is the only form
// of time that is stored or sent.
type Micros = int64

// Event is one CloudEvents 1.0 event in structured JSON mode. Time is the stamp
// of the server that accepted it, never a foreign clock.
type Event struct {
	ID          string          // unique forever; equal ids are the same event
	Source      string          // the context that emitted it, as /rapport/<context>
	Type        Type            // one of the registry
	Subject     string          // the key: agent, room or person id
	Time        Micros          //
	Version     int             // schema version, the vN of dataschema
	TraceParent string          // W3C trace context, may be empty
	Cause       string          // id of the event that led here, may be empty
	Root        string          // id of the first event of the chain, may be empty
	Data        json.RawMessage // the payload, see As
}

// Payload is the typed data of an event.
type Payload interface {
	EventType() Type
	Key() string // the subject and partition key
}

// Errors of decoding; both mean that the event can never be handled.
var (
	ErrUnknownType = errors.New("unknown event type")
	ErrMalformed   = errors.New("malformed event")
)

const schemaBase = "urn:rapport:schema:"

// New makes an event at time at. Give it an id of its own, or a derived one:
//
//	event.New("feedback", id, now, event.FeedbackCreated{…}).CausedBy(parent)
//
// It panics when the payload's type is not registered or cannot be written as
// JSON: both are mistakes of the programmer.
func New(context, id string, at Micros, p Payload) Event {
	data, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("payload of %s: %v", p.EventType(), err))
	}
	return Written(context, id, at, p, data)
}

// Written is New for a payload that was written already: data is what json.Marshal
// makes of p.
func Written(context, id string, at Micros, p Payload, data []byte) Event {
	reg, ok := registry[p.EventType()]
	if !ok {
		panic("event type not registered: " + string(p.EventType()))
	}
	return Event{ID: id, Source: "/rapport/" + context, Type: p.EventType(), Subject: p.Key(), Time: at, Version: reg.Version, Root: id, Data: data}
}

// CausedBy says which event led to this one and carries on its chain and trace.
func (e Event) CausedBy(parent Event) Event {
	e.Cause, e.Root, e.TraceParent = parent.ID, parent.Root, parent.TraceParent
	if e.Root == "" {
		e.Root = parent.ID
	}
	return e
}

// As reads the payload of an event. ErrMalformed when it is not a T.
func As[T Payload](e Event) (T, error) {
	var p T
	if e.Type != p.EventType() {
		return p, fmt.Errorf("%w: %s read as %s", ErrMalformed, e.Type, p.EventType())
	}
	if h, ok := any(&p).(hot); ok {
		if h.readHot(e.Data) {
			return p, nil
		}
		p = *new(T)
	}
	if err := json.Unmarshal(e.Data, &p); err != nil {
		return p, fmt.Errorf("%w: %s %s: %v", ErrMalformed, e.Type, e.ID, err)
	}
	return p, nil
}

// Topic is where events of this type lie on the log; empty when unknown.
func (e Event) Topic() string { return registry[e.Type].Topic }

// At is the event's time.
func (e Event) At() time.Time { return time.UnixMicro(e.Time).UTC() }

// wire is the CloudEvents JSON form.
type wire struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            Type            `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time,omitempty"`
	DataSchema      string          `json:"dataschema,omitempty"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	PartitionKey    string          `json:"partitionkey,omitempty"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Cause           string          `json:"cause,omitempty"`
	Root            string          `json:"root,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

const timeLayout = "2006-01-02T15:04:05.000000Z"

// MarshalJSON writes the CloudEvents 1.0 structured form.
func (e Event) MarshalJSON() ([]byte, error) {
	w := wire{
		SpecVersion: "1.0", ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		Time:            time.UnixMicro(e.Time).UTC().Format(timeLayout),
		DataSchema:      schemaBase + string(e.Type) + ":v" + strconv.Itoa(e.Version),
		DataContentType: "application/json", PartitionKey: e.Subject,
		TraceParent: e.TraceParent, Cause: e.Cause, Root: e.Root, Data: e.Data,
	}
	if b, ok := w.plain(); ok {
		return b, nil
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the CloudEvents 1.0 structured form. ErrMalformed when
// it is not one. It does not ask whether the type is known: see Check.
func (e *Event) UnmarshalJSON(b []byte) error {
	w, ok := readPlain(b)
	if !ok {
		w = wire{}
		if err := json.Unmarshal(b, &w); err != nil {
			return fmt.Errorf("%w: %v", ErrMalformed, err)
		}
	}
	if w.SpecVersion != "1.0" {
		return fmt.Errorf("%w: specversion %q, want 1.0", ErrMalformed, w.SpecVersion)
	}
	if w.ID == "" || w.Source == "" || w.Type == "" {
		return fmt.Errorf("%w: id, source and type must not be empty", ErrMalformed)
	}
	*e = Event{ID: w.ID, Source: w.Source, Type: w.Type, Subject: w.Subject, Version: 1,
		TraceParent: w.TraceParent, Cause: w.Cause, Root: w.Root, Data: w.Data}
	if w.Time != "" {
		t, err := time.Parse(time.RFC3339Nano, w.Time)
		if err != nil {
			return fmt.Errorf("%w: time: %v", ErrMalformed, err)
		}
		if y := t.UTC().Year(); y < 0 || y > 9999 {
			return fmt.Errorf("%w: time: year %d", ErrMalformed, y)
		}
		e.Time = t.UnixMicro()
	}
	if ours, ok := strings.CutPrefix(w.DataSchema, schemaBase); ok {
		n, ok := strings.CutPrefix(ours, string(w.Type)+":v")
		v, err := strconv.ParseUint(n, 10, 31)
		if !ok || err != nil {
			return fmt.Errorf("%w: dataschema %q of a %q", ErrMalformed, w.DataSchema, w.Type)
		}
		e.Version = int(v)
	}
	return nil
}

// Check says whether the event's type and version are known.
func (e Event) Check() error {
	reg, ok := registry[e.Type]
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknownType, e.Type)
	}
	if e.Version < 1 || e.Version > reg.Version {
		return fmt.Errorf("%w: %q version %d, this program knows up to %d", ErrUnknownType, e.Type, e.Version, reg.Version)
	}
	return nil
}
