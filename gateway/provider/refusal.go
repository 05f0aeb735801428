package provider

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Refusal is an error document as a dialect reads it. Its words decide what the
// error is; they never leave this package.
type Refusal struct {
	Message    string
	Param      string        // the parameter it names in a field of its own
	Kind       string        // the vendor's type, code or status, separated by spaces
	RetryAfter time.Duration // when the document says so
}

// names are the ways in which servers name the parameter they refuse, each with
// the server it was seen at. The first group is the name.
var names = []*regexp.Regexp{
	regexp.MustCompile(`(?i)unsupported (?:value|parameter): '([\w.]+)'`),                          // OpenAI
	regexp.MustCompile(`(?i)unrecognized request arguments? supplied: ([\w.]+)`),                   // OpenAI
	regexp.MustCompile("`(\\w+)` is deprecated for this model"),                                    // Anthropic
	regexp.MustCompile("`temperature` and `(top_p)` cannot both be specified"),                     // Anthropic
	regexp.MustCompile(`^([\w.]+): (?:Extra inputs are not permitted|Input should be|range:)`),     // Anthropic
	regexp.MustCompile(`(?i)does not support the (\w+) parameter`),                                 // Anthropic
	regexp.MustCompile(`(?i)does not support (output.?format)`),                                    // Anthropic
	regexp.MustCompile(`(?i)\b(penalty) is not enabled`),                                           // Gemini
	regexp.MustCompile(`(?i)\b(thinking.?(?:level|budget|config))\b`),                              // Gemini
	regexp.MustCompile(`(?i)\b(budget) \d+ is invalid`),                                            // Gemini
	regexp.MustCompile(`(?i)\b(json mode) is not enabled`),                                         // Gemini
	regexp.MustCompile(`(?i)\b(maxOutputTokens) value of`),                                         // Gemini
	regexp.MustCompile(`does not support (thinking)$`),                                             // Ollama
	regexp.MustCompile(`(?i)unknown name "(\w+)"`),                                                 // Gemini
	regexp.MustCompile(`(?i)\b(max_tokens|max_completion_tokens)\b.{0,40} (?:is too large|> \d+)`), // OpenAI, Anthropic, vLLM
	regexp.MustCompile(`\b(temperature|top_p|presence_penalty|frequency_penalty) must be `),        // vLLM
	regexp.MustCompile(`'body', '(\w+)'`),                                                          // vLLM
	regexp.MustCompile(`(?i)(?:unknown|extra|invalid|unexpected) (?:parameter|field|argument)s?:? ['"\x60]?([\w.]+)`),
	regexp.MustCompile(`(?i)\b(reasoning_effort|response_format|stream_options|verbosity)\b.{0,60} (?:not supported|unsupported|not allowed)`),
}

// ours are the names that servers use for what we send, by our own names.
var ours = map[string]string{
	"temperature": "temperature", "top_p": "top_p", "topp": "top_p", "penalty": "penalty",
	"presence_penalty": "presence_penalty", "presencepenalty": "presence_penalty", "frequency_penalty": "frequency_penalty", "frequencypenalty": "frequency_penalty",
	"reasoning_effort": "effort", "reasoning.effort": "effort", "effort": "effort", "output_config.effort": "effort", "output_config": "output_config",
	"thinkinglevel": "effort", "thinkingbudget": "effort", "thinkingconfig": "effort", "thinking_level": "effort", "thinking_budget": "effort",
	"thinking_config": "effort", "thinking level": "effort", "thinking budget": "effort", "thinking config": "effort", "thinking": "effort", "budget": "effort",
	"verbosity": "verbosity", "text.verbosity": "verbosity",
	"max_tokens": "max_tokens", "max_completion_tokens": "max_completion_tokens", "maxoutputtokens": "maxOutputTokens", "max_output_tokens": "maxOutputTokens",
	"response_format": "schema", "output_config.format": "schema", "output format": "schema", "output_format": "schema", "json mode": "schema",
	"responsemimetype": "schema", "response_mime_type": "schema", "responsejsonschema": "schema", "response_json_schema": "schema",
	"stream_options": "stream_options",
}

// param is the parameter of ours that a refusal is about, ” for none; as the
// server spelled it when it is none of ours.
func (f *Refusal) param() string {
	if p, ok := ours[strings.ToLower(f.Param)]; ok {
		return p
	}
	found := ""
	for _, re := range names {
		if m := re.FindStringSubmatch(f.Message); m != nil {
			found = m[1]
			if p, ok := ours[strings.ToLower(found)]; ok {
				return p
			}
		}
	}
	if word.MatchString(f.Param) {
		return f.Param
	}
	return found
}

var word = regexp.MustCompile(`^[\w.]{1,40}$`)

// The ways in which servers say how many tokens they would take.
var (
	atMost    = regexp.MustCompile(`(?i)(?:max_tokens: \d+ > |supports at most |maximum value for .?max_(?:completion_)?tokens.? is (?:less than or equal to )?.?|less than or equal to )(\d+)`)
	exclusive = regexp.MustCompile(`to (\d+) \(exclusive\)`)
	context1  = regexp.MustCompile(`maximum context length is (\d+) tokens and your request has (\d+) input tokens`)
	context2  = regexp.MustCompile(`maximum context length is (\d+) tokens.*?\((\d+) in the messages`)
)

// limit is how many tokens an answer may have, 0 when it is not said.
func (f *Refusal) limit() int {
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	for _, re := range []*regexp.Regexp{context1, context2} {
		if m := re.FindStringSubmatch(f.Message); m != nil {
			return max(0, number(m[1])-number(m[2]))
		}
	}
	if m := atMost.FindStringSubmatch(f.Message); m != nil {
		return number(m[1])
	}
	if m := exclusive.FindStringSubmatch(f.Message); m != nil {
		return max(0, number(m[1])-1)
	}
	return 0
}

var (
	badKey   = regexp.MustCompile(`(?i)api key not valid|API_KEY_INVALID|api key expired|authentication_error|permission_error|invalid_api_key`)
	noCredit = regexp.MustCompile(`(?i)insufficient_quota|billing|credit balance is too low|BILLING_DISABLED`)
	noModel  = regexp.MustCompile(`(?i)model_not_found|not_found_error|is not a valid model|^model .{0,80} (?:not found|does not exist)|NOT_FOUND`)
	tooLong  = regexp.MustCompile(`(?i)context_length_exceeded|prompt is too long|maximum context length|exceed_context_size|exceeds the available context|exceeds the maximum number of tokens|exceed context limit|request_too_large`)
	filtered = regexp.MustCompile(`(?i)content_filter|content_policy_violation|content management policy|ResponsibleAIPolicyViolation|PROHIBITED_CONTENT`)
	overload = regexp.MustCompile(`(?i)overloaded|UNAVAILABLE|server_error|api_error|INTERNAL|timeout_error|DEADLINE_EXCEEDED`)
	slowDown = regexp.MustCompile(`(?i)rate_limit|RESOURCE_EXHAUSTED|too_many_requests`)
)

// refused turns an error document into an error: its code, whether to ask again,
// the parameter. status is 0 for one that came within a stream.
func (c *Client) refused(status int, h http.Header, f Refusal) *Error {
	e := &Error{Provider: c.cfg.Name, Status: status, RetryAfter: retryAfter(h)}
	if e.RetryAfter == 0 {
		e.RetryAfter = f.RetryAfter
	}
	said := f.Kind + " " + f.Message
	switch {
	case status >= 300 && status < 400:
		e.Code, e.Hint = CodeMoved, "its base URL answers with another address; configure that one if it is right"
	case status == 401 || status == 403 || (status == 400 || status == 0) && badKey.MatchString(said):
		e.Code, e.Hint = CodeUnauthorized, c.keyHint()
	case status == 402 || noCredit.MatchString(f.Kind) || status == 400 && noCredit.MatchString(said):
		e.Code, e.Hint = CodeQuota, "the account behind "+c.keyName()+" has no credit left at the vendor"
	case status == 429 || status == 0 && slowDown.MatchString(said):
		e.Code, e.Retry = CodeRateLimited, true
	case status == 404 || status == 400 && noModel.MatchString(said):
		e.Code = CodeNoModel
	case status == 413:
		e.Code = CodeTooLong
	case status == 400 || status == 422 || status == 0 && !overload.MatchString(said) && strings.Contains(f.Kind, "invalid"):
		e.Code, e.Param = CodeRefused, f.param()
		if e.Param != "max_tokens" && e.Param != "max_completion_tokens" && tooLong.MatchString(said) {
			e.Code, e.Param = CodeTooLong, ""
			if context2.MatchString(f.Message) && f.limit() > 0 {
				e.Code, e.Param = CodeRefused, "max_tokens"
			}
		}
	case status == 408 || status == 504:
		e.Code, e.Retry = CodeTimeout, true
	default:
		e.Code, e.Retry = CodeUpstream, status >= 500 || status == 409 || status == 0
		if !e.Retry {
			e.Code = CodeRefused
		}
	}
	switch h.Get("x-should-retry") {
	case "true":
		e.Retry = true
	case "false":
		e.Retry = false
	}
	return e
}

// retryAfter reads how long the other side asks to wait, 0 for nothing sensible.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("retry-after-ms"), 64); err == nil && ms > 0 && ms < 1e8 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("retry-after")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		if now, err := http.ParseTime(h.Get("Date")); err == nil && at.After(now) {
			return at.Sub(now)
		}
	}
	return 0
}
