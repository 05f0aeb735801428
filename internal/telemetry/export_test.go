package telemetry

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

// collector keeps what goes over the line.
type collector struct {
	otlptrace.Client
	plain bool // the last batch had nothing beside it
	got   *tracepb.TracesData
}

func (c *collector) Start(context.Context) error { return nil }
func (c *collector) UploadTraces(_ context.Context, spans []*tracepb.ResourceSpans) error {
	c.plain = len(spans[0].ScopeSpans[0].ProtoReflect().GetUnknown()) == 0
	raw, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	c.got = &tracepb.TracesData{}
	return proto.Unmarshal(raw, c.got)
}

// batch collects spans that ended.
type batch struct{ spans []sdktrace.ReadOnlySpan }

func (b *batch) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (b *batch) OnEnd(s sdktrace.ReadOnlySpan)                   { b.spans = append(b.spans, s) }
func (b *batch) Shutdown(context.Context) error                  { return nil }
func (b *batch) ForceFlush(context.Context) error                { return nil }

// What is exported is what OpenTelemetry's own exporter sends.
func TestSpansAreWrittenAsUsual(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		spans := &batch{}
		res := resource.NewSchemaless(attribute.String("service.name", "rapport"))
		tracer := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSpanProcessor(spans)).Tracer("x", trace.WithInstrumentationVersion("1"))
		texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("é", 9000)}))
		odd := rapid.IntRange(0, 9).Draw(t, "odd")
		for i := range rapid.IntRange(1, 4).Draw(t, "spans") {
			ctx := t.Context()
			if rapid.Bool().Draw(t, "remote") {
				ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled}))
			}
			ctx, outer := tracer.Start(ctx, texts.Draw(t, "name"), trace.WithSpanKind(trace.SpanKind(rapid.IntRange(0, 5).Draw(t, "kind"))))
			_, s := tracer.Start(ctx, "inner")
			s.SetAttributes(attribute.String("s", texts.Draw(t, "s")), attribute.Bool("b", rapid.Bool().Draw(t, "b")), attribute.Int64("i", rapid.Int64().Draw(t, "i")),
				attribute.Float64("f", rapid.Float64().Draw(t, "f")), attribute.StringSlice("l", rapid.SliceOfN(texts, 0, 3).Draw(t, "l")))
			if rapid.Bool().Draw(t, "status") {
				s.SetStatus(rapid.SampledFrom([]codes.Code{codes.Ok, codes.Error}).Draw(t, "code"), texts.Draw(t, "why"))
			}
			if i == 1 {
				switch odd {
				case 0:
					s.AddEvent("happened")
				case 1:
					s.AddLink(trace.Link{SpanContext: outer.SpanContext()})
				case 2:
					s.SetAttributes(attribute.IntSlice("n", []int{1}))
				}
			}
			s.End()
			outer.End()
		}
		ours, usual := &collector{}, &collector{}
		e, err := newExporter(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		u, err := otlptrace.New(t.Context(), usual)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.ExportSpans(t.Context(), spans.spans); err != nil {
			t.Fatal(err)
		}
		if err := u.ExportSpans(t.Context(), spans.spans); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(usual.got, ours.got, protocmp.Transform()); d != "" {
			t.Fatal(d)
		}
		if ours.plain != (odd < 3 && len(spans.spans) > 2) {
			t.Fatalf("the usual way: %v", ours.plain)
		}
	})
}

func BenchmarkExport(b *testing.B) {
	spans := &batch{}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("x")
	for range 512 {
		_, s := tracer.Start(b.Context(), "chat", trace.WithAttributes(attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.provider.name", "x"), attribute.Bool("gen_ai.request.stream", true)))
		s.SetAttributes(attribute.Int("gen_ai.usage.input_tokens", 300), attribute.Int("gen_ai.usage.output_tokens", 12), attribute.StringSlice("gen_ai.response.finish_reasons", []string{"stop"}))
		s.End()
	}
	for name, new := range map[string]func(otlptrace.Client) (sdktrace.SpanExporter, error){
		"ours":  func(c otlptrace.Client) (sdktrace.SpanExporter, error) { return newExporter(b.Context(), c) },
		"usual": func(c otlptrace.Client) (sdktrace.SpanExporter, error) { return otlptrace.New(b.Context(), c) },
	} {
		b.Run(name, func(b *testing.B) {
			e, err := new(&marshaller{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := e.ExportSpans(b.Context(), spans.spans); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans.spans)), "ns/span")
		})
	}
}

// marshaller does what goes before the line.
type marshaller struct{ collector }

func (*marshaller) UploadTraces(_ context.Context, spans []*tracepb.ResourceSpans) error {
	_, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	return err
}
