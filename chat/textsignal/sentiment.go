package textsignal

import (
	"math"
	"strings"
)

// Sentiment is how pleased a text sounds, -1…1, 0 when nothing is known.
//
//	s = Σ vᵢ·nᵢ·kᵢ·cᵢ   over the words and emoji with a valence v in -3…3
//	sentiment = s / √(s² + 12), rounded to 0.001
//
// n = -0.6 when one of the three words before it, in its clause, negates; k is
// the product of the intensifiers (×1.3) and softeners (×0.6) among the two
// words before it; c = 0.5 before a "but" of its sentence and 1.3 after it. Up
// to three exclamation marks add 0.3 each in the direction of s.
//
// Words count only in text that looks English (at least as many English as
// other function words); emoji and emoticons count always.
func Sentiment(text string) float64 { return sentiment(scan(strings.ToLower(text), nil)) }

func sentiment(t scanned) float64 {
	var sum float64
	clause := 0   // first token of the clause
	from := 0.0   // sum at the start of the sentence
	weight := 1.0 // of the words after a "but"
	for i, tok := range t.tokens {
		switch tok.kind {
		case stop:
			clause, from, weight = i+1, sum, 1
		case symbol:
			sum += symbolValence(tok.text)
		case word:
			if !t.english {
				continue
			}
			if tok.text == "but" || tok.text == "however" {
				sum = from + float64(0.5*(sum-from))
				clause, weight = i+1, 1.3
				continue
			}
			v := valenceOf(tok.text)
			if v == 0 || tok.text == "like" && !wants(t.tokens[clause:i]) {
				continue
			}
			f := weight
			for j := i - 1; j >= clause && j >= i-3; j-- {
				w := t.tokens[j].text
				switch {
				case negates(w):
					f *= -0.6
				case j >= i-2 && intensifies[w]:
					f *= 1.3
				case j >= i-2 && softens[w]:
					f *= 0.6
				}
			}
			sum += float64(v * f)
		}
	}
	if sum != 0 {
		sum += math.Copysign(float64(0.3*float64(min(t.bangs, 3))), sum)
	}
	s := sum / math.Sqrt(float64(sum*sum)+12)
	return math.Round(s*1000)/1000 + 0 // + 0: never -0
}

// wants tells "I like it" from "like this": the verb stands after a pronoun, a
// modal or a negation.
func wants(before []token) bool {
	for i := len(before) - 1; i >= 0 && i >= len(before)-2; i-- {
		switch before[i].text {
		case "i", "we", "you", "they", "really", "do", "would", "to":
			return true
		}
		if negates(before[i].text) {
			return true
		}
	}
	return false
}

func negates(w string) bool {
	switch w {
	case "not", "no", "never", "nothing", "nobody", "none", "neither", "nor", "without", "cannot", "hardly", "barely",
		"dont", "doesnt", "didnt", "cant", "wont", "isnt", "wasnt", "arent", "aint", "couldnt", "wouldnt", "shouldnt":
		return true
	}
	return strings.HasSuffix(w, "n't") || strings.HasSuffix(w, "n’t")
}

// valenceOf looks a word up, then without its ending.
func valenceOf(w string) float64 {
	if v, ok := valence[w]; ok {
		return v
	}
	for _, end := range [...]string{"s", "es", "ed", "d", "ing", "ly", "er", "ers", "ness"} {
		stem, ok := strings.CutSuffix(w, end)
		if !ok || len(stem) < 3 {
			continue
		}
		if v, ok := valence[stem]; ok {
			return v
		}
		if end == "ing" || end == "er" || end == "ed" {
			if v, ok := valence[stem+"e"]; ok {
				return v
			}
			if n := len(stem); stem[n-1] == stem[n-2] {
				if v, ok := valence[stem[:n-1]]; ok {
					return v
				}
			}
		}
		if strings.HasSuffix(stem, "i") { // happily, worries
			if v, ok := valence[stem[:len(stem)-1]+"y"]; ok {
				return v
			}
		}
	}
	return 0
}

func symbolValence(s string) float64 {
	if v, ok := emoticonValence[s]; ok {
		return v
	}
	for _, r := range s {
		return emojiValence[r]
	}
	return 0
}

// emoticonAt gives the length of the emoticon at s[i:], 0 without one. It must
// stand free: after a space or the start, before a space, a mark or the end.
func emoticonAt(s string, i int) int {
	switch s[i] {
	case ':', ';', '=', '<', 'x', '^', '>':
	default:
		return 0
	}
	if i > 0 && s[i-1] != ' ' && s[i-1] != '\n' && s[i-1] != '.' && s[i-1] != '!' {
		return 0
	}
	for _, e := range emoticons {
		if strings.HasPrefix(s[i:], e) {
			if j := i + len(e); j == len(s) || strings.IndexByte(" \n.,!?", s[j]) >= 0 {
				return len(e)
			}
		}
	}
	return 0
}
