// Package visible says what of a text people can see.
//
// Names and titles stand among other people's words: one that cannot be seen, or that
// turns round what stands beside it, pretends to be something else. Longer texts stand
// for themselves and may hold anything; what a model gets of them is cleaned by
// gateway/guard, which is stricter.
package visible

import (
	"strings"
	"unicode"
)

// Empty says whether a text holds nothing that can be seen.
func Empty(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsSpace(r) && unicode.IsGraphic(r) && !blank(r) && !unicode.Is(unicode.Mn, r)
	})
}

// Name says whether a text can be a name: something in it can be seen, and nothing in
// it breaks lines, is hidden, or reorders what stands beside it. What scripts and emoji
// need (joiners, marks of direction, variation selectors) is allowed.
func Name(s string) bool {
	return !Empty(s) && !strings.ContainsFunc(s, Tricks)
}

// Tricks says whether a character has no place in a name.
func Tricks(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', blank(r):
		return true
	case r == '\u200c', r == '\u200d', r == '\u200e', r == '\u200f', r == '\u061c': // joiners, marks of direction
		return false
	case r >= 0xe0020 && r <= 0xe007f: // spell regions after a flag, and hidden words after anything else
		return true
	}
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r)
}

// blank are letters that show nothing.
func blank(r rune) bool {
	switch r {
	case '\u3164', '\uffa0', '\u115f', '\u1160', '\u2800', '\u034f':
		return true
	}
	return false
}
