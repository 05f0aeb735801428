package app

import (
	"runtime"
	"testing"
)

// Programs that run many commands tune themselves once.
func TestTuneAgain(t *testing.T) {
	Tune()
	n := runtime.GOMAXPROCS(0)
	Tune()
	if m := runtime.GOMAXPROCS(0); m != n {
		t.Errorf("%d goroutines run, then %d", n, m)
	}
}
