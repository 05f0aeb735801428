package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"rapport/event"
	"rapport/internal/fault"
)

// Health is what the server says of itself.
type Health struct {
	// Status is ok; waiting while something that passes by itself keeps effects
	// from happening, and everything said is kept; stopped when a person has to
	// act before some effects happen.
	Status  string   `json:"status" enum:"ok,waiting,stopped"`
	Version string   `json:"version"`
	Why     []string `json:"why,omitempty"`
}

// Health looks at what is known: it asks nobody.
func (a *App) Health() Health {
	h := Health{Status: "ok", Version: Version}
	troubles := a.Relay.Troubles()
	if err := a.away.now(); err != nil {
		troubles["log"] = err
	}
	for _, who := range slices.Sorted(maps.Keys(troubles)) {
		h.Status = "waiting"
		h.say(who, troubles[who])
	}
	if err := a.Relay.Err(); err != nil {
		h.Status = "stopped"
		h.say("", err)
	}
	return h
}

// say adds why, in the words for people.
func (h *Health) say(who string, err error) {
	text := words(err)
	if who != "" {
		text = who + ": " + text
	}
	if !slices.Contains(h.Why, text) {
		h.Why = append(h.Why, text)
	}
}

// words are for people: without what caused the error.
func words(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Message
	}
	return "Something failed; the log of the server says what."
}

// away is why the log does not answer, nil while it does.
type away struct{ err atomic.Pointer[error] }

func (w *away) now() error {
	if err := w.err.Load(); err != nil {
		return *err
	}
	return nil
}

// How often a log that is elsewhere is asked whether it is there, and how long it
// may take to answer.
const (
	watchEvery = 2 * time.Second
	watchWait  = 3 * time.Second
)

// watchLog asks the log again and again, and says when it goes and when it is back.
func (a *App) watchLog(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
		ask, cancel := context.WithTimeout(ctx, watchWait)
		_, err := a.log.Partitions(ask, event.TopicAgents)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fault.New(fault.Unavailable, "kafka_unreachable", "Kafka does not answer at %s; start it, or correct kafka.brokers.", a.cfg.Kafka.Brokers).Because(err)
		}
		before := a.away.now()
		switch {
		case err == nil && before != nil:
			slog.WarnContext(ctx, "the log is back")
		case err != nil && (before == nil || words(err) != words(before)):
			slog.WarnContext(ctx, "the log is away: what is said is kept, and takes effect when it is back", "error", err)
		}
		if a.away.err.Store(nil); err != nil {
			a.away.err.Store(&err)
		}
	}
}
