package watch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport/gateway/provider"
)

// numbers are the metrics. Names and buckets of those that begin with gen_ai are
// OpenTelemetry's, written as Prometheus writes them.
type numbers struct {
	registry  prometheus.Registerer
	decisions *prometheus.CounterVec
	replies   *prometheus.CounterVec
	calls     *prometheus.CounterVec
	fallbacks *prometheus.CounterVec
	dropped   *prometheus.CounterVec
	judged    *prometheus.CounterVec
	tokens    *prometheus.HistogramVec
	duration  *prometheus.HistogramVec
	first     *prometheus.HistogramVec
}

var (
	tokenBuckets  = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
	secondBuckets = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	firstBuckets  = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
)

func newNumbers(registry prometheus.Registerer) *numbers {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, append([]string{"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"}, labels...))
	}
	n := &numbers{
		registry:  registry,
		decisions: counter("rapport_decisions_total", "Decisions to reply or to stay silent, by reason.", "action", "reason"),
		replies:   counter("rapport_replies_total", "Replies by outcome: ok, or why they failed.", "outcome"),
		calls:     counter("rapport_model_calls_total", "Tries of models by outcome: ok, stopped by us, refused by a content filter, or why they failed.", "provider", "model", "outcome"),
		fallbacks: counter("rapport_model_fallbacks_total", "How often another model was asked because this one failed.", "provider", "model"),
		dropped:   counter("rapport_model_parameters_dropped_total", "Parameters that were taken out because the model refused them.", "provider", "model", "parameter"),
		judged:    counter("rapport_moderations_total", "Texts that a moderator was asked about, before a model got them and after it made them, by outcome.", "stage", "outcome"),
		tokens:    histogram("gen_ai_client_token_usage", "Tokens of a call of a model.", tokenBuckets, "gen_ai_token_type"),
		duration:  histogram("gen_ai_client_operation_duration_seconds", "Time of a call of a model in seconds.", secondBuckets, "error_type"),
		first:     histogram("gen_ai_client_operation_time_to_first_chunk_seconds", "Time until a model's first piece of text in seconds.", firstBuckets),
	}
	registry.MustRegister(n.decisions, n.replies, n.calls, n.fallbacks, n.dropped, n.judged, n.tokens, n.duration, n.first)
	return n
}

// chat is the operation's name.
const chat = "chat"

func (n *numbers) call(c *Call, res provider.Result, outcome string, took time.Duration) {
	n.calls.WithLabelValues(c.vendor, c.model, outcome).Inc()
	for _, p := range res.Dropped {
		n.dropped.WithLabelValues(c.vendor, c.model, p).Inc()
	}
	failure := outcome
	if outcome == outcomeOK || outcome == outcomeStopped || outcome == provider.FinishFilter {
		failure = ""
	}
	n.duration.WithLabelValues(chat, c.vendor, c.model, failure).Observe(took.Seconds())
	if c.first > 0 {
		n.first.WithLabelValues(chat, c.vendor, c.model).Observe(c.first.Seconds())
	}
	if res.PromptTokens > 0 {
		n.tokens.WithLabelValues(chat, c.vendor, c.model, "input").Observe(float64(res.PromptTokens))
	}
	if res.ReplyTokens > 0 {
		n.tokens.WithLabelValues(chat, c.vendor, c.model, "output").Observe(float64(res.ReplyTokens))
	}
}

// Resting lets it be read how many models are left alone now because they failed.
func (w *Watch) Resting(count func() int) {
	if w != nil && w.numbers != nil {
		w.numbers.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rapport_models_resting", Help: "Models that are left alone now because they failed again and again.",
		}, func() float64 { return float64(count()) }))
	}
}
