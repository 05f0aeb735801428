package textsignal

import (
	"math"
	"strings"
	"sync"

	"github.com/jonreiter/govader"
)

// Sentiment is how pleased a text sounds.
type Sentiment struct {
	Value    float64 // -1…1, 0 when nothing is known; rounded to 0.001
	Variance float64 // of the noise in Value, 0…1; 1 when Known is false
	Known    bool    // something in the text was understood
}

// unknown is what a text tells that cannot be read.
var unknown = Sentiment{Variance: 1}

// SentimentOf reads a text. English words, their emphasis, negation and "but" are
// weighed by the VADER rules and lexicon (Hutto & Gilbert 2014, "VADER: a
// parsimonious rule-based model", by the library govader); emoji by a table of
// our own, as their names mislead ("fire", "loudly crying"):
//
//	w = words' valence before VADER's last step, e = Σ valence of emoji
//	value = s/√(s²+15),  s = w + e
//
// A text counts as English when at least a fifth of its words are known English
// ones, and these are more than the words known from other languages plus half of
// those with letters outside ASCII; handles, tags, links and numbers don't count. From any other text only emoji and emoticons are read;
// without these it is unknown: value 0, variance 1, which a learner weighs as
// nothing. Known neutral is not unknown.
//
// Irony, a negation in another clause, and quotes are not understood.
func SentimentOf(text string) Sentiment { return sentiment(text, scan(strings.ToLower(text), nil)) }

// The noise of a value by what was found in the text: its mean square around the
// line through people's ratings, between tweets and reviews, see
// docs/learning-results.md. Many words of valence contradict one another.
const (
	varianceNothing = .055 // English without a word of valence: people are near 0 then
	varianceOne     = .07
	varianceMore    = .13
	varianceSymbols = .10 // emoji alone: what people make of them differs
)

func sentiment(text string, t scanned) Sentiment {
	var symbols float64
	var hits, faces int
	for _, tok := range t.tokens {
		switch tok.kind {
		case symbol:
			v := symbolValence(tok.text)
			if t.read && emoticonValence[tok.text] != 0 {
				continue // the words' lexicon has them
			}
			if v != 0 {
				faces++
			}
			symbols += v
		case word:
			if lexicon().Lexicon[tok.text] != 0 {
				hits++
			}
		}
	}
	if !t.read {
		if faces == 0 {
			return unknown
		}
		return Sentiment{squash(symbols), varianceSymbols, true}
	}
	c := lexicon().PolarityScores(plain(text)).Compound
	words := c * math.Sqrt(alpha/max(1e-9, 1-float64(c*c)))
	out := Sentiment{squash(words + symbols), varianceMore, true}
	switch {
	case c == 0 && symbols == 0:
		out.Variance = varianceNothing
	case hits+faces <= 1:
		out.Variance = varianceOne
	}
	return out
}

// alpha is VADER's: a sum of √15 gives .71.
const alpha = 15

func squash(s float64) float64 {
	return math.Round(1000*s/math.Sqrt(float64(s*s)+alpha))/1000 + 0 // + 0: never -0
}

// lexicon is made once; reading it is safe from everywhere.
var lexicon = sync.OnceValue(govader.NewSentimentIntensityAnalyzer)

// plain prepares a text for the lexicon, which parts words at single spaces, knows
// one apostrophe, and would read the names of emoji.
func plain(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t' || r == '\r' || r == '\u00a0':
			b.WriteByte(' ')
		case r == '’' || r == '‘':
			b.WriteByte('\'')
		case r == '…':
			b.WriteString("...")
		case emojiValence[r] != 0 || r > 0x2190 && !inWord(r):
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return s[i] == 0xE2 && strings.Contains(s, "’") // a curly apostrophe
		}
	}
	return true
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
