package app

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"rapport/internal/fault"
)

// collector is what OpenTelemetry's collector is over HTTP.
type collector struct {
	mu    sync.Mutex
	raw   bytes.Buffer
	spans coltrace.ExportTraceServiceRequest
	logs  collogs.ExportLogsServiceRequest
	odd   []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	into := map[string]proto.Message{"/v1/traces": &c.spans, "/v1/logs": &c.logs}[r.URL.Path]
	if into == nil || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("x-team") != "rapport" {
		c.odd = append(c.odd, r.URL.Path)
	} else if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(body, into); err != nil {
		c.odd = append(c.odd, err.Error())
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// TestCollected lets a real exporter send what happens to a collector: spans of the
// reply, an event for the rating that names the reply, and nobody's words. It is not
// parallel: the environment is one.
func TestCollected(t *testing.T) {
	c := &collector{}
	srv := httptest.NewServer(c)
	defer srv.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=rapport")
	t.Setenv("OTEL_SERVICE_NAME", "talks")
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	ada.make("Zanzibar", nil)
	var said struct{ ID string }
	ada.must("POST", "/v1/chat/completions", map[string]any{"model": "agent/zanzibar", "messages": []map[string]string{{"role": "user", "content": "A zanzibar question"}}}, &said)
	r.settle()
	ada.must("POST", "/v1/feedback", map[string]any{"kind": "thumb", "value": "down", "decisionId": said.ID, "comment": "A zanzibar comment"}, nil)
	r.settle()
	if err := r.Close(); err != nil { // sends what waits
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.odd) > 0 {
		t.Errorf("odd requests: %q", c.odd)
	}
	var spans, events []string
	service := ""
	for _, rs := range c.spans.GetResourceSpans() {
		for _, a := range rs.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				spans = append(spans, s.GetName())
			}
		}
	}
	for _, rl := range c.logs.GetResourceLogs() {
		for _, sl := range rl.GetScopeLogs() {
			for _, l := range sl.GetLogRecords() {
				about := ""
				for _, a := range l.GetAttributes() {
					if a.GetKey() == "gen_ai.response.id" {
						about = a.GetValue().GetStringValue()
					}
				}
				events = append(events, l.GetEventName()+" "+about)
			}
		}
	}
	if got := strings.Join(spans, ","); got != "chat offline-demo,invoke_agent" || service != "talks" {
		t.Errorf("spans %s of %s", got, service)
	}
	if got := strings.Join(events, ","); got != "gen_ai.evaluation.result "+said.ID {
		t.Errorf("events %s, want one about %s", got, said.ID)
	}
	if low := bytes.ToLower(c.raw.Bytes()); bytes.Contains(low, []byte("zanzibar")) || bytes.Contains(low, []byte(ada.ID)) {
		t.Error("the collector got somebody's words, or who they are")
	}
}

// A collector that is configured wrongly is an error that names the variable; one
// that is not there keeps nobody waiting.
func TestCollectorsThatAreNotThere(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4318", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "ftp://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "jaeger",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(name, value)
			if _, err := Open(t.Context(), testConfig(t, t.TempDir())); !fault.Is(err, "invalid_setting") || !strings.Contains(err.Error(), name) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("away", func(t *testing.T) {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
		t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
		r := run(t, t.TempDir())
		ada := r.person("Ada")
		ada.make("Mira", nil)
		ada.must("POST", "/v1/chat/completions", map[string]any{"model": "agent/mira", "messages": []map[string]string{{"role": "user", "content": "Hi"}}}, nil)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}
