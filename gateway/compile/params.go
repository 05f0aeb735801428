package compile

import (
	"encoding/json"
	"math"

	"rapport/gateway/rule"
)

// Number is a parameter to send, or NaN for one that is not sent; JSON null.
type Number float64

// Unset is the Number that is not sent.
var Unset = Number(math.NaN())

// Set says whether the number is to be sent.
func (n Number) Set() bool { return !math.IsNaN(float64(n)) }

// MarshalJSON writes null for a number that is not sent.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Set() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads null as a number that is not sent.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Unset
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// Params are the numbers and words a model is called with: only what it accepts.
type Params struct {
	MaxTokens        int    `json:"maxTokens"`
	TokensField      string `json:"tokensField"`      // max_tokens, max_completion_tokens or maxOutputTokens
	Effort           string `json:"effort,omitempty"` // in the model's own words
	EffortField      string `json:"effortField,omitempty"`
	Verbosity        string `json:"verbosity,omitempty"`
	Temperature      Number `json:"temperature"`
	TopP             Number `json:"topP"`
	PresencePenalty  Number `json:"presencePenalty"`
	FrequencyPenalty Number `json:"frequencyPenalty"`
}

// ParamsMapper turns levels into the numbers that one model accepts.
type ParamsMapper struct {
	rules      *rule.Rules
	capability Capability
	send       [rule.NParams]bool
	dropped    []string
	channels   Channels
}

// newParamsMapper decides once which numbers the model is given.
func newParamsMapper(rules *rule.Rules, m Model) ParamsMapper {
	c := CapabilityOf(m.Vendor, m.ID)
	p := ParamsMapper{rules: rules, capability: c, dropped: []string{}}
	p.channels = Channels{Prompt: traitNames(), Output: []string{"max_tokens"}, Sampling: []string{}}
	var wants [rule.NParams]bool
	for _, f := range rules.Mappings {
		wants[f.Param] = true
	}
	for i := range rule.NParams {
		param := rule.Param(i)
		if !wants[i] {
			continue
		}
		p.send[i] = c.accepts(param) && !(param == rule.TopP && c.Exclusive && wants[rule.Temperature] && c.accepts(rule.Temperature))
		switch {
		case !p.send[i]:
			p.dropped = append(p.dropped, param.String())
		case param == rule.Effort || param == rule.Verbosity:
			p.channels.Output = append(p.channels.Output, param.String())
		case param != rule.Words:
			p.channels.Sampling = append(p.channels.Sampling, param.String())
		}
	}
	return p
}

// build evaluates the formulas: numbers are rounded to 1e-3, clamped to what the
// parameter and the model allow, and traced.
func (p *ParamsMapper) build(in *rule.Inputs, maxWords int, out *Profile) {
	out.Params = Params{TokensField: p.capability.TokensField, Temperature: Unset, TopP: Unset, PresencePenalty: Unset, FrequencyPenalty: Unset}
	out.Channels, out.Dropped, out.Clamped = p.channels, p.dropped, nil
	words, from := 0, &rule.Mapping{}
	for i := range p.rules.Mappings {
		f := &p.rules.Mappings[i]
		if !p.send[f.Param] {
			continue
		}
		raw := math.Round(f.Formula.Eval(in)*1000) / 1000
		lo, hi := f.Param.Range()
		if r := p.capability.limits(f.Param); r.Hi > r.Lo {
			lo, hi = max(lo, r.Lo), min(hi, r.Hi)
		}
		v := clamp(raw, lo, hi)
		if v != raw {
			out.Clamped = append(out.Clamped, f.Param.String())
		}
		out.Trace = append(out.Trace, Trace{What: f.Param.String(), Value: v, Source: f.Source, Rule: f.Rule, Rules: p.rules.Version})
		traced := &out.Trace[len(out.Trace)-1]
		switch f.Param {
		case rule.Words:
			words, from = int(math.Round(v)), f
		case rule.Verbosity:
			out.Params.Verbosity = lowMediumHigh(v)
			traced.Text = out.Params.Verbosity
		case rule.Effort:
			out.Params.Effort, out.Params.EffortField = p.capability.Effort.word(v), p.capability.Effort.Field
			traced.Text = out.Params.Effort
		case rule.Temperature:
			out.Params.Temperature = Number(v)
		case rule.TopP:
			out.Params.TopP = Number(v)
		case rule.PresencePenalty:
			out.Params.PresencePenalty = Number(v)
		case rule.FrequencyPenalty:
			out.Params.FrequencyPenalty = Number(v)
		}
	}
	if maxWords > 0 && words > maxWords {
		words = maxWords
		out.Clamped = append(out.Clamped, rule.Words.String())
	}
	out.Flags.Words = words
	out.Flags.MaxWords = words*3/2 + 20
	if maxWords > 0 {
		out.Flags.MaxWords = min(out.Flags.MaxWords, maxWords)
	}
	// Two tokens a word hold for most languages; hidden thinking is paid from the
	// same purse and needs room of its own.
	out.Params.MaxTokens = out.Flags.MaxWords*2 + 40 + p.capability.Headroom
	out.Trace = append(out.Trace, Trace{What: "max_tokens", Value: float64(out.Params.MaxTokens), Source: from.Source, Rule: from.Rule, Rules: p.rules.Version})
}

func lowMediumHigh(v float64) string {
	switch {
	case v < 1./3:
		return "low"
	case v < 2./3:
		return "medium"
	}
	return "high"
}
