// Package gemini speaks the Gemini API's streamGenerateContent.
//
// Start reading at New, then dialect.Read.
package gemini

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// New makes a client. The base URL ends in /v1beta.
func New(cfg provider.Config) (*provider.Client, error) {
	cfg.NeedKey = true
	return provider.NewClient(cfg, dialect{})
}

type dialect struct{}

// Authorize uses the header: a key in the address would be in every log on the way.
func (dialect) Authorize(h http.Header, key string) { h.Set("x-goog-api-key", key) }

type content struct {
	Role  string `json:"role,omitempty"`
	Parts []part `json:"parts"`
}

type part struct {
	Text    string `json:"text"`
	Thought bool   `json:"thought,omitempty"`
}

type body struct {
	SystemInstruction *content  `json:"systemInstruction,omitempty"`
	Contents          []content `json:"contents"`
	Config            config    `json:"generationConfig"`
}

type config struct {
	MaxOutputTokens  int             `json:"maxOutputTokens,omitempty"`
	Temperature      *float64        `json:"temperature,omitempty"`
	TopP             *float64        `json:"topP,omitempty"`
	PresencePenalty  *float64        `json:"presencePenalty,omitempty"`
	FrequencyPenalty *float64        `json:"frequencyPenalty,omitempty"`
	Thinking         *thinking       `json:"thinkingConfig,omitempty"`
	MIMEType         string          `json:"responseMimeType,omitempty"`
	Schema           json.RawMessage `json:"responseJsonSchema,omitempty"`
}

type thinking struct {
	Level  string `json:"thinkingLevel,omitempty"`
	Budget *int   `json:"thinkingBudget,omitempty"`
}

// names are models' names: they become part of the address.
var names = regexp.MustCompile(`^[\w.:@-]{1,128}(/[\w.:@-]{1,128}){0,7}$`)

func (dialect) Request(r provider.Request, _ provider.Learned) (string, any) {
	if !names.MatchString(r.Model) || strings.Contains(r.Model, "..") {
		return "", nil
	}
	path := r.Model
	if !strings.Contains(path, "/") {
		path = "models/" + path
	}
	p := r.Params
	b := body{Contents: make([]content, 0, len(r.Messages)+1), Config: config{MaxOutputTokens: p.MaxTokens, Temperature: number(p.Temperature), TopP: number(p.TopP),
		PresencePenalty: number(p.PresencePenalty), FrequencyPenalty: number(p.FrequencyPenalty)}}
	if r.System != "" {
		b.SystemInstruction = &content{Parts: []part{{Text: r.System}}}
	}
	if len(r.Messages) > 0 && r.Messages[0].Role == provider.RoleAssistant {
		b.Contents = append(b.Contents, content{"user", []part{{Text: "…"}}}) // a talk begins with the person
	}
	for _, m := range r.Messages {
		role := "user"
		if m.Role == provider.RoleAssistant {
			role = "model"
		}
		b.Contents = append(b.Contents, content{role, []part{{Text: m.Text}}})
	}
	switch {
	case p.Effort == "":
	case p.EffortField == compile.EffortBudget:
		if n, err := strconv.Atoi(p.Effort); err == nil {
			b.Config.Thinking = &thinking{Budget: &n}
		}
	default:
		b.Config.Thinking = &thinking{Level: p.Effort}
	}
	if r.Schema != nil {
		b.Config.MIMEType, b.Config.Schema = "application/json", r.Schema.JSON
	}
	return path + ":streamGenerateContent?alt=sse", b
}

func number(n compile.Number) *float64 {
	if !n.Set() {
		return nil
	}
	return (*float64)(&n)
}

type response struct {
	Candidates []struct {
		Content      content `json:"content"`
		FinishReason string  `json:"finishReason"`
	} `json:"candidates"`
	PromptFeedback struct {
		BlockReason string `json:"blockReason"`
	} `json:"promptFeedback"`
	Usage struct {
		Prompt     int `json:"promptTokenCount"`
		Candidates int `json:"candidatesTokenCount"`
		Thoughts   int `json:"thoughtsTokenCount"`
	} `json:"usageMetadata"`
	ID    string          `json:"responseId"`
	Model string          `json:"modelVersion"`
	Error json.RawMessage `json:"error"`
}

func (d dialect) Read(data []byte, whole bool, a *provider.Answer) error {
	if data = bytes.TrimSpace(data); whole && len(data) > 0 && data[0] == '[' { // a server that knows no alt=sse
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			return a.Garbled()
		}
		for _, one := range list {
			if err := d.Read(one, false, a); err != nil {
				return err
			}
		}
		return nil
	}
	var r response
	if err := json.Unmarshal(data, &r); err != nil {
		return a.Garbled()
	}
	if len(r.Error) > 0 && string(r.Error) != "null" {
		return a.Refuse(d.Refusal(data))
	}
	res := &a.Result
	if r.ID != "" {
		res.UpstreamID = r.ID
	}
	if r.Model != "" {
		res.Model = r.Model
	}
	if r.Usage.Prompt > 0 {
		res.PromptTokens, res.ReplyTokens = r.Usage.Prompt, r.Usage.Candidates+r.Usage.Thoughts
	}
	if r.PromptFeedback.BlockReason != "" {
		a.Finish(provider.FinishFilter)
	}
	if len(r.Candidates) == 0 {
		return nil
	}
	c := r.Candidates[0]
	if c.FinishReason != "" {
		a.Finish(finish(c.FinishReason))
	}
	for _, p := range c.Content.Parts {
		if p.Thought {
			continue
		}
		if err := a.Say(p.Text); err != nil {
			return err
		}
	}
	return nil
}

func finish(reason string) string {
	switch reason {
	case "MAX_TOKENS", "CONTINUATION":
		return provider.FinishLength
	case "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE", "IMAGE_SAFETY", "MODEL_ARMOR":
		return provider.FinishFilter
	}
	return provider.FinishStop
}

// Refusal reads {"error":{code,message,status,details}}, alone or in a list.
func (dialect) Refusal(raw []byte) provider.Refusal {
	type problem struct {
		Error struct {
			Message string `json:"message"`
			Status  string `json:"status"`
			Details []struct {
				Reason     string `json:"reason"`
				RetryDelay string `json:"retryDelay"`
			} `json:"details"`
		} `json:"error"`
	}
	var p problem
	var list []problem
	if json.Unmarshal(raw, &list) == nil && len(list) > 0 {
		p = list[0]
	} else {
		_ = json.Unmarshal(raw, &p)
	}
	f := provider.Refusal{Message: p.Error.Message, Kind: p.Error.Status}
	for _, d := range p.Error.Details {
		f.Kind += " " + d.Reason
		if wait, err := time.ParseDuration(d.RetryDelay); err == nil && wait > 0 && wait < time.Hour*24 {
			f.RetryAfter = wait
		}
	}
	return f
}
