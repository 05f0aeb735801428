package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rapport/event"
	"rapport/gateway/guard"
	"rapport/gateway/provider"
	"rapport/gateway/provider/offline"
	"rapport/internal/authz"
	"rapport/internal/fault"
)

// The OpenAI dialect: agents are models named agent/<slug>, the answer's id is our
// decision id (the only carrier that every client keeps), so that feedback can
// name it.

const (
	maxBody     = 1 << 20
	maxMessages = 512
	modelPrefix = "agent/"
	maxTalk     = 96000 // bytes of a caller's messages that a model is given
)

type modelCard struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func cardOf(c Card) modelCard {
	return modelCard{ID: modelPrefix + c.Slug, Object: "model", Created: c.Created / 1e6, OwnedBy: "rapport"}
}

// caller is who asks, or an error in OpenAI's shape.
func caller(r *http.Request) (authz.Principal, error) {
	p := authz.From(r.Context())
	if p.Person == "" {
		return p, fault.New(fault.Unauthenticated, "invalid_api_key", "Send one of your tokens as the API key: Authorization: Bearer …")
	}
	if !p.Has(authz.ScopeChat) {
		return p, fault.New(fault.Forbidden, "scope_missing", "This token lacks the scope %q.", authz.ScopeChat)
	}
	return p, nil
}

func (s *Service) listModels(w http.ResponseWriter, r *http.Request) {
	p, err := caller(r)
	var cards []Card
	if err == nil {
		cards, err = s.o.Directory.AgentsOf(r.Context(), p.Person)
	}
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	data := make([]modelCard, 0, len(cards))
	for _, c := range cards {
		data = append(data, cardOf(c))
	}
	answer(w, struct {
		Object string      `json:"object"`
		Data   []modelCard `json:"data"`
	}{"list", data})
}

func (s *Service) getModel(w http.ResponseWriter, r *http.Request) {
	p, err := caller(r)
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	slug := r.PathValue("slug") + strings.TrimPrefix(r.PathValue("id"), modelPrefix) // one of them is set
	cards, err := s.o.Directory.AgentsOf(r.Context(), p.Person)
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	for _, c := range cards {
		if c.Slug == slug {
			answer(w, cardOf(c))
			return
		}
	}
	if _, err := s.o.Finder.BySlug(r.Context(), slug); err != nil {
		writeOpenAI(w, noModel(err))
		return
	}
	answer(w, cardOf(Card{Slug: slug}))
}

func noModel(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return fault.New(fault.NotFound, "model_not_found", "There is no such agent; models are named agent/<slug>, see /v1/models.")
	}
	return err
}

// completion is a request; fields that are not here are accepted and ignored.
type completion struct {
	Model    string           `json:"model"`
	Messages []requestMessage `json:"messages"`
	Stream   bool             `json:"stream"`
	Options  struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	N                   *int           `json:"n"`
	User                string         `json:"user"`
	MaxTokens           *int           `json:"max_tokens"`
	MaxCompletionTokens *int           `json:"max_completion_tokens"`
	Metadata            map[string]any `json:"metadata"`
}

type requestMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// text reads a content: a string, or parts of which the texts count.
func (m requestMessage) text() (string, error) {
	var s string
	if len(m.Content) == 0 || string(m.Content) == "null" || json.Unmarshal(m.Content, &s) == nil {
		return s, nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(m.Content, &parts); err != nil {
		return "", invalid("messages", "A message's content is a text or a list of parts.")
	}
	for _, p := range parts {
		if p.Type == "text" {
			s += p.Text
		}
	}
	return s, nil
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

func read(r *http.Request) (completion, error) {
	var c completion
	raw, err := io.ReadAll(r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return c, fault.New(fault.TooLarge, "body_too_large", "The request is larger than %d bytes; send fewer messages.", maxBody)
	}
	if err != nil {
		return c, invalid("", "The request could not be read.")
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, invalid("", "The request is not a chat completion in JSON.")
	}
	switch {
	case c.Model == "":
		return c, invalid("model", "Name a model: agent/<slug>, see /v1/models.")
	case len(c.Messages) == 0:
		return c, invalid("messages", "Send at least one message.")
	case len(c.Messages) > maxMessages:
		return c, invalid("messages", fmt.Sprintf("Send at most %d messages.", maxMessages))
	case c.N != nil && *c.N != 1:
		return c, invalid("n", "One answer at a time: n must be 1.")
	}
	return c, nil
}

// talk cleans the messages of a caller. Its system messages are notes from an
// application: quoted, and never in the place of our own prompt.
func (c *completion) talk() ([]provider.Message, error) {
	var out []provider.Message
	for _, m := range c.Messages {
		text, err := m.text()
		if err != nil {
			return nil, err
		}
		switch m.Role {
		case "user", "tool", "function":
			out = say(out, provider.RoleUser, guard.Clean(text, guard.MaxMessage))
		case "assistant":
			out = say(out, provider.RoleAssistant, guard.Clean(text, guard.MaxMessage))
		case "system", "developer":
			if guard.Clean(text, guard.MaxMessage) != "" {
				out = say(out, provider.RoleUser, strings.TrimSpace(guard.Quote("note_data", "app", []guard.Field{{Name: "note from the application", Text: text}})))
			}
		default:
			return nil, invalid("messages", "A role is system, developer, user, assistant or tool.")
		}
	}
	last := c.Messages[len(c.Messages)-1]
	if len(out) == 0 || out[len(out)-1].Role != provider.RoleUser || last.Role == "system" || last.Role == "developer" {
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

// name is whom a name was of.
type name struct {
	id event.AgentID
	at event.Micros
}

// called is how long a name is remembered.
const called = event.Micros(time.Second / time.Microsecond)

// named finds an agent by its slug or id. Fault of kind not_found.
func (s *Service) named(ctx context.Context, ref string) (event.AgentID, error) {
	now := s.now()
	s.mu.Lock()
	n, ok := s.names[ref]
	s.mu.Unlock()
	if ok && now-n.at < called {
		return n.id, nil
	}
	id, err := s.o.Finder.BySlug(ctx, ref)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.names) >= remembered {
		clear(s.names)
	}
	s.names[ref] = name{id, now}
	return id, nil
}

// question finds agent and session.
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
	given := r.Header.Get("x-session-id")
	if given == "" {
		given, _ = c.Metadata["session_id"].(string)
	}
	if len(given) > 256 || len(c.User) > 256 {
		return q, invalid("metadata", "A session id and a user have at most 256 bytes.")
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
	Episode     event.EpisodeID  `json:"episode_id"`
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

func (s *Service) complete(w http.ResponseWriter, r *http.Request) {
	p, err := caller(r)
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	c, err := read(r)
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	talk, err := c.talk()
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	q, err := s.completionQuestion(r, p, &c)
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	ctx, watched := s.o.Watch.Reply(r.Context(), r.Header)
	defer watched.End()
	r = r.WithContext(ctx)
	plan, committed, err := s.decide(ctx, q)
	if err == nil {
		plan.watched = watched.Decided(plan.body)
	}
	if err == nil && plan.body.Action != "" { // silence: only a kill switch silences a direct talk
		if err = committed(); err == nil {
			err = s.silenced(plan.body.Reasons)
		}
		if err == nil {
			err = fault.New(fault.Conflict, "agent_silenced", "This agent does not speak now (%s).", strings.Join(plan.body.Reasons, ", "))
		}
	}
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	head := completionAnswer{ID: q.decision, Object: "chat.completion", Created: s.now() / 1e6, Model: c.Model, Episode: plan.body.EpisodeID,
		Fingerprint: "policy-" + strconv.FormatInt(plan.body.PolicyVersion, 10) + "-" + plan.body.CompileHash[:8]}
	if isDemo(plan.body.Provider) {
		head.Model = offline.Model
		w.Header().Set("x-offline-demo", "true; not an AI model")
	}
	h := w.Header()
	h.Set("x-request-id", string(q.decision))
	h.Set("x-decision-id", string(q.decision))
	h.Set("x-episode-id", string(plan.body.EpisodeID))
	h.Set("x-session-id", string(plan.body.SessionID))
	h.Set("x-policy-version", strconv.FormatInt(plan.body.PolicyVersion, 10))
	if len(plan.body.Dropped) > 0 {
		h.Set("x-dropped-parameters", strings.Join(plan.body.Dropped, ","))
	}
	talk = append(fewShot(plan.profile.FewShot), talk...)
	if c.Stream {
		s.stream(w, r, q, plan, head, talk, committed, c.Options.IncludeUsage)
		return
	}
	out := s.speak(r.Context(), plan, talk, committed, func(string) error { return nil })
	if err := committed(); err != nil {
		writeOpenAI(w, err)
		return
	}
	s.finishLater(r.Context(), q, plan, out)
	if out.code != "" {
		writeOpenAI(w, failure(out))
		return
	}
	head.Choices = []choice{{Message: &answerMessage{Role: "assistant", Content: &out.text}, Finish: &out.finish}}
	head.Usage = usageOf(out)
	answer(w, head)
}

func usageOf(out outcome) *usage {
	return &usage{Prompt: out.res.PromptTokens, Completion: out.res.ReplyTokens, Total: out.res.PromptTokens + out.res.ReplyTokens}
}

// stream answers with server-sent events: the role, the texts, the finish reason,
// the usage, [DONE]. The usage comes once, as clients add up what comes: with the
// finish reason, or when it is asked for in a chunk of its own. A failure after
// the first byte is an error chunk and no [DONE]; before it, an ordinary error.
func (s *Service) stream(w http.ResponseWriter, r *http.Request, q question, plan *plan, head completionAnswer, talk []provider.Message, committed func() error, includeUsage bool) {
	head.Object = "chat.completion.chunk"
	control := http.NewResponseController(w)
	started := false
	send := func(v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return sendEvent(w, control, data)
	}
	begin := func() error {
		if started {
			return nil
		}
		started = true
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
		empty := ""
		head.Choices = []choice{{Delta: &answerMessage{Role: "assistant", Content: &empty}}}
		return send(head)
	}
	out := s.speak(r.Context(), plan, talk, committed, func(text string) error {
		if err := begin(); err != nil {
			return err
		}
		head.Choices = []choice{{Delta: &answerMessage{Content: &text}}}
		return send(head)
	})
	err := committed()
	if err == nil {
		s.finishLater(r.Context(), q, plan, out)
		if out.code != "" {
			err = failure(out)
		}
	}
	switch {
	case err != nil && !started:
		writeOpenAI(w, err)
		return
	case err != nil:
		_, doc := openAIError(err)
		_ = send(doc)
		return
	}
	head.Choices = []choice{{Delta: &answerMessage{}, Finish: &out.finish}}
	if !includeUsage {
		head.Usage = usageOf(out)
	}
	if send(head) != nil {
		return
	}
	if includeUsage {
		head.Choices, head.Usage = []choice{}, usageOf(out)
		if send(head) != nil {
			return
		}
	}
	_ = sendEvent(w, control, []byte("[DONE]"))
}

// peerPatience is how long a caller may leave a chunk untaken.
const peerPatience = 30 * time.Second

func sendEvent(w io.Writer, control *http.ResponseController, data []byte) error {
	_ = control.SetWriteDeadline(time.Now().Add(peerPatience))
	if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
		return err
	}
	return control.Flush()
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
