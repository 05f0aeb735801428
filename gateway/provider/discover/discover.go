// Package discover finds something to talk with, so that a fresh start needs no
// configuration: what was configured, else a key in the environment, else a
// model server on this machine, else the offline generator.
//
// Start reading at Find.
package discover

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rapport/gateway/compile"
)

// Setting is one configured model; the first is the default, the others are its
// fallbacks. A hosted vendor's address, key and model need not be said: they are
// the vendor's own, the environment's, and one that is cheap and quick.
type Setting struct {
	Name    string // of the provider
	Vendor  string // one of compile.Vendors; as BaseURL says when empty
	BaseURL string
	Key     string
	KeyName string // where the key was configured, for messages
	Model   string
}

// Options are what Find goes by.
type Options struct {
	Settings []Setting
	Getenv   func(string) string // environment; nothing is read when nil
	NoProbe  bool                // don't look for servers on this machine
	Loopback string              // host that is probed, 127.0.0.1 when empty
	Ollama   int                 // ports; 11434, 8080 and 8000 when 0
	LlamaCPP int
	VLLM     int
	Timeout  time.Duration // per probe, 200 ms when 0
}

// Demo is the offline generator as a model. It is always among the registry's
// providers.
var Demo = compile.Model{Provider: compile.VendorOffline, ID: compile.VendorOffline, Vendor: compile.VendorOffline}

// Found is what can be called.
type Found struct {
	Registry compile.Registry
	Settings []Setting     // one per provider but the offline generator
	Rules    compile.Model // asked for new mapping rules; what it does not say is as the default's
	Why      string        // settings, environment, ollama, llama.cpp, vllm, offline-demo
}

// host is a vendor that a key in the environment is enough for.
type host struct {
	vendor, base, model string
	keys                []string // names in the environment, the first that is set
	baseName, modelName string
	version             string // what the vendor's own libraries add to an address
}

var hosted = []host{
	{compile.VendorOpenAI, "https://api.openai.com/v1", "gpt-6-luna", []string{"OPENAI_API_KEY"}, "OPENAI_BASE_URL", "OPENAI_MODEL", ""},
	{compile.VendorAnthropic, "https://api.anthropic.com/v1", "claude-haiku-5-5", []string{"ANTHROPIC_API_KEY"}, "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "/v1"},
	{compile.VendorGemini, "https://generativelanguage.googleapis.com/v1beta", "gemini-3.5-flash-lite", []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"},
		"GOOGLE_GEMINI_BASE_URL", "GEMINI_MODEL", "/v1beta"},
}

// complete fills in what a setting of a hosted vendor leaves out.
func (o Options) complete(s Setting) Setting {
	u, err := url.Parse(s.BaseURL)
	if s.Vendor == "" && s.BaseURL != "" {
		s.Vendor = compile.VendorCompatible
	}
	for _, h := range hosted {
		its, _ := url.Parse(h.base)
		if s.Vendor == compile.VendorCompatible && err == nil && u.Host == its.Host && !strings.Contains(u.Path, "openai") {
			s.Vendor = h.vendor
		}
		if s.Vendor != h.vendor {
			continue
		}
		switch e := o.environment(h); {
		case s.BaseURL == "" && s.Key == "": // all of it is the environment's
			s.Vendor, s.BaseURL, s.Key, s.KeyName = e.Vendor, e.BaseURL, e.Key, e.KeyName
		case s.BaseURL == "":
			s.BaseURL = h.base
		case s.Key == "" && err == nil && u.Host == its.Host: // a vendor's key goes to the vendor
			s.Key, s.KeyName = e.Key, e.KeyName
		}
		if s.Model == "" {
			s.Model = cmp.Or(o.env(h.modelName), h.model)
		}
		break
	}
	return s
}

// environment is what the environment says of a vendor: its key and the address that
// this goes to.
func (o Options) environment(h host) Setting {
	s := Setting{Name: h.vendor, Vendor: h.vendor, BaseURL: cmp.Or(o.env(h.baseName), h.base), KeyName: h.keys[0]}
	if u, err := url.Parse(s.BaseURL); err == nil {
		if u.Path == "" || u.Path == "/" {
			s.BaseURL = strings.TrimRight(s.BaseURL, "/") + h.version
		}
		if its, _ := url.Parse(h.base); h.vendor == compile.VendorOpenAI && u.Host != its.Host {
			s.Vendor = compile.VendorCompatible
		}
	}
	for _, name := range h.keys {
		if key := o.env(name); key != "" {
			s.Key, s.KeyName = key, name
			break
		}
	}
	return s
}

func (o Options) env(name string) string {
	if o.Getenv == nil {
		return ""
	}
	return o.Getenv(name)
}

// Find looks in this order: settings; the keys OPENAI_API_KEY, ANTHROPIC_API_KEY,
// GEMINI_API_KEY or GOOGLE_API_KEY, the first that is there for replies and the
// others as its fallbacks, each with the address (OPENAI_BASE_URL …) and the model
// (OPENAI_MODEL …) beside it; Ollama, llama-server and vLLM on loopback; the
// offline generator. It fails only when a setting lacks its names. The generator
// is never a silent fallback of a real model.
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

	found := Found{Registry: compile.Registry{Providers: map[string]compile.Model{Demo.Provider: Demo}}}
	settings, why := o.choose(ctx)
	for _, s := range settings {
		if s.Vendor == compile.VendorOffline {
			found.Registry.Default = append(found.Registry.Default, Demo)
			continue
		}
		s = o.complete(s)
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
	var list []Setting
	for _, h := range hosted {
		if o.environment(h).Key != "" {
			list = append(list, Setting{Name: h.vendor, Vendor: h.vendor})
		}
	}
	if len(list) > 0 {
		return list, "environment"
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
