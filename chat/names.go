package chat

import (
	"context"
	"time"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// names asks how members are called, by member id.
func (s *Service) names(ctx context.Context, members []event.Member) (map[string]string, error) {
	people, agents := map[event.PersonID]bool{}, map[event.AgentID]bool{}
	for _, m := range members {
		if m.Kind == event.KindAgent {
			agents[m.AgentID] = true
		} else {
			people[m.PersonID] = true
		}
	}
	out := make(map[string]string, len(people)+len(agents))
	if len(people) > 0 {
		found, err := s.options.People.Names(ctx, sortedKeys(people))
		if err != nil {
			return nil, err
		}
		for id, name := range found {
			out[string(id)] = name
		}
	}
	if len(agents) > 0 {
		found, err := s.options.Agents.AgentNames(ctx, sortedKeys(agents))
		if err != nil {
			return nil, err
		}
		for id, name := range found {
			out[string(id)] = name
		}
	}
	return out, nil
}

// handles gives what agents are mentioned by: name and short name. Answers are
// kept until the agent changes.
func (s *Service) handles(ctx context.Context, agents []event.AgentID) (map[event.AgentID][]string, error) {
	out := make(map[event.AgentID][]string, len(agents))
	var ask []event.AgentID
	for _, id := range agents {
		if kept, ok := s.called.Load(id); ok {
			out[id] = kept.([]string)
		} else {
			ask = append(ask, id)
		}
	}
	if len(ask) == 0 {
		return out, nil
	}
	names, err := s.options.Agents.AgentNames(ctx, ask)
	if err != nil {
		return nil, err
	}
	slugs := map[event.AgentID]string{}
	if s.options.Slugs != nil {
		if slugs, err = s.options.Slugs.AgentSlugs(ctx, ask); err != nil {
			return nil, err
		}
	}
	for _, id := range ask {
		var h []string
		for _, name := range []string{names[id], slugs[id]} {
			if name != "" {
				h = append(h, name)
			}
		}
		if h != nil {
			s.called.Store(id, h)
		}
		out[id] = h
	}
	return out, nil
}

// mustKnow refuses agents and people that do not exist: agent_unknown,
// person_unknown. An agent that was made a moment ago and whose event has not
// come yet is waited for up to two seconds, so that its owner is known.
func (s *Service) mustKnow(ctx context.Context, agents []event.AgentID, people []event.PersonID) error {
	if len(people) > 0 {
		found, err := s.options.People.Names(ctx, people)
		if err != nil {
			return err
		}
		for _, id := range people {
			if _, ok := found[id]; !ok {
				return errPerson
			}
		}
	}
	for _, id := range agents {
		known, err := s.knows(ctx, id)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		found, err := s.options.Agents.AgentNames(ctx, []event.AgentID{id})
		if err != nil {
			return err
		}
		if _, ok := found[id]; !ok {
			return errAgent
		}
		if err := s.awaitAgent(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) awaitAgent(ctx context.Context, id event.AgentID) error {
	for range 200 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		if known, err := s.knows(ctx, id); known || err != nil {
			return err
		}
	}
	f := fault.New(fault.Unavailable, "agent_not_ready", "The agent was just made; try again in a moment.")
	f.RetryAfter = time.Second
	return f
}

// knows says whether an agent is in the projection; agent_unknown when it was
// retired.
func (s *Service) knows(ctx context.Context, id event.AgentID) (known bool, err error) {
	var retired bool
	err = s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		known, err = tx.Get(`select retired from agents where agent_id = $1`, []any{id}, &retired)
		return err
	})
	if err == nil && retired {
		return false, errAgent
	}
	return known, err
}
