package textsignal

import (
	"unicode"
	"unicode/utf8"

	"rapport/event"
)

// Version is the version of the detectors; it is stamped on every Features.
const Version = 2

// Measure gives the features of a message.
//
//   - Chars: Unicode code points.
//   - Words: runs of letters and digits, with apostrophes and hyphens inside;
//     in Han, kana and Thai, which put no space between words, every letter is one.
//   - Sentences: parts ended by . ! ? … (and their CJK and Arabic forms) before a
//     space or the end, or by a line break; a part without a word is none.
//   - Questions: sentences ended by a question mark.
//   - Sentiment: -1…1, 0 for nothing known, and the variance of its noise; see SentimentOf.
//   - Tags: see Tags; "other" when nothing fits.
//
// Any input is accepted, also text that is not valid UTF-8.
func Measure(text string) event.Features { return Read(text).Features() }

// token is one word or emoji of a text in lower case, or a mark.
type token struct {
	text string
	kind tokenKind
}

type tokenKind uint8

const (
	word   tokenKind = iota
	symbol           // an emoji or emoticon
	stop             // the end of a clause: , ; : ( ) or of a sentence
)

type scanned struct {
	tokens                      []token
	words, sentences, questions int
	bangs                       int  // exclamation marks
	english                     bool // nothing says that it is another language
	read                        bool // enough known words to say that it is English
}

// scan cuts a text in lower case into tokens and counts as it goes.
func scan(s string, tokens []token) scanned {
	t := scanned{tokens: tokens}
	open := false // the running sentence has a word
	end := func(question bool) {
		if open {
			t.sentences++
			if question {
				t.questions++
			}
			open = false
		}
		t.tokens = append(t.tokens, token{kind: stop})
	}
	english, foreign, strange, evidence, counted := 0, 0, 0, 0, 0
	for i := 0; i < len(s); {
		if n := emoticonAt(s, i); n > 0 {
			t.tokens = append(t.tokens, token{s[i : i+n], symbol})
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case unspaced(r):
			t.words++
			counted++
			strange += 2
			open = true
			i += n
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			j := wordEnd(s, i)
			w := s[i:j]
			t.words++
			open = true
			t.tokens = append(t.tokens, token{w, word})
			if i == 0 || s[i-1] != '@' && s[i-1] != '#' && s[i-1] != '/' && s[i-1] != '.' && !unicode.IsDigit(r) {
				counted++
				switch {
				case everydayWord[w] == 'e':
					english++
				case everydayWord[w] == 'f':
					foreign++
				case !ascii(w):
					strange++
				case lexicon().Lexicon[w] != 0 && !homograph[w]:
					evidence++
				}
			}
			i = j
		case isTerminator(r):
			question, j := false, i
			for j < len(s) {
				r, n := utf8.DecodeRuneInString(s[j:])
				if !isTerminator(r) {
					break
				}
				question = question || r == '?' || r == '？' || r == '؟'
				if r == '!' || r == '！' {
					t.bangs++
				}
				j += n
			}
			if next, _ := utf8.DecodeRuneInString(s[j:]); j == len(s) || wide(r) || !unicode.IsLetter(next) && !unicode.IsDigit(next) {
				end(question)
			}
			i = j
		case r == '\n':
			end(false)
			i += n
		case r == ',' || r == ';' || r == ':' || r == '(' || r == ')':
			t.tokens = append(t.tokens, token{kind: stop})
			i += n
		default:
			if _, ok := emojiValence[r]; ok {
				t.tokens = append(t.tokens, token{s[i : i+n], symbol})
			}
			i += n
		}
	}
	if open {
		t.sentences++
	}
	t.english = english >= foreign
	t.read = english+evidence > foreign+strange/2 && english+evidence > 0 && 5*(english+evidence) >= counted
	return t
}

// wordEnd is the end of the word that begins at i: letters, digits, marks, and
// apostrophes or hyphens between two of them.
func wordEnd(s string, i int) int {
	j := i
	for j < len(s) {
		r, n := utf8.DecodeRuneInString(s[j:])
		if inWord(r) {
			j += n
			continue
		}
		if r == '\'' || r == '’' || r == '-' {
			if next, _ := utf8.DecodeRuneInString(s[j+n:]); inWord(next) {
				j += n
				continue
			}
		}
		break
	}
	return j
}

func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r == '_'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) && !unspaced(r)
}

func unspaced(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) && unicode.IsLetter(r)
}

func isTerminator(r rune) bool {
	switch r {
	case '.', '!', '?', '…', '。', '！', '？', '؟', '।':
		return true
	}
	return false
}

// wide terminators end a sentence without a space after them.
func wide(r rune) bool { return r == '。' || r == '！' || r == '？' }
