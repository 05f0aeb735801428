package kafka

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger hands the client's warnings on. It speaks of brokers, topics and
// offsets, never of what is in a record. A leader that moves, or a broker that is
// away for a moment, is an error to the client; here it is a warning.
type logger struct{}

func (logger) Level() kgo.LogLevel {
	switch l := slog.Default(); {
	case l.Enabled(context.Background(), slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.Enabled(context.Background(), slog.LevelWarn):
		return kgo.LogLevelWarn
	}
	return kgo.LogLevelNone
}

func (logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	if level <= kgo.LogLevelWarn {
		to = slog.LevelWarn
	}
	slog.Log(context.Background(), to, "kafka: "+msg, keyvals...)
}
