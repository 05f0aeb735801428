package provider

import "strings"

// The marks of thinking that some servers leave in the text.
const thinkOpen, thinkClose = "<think>", "</think>"

// thought is how far into a reply's leading block of thinking a stream is.
type thought struct {
	held  string // not passed on yet
	state int
}

const (
	before = iota // nothing but space so far, or a part of the opening mark
	within
	after // nothing but space since the closing mark
	past
)

// SayAloud is Say for servers that may leave the model's thinking in the text: a
// block <think>…</think> at the beginning is not passed on.
func (a *Answer) SayAloud(text string) error {
	t := &a.thought
	if t.state == past {
		return a.Say(text)
	}
	t.held += text
	if t.state == before {
		switch lead := strings.TrimLeft(t.held, " \t\r\n"); {
		case strings.HasPrefix(lead, thinkOpen):
			t.state = within
		case !strings.HasPrefix(thinkOpen, lead):
			return a.flush()
		}
	}
	if t.state == within {
		_, rest, ok := strings.Cut(t.held, thinkClose)
		if !ok {
			t.held = t.held[max(0, len(t.held)-len(thinkClose)):] // the mark may come in parts
			return nil
		}
		t.state, t.held = after, rest
	}
	if t.state == after {
		if t.held = strings.TrimLeft(t.held, " \t\r\n"); t.held != "" {
			return a.flush()
		}
	}
	return nil
}

// flush passes on what was held back, but thinking.
func (a *Answer) flush() error {
	t := &a.thought
	text := t.held
	if t.held = ""; t.state == within || strings.TrimSpace(text) == "" {
		return nil
	}
	t.state = past
	return a.Say(text)
}
