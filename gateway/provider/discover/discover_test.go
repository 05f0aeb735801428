package discover

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/gateway/compile"
)

// server answers some paths and gives its port.
func server(t *testing.T, answers map[string]string) int {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

func TestOrder(t *testing.T) {
	t.Parallel()
	none := server(t, nil)
	models := map[string]string{"/v1/models": `{"data":[{"id":"m1"},{"id":"m2"}]}`, "/health": `{"status":"ok"}`}
	some := server(t, models)
	loading := server(t, map[string]string{"/v1/models": models["/v1/models"], "/health": `{"status":"loading"}`})
	ollama := server(t, map[string]string{"/api/version": `{"version":"0.17"}`,
		"/api/tags": `{"models":[{"name":"big","size":9},{"name":"nomic-embed-text","size":1},{"name":"small","size":2}]}`})
	empty := server(t, map[string]string{"/api/version": `{"version":"0.17"}`, "/api/tags": `{"models":[]}`})
	env := func(k string) string { return map[string]string{"OPENAI_API_KEY": "sk-1"}[k] }
	for _, c := range []struct {
		name          string
		o             Options
		why, id, vend string
	}{
		{"settings win", Options{Settings: []Setting{{Name: "mine", BaseURL: "https://x.example/v1", Model: "m"}}, Getenv: env, Ollama: ollama}, "settings", "m", compile.VendorCompatible},
		{"environment before probes", Options{Getenv: env, Ollama: ollama}, "environment", "gpt-6-luna", compile.VendorOpenAI},
		{"ollama, the smallest that can chat", Options{Ollama: ollama, LlamaCPP: some, VLLM: some}, "ollama", "small", compile.VendorOllama},
		{"ollama without models", Options{Ollama: empty, LlamaCPP: some, VLLM: none}, "llama.cpp", "m1", compile.VendorLlamaCPP},
		{"llama-server that still loads", Options{Ollama: none, LlamaCPP: loading, VLLM: some}, "vllm", "m1", compile.VendorVLLM},
		{"nothing", Options{Ollama: none, LlamaCPP: none, VLLM: none}, "offline-demo", "offline-demo", compile.VendorOffline},
		{"probes off", Options{NoProbe: true, Ollama: ollama}, "offline-demo", "offline-demo", compile.VendorOffline},
		{"the demo by choice", Options{Settings: []Setting{{Vendor: compile.VendorOffline}}}, "settings", "offline-demo", compile.VendorOffline},
	} {
		c.o.Timeout = 2 * time.Second
		f, err := Find(t.Context(), c.o)
		if err != nil || f.Why != c.why || f.Registry.Default[0].ID != c.id || f.Registry.Default[0].Vendor != c.vend {
			t.Errorf("%s: %s %+v %v", c.name, f.Why, f.Registry.Default, err)
			continue
		}
		m := f.Registry.Default[0]
		if f.Registry.Providers[m.Provider] != m || f.Registry.Providers["offline-demo"] != Demo || len(f.Registry.Default) != 1 {
			t.Errorf("%s: registry %+v", c.name, f.Registry)
		}
		if (m != Demo) != (len(f.Settings) == 1) || m != Demo && f.Settings[0].Name != m.Provider {
			t.Errorf("%s: settings %+v", c.name, f.Settings)
		}
	}
	for _, bad := range []Setting{{Name: "x", BaseURL: "http://x/v1"}, {Name: "", BaseURL: "http://x/v1", Model: "m"}, {Name: "offline-demo", BaseURL: "http://x/v1", Model: "m"}} {
		if _, err := Find(t.Context(), Options{Settings: []Setting{bad}}); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestHosted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		env  map[string]string
		set  []Setting
		want []Setting
	}{
		{"all keys, in order", map[string]string{"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2", "GOOGLE_API_KEY": "k3", "ANTHROPIC_MODEL": "claude-opus-5-5"}, nil, []Setting{
			{"openai", compile.VendorOpenAI, "https://api.openai.com/v1", "k1", "OPENAI_API_KEY", "gpt-6-luna"},
			{"anthropic", compile.VendorAnthropic, "https://api.anthropic.com/v1", "k2", "ANTHROPIC_API_KEY", "claude-opus-5-5"},
			{"gemini", compile.VendorGemini, "https://generativelanguage.googleapis.com/v1beta", "k3", "GOOGLE_API_KEY", "gemini-3.5-flash-lite"}}},
		{"addresses as the vendors' libraries take them", map[string]string{"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://proxy.example/", "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "m"}, nil, []Setting{
			{"openai", compile.VendorCompatible, "http://127.0.0.1:9/v1", "k", "OPENAI_API_KEY", "m"},
			{"anthropic", compile.VendorAnthropic, "https://proxy.example/v1", "k", "ANTHROPIC_API_KEY", "claude-haiku-5-5"}}},
		{"a vendor and no more", map[string]string{"GEMINI_API_KEY": "k"}, []Setting{{Name: "configured", Vendor: compile.VendorGemini, KeyName: "x"}}, []Setting{
			{"configured", compile.VendorGemini, "https://generativelanguage.googleapis.com/v1beta", "k", "GEMINI_API_KEY", "gemini-3.5-flash-lite"}}},
		{"its address and model, too", map[string]string{"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://proxy.example", "ANTHROPIC_MODEL": "claude-opus-5-5", "OPENAI_API_KEY": "k2"},
			[]Setting{{Name: "configured", Vendor: compile.VendorAnthropic, KeyName: "x"}}, []Setting{
				{"configured", compile.VendorAnthropic, "https://proxy.example/v1", "k", "ANTHROPIC_API_KEY", "claude-opus-5-5"}}},
		{"and a server that only speaks as it does", map[string]string{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, []Setting{{Name: "configured", Vendor: compile.VendorOpenAI, Model: "m"}}, []Setting{
			{"configured", compile.VendorCompatible, "http://127.0.0.1:9/v1", "k", "OPENAI_API_KEY", "m"}}},
		{"a key that was configured goes to the vendor", map[string]string{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "m"}, []Setting{{Name: "configured", Vendor: compile.VendorOpenAI, Key: "mine", KeyName: "x"}}, []Setting{
			{"configured", compile.VendorOpenAI, "https://api.openai.com/v1", "mine", "x", "m"}}},
		{"a key that is missing is named", nil, []Setting{{Name: "configured", Vendor: compile.VendorAnthropic}}, []Setting{
			{"configured", compile.VendorAnthropic, "https://api.anthropic.com/v1", "", "ANTHROPIC_API_KEY", "claude-haiku-5-5"}}},
		{"an address tells whose it is", nil, []Setting{{Name: "configured", BaseURL: "https://api.openai.com/v1", Key: "k", KeyName: "x", Model: "gpt-5.1"}}, []Setting{
			{"configured", compile.VendorOpenAI, "https://api.openai.com/v1", "k", "x", "gpt-5.1"}}},
		{"a vendor's key does not go to others", map[string]string{"ANTHROPIC_API_KEY": "k"}, []Setting{{Name: "configured", Vendor: compile.VendorAnthropic, BaseURL: "https://other.example/v1", Model: "m"}}, []Setting{
			{"configured", compile.VendorAnthropic, "https://other.example/v1", "", "", "m"}}},
		{"Gemini in OpenAI's language", nil, []Setting{{Name: "configured", BaseURL: "https://generativelanguage.googleapis.com/v1beta/openai", Key: "k", Model: "m"}}, []Setting{
			{"configured", compile.VendorCompatible, "https://generativelanguage.googleapis.com/v1beta/openai", "k", "", "m"}}},
	} {
		f, err := Find(t.Context(), Options{Settings: c.set, Getenv: func(k string) string { return c.env[k] }, NoProbe: true})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d := cmp.Diff(c.want, f.Settings); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if len(f.Registry.Default) != len(c.want) || len(f.Registry.Providers) != len(c.want)+1 {
			t.Errorf("%s: %+v", c.name, f.Registry)
		}
	}
}
