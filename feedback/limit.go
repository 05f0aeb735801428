package feedback

import (
	"sync"
	"time"

	"rapport/event"
	"rapport/internal/fault"
)

// limiter is a token bucket per rater and agent, in memory: a restart forgives.
type limiter struct {
	perMinute float64

	mu      sync.Mutex
	buckets map[pair]bucket
}

type pair struct {
	rater event.PersonID
	agent event.AgentID
}

type bucket struct {
	tokens float64
	at     event.Micros
}

// maxBuckets bounds the memory; full buckets are forgotten first.
const maxBuckets = 100_000

// take takes one token. Fault rate_limited says when there will be one again.
func (l *limiter) take(rater event.PersonID, agent event.AgentID, now event.Micros) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buckets) >= maxBuckets {
		l.sweep(now)
	}
	key := pair{rater, agent}
	b, ok := l.buckets[key]
	if !ok {
		b = bucket{l.perMinute, now}
	}
	b.tokens = l.filled(b, now)
	b.at = max(b.at, now)
	if b.tokens < 1 {
		f := fault.New(fault.RateLimited, "too_much_feedback", "That was a lot of feedback in a short time; try again in a moment.")
		f.RetryAfter = time.Duration((1 - b.tokens) / l.perMinute * float64(time.Minute))
		return f
	}
	b.tokens--
	l.buckets[key] = b
	return nil
}

func (l *limiter) filled(b bucket, now event.Micros) float64 {
	return min(l.perMinute, b.tokens+float64(max(0, now-b.at))/6e7*l.perMinute)
}

func (l *limiter) sweep(now event.Micros) {
	for k, b := range l.buckets {
		if l.filled(b, now) >= l.perMinute {
			delete(l.buckets, k)
		}
	}
	if len(l.buckets) >= maxBuckets {
		clear(l.buckets)
	}
}
