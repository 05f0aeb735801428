package openai

import (
	"encoding/json"
	"slices"
	"strconv"

	"rapport/internal/plainjson"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type body struct {
	Model               string         `json:"model"`
	Messages            []message      `json:"messages"`
	Stream              bool           `json:"stream"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
	MaxTokens           int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens int            `json:"max_completion_tokens,omitempty"`
	Temperature         *float64       `json:"temperature,omitempty"`
	TopP                *float64       `json:"top_p,omitempty"`
	PresencePenalty     *float64       `json:"presence_penalty,omitempty"`
	FrequencyPenalty    *float64       `json:"frequency_penalty,omitempty"`
	ReasoningEffort     string         `json:"reasoning_effort,omitempty"`
	Verbosity           string         `json:"verbosity,omitempty"`
	ResponseFormat      *format        `json:"response_format,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type format struct {
	Type   string `json:"type"`
	Schema struct {
		Name   string          `json:"name"`
		Strict bool            `json:"strict"`
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// AppendJSON is for provider.Client: there is a body for every reply. One that asks
// for a document, or has a very small number, is left to encoding/json.
func (b body) AppendJSON(to []byte) ([]byte, bool) {
	if b.ResponseFormat != nil {
		return nil, false
	}
	size := 512
	for _, m := range b.Messages {
		size += 64 + len(m.Content) + len(m.Content)/16
	}
	to = slices.Grow(to, size)
	text := func(name, s string) {
		to = append(append(to, name...), ':')
		to = plainjson.AppendText(to, s, false)
	}
	text(`{"model"`, b.Model)
	to = append(to, `,"messages":[`...)
	for i, m := range b.Messages {
		if i > 0 {
			to = append(to, ',')
		}
		text(`{"role"`, m.Role)
		text(`,"content"`, m.Content)
		to = append(to, '}')
	}
	to = append(to, `],"stream":`...)
	to = strconv.AppendBool(to, b.Stream)
	if b.StreamOptions != nil {
		to = append(to, `,"stream_options":{"include_usage":`...)
		to = append(strconv.AppendBool(to, b.StreamOptions.IncludeUsage), '}')
	}
	whole := func(name string, n int) {
		if n != 0 {
			to = append(to, name...)
			to = strconv.AppendInt(to, int64(n), 10)
		}
	}
	whole(`,"max_tokens":`, b.MaxTokens)
	whole(`,"max_completion_tokens":`, b.MaxCompletionTokens)
	plain := true
	number := func(name string, n *float64) {
		if n == nil {
			return
		}
		if size := max(*n, -*n); *n != 0 && !(size >= 1e-6 && size < 1e21) { // or no number at all
			plain = false
			return
		}
		to = append(to, name...)
		to = strconv.AppendFloat(to, *n, 'f', -1, 64)
	}
	number(`,"temperature":`, b.Temperature)
	number(`,"top_p":`, b.TopP)
	number(`,"presence_penalty":`, b.PresencePenalty)
	number(`,"frequency_penalty":`, b.FrequencyPenalty)
	if b.ReasoningEffort != "" {
		text(`,"reasoning_effort"`, b.ReasoningEffort)
	}
	if b.Verbosity != "" {
		text(`,"verbosity"`, b.Verbosity)
	}
	return append(to, '}'), plain
}
