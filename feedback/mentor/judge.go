package mentor

import (
	"slices"
	"strings"
	"unicode/utf8"

	"rapport/event"
)

// What Judge can find. A finding sets a review aside until an operator has looked,
// and nothing more.
const (
	Constant = "constant"  // the same answers every time
	TooFast  = "too_fast"  // less time than reading takes
	Hurtful  = "hostile"   // an insult, a threat, a slur
	Copied   = "copied"    // the note of another review, or the exchange's own words
	Mutual   = "collusion" // two who give each other's agents the best of everything
)

// Because is a finding in plain words, for the reviewer.
func Because(finding string) string {
	return map[string]string{
		Constant: "Your last reviews all gave the same three answers.",
		TooFast:  "It came sooner than the exchange can be read.",
		Hurtful:  "The note seems to have words that hurt.",
		Copied:   "The note is much like another one, or like the exchange itself.",
		Mutual:   "You and the owner of this agent gave each other's agents the best answers every time.",
	}[finding]
}

// Explanation is what a reviewer reads when a review was set aside.
const Explanation = "This review is set aside until a person has looked at it. Nothing is decided: if it was made with care it will count, and earn its point, as if nothing had been. " +
	"It may take some days. You can add a few words for the person who looks, with an appeal; a review that was refused can be appealed once as well. Other reviewers' opinions play no part in this, and yours may differ from theirs as much as you like."

// Review is an earlier review of the same reviewer.
type Review struct {
	Marks Marks
	Note  string
}

// Facts are what Judge goes by.
type Facts struct {
	Review
	Took     event.Micros // from when the exchange was first shown
	Exchange []string     // its texts as they were shown
	Past     []Review     // the reviewer's own, newest first; Memory of them are enough
	Echo     bool         // somebody else wrote a note of the same words
	Given    []Marks      // to agents of this agent's owner before
	Got      []Marks      // what that owner gave to agents of the reviewer
}

// Memory is how many earlier reviews Judge looks at.
const Memory = 50

const (
	sameRun    = 10 // reviews in a row with the same answers
	mutualRuns = 3  // reviews each way
)

// Judge says what of a review looks like abuse, sorted; nothing for most.
//
//   - too_fast: it took less than 3 s + 1 s per 100 characters shown + 1 s per 40
//     characters of the note. The quickest readers manage half of that pace.
//   - constant: it and the nine before have the same three answers.
//   - hostile: see Hostile.
//   - copied: the note's runs of three words are those of an earlier note of theirs
//     (Jaccard ≥ .8), or half of them stand in the exchange, or somebody else wrote
//     the same words.
//   - collusion: reviewer and owner reviewed each other's agents three times each way,
//     this one included, and everything was the best.
func Judge(f Facts) []string {
	var out []string
	if f.Took < hasty(f.Exchange, f.Note) {
		out = append(out, TooFast)
	}
	if constant(f) {
		out = append(out, Constant)
	}
	if Hostile(f.Note) {
		out = append(out, Hurtful)
	}
	if f.Echo || copied(f) {
		out = append(out, Copied)
	}
	if allTop(append([]Marks{f.Marks}, f.Given...)) && allTop(f.Got) {
		out = append(out, Mutual)
	}
	slices.Sort(out)
	return out
}

func hasty(exchange []string, note string) event.Micros {
	shown := 0
	for _, s := range exchange {
		shown += utf8.RuneCountInString(s)
	}
	return 3*second + event.Micros(shown)*second/100 + event.Micros(utf8.RuneCountInString(note))*second/40
}

func constant(f Facts) bool {
	if len(f.Past) < sameRun-1 {
		return false
	}
	for _, p := range f.Past[:sameRun-1] {
		if p.Marks != f.Marks {
			return false
		}
	}
	return true
}

func copied(f Facts) bool {
	mine := shingles(f.Note)
	if len(mine) == 0 {
		return false
	}
	for _, p := range f.Past[:min(len(f.Past), Memory)] {
		other := shingles(p.Note)
		both := common(mine, other)
		if 10*both >= 8*(len(mine)+len(other)-both) {
			return true
		}
	}
	return len(mine) >= 4 && 2*common(mine, shingles(strings.Join(f.Exchange, " "))) >= len(mine)
}

func common(a, b map[string]bool) (n int) {
	for s := range a {
		if b[s] {
			n++
		}
	}
	return n
}

// shingles are the runs of three words of a text; of scripts without spaces, of six
// letters.
func shingles(s string) map[string]bool {
	w, n := words(s), 3
	if !latin(s) {
		w, n = strings.Split(strings.Join(w, ""), ""), 6
	}
	out := map[string]bool{}
	for i := 0; i+n <= len(w); i++ {
		out[strings.Join(w[i:i+n], " ")] = true
	}
	return out
}

func allTop(marks []Marks) bool {
	for _, m := range marks {
		if !m.top() {
			return false
		}
	}
	return len(marks) >= mutualRuns
}
