// Package discover finds something to talk with, so that a fresh start needs no
// configuration: what was configured, else a key in the environment, else a
// model server on this machine, else the offline generator.
//
// Start reading at Find.
package discover

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"rapport/gateway/compile"
)

// Setting is one configured model; the first is the default, the others are its
// fallbacks.
type Setting struct {
	Name    string // of the provider
	Vendor  string // one of compile's Vendor constants; compatible when empty
	BaseURL string
	Key     string
	KeyName string // where the key was configured, for messages
	Model   string
}

// Options are what Find goes by.
type Options struct {
	Settings  []Setting
	Getenv    func(string) string // environment; nothing is read when nil
	NoProbe   bool                // don't look for servers on this machine
	Loopback  string              // host that is probed, 127.0.0.1 when empty
	Ollama    int                 // ports; 11434, 8080 and 8000 when 0
	LlamaCPP  int
	VLLM      int
	Timeout   time.Duration // per probe, 200 ms when 0
	Archetype map[string]compile.Model
}

// Demo is the offline generator as a model. It is always among the registry's
// providers.
var Demo = compile.Model{Provider: compile.VendorOffline, ID: compile.VendorOffline, Vendor: compile.VendorOffline}

// Found is what can be called.
type Found struct {
	Registry compile.Registry
	Settings []Setting // one per provider but the offline generator
	Why      string    // settings, environment, ollama, llama.cpp, vllm, offline-demo
}

// Find looks in this order: settings; OPENAI_API_KEY (with OPENAI_BASE_URL and
// OPENAI_MODEL); Ollama, llama-server and vLLM on loopback; the offline
// generator. It fails only when a setting lacks its
// names. The generator is never
// a silent fallback of a real model.
func Find(ctx context.Context, o Options) (Found, error) {
	if o.Loopback == "" {
		o.Loopback = "127.0.0.1"
	}
	if o.Timeout == 0 {
		o.Timeout = 200 * time.Millisecond
	}
	def := func(port *int, v int) {
		if *port == 0 {
			*port = v
		}
	}
	def(&o.Ollama, 11434)
	def(&o.LlamaCPP, 8080)
	def(&o.VLLM, 8000)

	found := Found{Registry: compile.Registry{Archetypes: o.Archetype, Providers: map[string]compile.Model{Demo.Provider: Demo}}}
	settings, why := o.choose(ctx)
	for _, s := range settings {
		if s.Vendor == compile.VendorOffline {
			found.Registry.Default = append(found.Registry.Default, Demo)
			continue
		}
		if s.Vendor == "" {
			s.Vendor = compile.VendorCompatible
		}
		if s.Name == "" || s.Model == "" || s.Name == Demo.Provider {
			return Found{}, fmt.Errorf("a model needs a provider name (not %s) and a model id", Demo.Provider)
		}
		m := compile.Model{Provider: s.Name, ID: s.Model, Vendor: s.Vendor}
		if _, twice := found.Registry.Providers[s.Name]; !twice {
			found.Registry.Providers[s.Name] = m
			found.Settings = append(found.Settings, s)
		}
		found.Registry.Default = append(found.Registry.Default, m)
	}
	found.Why = why
	if len(found.Registry.Default) == 0 {
		found.Registry.Default, found.Why = []compile.Model{Demo}, Demo.Provider
	}
	return found, nil
}

func (o Options) choose(ctx context.Context) ([]Setting, string) {
	if len(o.Settings) > 0 {
		return o.Settings, "settings"
	}
	if o.Getenv != nil {
		if key := o.Getenv("OPENAI_API_KEY"); key != "" {
			s := Setting{Name: "openai", Vendor: compile.VendorOpenAI, BaseURL: "https://api.openai.com/v1", Key: key, Model: "gpt-5.1"}
			if u := o.Getenv("OPENAI_BASE_URL"); u != "" {
				s.BaseURL, s.Vendor = u, compile.VendorCompatible
			}
			if m := o.Getenv("OPENAI_MODEL"); m != "" {
				s.Model = m
			}
			return []Setting{s}, "environment"
		}
	}
	if o.NoProbe {
		return nil, ""
	}
	for _, p := range []struct {
		vendor string
		port   int
		find   func(ctx context.Context, base string) string
	}{{compile.VendorOllama, o.Ollama, o.ollama}, {compile.VendorLlamaCPP, o.LlamaCPP, o.llamaCPP}, {compile.VendorVLLM, o.VLLM, o.vllm}} {
		base := fmt.Sprintf("http://%s:%d", o.Loopback, p.port)
		if model := p.find(ctx, base); model != "" {
			return []Setting{{Name: p.vendor, Vendor: p.vendor, BaseURL: base + "/v1", Model: model}}, p.vendor
		}
	}
	return nil, ""
}

// ollama gives the smallest model that can chat.
func (o Options) ollama(ctx context.Context, base string) string {
	var version struct {
		Version string `json:"version"`
	}
	var tags struct {
		Models []struct {
			Name string `json:"name"`
			Size int64  `json:"size"`
		} `json:"models"`
	}
	if !o.get(ctx, base+"/api/version", &version) || version.Version == "" || !o.get(ctx, base+"/api/tags", &tags) {
		return ""
	}
	name, size := "", int64(0)
	for _, m := range tags.Models {
		if strings.Contains(m.Name, "embed") || m.Name == "" {
			continue
		}
		if name == "" || m.Size < size || m.Size == size && m.Name < name {
			name, size = m.Name, m.Size
		}
	}
	return name
}

func (o Options) llamaCPP(ctx context.Context, base string) string {
	var health struct {
		Status string `json:"status"`
	}
	if !o.get(ctx, base+"/health", &health) || health.Status != "ok" {
		return ""
	}
	return o.first(ctx, base)
}

func (o Options) vllm(ctx context.Context, base string) string { return o.first(ctx, base) }

// first is the first model of /v1/models.
func (o Options) first(ctx context.Context, base string) string {
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if !o.get(ctx, base+"/v1/models", &list) || len(list.Data) == 0 {
		return ""
	}
	return list.Data[0].ID
}

var direct = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true}, // no proxy: it is this machine
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (o Options) get(ctx context.Context, url string, into any) bool {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := direct.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK && json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(into) == nil
}
