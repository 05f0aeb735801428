package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/gateway"
	"rapport/gateway/compile"
	"rapport/gateway/provider/calling"
	"rapport/gateway/provider/providertest"
	"rapport/internal/fault"
)

func TestModelSettings(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		flags map[string]any
		says  string
	}{
		{map[string]any{"provider.vendor": "acme"}, "provider.vendor"},
		{map[string]any{"provider.prices": "gpt-6-luna"}, "provider.prices"},
		{map[string]any{"provider.prices": "gpt-6-luna=1/-1"}, "provider.prices"},
		{map[string]any{"provider.prices": "=1/1"}, "provider.prices"},
		{map[string]any{"provider.prices": "m=NaN/1"}, "provider.prices"},
		{map[string]any{"provider.archetypes": "mentor"}, "provider.archetypes"},
		{map[string]any{"provider.archetypes": "mentor=a,mentor=b"}, "provider.archetypes"},
		{map[string]any{"gateway.owner_cost": 2.5}, "say what the models cost"},
		{map[string]any{"gateway.agent_tokens": -1}, "gateway.agent_tokens"},
		{map[string]any{"gateway.patience": "0s"}, "gateway.patience"},
	} {
		c.flags["data"] = dir
		if _, err := LoadConfig(c.flags); !fault.Is(err, "invalid_setting") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.flags, err)
		}
	}
	cfg, err := LoadConfig(map[string]any{"data": dir, "provider.vendor": "anthropic", "provider.prices": "gpt-6-luna=0.10/0.50, claude-haiku=1/5",
		"gateway.owner_cost": 2.5, "gateway.agent_tokens": 100000})
	if err != nil {
		t.Fatal(err)
	}
	prices, _ := cfg.prices()
	if d := cmp.Diff(calling.Prices{"gpt-6-luna": {In: .1, Out: .5}, "claude-haiku": {In: 1, Out: 5}}, prices); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(calling.Limits{Owner: calling.Amount{Cost: 2500000}, Agent: calling.Amount{Tokens: 100000}}, cfg.budgets()); d != "" {
		t.Error(d)
	}
	t.Setenv("ANTHROPIC_API_KEY", "sk-1")
	found, err := (&App{cfg: cfg}).models(t.Context())
	if err != nil || len(found.Settings) != 1 || found.Settings[0].Key != "sk-1" || found.Settings[0].Model == "" {
		t.Errorf("%+v %v", found.Settings, err)
	}
	cfg.Provider.Vendor, cfg.Provider.BaseURL = "", "http://127.0.0.1:1/v1"
	if _, err := (&App{cfg: cfg}).models(t.Context()); !fault.Is(err, "invalid_setting") {
		t.Errorf("a server without a model: %v", err)
	}
}

// Archetypes have models of their own, at the first provider or at one that is named.
func TestModelsOfArchetypes(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-1")
	t.Setenv("ANTHROPIC_API_KEY", "sk-2")
	cfg, err := LoadConfig(map[string]any{"data": t.TempDir(), "provider.archetypes": "mentor = ft:gpt-4o:x, muse=anthropic/claude-haiku-5-5,sage=org/lora"})
	if err != nil {
		t.Fatal(err)
	}
	found, err := (&App{cfg: cfg}).models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]compile.Model{"mentor": {Provider: "openai", ID: "ft:gpt-4o:x", Vendor: compile.VendorOpenAI}, "muse": {Provider: "anthropic", ID: "claude-haiku-5-5", Vendor: compile.VendorAnthropic},
		"sage": {Provider: "openai", ID: "org/lora", Vendor: compile.VendorOpenAI}}
	if d := cmp.Diff(want, found.Registry.Archetypes); d != "" {
		t.Error(d)
	}
	cfg.Provider.Offline = true
	if _, err := (&App{cfg: cfg}).models(t.Context()); !fault.Is(err, "invalid_setting") {
		t.Errorf("without a model server: %v", err)
	}
}

// Mapping rules may come from a model at a vendor that replies do not come from, and
// that no owner can choose for an agent.
func TestWhoIsAskedForRules(t *testing.T) {
	fake := providertest.NewFake(t, providertest.Step{Reply: []string{`{"note":"graver","bands":[{"id":"humor.1","from":0,"to":0.2,"text":"Humor {level}/100: be grave; {degree} joke.",`,
		`"degrees":["never","next to never","almost never","very rarely"]}],"formulas":[]}`}})
	for name, v := range map[string]string{"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": fake.URL, "OPENAI_MODEL": "gpt-test", "ANTHROPIC_API_KEY": "", "GEMINI_API_KEY": "", "GOOGLE_API_KEY": ""} {
		t.Setenv(name, v)
	}
	for _, other := range []string{"acme", "anthropic"} {
		cfg := testConfig(t, t.TempDir())
		cfg.Gateway.RulesFrom = other
		if _, err := Open(t.Context(), cfg); !fault.Is(err, "invalid_setting") || !strings.Contains(err.Error(), "ANTHROPIC_API_KEY") {
			t.Errorf("%s: %v", other, err)
		}
	}
	r := run(t, t.TempDir(), func(c *Config) { c.Gateway.RulesFrom, c.Gateway.RulesModel = "openai", "expert-9" })
	var v gateway.RuleVersion
	r.admin.must("POST", "/v1/admin/refresh-trait-mapping", nil, &v)
	if v.Status != gateway.RulesProposed || v.Author != "expert-9" || v.Note != "graver" || len(v.Changes) != 1 || v.InForce {
		t.Errorf("%+v", v)
	}
	if seen := fake.Seen(); len(seen) != 1 || seen[0].Model != "expert-9" || seen[0].Params["schema"] == nil {
		t.Errorf("%+v", seen)
	}
	ann := r.person("Ann")
	luna := ann.make("Luna", nil)
	if s := luna.say(question); s.Body.Provider != "offline-demo" || s.Body.RulesVersion != 1 {
		t.Errorf("it replies by %s with version %d", s.Body.Provider, s.Body.RulesVersion)
	}
	if a := ann.raw("PUT", luna.path("/settings"), []byte(`{"runtime":{"preferredProvider":"openai"}}`)); a.status == 200 {
		luna.say(question)
		if len(fake.Seen()) != 1 {
			t.Error("an owner speaks through the operator's model")
		}
	}
}
