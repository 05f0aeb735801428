package watch

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// Call is one try of one model.
type Call struct {
	w             *Watch
	vendor, model string
	span          trace.Span // nil when nobody traces
	began         time.Time
	first         time.Duration // until the first piece, 0 for none
}

// clip gives so much of a name as is told: others write it, and one that is no UTF-8
// would make a collector refuse all that comes with it.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 120)], "") }

// Call begins a try; Ended must be called on it. The zero Call is nobody watching.
func (w *Watch) Call(ctx context.Context, r provider.Request) Call {
	if w == nil {
		return Call{}
	}
	c := Call{w: w, began: time.Now()}
	c.vendor, c.model = w.labels(r)
	if w.o.Tracer == nil {
		return c
	}
	model := clip(r.Model)
	attrs := append(make([]attribute.KeyValue, 0, 9), semconv.GenAIOperationNameChat, semconv.GenAIProviderNameKey.String(c.vendor), semconv.GenAIRequestModel(model), semconv.GenAIRequestStream(true))
	if n := r.Params.MaxTokens; n > 0 {
		attrs = append(attrs, semconv.GenAIRequestMaxTokens(n))
	}
	for _, p := range []struct {
		as func(float64) attribute.KeyValue
		n  compile.Number
	}{
		{semconv.GenAIRequestTemperature, r.Params.Temperature}, {semconv.GenAIRequestTopP, r.Params.TopP},
		{semconv.GenAIRequestPresencePenalty, r.Params.PresencePenalty}, {semconv.GenAIRequestFrequencyPenalty, r.Params.FrequencyPenalty},
	} {
		if p.n.Set() {
			attrs = append(attrs, p.as(float64(p.n)))
		}
	}
	_, c.span = w.o.Tracer.Start(ctx, "chat "+model, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	return c
}

// Said notes that a piece of the reply came.
func (c *Call) Said() {
	if c.w != nil && c.first == 0 {
		c.first = max(time.Since(c.began), 1)
	}
}

// Ended says how the try went.
func (c *Call) Ended(res provider.Result, err error) {
	if c.w == nil {
		return
	}
	outcome := outcomeOf(res, err)
	if c.w.numbers != nil {
		c.w.numbers.call(c, res, outcome, time.Since(c.began))
	}
	if c.span == nil {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 8)
	if res.Model != "" {
		attrs = append(attrs, semconv.GenAIResponseModel(clip(res.Model)))
	}
	if res.UpstreamID != "" {
		attrs = append(attrs, semconv.GenAIResponseID(clip(res.UpstreamID)))
	}
	if res.PromptTokens > 0 || res.ReplyTokens > 0 {
		attrs = append(attrs, semconv.GenAIUsageInputTokens(res.PromptTokens), semconv.GenAIUsageOutputTokens(res.ReplyTokens))
	}
	if res.Finish != "" {
		attrs = append(attrs, semconv.GenAIResponseFinishReasons(res.Finish))
	}
	if c.first > 0 {
		attrs = append(attrs, semconv.GenAIResponseTimeToFirstChunk(c.first.Seconds()))
	}
	if len(res.Dropped) > 0 {
		attrs = append(attrs, attribute.StringSlice("rapport.parameters.dropped", res.Dropped))
	}
	if failed(err) {
		c.span.SetStatus(codes.Error, outcome)
		attrs = append(attrs, semconv.ErrorTypeKey.String(outcome))
	}
	c.span.SetAttributes(attrs...)
	c.span.End()
}

// Unasked notes a try that was not made: the model rests, or a budget is spent.
func (w *Watch) Unasked(r provider.Request, err error) {
	if w == nil || w.numbers == nil {
		return
	}
	vendor, model := w.labels(r)
	w.numbers.calls.WithLabelValues(vendor, model, outcomeOf(provider.Result{}, err)).Inc()
}

// Fallback notes that a model failed and another is asked.
func (w *Watch) Fallback(from provider.Request) {
	if w != nil && w.numbers != nil {
		vendor, model := w.labels(from)
		w.numbers.fallbacks.WithLabelValues(vendor, model).Inc()
	}
}

// Judged notes what a moderator said.
func (w *Watch) Judged(stage, outcome string) {
	if w != nil && w.numbers != nil {
		w.numbers.judged.WithLabelValues(stage, outcome).Inc()
	}
}

// The outcomes of a try that are no error of a provider.
const (
	outcomeOK      = "ok"
	outcomeStopped = "stopped" // by who listens: enough was said, or nobody is there any more
)

func outcomeOf(res provider.Result, err error) string {
	switch {
	case failed(err):
		return provider.CodeOf(err)
	case err != nil:
		return outcomeStopped
	case res.Finish == provider.FinishFilter:
		return provider.FinishFilter
	}
	return outcomeOK
}

// failed says whether an error is the model's, not its listener's.
func failed(err error) bool {
	_, its := errors.AsType[*provider.Error](err)
	return its
}
