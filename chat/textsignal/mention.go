package textsignal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mentions says which of the handles a text mentions: an @ that no letter or
// digit stands before, then the handle in any case. A handle with spaces may be written with
// them, with hyphens or with nothing in between. Where several fit at one @ the
// longest wins; equal handles are mentioned together. The result has one entry
// per handle.
func Mentions(text string, handles []string) []bool {
	out := make([]bool, len(handles))
	if !strings.Contains(text, "@") {
		return out
	}
	s := strings.ToLower(text)
	forms := make([][]string, len(handles))
	for i, h := range handles {
		h = strings.Join(strings.Fields(strings.ToLower(h)), " ")
		if h == "" {
			continue
		}
		forms[i] = []string{h}
		if strings.Contains(h, " ") {
			forms[i] = append(forms[i], strings.ReplaceAll(h, " ", "-"), strings.ReplaceAll(h, " ", ""))
		}
	}
	for at := 0; at < len(s); at++ {
		if s[at] != '@' {
			continue
		}
		if before, _ := utf8.DecodeLastRuneInString(s[:at]); at > 0 && handleRune(before) {
			continue
		}
		rest := s[at+1:]
		longest := 0
		fits := make([]int, len(handles)) // length of the longest form that fits
		for i := range handles {
			for _, f := range forms[i] {
				if len(f) > fits[i] && strings.HasPrefix(rest, f) && handleEnds(rest[len(f):]) {
					fits[i] = len(f)
				}
			}
			longest = max(longest, fits[i])
		}
		for i, n := range fits {
			if n > 0 && n == longest {
				out[i] = true
			}
		}
	}
	return out
}

// handleEnds says whether a handle may end before rest: "@luna-bright" does not
// mention luna, "@luna- hi" and "@luna's" do.
func handleEnds(rest string) bool {
	r, n := utf8.DecodeRuneInString(rest)
	if rest == "" || !handleRune(r) && r != '-' {
		return true
	}
	if r == '-' {
		next, _ := utf8.DecodeRuneInString(rest[n:])
		return len(rest) == n || !handleRune(next)
	}
	return false
}

func handleRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
