package providertest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"rapport/gateway/provider"
)

// broken is a way to break a good adapter, and the check that must notice.
type broken struct {
	name, caught string
	make         func(Make) Make
}

// wrapped breaks what an adapter does with a call.
func wrapped(stream func(p provider.Provider, cfg provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error)) func(Make) Make {
	return func(mk Make) Make {
		return func(t testing.TB, cfg provider.Config) provider.Provider {
			p := mk(t, cfg)
			return streams(func(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
				return stream(p, cfg, ctx, r, emit)
			})
		}
	}
}

// built breaks how an adapter is made.
func built(change func(cfg *provider.Config)) func(Make) Make {
	return func(mk Make) Make {
		return func(t testing.TB, cfg provider.Config) provider.Provider {
			change(&cfg)
			return mk(t, cfg)
		}
	}
}

type streams func(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error)

func (s streams) Stream(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
	return s(ctx, r, emit)
}

// answered breaks what comes back.
func answered(change func(cfg provider.Config, r provider.Request, res *provider.Result, err error) error) func(Make) Make {
	return wrapped(func(p provider.Provider, cfg provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		res, err := p.Stream(ctx, r, emit)
		err = change(cfg, r, &res, err)
		return res, err
	})
}

// told is an error with more to say than it should.
type told struct {
	error
	secret string
}

func (e told) Error() string { return e.error.Error() + " " + e.secret }
func (e told) Unwrap() error { return e.error }

var brokens = []broken{
	{"says every piece twice", "a good stream", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		return p.Stream(ctx, r, func(s string) error { return errors.Join(emit(s), emit(s)) })
	})},
	{"waits for the whole reply", "pieces come as they are made", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		all := ""
		res, err := p.Stream(ctx, r, func(s string) error { all += s; return nil })
		if err == nil {
			err = emit(all)
		}
		return res, err
	})},
	{"cuts letters", "other scripts", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		return p.Stream(ctx, r, func(s string) error { return emit(s[:len(s)-1]) })
	})},
	{"says broken text", "broken UTF-8", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		return p.Stream(ctx, r, func(s string) error { return emit(strings.ReplaceAll(s, "�", "\xff")) })
	})},
	{"forgets the prompt", "a good stream", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		r.System = ""
		return p.Stream(ctx, r, emit)
	})},
	{"sends the last message alone", "a talk of several turns", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		r.Messages = r.Messages[len(r.Messages)-1:]
		return p.Stream(ctx, r, emit)
	})},
	{"loses the usage", "a good stream", answered(func(_ provider.Config, _ provider.Request, res *provider.Result, err error) error {
		res.PromptTokens, res.ReplyTokens = 0, 0
		return err
	})},
	{"counts nothing where nothing is told", "without usage and without an end mark", answered(func(_ provider.Config, _ provider.Request, res *provider.Result, err error) error {
		if res.ReplyTokens != 7 {
			res.ReplyTokens = 0
		}
		if res.Estimated {
			res.PromptTokens = 0
		}
		res.ReplyTokens /= 8
		return err
	})},
	{"calls every end a plain one", "finish reasons", answered(func(_ provider.Config, _ provider.Request, res *provider.Result, err error) error {
		res.Finish = provider.FinishStop
		return err
	})},
	{"takes a refusal for an empty answer", "a refused prompt", answered(func(cfg provider.Config, _ provider.Request, res *provider.Result, err error) error {
		if res.Finish == provider.FinishFilter && err == nil {
			return &provider.Error{Code: provider.CodeEmpty, Provider: cfg.Name}
		}
		return err
	})},
	{"does not say what was dropped", "refused parameters heal and are remembered", answered(func(_ provider.Config, _ provider.Request, res *provider.Result, err error) error {
		res.Dropped = nil
		return err
	})},
	{"forgets what was refused", "refused parameters heal and are remembered", func(mk Make) Make {
		return func(t testing.TB, cfg provider.Config) provider.Provider {
			return streams(func(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
				return mk(t, cfg).Stream(ctx, r, emit)
			})
		}
	}},
	{"never forgets what was refused", "refused parameters heal and are remembered", built(func(cfg *provider.Config) {
		then := time.Now()
		cfg.Clock = func() time.Time { return then }
	})},
	{"asks again and again", "a refusal that never ends", func(mk Make) Make {
		return func(t testing.TB, cfg provider.Config) provider.Provider {
			return streams(func(ctx context.Context, r provider.Request, emit func(string) error) (res provider.Result, err error) {
				for range 5 {
					if res, err = mk(t, cfg).Stream(ctx, r, emit); err == nil {
						break
					}
				}
				return res, err
			})
		}
	}},
	{"takes no document", "a document", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		r.Schema = nil
		return p.Stream(ctx, r, emit)
	})},
	{"tells the key", "wrong key", answered(func(cfg provider.Config, _ provider.Request, _ *provider.Result, err error) error {
		if err != nil {
			return told{err, cfg.Key}
		}
		return nil
	})},
	{"tells the talk", "a refusal that names nothing of ours is final", answered(func(_ provider.Config, r provider.Request, _ *provider.Result, err error) error {
		if err != nil {
			return told{err, r.Messages[0].Text}
		}
		return nil
	})},
	{"tells the server's words", "an error that is no document", answered(func(_ provider.Config, _ provider.Request, _ *provider.Result, err error) error {
		if err != nil {
			return told{err, "<html>WORDS-FROM-OUTSIDE</html>"}
		}
		return nil
	})},
	{"does not say which key", "no key", answered(func(_ provider.Config, _ provider.Request, _ *provider.Result, err error) error {
		if e, ok := errors.AsType[*provider.Error](err); ok {
			e.Hint = ""
		}
		return err
	})},
	{"goes where it is sent with the key", "an address that answers with another", built(func(cfg *provider.Config) {
		inner := cfg.Transport
		cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := inner.RoundTrip(r)
			if err != nil || resp.Header.Get("Location") == "" {
				return resp, err
			}
			_ = resp.Body.Close()
			next := r.Clone(r.Context())
			next.URL, _ = resp.Location()
			next.Body = http.NoBody
			return inner.RoundTrip(next)
		})
	})},
	{"does not see that it ended too early", "the stream dies in the middle", answered(func(_ provider.Config, _ provider.Request, _ *provider.Result, err error) error {
		if provider.CodeOf(err) == provider.CodeBroken {
			return nil
		}
		return err
	})},
	{"starts a reply twice", "the stream dies in the middle", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		res, err := p.Stream(ctx, r, emit)
		if err != nil {
			return p.Stream(ctx, r, emit)
		}
		return res, err
	})},
	{"tries again by itself", "errors by their status", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		res, err := p.Stream(ctx, r, emit)
		if e, ok := errors.AsType[*provider.Error](err); ok && e.Retry {
			return p.Stream(ctx, r, emit)
		}
		return res, err
	})},
	{"is content with nothing", "an empty answer", answered(func(_ provider.Config, _ provider.Request, _ *provider.Result, err error) error {
		if provider.CodeOf(err) == provider.CodeEmpty {
			return nil
		}
		return err
	})},
	{"reads without end", "ten megabytes", built(func(cfg *provider.Config) { cfg.MaxText = 1 << 30 })},
	{"waits without end", "no first byte", built(func(cfg *provider.Config) { cfg.FirstByte = 2 * time.Hour })},
	{"waits long in the middle", "silence in the middle", built(func(cfg *provider.Config) { cfg.Idle = 2 * time.Hour })},
	{"takes any sign of life for progress", "a trickle", built(func(cfg *provider.Config) { cfg.Total = time.Hour })},
	{"works on for nobody", "the caller goes away", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		return p.Stream(context.WithoutCancel(ctx), r, emit)
	})},
	{"goes on after emit's error", "an error of emit ends the reply", wrapped(func(p provider.Provider, _ provider.Config, ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
		var first error
		res, err := p.Stream(ctx, r, func(s string) error { first = errors.Join(first, emit(s)); return nil })
		return res, errors.Join(err, first)
	})},
}
