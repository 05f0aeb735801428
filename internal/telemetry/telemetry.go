// Package telemetry sends spans and events to a collector over OTLP, where the
// environment names one, as OpenTelemetry's own variables say it.
//
// Owns: Start, which reads OTEL_EXPORTER_OTLP_ENDPOINT and its kind, and Telemetry,
// a tracer and a logger. What is said with them is their user's.
//
// Invariants: without an address nothing is made, nothing runs and nothing costs;
// nobody waits for a collector: what it does not take in time is dropped, and the
// program's log says so.
//
// Start reading at Start.
package telemetry

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"rapport/internal/fault"
)

// Telemetry is where spans and events go. Either may be nil: nobody wants them.
type Telemetry struct {
	Tracer trace.Tracer
	Logger log.Logger
	close  []func(context.Context) error
}

// scope names who speaks.
const scope = "rapport/gateway"

// Start makes exporters as the environment says; both are nil when it names no
// address, or says OTEL_SDK_DISABLED=true. Only OTLP over HTTP with protobuf is
// spoken.
//
// Faults: invalid_setting, which names the variable.
func Start(ctx context.Context, version string) (*Telemetry, error) {
	t := &Telemetry{}
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return t, nil
	}
	spans, err := wanted("TRACES")
	if err != nil {
		return nil, err
	}
	events, err := wanted("LOGS")
	if err != nil || !spans && !events {
		return t, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("telemetry was not delivered", "err", err) }))
	res, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "rapport"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, unreadable("OTEL_RESOURCE_ATTRIBUTES", "write name=value,name=value").Because(err)
	}
	if spans {
		out, err := newExporter(ctx, otlptracehttp.NewClient())
		if err != nil {
			return nil, err
		}
		p := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(out))
		t.Tracer, t.close = p.Tracer(scope, trace.WithInstrumentationVersion(version)), append(t.close, p.Shutdown)
	}
	if events {
		out, err := otlploghttp.New(ctx)
		if err != nil {
			return nil, err
		}
		p := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(out)))
		t.Logger, t.close = p.Logger(scope, log.WithInstrumentationVersion(version)), append(t.close, p.Shutdown)
	}
	return t, nil
}

// Close sends what waits, as far as the collector takes it until ctx ends.
func (t *Telemetry) Close(ctx context.Context) {
	for _, end := range t.close {
		if err := end(ctx); err != nil {
			slog.WarnContext(ctx, "telemetry was not delivered", "err", err)
		}
	}
}

// wanted says whether the environment asks for a kind of signal.
func wanted(kind string) (bool, error) {
	if v := os.Getenv("OTEL_" + kind + "_EXPORTER"); v == "none" {
		return false, nil
	} else if v != "" && v != "otlp" {
		return false, unreadable("OTEL_"+kind+"_EXPORTER", "only otlp and none are known")
	}
	name, at := first("OTEL_EXPORTER_OTLP_"+kind+"_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if at == "" {
		return false, nil
	}
	if u, err := url.Parse(at); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, unreadable(name, "write an address as http://127.0.0.1:4318")
	}
	if name, v := first("OTEL_EXPORTER_OTLP_"+kind+"_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); v != "" && v != "http/protobuf" {
		return false, unreadable(name, "only http/protobuf is spoken")
	}
	return true, nil
}

// first gives the first variable that is set.
func first(names ...string) (name, value string) {
	for _, name = range names {
		if value = os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

func unreadable(name, how string) *fault.Error {
	return fault.New(fault.Invalid, "invalid_setting", "The variable %s cannot be used: %s.", name, how)
}
