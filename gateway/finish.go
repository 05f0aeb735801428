package gateway

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"rapport/event"
	"rapport/gateway/provider"
	"rapport/internal/relay"
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
	return s.end(ctx, e)
}

// end commits outcomes together. One that is stored already changes nothing.
func (s *Service) end(ctx context.Context, all ...ending) error {
	by := make(map[event.DecisionID]ending, len(all))
	args := make([]any, 0, 3*len(all))
	for _, e := range all {
		by[e.body.DecisionID] = e
		args = append(args, string(e.body.DecisionID), e.body.Action, e.raw)
	}
	return s.db.Write(context.WithoutCancel(ctx), func(tx *sqldb.Tx) error {
		for _, e := range all {
			if err := s.closeTurn(tx, e.q); err != nil {
				return err
			}
		}
		now := s.now()
		var ended []ending
		if err := tx.QueryMany(`update decisions set state = 'done', action = e.column2, body = e.column3 from (values `, 3,
			`) e where decision_id = e.column1 and state = 'open' returning decision_id`, args, func(rows *sql.Rows) error {
				var id event.DecisionID
				err := rows.Scan(&id)
				ended = append(ended, by[id])
				return err
			}); err != nil {
			return err
		}
		told := make([]event.Event, 0, len(ended))
		for _, e := range ended {
			if err := s.spent(tx, e.body.OwnerID, e.body.AgentID, e.res); err != nil {
				return err
			}
			told = append(told, replied(e.q, e.body, e.raw, now))
		}
		return relay.Emit(tx, told...)
	})
}

// replied is the event of a decision and its outcome.
// It is written in raw already.
func replied(q question, body event.ReplyGenerated, raw string, now event.Micros) event.Event {
	e := event.Written("gateway", event.DerivedID("gateway", 1, string(body.DecisionID), body.EventType(), string(body.AgentID), 0), now, body, []byte(raw))
	if q.cause != nil {
		e = e.CausedBy(*q.cause)
	}
	return e
}

// endings are outcomes that are committed beside their answers.
type endings struct {
	slots    chan struct{} // one for each that waits or is being committed
	now      chan struct{} // has something when they are not to wait for more
	mu       sync.Mutex
	waiting  []ending
	busy     bool       // somebody commits
	settling sync.Mutex // one waits for the end at a time
}

const (
	maxEndings  = 1024                  // on their way; after that answers wait
	manyEndings = 256                   // are committed at once
	gather      = 50 * time.Millisecond // what fewer wait for: nobody is in a hurry, and a commit costs more than its contents
)

func newEndings() endings {
	return endings{slots: make(chan struct{}, maxEndings), now: make(chan struct{}, 1)}
}

// hurry ends the waiting for more of them.
func (e *endings) hurry() {
	select {
	case e.now <- struct{}{}:
	default:
	}
}

// gather waits until there are many, or for a while.
func (e *endings) gather() {
	t := time.NewTimer(gather)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.now:
	}
}

// Unsettled is the number of outcomes that are on their way to the database.
func (s *Service) Unsettled() int { return len(s.ends.slots) }

// finishLater commits the outcome beside the answer: the decision is durable, and
// an outcome that a crash takes away is ended as interrupted by the next process.
// Outcomes that come together are committed together. With many waiting, the
// caller waits too.
func (s *Service) finishLater(ctx context.Context, q question, p *plan, out outcome) {
	e, err := endingOf(q, p, out, "")
	if err != nil {
		slog.ErrorContext(ctx, "an outcome was not stored", "decision", q.decision, "err", err)
		return
	}
	s.ends.slots <- struct{}{}
	s.ends.mu.Lock()
	s.ends.waiting = append(s.ends.waiting, e)
	lead := !s.ends.busy
	s.ends.busy = true
	many := len(s.ends.waiting) >= manyEndings
	s.ends.mu.Unlock()
	if many {
		s.ends.hurry()
	}
	if lead {
		go s.endAll(context.WithoutCancel(ctx))
	}
}

// endAll commits what waits until nothing does.
func (s *Service) endAll(ctx context.Context) {
	for {
		s.ends.gather()
		s.ends.mu.Lock()
		all := s.ends.waiting
		s.ends.waiting = nil
		s.ends.busy = len(all) > 0
		s.ends.mu.Unlock()
		if len(all) == 0 {
			return
		}
		if err := s.end(ctx, all...); err != nil {
			for _, e := range all { // one may have spoiled it for the others
				if err := s.end(ctx, e); err != nil {
					slog.ErrorContext(ctx, "an outcome was not stored", "decision", e.body.DecisionID, "err", err)
				}
			}
		}
		for range all {
			<-s.ends.slots
		}
	}
}

// settle waits until the outcomes that are on their way are stored.
func (s *Service) settle() {
	s.ends.settling.Lock()
	defer s.ends.settling.Unlock()
	s.ends.hurry()
	for range cap(s.ends.slots) {
		s.ends.slots <- struct{}{}
	}
	for range cap(s.ends.slots) {
		<-s.ends.slots
	}
}

// orphan is how old an open decision without a turn is when its process is surely
// gone.
const orphan = 10 * time.Minute

// closeOrphans ends decisions for callers that went away with an earlier process.
func (s *Service) closeOrphans(ctx context.Context) error {
	var bodies []string
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
