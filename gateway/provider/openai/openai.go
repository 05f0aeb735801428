// Package openai speaks the chat completions of OpenAI and of every server that
// does as OpenAI: Azure, OpenRouter, Ollama, llama.cpp, vLLM and others.
//
// Current models want the Responses API for calling tools only; replies of agents
// call none, and chat completions are what all these servers have in common.
//
// Start reading at New, then dialect.Read.
package openai

import (
	"encoding/json"
	"net/http"
	"strings"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// New makes a client of one server. OpenAI's own needs a key.
func New(cfg provider.Config) (*provider.Client, error) {
	cfg.NeedKey = cfg.NeedKey || strings.HasPrefix(cfg.BaseURL, "https://api.openai.com/")
	return provider.NewClient(cfg, dialect{azure: strings.Contains(cfg.BaseURL, ".azure.com/")})
}

type dialect struct {
	azure bool // wants its keys in a header of its own
}

func (d dialect) Authorize(h http.Header, key string) {
	if d.azure {
		h.Set("api-key", key)
		return
	}
	h.Set("Authorization", "Bearer "+key)
}

func (dialect) Request(r provider.Request, known provider.Learned) (string, any) {
	p := r.Params
	b := body{Model: r.Model, Stream: true, Messages: make([]message, 0, len(r.Messages)+1),
		Temperature: number(p.Temperature), TopP: number(p.TopP), PresencePenalty: number(p.PresencePenalty), FrequencyPenalty: number(p.FrequencyPenalty),
		ReasoningEffort: p.Effort, Verbosity: p.Verbosity}
	if r.System != "" {
		b.Messages = append(b.Messages, message{"system", r.System})
	}
	for _, m := range r.Messages {
		b.Messages = append(b.Messages, message{m.Role, m.Text})
	}
	if !known.Refuses("stream_options") {
		b.StreamOptions = &streamOptions{true}
	}
	if p.TokensField == "max_completion_tokens" {
		b.MaxCompletionTokens = p.MaxTokens
	} else {
		b.MaxTokens = p.MaxTokens
	}
	if r.Schema != nil {
		f := &format{Type: "json_schema"}
		f.Schema.Name, f.Schema.Strict, f.Schema.Schema = r.Schema.Name, true, r.Schema.JSON
		b.ResponseFormat = f
	}
	return "chat/completions", b
}

func number(n compile.Number) *float64 {
	if !n.Set() {
		return nil
	}
	return (*float64)(&n)
}

func (d dialect) Read(data []byte, whole bool, a *provider.Answer) error {
	if string(data) == "[DONE]" {
		a.End()
		return nil
	}
	var ch chunk
	if err := ch.read(data, a.Result); err != nil {
		return a.Garbled()
	}
	if len(ch.Error) > 0 && string(ch.Error) != "null" {
		return a.Refuse(d.Refusal(data))
	}
	res := &a.Result
	if ch.ID != "" {
		res.UpstreamID = ch.ID
	}
	if ch.Model != "" {
		res.Model = ch.Model
	}
	if ch.Usage != nil {
		res.PromptTokens, res.ReplyTokens = ch.Usage.Prompt, ch.Usage.Completion
	}
	if len(ch.Choices) == 0 {
		return nil
	}
	choice := ch.Choices[0]
	part := choice.Delta
	if whole {
		part = choice.Message
	}
	if part.Refusal != nil && *part.Refusal != "" {
		a.Finish(provider.FinishFilter)
	}
	if choice.FinishReason != nil {
		if *choice.FinishReason == "error" { // OpenRouter, without more
			return a.Refuse(provider.Refusal{Kind: "server_error"})
		}
		a.Finish(finish(*choice.FinishReason))
	}
	if part.Content == nil {
		return nil
	}
	return a.SayAloud(*part.Content)
}

// finish unifies the reasons; an unknown one counts as a plain end.
func finish(reason string) string {
	switch reason {
	case "length", "max_tokens":
		return provider.FinishLength
	case "content_filter", "refusal", "safety":
		return provider.FinishFilter
	}
	return provider.FinishStop
}

// Refusal reads {"error":{message,type,param,code}}; Ollama's error may be a
// text, vLLM's and llama.cpp's code a number, and vLLM's fields may stand outside.
func (dialect) Refusal(raw []byte) provider.Refusal {
	type problem struct {
		Message string          `json:"message"`
		Type    string          `json:"type"`
		Param   any             `json:"param"`
		Code    any             `json:"code"`
		Error   json.RawMessage `json:"error"`
	}
	var p problem
	_ = json.Unmarshal(raw, &p)
	if len(p.Error) > 0 {
		var inner problem
		if json.Unmarshal(p.Error, &inner) != nil {
			_ = json.Unmarshal(p.Error, &inner.Message)
		}
		p = inner
	}
	f := provider.Refusal{Message: p.Message, Kind: p.Type}
	f.Param, _ = p.Param.(string)
	if code, ok := p.Code.(string); ok {
		f.Kind += " " + code
	}
	return f
}
