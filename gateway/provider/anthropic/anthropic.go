// Package anthropic speaks Anthropic's Messages API.
//
// Start reading at New, then dialect.Read.
package anthropic

import (
	"encoding/json"
	"net/http"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// New makes a client. The base URL ends in /v1.
func New(cfg provider.Config) (*provider.Client, error) {
	cfg.NeedKey = true
	return provider.NewClient(cfg, dialect{})
}

type dialect struct{}

func (dialect) Authorize(h http.Header, key string) {
	h.Set("x-api-key", key)
	h.Set("anthropic-version", "2023-06-01")
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type body struct {
	Model        string        `json:"model"`
	System       string        `json:"system,omitempty"`
	Messages     []message     `json:"messages"`
	Stream       bool          `json:"stream"`
	MaxTokens    int           `json:"max_tokens"`
	Temperature  *float64      `json:"temperature,omitempty"`
	TopP         *float64      `json:"top_p,omitempty"`
	OutputConfig *outputConfig `json:"output_config,omitempty"`
}

type outputConfig struct {
	Effort string  `json:"effort,omitempty"`
	Format *format `json:"format,omitempty"`
}

type format struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

// required is sent where no cap is known, since the API wants one.
const required = 4096

func (dialect) Request(r provider.Request, _ provider.Learned) (string, any) {
	b := body{Model: r.Model, System: r.System, Stream: true, MaxTokens: r.Params.MaxTokens,
		Temperature: number(r.Params.Temperature), TopP: number(r.Params.TopP), Messages: make([]message, 0, len(r.Messages)+1)}
	if b.MaxTokens <= 0 {
		b.MaxTokens = required
	}
	if len(r.Messages) > 0 && r.Messages[0].Role == provider.RoleAssistant {
		b.Messages = append(b.Messages, message{provider.RoleUser, "…"}) // a talk begins with the person
	}
	for _, m := range r.Messages {
		b.Messages = append(b.Messages, message{m.Role, m.Text})
	}
	if r.Params.Effort != "" || r.Schema != nil {
		b.OutputConfig = &outputConfig{Effort: r.Params.Effort}
		if r.Schema != nil {
			b.OutputConfig.Format = &format{"json_schema", r.Schema.JSON}
		}
	}
	return "messages", b
}

func number(n compile.Number) *float64 {
	if !n.Set() {
		return nil
	}
	return (*float64)(&n)
}

// event is any event of a stream, or a whole message.
type event struct {
	Type    string `json:"type"`
	Message struct {
		ID    string `json:"id"`
		Model string `json:"model"`
		Usage usage  `json:"usage"`
	} `json:"message"`
	Delta struct {
		Type       string  `json:"type"`
		Text       string  `json:"text"`
		StopReason *string `json:"stop_reason"`
	} `json:"delta"`
	Block block `json:"content_block"`
	Usage usage `json:"usage"`

	ID         string  `json:"id"`
	Model      string  `json:"model"`
	Content    []block `json:"content"`
	StopReason *string `json:"stop_reason"`
}

type block struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type usage struct {
	Input      int `json:"input_tokens"`
	CacheRead  int `json:"cache_read_input_tokens"`
	CacheWrite int `json:"cache_creation_input_tokens"`
	Output     int `json:"output_tokens"`
}

func (u usage) into(res *provider.Result) {
	if n := u.Input + u.CacheRead + u.CacheWrite; n > 0 {
		res.PromptTokens = n
	}
	if u.Output > 0 { // counts up
		res.ReplyTokens = u.Output
	}
}

func (d dialect) Read(data []byte, _ bool, a *provider.Answer) error {
	var e event
	if err := json.Unmarshal(data, &e); err != nil || e.Type == "" {
		return a.Garbled()
	}
	res := &a.Result
	switch e.Type {
	case "message_start":
		res.UpstreamID, res.Model = e.Message.ID, e.Message.Model
		e.Message.Usage.into(res)
	case "content_block_start":
		if e.Block.Type == "text" {
			return a.Say(e.Block.Text)
		}
	case "content_block_delta":
		if e.Delta.Type == "text_delta" {
			return a.Say(e.Delta.Text)
		}
	case "message_delta":
		e.Usage.into(res)
		if e.Delta.StopReason != nil {
			a.Finish(finish(*e.Delta.StopReason))
		}
	case "message_stop":
		a.End()
	case "error":
		return a.Refuse(d.Refusal(data))
	case "message": // from a server that does not stream
		res.UpstreamID, res.Model = e.ID, e.Model
		e.Usage.into(res)
		if e.StopReason != nil {
			a.Finish(finish(*e.StopReason))
		}
		for _, b := range e.Content {
			if b.Type == "text" {
				if err := a.Say(b.Text); err != nil {
					return err
				}
			}
		}
	}
	return nil // ping, thinking, what is to come
}

func finish(reason string) string {
	switch reason {
	case "max_tokens", "model_context_window_exceeded", "pause_turn":
		return provider.FinishLength
	case "refusal":
		return provider.FinishFilter
	}
	return provider.FinishStop
}

// Refusal reads {"type":"error","error":{type,message}}.
func (dialect) Refusal(raw []byte) provider.Refusal {
	var p struct {
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(raw, &p)
	return provider.Refusal{Message: p.Error.Message, Kind: p.Error.Type}
}
