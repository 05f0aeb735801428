package app

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"rapport/event"
	"rapport/gateway"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/learning/evaluate"
	"rapport/policy"
)

// Evaluation says from the decision log of an agent, or of all agents of an
// archetype, how satisfied owners would have been with other levels. Rewards are
// in units of a rating.
type Evaluation struct {
	AgentID   event.AgentID      `json:"agentId,omitempty"`
	Archetype string             `json:"archetype,omitempty"`
	Target    string             `json:"target" enum:"current,start,trait"`
	Levels    map[string]float64 `json:"levels"`  // what is judged, by trait; of an archetype only where all agents get the same
	Agents    int                `json:"agents"`  // whose sessions were looked at
	Unheard   int                `json:"unheard"` // sessions in which their owner said nothing, or too little

	evaluate.Judgement
}

// The targets of an evaluation.
const (
	TargetCurrent = "current" // the levels that are in force
	TargetStart   = "start"   // the owner's start, in the traits that have moved since
	TargetTrait   = "trait"   // levels of the caller's choice
)

// enoughHeard is what must be known of a session for it to count: more than an
// engagement tells.
const enoughHeard = .1

// fewestOwners is how many owners an archetype's numbers must rest on.
const fewestOwners = 5

// EvaluationQuery says what to judge.
type EvaluationQuery struct {
	Target string `query:"target" enum:"current,start" default:"current" doc:"Which policy to judge, unless traits are given."`
	Trait  string `query:"trait" maxLength:"400" doc:"Levels to judge instead: humor=0.7,brevity=0.3"`
}

func (a *App) evaluationRoutes() {
	httpapi.Get(a.API, "/v1/agents/{agent}/evaluation", httpapi.Op{Summary: "Judge other levels from an agent's decision log", Tag: "learning", Scope: authz.ScopeAgents},
		func(ctx context.Context, in *struct {
			Agent string `path:"agent" maxLength:"200" doc:"The agent's id or slug."`
			EvaluationQuery
		}) (*Evaluation, error) {
			return a.EvaluateAgent(ctx, in.Agent, in.Target, in.Trait)
		})
	httpapi.Get(a.API, "/v1/admin/archetypes/{archetype}/evaluation", httpapi.Op{Summary: "Judge other levels from the decision logs of an archetype's agents", Tag: "admin", Scope: authz.ScopeAdmin},
		func(ctx context.Context, in *struct {
			Archetype string `path:"archetype" maxLength:"100"`
			EvaluationQuery
		}) (*Evaluation, error) {
			if err := a.Accounts.Note(ctx, authz.From(ctx), "evaluate", in.Archetype); err != nil {
				return nil, err
			}
			return a.EvaluateArchetype(ctx, in.Archetype, in.Target, in.Trait)
		})
}

// EvaluateAgent judges for the agent's owner: target current or start, or the
// levels of traits ("humor=0.7,brevity=0.3") where given. Faults: agent_unknown,
// login_required, not_allowed, levels_unreadable.
func (a *App) EvaluateAgent(ctx context.Context, ref, target, traits string) (*Evaluation, error) {
	id, err := a.Agents.BySlug(ctx, ref)
	if err != nil {
		return nil, err
	}
	st, err := a.Gateway.Standing(ctx, id)
	if err != nil {
		return nil, err
	}
	p := authz.From(ctx)
	var more []authz.Relation
	if p.Person != "" && p.Person == st.OwnerID {
		more = append(more, authz.Owner)
	}
	if err := p.Check(authz.Policy, authz.Read, more...); err != nil {
		return nil, err
	}
	e := &Evaluation{AgentID: id}
	return e, a.evaluate(ctx, e, []gateway.Standing{st}, target, traits)
}

// EvaluateArchetype judges for operators on the sessions of all agents of an
// archetype, each around its own levels. Faults: login_required, not_allowed,
// levels_unreadable, and too_few_owners when fewer than five people own them.
func (a *App) EvaluateArchetype(ctx context.Context, archetype, target, traits string) (*Evaluation, error) {
	if err := authz.From(ctx).Check(authz.System, authz.Read); err != nil {
		return nil, err
	}
	agents, err := a.Gateway.OfArchetype(ctx, archetype)
	if err != nil {
		return nil, err
	}
	owners := map[event.PersonID]bool{}
	for _, st := range agents {
		owners[st.OwnerID] = true
	}
	if len(owners) < fewestOwners {
		return nil, fault.New(fault.NotFound, "too_few_owners", "Fewer than %d people own agents of archetype %q, so their numbers are not shown.", fewestOwners, archetype)
	}
	e := &Evaluation{Archetype: archetype}
	return e, a.evaluate(ctx, e, agents, target, traits)
}

func (a *App) evaluate(ctx context.Context, e *Evaluation, agents []gateway.Standing, target, traits string) error {
	asked, of, err := readLevels(traits)
	if err != nil {
		return err
	}
	e.Target, e.Levels, e.Agents = target, map[string]float64{}, len(agents)
	if of != 0 {
		e.Target = TargetTrait
	}
	targets, all := map[string]evaluate.Target{}, []evaluate.Session{}
	for _, st := range agents {
		t := evaluate.Target{Levels: asked, Of: of}
		switch e.Target {
		case TargetCurrent:
			t.Levels, t.Of = st.Policy.Traits, policy.AllTraits&^st.Policy.Pinned
		case TargetStart:
			if t.Levels, err = a.Learning.Start(ctx, st.AgentID); err != nil {
				return err
			}
			for j, v := range t.Levels {
				if !st.Policy.Pinned.Has(policy.Trait(j)) && math.Abs(v-st.Policy.Traits[j]) >= .005 {
					t.Of |= 1 << j
				}
			}
		}
		targets[string(st.AgentID)] = t
		if len(agents) == 1 || of != 0 {
			for _, trait := range t.Of.Traits() {
				e.Levels[trait.String()] = t.Levels[trait]
			}
		}
		sessions, unheard, err := a.heard(ctx, st.AgentID)
		if err != nil {
			return err
		}
		all, e.Unheard = append(all, sessions...), e.Unheard+unheard
	}
	if e.Target == TargetStart && len(agents) > 1 {
		return fault.New(fault.Invalid, "levels_unreadable", "The agents of an archetype started in many places; name the traits to judge, as humor=0.7.")
	}
	if e.Target == TargetCurrent && len(agents) > 1 {
		same := policy.AllTraits
		for _, t := range targets {
			same &= t.Of
		}
		for id, t := range targets {
			t.Of = same
			targets[id] = t
		}
	}
	e.Judgement = evaluate.Judge(all, func(s *evaluate.Session) evaluate.Target { return targets[s.Agent] }, evaluate.DefaultLimits(), evaluate.Options{})
	return nil
}

// heard joins what gateway drew with what learning knows of it.
func (a *parts) heard(ctx context.Context, agent event.AgentID) (sessions []evaluate.Session, unheard int, err error) {
	drawn, err := a.Gateway.Drawn(ctx, agent)
	if err != nil {
		return nil, 0, err
	}
	satisfied, err := a.Learning.Satisfaction(ctx, agent)
	if err != nil {
		return nil, 0, err
	}
	for _, d := range drawn {
		s, ok := satisfied[d.EpisodeID]
		if !ok || s.Weight < enoughHeard {
			unheard++
			continue
		}
		sessions = append(sessions, evaluate.Session{Agent: string(agent), X: d.X, Free: d.Free, LogDensity: d.LogDensity, Drawn: d.Mixture, Reward: s.Value})
	}
	return sessions, unheard, nil
}

// readLevels reads "humor=0.7,brevity=0.3".
func readLevels(text string) (x policy.Traits, of policy.Mask, err error) {
	if text == "" {
		return x, 0, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		t, ok := policy.ParseTrait(name)
		level, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil || !(level >= 0 && level <= 1) || of.Has(t) {
			return x, 0, fault.New(fault.Invalid, "levels_unreadable", "Write levels as humor=0.7,brevity=0.3, each trait once, from 0 to 1.").Because(fmt.Errorf("%q", part))
		}
		x[t] = level
		of |= 1 << t
	}
	return x, of, nil
}
