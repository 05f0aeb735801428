package kafka

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger hands the client's warnings on. It speaks of brokers, topics and
// offsets, never of what is in a record. A leader that moves, or a broker that is
// away for a moment, is an error to the client; here it is a warning. The clients
// of a log say the same again at every try: of that, one a while is enough.
type logger struct{ quiet *quiet }

// sayAgain is how long a warning is not repeated.
const sayAgain = 10 * time.Second

type quiet struct {
	sync.Mutex
	said map[string]time.Time
	left map[string]int // not said since
}

func newLogger() logger {
	return logger{&quiet{said: map[string]time.Time{}, left: map[string]int{}}}
}

func (logger) Level() kgo.LogLevel {
	switch l := slog.Default(); {
	case l.Enabled(context.Background(), slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.Enabled(context.Background(), slog.LevelWarn):
		return kgo.LogLevelWarn
	}
	return kgo.LogLevelNone
}

func (l logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	if level <= kgo.LogLevelWarn {
		to = slog.LevelWarn
		more, now := l.quiet.ask(msg, time.Now())
		if !now {
			return
		}
		if more > 0 {
			keyvals = append(keyvals[:len(keyvals):len(keyvals)], "repeated", more)
		}
	}
	slog.Log(context.Background(), to, "kafka: "+msg, keyvals...)
}

// ask says whether a message is to be said now, and how often it was left out
// before.
func (q *quiet) ask(msg string, at time.Time) (more int, now bool) {
	q.Lock()
	defer q.Unlock()
	if last, has := q.said[msg]; has && at.Sub(last) < sayAgain {
		q.left[msg]++
		return 0, false
	}
	more = q.left[msg]
	q.said[msg], q.left[msg] = at, 0
	return more, true
}
