package relay

import (
	"context"
	"time"
)

// Under load many small transactions cost more than their contents: each has a
// commit and an fdatasync of its own. So after a batch that shows a crowd, but did
// not fill up, the next is given a moment to grow. A few events, as people
// make them, never wait.
const (
	crowd      = 16 // events in a batch
	lingerTime = 10 * time.Millisecond
)

func linger(ctx context.Context, events int, d time.Duration) error {
	if events < crowd {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
