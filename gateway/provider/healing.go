package provider

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"rapport/gateway/compile"
)

// Learned is what a model was found to refuse, by our names.
type Learned struct {
	Refused   []string
	MaxTokens int // the most it takes, 0 when it never said
}

// Refuses says whether the model refused a parameter.
func (l *Learned) Refuses(name string) bool { return slices.Contains(l.Refused, name) }

// remember is how long a refusal is believed; models change behind their names.
const remember = 24 * time.Hour

// memory holds what models were found to refuse, in this process.
type memory struct {
	clock func() time.Time
	mu    sync.Mutex
	known map[string]recalled // by model
}

type recalled struct {
	Learned
	until time.Time
}

func (m *memory) of(model string) Learned {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.known[model]
	if ok && !m.clock().Before(k.until) {
		delete(m.known, model)
		return Learned{}
	}
	return k.Learned
}

// learn remembers a refusal and says whether it makes another try worth while:
// the parameter was sent, and what is known now changes the request.
func (m *memory) learn(r Request, param string, limit int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[r.Model]
	before := k.apply(r)
	switch {
	case (param == "max_tokens" || param == "max_completion_tokens" || param == "maxOutputTokens") && limit > 0 && limit < before.Params.MaxTokens:
		k.MaxTokens = limit
	case sends(before, param):
		k.Refused = append(slices.Clone(k.Refused), param)
	case param != "" && param == before.Params.Effort: // some name the value
		k.Refused = append(slices.Clone(k.Refused), "effort")
	case param != "" && param == before.Params.Verbosity:
		k.Refused = append(slices.Clone(k.Refused), "verbosity")
	default:
		return false
	}
	if len(m.known) > 1000 { // owners may name any model
		clear(m.known)
	}
	k.until = m.clock().Add(remember)
	m.known[r.Model] = k
	return true
}

// sends says whether a request has a parameter that can be left out.
func sends(r Request, name string) bool {
	p := r.Params
	switch name {
	case "temperature":
		return p.Temperature.Set()
	case "top_p":
		return p.TopP.Set()
	case "presence_penalty":
		return p.PresencePenalty.Set()
	case "frequency_penalty":
		return p.FrequencyPenalty.Set()
	case "penalty":
		return p.PresencePenalty.Set() || p.FrequencyPenalty.Set()
	case "effort":
		return p.Effort != ""
	case "verbosity":
		return p.Verbosity != ""
	case "schema":
		return r.Schema != nil
	case "output_config":
		return p.Effort != "" || r.Schema != nil
	case "max_tokens", "max_completion_tokens", "maxOutputTokens":
		return p.MaxTokens > 0 && p.TokensField == name
	case "stream_options":
		return p.TokensField != "maxOutputTokens"
	}
	return false
}

// apply makes the request one that the model does not refuse, as far as is known.
func (l *Learned) apply(r Request) Request {
	p := &r.Params
	for _, name := range l.Refused {
		switch name {
		case "temperature":
			p.Temperature = compile.Unset
		case "top_p":
			p.TopP = compile.Unset
		case "presence_penalty":
			p.PresencePenalty = compile.Unset
		case "frequency_penalty":
			p.FrequencyPenalty = compile.Unset
		case "penalty":
			p.PresencePenalty, p.FrequencyPenalty = compile.Unset, compile.Unset
		case "effort":
			p.Effort, p.EffortField = "", ""
		case "verbosity":
			p.Verbosity = ""
		case "schema":
			r = inWords(r)
		case "output_config":
			p.Effort, p.EffortField = "", ""
			r = inWords(r)
		}
		p = &r.Params
	}
	if l.MaxTokens > 0 {
		p.MaxTokens = min(p.MaxTokens, l.MaxTokens)
	}
	if other, ok := otherField[p.TokensField]; ok && l.Refuses(p.TokensField) {
		if p.TokensField = other; l.Refuses(other) {
			p.MaxTokens = 0 // what is too long is cut here
		}
	} else if l.Refuses(p.TokensField) {
		p.MaxTokens = 0
	}
	return r
}

var otherField = map[string]string{"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

// inWords asks for the document in the prompt, where the server takes no schema.
func inWords(r Request) Request {
	if r.Schema != nil {
		r.System += fmt.Sprintf("\n\nAnswer with one JSON document and nothing else. It fits this JSON Schema:\n%s", r.Schema.JSON)
		r.Schema = nil
	}
	return r
}

// dropped lists what a request wanted and its healed form does not say.
func dropped(wanted, sent Request) (out []string) {
	for _, name := range []string{"temperature", "top_p", "presence_penalty", "frequency_penalty", "effort", "verbosity", "schema"} {
		if sends(wanted, name) && !sends(sent, name) {
			out = append(out, name)
		}
	}
	if wanted.Params.MaxTokens > 0 && sent.Params.MaxTokens == 0 {
		out = append(out, "max_tokens")
	}
	return out
}
