// Package watch says how replies come about to those who look after the program:
// as numbers for Prometheus, and as spans and events by OpenTelemetry's conventions
// for generative AI (semantic conventions 1.41.0, in development).
//
// Owns: Watch, the names of the metrics, the attributes of the spans.
//
// Invariants: nothing here holds a word that anybody said or wrote about an agent,
// nor who a person is. Every label has finitely many values, whatever people name
// their models. A nil *Watch, and one without tracer, sees nothing and costs
// nothing.
//
// Start reading at Watch.Reply, then Watch.Call.
package watch

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// Options are what a Watch tells.
type Options struct {
	Metrics prometheus.Registerer // nil for none
	Tracer  trace.Tracer          // nil for none
	Logger  log.Logger            // nil for none
	Known   []compile.Model       // models that the platform is configured with: others are counted as "other"
}

// Watch is told how replies come about. Its methods may be called from many
// goroutines; nil is nobody watching.
type Watch struct {
	o       Options
	known   map[[2]string]bool // provider and model
	vendors map[string]string  // by provider, as OpenTelemetry names them
	numbers *numbers
}

// New makes a Watch.
func New(o Options) *Watch {
	w := &Watch{o: o, known: map[[2]string]bool{}, vendors: map[string]string{}}
	for _, m := range o.Known {
		w.known[[2]string{m.Provider, m.ID}] = true
		w.vendors[m.Provider] = vendor(m)
	}
	if o.Metrics != nil {
		w.numbers = newNumbers(o.Metrics)
	}
	return w
}

// vendor is a provider's well-known name, where there is one.
func vendor(m compile.Model) string {
	switch m.Vendor {
	case compile.VendorOpenAI:
		return semconv.GenAIProviderNameOpenAI.Value.AsString()
	case compile.VendorAnthropic:
		return semconv.GenAIProviderNameAnthropic.Value.AsString()
	case compile.VendorGemini:
		return semconv.GenAIProviderNameGCPGemini.Value.AsString()
	case compile.VendorCompatible:
		return m.Provider
	}
	return m.Vendor
}

// other stands for all names that the platform did not choose.
const other = "other"

// labels are a request's provider and model as labels.
func (w *Watch) labels(r provider.Request) (vendor, model string) {
	vendor, model = w.vendors[r.Provider], r.Model
	if vendor == "" {
		vendor = other
	}
	if !w.known[[2]string{r.Provider, r.Model}] {
		model = other
	}
	return vendor, model
}

// Reply is one reply on its way, or one silence; nil is one that nobody watches.
type Reply struct {
	w     *Watch
	span  trace.Span // nil when nobody traces
	attrs []attribute.KeyValue
}

// Reply begins one; End must be called on it. header may carry the caller's trace
// (W3C traceparent), and may be nil. Calls of models that are made with the context
// that it gives are parts of it.
func (w *Watch) Reply(ctx context.Context, header http.Header) (context.Context, *Reply) {
	switch {
	case w == nil:
		return ctx, nil
	case w.o.Tracer == nil:
		return ctx, &Reply{w: w}
	}
	if header.Get("traceparent") != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
	}
	ctx, span := w.o.Tracer.Start(ctx, "invoke_agent", trace.WithAttributes(semconv.GenAIOperationNameInvokeAgent))
	return ctx, &Reply{w: w, span: span, attrs: make([]attribute.KeyValue, 0, 9)}
}

// Decided says what was decided, and gives the reply back.
func (r *Reply) Decided(d event.ReplyGenerated) *Reply {
	action := "reply"
	if d.Action != "" {
		action = "silence"
	}
	if r == nil {
		return nil
	}
	if n := r.w.numbers; n != nil {
		for _, reason := range d.Reasons {
			n.decisions.WithLabelValues(action, reason).Inc()
		}
	}
	if r.span == nil {
		return r
	}
	r.attrs = append(r.attrs,
		semconv.GenAIAgentID(string(d.AgentID)), semconv.GenAIAgentVersion(strconv.FormatInt(d.PolicyVersion, 10)),
		semconv.GenAIConversationID(string(d.SessionID)), semconv.GenAIResponseID(string(d.DecisionID)),
		semconv.GenAIPromptName("mapping-rules/"+strconv.FormatInt(d.RulesVersion, 10)),
		attribute.String("rapport.decision.action", action), attribute.StringSlice("rapport.decision.reasons", d.Reasons),
	)
	return r
}

// Ended says how a reply went: code is empty for well.
func (r *Reply) Ended(code, finish string) {
	if r == nil {
		return
	}
	outcome := code
	if outcome == "" {
		outcome = "ok"
	}
	if n := r.w.numbers; n != nil {
		n.replies.WithLabelValues(outcome).Inc()
	}
	if r.span == nil {
		return
	}
	if finish != "" {
		r.attrs = append(r.attrs, semconv.GenAIResponseFinishReasons(finish))
	}
	if code != "" {
		r.span.SetStatus(codes.Error, code)
		r.attrs = append(r.attrs, semconv.ErrorTypeKey.String(code))
	}
}

// End closes it.
func (r *Reply) End() {
	if r != nil && r.span != nil {
		r.span.SetAttributes(r.attrs...)
		r.span.End()
	}
}

// Rates says whether somebody wants to know of feedback.
func (w *Watch) Rates() bool { return w != nil && w.o.Logger != nil }

// Rated says that somebody gave feedback on a decision: what they said of it as a
// number, not in words, and not who. What the server derives from behaviour is not
// said, nor feedback of somebody who is protected.
func (w *Watch) Rated(f event.FeedbackCreated, at event.Micros) {
	if !w.Rates() || f.DecisionID == "" || f.Imported || f.Protected || f.Channel == event.ChannelBehaviour {
		return
	}
	var r log.Record
	r.SetEventName("gen_ai.evaluation.result")
	r.SetTimestamp(time.UnixMicro(at))
	r.SetSeverity(log.SeverityInfo)
	r.AddAttributes(semconv.GenAIEvaluationName(f.Channel), semconv.GenAIResponseID(string(f.DecisionID)), semconv.GenAIAgentID(string(f.AgentID)))
	if f.Direction == nil { // a direction is no score
		r.AddAttributes(semconv.GenAIEvaluationScoreValue(f.Score))
	}
	if label := label(f); label != "" {
		r.AddAttributes(semconv.GenAIEvaluationScoreLabel(label))
	}
	w.o.Logger.Emit(context.Background(), r)
}

// label is what was said, in a word of ours.
func label(f event.FeedbackCreated) string {
	switch {
	case f.Direction != nil && f.Direction.Sign > 0:
		return "more " + f.Direction.Trait
	case f.Direction != nil:
		return "less " + f.Direction.Trait
	case f.Level != "":
		return f.Level
	case f.Channel == event.ChannelThumb && f.Score > 0:
		return "up"
	case f.Channel == event.ChannelThumb:
		return "down"
	}
	return ""
}
