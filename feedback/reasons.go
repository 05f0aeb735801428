package feedback

import "rapport/policy"

// reason is one word for why something was good or bad. A sign says in which
// direction the next answer should differ; without one the word is kept for the
// owner to read and moves nothing: "helpful" praises a level, and says nothing of
// another.
type reason struct {
	value string
	good  bool
	trait policy.Trait
	sign  int // of what is asked for; 0: no direction
}

// reasons is the vocabulary, in the order it is shown.
var reasons = []reason{
	{value: "helpful", good: true},
	{value: "funny", good: true},
	{value: "kind", good: true},
	{value: "clear", good: true},
	{value: "just_right", good: true},
	{value: "surprising", good: true},
	{value: "in_character", good: true},
	{value: "too_long", trait: policy.Brevity, sign: +1},
	{value: "too_short", trait: policy.Brevity, sign: -1},
	{value: "too_stiff", trait: policy.Formality, sign: -1},
	{value: "too_casual", trait: policy.Formality, sign: +1},
	{value: "unkind", trait: policy.Empathy, sign: +1},
	{value: "too_sweet", trait: policy.Empathy, sign: -1},
	{value: "too_harsh", trait: policy.Directness, sign: -1},
	{value: "too_vague", trait: policy.Directness, sign: +1},
	{value: "too_pushy", trait: policy.Assertiveness, sign: -1},
	{value: "too_timid", trait: policy.Assertiveness, sign: +1},
	{value: "too_sarcastic", trait: policy.Sarcasm, sign: -1},
	{value: "too_earnest", trait: policy.Sarcasm, sign: +1},
	{value: "too_jokey", trait: policy.Humor, sign: -1},
	{value: "too_dry", trait: policy.Humor, sign: +1},
	{value: "too_many_questions", trait: policy.Curiosity, sign: -1},
	{value: "not_curious", trait: policy.Curiosity, sign: +1},
	{value: "wrong"},
	{value: "off_topic"},
	{value: "unclear"},
	{value: "repeated_itself"},
	{value: "not_in_character"},
}

// Reason is a word of the vocabulary as pages show it.
type Reason struct {
	Value string
	Good  bool
}

// Reasons lists the vocabulary.
func Reasons() []Reason {
	out := make([]Reason, len(reasons))
	for i, r := range reasons {
		out[i] = Reason{r.value, r.good}
	}
	return out
}

// readReason fills in what a reason asks for.
func (d *draft) readReason() error {
	names := make([]string, len(reasons))
	for i, r := range reasons {
		if names[i] = r.value; r.value == d.Value {
			if r.sign != 0 {
				d.Trait, d.Sign = r.trait.String(), r.sign
			}
			return nil
		}
	}
	return unknownValue(d.Channel, names)
}
