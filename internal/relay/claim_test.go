package relay

import (
	"context"
	"testing"
	"time"

	"rapport/internal/fault"
)

// A database is one process' at a time: who lives keeps it, who is dead loses it,
// who comes back late hears of that, and who has died comes back at once.
func TestClaim(t *testing.T) {
	t.Parallel()
	const beat = 100 * time.Millisecond
	db := newWorld(t, nil).learning
	claim := func(holder string) (*Claim, error) { return take(t.Context(), db, holder, beat) }
	keep := func(c *Claim) (gone chan error, stop func()) {
		ctx, stop := context.WithCancel(t.Context())
		gone = make(chan error, 1)
		go func() { gone <- c.Keep(ctx) }()
		return gone, stop
	}
	first, err := claim("first")
	if err != nil {
		t.Fatal(err)
	}
	gone, die := keep(first)
	if _, err := claim("second"); !fault.Is(err, "database_in_use") {
		t.Errorf("beside one that lives: %v", err)
	}
	die()
	if err := <-gone; err != nil {
		t.Errorf("kept until it was to end: %v", err)
	}
	if _, err := claim("first"); err != nil {
		t.Errorf("its next life: %v", err)
	}
	second, err := claim("second")
	if err != nil {
		t.Fatalf("after one that is dead: %v", err)
	}
	gone, _ = keep(first) // it stood still only
	if err := <-gone; !fault.Is(err, "database_in_use") {
		t.Errorf("it lost its claim: %v", err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, die = keep(second)
	if _, err := claim("third"); !fault.Is(err, "database_in_use") {
		t.Errorf("the release of who had lost it took it from another: %v", err)
	}
	die()
	if err := second.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	if _, err := take(ended, db, "third", time.Hour); err != nil {
		t.Errorf("after a release somebody waits: %v", err)
	}
	cancel()
}
