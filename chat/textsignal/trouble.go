package textsignal

import (
	"math"
	"strings"
)

// NTroubleFeatures is the number of features of trouble.
const NTroubleFeatures = 15

// Trouble is how badly the turn before seems to have gone, judged by the turn that
// answers it: 0 fine … 1 the talk broke down, as the mean of people's marks would be. own
// is what the same person said before that, "" for nothing. Linear in
// TroubleFeatures, clipped to [0,1].
//
// It holds for talks with a machine in English. Weak: see docs/learning-results.md.
func Trouble(own, before, text string) float64 {
	return trouble(TroubleFeatures(own, before, text))
}

func trouble(f [NTroubleFeatures]float64) float64 {
	v := 0.0
	for k, x := range f {
		v += float64(TroubleWeights[k] * x)
	}
	return math.Round(1000*min(1, max(0, v))) / 1000
}

// TroubleNoise is the variance of people's mean mark around Trouble; without it the
// marks vary by .0267, so that a single value says very little.
const TroubleNoise = .0258

// TroubleFeatures are the numbers by which trouble is judged.
func TroubleFeatures(own, before, text string) [NTroubleFeatures]float64 {
	return troubleFeatures(pastOf(own), pastOf(before), Read(text))
}

func troubleFeatures(earlier, said Past, x *Text) [NTroubleFeatures]float64 {
	lower, now, mood := x.lower, x.t, x.sentiment()
	mine, theirs, mineBefore := x.terms, said.terms, earlier.terms
	var f [NTroubleFeatures]float64
	f[0] = 1
	f[1] = max(0, mood.Value)
	f[2] = max(0, -mood.Value)
	f[3] = math.Log1p(float64(now.words))
	f[4] = b(now.questions > 0 || x.asks)
	f[5] = b(repairs(lower, now))
	f[6] = b(anyPhrase(lower, corrections))
	f[7] = shared(mine, theirs)
	f[8] = b(len(mine) > 0 && f[7] == 0)
	f[9] = shared(mine, mineBefore)
	f[10] = b(len(mine) > 0 && len(mineBefore) > 0 && f[9] >= .6) // says it again
	f[11] = b(now.words <= 2)
	f[12] = b(now.bangs > 0)
	f[13] = b(len(now.tokens) > 0 && agreements[now.tokens[0].text])
	f[14] = b(said.questions > 0 && f[4] == 1) // answers a question by a question
	return f
}

// repairs finds the turns by which one says that one did not follow.
func repairs(lower string, t scanned) bool {
	return t.words <= 3 && len(t.tokens) > 0 && strings.Contains(lower, "?") && repairWords[t.tokens[0].text] || anyPhrase(lower, repairPhrases) || strings.Contains(lower, "??")
}

var (
	repairWords   = set(`what huh pardon sorry why who hm hmm really excuse eh`)
	repairPhrases = []string{"what do you mean", "what are you talking about", "i don't understand", "i do not understand", "don't get it", "not sure what you mean", "what does that", "makes no sense", "make sense", "making sense",
		"pardon", "say again", "come again", "confused", "confusing", "you don't understand", "do you understand", "don't follow", "what you mean", "you mean"}
	corrections = []string{"i said", "i asked", "i told you", "i already", "i was asking", "i meant", "i mean", "you said", "you already", "you just said", "not what", "that's not", "that is not", "thats not", "wrong", "answer my question", "answer the question", "my question",
		"again", "not asking", "didn't ask", "did not ask", "you didn't", "repeat", "repeating", "change the topic", "change the subject", "off topic", "random", "are you a bot", "robot", "stop", "weird", "strange"}
	agreements = set(`yes yeah yep yup sure ok okay cool nice great thanks thank haha lol wow awesome good oh right exactly true`)
)

// shared is the share of a's words that are in b.
func shared(a, b []string) float64 {
	n := 0.0
	for _, w := range a {
		for _, x := range b {
			if w == x {
				n++
				break
			}
		}
	}
	return n / max(1, float64(len(a)))
}

// TroubleWeights are the weights of the features, in their order, fitted by
// cmd/rapport-bench breakdown on 415 talks with machines; judged there on talks
// that a fit has not seen.
var TroubleWeights = [NTroubleFeatures]float64{
	0.5017,  // always
	-0.0592, // pleased
	0.0358,  // displeased
	-0.0105, // log words
	-0.0187, // asks
	0.0776,  // did not follow ("what do you mean")
	0.0601,  // corrects ("i said", "wrong")
	0.0350,  // share of its content words from the turn before
	-0.0007, // none of it
	-0.0399, // share of its content words from the own turn before that
	0.0358,  // says the same again
	-0.0025, // two words or fewer
	-0.0084, // an exclamation mark
	-0.0064, // begins by agreeing
	0.0266,  // answers a question by a question
}
