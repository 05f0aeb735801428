package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts requests by route pattern, method and status class: labels of
// which there are finitely many, whatever is asked.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rapport_http_requests_total", Help: "Requests answered, by route, method and class of status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rapport_http_request_seconds", Help: "Time to the end of the answer in seconds, by route and method.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
	}
	m.registry.MustRegister(m.requests, m.seconds)
	return m
}

func (m *metrics) observe(x *exchange) {
	_, route, _ := strings.Cut(x.r.Pattern, " ")
	if route == "" {
		route = "none"
	}
	method := x.r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	status := "none" // the connection was cut
	if x.status >= 100 && x.status < 600 {
		status = [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[x.status/100-1]
	}
	m.requests.WithLabelValues(route, method, status).Inc()
	m.seconds.WithLabelValues(route, method).Observe(time.Since(x.began).Seconds())
}

// Metrics is the registry of this API; others of the process may add theirs.
func (a *API) Metrics() *prometheus.Registry { return a.metrics.registry }

// MetricsHandler answers with all metrics of the registry, for Prometheus.
func (a *API) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{})
}
