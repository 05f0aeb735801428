package feedback

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"rapport/event"
	"rapport/policy"
)

// Effects tells an agent's owner what feedback on it did. What it does not know did
// nothing yet, or too long ago to be told singly.
type Effects interface {
	Effects(ctx context.Context, agent event.AgentID) (map[event.FeedbackID]Effect, error)
}

// Effect is what one piece of feedback did.
type Effect struct {
	Says       string `json:"says" doc:"In words, as: used in v12: humor +0.02; withdrawn, taken out in v13."`
	UsedIn     []Use  `json:"usedIn,omitempty" doc:"Versions that it is a cause of, oldest first."`
	TakenOutIn []Use  `json:"takenOutIn,omitempty" doc:"Versions from which its part was taken out again."`
}

// Use is a version, and how it differs from the one before.
type Use struct {
	Version int64              `json:"version"`
	Moved   map[string]float64 `json:"moved,omitempty" doc:"By trait; all that the version changed, this feedback's part and others'."`
}

// of puts an effect into words. status is the feedback's; Says comes in as what a
// standing feedback does now.
func (e Effect) of(status string) Effect {
	var parts []string
	gone := map[string]string{Retracted: "withdrawn", "superseded": "replaced by a newer one"}[status]
	switch {
	case gone != "" && len(e.TakenOutIn) > 0:
		parts = append(parts, gone+", taken out in "+versions(e.TakenOutIn))
	case gone != "" && len(e.UsedIn) > 0:
		parts = append(parts, gone+"; it counts no more, and was a part of "+versions(e.UsedIn))
	case gone != "":
		parts = append(parts, gone+"; it counts no more")
	case len(e.UsedIn) > 0:
		parts = append(parts, "used in "+versions(e.UsedIn))
	}
	if gone == "" && e.Says != "" {
		parts = append(parts, e.Says)
	}
	e.Says = strings.Join(parts, "; ")
	return e
}

func versions(uses []Use) string {
	out := make([]string, len(uses))
	for i, u := range uses {
		out[i] = fmt.Sprintf("v%d", u.Version)
		var moved []string
		for t := range policy.NTraits {
			if by := u.Moved[policy.Trait(t).String()]; by != 0 {
				moved = append(moved, fmt.Sprintf("%s %+.2f", policy.Trait(t), by))
			}
		}
		if len(moved) > 0 {
			out[i] += ": " + strings.Join(moved, ", ")
		}
	}
	return strings.Join(out, "; ")
}

// explain adds to an owner's items what each did. Without an answer they stay as they
// are: what was given is shown all the same.
func (s *Service) explain(ctx context.Context, agent event.AgentID, items []Item) {
	if s.shown == nil || len(items) == 0 {
		return
	}
	of, err := s.shown.Effects(ctx, agent)
	if err != nil {
		slog.WarnContext(ctx, "what feedback did cannot be told now", "agent", agent, "err", err)
		return
	}
	for i := range items {
		it := &items[i]
		e, known := of[it.FeedbackID]
		if !known && it.Status != Retracted && it.Status != "superseded" {
			continue
		}
		e = e.of(it.Status)
		it.Effect = &e
	}
}
