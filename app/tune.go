package app

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

var tuned sync.Once

// Tune lets the heap grow to three times what is alive before it is collected,
// instead of twice: little is alive, and collecting was a seventh of the time under
// load. And it lets twice as many goroutines run as there are processors, since some
// always wait for the disk, which the runtime notices late. GOGC and GOMAXPROCS in the
// environment win. Calling it again changes nothing.
func Tune() {
	tuned.Do(func() {
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(200)
		}
		if os.Getenv("GOMAXPROCS") == "" {
			runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
		}
	})
}
