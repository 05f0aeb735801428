package telemetry

import (
	"testing"

	"rapport/internal/fault"
)

// What goes where is tested with a collector in app; here is when anything goes.
func TestStart(t *testing.T) {
	const at = "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		env           map[string]string
		spans, events bool
		bad           bool
	}{
		"nothing is said":         {},
		"an address":              {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at}, true, true, false},
		"for spans":               {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": at + "/v1/traces"}, true, false, false},
		"for events":              {map[string]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": at + "/v1/logs"}, false, true, false},
		"no spans":                {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_TRACES_EXPORTER": "none"}, false, true, false},
		"off":                     {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_SDK_DISABLED": "true"}, false, false, false},
		"in words":                {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}, true, true, false},
		"not an address":          {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, false, false, true},
		"another language":        {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}, false, false, true},
		"another kind":            {map[string]string{"OTEL_LOGS_EXPORTER": "console"}, false, false, true},
		"attributes without form": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_RESOURCE_ATTRIBUTES": "nonsense"}, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			got, err := Start(t.Context(), "1")
			if c.bad {
				if !fault.Is(err, "invalid_setting") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || (got.Tracer != nil) != c.spans || (got.Logger != nil) != c.events {
				t.Fatalf("%+v %v", got, err)
			}
			got.Close(t.Context())
		})
	}
}
