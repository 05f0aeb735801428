package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/gateway/provider/calling"
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
