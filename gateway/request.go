package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"rapport/event"
	"rapport/gateway/guard"
	"rapport/gateway/provider"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/plainjson"
)

// completion is a request. How an agent speaks is its policy's to say: a caller's
// sampling is accepted and not used, and what agents cannot do is refused. Fields
// that are not here are accepted and ignored.
type completion struct {
	Model    string           `json:"model"`
	Messages []requestMessage `json:"messages"`
	Stream   bool             `json:"stream"`
	Options  struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	N                   *int            `json:"n"`
	User                string          `json:"user"`
	SafetyID            string          `json:"safety_identifier"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Stop                json.RawMessage `json:"stop"` // a text or a list of texts
	Metadata            map[string]any  `json:"metadata"`

	ToolChoice     json.RawMessage `json:"tool_choice"`
	FunctionCall   json.RawMessage `json:"function_call"` // its name before there were tools
	Modalities     []string        `json:"modalities"`
	ResponseFormat struct {
		Type string `json:"type"`
	} `json:"response_format"`

	unused // by agents: what their policy says instead
}

// unused parameters are accepted, and named in the answer's header
// x-ignored-parameters.
type unused struct {
	Temperature      given `json:"temperature"`
	TopP             given `json:"top_p"`
	TopK             given `json:"top_k"`
	MinP             given `json:"min_p"`
	PresencePenalty  given `json:"presence_penalty"`
	FrequencyPenalty given `json:"frequency_penalty"`
	Seed             given `json:"seed"`
	LogitBias        given `json:"logit_bias"`
	Logprobs         given `json:"logprobs"`
	Tools            given `json:"tools"`
	Functions        given `json:"functions"`
	ReasoningEffort  given `json:"reasoning_effort"`
	Verbosity        given `json:"verbosity"`
}

// given says whether a field says something.
type given bool

func (g *given) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null", "false", "[]", "{}":
	default:
		*g = true
	}
	return nil
}

// all are the parameters by name, in an order.
func (u *unused) all() [13]struct {
	name string
	is   *given
} {
	return [...]struct {
		name string
		is   *given
	}{
		{"temperature", &u.Temperature}, {"top_p", &u.TopP}, {"top_k", &u.TopK}, {"min_p", &u.MinP}, {"presence_penalty", &u.PresencePenalty}, {"frequency_penalty", &u.FrequencyPenalty},
		{"seed", &u.Seed}, {"logit_bias", &u.LogitBias}, {"logprobs", &u.Logprobs}, {"tools", &u.Tools}, {"functions", &u.Functions}, {"reasoning_effort", &u.ReasoningEffort}, {"verbosity", &u.Verbosity},
	}
}

// named is the parameter of a name, nil when there is none.
func (u *unused) named(name []byte) *given {
	for _, f := range u.all() {
		if f.name == string(name) {
			return f.is
		}
	}
	return nil
}

// names are those that were given.
func (u *unused) names() string {
	var b strings.Builder
	for _, f := range u.all() {
		if *f.is {
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f.name)
		}
	}
	return b.String()
}

type requestMessage struct {
	Role    string          `json:"role"`
	Name    string          `json:"name"`
	Content json.RawMessage `json:"content"`
}

// What stands in a text for a part that agents cannot perceive.
var marks = map[string]string{"image_url": "[a picture, not shown to you]", "input_image": "[a picture, not shown to you]", "input_audio": "[a recording, not played to you]", "file": "[a file, not shown to you]", "input_file": "[a file, not shown to you]"}

// text reads a content: a string, or parts of which the texts count. seen is false
// when it has parts and none of them is a text.
func (m requestMessage) text() (s string, seen bool, err error) {
	r := plainjson.New(m.Content)
	if s = r.Text(""); r.Done() {
		return s, true, nil
	}
	if len(m.Content) == 0 || string(m.Content) == "null" || json.Unmarshal(m.Content, &s) == nil {
		return s, true, nil
	}
	var parts []struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		Refusal string `json:"refusal"`
	}
	if err := json.Unmarshal(m.Content, &parts); err != nil {
		return "", false, invalid("messages", "A message's content is a text or a list of parts.")
	}
	seen = len(parts) == 0
	for _, p := range parts {
		if mark, not := marks[p.Type]; not {
			s += mark
			continue
		}
		s += p.Text + p.Refusal
		seen = seen || strings.TrimSpace(p.Text+p.Refusal) != ""
	}
	return s, seen, nil
}

// unseen is how many bytes of the messages are no text: what agents cannot perceive.
func (c *completion) unseen() (n int) {
	for _, m := range c.Messages {
		if text, _, err := m.text(); err == nil && len(m.Content) > 0 && m.Content[0] == '[' {
			n += max(0, len(m.Content)-2*len(text)) // what is escaped is longer than its text
		}
	}
	return n
}

// badParam is a request error that names its parameter.
type badParam struct {
	cause *fault.Error
	param string
}

func (b badParam) Error() string { return b.cause.Error() }
func (b badParam) Unwrap() error { return b.cause }

func invalid(param, message string) error {
	return badParam{fault.New(fault.Invalid, "invalid_value", "%s", message), param}
}

// cannot is the error for what agents do not do.
func cannot(param, message string) error {
	return badParam{fault.New(fault.Invalid, "unsupported_value", "%s", message), param}
}

// read takes a request in and checks all of it but the messages.
func read(r *http.Request) (completion, error) {
	var c completion
	var b bytes.Buffer
	b.Grow(int(min(max(r.ContentLength, 0), 64<<10)) + bytes.MinRead) // as far as it is said, not more than most have
	_, err := b.ReadFrom(r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return c, fault.New(fault.TooLarge, "body_too_large", "The request is larger than %d bytes; send fewer pictures or messages.", maxRequest)
	}
	if err != nil {
		return c, invalid("", "The request could not be read.")
	}
	if !c.readPlain(b.Bytes()) {
		c = completion{}
		err = json.Unmarshal(b.Bytes(), &c)
	}
	if err != nil {
		if odd, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && odd.Field != "" {
			field, _, _ := strings.Cut(odd.Field, ".")
			return c, invalid(field, "The field "+field+" has the wrong type.")
		}
		return c, invalid("", "The request is not a chat completion in JSON.")
	}
	if b.Len() > maxBody && b.Len()-c.unseen() > maxBody {
		return c, fault.New(fault.TooLarge, "body_too_large", "The request is larger than %d bytes without pictures; send fewer messages.", maxBody)
	}
	if c.User == "" {
		c.User = c.SafetyID
	}
	switch choice := string(c.ToolChoice); {
	case c.Model == "":
		return c, invalid("model", "Name a model: agent/<slug>, see /v1/models.")
	case len(c.Messages) == 0:
		return c, invalid("messages", "Send at least one message.")
	case len(c.Messages) > maxMessages:
		return c, invalid("messages", fmt.Sprintf("Send at most %d messages.", maxMessages))
	case c.N != nil && *c.N != 1:
		return c, invalid("n", "One answer at a time: n must be 1.")
	case choice == `"required"` || strings.HasPrefix(choice, "{"):
		return c, cannot("tool_choice", "Agents call no tools; leave tool_choice out, or send \"auto\" or \"none\".")
	case strings.HasPrefix(string(c.FunctionCall), "{"):
		return c, cannot("function_call", "Agents call no functions; leave function_call out, or send \"auto\" or \"none\".")
	case c.ResponseFormat.Type != "" && c.ResponseFormat.Type != "text":
		return c, cannot("response_format", "Agents answer as they speak, not in JSON; leave response_format out.")
	case slices.Contains(c.Modalities, "audio"):
		return c, cannot("modalities", "Agents answer in text only.")
	}
	return c, nil
}

// Where a caller may want a reply to end.
const (
	maxStops    = 16
	maxStopSize = 200
)

// stops are the texts that a reply ends before.
func (c *completion) stops() ([]string, error) {
	var list []string
	if raw := string(c.Stop); raw == "" || raw == "null" {
		return nil, nil
	}
	if json.Unmarshal(c.Stop, &list) != nil {
		list = []string{""}
		if json.Unmarshal(c.Stop, &list[0]) != nil {
			return nil, invalid("stop", "stop is a text or a list of texts.")
		}
	}
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	if len(list) > maxStops || slices.ContainsFunc(list, func(s string) bool { return len(s) > maxStopSize }) {
		return nil, invalid("stop", fmt.Sprintf("Send at most %d stop texts of at most %d bytes.", maxStops, maxStopSize))
	}
	return list, nil
}

// note is what an application says beside the talk: quoted as data, never in the
// place of our own prompt, never as if a person had said it.
func note(name, text string) string {
	if guard.Clean(text, guard.MaxMessage) == "" {
		return ""
	}
	return strings.TrimSpace(guard.Quote("note_data", "app", []guard.Field{{Name: name, Text: text}}))
}

// talk cleans the messages of a caller. What an application says (system and
// developer messages, results of tools, the beginning of a reply that it wants
// continued) are notes. The last message is to be answered: a person's, or a note.
func (c *completion) talk() ([]provider.Message, error) {
	var out []provider.Message
	last := len(c.Messages) - 1
	for i, m := range c.Messages {
		text, seen, err := m.text()
		if err != nil {
			return nil, err
		}
		switch m.Role {
		case "user":
			if i == last && !seen {
				return nil, cannot("messages", "Agents read text only: say in words what they should see or hear.")
			}
			out = say(out, provider.RoleUser, guard.Clean(text, guard.MaxMessage))
		case "assistant":
			if i == last {
				out = say(out, provider.RoleUser, note("beginning of your reply; write only what follows it", text))
				continue
			}
			out = say(out, provider.RoleAssistant, guard.Clean(text, guard.MaxMessage))
		case "system", "developer":
			name := "note from the application"
			if who := guard.Clean(m.Name, guard.MaxName); who != "" {
				name += ", " + strings.ReplaceAll(who, "\n", " ") // an example's speaker, of SillyTavern's
			}
			out = say(out, provider.RoleUser, note(name, text))
		case "tool", "function":
			out = say(out, provider.RoleUser, note("result of a tool of the application", text))
		default:
			return nil, invalid("messages", "A role is system, developer, user, assistant or tool.")
		}
	}
	if len(out) == 0 || out[len(out)-1].Role != provider.RoleUser || !slices.ContainsFunc(c.Messages, func(m requestMessage) bool { return m.Role != "assistant" }) {
		return nil, invalid("messages", "The last message must be the person's, and not empty.")
	}
	for n, left := len(out), maxTalk; n > 1; n-- { // the newest that fit
		if left -= len(out[n-1].Text); left < 0 {
			out = out[n:]
			break
		}
	}
	if out[0].Role == provider.RoleAssistant && len(out) > 1 {
		out = out[1:]
	}
	return out, nil
}

// session names the caller's session where the request says which: our header, the
// metadata, or the header that Open WebUI sends with each message of a chat.
func (c *completion) session(h http.Header) string {
	if given := h.Get("x-session-id"); given != "" {
		return given
	}
	if given, _ := c.Metadata["session_id"].(string); given != "" {
		return given
	}
	return h.Get("x-openwebui-chat-id")
}

// completionQuestion finds agent and session.
func (s *Service) completionQuestion(r *http.Request, p authz.Principal, c *completion) (question, error) {
	ref := strings.TrimPrefix(c.Model, modelPrefix)
	id, err := s.named(r.Context(), ref)
	if err != nil {
		return question{}, noModel(err)
	}
	if _, err := s.heard(r.Context(), id); err != nil {
		return question{}, err
	}
	q := question{decision: event.DecisionID(event.NewID()), agent: id, person: p.Person, direct: true, addressed: true, consent: true}
	given := c.session(r.Header)
	if len(c.User) > 256 {
		return q, invalid("user", "A user has at most 256 bytes.")
	}
	if len(given) > 256 {
		return q, invalid("metadata", "A session id has at most 256 bytes.")
	}
	if given != "" {
		q.session = event.SessionID(event.HashID("gateway", "session", string(p.Person), string(id), given))
	} else {
		q.caller = event.HashID("gateway", "caller", p.Token, string(p.Person), string(id), c.User)
	}
	for _, most := range []*int{c.MaxTokens, c.MaxCompletionTokens} {
		if most != nil && *most > 0 && *most < 1<<20 {
			q.maxWords = max(1, *most*3/4)
		}
	}
	return q, nil
}
