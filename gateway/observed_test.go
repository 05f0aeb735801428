package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/watch"
	"rapport/policy"
)

// seen is what somebody who looks after the program sees.
type seen struct {
	t        testing.TB
	registry *prometheus.Registry
	spans    *tracetest.InMemoryExporter
	mu       sync.Mutex
	events   []sdklog.Record
}

func (s *seen) Export(_ context.Context, records []sdklog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		s.events = append(s.events, r.Clone())
	}
	return nil
}
func (s *seen) Shutdown(context.Context) error   { return nil }
func (s *seen) ForceFlush(context.Context) error { return nil }

// observed makes a world that somebody watches.
func observed(t testing.TB, change ...func(*Options)) (*world, *seen) {
	s := &seen{t: t, registry: prometheus.NewRegistry(), spans: tracetest.NewInMemoryExporter()}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans)).Tracer("test")
	logger := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(s))).Logger("test")
	w := newWorld(t, append([]func(*Options){func(o *Options) {
		o.Watch = watch.New(watch.Options{Metrics: s.registry, Tracer: tracer, Logger: logger, Known: o.Models.Registry.Default})
	}}, change...)...)
	return w, s
}

// attributes are those of a span as text.
func attributes(list []attribute.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range list {
		out[string(a.Key)] = a.Value.String()
	}
	return out
}

// series are all numbers by name and labels, histograms by their count.
func (s *seen) series() map[string]float64 {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestSpansOfAReply(t *testing.T) {
	t.Parallel()
	w, see := observed(t)
	w.meet(mira)
	srv := w.serve()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	_, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", hi, "traceparent", parent)
	id := string(into[completionAnswer](t, raw).ID)
	spans := see.spans.GetSpans()
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	asked, agent := spans[0], spans[1]
	if agent.Parent.TraceID().String() != parent[3:35] || agent.Parent.SpanID().String() != parent[36:52] || asked.Parent.SpanID() != agent.SpanContext.SpanID() || asked.SpanKind != trace.SpanKindClient {
		t.Errorf("parents %v of %v, %v of %v", agent.Parent, agent.Name, asked.Parent, asked.Name)
	}
	got := attributes(asked.Attributes)
	delete(got, "gen_ai.response.time_to_first_chunk")
	if d := cmp.Diff(map[string]string{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "ollama", "gen_ai.request.model": "llama-test", "gen_ai.request.stream": "true",
		"gen_ai.response.model": "test-1", "gen_ai.usage.input_tokens": "5", "gen_ai.usage.output_tokens": "3", "gen_ai.response.finish_reasons": `["stop"]`,
		"gen_ai.request.max_tokens": got["gen_ai.request.max_tokens"], "gen_ai.request.temperature": got["gen_ai.request.temperature"], "gen_ai.request.top_p": got["gen_ai.request.top_p"],
		"gen_ai.request.presence_penalty": got["gen_ai.request.presence_penalty"], "gen_ai.request.frequency_penalty": got["gen_ai.request.frequency_penalty"],
	}, got); d != "" || asked.Name != "chat llama-test" || got["gen_ai.request.temperature"] == "" {
		t.Errorf("%s %s", asked.Name, d)
	}
	said := w.told()[0]
	if d := cmp.Diff(map[string]string{
		"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.id": "mira", "gen_ai.agent.version": "1", "gen_ai.response.id": id, "gen_ai.conversation.id": string(said.SessionID),
		"gen_ai.prompt.name": "mapping-rules/" + strconv.FormatInt(said.RulesVersion, 10), "gen_ai.response.finish_reasons": `["stop"]`,
		"rapport.decision.action": "reply", "rapport.decision.reasons": `["direct"]`,
	}, attributes(agent.Attributes)); d != "" || agent.Name != "invoke_agent" {
		t.Errorf("%s %s", agent.Name, d)
	}

	see.spans.Reset()
	w.model.set(func(m *model) {
		m.say, m.fail = nil, &provider.Error{Code: provider.CodeTimeout, Provider: "test", Err: fmt.Errorf("SECRET")}
	})
	call(t, srv, "ann", "POST", "/v1/chat/completions", hi)
	for _, s := range see.spans.GetSpans() {
		if s.Status.Code != codes.Error || s.Status.Description != provider.CodeTimeout || attributes(s.Attributes)["error.type"] != provider.CodeTimeout {
			t.Errorf("%s failed as %+v %v", s.Name, s.Status, s.Attributes)
		}
	}
	// A message in a room is a trace of its own; silence is one span.
	see.spans.Reset()
	w.model.set(func(m *model) { m.say, m.fail = []string{"Hello."}, nil })
	w.said(person(ann), "Hi")
	w.work(w.s)
	w.hear(event.AgentUpdated{AgentState: dead(mira), Change: event.Change{Kind: event.ChangeKilled, By: "owner"}})
	w.said(person(ann), "Hi?")
	w.work(w.s)
	var names []string
	for _, s := range see.spans.GetSpans() {
		names = append(names, s.Name)
	}
	if d := cmp.Diff([]string{"chat llama-test", "invoke_agent", "invoke_agent"}, names); d != "" {
		t.Error(d)
	}
	if got := attributes(see.spans.GetSpans()[2].Attributes); got["rapport.decision.action"] != "silence" || got["rapport.decision.reasons"] != `["killed"]` {
		t.Errorf("%v", got)
	}
}

func dead(id event.AgentID) event.AgentState {
	s := state(id, 2)
	s.Alive = false
	return s
}

// Every rating of a decision is an event that names the response; what was derived
// from behaviour, imported or is of somebody protected is not told, and no words are.
func TestRatingsAreEvaluations(t *testing.T) {
	t.Parallel()
	w, see := observed(t)
	w.meet(mira)
	told := func(f event.FeedbackCreated) {
		f.AgentID, f.OwnerID, f.RaterID, f.DecisionID, f.Role = mira, ann, "zanzibar", "d1", event.RoleOwner
		w.hear(f)
	}
	told(event.FeedbackCreated{FeedbackID: "f1", Channel: event.ChannelThumb, Score: 1})
	told(event.FeedbackCreated{FeedbackID: "f2", Channel: event.ChannelSession, Level: "not_great", Score: -1})
	told(event.FeedbackCreated{FeedbackID: "f3", Channel: event.ChannelTone, Direction: &event.Direction{Trait: "humor", Sign: -1}})
	told(event.FeedbackCreated{FeedbackID: "f4", Channel: event.ChannelBehaviour, Signal: "engagement/1", Score: 1})
	told(event.FeedbackCreated{FeedbackID: "f5", Channel: event.ChannelThumb, Score: 1, Protected: true})
	told(event.FeedbackCreated{FeedbackID: "f6", Channel: event.ChannelThumb, Score: 1, Imported: true})
	var got []map[string]string
	for _, r := range see.events {
		m := map[string]string{"event": r.EventName()}
		r.WalkAttributes(func(a attribute.KeyValue) bool { m[string(a.Key)] = a.Value.String(); return true })
		got = append(got, m)
	}
	of := func(name, value, label string) map[string]string {
		m := map[string]string{"event": "gen_ai.evaluation.result", "gen_ai.evaluation.name": name, "gen_ai.evaluation.score.label": label, "gen_ai.response.id": "d1", "gen_ai.agent.id": "mira"}
		if value != "" {
			m["gen_ai.evaluation.score.value"] = value
		}
		return m
	}
	if d := cmp.Diff([]map[string]string{of("thumb", "1", "up"), of("session", "-1", "not_great"), of("tone", "", "less humor")}, got); d != "" {
		t.Error(d)
	}
}

func TestNumbersOfReplies(t *testing.T) {
	t.Parallel()
	w, see := observed(t, func(o *Options) {
		o.Models.Registry.Default = append(o.Models.Registry.Default, compile.Model{Provider: "gone", ID: "spare", Vendor: compile.VendorCompatible})
	})
	w.meet(mira)
	srv := w.serve()
	call(t, srv, "ann", "POST", "/v1/chat/completions", hi)
	w.model.set(func(m *model) { m.say, m.fail = nil, &provider.Error{Code: provider.CodeUpstream, Provider: "test"} })
	for range 6 { // the breaker opens after five
		call(t, srv, "ann", "POST", "/v1/chat/completions", hi)
	}
	w.settle()
	got := see.series()
	for name, want := range map[string]float64{
		"rapport_decisions_total reply direct": 7, "rapport_replies_total ok": 1, "rapport_replies_total unreachable": 6,
		"rapport_model_calls_total llama-test ok ollama": 1, "rapport_model_calls_total llama-test upstream_error ollama": 5,
		"rapport_model_calls_total llama-test resting ollama": 1, "rapport_model_fallbacks_total llama-test ollama": 6, "rapport_models_resting": 1,
		"gen_ai_client_operation_duration_seconds  chat ollama llama-test":               1,
		"gen_ai_client_operation_duration_seconds upstream_error chat ollama llama-test": 5,
		"gen_ai_client_token_usage chat ollama llama-test input":                         6,
		"gen_ai_client_token_usage chat ollama llama-test output":                        6,
		"gen_ai_client_operation_time_to_first_chunk_seconds chat ollama llama-test":     1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if t.Failed() {
		t.Log(slices.Sorted(maps.Keys(got)))
	}
}

// However many models owners name, and whatever they write there, the number of
// series stays what it is, and no name of theirs is a label.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	w, see := observed(t)
	w.meet(mira)
	srv := w.serve()
	version := int64(1)
	ask := func(name string) {
		version++
		w.hear(event.AgentUpdated{AgentState: state(mira, version, func(d *policy.Document) { d.Runtime.PreferredProvider, d.Runtime.PreferredModel = "test", name }), Change: event.Change{By: "owner"}})
		w.model.set(func(m *model) { m.fail = nil })
		call(t, srv, "ann", "POST", "/v1/chat/completions", hi)
		w.model.set(func(m *model) { m.fail = &provider.Error{Code: provider.CodeNoModel, Provider: "test"} })
		call(t, srv, "ann", "POST", "/v1/chat/completions", hi)
	}
	ask("zanzibar")
	w.settle()
	before := see.series()
	for i := range 40 {
		ask(fmt.Sprintf("zanzibar-%d\n\"}{%s", i, strings.Repeat("é", i*7)))
	}
	w.settle()
	after := see.series()
	if len(before) == 0 || len(after) != len(before) {
		t.Errorf("%d series, then %d", len(before), len(after))
	}
	for name := range after {
		if strings.Contains(name, "zanzibar") {
			t.Errorf("a person's words are a label: %s", name)
		}
	}
	for _, s := range see.spans.GetSpans() {
		if len(s.Name) > 200 || strings.ToValidUTF8(s.Name, "?") != s.Name {
			t.Errorf("span %q", s.Name)
		}
	}
}
