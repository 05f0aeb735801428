package feedback

import (
	"context"

	"rapport/event"
	"rapport/feedback/asking"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Why says whether a person would be asked about an agent now, and what it hangs on.
type Why struct {
	PersonID     event.PersonID  `json:"personId"`
	AgentID      event.AgentID   `json:"agentId"`
	Intensity    string          `json:"intensity" enum:"off,gentle,normal,eager" doc:"Set by the agent's owner."`
	PerWeek      int             `json:"perWeek" doc:"Prompts about this agent that the intensity allows in any seven days."`
	Every        int             `json:"every" doc:"Also after every so many talks; 0 never."`
	Budget       int             `json:"budget" doc:"Prompts across all agents that the person allows in any seven days."`
	AskedAbout   int             `json:"askedAbout" doc:"Prompts about this agent in the last seven days."`
	Asked        int             `json:"asked" doc:"The same about all their agents."`
	PassedBy     int             `json:"passedBy" doc:"Prompts about this agent in a row that were seen and not answered."`
	Slower       int             `json:"slower" minimum:"1" doc:"How many times longer the distance is because of that."`
	GivenAt      event.Micros    `json:"givenAt,omitempty" doc:"When they last gave feedback on this agent themselves."`
	AfterSession asking.Decision `json:"afterSession" doc:"About the last talk."`
	CheckIn      asking.Decision `json:"checkIn"`
	Prompts      []PastPrompt    `json:"prompts" doc:"The newest twenty about this agent, newest first."`
}

// PastPrompt is a prompt and what became of it.
type PastPrompt struct {
	Kind    asking.Kind  `json:"kind" enum:"after_session,inline,check_in"`
	State   string       `json:"state" enum:"asked,shown,skipped,answered,expired"`
	Code    string       `json:"code"`
	Because string       `json:"reason"`
	AskedAt event.Micros `json:"askedAt"`
}

const pastShown = 20

// Why explains asking to the person themselves, or to an operator, whose look is
// noted; person empty is oneself. Faults: not_found for an agent, person_unknown,
// forbidden.
func (s *Service) Why(ctx context.Context, p authz.Principal, person event.PersonID, agent event.AgentID) (w Why, err error) {
	if person == "" {
		person = p.Person
	}
	var relations []authz.Relation
	if p.Person != "" && p.Person == person {
		relations = append(relations, authz.Self)
	}
	if err := p.Check(authz.Person, authz.Read, relations...); err != nil {
		return w, err
	}
	if !p.Has(authz.ScopeFeedback) && !p.Has(authz.ScopeAdmin) {
		return w, fault.New(fault.Forbidden, "scope_missing", "This token lacks the scope %q.", authz.ScopeFeedback)
	}
	if person != p.Person {
		if s.notes != nil {
			if err := s.notes.Note(ctx, p, "why asked", string(person)+"/"+string(agent)); err != nil {
				return w, err
			}
		}
		if s.people != nil {
			names, err := s.people.Names(ctx, []event.PersonID{person})
			if err != nil {
				return w, err
			}
			if _, known := names[person]; !known {
				return w, fault.New(fault.NotFound, "person_unknown", "There is no such person; name them by their id.")
			}
		}
	}
	now := s.now()
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		k, err := s.known(tx, person, agent, now)
		if err != nil {
			return err
		}
		slower, _ := s.rules.Doubled(k, now)
		w = Why{PersonID: person, AgentID: agent, Intensity: string(k.Intensity), PerWeek: s.rules.Paces[k.Intensity].PerWeek, Every: k.Every, Budget: k.Budget, Slower: 1 << slower, GivenAt: k.Given,
			AfterSession: asking.DecideAfterSession(s.rules, k, now), CheckIn: asking.DecideCheckIn(s.rules, k, now), Prompts: []PastPrompt{}}
		if !k.Owns { // how somebody wants to be asked about theirs is theirs
			w.Intensity, w.PerWeek, w.Every = string(asking.Off), 0, 0
		}
		var about []asking.Prompt
		for _, one := range k.History {
			recent := one.At > now-7*24*3600e6
			if recent {
				w.Asked++
			}
			if one.Agent == agent {
				about = append(about, one)
				if recent {
					w.AskedAbout++
				}
			}
		}
		w.PassedBy = asking.Passed(about, now)
		past, err := promptsWhere(tx, `person_id = $1 and agent_id = $2 and prompt_id in (select prompt_id from prompts where person_id = $3 and agent_id = $4 order by asked_at desc, prompt_id desc limit $5)`,
			person, agent, person, agent, pastShown)
		for i := len(past) - 1; i >= 0; i-- {
			one := past[i]
			w.Prompts = append(w.Prompts, PastPrompt{one.Kind, one.StateAt(now), one.reason, asking.Because(one.reason), one.At})
		}
		return err
	})
	return w, err
}

// AskBudget is how much a person wants to be asked.
type AskBudget struct {
	Budget int `json:"budget" minimum:"0" maximum:"28" doc:"Prompts in any seven days across all your agents; 0 for none."`
}

// Budget gives the principal's own.
func (s *Service) Budget(ctx context.Context, p authz.Principal) (b AskBudget, err error) {
	if err := self(p, authz.Read); err != nil {
		return b, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		b.Budget, err = s.budgetOf(tx, p.Person)
		return err
	})
	return b, err
}

// SetBudget sets it. Fault invalid budget_refused outside 0 to asking.MaxBudget.
func (s *Service) SetBudget(ctx context.Context, p authz.Principal, b AskBudget) (AskBudget, error) {
	if err := self(p, authz.Change); err != nil {
		return b, err
	}
	if b.Budget < 0 || b.Budget > asking.MaxBudget {
		return b, fault.New(fault.Invalid, "budget_refused", "A budget goes from 0, never, to %d prompts in seven days.", asking.MaxBudget)
	}
	return b, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into ask_budgets (person_id, budget, at) values ($1, $2, $3) on conflict (person_id) do update set budget = excluded.budget, at = excluded.at`, p.Person, b.Budget, s.now())
		return err
	})
}

func self(p authz.Principal, v authz.Verb) error {
	if p.Person == "" {
		return p.Check(authz.Person, v)
	}
	return p.Check(authz.Person, v, authz.Self)
}

func (s *Service) budgetOf(tx *sqldb.Tx, person event.PersonID) (int, error) {
	n := s.rules.Budget
	_, err := tx.Get(`select budget from ask_budgets where person_id = $1`, []any{person}, &n)
	return n, err
}
