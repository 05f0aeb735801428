package relay

import (
	"context"
	"errors"
	"time"

	"rapport/internal/fault"
)

const (
	backoffFirst = 2 * time.Millisecond
	backoffMax   = 10 * time.Second
)

// backoff waits twice as long each time, up to backoffMax, or as long as the
// fault asks.
type backoff struct{ next time.Duration }

func (b *backoff) reset() { b.next = 0 }

// long says that the waiting has reached its longest: time to tell somebody.
func (b *backoff) long() bool { return b.next >= backoffMax }

func (b *backoff) wait(ctx context.Context, cause error) error {
	b.next = min(max(2*b.next, backoffFirst), backoffMax)
	d := b.next
	if f, ok := errors.AsType[*fault.Error](cause); ok && f.RetryAfter > d {
		d = min(f.RetryAfter, backoffMax)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
