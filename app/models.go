package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport/gateway/compile"
	"rapport/gateway/provider/calling"
	"rapport/internal/fault"
)

// checkModels holds the settings of models against what they can be.
func (c Config) checkModels(bad func(key, why string, args ...any) error) error {
	if p := c.Gateway.Patience; p < time.Second || p > time.Hour {
		return bad("gateway.patience", "is %v; use 1s to 1h", p)
	}
	for _, v := range []struct {
		key   string
		limit float64
	}{{"gateway.owner_tokens", float64(c.Gateway.OwnerTokens)}, {"gateway.agent_tokens", float64(c.Gateway.AgentTokens)},
		{"gateway.owner_cost", c.Gateway.OwnerCost}, {"gateway.agent_cost", c.Gateway.AgentCost}} {
		if !(v.limit >= 0 && v.limit <= 1e12) {
			return bad(v.key, "is %v; use 0 for no limit, or more", v.limit)
		}
	}
	if _, err := c.prices(); err != nil {
		return bad("provider.prices", "%v; write MODEL=IN/OUT,MODEL=IN/OUT, as gpt-6-luna=0.10/0.50", err)
	}
	if _, err := c.archetypes(); err != nil {
		return bad("provider.archetypes", "%v; write ARCHETYPE=MODEL,ARCHETYPE=PROVIDER/MODEL, as mentor=my-lora", err)
	}
	if (c.Gateway.OwnerCost > 0 || c.Gateway.AgentCost > 0) && c.Provider.Prices == "" {
		return bad("provider.prices", "is not set, but a cost is limited; say what the models cost")
	}
	if v := c.Provider.Vendor; v != "" && !slices.Contains(compile.Vendors, v) {
		return bad("provider.vendor", "is %q; use %s", v, strings.Join(compile.Vendors, ", "))
	}
	return nil
}

// prices reads provider.prices.
func (c Config) prices() (calling.Prices, error) {
	out := calling.Prices{}
	for item := range strings.SplitSeq(c.Provider.Prices, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		model, price, _ := strings.Cut(item, "=")
		in, of, ok := strings.Cut(price, "/")
		p, errIn := strconv.ParseFloat(strings.TrimSpace(in), 64)
		q, errOut := strconv.ParseFloat(strings.TrimSpace(of), 64)
		if model = strings.TrimSpace(model); model == "" || !ok || errIn != nil || errOut != nil || !(p >= 0 && p <= 1e6 && q >= 0 && q <= 1e6) {
			return nil, fmt.Errorf("has %q", item)
		}
		out[model] = calling.Price{In: p, Out: q}
	}
	return out, nil
}

// archetypes reads provider.archetypes: what stands behind each name.
func (c Config) archetypes() (map[string]string, error) {
	out := map[string]string{}
	for item := range strings.SplitSeq(c.Provider.Special, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, model, _ := strings.Cut(item, "=")
		name, model = strings.TrimSpace(name), strings.TrimSpace(model)
		if _, twice := out[name]; name == "" || model == "" || twice {
			return nil, fmt.Errorf("has %q", item)
		}
		out[name] = model
	}
	return out, nil
}

// archetypeModels finds the models that archetypes have.
func (c Config) archetypeModels(in compile.Registry) (map[string]compile.Model, error) {
	named, err := c.archetypes()
	out := map[string]compile.Model{}
	for archetype, model := range named {
		m := in.Default[0]
		if from, id, ok := strings.Cut(model, "/"); ok && in.Providers[from].Vendor != "" {
			m, model = in.Providers[from], id // else the name of a model has a slash
		}
		if m.Vendor == compile.VendorOffline {
			return nil, fault.New(fault.Invalid, "invalid_setting", "provider.archetypes names %q, but there is no model server that could have it; set one up, or leave it out.", model)
		}
		m.ID = model
		out[archetype] = m
	}
	return out, err
}

// budgets are what owners and agents may spend in a day.
func (c Config) budgets() calling.Limits {
	g := c.Gateway
	return calling.Limits{
		Owner: calling.Amount{Tokens: g.OwnerTokens, Cost: int64(g.OwnerCost * 1e6)},
		Agent: calling.Amount{Tokens: g.AgentTokens, Cost: int64(g.AgentCost * 1e6)},
	}
}
