package providertest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// Under is what an adapter is made with for the exercise.
type Under struct {
	BaseURL   string
	Key       string
	FirstByte time.Duration
	Idle      time.Duration
	Sleep     func(ctx context.Context, d time.Duration) error // record, don't wait
}

// Request is a good request to a model, with every number set.
func Request(model string) provider.Request {
	return provider.Request{Model: model, System: "Be kind. CANARY-PROMPT", Messages: []provider.Message{{Role: provider.RoleUser, Text: "Hi PRIVATE-WORDS"}},
		Params: compile.Params{MaxTokens: 100, TokensField: "max_tokens", Temperature: .7, TopP: .9, PresencePenalty: .1, FrequencyPenalty: .2}}
}

func unset(r provider.Request) provider.Request {
	r.Params.Temperature, r.Params.TopP, r.Params.PresencePenalty, r.Params.FrequencyPenalty = compile.Unset, compile.Unset, compile.Unset, compile.Unset
	return r
}

// Run exercises an adapter for OpenAI-compatible servers.
func Run(t *testing.T, make func(t *testing.T, u Under) provider.Provider) {
	type env struct {
		fake  *Fake
		p     provider.Provider
		waits []time.Duration
	}
	start := func(t *testing.T, steps ...Step) *env {
		e := &env{fake: NewFake(t, steps...)}
		e.fake.Key = "sk-SECRET"
		e.p = make(t, Under{BaseURL: e.fake.URL, Key: "sk-SECRET", FirstByte: time.Second, Idle: 1000 * time.Millisecond,
			Sleep: func(_ context.Context, d time.Duration) error { e.waits = append(e.waits, d); return nil }})
		return e
	}
	ask := func(t *testing.T, e *env, r provider.Request) (string, provider.Result, error) {
		t.Helper()
		var b strings.Builder
		res, err := e.p.Stream(t.Context(), r, func(s string) error { b.WriteString(s); return nil })
		if !utf8.ValidString(b.String()) {
			t.Errorf("emitted text is not UTF-8: %q", b.String())
		}
		if err != nil {
			for _, secret := range []string{"sk-SECRET", "PRIVATE-WORDS", "CANARY-PROMPT"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error gives away %s: %v", secret, err)
				}
			}
		}
		return b.String(), res, err
	}
	code := func(t *testing.T, err error, want string) *provider.Error {
		t.Helper()
		var e *provider.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Fatalf("error %v, want code %s", err, want)
		}
		return e
	}
	good := func(t *testing.T, text string, res provider.Result, err error) {
		t.Helper()
		if err != nil || text != "Hello there." || res.Finish != provider.FinishStop {
			t.Fatalf("%q %+v %v", text, res, err)
		}
	}

	t.Run("a good stream", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		text, res, err := ask(t, e, Request("gpt-4o"))
		good(t, text, res, err)
		if res.PromptTokens != 11 || res.ReplyTokens != 7 || res.Estimated || res.UpstreamID != "chatcmpl-1" || res.Model != "gpt-4o" {
			t.Errorf("%+v", res)
		}
		body := e.fake.Requests()[0]
		if body["temperature"] != .7 || body["top_p"] != .9 || body["max_tokens"] != 100. || body["stream"] != true {
			t.Errorf("sent %v", body)
		}
	})
	t.Run("one document instead of a stream", func(t *testing.T) {
		t.Parallel()
		text, res, err := ask(t, start(t, Step{Plain: true}), Request("gpt-4o"))
		good(t, text, res, err)
	})
	t.Run("without usage and without DONE", func(t *testing.T) {
		t.Parallel()
		text, res, err := ask(t, start(t, Step{NoUsage: true, NoDone: true}), Request("gpt-4o"))
		good(t, text, res, err)
		if !res.Estimated || res.ReplyTokens == 0 || res.PromptTokens == 0 {
			t.Errorf("usage must be estimated: %+v", res)
		}
	})
	t.Run("finish reasons", func(t *testing.T) {
		t.Parallel()
		for in, want := range map[string]string{"length": provider.FinishLength, "content_filter": provider.FinishFilter, "stop": provider.FinishStop, "novel": provider.FinishStop} {
			if _, res, err := ask(t, start(t, Step{Finish: in}), Request("gpt-4o")); err != nil || res.Finish != want {
				t.Errorf("%s: %s %v, want %s", in, res.Finish, err, want)
			}
		}
		if _, res, err := ask(t, start(t, Step{Reply: []string{}, Finish: "content_filter"}), Request("gpt-4o")); err != nil || res.Finish != provider.FinishFilter {
			t.Errorf("a filtered reply without text is no error: %+v %v", res, err)
		}
	})
	t.Run("refused parameters heal and are remembered", func(t *testing.T) {
		t.Parallel()
		for _, model := range []string{"gpt-9", "claude-opus-9"} {
			e := start(t)
			text, res, err := ask(t, e, Request(model))
			good(t, text, res, err)
			if len(res.Dropped) < 4 {
				t.Errorf("%s: dropped %v", model, res.Dropped)
			}
			before := len(e.fake.Requests())
			text, res, err = ask(t, e, Request(model))
			good(t, text, res, err)
			if n := len(e.fake.Requests()) - before; n != 1 {
				t.Errorf("%s: the second reply took %d requests, want 1", model, n)
			}
			if len(e.waits) > 0 {
				t.Errorf("%s: healing must not wait: %v", model, e.waits)
			}
			last := e.fake.Requests()[before]
			if last["max_tokens"] == nil && last["max_completion_tokens"] == nil {
				t.Errorf("%s: no token cap is sent", model)
			}
		}
	})
	t.Run("a refusal that names nothing of ours is final", func(t *testing.T) {
		t.Parallel()
		e := start(t, Step{Status: 400, Body: `{"error":{"message":"Unsupported value: 'messages' PRIVATE-WORDS","param":"messages"}}`}, Step{})
		_, _, err := ask(t, e, Request("gpt-4o"))
		if x := code(t, err, provider.CodeRefused); x.Param != "messages" || len(e.fake.Requests()) != 1 {
			t.Errorf("%+v after %d requests", x, len(e.fake.Requests()))
		}
	})
	t.Run("429 waits as it is told and goes on", func(t *testing.T) {
		t.Parallel()
		e := start(t, Step{Status: 429, Header: map[string]string{"retry-after": "2"}}, Step{Status: 503, Header: map[string]string{"retry-after-ms": "50"}}, Step{})
		text, res, err := ask(t, e, Request("gpt-4o"))
		good(t, text, res, err)
		if len(e.waits) != 2 || e.waits[0] != 2*time.Second || e.waits[1] != 50*time.Millisecond {
			t.Errorf("waited %v", e.waits)
		}
	})
	t.Run("two retries, no more", func(t *testing.T) {
		t.Parallel()
		e := start(t, Step{Status: 500, Body: "sk-SECRET"}, Step{Status: 502}, Step{Status: 500}, Step{})
		_, _, err := ask(t, e, Request("gpt-4o"))
		if x := code(t, err, provider.CodeUpstream); x.Status != 500 || len(e.fake.Requests()) != 3 {
			t.Errorf("%+v after %d requests", x, len(e.fake.Requests()))
		}
	})
	t.Run("a retry-after that is too long is not waited for", func(t *testing.T) {
		t.Parallel()
		e := start(t, Step{Status: 429, Header: map[string]string{"retry-after": "3600"}}, Step{})
		_, _, err := ask(t, e, Request("gpt-4o"))
		if x := code(t, err, provider.CodeRateLimited); x.RetryAfter != time.Hour || len(e.fake.Requests()) != 1 {
			t.Errorf("%+v after %d requests", x, len(e.fake.Requests()))
		}
	})
	t.Run("wrong key", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		e.fake.Key = "another"
		_, _, err := ask(t, e, Request("gpt-4o"))
		code(t, err, provider.CodeUnauthorized)
	})
	t.Run("no such model", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		_, _, err := ask(t, e, Request("missing"))
		code(t, err, provider.CodeNoModel)
	})
	t.Run("the stream dies in the middle", func(t *testing.T) {
		t.Parallel()
		e := start(t, Step{Reply: []string{"Hello ", "there."}, DieAfter: 1}, Step{})
		text, _, err := ask(t, e, Request("gpt-4o"))
		if x := code(t, err, provider.CodeBroken); !x.Started || text != "Hello " || len(e.fake.Requests()) != 1 {
			t.Errorf("%+v %q after %d requests: a started reply is not retried", x, text, len(e.fake.Requests()))
		}
	})
	t.Run("an error chunk", func(t *testing.T) {
		t.Parallel()
		_, _, err := ask(t, start(t, Step{Raw: []string{`{"choices":[{"delta":{"content":"Hi"}}]}`, `{"error":{"message":"sk-SECRET"}}`}}), Request("gpt-4o"))
		if x := code(t, err, provider.CodeUpstream); !x.Started {
			t.Errorf("%+v", x)
		}
	})
	t.Run("garbage in the stream", func(t *testing.T) {
		t.Parallel()
		_, _, err := ask(t, start(t, Step{Raw: []string{`{"choices":[{"delta":{"content":"Hi"}}]}`, `{"choices":[{"del`}}), Request("gpt-4o"))
		code(t, err, provider.CodeBroken)
	})
	t.Run("broken UTF-8", func(t *testing.T) {
		t.Parallel()
		text, _, err := ask(t, start(t, Step{Raw: []string{"{\"choices\":[{\"delta\":{\"content\":\"a\xff\xc3b\"}}]}"}}), Request("gpt-4o"))
		if err != nil || !strings.HasPrefix(text, "a") || !strings.HasSuffix(text, "b") {
			t.Errorf("%q %v", text, err)
		}
	})
	t.Run("an empty answer", func(t *testing.T) {
		t.Parallel()
		_, _, err := ask(t, start(t, Step{Reply: []string{}}), Request("gpt-4o"))
		code(t, err, provider.CodeEmpty)
	})
	t.Run("no first byte", func(t *testing.T) {
		t.Parallel()
		_, _, err := ask(t, start(t, Step{Hang: true}, Step{Hang: true}, Step{Hang: true}), Request("gpt-4o"))
		if x := code(t, err, provider.CodeTimeout); x.Started {
			t.Errorf("%+v", x)
		}
	})
	t.Run("silence in the middle", func(t *testing.T) {
		t.Parallel()
		_, _, err := ask(t, start(t, Step{HangMid: true}), Request("gpt-4o"))
		if x := code(t, err, provider.CodeTimeout); !x.Started {
			t.Errorf("%+v", x)
		}
	})
	t.Run("the caller goes away", func(t *testing.T) {
		t.Parallel()
		e := start(t, Step{HangMid: true})
		ctx, cancel := context.WithCancel(t.Context())
		_, err := e.p.Stream(ctx, Request("gpt-4o"), func(string) error { cancel(); return nil })
		code(t, err, provider.CodeCancelled)
	})
	t.Run("an error of emit ends the reply", func(t *testing.T) {
		t.Parallel()
		mine := errors.New("enough")
		e := start(t)
		n := 0
		_, err := e.p.Stream(t.Context(), Request("gpt-4o"), func(string) error { n++; return mine })
		if err != mine || n != 1 || len(e.fake.Requests()) != 1 {
			t.Errorf("%v after %d pieces and %d requests", err, n, len(e.fake.Requests()))
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		p := make(t, Under{BaseURL: "http://127.0.0.1:1/v1", FirstByte: time.Second, Idle: time.Second, Sleep: func(context.Context, time.Duration) error { return nil }})
		_, err := p.Stream(t.Context(), unset(Request("gpt-9")), func(string) error { return nil })
		code(t, err, provider.CodeUnreachable)
	})
}
