package gateway

import (
	"context"
	"errors"
	"time"

	"rapport/event"
	"rapport/gateway/provider"
	"rapport/gateway/provider/calling"
	"rapport/internal/sqldb"
)

// keepSpending is how many days of spending are kept.
const keepSpending = 400

// loadSpending makes the budgets and tells them what was spent today before.
func (s *Service) loadSpending(ctx context.Context) error {
	if s.o.Budgets == (calling.Limits{}) {
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
