package learning

import (
	"context"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/httpapi"
)

type ofAgent struct {
	AgentID event.AgentID `path:"agent" maxLength:"64"`
}

// Routes adds what owners can read of their agents' learning.
func (s *Service) Routes(a *httpapi.API, now func() time.Time) {
	httpapi.Get(a, "/v1/agents/{agent}/learning", httpapi.Op{Summary: "Read what is known of an agent's learning in numbers", Tag: "learning", Scope: authz.ScopeAgents},
		func(ctx context.Context, in *ofAgent) (*AgentRLProjection, error) {
			if err := s.mayRead(ctx, authz.Policy, in.AgentID); err != nil {
				return nil, err
			}
			return s.Learning(ctx, in.AgentID, now().UnixMicro())
		})
	httpapi.Get(a, "/v1/agents/{agent}/explanation", httpapi.Op{Summary: "Read what each rating did and why the agent is as it is", Tag: "learning", Scope: authz.ScopeAgents},
		func(ctx context.Context, in *ofAgent) (*Explanation, error) {
			if err := s.mayRead(ctx, authz.Explanation, in.AgentID); err != nil {
				return nil, err
			}
			return s.Explain(ctx, in.AgentID)
		})
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
