package providertest

import (
	"encoding/json"
	"net/http"
	"strings"

	"rapport/gateway/compile"
)

// wire is the form of one vendor's API, seen from its server.
type wire interface {
	base() string
	open(r *http.Request, key string) (model string, bad *refusal) // path, headers, key
	see(body map[string]any) Seen
	problem(r *refusal) any
	noModel() *refusal
	begin(model string) []string
	piece(text string) string
	fails(text string) string
	end(model string, s Step) []string
	whole(model, text string, s Step) any
	cut() string // the word for a reply that met its cap
}

func data(v any) string {
	b, _ := json.Marshal(v)
	return "data: " + string(b) + "\n\n"
}

type object = map[string]any

func text(v any) string { s, _ := v.(string); return s }

func in(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// take copies what is there under our name.
func (s *Seen) take(name string, v any) {
	if v != nil {
		if s.Params == nil {
			s.Params = map[string]any{}
		}
		s.Params[name] = v
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

type openaiWire struct{ vendor string }

func (openaiWire) base() string { return "/v1" }

func (openaiWire) open(r *http.Request, key string) (string, *refusal) {
	if r.URL.Path != "/v1/chat/completions" || r.Method != http.MethodPost {
		return "", &refusal{404, "invalid_request_error", "Invalid URL (" + r.Method + " " + r.URL.Path + ")", ""}
	}
	if key != "" && r.Header.Get("Authorization") != "Bearer "+key {
		return "", &refusal{401, "invalid_request_error invalid_api_key", "Incorrect API key provided: " + r.Header.Get("Authorization"), ""}
	}
	return "", nil
}

func (openaiWire) see(body map[string]any) Seen {
	s := Seen{Model: text(body["model"])}
	for _, name := range []string{"temperature", "top_p", "presence_penalty", "frequency_penalty", "verbosity"} {
		s.take(name, body[name])
	}
	s.take("effort", body["reasoning_effort"])
	s.take("schema", in(body, "response_format", "json_schema", "schema"))
	s.take("tokens", body["max_tokens"])
	s.take("tokens", body["max_completion_tokens"])
	list, _ := body["messages"].([]any)
	for _, m := range list {
		if text(in(m, "role")) == "system" {
			s.System = text(in(m, "content"))
			continue
		}
		s.Texts = append(s.Texts, text(in(m, "content")))
	}
	return s
}

func (openaiWire) problem(r *refusal) any {
	kind, code, _ := strings.Cut(r.kind, " ")
	e := object{"message": r.text, "type": kind, "param": nil, "code": nil}
	if r.param != "" {
		e["param"] = r.param
	}
	if code != "" {
		e["code"] = code
	}
	return object{"error": e}
}

func (w openaiWire) noModel() *refusal {
	if w.vendor == compile.VendorOllama {
		return &refusal{404, "not_found_error", `model "missing" not found, try pulling it first`, ""}
	}
	return &refusal{404, "invalid_request_error model_not_found", "The model `missing` does not exist or you do not have access to it.", ""}
}

func (openaiWire) chunk(model string, delta, finish any) string {
	return data(object{"id": "up-1", "object": "chat.completion.chunk", "model": model, "obfuscation": "x",
		"choices": []any{object{"index": 0, "delta": delta, "finish_reason": finish}}})
}

func (w openaiWire) begin(model string) []string {
	return []string{": ping\n\nevent: message\n", w.chunk(model, object{"role": "assistant", "content": ""}, nil)}
}

func (w openaiWire) piece(text string) string { return w.chunk("m", object{"content": text}, nil) }

func (openaiWire) fails(text string) string {
	return data(object{"error": object{"message": text, "type": "server_error"}})
}

func (w openaiWire) end(model string, s Step) []string {
	out := []string{w.chunk(model, object{}, or(s.Finish, "stop"))}
	if !s.NoUsage {
		out = append(out, data(object{"id": "up-1", "model": model, "choices": []any{}, "usage": w.usage()}))
	}
	if !s.NoDone {
		out = append(out, "data: [DONE]\n\n")
	}
	return out
}

func (openaiWire) usage() object {
	return object{"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
}

func (w openaiWire) whole(model, text string, s Step) any {
	return object{"id": "up-1", "model": model, "usage": w.usage(),
		"choices": []any{object{"index": 0, "finish_reason": or(s.Finish, "stop"), "message": object{"role": "assistant", "content": text}}}}
}

func (openaiWire) cut() string { return "length" }

type anthropicWire struct{}

func (anthropicWire) base() string { return "/v1" }

func (anthropicWire) open(r *http.Request, key string) (string, *refusal) {
	switch {
	case r.URL.Path != "/v1/messages" || r.Method != http.MethodPost:
		return "", &refusal{404, "not_found_error", "Not Found", ""}
	case r.Header.Get("anthropic-version") == "":
		return "", &refusal{400, "invalid_request_error", "anthropic-version: header is required", ""}
	case key != "" && r.Header.Get("x-api-key") != key:
		return "", &refusal{401, "authentication_error", "invalid x-api-key " + r.Header.Get("x-api-key"), ""}
	}
	return "", nil
}

func (anthropicWire) see(body map[string]any) Seen {
	s := Seen{Model: text(body["model"]), System: text(body["system"])}
	for _, name := range []string{"temperature", "top_p"} {
		s.take(name, body[name])
	}
	s.take("effort", in(body, "output_config", "effort"))
	s.take("schema", in(body, "output_config", "format", "schema"))
	s.take("tokens", body["max_tokens"])
	list, _ := body["messages"].([]any)
	for _, m := range list {
		s.Texts = append(s.Texts, text(in(m, "content")))
	}
	return s
}

func (anthropicWire) problem(r *refusal) any {
	kind, _, _ := strings.Cut(or(r.kind, "api_error"), " ")
	return object{"type": "error", "error": object{"type": kind, "message": r.text}, "request_id": "req_1"}
}

func (anthropicWire) noModel() *refusal {
	return &refusal{404, "not_found_error", "model: missing", ""}
}

func named(event string, v object) string {
	v["type"] = event
	return "event: " + event + "\n" + data(v)
}

func (anthropicWire) begin(model string) []string {
	return []string{
		named("message_start", object{"message": object{"id": "up-1", "type": "message", "role": "assistant", "model": model, "content": []any{}, "stop_reason": nil,
			"usage": object{"input_tokens": 9, "cache_read_input_tokens": 2, "output_tokens": 1}}}),
		named("content_block_start", object{"index": 0, "content_block": object{"type": "thinking", "thinking": "", "signature": ""}}),
		named("content_block_delta", object{"index": 0, "delta": object{"type": "thinking_delta", "thinking": "hidden"}}),
		named("content_block_delta", object{"index": 0, "delta": object{"type": "signature_delta", "signature": "x"}}),
		named("content_block_stop", object{"index": 0}),
		named("ping", object{}),
		named("content_block_start", object{"index": 1, "content_block": object{"type": "text", "text": ""}}),
	}
}

func (anthropicWire) piece(text string) string {
	return named("content_block_delta", object{"index": 1, "delta": object{"type": "text_delta", "text": text}})
}

func (anthropicWire) fails(text string) string {
	return named("error", object{"error": object{"type": "overloaded_error", "message": text}})
}

func (anthropicWire) end(_ string, s Step) []string {
	out := []string{named("content_block_stop", object{"index": 1})}
	delta := object{"delta": object{"stop_reason": or(s.Finish, "end_turn"), "stop_sequence": nil}}
	if !s.NoUsage {
		delta["usage"] = object{"output_tokens": 7}
	}
	out = append(out, named("message_delta", delta))
	if !s.NoDone {
		out = append(out, named("message_stop", object{}))
	}
	return out
}

func (anthropicWire) whole(model, text string, s Step) any {
	return object{"id": "up-1", "type": "message", "model": model, "stop_reason": or(s.Finish, "end_turn"), "usage": object{"input_tokens": 11, "output_tokens": 7},
		"content": []any{object{"type": "thinking", "thinking": "hidden"}, object{"type": "text", "text": text}}}
}

func (anthropicWire) cut() string { return "max_tokens" }

type geminiWire struct{}

func (geminiWire) base() string { return "/v1beta" }

func (geminiWire) open(r *http.Request, key string) (string, *refusal) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1beta/models/")
	model, verb, _ := strings.Cut(path, ":")
	switch {
	case !ok || verb != "streamGenerateContent" || r.URL.Query().Get("alt") != "sse" || r.Method != http.MethodPost:
		return "", &refusal{404, "NOT_FOUND", "Not Found", ""}
	case r.URL.Query().Has("key"):
		return "", &refusal{400, "INVALID_ARGUMENT", "a key in the address ends up in logs", ""}
	case key != "" && r.Header.Get("x-goog-api-key") != key:
		return "", &refusal{400, "INVALID_ARGUMENT API_KEY_INVALID", "API key not valid. Please pass a valid API key.", ""}
	}
	return model, nil
}

func (geminiWire) see(body map[string]any) Seen {
	var s Seen
	config := in(body, "generationConfig")
	for ours, theirs := range map[string]string{"temperature": "temperature", "top_p": "topP", "presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty",
		"tokens": "maxOutputTokens", "schema": "responseJsonSchema"} {
		s.take(ours, in(config, theirs))
	}
	s.take("effort", in(config, "thinkingConfig", "thinkingLevel"))
	s.take("effort", in(config, "thinkingConfig", "thinkingBudget"))
	join := func(content any) (out string) {
		parts, _ := in(content, "parts").([]any)
		for _, p := range parts {
			out += text(in(p, "text"))
		}
		return out
	}
	s.System = join(body["systemInstruction"])
	list, _ := body["contents"].([]any)
	for _, c := range list {
		s.Texts = append(s.Texts, join(c))
	}
	return s
}

func (geminiWire) problem(r *refusal) any {
	status, reason, _ := strings.Cut(r.kind, " ")
	e := object{"code": r.status, "message": r.text, "status": status}
	if reason != "" {
		e["details"] = []any{object{"reason": reason}}
	}
	return object{"error": e}
}

func (geminiWire) noModel() *refusal {
	return &refusal{404, "NOT_FOUND", "models/missing is not found for API version v1beta, or is not supported for generateContent.", ""}
}

func (geminiWire) response(model string, content object, usage bool) object {
	r := object{"responseId": "up-1", "modelVersion": model, "candidates": []any{content}}
	if usage {
		r["usageMetadata"] = object{"promptTokenCount": 11, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 18}
	}
	return r
}

func says(text string) object {
	return object{"role": "model", "parts": []any{object{"text": text}}}
}

func (w geminiWire) begin(model string) []string {
	return []string{data(w.response(model, object{"content": object{"role": "model", "parts": []any{object{"text": "hidden", "thought": true}}}}, false))}
}

func (w geminiWire) piece(text string) string {
	return data(object{"candidates": []any{object{"content": says(text)}}})
}

func (w geminiWire) fails(text string) string {
	return data(w.problem(&refusal{503, "UNAVAILABLE", text, ""}))
}

func (w geminiWire) end(model string, s Step) []string {
	return []string{data(w.response(model, object{"content": says(""), "finishReason": or(s.Finish, "STOP")}, !s.NoUsage))}
}

func (w geminiWire) whole(model, text string, s Step) any {
	return []any{w.response(model, object{"content": says(text), "finishReason": or(s.Finish, "STOP")}, true)}
}

func (geminiWire) cut() string { return "MAX_TOKENS" }
