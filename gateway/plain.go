package gateway

import (
	"bytes"

	"rapport/internal/plainjson"
)

// readPlain reads a request of the usual form without reflection; false when it is
// another, which encoding/json reads. FuzzRequest holds one way to the other.
func (c *completion) readPlain(data []byte) bool {
	r := plainjson.New(data)
	r.Object(func(name []byte) {
		switch string(name) {
		case "model":
			setText(&r, &c.Model)
		case "messages":
			if c.Messages != nil || r.Null() {
				r.Refuse()
				return
			}
			c.Messages = make([]requestMessage, 0, 4)
			r.Array(func() {
				c.Messages = append(c.Messages, requestMessage{})
				c.Messages[len(c.Messages)-1].readPlain(&r)
			})
		case "stream":
			setBool(&r, &c.Stream)
		case "stream_options":
			r.Object(func(name []byte) {
				if string(name) != "include_usage" {
					r.Raw()
					return
				}
				setBool(&r, &c.Options.IncludeUsage)
			})
		case "n":
			setInt(&r, &c.N)
		case "user":
			setText(&r, &c.User)
		case "safety_identifier":
			setText(&r, &c.SafetyID)
		case "max_tokens":
			setInt(&r, &c.MaxTokens)
		case "max_completion_tokens":
			setInt(&r, &c.MaxCompletionTokens)
		case "stop":
			c.Stop = bytes.Clone(r.Raw())
		case "tool_choice":
			c.ToolChoice = bytes.Clone(r.Raw())
		case "function_call":
			c.FunctionCall = bytes.Clone(r.Raw())
		case "metadata", "modalities", "response_format":
			r.Refuse()
		default:
			raw := r.Raw()
			if g := c.unused.named(name); g != nil {
				_ = g.UnmarshalJSON(raw) // fails never
			}
		}
	})
	return r.Done()
}

func (m *requestMessage) readPlain(r *plainjson.Reader) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "role":
			setText(r, &m.Role)
		case "name":
			setText(r, &m.Name)
		case "content":
			m.Content = r.Raw() // the request is nobody else's
		default:
			r.Raw()
		}
	})
}

// What null stands for leaves a field as it is, but a pointer.

func setText(r *plainjson.Reader, to *string) {
	if !r.Null() {
		*to = r.Text("")
	}
}

func setBool(r *plainjson.Reader, to *bool) {
	if !r.Null() {
		*to = r.Bool()
	}
}

func setInt(r *plainjson.Reader, to **int) {
	if *to = nil; !r.Null() {
		n := r.Int()
		*to = &n
	}
}
