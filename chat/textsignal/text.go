package textsignal

import (
	"strings"
	"unicode/utf8"

	"rapport/event"
)

// Text is a message that was read once, for everything that is measured on it. One
// goroutine at a time may use it.
type Text struct {
	Past
	raw, lower string
	t          scanned
	mood       *Sentiment
}

// Past is what later turns of a talk need of a text.
type Past struct {
	terms     []string
	words     int
	questions int  // sentences that end as one
	asks      bool // a question mark anywhere
}

// Read reads a text. Any input is accepted, also what is not valid UTF-8.
func Read(text string) *Text {
	lower := strings.ToLower(text)
	t := scan(lower, nil)
	return &Text{raw: text, lower: lower, t: t, Past: Past{terms: terms(t), words: t.words, questions: t.questions, asks: strings.Contains(lower, "?")}}
}

// Features are those of Measure.
func (x *Text) Features() event.Features {
	mood := x.sentiment()
	return event.Features{
		Detector:  Version,
		Chars:     utf8.RuneCountInString(x.raw),
		Words:     x.t.words,
		Sentences: x.t.sentences,
		Questions: x.t.questions,
		Sentiment: mood.Value,
		Variance:  mood.Variance,
		Tags:      tags(x.lower, x.t),
	}
}

func (x *Text) sentiment() Sentiment {
	if x.mood == nil {
		m := sentiment(x.raw, x.t)
		x.mood = &m
	}
	return *x.mood
}

// Shift is the chance that the text changes the topic of a talk; see the function
// of that name.
func (x *Text) Shift(before []Past) float64 {
	if len(before) == 0 {
		return 0
	}
	return logistic(ShiftWeights[:], shiftFeatures(before, x))
}

// Trouble is how badly the turn before went; see the function of that name.
func (x *Text) Trouble(own, before Past) float64 { return trouble(troubleFeatures(own, before, x)) }

func pastOf(text string) Past { return Read(text).Past }
