package app

import (
	"time"

	"rapport/gateway"
	"rapport/gateway/provider"
	"rapport/internal/fault"
)

// moderation is who is asked whether a text may be said.
type moderation struct {
	Moderation struct {
		BaseURL string        `koanf:"base_url"`
		Key     string        `koanf:"key"`
		Model   string        `koanf:"model"`
		Stages  string        `koanf:"stages"`
		Failing string        `koanf:"failing"`
		Timeout time.Duration `koanf:"timeout"`
	} `koanf:"moderation"`
}

func moderationSettings() []Setting {
	return []Setting{
		{Key: "moderation.base_url", Default: "", Doc: "address, up to its version, of a server with OpenAI's moderations, as https://api.openai.com/v1; it gets what people and agents say. Empty: nobody is asked"},
		{Key: "moderation.key", Default: "", Doc: "key for moderation.base_url; better in the environment than in a file", Secret: true},
		{Key: "moderation.model", Default: "", Doc: "model that is asked there, as omni-moderation-latest; empty: the server's own"},
		{Key: "moderation.stages", Default: "both", Doc: "before: messages, before a model gets them; after: replies, which then do not stream; both"},
		{Key: "moderation.failing", Default: "closed", Doc: "when the server does not answer: closed, nothing is said, or open, talks go on"},
		{Key: "moderation.timeout", Default: "3s", Doc: "how long it has for one text"},
	}
}

// values are the settings in force, by key.
func (m moderation) values() map[string]any {
	c := m.Moderation
	return map[string]any{"moderation.base_url": c.BaseURL, "moderation.key": c.Key, "moderation.model": c.Model, "moderation.stages": c.Stages, "moderation.failing": c.Failing, "moderation.timeout": c.Timeout.String()}
}

func (m moderation) check(bad func(key, why string, args ...any) error) error {
	c := m.Moderation
	switch {
	case c.Stages != "both" && c.Stages != "before" && c.Stages != "after":
		return bad("moderation.stages", "is %q; use before, after or both", c.Stages)
	case c.Failing != "closed" && c.Failing != "open":
		return bad("moderation.failing", "is %q; use closed or open", c.Failing)
	case c.Timeout < 10*time.Millisecond || c.Timeout > time.Minute:
		return bad("moderation.timeout", "is %v; use 10ms to 1m", c.Timeout)
	}
	return nil
}

// judge makes the moderation that is configured; the zero one when none is.
func (m moderation) judge() (gateway.Moderation, error) {
	c := m.Moderation
	if c.BaseURL == "" {
		return gateway.Moderation{}, nil
	}
	judge, err := provider.NewModerator(provider.Config{Name: "moderation", BaseURL: c.BaseURL, Key: c.Key, KeyName: "moderation.key (RAPPORT_MODERATION_KEY)", Total: c.Timeout}, c.Model)
	if err != nil {
		return gateway.Moderation{}, fault.New(fault.Invalid, "invalid_setting", "The setting moderation.base_url cannot be used: %s.", err)
	}
	return gateway.Moderation{Judge: judge, Before: c.Stages != "after", After: c.Stages != "before", Open: c.Failing == "open"}, nil
}
