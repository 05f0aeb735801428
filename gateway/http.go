package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/rule"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Routes adds the context's routes.
func (s *Service) Routes(a *httpapi.API) {
	httpapi.Get(a, "/v1/agents/{agent}/compile", httpapi.Op{Summary: "Show the prompt, numbers and route that a policy becomes", Tag: "gateway", Scope: authz.ScopeAgents}, s.getCompile)
	httpapi.Get(a, "/v1/decisions/{decision}", httpapi.Op{Summary: "Show why an answer was as it was", Tag: "gateway"}, func(ctx context.Context, in *struct {
		ID event.DecisionID `path:"decision"`
	}) (Decided, error) {
		return s.Decision(ctx, in.ID)
	})
	httpapi.Post(a, "/v1/rooms/{room}/messages/{message}/retry", httpapi.Op{Summary: "Let agents try again whose answer to your message failed", Tag: "gateway", Scope: authz.ScopeChat, Status: 202, Errors: []int{409}}, func(ctx context.Context, in *struct {
		Room    event.RoomID    `path:"room"`
		Message event.MessageID `path:"message"`
	}) (Retried, error) {
		n, err := s.TryAgain(ctx, in.Room, in.Message)
		return Retried{n}, err
	})
	httpapi.Get(a, "/v1/me/replies", httpapi.Op{Summary: "Show how many replies you got today and may get", Tag: "gateway", Scope: authz.ScopeChat}, func(ctx context.Context, _ *struct{}) (Replies, error) {
		return s.RepliesOf(ctx)
	})
	httpapi.Get(a, "/v1/me/spending", httpapi.Op{Summary: "Show what your agents used today, and may use", Tag: "gateway", Scope: authz.ScopeAgents}, func(ctx context.Context, _ *struct{}) (Spending, error) {
		return s.SpendingOf(ctx)
	})
	httpapi.Get(a, "/v1/mapping-rules", httpapi.Op{Summary: "Show the mapping rules in force", Tag: "gateway"}, s.getRules)
	httpapi.Get(a, "/v1/audible", httpapi.Op{Summary: "Show which traits are heard in which model's replies", Tag: "gateway"}, func(ctx context.Context, _ *struct{}) ([]HeardCurve, error) {
		return s.AudibleCurves(ctx)
	})
	httpapi.Get(a, "/v1/schemas/mapping-rules", httpapi.Op{Summary: "Show the JSON Schema of mapping rules", Tag: "gateway", Public: true},
		func(context.Context, *struct{}) (json.RawMessage, error) { return rule.Schema(), nil })

	// These speak the OpenAI dialect, errors too, so they check who asks themselves.
	a.Dialect(atDoor)
	open := func(summary string) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "openai", Public: true, AnySite: true, MaxBody: maxRequest, Errors: []int{400, 401, 403, 404, 409, 413, 429, 502, 504}}
	}
	a.Handle("GET /v1/models", open("List your agents and the platform's as OpenAI models"), http.HandlerFunc(s.listModels), nil)
	a.Handle("GET /v1/models/{id}", open("Show an agent as an OpenAI model"), http.HandlerFunc(s.getModel), nil) // clients write agent%2Fmira
	a.Handle("GET /v1/models/agent/{slug}", open("Show an agent as an OpenAI model"), http.HandlerFunc(s.getModel), nil)
	a.Handle("POST /v1/chat/completions", open("Talk with an agent in the OpenAI dialect, streaming or not"), http.HandlerFunc(s.complete), nil)
}

type compileIn struct {
	ID string `path:"agent" doc:"Id or slug of the agent."`
	X  string `query:"x" doc:"Levels to compile instead of the policy's own: humor=0.8,brevity=0.3" maxLength:"400"`
	At string `query:"context" enum:"dmWithOwner,dmWithOthers,groupSmall,groupLarge" doc:"Where the agent speaks, dmWithOwner when empty."`
}

// Compiled is a behaviour profile with the levels it was compiled from.
type Compiled struct {
	X         policy.Traits `json:"x"`
	Inaudible []string      `json:"inaudible"` // traits that this model's replies do not change with: nothing is learned of them
	compile.Profile
}

func (s *Service) getCompile(ctx context.Context, in *compileIn) (json.RawMessage, error) {
	c, err := s.Compile(ctx, in.ID, in.X, in.At)
	if err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

// Compile shows what an agent's policy becomes now, for its owner: at the
// policy's own levels, or at those of x ("humor=0.8,brevity=0.3") where given.
// place is one of event's Context constants, dmWithOwner when empty.
//
// Faults: agent_unknown, login_required, not_allowed, levels_unreadable.
func (s *Service) Compile(ctx context.Context, ref, x, place string) (Compiled, error) {
	id, err := s.o.Finder.BySlug(ctx, ref)
	if err != nil {
		return Compiled{}, err
	}
	v, err := s.heard(ctx, id)
	if err != nil {
		return Compiled{}, err
	}
	p := authz.From(ctx)
	var more []authz.Relation
	if p.Person != "" && p.Person == v.owner {
		more = append(more, authz.Owner)
	}
	if err := p.Check(authz.Compile, authz.Read, more...); err != nil {
		return Compiled{}, err
	}
	if place == "" {
		place = event.ContextDMWithOwner
	}
	levels := v.doc.Traits
	for part := range strings.SplitSeq(x, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		if name == "" && x == "" {
			continue
		}
		t, ok := policy.ParseTrait(name)
		level, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil || !(level >= 0 && level <= 1) {
			return Compiled{}, fault.New(fault.Invalid, "levels_unreadable", "Write levels as humor=0.8,brevity=0.3, each from 0 to 1.")
		}
		levels[t] = level
	}
	m := compile.Moment{}
	m.Valence, m.Arousal, m.MoodOff = feels(v.mood, s.now())
	direct := place == event.ContextDMWithOwner || place == event.ContextDMWithOthers
	m.Situation = compile.Situation{Place: place, Direct: direct, Addressed: direct, Killed: !v.alive}
	c := Compiled{X: levels, Inaudible: []string{}, Profile: v.prepared.Compile(levels, m)}
	for _, t := range v.unheard.Traits() {
		c.Inaudible = append(c.Inaudible, t.String())
	}
	c.SystemPrompt = strings.ReplaceAll(c.SystemPrompt, v.prepared.Canary(), "(hidden)") // who knows the mark can avoid it
	return c, nil
}

func (s *Service) getRules(ctx context.Context, _ *struct{}) (out json.RawMessage, err error) {
	var body string
	set, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select body from mapping_rules where version = $1`, []any{set.inForce.Version}, &body)
		return err
	})
	return json.RawMessage(body), err
}
