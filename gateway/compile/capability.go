package compile

import (
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

// Capability is what a family of models accepts. A Range of zero width means
// that the number must not be sent.
type Capability struct {
	Vendor      string
	Prefix      string // of the model's id
	From, Below int    // version cut-offs, major·100 + minor: From ≤ version < Below; 0 for none

	Temperature, TopP, Presence, Frequency policy.Range
	Exclusive                              bool // temperature and top_p not together
	Effort, Verbosity                      bool
	TokensField                            string
	Headroom                               int // tokens for hidden thinking
}

var (
	zeroTwo = policy.Range{Lo: 0, Hi: 2}
	zeroOne = policy.Range{Lo: 0, Hi: 1}
	topP    = policy.Range{Lo: .01, Hi: 1}
	penalty = policy.Range{Lo: -2, Hi: 2}
)

// capabilities is the table, first match wins. A hosted model that is newer than
// what is known here falls to its vendor's last row, which sends no sampling:
// new hosted models refuse it (page on the gateway; vendors' references, 2026).
var capabilities = []Capability{
	{Vendor: VendorOpenAI, Prefix: "gpt-5-chat", Temperature: zeroTwo, TopP: zeroOne, Presence: penalty, Frequency: penalty, TokensField: "max_completion_tokens"},
	{Vendor: VendorOpenAI, Prefix: "gpt-", Below: 500, Temperature: zeroTwo, TopP: zeroOne, Presence: penalty, Frequency: penalty, TokensField: "max_completion_tokens"},
	{Vendor: VendorOpenAI, Prefix: "ft:gpt-", Below: 500, Temperature: zeroTwo, TopP: zeroOne, Presence: penalty, Frequency: penalty, TokensField: "max_completion_tokens"},
	{Vendor: VendorOpenAI, Prefix: "o", From: 100, Below: 500, Effort: true, TokensField: "max_completion_tokens", Headroom: 4096},
	{Vendor: VendorOpenAI, Effort: true, Verbosity: true, TokensField: "max_completion_tokens", Headroom: 4096},

	{Vendor: VendorAnthropic, Prefix: "claude-3", Temperature: zeroOne, TopP: zeroOne, TokensField: "max_tokens"},
	{Vendor: VendorAnthropic, Prefix: "claude-opus-", From: 400, Below: 407, Temperature: zeroOne, TopP: zeroOne, Exclusive: true, TokensField: "max_tokens"},
	{Vendor: VendorAnthropic, Prefix: "claude-sonnet-", From: 400, Below: 500, Temperature: zeroOne, TopP: zeroOne, Exclusive: true, TokensField: "max_tokens"},
	{Vendor: VendorAnthropic, Prefix: "claude-haiku-", From: 400, Below: 500, Temperature: zeroOne, TopP: zeroOne, Exclusive: true, TokensField: "max_tokens"},
	{Vendor: VendorAnthropic, Effort: true, TokensField: "max_tokens", Headroom: 4096},

	{Vendor: VendorGemini, Prefix: "gemini-", Below: 205, Temperature: zeroTwo, TopP: zeroOne, Presence: policy.Range{Lo: -2, Hi: 1.99}, Frequency: policy.Range{Lo: -2, Hi: 1.99}, TokensField: "maxOutputTokens"},
	{Vendor: VendorGemini, Prefix: "gemini-2", Temperature: zeroTwo, TopP: zeroOne, TokensField: "maxOutputTokens", Headroom: 4096},
	{Vendor: VendorGemini, TokensField: "maxOutputTokens", Headroom: 4096},

	{Vendor: VendorOllama, Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, TokensField: "max_tokens"},
	{Vendor: VendorLlamaCPP, Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, TokensField: "max_tokens"},
	{Vendor: VendorVLLM, Temperature: zeroTwo, TopP: topP, Presence: penalty, Frequency: penalty, TokensField: "max_tokens"},

	{Vendor: VendorCompatible, TokensField: "max_tokens", Headroom: 2048},
	{Vendor: VendorOffline, TokensField: "max_tokens"},
}

// CapabilityOf finds what a model accepts. Behind a compatible server the name
// says whose model it is ("openai/gpt-4o"); its token field stays max_tokens.
func CapabilityOf(vendor, model string) Capability {
	if i := strings.LastIndexByte(model, '/'); i >= 0 {
		model = model[i+1:]
	}
	family := vendor
	if vendor == VendorCompatible {
		switch {
		case strings.HasPrefix(model, "gpt-"):
			family = VendorOpenAI
		case strings.HasPrefix(model, "claude-"):
			family = VendorAnthropic
		case strings.HasPrefix(model, "gemini-"):
			family = VendorGemini
		}
	}
	for _, c := range capabilities {
		if c.Vendor != family || !strings.HasPrefix(model, c.Prefix) {
			continue
		}
		if c.From > 0 || c.Below > 0 {
			v, ok := version(model[len(c.Prefix):])
			if !ok || v < c.From || c.Below > 0 && v >= c.Below {
				continue
			}
		}
		if family != vendor {
			c.TokensField = "max_tokens"
		}
		return c
	}
	return Capability{Vendor: vendor, TokensField: "max_tokens", Headroom: 2048}
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
		return c.Effort
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

func traitNames() []string {
	out := make([]string, policy.NTraits)
	for i := range out {
		out[i] = policy.Trait(i).String()
	}
	return out
}
