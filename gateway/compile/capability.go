package compile

import (
	"slices"
	"strings"

	"rapport/gateway/rule"
	"rapport/policy"
)

// The vendors: who answers behind a provider's address, which decides what may
// be sent.
const (
	VendorOpenAI     = "openai"
	VendorAnthropic  = "anthropic"
	VendorGemini     = "gemini"
	VendorOllama     = "ollama"
	VendorVLLM       = "vllm"
	VendorLlamaCPP   = "llama.cpp"
	VendorCompatible = "compatible"   // some OpenAI-compatible server
	VendorOffline    = "offline-demo" // no model at all
)

// Vendors are those that answer over a network.
var Vendors = []string{VendorOpenAI, VendorAnthropic, VendorGemini, VendorOllama, VendorVLLM, VendorLlamaCPP, VendorCompatible}

// openWeights are the rows of models that anybody may serve.
const openWeights = "open weights"

// Capability is what a family of models accepts. A Range of zero width means
// that the number must not be sent.
type Capability struct {
	Vendor      string
	Prefixes    []string // of the model's id without its publisher; any when nil
	From, Below int      // version cut-offs, major·100 + minor: From ≤ version < Below; 0 for none

	Temperature, TopP, Presence, Frequency policy.Range
	Exclusive                              bool // temperature and top_p not together
	Effort                                 Effort
	Verbosity                              bool
	TokensField                            string
	Headroom                               int // tokens for hidden thinking
}

// Effort is how a family is told to think: the field, and its words for a
// little, some and much. The zero Effort cannot be told.
type Effort struct{ Field, Low, Medium, High string }

// word gives the word for a share of [0,1].
func (e Effort) word(v float64) string {
	switch lowMediumHigh(v) {
	case "low":
		return e.Low
	case "medium":
		return e.Medium
	}
	return e.High
}

// The fields that take an effort.
const (
	EffortOpenAI    = "reasoning_effort"
	EffortAnthropic = "output_config.effort"
	EffortLevel     = "thinkingLevel"  // Gemini from 3 on
	EffortBudget    = "thinkingBudget" // Gemini 2.5, in tokens
)

var (
	zeroTwo = policy.Range{Lo: 0, Hi: 2}
	zeroOne = policy.Range{Lo: 0, Hi: 1}
	topP    = policy.Range{Lo: .01, Hi: 1}
	penalty = policy.Range{Lo: -2, Hi: 2}
	below2  = policy.Range{Lo: -2, Hi: 1.99}

	reasoning = Effort{EffortOpenAI, "low", "medium", "high"}
	thinking  = Effort{EffortAnthropic, "low", "medium", "high"}
	level     = Effort{EffortLevel, "LOW", "MEDIUM", "HIGH"}
	budget    = Effort{EffortBudget, "512", "1024", "2048"}
)

// capabilities is the table, first match wins. A hosted model that is newer than
// what is known here falls to its vendor's last row, which sends no sampling:
// new hosted models refuse it. Sources: the vendors' references and the refusals
// that their users reported, November 2026; docs/providers.md has the table for
// people.
var capabilities = []Capability{
	{Vendor: VendorOpenAI, Prefixes: []string{"gpt-5-chat"}, Temperature: zeroTwo, TopP: zeroOne, Presence: penalty, Frequency: penalty, TokensField: "max_completion_tokens"},
	{Vendor: VendorOpenAI, Prefixes: []string{"gpt-", "ft:gpt-", "chatgpt-"}, Below: 500, Temperature: zeroTwo, TopP: zeroOne, Presence: penalty, Frequency: penalty, TokensField: "max_completion_tokens"},
	{Vendor: VendorOpenAI, Prefixes: []string{"o"}, From: 100, Below: 500, Effort: reasoning, TokensField: "max_completion_tokens", Headroom: 4096},
	{Vendor: VendorOpenAI, Prefixes: []string{"gpt-5-pro"}, Effort: Effort{EffortOpenAI, "high", "high", "high"}, Verbosity: true, TokensField: "max_completion_tokens", Headroom: 16384},
	// From gpt-5.1 on sampling is taken with effort none only, and the newest know
	// no none: the effort is worth more than the temperature.
	{Vendor: VendorOpenAI, Effort: reasoning, Verbosity: true, TokensField: "max_completion_tokens", Headroom: 4096},

	{Vendor: VendorAnthropic, Prefixes: []string{"claude-3"}, Temperature: zeroOne, TopP: zeroOne, TokensField: "max_tokens"},
	{Vendor: VendorAnthropic, Prefixes: []string{"claude-opus-"}, From: 400, Below: 406, Temperature: zeroOne, TopP: zeroOne, Exclusive: true, TokensField: "max_tokens"},
	{Vendor: VendorAnthropic, Prefixes: []string{"claude-sonnet-", "claude-haiku-"}, From: 400, Below: 406, Temperature: zeroOne, TopP: zeroOne, Exclusive: true, TokensField: "max_tokens"},
	{Vendor: VendorAnthropic, Prefixes: []string{"claude-opus-", "claude-sonnet-"}, From: 406, Below: 407, Temperature: zeroOne, TopP: zeroOne, Exclusive: true, Effort: thinking, TokensField: "max_tokens"},
	{Vendor: VendorAnthropic, Effort: thinking, TokensField: "max_tokens", Headroom: 4096},

	{Vendor: VendorGemini, Prefixes: []string{"gemini-"}, Below: 205, Temperature: zeroTwo, TopP: zeroOne, Presence: below2, Frequency: below2, TokensField: "maxOutputTokens"},
	{Vendor: VendorGemini, Prefixes: []string{"gemini-"}, From: 205, Below: 300, Temperature: zeroTwo, TopP: zeroOne, Effort: budget, TokensField: "maxOutputTokens", Headroom: 4096},
	{Vendor: VendorGemini, Prefixes: []string{"gemini-3-pro"}, Effort: Effort{EffortLevel, "LOW", "LOW", "HIGH"}, TokensField: "maxOutputTokens", Headroom: 4096},
	{Vendor: VendorGemini, Prefixes: []string{"gemma-"}, Below: 400, Temperature: zeroTwo, TopP: zeroOne, TokensField: "maxOutputTokens"},
	{Vendor: VendorGemini, Prefixes: []string{"gemma-"}, Effort: Effort{EffortLevel, "MINIMAL", "MINIMAL", "HIGH"}, TokensField: "maxOutputTokens", Headroom: 4096},
	{Vendor: VendorGemini, Effort: level, TokensField: "maxOutputTokens", Headroom: 4096},

	{Vendor: openWeights, Prefixes: []string{"gpt-oss"}, Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, Effort: reasoning, TokensField: "max_tokens", Headroom: 2048},
	{Vendor: openWeights, Prefixes: []string{"qwen3", "qwq", "deepseek-r1", "magistral"}, Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, TokensField: "max_tokens", Headroom: 2048},
	{Vendor: openWeights, Prefixes: []string{"llama", "meta-llama", "mistral", "mixtral", "ministral", "qwen", "gemma", "phi", "smollm", "tinyllama", "olmo", "granite"},
		Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, TokensField: "max_tokens"},

	{Vendor: VendorOllama, Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, TokensField: "max_tokens"},
	{Vendor: VendorLlamaCPP, Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, TokensField: "max_tokens"},
	{Vendor: VendorVLLM, Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, TokensField: "max_tokens"},

	{Vendor: VendorCompatible, TokensField: "max_tokens", Headroom: 2048},
	{Vendor: VendorOffline, TokensField: "max_tokens"},
}

// CapabilityOf finds what a model accepts. Behind another server the name says
// whose model it is ("openai/gpt-4o"); it is spoken to as that server is.
func CapabilityOf(vendor, model string) Capability {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	switch vendor {
	case VendorOpenAI, VendorAnthropic, VendorGemini, VendorOffline:
		if c, ok := row(vendor, name); ok {
			return c
		}
	case VendorOllama, VendorLlamaCPP, VendorVLLM:
		if c, ok := row(openWeights, name); ok {
			return c
		}
		c, _ := row(vendor, name)
		return c
	case VendorCompatible:
		if c, ok := row(openWeights, name); ok {
			return c
		}
		c, _ := row(hosted(name), name)
		if c.TokensField = "max_tokens"; c.Effort.Field != "" {
			c.Effort = reasoning
		}
		return c
	}
	return Capability{Vendor: vendor, TokensField: "max_tokens", Headroom: 2048}
}

// hosted says whose model it is by its name.
func hosted(name string) string {
	for vendor, prefixes := range map[string][]string{
		VendorOpenAI: {"gpt-", "chatgpt-", "o1", "o3", "o4"}, VendorAnthropic: {"claude-"}, VendorGemini: {"gemini-"},
	} {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			return vendor
		}
	}
	return VendorCompatible
}

// row is the first that fits.
func row(vendor, name string) (Capability, bool) {
	for _, c := range capabilities {
		if c.Vendor == vendor && c.fits(name) {
			return c, true
		}
	}
	return Capability{}, false
}

func (c *Capability) fits(name string) bool {
	if c.Prefixes == nil {
		return true
	}
	for _, prefix := range c.Prefixes {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if c.From == 0 && c.Below == 0 {
			return true
		}
		if v, ok := version(rest); ok && v >= c.From && (c.Below == 0 || v < c.Below) {
			return true
		}
	}
	return false
}

// version reads "5.1-mini", "4o", "4-6" as major·100 + minor: 501, 400, 406. A
// minor of three digits or more is a date and counts as 0.
func version(s string) (int, bool) {
	digits := func() (n, count int) {
		for len(s) > 0 && s[0] >= '0' && s[0] <= '9' {
			if count < 9 {
				n = n*10 + int(s[0]-'0')
			}
			count++
			s = s[1:]
		}
		return n, count
	}
	major, c := digits()
	if c == 0 || c > 3 {
		return 0, false
	}
	minor := 0
	if len(s) > 1 && (s[0] == '.' || s[0] == '-') && s[1] >= '0' && s[1] <= '9' {
		s = s[1:]
		if n, c := digits(); c <= 2 {
			minor = n
		}
	}
	return major*100 + minor, true
}

func (c *Capability) accepts(p rule.Param) bool {
	switch p {
	case rule.Words:
		return true
	case rule.Effort:
		return c.Effort.Field != ""
	case rule.Verbosity:
		return c.Verbosity
	}
	r := c.limits(p)
	return r.Hi > r.Lo
}

func (c *Capability) limits(p rule.Param) policy.Range {
	switch p {
	case rule.Temperature:
		return c.Temperature
	case rule.TopP:
		return c.TopP
	case rule.PresencePenalty:
		return c.Presence
	case rule.FrequencyPenalty:
		return c.Frequency
	}
	return policy.Range{}
}

// Plain gives what a call is sent that no persona makes: a cap of so many tokens,
// with room for hidden thinking, and nothing else.
func Plain(m Model, tokens int) Params {
	c := CapabilityOf(m.Vendor, m.ID)
	return Params{MaxTokens: tokens + c.Headroom, TokensField: c.TokensField, Temperature: Unset, TopP: Unset, PresencePenalty: Unset, FrequencyPenalty: Unset}
}

func traitNames() []string {
	out := make([]string, policy.NTraits)
	for i := range out {
		out[i] = policy.Trait(i).String()
	}
	return out
}
