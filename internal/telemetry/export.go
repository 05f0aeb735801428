package telemetry

import (
	"context"
	"encoding/binary"
	"math"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// exporter is OpenTelemetry's, but that spans as ours are (plain attributes, no
// events, no links) are written as they go over the line at once, instead of being
// made a tree of messages first. There are two for each reply. The first of a
// batch goes the usual way, and the rest beside it in the same message.
type exporter struct{ *otlptrace.Exporter }

func newExporter(ctx context.Context, to otlptrace.Client) (exporter, error) {
	usual, err := otlptrace.New(ctx, client{to})
	return exporter{usual}, err
}

// ExportSpans sends a batch.
func (e exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) > 1 {
		if rest, ok := written(spans); ok {
			ctx, spans = context.WithValue(ctx, restKey{}, rest), spans[:1]
		}
	}
	return e.Exporter.ExportSpans(ctx, spans)
}

// client adds the rest of a batch to what its first span became.
type client struct{ otlptrace.Client }

type restKey struct{}

func (c client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	if rest, ok := ctx.Value(restKey{}).([]byte); ok {
		spans[0].ScopeSpans[0].ProtoReflect().SetUnknown(rest)
	}
	return c.Client.UploadTraces(ctx, spans)
}

// written are all spans but the first as further fields of ScopeSpans
// (opentelemetry-proto 1, trace.proto); false when one is of another kind.
func written(spans []sdktrace.ReadOnlySpan) (b []byte, ok bool) {
	first := spans[0]
	b, ok = make([]byte, 0, 700*len(spans)), true
	for _, s := range spans[1:] {
		if len(s.Events()) > 0 || len(s.Links()) > 0 || s.DroppedEvents()+s.DroppedLinks()+s.DroppedAttributes() > 0 || s.SpanContext().TraceState().Len() > 0 ||
			!utf8.ValidString(s.Name()) || s.InstrumentationScope() != first.InstrumentationScope() || s.Resource() != first.Resource() {
			return nil, false
		}
		b = message(b, 2, func(b []byte) []byte {
			b, ok = appendSpan(b, s, ok)
			return b
		})
	}
	return b, ok
}

func appendSpan(b []byte, s sdktrace.ReadOnlySpan, ok bool) ([]byte, bool) {
	c, parent, status := s.SpanContext(), s.Parent(), s.Status()
	trace, id := c.TraceID(), c.SpanID()
	b = append(append(b, 1<<3|2, byte(len(trace))), trace[:]...)
	b = append(append(b, 2<<3|2, byte(len(id))), id[:]...)
	if id := parent.SpanID(); id.IsValid() {
		b = append(append(b, 4<<3|2, byte(len(id))), id[:]...)
	}
	b = text(b, 5, s.Name())
	b = append(b, 6<<3, byte(max(1, s.SpanKind()))) // numbered alike
	b = binary.LittleEndian.AppendUint64(append(b, 7<<3|1), uint64(s.StartTime().UnixNano()))
	b = binary.LittleEndian.AppendUint64(append(b, 8<<3|1), uint64(s.EndTime().UnixNano()))
	for _, a := range s.Attributes() {
		b = message(b, 9, func(b []byte) []byte {
			b = text(b, 1, string(a.Key))
			return message(b, 2, func(b []byte) []byte {
				var its bool
				b, its = appendValue(b, a.Value)
				ok = ok && its
				return b
			})
		})
	}
	b = message(b, 15, func(b []byte) []byte {
		if status.Description != "" {
			ok = ok && utf8.ValidString(status.Description)
			b = text(b, 2, status.Description)
		}
		switch status.Code {
		case codes.Ok:
			b = append(b, 3<<3, 1)
		case codes.Error:
			b = append(b, 3<<3, 2)
		}
		return b
	})
	flags := uint32(c.TraceFlags()) | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if parent.IsRemote() {
		flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return binary.LittleEndian.AppendUint32(append(b, 16<<3&0x7f|5|0x80, 16>>4), flags), ok
}

// appendValue appends an AnyValue (common.proto).
func appendValue(b []byte, v attribute.Value) ([]byte, bool) {
	switch v.Type() {
	case attribute.STRING:
		s := v.AsString()
		return text(b, 1, s), utf8.ValidString(s)
	case attribute.BOOL:
		if v.AsBool() {
			return append(b, 2<<3, 1), true
		}
		return append(b, 2<<3, 0), true
	case attribute.INT64:
		return binary.AppendUvarint(append(b, 3<<3), uint64(v.AsInt64())), true
	case attribute.FLOAT64:
		return binary.LittleEndian.AppendUint64(append(b, 4<<3|1), math.Float64bits(v.AsFloat64())), true
	case attribute.STRINGSLICE:
		ok := true
		b = message(b, 5, func(b []byte) []byte {
			for _, s := range v.AsStringSlice() {
				ok = ok && utf8.ValidString(s)
				b = message(b, 1, func(b []byte) []byte { return text(b, 1, s) })
			}
			return b
		})
		return b, ok
	}
	return b, false
}

// text appends a field of text.
func text(b []byte, field byte, s string) []byte {
	return append(binary.AppendUvarint(append(b, field<<3|2), uint64(len(s))), s...)
}

// message appends a field that is a message, its length before it.
func message(b []byte, field byte, body func([]byte) []byte) []byte {
	b = append(b, field<<3|2, 0)
	begin := len(b)
	b = body(b)
	n := len(b) - begin
	var size [binary.MaxVarintLen64]byte
	more := binary.PutUvarint(size[:], uint64(n)) - 1 // bytes beyond the one that is there
	b = append(b, size[:more]...)
	copy(b[begin+more:], b[begin:begin+n])
	copy(b[begin-1:], size[:more+1])
	return b
}
