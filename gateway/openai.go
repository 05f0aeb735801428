package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"rapport/event"
	"rapport/gateway/provider"
	"rapport/gateway/provider/offline"
	"rapport/internal/authz"
	"rapport/internal/fault"
)

// The OpenAI dialect: agents are models named agent/<slug>, the answer's id is our
// decision id (the only carrier that every client keeps), so that feedback can
// name it.

const (
	maxBody     = 1 << 20  // bytes of a request, pictures and recordings in it not counted
	maxRequest  = 24 << 20 // with them: a client sends those of a talk with every message
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
	by := "rapport"
	if c.Platform {
		by = "platform"
	}
	return modelCard{ID: modelPrefix + c.Slug, Object: "model", Created: c.Created / 1e6, OwnedBy: by}
}

// caller is who asks, or an error in OpenAI's shape.
func caller(r *http.Request) (authz.Principal, error) {
	p := authz.From(r.Context())
	if p.Person == "" {
		if r.Header.Get("Authorization") != "" {
			return p, fault.New(fault.Unauthenticated, "invalid_api_key", "This API key is no token of this server, or it has ended; the page /mine makes one.")
		}
		return p, fault.New(fault.Unauthenticated, "invalid_api_key", "Send one of your tokens as the API key, Authorization: Bearer …; the page /mine makes them.")
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
	if text := c.chore(r.Header); text != "" {
		s.completeChore(w, r, p, &c, text)
		return
	}
	talk, err := c.talk()
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	stops, err := c.stops()
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	q, err := s.completionQuestion(r, p, &c)
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	s.backlog.asking.Add(1)
	defer s.backlog.asking.Add(-1)
	ctx, watched := s.o.Watch.Reply(r.Context(), r.Header)
	defer watched.End()
	plan, committed, err := s.decide(ctx, q)
	if err == nil {
		plan.watched, plan.stop = watched.Decided(plan.body), stops
	}
	if err == nil && plan.body.Action != "" { // silence: only a kill switch silences a direct talk
		if err = committed(); err == nil {
			err = s.silenced(plan.body.Reasons)
		}
		if err == nil {
			err = fault.New(fault.Conflict, "agent_silenced", "This agent is stopped (%s); it speaks again when its owner or an operator lets it go on.", strings.Join(plan.body.Reasons, ", "))
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
		w.Header().Set("X-Offline-Demo", "true; not an AI model")
	}
	h := w.Header()
	h.Set("X-Request-Id", string(q.decision))
	h.Set("X-Decision-Id", string(q.decision))
	h.Set("X-Episode-Id", string(plan.body.EpisodeID))
	h.Set("X-Session-Id", string(plan.body.SessionID))
	h.Set("X-Policy-Version", strconv.FormatInt(plan.body.PolicyVersion, 10))
	if len(plan.body.Dropped) > 0 {
		h.Set("X-Dropped-Parameters", strings.Join(plan.body.Dropped, ","))
	}
	if names := c.unused.names(); names != "" {
		h.Set("X-Ignored-Parameters", names)
	}
	talk, plan.barred = s.siftRequest(ctx, &c, talk)
	talk = append(fewShot(plan.profile.FewShot), talk...)
	if c.Stream {
		s.stream(ctx, w, q, plan, head, talk, committed, c.Options.IncludeUsage)
		return
	}
	out := s.speakBeside(ctx, plan, talk, committed, func(string) error { return nil }) // nothing leaves before all of it is there
	if err := committed(); err != nil {
		writeOpenAI(w, err)
		return
	}
	s.finishLater(ctx, q, plan, out)
	if out.code != "" {
		writeOpenAI(w, failure(out))
		return
	}
	head.whole(w, out)
}

// completeChore answers what an application wants for itself.
func (s *Service) completeChore(w http.ResponseWriter, r *http.Request, p authz.Principal, c *completion, text string) {
	_, err := s.named(r.Context(), strings.TrimPrefix(c.Model, modelPrefix))
	if err != nil {
		writeOpenAI(w, noModel(err))
		return
	}
	out, model, err := s.doChore(r.Context(), p.Person, text)
	if err != nil {
		writeOpenAI(w, err)
		return
	}
	head := completionAnswer{ID: event.DecisionID(event.NewID()), Object: "chat.completion", Created: s.now() / 1e6, Model: model, Fingerprint: "chore"}
	if c.Stream {
		e := newEvents(w, head)
		if e.say(out.text) == nil {
			e.end(out, c.Options.IncludeUsage)
		}
		return
	}
	head.whole(w, out)
}

// stream answers piece by piece.
func (s *Service) stream(ctx context.Context, w http.ResponseWriter, q question, plan *plan, head completionAnswer, talk []provider.Message, committed func() error, includeUsage bool) {
	e := newEvents(w, head)
	beat, quiet := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { e.beat(beat, s.keepAlive, committed) })
	out := s.speakBeside(ctx, plan, talk, committed, e.say)
	quiet()
	beating.Wait()
	err := committed()
	if err == nil {
		s.finishLater(ctx, q, plan, out)
		if out.code != "" {
			err = failure(out)
		}
	}
	if err != nil {
		e.fail(err)
		return
	}
	e.end(out, includeUsage)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
