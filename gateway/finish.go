package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"rapport/event"
	"rapport/gateway/provider"
	"rapport/internal/sqldb"
)

// ending is the outcome of a decision on its way to the database.
type ending struct {
	q    question
	body event.ReplyGenerated
	raw  string // body
	res  provider.Result
}

// endingOf writes down how a reply went.
func endingOf(q question, p *plan, out outcome, message event.MessageID) (ending, error) {
	body := p.body
	body.MessageID, body.LatencyMilli, body.Finish = message, out.latency, out.finish
	body.Action = "reply"
	if out.code != "" {
		body.Action, body.Error, body.Finish = "failed", out.code, provider.FinishError
		if out.code == provider.FinishFilter {
			body.Finish = provider.FinishFilter
		}
	}
	if out.profile.Hash != "" {
		f := out.profile
		body.CompileHash, body.Rendered, body.RulesVersion = f.Hash, f.Rendered[:], f.RulesVersion
		body.Provider, body.Model = f.Route.Provider, f.Route.ID
		body.Inaudible = uint16(p.view.set.unheard[voice{body.Provider, body.Model}])
		body.Dropped = slices.Clone(f.Dropped)
		for _, d := range out.res.Dropped {
			if !slices.Contains(body.Dropped, d) {
				body.Dropped = append(body.Dropped, d)
			}
		}
	}
	body.PromptTokens, body.ReplyTokens = out.res.PromptTokens, out.res.ReplyTokens
	p.watched.Ended(out.code, body.Finish)
	raw, err := json.Marshal(body)
	return ending{q, body, string(raw), out.res}, err
}

// finish commits the outcome: the decision, the event, and under its lease the
// turn. errLeaseLost when another worker has the turn; nothing is changed then.
func (s *Service) finish(ctx context.Context, q question, p *plan, out outcome, message event.MessageID) error {
	e, err := endingOf(q, p, out, message)
	if err != nil {
		return err
	}
	return s.db.Write(context.WithoutCancel(ctx), func(tx *sqldb.Tx) error {
		if err := s.closeTurn(tx, q); err != nil {
			return err
		}
		return s.file(tx, nil, []ending{e})
	})
}

// finishLater commits the outcome beside the answer: the decision is durable, and
// an outcome that a crash takes away is ended as interrupted by the next process.
// With many waiting, the caller waits too.
func (s *Service) finishLater(ctx context.Context, q question, p *plan, out outcome) {
	e, err := endingOf(q, p, out, "")
	if err != nil {
		slog.ErrorContext(ctx, "an outcome was not stored", "decision", q.decision, "err", err)
		return
	}
	s.backlog.ended(e)
}

// replied is the event of a decision and its outcome.
// It is written in raw already.
func replied(from *event.Event, body event.ReplyGenerated, raw string, now event.Micros) event.Event {
	e := event.Written("gateway", event.DerivedID("gateway", 1, string(body.DecisionID), body.EventType(), string(body.AgentID), 0), now, body, []byte(raw))
	if from != nil {
		e = e.CausedBy(*from)
	}
	return e
}

// orphan is how old an open decision without a turn is when its process is surely
// gone.
const orphan = 10 * time.Minute

// sweep closes orphans until ctx ends: those of a process that died a moment ago are
// not old enough when the next one starts.
func (s *Service) sweep(ctx context.Context) {
	tick := time.NewTicker(s.sweeping)
	defer tick.Stop()
	for {
		if err := s.closeOrphans(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "decisions of callers that went away were not ended", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// closeOrphans ends decisions for callers that went away with an earlier process.
func (s *Service) closeOrphans(ctx context.Context) error {
	var bodies []string
	if err := s.Settle(ctx); err != nil {
		return err
	}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select body from decisions where state = 'open' and turn_id = '' and at < $1 order by decision_id`, s.now()-orphan.Microseconds())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var b string
			if err := rows.Scan(&b); err != nil {
				return err
			}
			bodies = append(bodies, b)
		}
		return rows.Err()
	})
	for _, b := range bodies {
		var p plan
		if err == nil {
			err = json.Unmarshal([]byte(b), &p.body)
		}
		if err == nil {
			err = s.finish(ctx, question{}, &p, outcome{code: "interrupted"}, "")
		}
	}
	return err
}
