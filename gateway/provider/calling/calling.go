// Package calling asks models with care: it tries again what may pass, goes on to
// the next model when one fails, leaves alone for a while what fails all the time,
// and stops at time limits and budgets.
//
// Invariants: nothing is asked again once a piece of text was emitted; a call
// makes at most 1 + Retries tries per model and ends within Total; what a call may
// spend is set aside before it is made.
//
// Start reading at Caller.Stream.
package calling

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"rapport/gateway/provider"
	"rapport/gateway/watch"
)

// Options are what a Caller goes by.
type Options struct {
	Providers map[string]provider.Provider // by the name that requests use
	Clock     func() time.Time             // of breakers, time.Now when nil
	Jitter    func() float64               // in [0,1), spreads those who wait; random when nil
	Total     time.Duration                // for one reply with all its tries and fallbacks, 180 s when 0
	Budget    Budget                       // nil for none
	Prices    Prices
	Watch     *watch.Watch // nil for none
}

// Caller is a provider.Provider that stands before others.
type Caller struct {
	o        Options
	breakers breakers
}

var _ provider.Provider = (*Caller)(nil)

// New makes a caller.
func New(o Options) *Caller {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Total == 0 {
		o.Total = 180 * time.Second
	}
	c := &Caller{o: o, breakers: breakers{clock: o.Clock, by: map[target]*breaker{}}}
	o.Watch.Resting(c.breakers.resting)
	return c
}

const (
	retries = 2                      // after the first try of a model
	backoff = 500 * time.Millisecond // before the first of them, doubled for the next
	maxWait = 10 * time.Second       // longest retry-after that is waited for
)

// Stream asks the request's model, then its fallbacks, until one has begun to
// speak. The result says which of them; an error is the last one's. The reply
// counts on the budgets of r.Owner and r.Agent, whatever becomes of it; what they
// cannot pay is the error CodeBudget.
func (c *Caller) Stream(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Total)
	defer cancel()
	for i := 0; ; i++ {
		res, started, err := c.model(ctx, r, emit)
		res.Fallback = i
		if err == nil || started || ctx.Err() != nil || provider.CodeOf(err) == provider.CodeBudget {
			return res, err
		}
		if _, ok := errors.AsType[*provider.Error](err); !ok {
			return res, err // of emit
		}
		if r.Fallback == nil {
			return res, err
		}
		next, ok := r.Fallback(i)
		if !ok {
			return res, err
		}
		next.Fallback, next.Owner, next.Agent = r.Fallback, r.Owner, r.Agent
		c.o.Watch.Fallback(r)
		r = next
	}
}

// model asks one model, as often as it makes sense.
func (c *Caller) model(ctx context.Context, r provider.Request, emit func(string) error) (res provider.Result, started bool, err error) {
	p := c.o.Providers[r.Provider]
	if p == nil {
		return res, false, &provider.Error{Code: provider.CodeUnreachable, Provider: r.Provider, Hint: "no provider of this name is configured"}
	}
	var e *provider.Error
	for try := 0; ; try++ {
		before := e
		res, started, err = c.once(ctx, p, r, emit)
		var ok bool
		if e, ok = errors.AsType[*provider.Error](err); !ok { // well, or an error of emit
			return res, started, err
		}
		if before != nil && e.Code == provider.CodeResting { // for the reason before
			e = before
		}
		wait := c.wait(e, try)
		if started || e == before || !e.Retry || try >= retries || e.RetryAfter > maxWait || !sleep(ctx, wait) {
			switch e.Code {
			case provider.CodeCancelled, provider.CodeResting, provider.CodeBudget: // nobody's fault, or said before
			default:
				slog.WarnContext(ctx, "a model did not answer", "provider", r.Provider, "tries", try+1, "err", e)
			}
			return res, started, e
		}
	}
}

// wait is how long to wait before the next try: as asked for, or half a second
// and a second; and up to a quarter of that beside it, so that those who were sent
// away together do not come back together.
func (c *Caller) wait(e *provider.Error, try int) time.Duration {
	step := backoff << try
	spread := time.Duration(c.o.Jitter() * float64(step) / 4)
	if e.RetryAfter > 0 {
		return e.RetryAfter + spread
	}
	return step - spread
}

// sleep says whether the time was there.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// once is one try, behind the budget and the breaker.
func (c *Caller) once(ctx context.Context, p provider.Provider, r provider.Request, emit func(string) error) (res provider.Result, started bool, err error) {
	settle := func(Amount) {}
	if c.o.Budget != nil && (r.Owner != "" || r.Agent != "") {
		if settle, err = c.o.Budget.Reserve(r.Owner, r.Agent, c.most(r)); err != nil {
			if e, ok := errors.AsType[*provider.Error](err); ok && e.Provider == "" {
				e.Provider = r.Provider
			}
			c.o.Watch.Unasked(r, err)
			return res, false, err
		}
	}
	report, err := c.breakers.enter(target{r.Provider, r.Model})
	if err != nil {
		settle(Amount{})
		c.o.Watch.Unasked(r, err)
		return res, false, err
	}
	said := 0
	seen := c.o.Watch.Call(ctx, r)
	res, err = p.Stream(ctx, r, func(text string) error {
		said += len(text)
		seen.Said()
		return emit(text)
	})
	if said > 0 && res.ReplyTokens == 0 { // cut off, here or there
		res.Estimated, res.ReplyTokens = true, (said+3)/4
	}
	if said > 0 && res.PromptTokens == 0 {
		res.Estimated, res.PromptTokens = true, r.PromptTokens()
	}
	res.Cost = c.o.Prices.Cost(r.Model, res.PromptTokens, res.ReplyTokens)
	settle(Amount{int64(res.PromptTokens) + int64(res.ReplyTokens), res.Cost})
	report(err, said > 0)
	seen.Ended(res, err)
	return res, said > 0, err
}

// most is what a call can spend.
func (c *Caller) most(r provider.Request) Amount {
	in, out := r.PromptTokens(), r.Params.MaxTokens
	return Amount{int64(in) + int64(out), c.o.Prices.Cost(r.Model, in, out)}
}
