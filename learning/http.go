package learning

import (
	"cmp"
	"context"
	"slices"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
	"rapport/learning/wire"
	"rapport/policy"
)

type ofAgent struct {
	Agent string `path:"agent" maxLength:"200" doc:"The agent's id or slug."`
}

// Routes adds what owners can read of their agents' learning.
func (s *Service) Routes(a *httpapi.API, now func() time.Time) {
	httpapi.Get(a, "/v1/agents/{agent}/learning", httpapi.Op{Summary: "Read what is known of an agent's learning in numbers", Tag: "learning", Scope: authz.ScopeAgents},
		func(ctx context.Context, in *ofAgent) (*AgentRLProjection, error) {
			id, err := s.readable(ctx, authz.Policy, in.Agent)
			if err != nil {
				return nil, err
			}
			return s.Learning(ctx, id, now().UnixMicro())
		})
	httpapi.Get(a, "/v1/agents/{agent}/explanation", httpapi.Op{Summary: "Read what each rating did and why the agent is as it is", Tag: "learning", Scope: authz.ScopeAgents},
		func(ctx context.Context, in *ofAgent) (*Explanation, error) {
			id, err := s.readable(ctx, authz.Explanation, in.Agent)
			if err != nil {
				return nil, err
			}
			return s.Explain(ctx, id)
		})
	httpapi.Get(a, "/v1/archetypes", httpapi.Op{Summary: "List the kinds of owners that emerged", Tag: "learning", Scope: authz.ScopeAgents},
		func(ctx context.Context, _ *struct{}) ([]Archetype, error) { return s.Archetypes(ctx) })
}

// Archetype is a kind of owner that emerged, as anybody may see it: an aggregate of at
// least twenty agents of ten owners.
type Archetype struct {
	ID          int                `json:"id"` // stable from night to night
	Description string             `json:"description"`
	Centre      map[string]float64 `json:"centre"` // the levels such owners like, on average, by trait
	Start       map[string]float64 `json:"start"`  // where an agent that is made for it starts today: as far on the way there as releases went
}

// Archetypes lists the kinds of owners of the newest prior, by id.
func (s *Service) Archetypes(ctx context.Context) ([]Archetype, error) {
	p, err := s.Published(ctx)
	if err != nil {
		return nil, err
	}
	var all []*release
	if err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		all, err = releases(tx)
		return err
	}); err != nil {
		return nil, err
	}
	out := make([]Archetype, len(p.Prior.Archetypes))
	for i, a := range p.Prior.Archetypes {
		start := today(all, a.ID)
		out[i] = Archetype{ID: a.ID, Description: a.Description, Centre: byTrait(&a.Centre), Start: byTrait(&start)}
	}
	slices.SortFunc(out, func(a, b Archetype) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func byTrait(x *policy.Traits) map[string]float64 {
	out := make(map[string]float64, policy.NTraits)
	for j, v := range x {
		out[policy.Trait(j).String()] = wire.Micro(v)
	}
	return out
}

// readable is the agent of a name, when the principal may read k of it.
func (s *Service) readable(ctx context.Context, k authz.Kind, ref string) (id event.AgentID, err error) {
	if id = event.AgentID(ref); s.o.Finder != nil {
		if id, err = s.o.Finder.BySlug(ctx, ref); err != nil {
			return "", err
		}
	}
	return id, s.mayRead(ctx, k, id)
}

func (s *Service) mayRead(ctx context.Context, k authz.Kind, agent event.AgentID) error {
	owner, err := s.OwnerOf(ctx, agent)
	if err != nil {
		return err
	}
	p := authz.From(ctx)
	var more []authz.Relation
	if p.Person != "" && p.Person == owner {
		more = append(more, authz.Owner)
	}
	return p.Check(k, authz.Read, more...)
}
