package agent

import (
	"context"
	"net/http"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/httpapi"
	"rapport/policy"
)

// AgentPath names the agent of a request.
type AgentPath struct {
	Agent string `path:"agent" maxLength:"200" doc:"The agent's id or slug."`
}

// ActOn is the input of an act without a body.
type ActOn struct {
	AgentPath
	httpapi.IdempotencyHeader
	IfMatch int64 `header:"If-Match" minimum:"0" doc:"The policy version you saw; 409 when another is in force. Left out: any."`
}

func (in ActOn) ref() Ref { return Ref{Agent: in.Agent, Version: in.IfMatch, Key: in.IdempotencyKey} }

// body is the input of an act with one.
type body[B any] struct {
	AgentPath
	IfMatch int64 `header:"If-Match" minimum:"0" doc:"The policy version you saw; 409 when another is in force. Left out: any."`
	Body    B
}

func (in body[B]) ref() Ref { return Ref{Agent: in.Agent, Version: in.IfMatch} }

// posted is one that a key makes harmless to repeat.
type posted[B any] struct {
	ActOn
	Body B
}

// TextsBody is the texts that a request gives; what is left out stays.
type TextsBody struct {
	Name        *string     `json:"name,omitempty" maxLength:"80"`
	Description *string     `json:"description,omitempty" maxLength:"500"`
	Backstory   *string     `json:"backstory,omitempty" maxLength:"8000"`
	Style       *string     `json:"style,omitempty" maxLength:"2000"`
	Scenario    *string     `json:"scenario,omitempty" maxLength:"2000" doc:"Where the talk begins."`
	Greeting    *string     `json:"greeting,omitempty" maxLength:"4000"`
	Openings    *[]string   `json:"openings,omitempty" maxItems:"20" doc:"Other greetings: variants of it, at most 4000 characters each."`
	Appearance  *string     `json:"appearance,omitempty" maxLength:"500" doc:"For who draws it; no model that speaks sees it."`
	Examples    *[]Exchange `json:"examples,omitempty" maxItems:"20"`
}

func (b TextsBody) change(t *Texts) {
	for _, f := range []struct {
		from *string
		to   *string
	}{{b.Name, &t.Name}, {b.Description, &t.Description}, {b.Backstory, &t.Backstory}, {b.Style, &t.Style},
		{b.Scenario, &t.Scenario}, {b.Greeting, &t.Greeting}, {b.Appearance, &t.Appearance}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if b.Openings != nil {
		t.Openings = *b.Openings
	}
	if b.Examples != nil {
		t.Examples = *b.Examples
	}
}

type level struct {
	Lo float64 `json:"lo" minimum:"0" maximum:"1"`
	Hi float64 `json:"hi" minimum:"0" maximum:"1"`
}

type settingsBody struct {
	Pace     *string   `json:"pace,omitempty" enum:"careful,normal,fast"`
	Approval *Approval `json:"approval,omitempty"`
	Mood     *struct {
		Off             *bool    `json:"off,omitempty"`
		BaselineValence *float64 `json:"baselineValence,omitempty" minimum:"-1" maximum:"1"`
		BaselineArousal *float64 `json:"baselineArousal,omitempty" minimum:"-1" maximum:"1"`
	} `json:"mood,omitempty"`
	Exploration *struct {
		Epsilon    *float64 `json:"epsilon,omitempty" minimum:"0" maximum:"1"`
		Strategy   *string  `json:"strategy,omitempty" enum:"posterior-mixture,epsilon,off"`
		HoldoutOff *bool    `json:"holdoutOff,omitempty" doc:"True: no session stays at your start, so nobody can say whether what was learned is better."`
	} `json:"exploration,omitempty"`
	ActionPolicy  *policy.ActionPolicy `json:"actionPolicy,omitempty"`
	Runtime       *policy.Runtime      `json:"runtime,omitempty"`
	AutonomyLevel *int                 `json:"autonomyLevel,omitempty" minimum:"0" maximum:"3"`
	Asking        *struct {
		Intensity *string `json:"intensity,omitempty" enum:"off,gentle,normal,eager" doc:"At most 0, 1, 2 or 4 prompts a week about this agent."`
		Every     *int    `json:"every,omitempty" minimum:"0" maximum:"1000" doc:"Also after every so many talks that were not long and lively; 0 never."`
	} `json:"asking,omitempty" doc:"How much you want to be asked what you think of this agent."`
	Quiet *struct {
		Zone string `json:"zone" maxLength:"64" doc:"Your time zone, as Europe/Berlin or UTC."`
		From int    `json:"from" minimum:"0" maximum:"23"`
		To   int    `json:"to" minimum:"0" maximum:"23"`
	} `json:"quiet,omitempty" doc:"Hours in which the agent begins nothing by itself and answers nobody unasked; from equal to to for none. Until you set them it begins nothing from 22 to 8 o'clock UTC."`
}

func (b settingsBody) settings() Settings {
	s := Settings{Pace: b.Pace, Approval: b.Approval, ActionPolicy: b.ActionPolicy, Runtime: b.Runtime, AutonomyLevel: b.AutonomyLevel}
	if b.Mood != nil {
		s.MoodOff, s.MoodValence, s.MoodArousal = b.Mood.Off, b.Mood.BaselineValence, b.Mood.BaselineArousal
	}
	if b.Asking != nil {
		s.Asking, s.AskEvery = b.Asking.Intensity, b.Asking.Every
	}
	if b.Quiet != nil {
		s.Quiet = &event.Quiet{Zone: b.Quiet.Zone, From: b.Quiet.From, To: b.Quiet.To}
	}
	if b.Exploration != nil {
		s.Epsilon, s.Strategy, s.HoldoutOff = b.Exploration.Epsilon, b.Exploration.Strategy, b.Exploration.HoldoutOff
	}
	return s
}

type page struct {
	AgentPath
	Below int64 `query:"below" minimum:"0" doc:"Only those before this number; the last one you have."`
	Limit int   `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type list[T any] struct {
	Items []T `json:"items"`
}

func listOf[T any](items []T, err error) (list[T], error) { return list[T]{items}, err }

type nothing struct{}

// Routes adds the context's routes.
func (s *Service) Routes(api *httpapi.API) {
	op := func(summary string, errors ...int) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "agent", Scope: authz.ScopeAgents, Errors: errors}
	}
	open := func(summary string, errors ...int) httpapi.Op { // who may is decided by relation
		o := op(summary, errors...)
		o.Scope = ""
		return o
	}
	const conflict = http.StatusConflict

	create := op("Make an agent", conflict)
	create.Status = http.StatusCreated
	httpapi.Post(api, "/v1/agents", create, func(ctx context.Context, in *struct {
		httpapi.IdempotencyHeader
		Body struct {
			TextsBody
			Traits    map[string]float64 `json:"traits,omitempty" doc:"The start, by trait; where all agents start where absent."`
			Archetype int                `json:"archetype,omitempty" minimum:"1" doc:"Id of an archetype: where traits are absent the agent starts where agents made for it do."`
		}
	}) (Agent, error) {
		d := Draft{Traits: in.Body.Traits, Archetype: in.Body.Archetype, Key: in.IdempotencyKey}
		in.Body.change(&d.Texts)
		return s.Create(ctx, d)
	})
	httpapi.Get(api, "/v1/me/places", op("Show how many agents you have and may have"), func(ctx context.Context, _ *nothing) (Places, error) {
		return s.PlacesOf(ctx)
	})
	httpapi.Get(api, "/v1/agents", op("List your agents"), func(ctx context.Context, in *struct {
		Sort  string        `query:"sort" enum:"name,created" default:"name"`
		After event.AgentID `query:"after" doc:"Only those after this agent of yours."`
		Limit int           `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}) (list[Agent], error) {
		return listOf(s.List(ctx, in.Sort, in.After, in.Limit))
	})
	httpapi.Get(api, "/v1/agents/{agent}", open("Show an agent: to everybody its face, to its owner everything"), func(ctx context.Context, in *AgentPath) (Agent, error) {
		return s.Get(ctx, in.Agent)
	})
	httpapi.Patch(api, "/v1/agents/{agent}", open("Change an agent's texts", conflict), func(ctx context.Context, in *body[TextsBody]) (Agent, error) {
		return s.SetTexts(ctx, in.ref(), in.Body.change)
	})
	retire := open("Retire an agent for good", conflict)
	retire.Status = http.StatusNoContent
	httpapi.Delete(api, "/v1/agents/{agent}", retire, func(ctx context.Context, in *ActOn) (nothing, error) {
		return nothing{}, s.Retire(ctx, in.ref())
	})
	httpapi.Put(api, "/v1/agents/{agent}/traits", op("Set levels of traits", conflict), func(ctx context.Context, in *body[struct {
		Traits map[string]float64 `json:"traits" minProperties:"1"`
	}]) (Agent, error) {
		return s.SetTraits(ctx, in.ref(), in.Body.Traits)
	})
	httpapi.Put(api, "/v1/agents/{agent}/pins", op("Pin traits, so that learning never moves them", conflict), func(ctx context.Context, in *body[struct {
		Pinned []string `json:"pinned"`
	}]) (Agent, error) {
		return s.SetPins(ctx, in.ref(), in.Body.Pinned)
	})
	httpapi.Put(api, "/v1/agents/{agent}/bounds", op("Set the limits of traits", conflict), func(ctx context.Context, in *body[struct {
		Bounds map[string]level `json:"bounds"`
	}]) (Agent, error) {
		bounds := map[string]policy.Range{}
		for name, l := range in.Body.Bounds {
			bounds[name] = policy.Range(l)
		}
		return s.SetBounds(ctx, in.ref(), bounds)
	})
	httpapi.Put(api, "/v1/agents/{agent}/settings", op("Change settings; what is left out stays", conflict), func(ctx context.Context, in *body[settingsBody]) (Agent, error) {
		return s.SetSettings(ctx, in.ref(), in.Body.settings())
	})
	for _, act := range []struct {
		name, summary string
		op            func(string, ...int) httpapi.Op
		do            func(context.Context, Ref) (Agent, error)
	}{
		{"pause", "Pause learning", op, s.Pause},
		{"resume", "Let learning go on", op, s.Resume},
		{"kill", "Stop an agent: it neither speaks nor learns", open, s.Kill},
		{"revive", "Let a stopped agent go on", open, s.Revive},
		{"undo", "Take the newest version back", op, s.Undo},
	} {
		httpapi.Post(api, "/v1/agents/{agent}/"+act.name, act.op(act.summary, conflict), func(ctx context.Context, in *ActOn) (Agent, error) {
			return act.do(ctx, in.ref())
		})
	}
	httpapi.Post(api, "/v1/agents/{agent}/rollback", op("Make an earlier version's policy the newest", conflict), func(ctx context.Context, in *posted[struct {
		Version int64 `json:"version" minimum:"1"`
	}]) (Agent, error) {
		return s.Rollback(ctx, in.ref(), in.Body.Version)
	})
	httpapi.Post(api, "/v1/agents/{agent}/transfer", op("Give an agent to another person", conflict), func(ctx context.Context, in *posted[struct {
		To event.PersonID `json:"to" minLength:"1" maxLength:"64"`
	}]) (Agent, error) {
		return s.Transfer(ctx, in.ref(), in.Body.To)
	})
	httpapi.Get(api, "/v1/agents/{agent}/versions", op("List an agent's versions, newest first"), func(ctx context.Context, in *page) (list[Version], error) {
		return listOf(s.Versions(ctx, in.Agent, in.Below, in.Limit))
	})
	httpapi.Get(api, "/v1/agents/{agent}/versions/{version}", op("Show a version with its policy"), func(ctx context.Context, in *struct {
		AgentPath
		Version int64 `path:"version" minimum:"1"`
	}) (Version, error) {
		return s.VersionAt(ctx, in.Agent, in.Version)
	})
	httpapi.Get(api, "/v1/agents/{agent}/diff", op("Show what changed between two versions"), func(ctx context.Context, in *struct {
		AgentPath
		From int64 `query:"from" minimum:"1" required:"true"`
		To   int64 `query:"to" minimum:"1" required:"true"`
	}) (policy.Delta, error) {
		return s.Diff(ctx, in.Agent, in.From, in.To)
	})
	httpapi.Get(api, "/v1/agents/{agent}/audit", op("List who did what to an agent, newest first"), func(ctx context.Context, in *page) (list[Act], error) {
		return listOf(s.Audit(ctx, in.Agent, in.Below, in.Limit))
	})
	httpapi.Get(api, "/v1/agents/{agent}/proposals", op("List changes that wait for your word"), func(ctx context.Context, in *AgentPath) (list[Proposal], error) {
		return listOf(s.Proposals(ctx, in.Agent))
	})
	type decision struct {
		ActOn
		Proposal string `path:"proposal" maxLength:"64"`
	}
	httpapi.Post(api, "/v1/agents/{agent}/proposals/{proposal}/approve", op("Let a proposed change happen", conflict), func(ctx context.Context, in *decision) (Agent, error) {
		return s.Approve(ctx, in.ref(), in.Proposal)
	})
	httpapi.Post(api, "/v1/agents/{agent}/proposals/{proposal}/refuse", op("Say no to a proposed change", conflict), func(ctx context.Context, in *decision) (Agent, error) {
		return s.Refuse(ctx, in.ref(), in.Proposal)
	})
	s.personaRoutes(api)
	admin := func(summary string) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "agent", Scope: authz.ScopeAdmin, Status: http.StatusNoContent}
	}
	httpapi.Post(api, "/v1/admin/kill", admin("Stop all agents"), func(ctx context.Context, _ *nothing) (nothing, error) {
		return nothing{}, s.KillAll(ctx)
	})
	httpapi.Post(api, "/v1/admin/revive", admin("Let all agents go on"), func(ctx context.Context, _ *nothing) (nothing, error) {
		return nothing{}, s.ReviveAll(ctx)
	})
}
