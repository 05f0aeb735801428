package compile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"

	"rapport/gateway/guard"
	"rapport/gateway/rule"
	"rapport/policy"
)

// Persona is what was written about an agent: untrusted text.
type Persona struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Style       string    `json:"style,omitempty"`
	Backstory   string    `json:"backstory,omitempty"`
	Scenario    string    `json:"scenario,omitempty"` // where the talk begins
	Examples    []Example `json:"examples,omitempty"`
	Openings    []string  `json:"openings,omitempty"` // first words in a new talk: spoken as they are, no part of a prompt
}

// Example is one exchange that shows how the agent speaks.
type Example struct {
	User  string `json:"user"`
	Agent string `json:"agent"`
}

// Input is all that a compilation depends on besides the variation and the
// moment.
type Input struct {
	Persona  Persona
	Policy   policy.Document
	Rules    *rule.Rules
	Registry Registry
	Canary   string // a secret of this agent's prompt; empty for none
}

// Moment is what differs between two replies of one agent.
type Moment struct {
	Situation Situation
	Valence   float64 // mood now, decayed, [-1,1]
	Arousal   float64 // mood now, decayed, [-1,1]
	MoodOff   bool
	MaxWords  int // the caller's own cap, 0 for none
}

// Profile is the BehaviorProfile: everything about one reply that the policy
// decides. Slices may be shared between profiles and must not be changed.
type Profile struct {
	SystemPrompt string        `json:"systemPrompt"`
	FewShot      []Example     `json:"fewShot"`
	StyleNote    string        `json:"styleNote"`
	Params       Params        `json:"llmParams"`
	Channels     Channels      `json:"channels"`
	Route        Route         `json:"modelSelection"`
	Flags        Flags         `json:"behaviorFlags"`
	Rendered     policy.Traits `json:"rendered"` // x̃: the levels that reached the model
	Trace        []Trace       `json:"trace"`
	Dropped      []string      `json:"dropped"` // numbers that the model would refuse
	Clamped      []string      `json:"clamped"` // numbers that were out of range
	RulesVersion int64         `json:"rulesVersion"`
	Hash         string        `json:"hash"` // equal when prompt, few-shot, numbers and route are
}

// Channels says by which of the three ways the behaviour reaches the model.
type Channels struct {
	Prompt   []string `json:"prompt"`   // traits put in words; always all of them
	Output   []string `json:"output"`   // effort, verbosity, max_tokens: what is sent of them
	Sampling []string `json:"sampling"` // classic sampling: what is sent of it
}

// Flags are the decisions that are not the model's.
type Flags struct {
	ReplyStyle   string   `json:"replyStyle"`   // plain, warm, playful, dry, formal, casual
	BrevityLevel string   `json:"brevityLevel"` // long, medium, short, terse
	ShouldReply  bool     `json:"shouldReply"`
	Probability  float64  `json:"probability"` // of replying, [0,1]
	Reasons      []string `json:"reasons"`
	Words        int      `json:"words"`    // how long a reply should be
	MaxWords     int      `json:"maxWords"` // where it is cut
}

// Trace leads one line or number back to where it comes from.
type Trace struct {
	What   string  `json:"what"`            // line, example, or the name of the number
	Text   string  `json:"text,omitempty"`  // of a line or an example; of a number the word that is sent for it
	Value  float64 `json:"value,omitempty"` // of a number
	Source string  `json:"source"`          // a trait, mood, exploration.epsilon, persona or platform
	Rule   string  `json:"rule"`            // id of the rule
	Rules  int64   `json:"rulesVersion"`    // version of the rules, 0 for what is ours and fixed
	Level  float64 `json:"level,omitempty"` // the trait's level as rendered
}

// Prepared is a profile that only waits for its variation and its moment. It is
// immutable and safe for many goroutines.
type Prepared struct {
	name    string
	prompt  PromptEngineer
	params  []ParamsMapper // by candidate, the route's choice first
	route   Route
	actions ActionController
	rules   *rule.Rules
	epsilon float64
	digest  [32]byte
	fixed   []Trace
}

// Prepare does once per agent, version and rules what does not depend on the
// variation: guard and quote the persona, choose the route, look up what its
// models accept.
func Prepare(in Input) *Prepared {
	p := &Prepared{name: guard.Clean(in.Persona.Name, guard.MaxName), rules: in.Rules, epsilon: in.Policy.Exploration.Epsilon}
	p.route = Router{Registry: in.Registry}.Choose(in.Policy.Runtime)
	p.actions = ActionController{Policy: in.Policy.ActionPolicy, Autonomy: in.Policy.AutonomyLevel}
	stronger := in.Policy.Runtime.Archetype != "" && p.route.Reason != RouteArchetype
	p.prompt = newPromptEngineer(in.Persona, in.Rules, in.Canary, stronger)
	p.params = append(p.params, newParamsMapper(in.Rules, p.route.Model))
	for _, m := range p.route.Fallbacks {
		p.params = append(p.params, newParamsMapper(in.Rules, m))
	}
	p.fixed = p.prompt.fixedTrace()

	h := sha256.New()
	for _, s := range []string{p.prompt.head, p.prompt.tail, p.route.Provider, p.route.ID, strconv.FormatInt(in.Rules.Version, 10)} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		h.Write([]byte(s))
	}
	_ = json.NewEncoder(h).Encode(p.prompt.examples)
	h.Sum(p.digest[:0])
	return p
}

// Compile is Prepare and Prepared.Compile in one.
func Compile(in Input, x policy.Traits, m Moment) Profile { return Prepare(in).Compile(x, m) }

// Compile makes the behaviour for a variation x at a moment.
func (p *Prepared) Compile(x policy.Traits, m Moment) Profile {
	out := Profile{Route: p.route, RulesVersion: p.rules.Version}
	out.Trace = make([]Trace, 0, len(p.fixed)+policy.NTraits+1+len(p.rules.Mappings)+2+maxRuleExamples)
	out.Trace = append(out.Trace, p.fixed...)

	said := p.prompt.levels(x, m, &out)
	inputs := p.inputs(out.Rendered, m)
	mapper := &p.params[0]
	mapper.build(&inputs, m.MaxWords, &out)
	out.SystemPrompt = p.prompt.build(said, m, out.Flags.Words)
	out.FewShot = p.prompt.fewShot(&out)
	out.Flags.ReplyStyle = replyStyle(out.Rendered)
	out.Flags.BrevityLevel = brevityLevel(out.Rendered[policy.Brevity])
	out.StyleNote = styleNotes[out.Flags.ReplyStyle][out.Flags.BrevityLevel]
	out.Flags.ShouldReply, out.Flags.Probability, out.Flags.Reasons = p.actions.ShouldReply(m.Situation)
	out.Hash = p.hash(&out, said, m)
	return out
}

// ForFallback maps the numbers again for the i-th fallback of the route and
// names it as the profile's model; prompt, levels and flags stay.
func (p *Prepared) ForFallback(profile Profile, i int, m Moment) Profile {
	inputs := p.inputs(profile.Rendered, m)
	kept := profile.Trace[:0:0]
	for _, t := range profile.Trace {
		if t.What == "line" || t.What == "example" {
			kept = append(kept, t)
		}
	}
	profile.Trace, profile.Dropped, profile.Clamped = kept, nil, nil
	p.params[i+1].build(&inputs, m.MaxWords, &profile)
	profile.Route.Model, profile.Route.Reason, profile.Route.Fallbacks = p.route.Fallbacks[i], RouteFallback, p.route.Fallbacks[i+1:]
	sum := sha256.Sum256([]byte(profile.Hash + "\x00" + profile.Route.Provider + "\x00" + profile.Route.ID))
	profile.Hash = hex.EncodeToString(sum[:16])
	return profile
}

// ShouldReply asks the ActionController alone: decision, probability, reasons.
func (p *Prepared) ShouldReply(s Situation) (bool, float64, []string) {
	return p.actions.ShouldReply(s)
}

// Name is the agent's as it stands in prompts.
func (p *Prepared) Name() string { return p.name }

// Canary gives what the Enforcer must look for, empty for none.
func (p *Prepared) Canary() string { return p.prompt.canary }

// Route is the model that will be called and those after it.
func (p *Prepared) Route() Route { return p.route }

func (p *Prepared) inputs(rendered policy.Traits, m Moment) rule.Inputs {
	var in rule.Inputs
	copy(in[:], rendered[:])
	in[rule.Epsilon] = p.epsilon
	if !m.MoodOff {
		in[rule.Valence], in[rule.Arousal] = clamp(m.Valence, -1, 1), clamp(m.Arousal, -1, 1)
	}
	return in
}

func (p *Prepared) hash(out *Profile, s said, m Moment) string {
	var b [256]byte
	w := append(b[:0], p.digest[:]...)
	num := func(v float64) { w = binary.BigEndian.AppendUint64(w, math.Float64bits(v)) }
	for i := range s.lines {
		num(s.lines[i].Level)
	}
	for _, v := range out.Rendered {
		num(v)
	}
	num(float64(out.Flags.Words))
	num(float64(out.Params.MaxTokens))
	for _, v := range [...]Number{out.Params.Temperature, out.Params.TopP, out.Params.PresencePenalty, out.Params.FrequencyPenalty} {
		num(float64(v))
	}
	w = append(w, bit(m.Situation.Direct), bit(m.Situation.Protected))
	w = append(w, out.Params.Effort...)
	w = append(w, '/')
	w = append(w, out.Params.Verbosity...)
	w = append(w, '/')
	w = append(w, s.moodRule...)
	sum := sha256.Sum256(w)
	var text [32]byte
	hex.Encode(text[:], sum[:16])
	return string(text[:])
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func clamp(v, lo, hi float64) float64 {
	if !(v > lo) { // also NaN
		return lo
	}
	return min(v, hi)
}
