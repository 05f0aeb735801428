package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rapport/gateway/compile"
	"rapport/gateway/guard"
	"rapport/gateway/provider"
)

// outcome is how a reply went. code is empty when it went well.
type outcome struct {
	text    string
	code    string
	hint    string        // what the administrator can do about code, '' for nothing
	again   time.Duration // until it makes sense to ask again, 0 when unknown
	finish  string
	res     provider.Result
	began   bool // something of it left
	profile compile.Profile
	latency int64 // milliseconds
}

// wait is how long to wait until the model takes requests again, 0 when that is
// not what failed or something was said.
func (o *outcome) wait() time.Duration {
	if o.code != provider.CodeRateLimited && o.code != provider.CodeResting || o.began {
		return 0
	}
	return max(o.again, 2*time.Second)
}

// errEnough ends a reply that the enforcer cut.
var errEnough = errors.New("enough was said")

// maxRunes is what a message of chat can hold.
const maxRunes = 8000

// speak asks the route's model, and its fallbacks while nothing was said. emit
// gets what may leave, piece by piece, never before the decision is durable.
func (s *Service) speak(ctx context.Context, p *plan, talk []provider.Message, committed func() error, emit func(string) error) outcome {
	began := s.now()
	var out outcome
	var text strings.Builder
	var emitErr error
	if out.bar(p.barred) {
		out.profile = p.profile
		return out
	}
	held := s.o.Moderation.holds()
	enforcer := guard.NewEnforcer(guard.Limits{MaxWords: p.profile.Flags.MaxWords, Canary: p.made.Canary(), Banned: banned, Name: p.made.Name(), Others: p.others, Stop: p.stop})
	left := maxRunes
	pass := func(piece string) error {
		if text.Len() == 0 {
			piece = strings.TrimLeftFunc(piece, unicode.IsSpace)
		}
		piece = clip(piece, left)
		if left -= utf8.RuneCountInString(piece); piece == "" {
			return nil
		}
		if held {
			text.WriteString(piece)
			return nil
		}
		if emitErr = committed(); emitErr != nil {
			return emitErr
		}
		text.WriteString(piece)
		emitErr = emit(piece)
		return emitErr
	}
	var err error
	out.res, err = s.calls.Stream(ctx, p.request(talk), func(piece string) error {
		if err := pass(enforcer.Push(piece)); err != nil {
			return err
		}
		if enforcer.Done() || left == 0 {
			return errEnough
		}
		return nil
	})
	if err == nil {
		err = pass(enforcer.Finish())
	}
	out.profile, out.began = p.profile, text.Len() > 0 && !held
	if i := out.res.Fallback; i > 0 {
		out.profile = p.made.ForFallback(p.profile, i-1, p.moment)
	}
	out.latency, out.finish = (s.now()-began)/1000, out.res.Finish
	did := enforcer.Did()
	switch {
	case emitErr != nil:
		out.code, out.finish = provider.CodeCancelled, provider.FinishError
		if committed() != nil {
			out.code = "not_durable"
		}
	case err == errEnough || err == nil:
		if out.finish == "" { // we stopped it
			out.finish = provider.FinishStop
		}
		if slices.Contains(did, guard.CutLength) || left == 0 {
			out.finish = provider.FinishLength
		}
		if slices.Contains(did, guard.CutCanary) {
			out.finish = provider.FinishFilter
		}
		if out.text = strings.TrimSpace(text.String()); out.text == "" {
			out.code = provider.CodeEmpty
			if out.finish == provider.FinishFilter {
				out.code = provider.FinishFilter
			}
		}
	default:
		out.code, out.finish = provider.CodeOf(err), provider.FinishError
		if e, ok := errors.AsType[*provider.Error](err); ok {
			out.hint, out.again = e.Hint, e.RetryAfter
		}
	}
	if held && out.code == "" && !out.bar(s.barred(ctx, stageAfter, out.text)) {
		if committed() != nil {
			out.code, out.finish = "not_durable", provider.FinishError
		} else if emit(out.text) != nil {
			out.code, out.finish, out.began = provider.CodeCancelled, provider.FinishError, true
		}
	}
	return out
}

// speakBeside is speak while this goroutine makes the decision durable: the model is
// asked meanwhile.
func (s *Service) speakBeside(ctx context.Context, p *plan, talk []provider.Message, committed func() error, emit func(string) error) outcome {
	var out outcome
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }() // it goes on in the caller
		out = s.speak(ctx, p, talk, committed, emit)
	}()
	_ = committed() // speak hears of it, too
	<-done
	if panicked != nil {
		panic(panicked)
	}
	return out
}

// bar ends a reply that may not be said, for a reason; it says whether there is one.
func (o *outcome) bar(code string) bool {
	if code == "" {
		return false
	}
	o.code, o.finish, o.text = code, provider.FinishError, ""
	if code == provider.FinishFilter {
		o.finish = provider.FinishFilter
	}
	return true
}

// request is what the plan asks its model, and with parameters of their own the
// models after it.
func (p *plan) request(talk []provider.Message) provider.Request {
	of := func(f compile.Profile) provider.Request {
		return provider.Request{
			Provider: f.Route.Provider, Model: f.Route.ID, System: f.SystemPrompt, Messages: talk, Params: f.Params, Seed: p.seed,
			Behaviour: provider.Behaviour{Levels: f.Rendered, Style: f.Flags.ReplyStyle, Brevity: f.Flags.BrevityLevel, Words: f.Flags.Words},
			Owner:     string(p.body.OwnerID), Agent: string(p.body.AgentID),
		}
	}
	r := of(p.profile)
	r.Fallback = func(i int) (provider.Request, bool) {
		if i >= len(p.profile.Route.Fallbacks) {
			return provider.Request{}, false
		}
		return of(p.made.ForFallback(p.profile, i, p.moment)), true
	}
	return r
}

// clip gives at most n runes.
func clip(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// banned phrases are taken out of every reply: they break the character and say
// nothing.
var banned = []string{"As an AI language model, ", "As a large language model, "}
