package kafka

import (
	"testing"
	"time"
)

// The same warning is said once in a while, with how often it came.
func TestWarningsAreNotRepeated(t *testing.T) {
	t.Parallel()
	q, at := newLogger().quiet, time.Unix(0, 0)
	for i, want := range []bool{true, false, false} {
		if _, now := q.ask("away", at.Add(time.Duration(i)*time.Second)); now != want {
			t.Errorf("%d: said %v", i, now)
		}
	}
	if _, now := q.ask("moved", at); !now {
		t.Error("another warning is left out")
	}
	if more, now := q.ask("away", at.Add(sayAgain)); !now || more != 2 {
		t.Errorf("after a while: %v, %d left out", now, more)
	}
}
