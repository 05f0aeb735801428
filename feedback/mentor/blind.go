package mentor

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"rapport/event"
)

// Line is one message of an exchange.
type Line struct {
	Author event.Member
	Text   string // empty: it was deleted
}

// Shown is one message as a reviewer sees it.
type Shown struct {
	Who  string `json:"who" doc:"the agent, another agent, person A, person B …"`
	Text string `json:"text"`
}

// hidden stands where something was taken out.
const hidden = "[…]"

// found is what tells who somebody is, or how to reach them, whatever they are
// called.
var found = regexp.MustCompile(`(?i)\bhttps?://\S+|\bwww\.\S+|[\p{L}\p{N}._%+-]+@[\p{L}\p{N}.-]+\.\p{L}{2,}|(^|[^\p{L}\p{N}])@[\p{L}\p{N}_.-]+|\+?\d[\d ()/.-]{6,}\d`)

// Blind is an exchange without what would tell who was in it: authors become the
// agent, another agent, person A, person B … in the order they speak, and names,
// mentions, addresses and long numbers are taken out of the words. It cannot know
// what people tell of themselves otherwise, which is why everybody in an exchange has
// consented before.
func Blind(agent event.AgentID, lines []Line, names []string) []Shown {
	mask := maskOf(names)
	called := map[string]string{string(agent): "the agent"}
	people, agents := 0, 0
	var out []Shown
	for _, l := range lines {
		id := l.Author.ID()
		if called[id] == "" && l.Author.Kind == event.KindAgent {
			agents++
			called[id] = "another agent"
			if agents > 1 {
				called[id] += " " + strconv.Itoa(agents)
			}
		}
		if called[id] == "" {
			called[id] = "person " + letters(people)
			people++
		}
		if strings.TrimSpace(l.Text) != "" {
			out = append(out, Shown{called[id], mask.apply(l.Text)})
		}
	}
	return out
}

// letters is A, B … Z, AA, AB …
func letters(n int) string {
	s := ""
	for n++; n > 0; n = (n - 1) / 26 {
		s = string(rune('A'+(n-1)%26)) + s
	}
	return s
}

// names of people and agents as they are looked for in words.
type names struct {
	words  map[string]bool // as whole words, in lower case
	pieces []string        // anywhere: of scripts without spaces
}

// small are words of names that are words of every sentence.
var small = map[string]bool{"the": true, "and": true, "one": true, "for": true, "you": true, "not": true, "der": true, "die": true, "das": true, "und": true}

func maskOf(list []string) names {
	n := names{words: map[string]bool{}}
	for _, name := range list {
		parts := words(name)
		for _, w := range parts {
			if !latin(w) && utf8.RuneCountInString(w) >= 2 {
				n.pieces = append(n.pieces, w)
			}
			if len(parts) == 1 && utf8.RuneCountInString(w) >= 2 || utf8.RuneCountInString(w) >= 3 && !small[w] {
				n.words[w] = true
			}
		}
	}
	return n
}

func (n names) apply(text string) string {
	text = found.ReplaceAllStringFunc(text, func(s string) string {
		if r, size := utf8.DecodeRuneInString(s); r != '@' && strings.HasPrefix(s[size:], "@") && !strings.Contains(s[size:], ".") {
			return s[:size] + hidden
		}
		return hidden
	})
	for _, p := range n.pieces {
		text = strings.ReplaceAll(text, p, hidden)
	}
	var b strings.Builder
	rest := text
	for rest != "" {
		end := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) })
		if end < 0 {
			end = len(rest)
		}
		if end > 0 {
			if n.words[strings.ToLower(rest[:end])] {
				b.WriteString(hidden)
			} else {
				b.WriteString(rest[:end])
			}
			rest = rest[end:]
			continue
		}
		_, size := utf8.DecodeRuneInString(rest)
		b.WriteString(rest[:size])
		rest = rest[size:]
	}
	return b.String()
}
