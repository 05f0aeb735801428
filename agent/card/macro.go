package card

import (
	"regexp"
	"strings"
)

var macros = regexp.MustCompile(`(?i)\{\{\s*(char|user)\s*\}\}|<(bot|user)>`)

// Expand writes who is meant where a card says {{char}}, {{user}}, <BOT> or
// <USER>.
func Expand(text, char, user string) string {
	if !strings.ContainsAny(text, "{<") {
		return text
	}
	return macros.ReplaceAllStringFunc(text, func(m string) string {
		if strings.Contains(strings.ToLower(m), "user") {
			return user
		}
		return char
	})
}

// Exchange is one sample: what a person says and what the character answers.
type Exchange struct{ Person, Character string }

// Exchanges reads sample dialogue: blocks that begin with <START>, lines that
// begin with who speaks ({{user}}: … and {{char}}: …, or the name), and lines
// that go on. Lines without a speaker at a block's beginning, and what the
// character says before anybody spoke to it, have nothing they answer and are
// left out.
func Exchanges(sample, name string) (out []Exchange) {
	var person, character []string
	flush := func() {
		p, c := strings.TrimSpace(strings.Join(person, "\n")), strings.TrimSpace(strings.Join(character, "\n"))
		if p != "" && c != "" {
			out = append(out, Exchange{p, c})
		}
		person, character = nil, nil
	}
	var to *[]string
	for line := range strings.Lines(strings.ReplaceAll(sample, "\r", "")) {
		line = strings.TrimRight(line, "\n")
		if strings.EqualFold(strings.TrimSpace(line), "<START>") {
			flush()
			to = nil
			continue
		}
		switch who, rest := speaker(line, name); {
		case who == byPerson:
			if len(character) > 0 {
				flush()
			}
			to, line = &person, rest
		case who == byCharacter:
			to, line = &character, rest
		}
		if to != nil {
			*to = append(*to, line)
		}
	}
	flush()
	return out
}

const (
	byNobody = iota
	byPerson
	byCharacter
)

// speaker tells who speaks in a line, and what.
func speaker(line, name string) (who int, rest string) {
	head, rest, ok := strings.Cut(line, ":")
	if !ok {
		return byNobody, line
	}
	switch head = strings.TrimSpace(head); {
	case head == "":
		return byNobody, line
	case strings.EqualFold(head, "{{user}}"), strings.EqualFold(head, "<USER>"), strings.EqualFold(head, "you"):
		return byPerson, strings.TrimSpace(rest)
	case strings.EqualFold(head, "{{char}}"), strings.EqualFold(head, "<BOT>"), strings.EqualFold(head, name):
		return byCharacter, strings.TrimSpace(rest)
	}
	return byNobody, line
}

// Sample writes exchanges as a card does. Exchanges reads them back, if no line
// of them begins with a speaker.
func Sample(all []Exchange) string {
	var b strings.Builder
	for _, x := range all {
		b.WriteString("<START>\n{{user}}: " + x.Person + "\n{{char}}: " + x.Character + "\n")
	}
	return b.String()
}
