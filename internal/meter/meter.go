package meter

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"rapport/policy"
)

// Version of all meters together.
const Version = 1

// Meter is one thing that is read from a text.
type Meter uint8

// The meters, in the order of the traits that they make audible.
const (
	Humor     Meter = iota // laughter, emoji, the forms of jokes; a sentence
	Warmth                 // care, feelings, comfort; a sentence
	Irony                  // mock agreement and mock surprise; a sentence
	Direct                 // orders and verdicts less softeners; a sentence
	Formality              // formal less casual forms, per ten words, and long words; after Heylighen and Dewaele (2002)
	Questions              // share of sentences that ask, [0,1]
	Length                 // ln(1 + words)
	Assurance              // certainty less doubt; a sentence

	NMeters = 8
)

var names = [NMeters]string{"humour markers", "warmth", "irony", "directness", "formality", "questions", "length", "assurance"}

// String is the meter's name.
func (m Meter) String() string { return names[m] }

// Of gives the meter in which a trait is heard, and the sign with which it is: brevity
// makes texts shorter.
func Of(t policy.Trait) (m Meter, sign float64) {
	switch t {
	case policy.Humor:
		return Humor, 1
	case policy.Empathy:
		return Warmth, 1
	case policy.Sarcasm:
		return Irony, 1
	case policy.Directness:
		return Direct, 1
	case policy.Formality:
		return Formality, 1
	case policy.Curiosity:
		return Questions, 1
	case policy.Brevity:
		return Length, -1
	}
	return Assurance, 1
}

// Reading is one number per meter.
type Reading [NMeters]float64

// maxText is how many bytes of a text are read.
const maxText = 64 << 10

// Read measures a text. An empty text, and one without words, is zero everywhere.
// Markers are counted per sentence and at most twice in each, so that a list of them
// does not outweigh a talk:
//
//	length    = ln(1 + words)
//	questions = sentences with a question mark / sentences
//	formality = 10·(formal − casual + ½(articles, prepositions) − ½(pronouns))/words
//	            + (letters a word − 4.2)
//	others    = (markers for − markers against)/sentences
func Read(text string) Reading {
	var r Reading
	if len(text) > maxText {
		text = text[:maxText]
	}
	sentences := split(text)
	if len(sentences) == 0 {
		return r
	}
	words, letters, formal := 0, 0, 0.
	for i := range sentences {
		s := &sentences[i]
		words += len(s.words)
		for _, w := range s.words {
			letters += utf8.RuneCountInString(w)
		}
		r[Humor] += s.count(humorMarks) + s.laughs()
		r[Warmth] += s.count(warmMarks)
		r[Irony] += s.count(ironyMarks)
		r[Direct] += s.count(directMarks) + s.orders() - s.count(softMarks)
		r[Assurance] += s.count(sureMarks) - s.count(doubtMarks)
		formal += s.many(formalMarks) - s.many(casualMarks) - s.contractions() - s.careless()
		for _, w := range s.words {
			formal += .5 * nature[w]
		}
		if s.asks {
			r[Questions]++
		}
	}
	n := float64(len(sentences))
	for _, m := range [...]Meter{Humor, Warmth, Irony, Direct, Assurance, Questions} {
		r[m] /= n
	}
	r[Length] = math.Log1p(float64(words))
	r[Formality] = 10*formal/float64(words) + float64(letters)/float64(words) - 4.2
	return r
}

// sentence is a part of a text up to an end mark, in lower case: its words with one
// space around each, so that phrases are found as they stand.
type sentence struct {
	words []string
	flat  string // " word word "
	raw   string
	asks  bool
}

// split cuts a text at end marks and lines. A part without words (an emoji, a mark)
// belongs to the sentence before it.
func split(text string) (out []sentence) {
	text = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`).Replace(strings.ToValidUTF8(text, " "))
	from := 0
	cut := func(to int) {
		part := text[from:to]
		from = to
		words := strings.FieldsFunc(strings.ToLower(part), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' })
		if len(words) == 0 {
			if n := len(out); n > 0 {
				out[n-1].raw += part
				out[n-1].asks = out[n-1].asks || strings.Contains(part, "?")
			}
			return
		}
		out = append(out, sentence{words: words, flat: " " + strings.Join(words, " ") + " ", raw: part, asks: strings.Contains(part, "?")})
	}
	for i, r := range text {
		if i < from {
			continue
		}
		switch r {
		case '\n':
			cut(i)
		case '.', '!', '?':
			end := i + 1
			for end < len(text) && strings.IndexByte(".!?)\"'", text[end]) >= 0 {
				end++
			}
			if end == len(text) || text[end] == ' ' || text[end] == '\n' {
				cut(end)
			}
		}
	}
	cut(len(text))
	return out
}

// count gives how many of the phrases stand in the sentence, at most 2.
func (s *sentence) count(marks []string) float64 { return min(2, s.many(marks)) }

// many is count without the limit.
func (s *sentence) many(marks []string) (n float64) {
	for _, m := range marks {
		n += float64(strings.Count(s.flat, m))
	}
	return n
}

// laughs says whether the sentence carries a laughing face.
func (s *sentence) laughs() float64 {
	for _, face := range laughing {
		if strings.Contains(s.raw, face) {
			return 1
		}
	}
	return 0
}

// orders says whether the sentence begins with an order.
func (s *sentence) orders() float64 {
	if first := s.words[0]; orders[first] && !s.asks || first == "don't" || first == "no" || first == "yes" {
		return 1
	}
	return 0
}

// contractions are words that a formal text writes out.
func (s *sentence) contractions() (n float64) {
	for _, w := range s.words {
		if i := strings.IndexByte(w, '\''); i > 0 && i < len(w)-1 && !strings.HasSuffix(w, "'s") || w == "it's" || w == "that's" || w == "what's" || w == "let's" || w == "here's" || w == "there's" {
			n++
		}
	}
	return n
}

// careless counts exclamation marks, and a beginning in lower case.
func (s *sentence) careless() float64 {
	n := float64(min(2, strings.Count(s.raw, "!")))
	if first, _ := utf8.DecodeRuneInString(strings.TrimSpace(s.raw)); unicode.IsLower(first) {
		n++
	}
	return n
}
