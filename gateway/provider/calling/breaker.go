package calling

import (
	"errors"
	"sync"
	"time"

	"rapport/gateway/provider"
)

// target is one model of one provider.
type target struct{ provider, model string }

// A breaker is closed while a model answers. After limit failures in a row it is
// open: nobody asks for a while. Then it is half open: one call may try; if it
// fails, the next while is twice as long.
type breaker struct {
	failures int
	until    time.Time // open before, half open from then on; zero when closed
	rest     time.Duration
	probing  bool
}

const (
	limit    = 5
	minRest  = 30 * time.Second
	maxRest  = 5 * time.Minute
	maxKnown = 1000
)

// breakers are those that are not in order.
type breakers struct {
	clock func() time.Time
	mu    sync.Mutex
	by    map[target]*breaker
}

// enter asks whether a model may be asked now; CodeResting when not. The report
// of how it went must be given, once.
func (b *breakers) enter(to target) (report func(err error, started bool), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	k := b.by[to]
	probe := false
	if k != nil && !k.until.IsZero() {
		if now.Before(k.until) || k.probing {
			return nil, &provider.Error{Code: provider.CodeResting, Provider: to.provider, RetryAfter: max(0, k.until.Sub(now))}
		}
		k.probing, probe = true, true
	}
	return func(err error, started bool) { b.report(to, probe, err, started) }, nil
}

// resting is how many models are left alone now.
func (b *breakers) resting() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	for _, k := range b.by {
		if now.Before(k.until) {
			n++
		}
	}
	return n
}

func (b *breakers) report(to target, probe bool, err error, started bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.by[to]
	if k != nil && probe {
		k.probing = false
	}
	if probe && provider.CodeOf(err) == provider.CodeCancelled && err != nil && !started {
		return // nothing was learned: the next may try
	}
	rest, failed := broke(err)
	if !failed {
		if k != nil && (k.until.IsZero() || probe) {
			delete(b.by, to)
		}
		return
	}
	if k == nil {
		if len(b.by) >= maxKnown { // owners may name any model
			clear(b.by)
		}
		k = &breaker{}
		b.by[to] = k
	}
	k.failures++
	now := b.clock()
	switch {
	case rest > 0:
		k.until = later(k.until, now.Add(rest))
	case probe:
		k.rest = min(max(2*k.rest, minRest), maxRest)
		k.until = now.Add(k.rest)
	case k.until.IsZero() && k.failures >= limit:
		k.rest = minRest
		k.until = now.Add(k.rest)
	}
}

// broke says whether an error speaks against its model, and for how long the
// model itself asked to be left alone.
func broke(err error) (rest time.Duration, failed bool) {
	if err == nil {
		return 0, false
	}
	e, ok := errors.AsType[*provider.Error](err)
	if !ok {
		return 0, false // the listener's
	}
	switch e.Code {
	case provider.CodeRateLimited:
		if e.RetryAfter > maxWait {
			return min(e.RetryAfter, maxRest), true
		}
	case provider.CodeUnreachable, provider.CodeUpstream, provider.CodeTimeout, provider.CodeBroken, provider.CodeTooLarge:
		return 0, true
	}
	return 0, false // it answered, and would answer others
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
