package textsignal

import (
	"math"
	"slices"
	"strings"
)

// NShiftFeatures is the number of features of a possible change of topic.
const NShiftFeatures = 28

// Shift is the chance, 0…1, that a turn changes the topic of a talk; before are the
// turns before it, the oldest first, of which the last six are read. 0 for a first turn. It
// is 1/(1+exp(−Σ wᵢ·featureᵢ)) with the weights of ShiftWeights.
//
// A weak detector, see docs/learning-results.md: English small talk of two people,
// by words alone.
func Shift(before []string, text string) float64 {
	if len(before) == 0 {
		return 0
	}
	return logistic(ShiftWeights[:], ShiftFeatures(before, text))
}

func logistic(w []float64, f [NShiftFeatures]float64) float64 {
	z := 0.0
	for k, x := range f {
		z += float64(w[k] * x)
	}
	return 1 / (1 + math.Exp(-z))
}

// ShiftAt is the chance from which a turn is called a change: where F1 − Pk was
// greatest on the data of the fit.
const ShiftAt = .28

// ShiftFeatures are the numbers by which a change of topic is judged.
func ShiftFeatures(before []string, text string) [NShiftFeatures]float64 {
	before = before[max(0, len(before)-ShiftReads):]
	past := make([]Past, len(before))
	for i, s := range before {
		past[i] = pastOf(s)
	}
	return shiftFeatures(past, Read(text))
}

// ShiftReads is how many turns before a turn are read.
const ShiftReads = 6

func shiftFeatures(before []Past, x *Text) [NShiftFeatures]float64 {
	before = before[max(0, len(before)-ShiftReads):]
	lower, now, own := x.lower, x.t, x.terms
	var f [NShiftFeatures]float64
	f[0] = 1
	previous := before[len(before)-1]

	// The share of content words said in the last two turns, in all six. After a single
	// turn every word counts as said just now: so the weights were fitted.
	near, all := 0.0, 0.0
	for _, w := range own {
		said := len(before)
		for said > 0 && !slices.Contains(before[said-1].terms, w) {
			said--
		}
		all += b(said > 0)
		near += b(said >= len(before)-1)
	}
	content := float64(len(own))
	f[1] = near / max(1, content)
	f[2] = all / max(1, content)
	f[3] = b(near == 0 && content > 0)
	f[4] = math.Log1p(content)
	f[5] = math.Log1p(float64(now.words))
	f[6] = math.Log1p(float64(previous.words))

	asks, asked := x.asks, previous.asks
	f[7], f[8] = b(asks), b(asked)
	f[9] = b(asks && asked)
	f[10] = b(asks && !asked)
	f[11] = b(asks && near == 0)
	open, follow := anyPhrase(lower, openQuestions), anyPhrase(lower, followUps)
	f[12] = b(asks && open)
	f[13] = b(asks && follow)
	f[14] = b(asks && now.sentences > 1) // an answer, then a question
	f[15] = b(strings.HasSuffix(strings.TrimSpace(lower), "?"))

	words := strings.Fields(lower)
	back, first, you := 0.0, 0.0, 0.0
	for _, w := range words {
		back += b(anaphora[w])
		first += b(w == "i" || w == "my" || w == "i'm" || w == "i've")
		you += b(w == "you" || w == "your")
	}
	f[16] = b(back > 0)
	f[17] = math.Log1p(back)
	f[18] = math.Log1p(first)
	f[19] = math.Log1p(you)
	f[20] = b(len(words) > 0 && reactions[strings.Trim(words[0], ".,!?")])
	f[21] = b(anyPhrase(lower, turnings))
	f[22] = b(previous.words <= 5)
	f[23] = b(!asks && near == 0 && first > 0 && back == 0) // tells of themself, out of nothing
	f[24] = math.Log1p(float64(len(before)))
	f[25] = b(!asks && asked)
	f[26] = b(you > 0 && near == 0 && !follow && asks)
	f[27] = b(len(previous.terms) <= 2 && !asked)
	return f
}

var (
	openQuestions = []string{"do you have", "do you like", "do you work", "what do you do", "what is your", "what's your", "whats your", "where are you", "where do you", "have you ever",
		"how old", "are you", "what do you like", "any pets", "any hobbies", "for fun", "for a living", "favorite", "do you enjoy", "how are you", "do you live", "what are you", "you married"}
	followUps = []string{"what about you", "how about you", "what kind", "which", "why", "how long", "how many", "really", "what type", "did it", "does it", "is it", "was it", "do they", "are they",
		"is that", "how did", "how do", "what happened", "do you mean", "did you", "have you tried", "and you", "what did"}
	turnings  = []string{"by the way", "btw", "anyway", "anyways", "speaking of", "so what", "so do", "changing the subject", "on another note", "besides that", "other than that", "in my free time", "in my spare time"}
	anaphora  = set(`it that they them this those these he she him her his their there one ones too also then`)
	reactions = set(`yes yeah yep no nope cool nice wow oh ah lol haha that that's awesome great really sounds sure ok okay true well same me it because neat sweet sorry hmm not never maybe sometimes aw aww very thanks`)
)

func anyPhrase(s string, list []string) bool {
	for _, p := range list {
		if containsPhrase(s, p) {
			return true
		}
	}
	return false
}

// ShiftWeights are the weights of the features, in their order, fitted by
// cmd/rapport-bench topic-change on 300 talks, judged there on 100 others.
var ShiftWeights = [NShiftFeatures]float64{
	-0.626, // always
	-0.771, // content words of the last two turns
	-0.601, // content words of the last six
	0.195,  // none of the last two
	0.421,  // log content words
	-0.123, // log words
	-0.402, // log words of the turn before
	0.098,  // asks
	-0.728, // was asked
	-0.222, // both
	0.238,  // asks unasked
	0.242,  // asks with nothing shared
	1.209,  // an opening question ("do you have")
	-0.102, // a question that goes on ("what kind")
	0.315,  // says something, then asks
	-0.018, // ends with the question
	0.075,  // points back ("it", "that")
	-0.446, // log such words
	0.314,  // log "I", "my"
	0.461,  // log "you", "your"
	-0.036, // begins with a reaction ("cool")
	0.613,  // a turning phrase ("by the way")
	-0.528, // the turn before had five words or fewer
	0.145,  // tells of themself, out of nothing
	-0.246, // log turns before
	-0.616, // was asked, and tells
	0.470,  // asks "you" with nothing shared
	-0.532, // the turn before said little
}
