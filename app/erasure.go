package app

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"rapport/event"
	"rapport/internal/erasure"
	"rapport/internal/relay"
)

// hops is how far an erasure spreads: account tells the contexts, feedback and chat
// tell learning, learning proposes and agent publishes what the evidence asks for
// without the person, and everybody hears of that.
const hops = 4

// answering are the contexts that drop rows of a person and say how many.
var answering = []string{"account", "agent", "chat", "feedback", "gateway"}

// erasePause is how long a look for erasures that could not be finished waits.
const erasePause = 5 * time.Second

// erase finishes erasures that account began, those of an earlier run first: it
// waits until every context has heard, takes what was dropped out of the files, and
// writes the proof. What does not go on is tried again.
func (a *App) erase(ctx context.Context) error {
	for {
		left, err := a.finishErasures(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var again <-chan time.Time
		if err != nil || left > 0 {
			slog.WarnContext(ctx, "erasures wait", "people", left, "error", err)
			again = time.After(erasePause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.erasing:
		case <-again:
		}
	}
}

// finishErasures finishes what can be, and says how many cannot yet.
func (a *App) finishErasures(ctx context.Context) (left int, err error) {
	people, err := a.Accounts.Unfinished(ctx)
	if err != nil || len(people) == 0 {
		return 0, err
	}
	for range hops {
		if err := a.Relay.Round(ctx); err != nil {
			return 0, err
		}
	}
	if done, err := a.Gateway.Scrub(ctx); err != nil || !done {
		return len(people), err
	}
	for _, name := range contexts {
		if done, err := a.dbs[name].Scrub(ctx); err != nil || !done {
			return len(people), err
		}
	}
	for _, person := range people {
		rows, whole, err := a.erasedRows(ctx, person)
		if err != nil {
			return 0, err
		}
		if !whole {
			left++
			continue
		}
		if err := a.Accounts.Finish(ctx, person, rows); err != nil {
			return 0, err
		}
	}
	return left, nil
}

// erasedRows is what every context dropped of a person; not whole while one has yet
// to hear of it, or could not handle what followed from it: that is a dead letter,
// which an operator sees to.
func (a *App) erasedRows(ctx context.Context, person event.PersonID) (rows map[string]map[string]int64, whole bool, err error) {
	rows = map[string]map[string]int64{}
	cause := ""
	for _, name := range answering {
		if cause, rows[name], err = erasure.Counts(ctx, a.dbs[name], person); err != nil || len(rows[name]) == 0 {
			return nil, false, err
		}
	}
	for _, c := range a.consumers {
		letters, err := a.Relay.DeadLetters(ctx, c.Group)
		if err != nil || slices.ContainsFunc(letters, func(l relay.DeadLetter) bool { return l.Event.Root == cause }) {
			return nil, false, err
		}
	}
	return rows, true, nil
}
