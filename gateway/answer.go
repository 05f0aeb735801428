package gateway

import (
	"net/http"
	"strconv"

	"rapport/event"
	"rapport/internal/plainjson"
)

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

// completionAnswer is a whole answer or a chunk of one.
type completionAnswer struct {
	ID          event.DecisionID `json:"id"`
	Object      string           `json:"object"`
	Created     int64            `json:"created"`
	Model       string           `json:"model"`
	Fingerprint string           `json:"system_fingerprint"`
	Episode     event.EpisodeID  `json:"episode_id,omitempty"`
	Choices     []choice         `json:"choices"`
	Usage       *usage           `json:"usage,omitempty"`
}

type choice struct {
	Index   int            `json:"index"`
	Message *answerMessage `json:"message,omitempty"`
	Delta   *answerMessage `json:"delta,omitempty"`
	Finish  *string        `json:"finish_reason"`
}

type answerMessage struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

func usageOf(out outcome) *usage {
	return &usage{Prompt: out.res.PromptTokens, Completion: out.res.ReplyTokens, Total: out.res.PromptTokens + out.res.ReplyTokens}
}

// whole answers with all of the reply at once.
func (a *completionAnswer) whole(w http.ResponseWriter, out outcome) {
	a.Choices = []choice{{Message: &answerMessage{Role: "assistant", Content: &out.text}, Finish: &out.finish}}
	a.Usage = usageOf(out)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(a.append(make([]byte, 0, 512+len(out.text)), false), '\n'))
}

// append appends what encoding/json writes of it, without reflection: there is one
// for each piece of each reply. Signs of HTML are escaped when html is true.
func (a *completionAnswer) append(b []byte, html bool) []byte {
	text := func(name, s string) {
		b = append(append(b, name...), ':')
		b = plainjson.AppendText(b, s, html)
	}
	number := func(name string, n int64) {
		b = append(append(b, name...), ':')
		b = strconv.AppendInt(b, n, 10)
	}
	text(`{"id"`, string(a.ID))
	text(`,"object"`, a.Object)
	number(`,"created"`, a.Created)
	text(`,"model"`, a.Model)
	text(`,"system_fingerprint"`, a.Fingerprint)
	if a.Episode != "" {
		text(`,"episode_id"`, string(a.Episode))
	}
	b = append(b, `,"choices":[`...)
	for i, c := range a.Choices {
		if i > 0 {
			b = append(b, ',')
		}
		number(`{"index"`, int64(c.Index))
		if c.Message != nil {
			b = c.Message.append(append(b, `,"message":`...), html)
		}
		if c.Delta != nil {
			b = c.Delta.append(append(b, `,"delta":`...), html)
		}
		if c.Finish == nil {
			b = append(b, `,"finish_reason":null}`...)
			continue
		}
		text(`,"finish_reason"`, *c.Finish)
		b = append(b, '}')
	}
	b = append(b, ']')
	if u := a.Usage; u != nil {
		number(`,"usage":{"prompt_tokens"`, int64(u.Prompt))
		number(`,"completion_tokens"`, int64(u.Completion))
		number(`,"total_tokens"`, int64(u.Total))
		b = append(b, '}')
	}
	return append(b, '}')
}

func (m *answerMessage) append(b []byte, html bool) []byte {
	sign := byte('{')
	field := func(name, s string) {
		b = append(append(b, sign), name...)
		b = plainjson.AppendText(b, s, html)
		sign = ','
	}
	if m.Role != "" {
		field(`"role":`, m.Role)
	}
	if m.Content != nil {
		field(`"content":`, *m.Content)
	}
	if sign == '{' {
		b = append(b, '{')
	}
	return append(b, '}')
}
