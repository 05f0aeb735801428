// Package mentor holds the rules of reviewing: what is asked, which exchange a
// reviewer is given, what of it they see, when a review is set aside for a person to
// look at, and what points are earned and worth. Pure functions of what is known and
// a clock from outside.
//
// Owns: the questions and their words, Order, Blind, Judge, Prices. Start reading at
// Judge.
//
// Two measures stay apart: agreement with others is taste, is measured by learning
// and never leads to anything here; what Judge finds is about how a review was made,
// and even that only sets it aside until an operator has looked.
package mentor

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rapport/event"
	"rapport/internal/fault"
)

// Question is one thing a reviewer marks.
type Question struct {
	Name string `json:"name"`
	Asks string `json:"asks"`
}

// Questions lists them in the order they are asked.
func Questions() []Question {
	return []Question{
		{"inCharacter", "Does the last answer sound like one and the same character?"},
		{"helpful", "Does it help the person it answers?"},
		{"kind", "Is it kind to them?"},
	}
}

// Words lists the levels of an answer, from the most to the least.
func Words() []string { return []string{"clearly", "mostly", "hardly", "not_at_all"} }

var worth = map[string]float64{"clearly": 1, "mostly": .5, "hardly": -.5, "not_at_all": -1}

// Marks answer the questions, each with one of Words.
type Marks struct {
	InCharacter string `json:"inCharacter" enum:"clearly,mostly,hardly,not_at_all"`
	Helpful     string `json:"helpful" enum:"clearly,mostly,hardly,not_at_all"`
	Kind        string `json:"kind" enum:"clearly,mostly,hardly,not_at_all"`
}

// Check refuses words that are none: fault invalid unknown_value.
func (m Marks) Check() error {
	for _, word := range []string{m.InCharacter, m.Helpful, m.Kind} {
		if _, ok := worth[word]; !ok {
			return fault.New(fault.Invalid, "unknown_value", "Each of inCharacter, helpful and kind must be one of %s.", strings.Join(Words(), ", "))
		}
	}
	return nil
}

// Score is the mean of what the words are worth: clearly 1, mostly ½, hardly −½,
// not_at_all −1; in [-1,1].
func (m Marks) Score() float64 { return (worth[m.InCharacter] + worth[m.Helpful] + worth[m.Kind]) / 3 }

// String is the three words in the order of the questions.
func (m Marks) String() string { return m.InCharacter + " " + m.Helpful + " " + m.Kind }

// top says that nothing could be better.
func (m Marks) top() bool { return m.Score() == 1 }

// Lengths of a note, in characters, and how many different words make one.
const (
	MinNote  = 20
	MaxNote  = 2000
	minWords = 4
)

// CheckNote refuses what cannot be a constructive note: faults invalid note_too_short
// (under MinNote characters or four different words), note_too_long, bad_text.
func CheckNote(note string) error {
	if !utf8.ValidString(note) || strings.IndexByte(note, 0) >= 0 {
		return fault.New(fault.Invalid, "bad_text", "Texts must be UTF-8 without the character NUL; remove it.")
	}
	if utf8.RuneCountInString(note) > MaxNote {
		return fault.New(fault.Invalid, "note_too_long", "A note has at most %d characters.", MaxNote)
	}
	different := map[string]bool{}
	letters := 0
	for _, w := range words(note) {
		different[w] = true
		letters += utf8.RuneCountInString(w)
	}
	spaced := len(different) >= minWords || letters >= MinNote && !latin(note) // scripts without spaces have no words to count
	if utf8.RuneCountInString(strings.TrimSpace(note)) < MinNote || !spaced {
		return fault.New(fault.Invalid, "note_too_short", "Write what was good and what could be better, in %d characters and %d different words or more.", MinNote, minWords)
	}
	return nil
}

// words are the runs of letters and digits, in lower case.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) })
}

// latin says whether a text is of a script that has spaces between words.
func latin(s string) bool {
	for _, r := range s {
		if r >= 0x0e00 && unicode.IsLetter(r) {
			return false
		}
	}
	return true
}

// Digest is equal for notes of equal words; empty below eight words, which two
// people can write by chance.
func Digest(note string) string {
	w := words(note)
	if len(w) < 8 {
		return ""
	}
	return event.HashID(append([]string{"note"}, w...)...)
}

const second = event.Micros(time.Second / time.Microsecond)

// Year is the longest that a goal lasts.
const Year = 366 * 24 * 3600 * second

// Day is the number of the day, UTC.
func Day(at event.Micros) int64 { return (at - at%(24*3600*second)) / (24 * 3600 * second) }

// DayEnds is when the day of a moment ends.
func DayEnds(at event.Micros) event.Micros { return (Day(at) + 1) * 24 * 3600 * second }

// Prices is what points are earned for and worth. Configuration.
type Prices struct {
	Review  int64 // for a review that counts
	Helpful int64 // for a note that the agent's owner finds helpful, besides
	Cap     int64 // at most, per day UTC
	Slot    int64
	Look    int64
	Replies int64
	Evening int64
}

// DefaultPrices are those of the terms.
func DefaultPrices() Prices {
	return Prices{Review: 1, Helpful: 3, Cap: 10, Slot: 100, Look: 20, Replies: 10, Evening: 15}
}

// Of is the price of an item; false for what is none.
func (p Prices) Of(item string) (int64, bool) {
	price, ok := map[string]int64{event.ItemSlot: p.Slot, event.ItemLook: p.Look, event.ItemReplies: p.Replies, event.ItemEvening: p.Evening}[item]
	return price, ok
}

// Earns is what of an amount still fits under the day's cap, when so much was earned
// that day.
func (p Prices) Earns(amount, today int64) int64 { return max(0, min(amount, p.Cap-today)) }

// Missing is the fault of who cannot pay: conflict not_enough_points with what is
// missing.
func Missing(item string, price, has int64) error {
	return fault.New(fault.Conflict, "not_enough_points", "This costs %d points and you have %d: %d are missing. Points come from reviews.", price, has, price-has)
}

// MinTogether is how many people a shared number needs before it is shown.
const MinTogether = 5

// Together is what everybody may see of a common count: nothing below MinTogether
// people, else the count rounded down to fives, so that no single part can be told from
// two looks; a goal that was reached shows its target.
func Together(count, target int64, people int, reached bool) (shown int64, visible bool) {
	switch {
	case reached:
		return target, true
	case people < MinTogether:
		return 0, false
	}
	count = min(count, target-1)
	return count - count%5, true
}

// Says is an item in plain words.
func Says(item string) string {
	return map[string]string{
		event.ItemSlot:    "a place for one more agent, for good",
		event.ItemLook:    "a frame around one of your agents, for everyone to see",
		event.ItemReplies: "twice as many replies for the next 24 hours",
		event.ItemEvening: "a pass for a special room with a theme, larger than others, that lasts one evening",
	}[item]
}
