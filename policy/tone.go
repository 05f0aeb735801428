package policy

import "math"

// tones are the fixed directions in trait space that the displayed tone weights
// are made of, over z = 2x−1.
var tones = []struct {
	name string
	dir  Traits
}{
	{"warm", Traits{Humor: .3, Empathy: 1, Sarcasm: -.6, Formality: -.3}},
	{"playful", Traits{Humor: 1, Sarcasm: .5, Formality: -.6, Curiosity: .3}},
	{"serious", Traits{Humor: -.8, Sarcasm: -.4, Directness: .2, Formality: .9}},
	{"calm", Traits{Empathy: .4, Sarcasm: -.3, Directness: -.4, Assertiveness: -1}},
	{"direct", Traits{Empathy: -.2, Directness: 1, Brevity: .5, Assertiveness: .6}},
}

// Tones lists the tone names: warm, playful, serious, calm, direct.
func Tones() []string {
	out := make([]string, len(tones))
	for i, t := range tones {
		out[i] = t.name
	}
	return out
}

// ToneWeightsOf gives the weights shown for some levels: softmax of z·direction
// over the fixed tone directions, z = 2x−1, rounded to 1e-6. At the neutral
// levels all are equal.
func ToneWeightsOf(x Traits) ToneWeights {
	e := make([]float64, len(tones))
	var sum float64
	for i, t := range tones {
		var dot float64
		for j, d := range t.dir {
			dot += float64(d * (2*x[j] - 1))
		}
		e[i] = math.Exp(dot)
		sum += e[i]
	}
	w := ToneWeights{}
	for i, t := range tones {
		w[t.name] = math.Round(e[i]/sum*1e6) / 1e6
	}
	return w
}

// ToneButton is one thing a person can ask for: more (Sign +1) or less (−1) of a
// trait than the message at hand had.
type ToneButton struct {
	Name  string `json:"name"`
	Trait Trait  `json:"trait"`
	Sign  int    `json:"sign"`
}

// ToneButtons lists the buttons in the order they are shown.
func ToneButtons() []ToneButton {
	return []ToneButton{
		{"funnier", Humor, +1}, {"kinder", Empathy, +1}, {"shorter", Brevity, +1}, {"longer", Brevity, -1},
		{"calmer", Assertiveness, -1}, {"bolder", Assertiveness, +1}, {"more_formal", Formality, +1},
		{"more_casual", Formality, -1}, {"more_direct", Directness, +1}, {"softer", Directness, -1},
		{"more_curious", Curiosity, +1}, {"less_sarcastic", Sarcasm, -1},
		{"more_serious", Humor, -1}, {"more_matter_of_fact", Empathy, -1}, {"fewer_questions", Curiosity, -1}, {"more_sarcastic", Sarcasm, +1},
	}
}

// ParseTone finds a button by its name.
func ParseTone(name string) (ToneButton, bool) {
	for _, b := range ToneButtons() {
		if b.Name == name {
			return b, true
		}
	}
	return ToneButton{}, false
}

// ToneOffset is how far a tone button moves the asked trait for the rest of the
// session.
const ToneOffset = .15

// Offset carries out a tone button as a command: the trait moves by ToneOffset in
// the direction of sign, inside the bounds; false and unchanged when the trait is
// pinned. What results was commanded, not drawn: it has no density.
func Offset(x Traits, t Trait, sign int, limits Bounds, pinned Mask) (Traits, bool) {
	if pinned.Has(t) || sign == 0 {
		return x, false
	}
	step := ToneOffset
	if sign < 0 {
		step = -step
	}
	before := x[t]
	x[t] = limits.Of(t).Clamp(min(1, max(0, before+step)))
	return x, x[t] != before
}
