package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"rapport/event"
	"rapport/gateway/guard"
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
	code, _ = s.judge(ctx, stage, text)
	return code
}

// judge is barred, and says whether the moderator did.
func (s *Service) judge(ctx context.Context, stage, text string) (code string, sure bool) {
	m := s.o.Moderation
	if m.Judge == nil || text == "" || stage == stageBefore && !m.Before || stage == stageAfter && !m.After {
		return "", true
	}
	flagged, err := m.Judge.Flagged(ctx, text)
	switch {
	case err != nil && ctx.Err() != nil:
		s.o.Watch.Judged(stage, "gone")
		return provider.CodeCancelled, false
	case err != nil:
		s.o.Watch.Judged(stage, "failed")
		slog.WarnContext(ctx, "moderation did not answer", "stage", stage, "open", m.Open, "err", err)
		if m.Open {
			return "", false
		}
		return codeUnchecked, false
	case flagged:
		s.o.Watch.Judged(stage, "flagged")
		return provider.FinishFilter, true
	}
	s.o.Watch.Judged(stage, "passed")
	return "", true
}

// heldBack stands in a talk where a message was that was flagged.
const heldBack = "(a message that was held back)"

// maxJudged is how many bytes of messages are judged together.
const maxJudged = 32 << 10

// verdicts remembers what the moderator said of messages: a talk comes again with
// everything that is said in it.
type verdicts struct {
	mu sync.Mutex
	of map[[sha256.Size]byte]bool // whether it was flagged
}

func (v *verdicts) get(text string) (flagged, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	flagged, known = v.of[sha256.Sum256([]byte(text))]
	return flagged, known
}

func (v *verdicts) keep(text string, flagged bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of == nil || len(v.of) >= remembered {
		v.of = map[[sha256.Size]byte]bool{}
	}
	v.of[sha256.Sum256([]byte(text))] = flagged
}

// sift says which messages of a talk, the newest last, may not reach a model; nil where
// nobody is asked. Each is judged once: all that are new together, and one by one where
// something among them is flagged. code is why none of them may, ” else.
func (s *Service) sift(ctx context.Context, texts []string) (held []bool, code string) {
	if s.o.Moderation.Judge == nil || !s.o.Moderation.Before {
		return nil, ""
	}
	held = make([]bool, len(texts))
	var fresh []int
	size := 0
	flush := func() {
		if code == "" {
			code = s.judgeAll(ctx, texts, fresh, held)
		}
		fresh, size = nil, 0
	}
	for i, text := range texts {
		flagged, known := s.judged.get(text)
		if held[i] = flagged; known || text == "" {
			continue
		}
		if size += len(text); size > maxJudged && len(fresh) > 0 {
			flush()
			size = len(text)
		}
		fresh = append(fresh, i)
	}
	flush()
	return held, code
}

func (s *Service) judgeAll(ctx context.Context, texts []string, fresh []int, held []bool) (code string) {
	if len(fresh) == 0 {
		return ""
	}
	together := make([]string, len(fresh))
	for i, at := range fresh {
		together[i] = texts[at]
	}
	code, sure := s.judge(ctx, stageBefore, strings.Join(together, "\n"))
	if code != "" && code != provider.FinishFilter {
		return code
	}
	some := false
	for _, at := range fresh {
		one := code
		if code != "" && len(fresh) > 1 {
			if one, sure = s.judge(ctx, stageBefore, texts[at]); one != "" && one != provider.FinishFilter {
				return one
			}
		}
		held[at] = one != ""
		some = some || held[at]
		if sure {
			s.judged.keep(texts[at], held[at])
		}
	}
	if code != "" && !some { // only together
		held[fresh[len(fresh)-1]] = true
	}
	return ""
}

// siftLines puts a mark in the place of what may not reach a model, and gives why none of
// it may, or the newest.
func (s *Service) siftLines(ctx context.Context, lines []Line, agent event.AgentID) (code string, newest bool) {
	if s.o.Moderation.Judge == nil {
		return "", false
	}
	texts := make([]string, len(lines))
	for i, l := range lines {
		if l.Author.AgentID != agent || l.Author.Kind != event.KindAgent {
			texts[i] = guard.Clean(l.Text, guard.MaxMessage)
		}
	}
	held, code := s.sift(ctx, texts)
	for i, is := range held {
		if is {
			lines[i].Text, newest = heldBack, i == len(lines)-1
		}
	}
	return code, newest
}

// siftRequest does that with the talk of a caller of the OpenAI dialect, all of which may
// be new; the newest are the last message and the person's last.
func (s *Service) siftRequest(ctx context.Context, c *completion, talk []provider.Message) (_ []provider.Message, code string) {
	if s.o.Moderation.Judge == nil {
		return talk, ""
	}
	texts, last := make([]string, len(c.Messages)), len(c.Messages)-1
	for i, m := range c.Messages {
		text, _, _ := m.text()
		texts[i] = guard.Clean(text, guard.MaxMessage)
		if m.Role == "user" {
			last = i
		}
	}
	held, code := s.sift(ctx, texts)
	if code == "" && held != nil && (held[last] || held[len(held)-1]) {
		code = provider.FinishFilter
	}
	if code != "" || !slices.Contains(held, true) {
		return talk, code
	}
	for i, is := range held {
		if is {
			c.Messages[i].Content = json.RawMessage(`"` + heldBack + `"`)
		}
	}
	talk, err := c.talk()
	if err != nil { // it was read before
		code = provider.FinishFilter
	}
	return talk, code
}
