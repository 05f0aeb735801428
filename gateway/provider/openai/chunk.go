package openai

import (
	"bytes"
	"encoding/json"

	"rapport/gateway/provider"
	"rapport/internal/plainjson"
)

type chunk struct {
	ID      string          `json:"id"`
	Model   string          `json:"model"`
	Choices []choice        `json:"choices"`
	Usage   *usage          `json:"usage"`
	Error   json.RawMessage `json:"error"`
}

type choice struct {
	Delta        content `json:"delta"`
	Message      content `json:"message"`
	FinishReason *string `json:"finish_reason"`
}

type content struct {
	Content *string `json:"content"`
	Refusal *string `json:"refusal"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
}

// read reads a chunk, or a whole answer. Those of the usual form are read without
// reflection, which there are many of; encoding/json reads the others, and FuzzChunk
// holds one way to the other. like is what was read before: most of it comes again.
func (ch *chunk) read(data []byte, like provider.Result) error {
	if ch.readPlain(data, like) {
		return nil
	}
	*ch = chunk{}
	return json.Unmarshal(data, ch)
}

func (ch *chunk) readPlain(data []byte, like provider.Result) bool {
	r := plainjson.New(data)
	r.Object(func(name []byte) {
		switch string(name) {
		case "id":
			ch.ID = orNothing(&r, ch.ID, like.UpstreamID)
		case "model":
			ch.Model = orNothing(&r, ch.Model, like.Model)
		case "choices":
			if ch.Choices != nil || r.Null() {
				r.Refuse()
				return
			}
			ch.Choices = make([]choice, 0, 1)
			r.Array(func() {
				ch.Choices = append(ch.Choices, choice{})
				ch.Choices[len(ch.Choices)-1].readPlain(&r)
			})
		case "usage":
			if r.Null() {
				ch.Usage = nil
				return
			}
			if ch.Usage == nil {
				ch.Usage = &usage{}
			}
			ch.Usage.readPlain(&r)
		case "error":
			ch.Error = bytes.Clone(r.Raw())
		default:
			r.Raw()
		}
	})
	return r.Done()
}

func (c *choice) readPlain(r *plainjson.Reader) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "delta":
			c.Delta.readPlain(r)
		case "message":
			c.Message.readPlain(r)
		case "finish_reason":
			c.FinishReason = textOrNull(r)
		default:
			r.Raw()
		}
	})
}

func (c *content) readPlain(r *plainjson.Reader) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "content":
			c.Content = textOrNull(r)
		case "refusal":
			c.Refusal = textOrNull(r)
		default:
			r.Raw()
		}
	})
}

func (u *usage) readPlain(r *plainjson.Reader) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "prompt_tokens":
			u.Prompt = r.Int()
		case "completion_tokens":
			u.Completion = r.Int()
		default:
			r.Raw()
		}
	})
}

// orNothing reads a text; null changes nothing.
func orNothing(r *plainjson.Reader, before, like string) string {
	if r.Null() {
		return before
	}
	return r.Text(like)
}

func textOrNull(r *plainjson.Reader) *string {
	if r.Null() {
		return nil
	}
	s := r.Text("")
	return &s
}
