package openai

import (
	"flag"
	"io"
	"net/http"
	"strings"
	"testing"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/providertest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func client(t testing.TB, cfg provider.Config) provider.Provider {
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, vendor := range []string{compile.VendorOpenAI, compile.VendorCompatible, compile.VendorOllama, compile.VendorVLLM, compile.VendorLlamaCPP} {
		t.Run(vendor, func(t *testing.T) { providertest.Run(t, vendor, client) })
	}
}

func TestBrokenAdaptersAreRejected(t *testing.T) {
	t.Parallel()
	providertest.RunBroken(t, compile.VendorOpenAI, client)
}

func TestModels(t *testing.T) {
	t.Parallel()
	for _, vendor := range []string{compile.VendorOpenAI, compile.VendorCompatible, compile.VendorOllama, compile.VendorVLLM, compile.VendorLlamaCPP} {
		providertest.Golden(t, vendor, client, *update)
	}
}

// Azure has its keys in a header of its own, and older resources a query in their
// address.
func TestAzure(t *testing.T) {
	t.Parallel()
	var asked *http.Request
	p := client(t, provider.Config{Name: "a", BaseURL: "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21", Key: "k",
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = r
			return canned("data: [DONE]\n\n").RoundTrip(r)
		})})
	_, _ = p.Stream(t.Context(), providertest.Request(compile.VendorOpenAI, "gpt-4o"), func(string) error { return nil })
	if asked.Header.Get("api-key") != "k" || asked.Header.Get("Authorization") != "" ||
		asked.URL.String() != "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21" {
		t.Errorf("%s %v", asked.URL, asked.Header)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What the client costs beside the network: 22 pieces of one reply.
func BenchmarkStream(b *testing.B) {
	answer := strings.Repeat(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"hello "},"finish_reason":null}]}`+"\n\n", 22) +
		`data: {"id":"chatcmpl-1","model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	p := client(b, provider.Config{Name: "b", BaseURL: "http://b.test/v1", Transport: canned(answer)})
	r := providertest.Request(compile.VendorOpenAI, "gpt-4o")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Stream(b.Context(), r, func(string) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

type canned string

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(strings.NewReader(string(c)))}, nil
}

// OpenAI is not asked without a key; other servers may need none.
func TestKeyOfOpenAI(t *testing.T) {
	t.Parallel()
	for base, lacks := range map[string]string{"https://api.openai.com/v1": "set OPENAI_API_KEY", "https://proxy.example/v1": "", "http://127.0.0.1:8000/v1": ""} {
		c, err := New(provider.Config{Name: "x", BaseURL: base, KeyName: "OPENAI_API_KEY"})
		if err != nil || c.Lacks() != lacks {
			t.Errorf("%s lacks %q, want %q, %v", base, c.Lacks(), lacks, err)
		}
	}
}
