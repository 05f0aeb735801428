package providertest

import (
	"fmt"
	"slices"
	"strings"

	"rapport/gateway/compile"
)

// Models are the models whose limits the fakes know, by vendor, and one of the
// future each: "gpt-9", "claude-opus-9", "gemini-9-pro". They are told apart by
// lists and not by versions, so that they can disagree with who goes by versions.
var Models = map[string][]string{
	compile.VendorOpenAI:     slices.Concat(gpt4, o, gpt5, gpt5pro, gpt51, gpt6, astra),
	compile.VendorAnthropic:  slices.Concat(claude3, claude40, claude41, claude46, claudeNew),
	compile.VendorGemini:     slices.Concat(gemini2, gemini25, gemini3pro, gemini3, gemma4),
	compile.VendorOllama:     {"llama3.2:1b", "qwen3:4b", "gpt-oss:20b", "something-else"},
	compile.VendorLlamaCPP:   {"SmolLM2-135M-Instruct.Q4_1.gguf", "something-else"},
	compile.VendorVLLM:       {"meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-8B", "org/something-else"},
	compile.VendorCompatible: {"openai/gpt-4o", "openai/gpt-5.1", "anthropic/claude-sonnet-4.5", "anthropic/claude-opus-4.7", "google/gemini-2.5-flash", "meta-llama/llama-3.3-70b-instruct", "somebody/something-new"},
}

var (
	gpt4    = []string{"gpt-3.5-turbo", "gpt-4-turbo", "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-5-chat-latest", "ft:gpt-4o-mini-2024-07-18:org::id"}
	o       = []string{"o1", "o3", "o3-mini", "o4-mini"}
	gpt5    = []string{"gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-2025-08-07"}
	gpt5pro = []string{"gpt-5-pro"}
	gpt51   = []string{"gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.6", "gpt-5.6-luna"}
	gpt6    = []string{"gpt-6-sol", "gpt-6-luna", "gpt-6.1-terra"}
	astra   = []string{"gpt-6-astra", "gpt-6.1-sol", "gpt-6.2", "gpt-6.2-sol", "gpt-9"}

	claude3   = []string{"claude-3-haiku-20240307", "claude-3-5-sonnet-20241022", "claude-3-7-sonnet-20250219"}
	claude40  = []string{"claude-opus-4-20250514", "claude-sonnet-4-20250514"}
	claude41  = []string{"claude-opus-4-1-20250805", "claude-opus-4-5", "claude-sonnet-4-5-20250929", "claude-haiku-4-5"}
	claude46  = []string{"claude-opus-4-6", "claude-sonnet-4-6"}
	claudeNew = []string{"claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-opus-5-5", "claude-sonnet-5", "claude-sonnet-5-5", "claude-haiku-5-5",
		"claude-fable-5", "claude-fable-5-1", "claude-mythos-1", "claude-opus-9"}

	gemini2    = []string{"gemini-1.5-flash", "gemini-2.0-flash", "gemini-2.0-flash-lite"}
	gemini25   = []string{"gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"}
	gemini3pro = []string{"gemini-3-pro-preview"}
	gemini3    = []string{"gemini-3-flash-preview", "gemini-3.1-flash-lite", "gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.6-flash", "gemini-3.8-flash",
		"gemini-4-argon", "gemini-9-pro", "gemini-flash-latest"}
	gemma4 = []string{"gemma-4-31b-it"}
)

// thinks says whether a model pays hidden thinking from its cap.
func thinks(vendor, model string) bool {
	switch vendor {
	case compile.VendorOpenAI:
		return !slices.Contains(gpt4, model)
	case compile.VendorAnthropic:
		return slices.Contains(claudeNew, model)
	case compile.VendorGemini:
		return !slices.Contains(gemini2, model)
	}
	return strings.Contains(strings.ToLower(model), "qwen3") || strings.Contains(model, "gpt-oss")
}

// limits holds a request against what its model accepts. odd is what is accepted
// and advised against.
func limits(vendor string, s Seen, body map[string]any) (bad *refusal, odd []string) {
	switch vendor {
	case compile.VendorOpenAI:
		return openaiLimits(s, body), nil
	case compile.VendorAnthropic:
		return anthropicLimits(s, body), nil
	case compile.VendorGemini:
		return geminiLimits(s, body)
	case compile.VendorVLLM:
		return vllmLimits(s), nil
	case compile.VendorOllama:
		if _, ok := body["max_tokens"]; !ok { // the other field is ignored without a word
			odd = append(odd, "no cap")
		}
		if s.Params["effort"] != nil && !strings.HasPrefix(s.Model, "gpt-oss") {
			return &refusal{400, "invalid_request_error", fmt.Sprintf("%q does not support thinking", s.Model), ""}, odd
		}
		return nil, odd
	case compile.VendorCompatible:
		return compatibleLimits(s, body), nil
	}
	return nil, nil
}

func invalid(param, format string, args ...any) *refusal {
	return &refusal{400, "invalid_request_error", fmt.Sprintf(format, args...), param}
}

// unknown is the first field of body that is not in the list.
func unknown(body map[string]any, known ...string) string {
	var out []string
	for name := range body {
		if !slices.Contains(known, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	if out == nil {
		return ""
	}
	return out[0]
}

func outside(s Seen, name string, lo, hi float64) bool {
	v, sent := s.Params[name]
	n, ok := v.(float64)
	return sent && (!ok || n < lo || n > hi)
}

var sampling = []string{"temperature", "top_p", "presence_penalty", "frequency_penalty"}

func openaiLimits(s Seen, body map[string]any) *refusal {
	if p := unknown(body, "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "presence_penalty",
		"frequency_penalty", "reasoning_effort", "verbosity", "response_format"); p != "" {
		return invalid("", "Unrecognized request argument supplied: %s", p)
	}
	if len(s.Texts) == 0 {
		return invalid("messages", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	_, old := body["max_tokens"]
	_, now := body["max_completion_tokens"]
	if old && now {
		return invalid("max_tokens", "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
	}
	effort := text(s.Params["effort"])
	if slices.Contains(gpt4, s.Model) {
		for _, p := range []string{"reasoning_effort", "verbosity"} {
			if _, sent := body[p]; sent {
				return invalid("", "Unrecognized request argument supplied: %s", p)
			}
		}
		for _, r := range []struct {
			name   string
			lo, hi float64
		}{{"temperature", 0, 2}, {"top_p", 0, 1}, {"presence_penalty", -2, 2}, {"frequency_penalty", -2, 2}} {
			if outside(s, r.name, r.lo, r.hi) {
				return invalid(r.name, "Invalid '%s': decimal above maximum value. Expected a value <= %v, but got %v instead.", r.name, r.hi, s.Params[r.name])
			}
		}
		if n, _ := s.Params["tokens"].(float64); n > 16384 {
			return invalid("max_tokens", "max_tokens is too large: %v. This model supports at most 16384 completion tokens, whereas you provided %v.", n, n)
		}
		return nil
	}
	if old {
		return invalid("max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
	}
	efforts := []string{"none", "low", "medium", "high", "xhigh"}
	switch {
	case slices.Contains(o, s.Model):
		if efforts = []string{"low", "medium", "high"}; s.Params["verbosity"] != nil {
			return invalid("verbosity", "Unsupported parameter: 'verbosity' is not supported with this model.")
		}
	case slices.Contains(gpt5, s.Model):
		efforts = []string{"minimal", "low", "medium", "high"}
	case slices.Contains(gpt5pro, s.Model):
		efforts = []string{"high"}
	case slices.Contains(astra, s.Model):
		efforts = []string{"low", "medium", "high", "xhigh"}
	}
	if effort != "" && !slices.Contains(efforts, effort) {
		return invalid("reasoning_effort", "Unsupported value: '%s' is not supported with the '%s' model. Supported values are: '%s'.", effort, s.Model, strings.Join(efforts, "', '"))
	}
	for _, p := range sampling {
		if s.Params[p] == nil || effort == "none" {
			continue
		}
		if p == "temperature" {
			return invalid(p, "Unsupported value: 'temperature' does not support %v with this model. Only the default (1) value is supported.", s.Params[p])
		}
		return invalid(p, "Unsupported parameter: '%s' is not supported with this model.", p)
	}
	if v := text(s.Params["verbosity"]); v != "" && !slices.Contains([]string{"low", "medium", "high"}, v) {
		return invalid("verbosity", "Invalid value: '%s'. Supported values are: 'low', 'medium', and 'high'.", v)
	}
	return nil
}

func anthropicLimits(s Seen, body map[string]any) *refusal {
	if p := unknown(body, "model", "messages", "system", "stream", "max_tokens", "temperature", "top_p", "output_config"); p != "" {
		return invalid("", "%s: Extra inputs are not permitted", p)
	}
	n, ok := body["max_tokens"].(float64)
	if !ok || n < 1 {
		return invalid("", "max_tokens: Field required")
	}
	list, _ := body["messages"].([]any)
	for i, m := range list {
		role := text(in(m, "role"))
		switch {
		case role != "user" && role != "assistant":
			return invalid("", `messages: Unexpected role "%s". The Messages API accepts a top-level 'system' parameter, not "system" as an input message role.`, role)
		case i == 0 && role != "user":
			return invalid("", "messages: first message must use the \"user\" role")
		case text(in(m, "content")) == "":
			return invalid("", "messages: text content blocks must be non-empty")
		case i == len(list)-1 && role != "user":
			return invalid("", "This model does not support assistant message prefill. The conversation must end with a user message.")
		}
	}
	if len(list) == 0 {
		return invalid("", "messages: at least one message is required")
	}
	effort := text(s.Params["effort"])
	switch {
	case slices.Contains(claude3, s.Model):
		if strings.Contains(s.Model, "haiku") && n > 4096 {
			return invalid("", "max_tokens: %v > 4096, which is the maximum allowed number of output tokens for %s", n, s.Model)
		}
		if body["output_config"] != nil {
			return invalid("", "output_config: Extra inputs are not permitted")
		}
	case slices.Contains(claudeNew, s.Model):
		for _, p := range []string{"temperature", "top_p"} {
			if s.Params[p] != nil {
				return invalid("", "`%s` is deprecated for this model.", p)
			}
		}
	case !slices.Contains(claude40, s.Model) && s.Params["temperature"] != nil && s.Params["top_p"] != nil:
		return invalid("", "`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
	}
	if effort != "" && !slices.Contains(claudeNew, s.Model) && !slices.Contains(claude46, s.Model) {
		return invalid("", "This model does not support the effort parameter.")
	}
	if effort != "" && !slices.Contains([]string{"low", "medium", "high", "max"}, effort) {
		return invalid("", "output_config.effort: Input should be 'low', 'medium', 'high' or 'max'")
	}
	for _, p := range []string{"temperature", "top_p"} {
		if outside(s, p, 0, 1) {
			return invalid("", "%s: range: 0..1", p)
		}
	}
	return nil
}

func gemini(format string, args ...any) *refusal {
	return &refusal{400, "INVALID_ARGUMENT", fmt.Sprintf(format, args...), ""}
}

func geminiLimits(s Seen, body map[string]any) (bad *refusal, odd []string) {
	if p := unknown(body, "systemInstruction", "contents", "generationConfig"); p != "" {
		return gemini("Invalid JSON payload received. Unknown name %q: Cannot find field.", p), nil
	}
	config, _ := body["generationConfig"].(map[string]any)
	if p := unknown(config, "maxOutputTokens", "temperature", "topP", "presencePenalty", "frequencyPenalty", "thinkingConfig", "responseMimeType", "responseJsonSchema"); p != "" {
		return gemini("Invalid JSON payload received. Unknown name %q at 'generation_config': Cannot find field.", p), nil
	}
	list, _ := body["contents"].([]any)
	if len(list) == 0 {
		return gemini("* GenerateContentRequest.contents: contents is not specified"), nil
	}
	for i, c := range list {
		role := text(in(c, "role"))
		switch {
		case role != "user" && role != "model":
			return gemini("Please use a valid role: user, model."), nil
		case i == 0 && role != "user":
			return gemini("Please ensure that multiturn requests begin with a user turn."), nil
		case s.Texts[i] == "":
			return gemini("Unable to submit request because it must have a text parameter."), nil
		}
	}
	penalties := s.Params["presence_penalty"] != nil || s.Params["frequency_penalty"] != nil
	thinking, _ := config["thinkingConfig"].(map[string]any)
	level, budget := text(thinking["thinkingLevel"]), thinking["thinkingBudget"]
	levels := []string{"MINIMAL", "LOW", "MEDIUM", "HIGH"}
	switch {
	case level != "" && budget != nil:
		return gemini("You can only set only one of thinking budget and thinking level."), nil
	case slices.Contains(gemini2, s.Model):
		if thinking != nil {
			return gemini("thinking_config is not supported."), nil
		}
		if outside(s, "presence_penalty", -2, 1.999) || outside(s, "frequency_penalty", -2, 1.999) {
			return gemini("Unable to submit request because the penalty is out of the supported range from -2.0 (inclusive) to 2.0 (exclusive)."), nil
		}
	case penalties:
		return gemini("Penalty is not enabled for this model"), nil
	case slices.Contains(gemini25, s.Model):
		if level != "" {
			return gemini("Thinking level is not supported for this model."), nil
		}
		if n, ok := budget.(float64); budget != nil && (!ok || n < 512 || n > 24576) {
			return gemini("The thinking budget (%v) is invalid.", budget), nil
		}
	default:
		if budget != nil {
			return gemini("Thinking budget is not supported for this model."), nil
		}
		if slices.Contains(gemini3pro, s.Model) {
			levels = []string{"LOW", "HIGH"}
		}
		if slices.Contains(gemma4, s.Model) {
			levels = []string{"MINIMAL", "HIGH"}
		}
		for _, p := range []string{"temperature", "top_p"} {
			if s.Params[p] != nil {
				odd = append(odd, p)
			}
		}
	}
	if level != "" && !slices.Contains(levels, level) {
		return gemini("Thinking level %s is not supported for this model. Please retry with other thinking level.", level), odd
	}
	if outside(s, "temperature", 0, 2) || outside(s, "top_p", 0, 1) {
		return gemini("Unable to submit request because it has a temperature or topP value that is out of range."), odd
	}
	if outside(s, "tokens", 1, 65536) {
		return gemini("Unable to submit request because it has a maxOutputTokens value of %v but the supported range is from 1 (inclusive) to 65537 (exclusive).", s.Params["tokens"]), odd
	}
	return nil, odd
}

// vllmContext is how much the vLLM fake's models hold.
const vllmContext = 8192

func vllmLimits(s Seen) *refusal {
	for _, r := range []struct {
		name   string
		lo, hi float64
		text   string
	}{{"temperature", 0, 2, "temperature must be in [0, 2], got %v."}, {"top_p", 1e-9, 1, "top_p must be in (0, 1], got %v."},
		{"presence_penalty", -2, 2, "presence_penalty must be in [-2, 2], got %v."}, {"frequency_penalty", -2, 2, "frequency_penalty must be in [-2, 2], got %v."}} {
		if outside(s, r.name, r.lo, r.hi) {
			return &refusal{400, "BadRequestError", fmt.Sprintf(r.text, s.Params[r.name]), ""}
		}
	}
	input := len(s.System)
	for _, t := range s.Texts {
		input += len(t)
	}
	input /= 4
	if n, _ := s.Params["tokens"].(float64); int(n)+input > vllmContext {
		return &refusal{400, "BadRequestError", fmt.Sprintf("'max_tokens' or 'max_completion_tokens' is too large: %d. This model's maximum context length is %d tokens and your request has %d input tokens (%d > %d - %d).",
			int(n), vllmContext, input, int(n), vllmContext, input), ""}
	}
	return nil
}

// compatibleLimits are those of the model behind a server that passes on.
func compatibleLimits(s Seen, body map[string]any) *refusal {
	name := s.Model[strings.LastIndexByte(s.Model, '/')+1:]
	switch {
	case strings.HasPrefix(name, "gpt-4"), strings.HasPrefix(name, "llama"):
		for _, p := range []string{"reasoning_effort", "verbosity"} {
			if _, sent := body[p]; sent {
				return invalid("", "Unrecognized request argument supplied: %s", p)
			}
		}
		return nil
	case strings.HasPrefix(name, "claude"):
		if strings.HasPrefix(name, "claude-sonnet-4.5") {
			if s.Params["temperature"] != nil && s.Params["top_p"] != nil {
				return invalid("", "`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
			}
			return nil
		}
		for _, p := range sampling {
			if s.Params[p] != nil {
				return invalid("", "`%s` is deprecated for this model", p)
			}
		}
		return nil
	case strings.HasPrefix(name, "gemini-2.5"):
		if s.Params["presence_penalty"] != nil || s.Params["frequency_penalty"] != nil {
			return gemini("Penalty is not enabled for this model")
		}
		return nil
	}
	for _, p := range append(slices.Clone(sampling), "max_tokens") {
		if _, sent := body[p]; sent && (p != "max_tokens" || strings.HasPrefix(name, "gpt-9")) {
			return invalid(p, "Unsupported parameter: '%s' is not supported with this model.", p)
		}
	}
	return nil
}
