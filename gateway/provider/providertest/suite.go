// Package providertest is the exercise that every adapter passes, against servers
// that refuse what the real ones refuse, in the real ones' words, and break as
// they break.
//
// Start reading at Run; Fake is the server, limits.go what its models accept,
// Broken the adapters that the exercise must reject.
package providertest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
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
	b.cfg = provider.Config{Name: "test", BaseURL: b.fake.URL, Key: secretKey, KeyName: "TEST_API_KEY", Transport: b.fake.transport(t)}
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
