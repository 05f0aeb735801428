package gateway

import (
	"context"
	"log/slog"

	"rapport/gateway/provider"
)

// Judge says whether a text may be said.
type Judge interface {
	Flagged(ctx context.Context, text string) (bool, error)
}

// Moderation is who is asked before a model gets a message, and before a reply leaves.
// The zero one asks nobody.
type Moderation struct {
	Judge  Judge
	Before bool
	After  bool // replies are held until they are judged: they do not stream
	Open   bool // when the judge does not answer, talks go on
}

// holds says whether replies are held until they are judged.
func (m Moderation) holds() bool { return m.Judge != nil && m.After }

// codeUnchecked: the judge does not answer, and without it nothing is said.
const codeUnchecked = "moderation_unavailable"

// The stages of a judgement, as metrics name them.
const (
	stageBefore = "before"
	stageAfter  = "after"
)

// barred is why a text may not pass a stage, ” when it may.
func (s *Service) barred(ctx context.Context, stage, text string) (code string) {
	m := s.o.Moderation
	if m.Judge == nil || text == "" || stage == stageBefore && !m.Before || stage == stageAfter && !m.After {
		return ""
	}
	flagged, err := m.Judge.Flagged(ctx, text)
	switch {
	case err != nil && ctx.Err() != nil:
		s.o.Watch.Judged(stage, "gone")
		return provider.CodeCancelled
	case err != nil:
		s.o.Watch.Judged(stage, "failed")
		slog.WarnContext(ctx, "moderation did not answer", "stage", stage, "open", m.Open, "err", err)
		if m.Open {
			return ""
		}
		return codeUnchecked
	case flagged:
		s.o.Watch.Judged(stage, "flagged")
		return provider.FinishFilter
	}
	s.o.Watch.Judged(stage, "passed")
	return ""
}
