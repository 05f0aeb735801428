package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rapport/event"
	"rapport/gateway/provider"
	"rapport/gateway/provider/calling"
	"rapport/internal/authz"
	"rapport/internal/sqldb"
)

// Spending is what the caller's agents used today, UTC, and may use.
type Spending struct {
	Counted bool         `json:"counted" doc:"False where the administrator set neither budgets nor prices: then nothing is counted."`
	EndsAt  event.Micros `json:"endsAt" doc:"When the day ends, UTC."`
	Spent
	Agents []AgentSpent `json:"agents" doc:"Your agents by id."`
}

// AgentSpent is what one of them used.
type AgentSpent struct {
	AgentID event.AgentID `json:"agentId"`
	Slug    string        `json:"slug"`
	Spent
}

// Spent is what was used, and how much may be.
type Spent struct {
	Tokens     int64   `json:"tokens" doc:"Prompts and replies together, hidden thinking too."`
	TokenLimit int64   `json:"tokenLimit" doc:"0: no limit."`
	Cost       float64 `json:"cost" doc:"In the unit of the administrator's prices; a model without a price costs nothing."`
	CostLimit  float64 `json:"costLimit" doc:"0: no limit."`
}

func spentOf(a, limit calling.Amount) Spent {
	return Spent{Tokens: a.Tokens, TokenLimit: limit.Tokens, Cost: float64(a.Cost) / 1e6, CostLimit: float64(limit.Cost) / 1e6}
}

// SpendingOf gives the principal's own.
func (s *Service) SpendingOf(ctx context.Context) (Spending, error) {
	now := s.now()
	out := Spending{Counted: s.budget != nil, EndsAt: (now/day + 1) * day, Agents: []AgentSpent{}}
	p := authz.From(ctx)
	if p.Person == "" {
		return out, p.Check(authz.Compile, authz.Read)
	}
	if err := p.Check(authz.Compile, authz.Read, authz.Owner); err != nil || s.budget == nil {
		return out, err
	}
	of := func(kind, id string) calling.Amount { return s.budget.Spent(calling.Account{Kind: kind, ID: id}) }
	out.Spent = spentOf(of(calling.Owner, string(p.Person)), s.o.Budgets.Owner)
	cards, err := s.o.Directory.AgentsOf(ctx, p.Person)
	for _, c := range cards {
		if !c.Platform {
			out.Agents = append(out.Agents, AgentSpent{c.ID, c.Slug, spentOf(of(calling.Agent, string(c.ID)), s.o.Budgets.Agent)})
		}
	}
	slices.SortFunc(out.Agents, func(a, b AgentSpent) int { return strings.Compare(string(a.AgentID), string(b.AgentID)) })
	return out, err
}

// keepSpending is how many days of spending are kept.
const keepSpending = 400

// loadSpending makes the budgets and tells them what was spent today before.
func (s *Service) loadSpending(ctx context.Context) error {
	if s.o.Budgets == (calling.Limits{}) && len(s.o.Prices) == 0 {
		return nil
	}
	s.budget = calling.NewDaily(s.o.Budgets, s.o.Clock)
	now := s.o.Clock()
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`delete from spending where day < $1`, calling.Day(now.Add(-keepSpending*24*time.Hour))); err != nil {
			return err
		}
		rows, err := tx.Query(`select kind, id, tokens, cost from spending where day = $1 order by kind, id`, calling.Day(now))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a calling.Account
			var spent calling.Amount
			if err := rows.Scan(&a.Kind, &a.ID, &spent.Tokens, &spent.Cost); err != nil {
				return err
			}
			s.budget.Load(a, spent)
		}
		return errors.Join(rows.Err(), rows.Close())
	})
}

// spent stores what a reply cost its owner and its agent.
func (s *Service) spent(tx *sqldb.Tx, owner event.PersonID, agent event.AgentID, res provider.Result) error {
	tokens := res.PromptTokens + res.ReplyTokens
	if s.budget == nil || tokens == 0 {
		return nil
	}
	for _, a := range []calling.Account{{Kind: calling.Owner, ID: string(owner)}, {Kind: calling.Agent, ID: string(agent)}} {
		if a.ID == "" {
			continue
		}
		if _, err := tx.Exec(`insert into spending (day, kind, id, tokens, cost) values ($1, $2, $3, $4, $5)
			on conflict (day, kind, id) do update set tokens = spending.tokens + excluded.tokens, cost = spending.cost + excluded.cost`,
			calling.Day(s.o.Clock()), a.Kind, a.ID, tokens, res.Cost); err != nil {
			return err
		}
	}
	return nil
}

// charge is spent for what no decision was made about.
func (s *Service) charge(ctx context.Context, owner event.PersonID, agent event.AgentID, res provider.Result) error {
	if s.budget == nil {
		return nil
	}
	return s.db.Write(context.WithoutCancel(ctx), func(tx *sqldb.Tx) error { return s.spent(tx, owner, agent, res) })
}
