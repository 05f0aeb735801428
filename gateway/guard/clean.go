package guard

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokens are literals that chat templates read as control tokens even inside
// content. They are matched without regard to case and to spaces at their rims.
var tokens = []string{
	"<|", "|>", "<turn|", "|turn>", "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>",
	"[inst]", "[/inst]", "<<sys>>", "<</sys>>", "<s>", "</s>", "<think>", "</think>",
	"[system_prompt]", "[/system_prompt]", "[available_tools]", "[tool_calls]", "[tool_results]",
	"<persona_data", "</persona_data", "<note_data", "</note_data", "{{", "}}", "{%", "%}",
}

// Clean makes a text safe to stand in a prompt, at most maxRunes long: valid
// UTF-8, no control characters but newline and tab, no bidi controls, no hidden
// characters (tags, zero width; the joiner stays between emoji), no literal that
// a chat template takes for a control token. Clean(Clean(s)) == Clean(s).
func Clean(s string, maxRunes int) string {
	if len(s) > 16*maxRunes+1024 {
		s = s[:16*maxRunes+1024]
	}
	return strings.TrimSpace(clip(breakTokens(visible(s)), maxRunes))
}

func clip(s string, maxRunes int) string {
	if len(s) <= maxRunes {
		return s
	}
	n := 0
	for i := range s {
		if n == maxRunes {
			return s[:i]
		}
		n++
	}
	return s
}

// visible drops what cannot be seen.
func visible(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c < 0x20 && c != '\n' && c != '\t' || c == 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	rs := []rune(strings.ReplaceAll(strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r\n", "\n"), "\r", "\n"))
	kept := rs[:0:0]
	for i, r := range rs {
		if r == '\u200d' && len(kept) > 0 && i+1 < len(rs) && pictograph(kept[len(kept)-1]) && pictograph(rs[i+1]) {
			kept = append(kept, r)
			continue
		}
		if !hidden(r) {
			kept = append(kept, r)
		}
	}
	return string(kept)
}

func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r == '\ufe0f': // the emoji form
		return false
	case r == '\u2028', r == '\u2029':
		return true
	case r >= 0xfe00 && r <= 0xfe0e, r >= 0xe0100 && r <= 0xe01ef: // variation selectors can carry bytes
		return true
	case r == '\u3164', r == '\uffa0', r == '\u115f', r == '\u1160', r == '\u034f', r == '\u2800': // blank letters
		return true
	}
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) || unicode.Is(unicode.Cs, r)
}

func pictograph(r rune) bool {
	return r >= 0x1f000 && r <= 0x1faff || r >= 0x2600 && r <= 0x27bf || r == '\ufe0f' || r == '\u2640' || r == '\u2642'
}

// breakTokens removes every token, also those that a removal brings together:
// as soon as what is kept ends with a token, it is taken off again. One pass.
func breakTokens(s string) string {
	if !strings.ContainsAny(s, "<[{|}%>") {
		return s
	}
	kept := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		kept = append(kept, s[i])
		if strings.IndexByte(tokenEnds, s[i]|0x20) < 0 && strings.IndexByte(tokenEnds, s[i]) < 0 {
			continue
		}
		for _, t := range tokens {
			if from := len(kept) - len(t); from >= 0 && strings.EqualFold(string(kept[from:]), t) {
				kept = kept[:from]
				break
			}
		}
	}
	return string(kept)
}

// tokenEnds are the last bytes of the tokens.
var tokenEnds = func() string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte(t[len(t)-1])
	}
	return b.String()
}()

// The largest texts that stand in a prompt, in runes.
const (
	MaxField   = 4000
	MaxName    = 80
	MaxPersona = 12000
	MaxMessage = 8000
)

// Field is one named part of quoted data.
type Field struct{ Name, Text string }

// Quote writes fields as a data block: every line begins with "| ", so that no
// line of it can be taken for one of ours, between tags that carry the nonce.
// Empty fields are left out; all together have at most MaxPersona runes.
func Quote(tag, nonce string, fields []Field) string {
	var b strings.Builder
	b.WriteString("<" + tag + " nonce=\"" + nonce + "\">\n")
	left := MaxPersona
	for _, f := range fields {
		text := Clean(f.Text, min(MaxField, left))
		if text == "" {
			continue
		}
		left -= utf8.RuneCountInString(text)
		b.WriteString("| " + f.Name + ":\n")
		for line := range strings.SplitSeq(text, "\n") {
			b.WriteString("|   " + strings.TrimRight(line, " \t") + "\n")
		}
	}
	b.WriteString("</" + tag + " nonce=\"" + nonce + "\">\n")
	return b.String()
}
