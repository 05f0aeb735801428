// Package providertest is the exercise that every adapter passes, against servers
// that refuse what the real ones refuse, in the real ones' words, and break as
// they break.
//
// Start reading at Run; Fake is the server, limits.go what its models accept,
// Broken the adapters that the exercise must reject.
package providertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// Make makes the adapter under test.
type Make func(t testing.TB, cfg provider.Config) provider.Provider

const (
	secretKey    = "sk-SECRET"
	secretPrompt = "CANARY-PROMPT"
	secretWords  = "PRIVATE-WORDS"
)

// bench is one adapter before one fake, in a time of its own.
type bench struct {
	testing.TB
	vendor string
	fake   *Fake
	cfg    provider.Config
	p      provider.Provider
	make   Make
}

// newBench starts both.
func newBench(t testing.TB, vendor string, mk Make) *bench {
	b := &bench{TB: t, vendor: vendor, make: mk, fake: newFake(vendor)}
	b.fake.Key = secretKey
	b.cfg = provider.Config{Name: "test", BaseURL: b.fake.URL, Key: secretKey, KeyName: "TEST_API_KEY", Client: b.fake.client(t)}
	b.p = mk(t, b.cfg)
	return b
}

// classic is a model of the vendor that takes as many numbers as any.
var classic = map[string]string{
	compile.VendorOpenAI: "gpt-4o", compile.VendorAnthropic: "claude-3-5-sonnet-20241022", compile.VendorGemini: "gemini-2.0-flash",
	compile.VendorOllama: "llama3.2:1b", compile.VendorVLLM: "meta-llama/Llama-3.1-8B-Instruct", compile.VendorLlamaCPP: "SmolLM2-135M-Instruct.Q4_1.gguf",
	compile.VendorCompatible: "openai/gpt-4o",
}

// strict is one that refuses some of what classic takes, and what it refuses.
var strict = map[string]struct {
	model   string
	refuses []string
}{
	compile.VendorOpenAI:     {"gpt-9", []string{"temperature", "top_p", "presence_penalty", "frequency_penalty"}},
	compile.VendorAnthropic:  {"claude-opus-9", []string{"temperature", "top_p"}},
	compile.VendorGemini:     {"gemini-2.5-flash", []string{"presence_penalty", "frequency_penalty"}},
	compile.VendorCompatible: {"gpt-9", []string{"temperature", "top_p", "presence_penalty", "frequency_penalty"}},
}

// Request is a good request to a model of a vendor, with every number set that
// the vendor has.
func Request(vendor, model string) provider.Request {
	r := provider.Request{Model: model, System: "Be kind. " + secretPrompt, Messages: []provider.Message{{Role: provider.RoleUser, Text: "Hi " + secretWords}},
		Params: compile.Plain(compile.Model{Vendor: vendor, ID: model}, 2000)}
	r.Params.Temperature, r.Params.TopP = .7, .9
	if vendor != compile.VendorAnthropic {
		r.Params.PresencePenalty, r.Params.FrequencyPenalty = .1, .2
	}
	return r
}

func (b *bench) request() provider.Request { return Request(b.vendor, classic[b.vendor]) }

func (b *bench) ask(r provider.Request) (string, provider.Result, error) {
	b.Helper()
	var out strings.Builder
	res, err := b.p.Stream(b.Context(), r, func(s string) error { out.WriteString(s); return nil })
	if !utf8.ValidString(out.String()) {
		b.Errorf("emitted text is not UTF-8: %q", out.String())
	}
	b.keeps(err)
	return out.String(), res, err
}

// keeps checks that an error gives nothing away.
func (b *bench) keeps(err error) {
	b.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{secretKey, secretWords, secretPrompt, "WORDS-FROM-OUTSIDE"} {
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
			b.Errorf("the error gives away %s: %v", secret, err)
		}
	}
}

func (b *bench) good(text string, res provider.Result, err error) {
	b.Helper()
	if err != nil || text != "Hello there." || res.Finish != provider.FinishStop {
		b.Fatalf("%q %+v %v", text, res, err)
	}
}

func (b *bench) code(err error, want string) *provider.Error {
	b.Helper()
	e, ok := errors.AsType[*provider.Error](err)
	if !ok || e.Code != want {
		b.Fatalf("error %v, want code %s", err, want)
	}
	return e
}

// Run exercises an adapter for a vendor.
func Run(t *testing.T, vendor string, mk Make) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { c.do(newBench(t, vendor, mk)) })
		})
	}
}

// RunBroken shows the exercise adapters made from a good one, broken in one way
// each, and expects the check that is named for it to reject them.
func RunBroken(t *testing.T, vendor string, mk Make) {
	for _, broken := range brokens {
		t.Run(broken.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range checks {
				if c.name != broken.caught {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					w := &witness{TB: t}
					w.watch(func() { c.do(newBench(w, vendor, broken.make(mk))) })
					if !w.failed {
						t.Errorf("%q lets an adapter pass that %s", c.name, broken.name)
					}
				})
				return
			}
			t.Errorf("no check is called %q", broken.caught)
		})
	}
}

// witness notes that a check failed instead of failing.
type witness struct {
	testing.TB
	failed bool
}

type enough struct{}

func (w *witness) Errorf(string, ...any) { w.failed = true }
func (w *witness) Fatalf(string, ...any) { w.failed = true; panic(enough{}) }
func (w *witness) Fatal(...any)          { w.failed = true; panic(enough{}) }

func (w *witness) watch(do func()) {
	defer func() {
		if p := recover(); p != nil && p != any(enough{}) {
			panic(p)
		}
	}()
	do()
}

type check struct {
	name string
	do   func(b *bench)
}

var checks = []check{
	{"a good stream", func(b *bench) {
		text, res, err := b.ask(b.request())
		b.good(text, res, err)
		if res.PromptTokens != 11 || res.ReplyTokens != 7 || res.Estimated || res.UpstreamID != "up-1" || res.Model != classic[b.vendor] || len(res.Dropped) > 0 {
			b.Errorf("%+v", res)
		}
		s := b.fake.Seen()[0]
		if s.Params["temperature"] != .7 || s.Params["top_p"] != .9 || s.Params["tokens"] == nil || !strings.Contains(s.System, secretPrompt) ||
			len(s.Texts) != 1 || !strings.Contains(s.Texts[0], secretWords) {
			b.Errorf("sent %+v", s)
		}
	}},
	{"pieces come as they are made", func(b *bench) {
		b.fake.Add(Step{HangMid: true, Reply: []string{"early", "late"}})
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		got := ""
		_, _ = b.p.Stream(ctx, b.request(), func(s string) error { got += s; return nil })
		if got != "early" {
			b.Errorf("had %q after a second", got)
		}
	}},
	{"other scripts", func(b *bench) {
		b.fake.Add(Step{Reply: []string{"Grüße, ", "日本語 ", "👩‍🚀\n"}})
		if text, _, err := b.ask(b.request()); err != nil || text != "Grüße, 日本語 👩‍🚀\n" {
			b.Errorf("%q %v", text, err)
		}
	}},
	{"a talk of several turns", func(b *bench) {
		r := b.request()
		r.Messages = []provider.Message{{Role: provider.RoleAssistant, Text: "Welcome."}, {Role: provider.RoleUser, Text: "Hi"}, {Role: provider.RoleAssistant, Text: "Yes?"}, {Role: provider.RoleUser, Text: "Bye"}}
		text, res, err := b.ask(r)
		b.good(text, res, err)
		if s := strings.Join(b.fake.Seen()[0].Texts, "|"); !strings.HasSuffix(s, "Welcome.|Hi|Yes?|Bye") {
			b.Errorf("sent %s", s)
		}
	}},
	{"one document instead of a stream", func(b *bench) {
		b.fake.Add(Step{Plain: true})
		text, res, err := b.ask(b.request())
		b.good(text, res, err)
		if res.PromptTokens != 11 || res.ReplyTokens != 7 {
			b.Errorf("%+v", res)
		}
	}},
	{"without usage and without an end mark", func(b *bench) {
		b.fake.Add(Step{NoUsage: true, NoDone: true})
		text, res, err := b.ask(b.request())
		b.good(text, res, err)
		if res.ReplyTokens == 0 || res.PromptTokens == 0 {
			b.Errorf("usage must be estimated: %+v", res)
		}
	}},
	{"finish reasons", func(b *bench) {
		for in, want := range reasons[family(b.vendor)] {
			b.fake.Add(Step{Finish: in})
			if _, res, err := b.ask(b.request()); err != nil || res.Finish != want {
				b.Errorf("%s: %s %v, want %s", in, res.Finish, err, want)
			}
			if want != provider.FinishFilter {
				continue
			}
			b.fake.Add(Step{Reply: []string{}, Finish: in})
			if _, res, err := b.ask(b.request()); err != nil || res.Finish != want {
				b.Errorf("%s without text is no error: %+v %v", in, res, err)
			}
		}
	}},
	{"a refused prompt", func(b *bench) {
		steps := []Step{{Status: 400, Says: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. WORDS-FROM-OUTSIDE"}}
		if b.vendor == compile.VendorGemini {
			steps = append(steps, Step{Raw: []string{`{"promptFeedback":{"blockReason":"SAFETY"}}`}, Reply: []string{}})
		}
		for _, s := range steps {
			b.fake.Add(s)
			if text, res, err := b.ask(b.request()); err != nil || res.Finish != provider.FinishFilter || text != "" {
				b.Errorf("%q %+v %v", text, res, err)
			}
		}
	}},
	{"refused parameters heal and are remembered", func(b *bench) {
		s, ok := strict[b.vendor]
		if !ok {
			return
		}
		r := Request(b.vendor, s.model)
		for range 2 {
			before := len(b.fake.Seen())
			text, res, err := b.ask(r)
			b.good(text, res, err)
			if fmt.Sprint(res.Dropped) != fmt.Sprint(s.refuses) {
				b.Errorf("dropped %v, want %v", res.Dropped, s.refuses)
			}
			seen := b.fake.Seen()[before:]
			if last := seen[len(seen)-1]; last.Params["tokens"] == nil {
				b.Errorf("no token cap is sent: %s", last.Body)
			}
			if before > 0 && len(seen) != 1 {
				b.Errorf("the second reply took %d requests, want 1", len(seen))
			}
		}
		time.Sleep(25 * time.Hour)
		before := len(b.fake.Seen())
		if _, _, err := b.ask(r); err != nil || len(b.fake.Seen())-before < 2 {
			b.Errorf("after a day the model must be asked anew: %d requests, %v", len(b.fake.Seen())-before, err)
		}
	}},
	{"a refusal that names nothing of ours is final", func(b *bench) {
		b.fake.Add(Step{Status: 400, Says: "Unsupported value: 'messages' " + secretWords + " WORDS-FROM-OUTSIDE"})
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeRefused); e.Param != "messages" || e.Retry || len(b.fake.Seen()) != 1 {
			b.Errorf("%+v after %d requests", e, len(b.fake.Seen()))
		}
	}},
	{"a refusal that never ends", func(b *bench) {
		for range 40 {
			b.fake.Add(Step{Status: 400, Says: "Unsupported parameter: 'temperature' is not supported with this model."})
		}
		_, _, err := b.ask(b.request())
		if b.code(err, provider.CodeRefused); len(b.fake.Seen()) != 2 {
			b.Errorf("%d requests", len(b.fake.Seen()))
		}
	}},
	{"fewer tokens heal", func(b *bench) {
		b.fake.Add(Step{Status: 400, Says: "max_tokens is too large: 2000. This model supports at most 1200 completion tokens, whereas you provided 2000."})
		text, res, err := b.ask(b.request())
		b.good(text, res, err)
		if s := b.fake.Seen(); len(s) != 2 || s[1].Params["tokens"] != 1200. {
			b.Errorf("sent %+v", s)
		}
	}},
	{"a document", func(b *bench) {
		r := b.request()
		r.Schema = &provider.Schema{Name: "answer", JSON: []byte(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}`)}
		if b.vendor == compile.VendorAnthropic {
			r.Model = "claude-opus-4-5"
			r.Params.TopP = compile.Unset
		}
		b.fake.Add(Step{Reply: []string{`{"n"`, `: 7}`}}, Step{Status: 400, Says: refusesSchema[family(b.vendor)]}, Step{Reply: []string{"```json\n{\"n\": 8}\n```"}}, Step{Reply: []string{"seven"}})
		var v struct{ N int }
		if _, err := provider.Document(b.Context(), b.p, r, &v); err != nil || v.N != 7 || b.fake.Seen()[0].Params["schema"] == nil {
			b.Errorf("%+v %v %s", v, err, b.fake.Seen()[0].Body)
		}
		res, err := provider.Document(b.Context(), b.p, r, &v)
		last := b.fake.Seen()[len(b.fake.Seen())-1]
		if err != nil || v.N != 8 || last.Params["schema"] != nil || !strings.Contains(last.System, `"integer"`) || fmt.Sprint(res.Dropped) != "[schema]" {
			b.Errorf("without enforcement the form is asked for in words: %+v %v %s", res, err, last.Body)
		}
		_, err = provider.Document(b.Context(), b.p, r, &v)
		b.keeps(err)
		b.code(err, provider.CodeBroken)
	}},
	{"wrong key", func(b *bench) {
		b.fake.Key = "another"
		_, _, err := b.ask(b.request())
		if b.code(err, provider.CodeUnauthorized); !strings.Contains(err.Error(), "check TEST_API_KEY") {
			b.Errorf("%v does not say which variable", err)
		}
	}},
	{"no key", func(b *bench) {
		b.cfg.Key = ""
		b.p = b.make(b, b.cfg)
		_, _, err := b.ask(b.request())
		if b.code(err, provider.CodeUnauthorized); !strings.Contains(err.Error(), "set TEST_API_KEY") {
			b.Errorf("%v does not say which variable", err)
		}
	}},
	{"no such model", func(b *bench) {
		_, _, err := b.ask(Request(b.vendor, "missing"))
		b.code(err, provider.CodeNoModel)
		_, _, err = b.ask(Request(b.vendor, "../../elsewhere?x=#"))
		b.keeps(err)
		for _, s := range b.fake.Seen() {
			if strings.Contains(s.Model, "elsewhere") && b.vendor == compile.VendorGemini {
				b.Errorf("a name became a path: %s", s.Model)
			}
		}
	}},
	{"errors by their status", func(b *bench) {
		for _, c := range []struct {
			status int
			says   string
			header map[string]string
			code   string
			retry  bool
			after  time.Duration
		}{
			{429, "slow down", map[string]string{"retry-after": "2"}, provider.CodeRateLimited, true, 2 * time.Second},
			{503, "busy", map[string]string{"retry-after-ms": "50"}, provider.CodeUpstream, true, 50 * time.Millisecond},
			{500, secretKey, nil, provider.CodeUpstream, true, 0},
			{529, "Overloaded", nil, provider.CodeUpstream, true, 0},
			{500, "no", map[string]string{"x-should-retry": "false"}, provider.CodeUpstream, false, 0},
			{408, "slow", nil, provider.CodeTimeout, true, 0},
			{409, "again", nil, provider.CodeUpstream, true, 0},
			{402, "pay", nil, provider.CodeQuota, false, 0},
			{400, "Your credit balance is too low to access the API.", nil, provider.CodeQuota, false, 0},
			{403, "no", nil, provider.CodeUnauthorized, false, 0},
			{413, "too much", nil, provider.CodeTooLong, false, 0},
			{400, "prompt is too long: 300000 tokens > 200000 maximum WORDS-FROM-OUTSIDE", nil, provider.CodeTooLong, false, 0},
			{418, "tea", nil, provider.CodeRefused, false, 0},
		} {
			b.fake.Add(Step{Status: c.status, Says: c.says, Header: c.header})
			_, _, err := b.ask(b.request())
			if e := b.code(err, c.code); e.Status != c.status || e.Retry != c.retry || e.RetryAfter != c.after || e.Started {
				b.Errorf("%d %s: %+v", c.status, c.says, e)
			}
		}
		if n := len(b.fake.Seen()); n != 13 {
			b.Errorf("%d requests: an adapter does not try again by itself", n)
		}
	}},
	{"an error that is no document", func(b *bench) {
		b.fake.Add(Step{Status: 502, Body: "<html>WORDS-FROM-OUTSIDE</html>"}, Step{Status: 400, Body: strings.Repeat("x", 1<<20)})
		_, _, err := b.ask(b.request())
		b.code(err, provider.CodeUpstream)
		_, _, err = b.ask(b.request())
		b.code(err, provider.CodeRefused)
	}},
	{"an address that answers with another", func(b *bench) {
		b.fake.Add(Step{Status: 307, Header: map[string]string{"Location": "http://fake.test/elsewhere"}})
		stolen := ""
		inner := b.cfg.Client
		b.cfg.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/elsewhere" {
				stolen = fmt.Sprint(r.Header)
			}
			return inner.Transport.RoundTrip(r)
		})}
		b.p = b.make(b, b.cfg)
		_, _, err := b.ask(b.request())
		if b.code(err, provider.CodeMoved); stolen != "" {
			b.Errorf("the request was sent on")
		}
	}},
	{"the stream dies in the middle", func(b *bench) {
		b.fake.Add(Step{DieAfter: 1})
		text, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeBroken); !e.Started || e.Retry || text != "Hello " || len(b.fake.Seen()) != 1 {
			b.Errorf("%+v %q after %d requests: a started reply is not tried again", e, text, len(b.fake.Seen()))
		}
	}},
	{"an error within the stream", func(b *bench) {
		b.fake.Add(Step{Reply: []string{"Hi"}, Fails: "WORDS-FROM-OUTSIDE"}, Step{Reply: []string{}, Fails: "WORDS-FROM-OUTSIDE"})
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeUpstream); !e.Started || e.Retry {
			b.Errorf("%+v", e)
		}
		_, _, err = b.ask(b.request())
		if e := b.code(err, provider.CodeUpstream); e.Started || !e.Retry {
			b.Errorf("%+v", e)
		}
	}},
	{"garbage in the stream", func(b *bench) {
		b.fake.Add(Step{Raw: []string{piece(b.vendor, "Hi"), `{"choices":[{"del`}})
		text, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeBroken); !e.Started || text != "Hi" {
			b.Errorf("%q %+v", text, e)
		}
	}},
	{"a web page", func(b *bench) {
		b.cfg.Client = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: http.NoBody}, nil
		})}
		b.p = b.make(b, b.cfg)
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeRefused); e.Hint == "" {
			b.Errorf("%+v", e)
		}
	}},
	{"broken UTF-8", func(b *bench) {
		b.fake.Add(Step{Raw: []string{piece(b.vendor, "a\xff\xc3b")}})
		text, _, err := b.ask(b.request())
		if err != nil || !strings.HasPrefix(text, "a") || !strings.HasSuffix(text, "b") {
			b.Errorf("%q %v", text, err)
		}
	}},
	{"an empty answer", func(b *bench) {
		b.fake.Add(Step{Reply: []string{}})
		_, _, err := b.ask(b.request())
		b.code(err, provider.CodeEmpty)
	}},
	{"ten megabytes", func(b *bench) {
		b.fake.Add(Step{Bytes: 10 << 20})
		text, res, err := b.ask(b.request())
		if err != nil || len(text) != 1<<20 || res.Finish != provider.FinishLength {
			b.Errorf("%d bytes, %+v %v", len(text), res.Finish, err)
		}
	}},
	{"a line without an end", func(b *bench) {
		b.fake.Add(Step{Raw: []string{strings.Repeat("x", 5<<20)}})
		_, _, err := b.ask(b.request())
		b.code(err, provider.CodeTooLarge)
	}},
	{"no first byte", func(b *bench) {
		b.fake.Add(Step{Hang: true})
		began := time.Now()
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeTimeout); e.Started || e.Retry || time.Since(began) != time.Minute {
			b.Errorf("%+v after %v", e, time.Since(began))
		}
	}},
	{"silence in the middle", func(b *bench) {
		b.fake.Add(Step{HangMid: true})
		began := time.Now()
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeTimeout); !e.Started || time.Since(began) != 30*time.Second {
			b.Errorf("%+v after %v", e, time.Since(began))
		}
	}},
	{"a trickle", func(b *bench) {
		b.fake.Add(Step{Drip: true})
		began := time.Now()
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeTimeout); e.Started || time.Since(began) != 3*time.Minute {
			b.Errorf("%+v after %v", e, time.Since(began))
		}
	}},
	{"the caller goes away", func(b *bench) {
		for _, s := range []Step{{HangMid: true}, {Hang: true}} {
			b.fake.Add(s)
			ctx, cancel := context.WithCancel(b.Context())
			time.AfterFunc(time.Second, cancel)
			began := time.Now()
			_, err := b.p.Stream(ctx, b.request(), func(string) error { return nil })
			if b.code(err, provider.CodeCancelled); time.Since(began) != time.Second {
				b.Errorf("it took %v", time.Since(began))
			}
		}
	}},
	{"an error of emit ends the reply", func(b *bench) {
		mine := errors.New("enough")
		n := 0
		_, err := b.p.Stream(b.Context(), b.request(), func(string) error { n++; return mine })
		if err != mine || n != 1 || len(b.fake.Seen()) != 1 {
			b.Errorf("%v after %d pieces and %d requests", err, n, len(b.fake.Seen()))
		}
	}},
	{"nobody there", func(b *bench) {
		b.cfg.Client = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("dial: WORDS-FROM-OUTSIDE") })}
		b.p = b.make(b, b.cfg)
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeUnreachable); !e.Retry {
			b.Errorf("%+v", e)
		}
	}},
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// family is whose words a vendor's server uses.
func family(vendor string) string {
	if vendor == compile.VendorAnthropic || vendor == compile.VendorGemini {
		return vendor
	}
	return compile.VendorOpenAI
}

// reasons are the vendors' words for the end of a reply, and ours.
var reasons = map[string]map[string]string{
	compile.VendorOpenAI: {"stop": provider.FinishStop, "length": provider.FinishLength, "content_filter": provider.FinishFilter, "novel": provider.FinishStop},
	compile.VendorAnthropic: {"end_turn": provider.FinishStop, "stop_sequence": provider.FinishStop, "max_tokens": provider.FinishLength, "refusal": provider.FinishFilter,
		"model_context_window_exceeded": provider.FinishLength, "pause_turn": provider.FinishLength, "novel": provider.FinishStop},
	compile.VendorGemini: {"STOP": provider.FinishStop, "MAX_TOKENS": provider.FinishLength, "CONTINUATION": provider.FinishLength, "SAFETY": provider.FinishFilter,
		"RECITATION": provider.FinishFilter, "PROHIBITED_CONTENT": provider.FinishFilter, "BLOCKLIST": provider.FinishFilter, "SPII": provider.FinishFilter, "NOVEL": provider.FinishStop},
}

var refusesSchema = map[string]string{
	compile.VendorOpenAI:    "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
	compile.VendorAnthropic: "output_config.format: Extra inputs are not permitted",
	compile.VendorGemini:    "Json mode is not enabled for this model",
}

// piece is one event with text, unescaped.
func piece(vendor, text string) string {
	switch vendor {
	case compile.VendorAnthropic:
		return `{"type":"content_block_delta","delta":{"type":"text_delta","text":"` + text + `"}}`
	case compile.VendorGemini:
		return `{"candidates":[{"content":{"parts":[{"text":"` + text + `"}]}}]}`
	}
	return `{"choices":[{"delta":{"content":"` + text + `"}}]}`
}
