package provider

import (
	"net/http"
	"testing"
	"time"

	"rapport/gateway/compile"
)

// What servers were seen to answer, and what becomes of it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := &Client{cfg: Config{Name: "x", Key: "k", KeyName: "X_API_KEY"}}
	for _, f := range []struct {
		status      int
		kind, text  string
		param       string // as a field
		code, about string
		limit       int
	}{
		{400, "invalid_request_error unsupported_value", "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.", "temperature", CodeRefused, "temperature", 0},
		{400, "invalid_request_error", "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.", "", CodeRefused, "temperature", 0},
		{400, "invalid_request_error unsupported_parameter", "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "max_tokens", CodeRefused, "max_tokens", 0},
		{400, "invalid_request_error", "Unrecognized request argument supplied: reasoning_effort", "", CodeRefused, "effort", 0},
		{400, "invalid_request_error unsupported_value", "Unsupported value: 'low' is not supported with the 'gpt-5-pro' model. Supported values are: 'high'.", "reasoning_effort", CodeRefused, "effort", 0},
		{400, "invalid_request_error", "Unsupported value: 'low' is not supported with the 'gpt-5-pro' model. Supported values are: 'high'.", "", CodeRefused, "low", 0},
		{400, "invalid_request_error", "Unsupported parameter: 'text.verbosity' is not supported with this model.", "text.verbosity", CodeRefused, "verbosity", 0},
		{400, "invalid_request_error", "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", "response_format", CodeRefused, "schema", 0},
		{400, "invalid_request_error invalid_value", "max_tokens is too large: 20000. This model supports at most 16384 completion tokens, whereas you provided 20000.", "max_tokens", CodeRefused, "max_tokens", 16384},
		{400, "invalid_request_error", "`temperature` is deprecated for this model", "", CodeRefused, "temperature", 0},
		{400, "invalid_request_error", "`temperature` and `top_p` cannot both be specified for this model. Please use only one.", "", CodeRefused, "top_p", 0},
		{400, "invalid_request_error", "This model does not support the effort parameter.", "", CodeRefused, "effort", 0},
		{400, "invalid_request_error", "output_config: Extra inputs are not permitted", "", CodeRefused, "output_config", 0},
		{400, "invalid_request_error", "output_config.format: Extra inputs are not permitted", "", CodeRefused, "schema", 0},
		{400, "invalid_request_error", "presence_penalty: Extra inputs are not permitted", "", CodeRefused, "presence_penalty", 0},
		{400, "invalid_request_error", "max_tokens: 9000 > 4096, which is the maximum allowed number of output tokens for claude-3-haiku-20240307", "", CodeRefused, "max_tokens", 4096},
		{400, "INVALID_ARGUMENT", "Penalty is not enabled for this model", "", CodeRefused, "penalty", 0},
		{400, "INVALID_ARGUMENT", "Thinking level MEDIUM is not supported for this model. Please retry with other thinking level.", "", CodeRefused, "effort", 0},
		{400, "INVALID_ARGUMENT", "Unable to submit request because thinking_level MEDIUM is not supported by this model.", "", CodeRefused, "effort", 0},
		{400, "INVALID_ARGUMENT", "thinking_config is not supported.", "", CodeRefused, "effort", 0},
		{400, "INVALID_ARGUMENT", "The thinking budget (52428) is invalid.", "", CodeRefused, "effort", 0},
		{400, "INVALID_ARGUMENT", "Budget 0 is invalid. This model only works in thinking mode.", "", CodeRefused, "effort", 0},
		{400, "INVALID_ARGUMENT", "Thinking budget is not supported for this model.", "", CodeRefused, "effort", 0},
		{400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unknown name \"responseJsonSchema\" at 'generation_config': Cannot find field.", "", CodeRefused, "schema", 0},
		{400, "INVALID_ARGUMENT", "Json mode is not enabled for this model", "", CodeRefused, "schema", 0},
		{400, "INVALID_ARGUMENT", "Unable to submit request because it has a maxOutputTokens value of 90000 but the supported range is from 1 (inclusive) to 65537 (exclusive).", "", CodeRefused, "maxOutputTokens", 65536},
		{400, "INVALID_ARGUMENT API_KEY_INVALID", "API key not valid. Please pass a valid API key.", "", CodeUnauthorized, "", 0},
		{400, "BadRequestError", "top_p must be in (0, 1], got 0.0.", "", CodeRefused, "top_p", 0},
		{400, "Bad Request", "[{'type': 'extra_forbidden', 'loc': ('body', 'verbosity'), 'msg': 'Extra inputs are not permitted'}]", "", CodeRefused, "verbosity", 0},
		{400, "BadRequestError", "'max_tokens' or 'max_completion_tokens' is too large: 8000. This model's maximum context length is 8192 tokens and your request has 500 input tokens (8000 > 8192 - 500).", "", CodeRefused, "max_tokens", 7692},
		{400, "invalid_request_error context_length_exceeded", "This model's maximum context length is 4096 tokens. However, you requested 4500 tokens (500 in the messages, 4000 in the completion).", "messages", CodeRefused, "max_tokens", 3596},
		{400, "invalid_request_error context_length_exceeded", "This model's maximum context length is 4096 tokens. However, your messages resulted in 9000 tokens.", "messages", CodeTooLong, "", 0},
		{400, "exceed_context_size_error", "the request exceeds the available context size. try increasing the context size or enable context shift", "", CodeTooLong, "", 0},
		{400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "", CodeTooLong, "", 0},
		{413, "request_too_large", "Request exceeds the maximum size", "", CodeTooLong, "", 0},
		{400, "", `"llama3.2" does not support thinking`, "", CodeRefused, "effort", 0},
		{404, "not_found_error", `model "x" not found, try pulling it first`, "", CodeNoModel, "", 0},
		{400, "", "acme/x is not a valid model ID", "", CodeNoModel, "", 0},
		{401, "invalid_request_error invalid_api_key", "Incorrect API key provided: sk-…", "", CodeUnauthorized, "", 0},
		{403, "PERMISSION_DENIED", "…", "", CodeUnauthorized, "", 0},
		{429, "insufficient_quota insufficient_quota", "You exceeded your current quota, please check your plan and billing details.", "", CodeQuota, "", 0},
		{429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details.", "", CodeRateLimited, "", 0},
		{402, "billing_error", "…", "", CodeQuota, "", 0},
		{529, "overloaded_error", "Overloaded", "", CodeUpstream, "", 0},
		{0, "overloaded_error", "Overloaded", "", CodeUpstream, "", 0},
		{0, "rate_limit_error", "…", "", CodeRateLimited, "", 0},
		{0, "invalid_request_error", "…", "", CodeRefused, "", 0},
	} {
		r := Refusal{Message: f.text, Param: f.param, Kind: f.kind}
		e := c.refused(f.status, http.Header{}, r)
		if e.Code != f.code || r.limit() != f.limit || f.about != "" && e.Param != f.about {
			t.Errorf("%d %s\n%+v limit %d, want %s about %q limit %d", f.status, f.text, e, r.limit(), f.code, f.about, f.limit)
		}
	}
}

// Every parameter that was sent and is refused is left out of the next try, and
// none twice.
func TestHealing(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	full := func() Request {
		r := Request{Model: "m", System: "s", Schema: &Schema{JSON: []byte(`{}`)}}
		r.Params = compile.Params{MaxTokens: 100, TokensField: "max_tokens", Temperature: 1, TopP: 1, PresencePenalty: 1, FrequencyPenalty: 1, Effort: "low", EffortField: "reasoning_effort", Verbosity: "high"}
		return r
	}
	for _, c := range []struct {
		param, dropped string
		limit          int
	}{
		{"temperature", "[temperature]", 0}, {"top_p", "[top_p]", 0}, {"presence_penalty", "[presence_penalty]", 0}, {"frequency_penalty", "[frequency_penalty]", 0},
		{"penalty", "[presence_penalty frequency_penalty]", 0}, {"effort", "[effort]", 0}, {"low", "[effort]", 0}, {"verbosity", "[verbosity]", 0}, {"high", "[verbosity]", 0},
		{"schema", "[schema]", 0}, {"output_config", "[effort schema]", 0}, {"max_tokens", "[]", 0}, {"max_tokens", "[]", 50}, {"stream_options", "[]", 0},
	} {
		m := memory{clock: func() time.Time { return now }, known: map[string]recalled{}}
		if !m.learn(full(), c.param, c.limit) {
			t.Errorf("%s: nothing was learned", c.param)
		}
		known := m.of("m")
		sent := known.apply(full())
		if got := list(dropped(full(), sent)); got != c.dropped {
			t.Errorf("%s: dropped %s, want %s", c.param, got, c.dropped)
		}
		switch {
		case c.limit > 0 && (sent.Params.MaxTokens != c.limit || sent.Params.TokensField != "max_tokens"):
			t.Errorf("%+v", sent.Params)
		case c.param == "max_tokens" && c.limit == 0 && sent.Params.TokensField != "max_completion_tokens":
			t.Errorf("%+v", sent.Params)
		}
		if c.param != "max_tokens" && c.param != "stream_options" && m.learn(full(), c.param, c.limit) {
			t.Errorf("%s was learned twice", c.param)
		}
		if m.learn(full(), "messages", 0) || m.learn(full(), "", 0) {
			t.Error("learned what we do not send")
		}
	}
	m := memory{clock: func() time.Time { return now }, known: map[string]recalled{}}
	m.learn(full(), "max_tokens", 0)
	r := full()
	r.Params.TokensField = "max_completion_tokens"
	m.learn(r, "max_completion_tokens", 0)
	known := m.of("m")
	if sent := known.apply(full()); sent.Params.MaxTokens != 0 || list(dropped(full(), sent)) != "[max_tokens]" {
		t.Errorf("a server that takes no cap: %+v", sent.Params)
	}
	for range 3000 {
		r := full()
		r.Model = time.Now().String()
		m.learn(r, "top_p", 0)
	}
	if len(m.known) > 1001 {
		t.Errorf("%d models are remembered", len(m.known))
	}
}

func list(names []string) string {
	s := "["
	for i, n := range names {
		if i > 0 {
			s += " "
		}
		s += n
	}
	return s + "]"
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, date, want string }{
		{"retry-after", "3", "", "3s"}, {"retry-after-ms", "250", "", "250ms"}, {"retry-after", "0.5", "", "500ms"},
		{"retry-after", "Mon, 23 Nov 2026 00:00:07 GMT", "Mon, 23 Nov 2026 00:00:00 GMT", "7s"},
		{"retry-after", "nonsense", "", "0s"}, {"retry-after", "-4", "", "0s"}, {"retry-after", "NaN", "", "0s"}, {"retry-after-ms", "Inf", "", "0s"},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		h.Set("Date", c.date)
		if got := retryAfter(h); got.String() != c.want {
			t.Errorf("%s %s: %v, want %s", c.name, c.value, got, c.want)
		}
	}
}
