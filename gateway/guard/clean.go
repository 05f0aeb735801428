package guard

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokens are literals that chat templates read as control tokens even inside
// content: ChatML and all that write <|…|> (Llama 3 and 4, Phi, Zephyr, Granite,
// Command, GLM, Kimi, gpt-oss, DeepSeek, Hunyuan), Llama 2, Mistral, Gemma, Qwen and
// Hermes (tools, thinking), InternLM, ChatGLM, Baichuan, EXAONE, Seed, MiniMax,
// Nemotron, T5; our own tags; macros of cards. They are matched without regard to
// case, and the wide forms of <>|[]{} count as these (DeepSeek's own are wide).
var tokens = []string{
	"<|", "|>", "<turn|", "|turn>", "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "<bos_token>", "<eos_token>",
	"[inst]", "[/inst]", "<<sys>>", "<</sys>>", "<s>", "</s>", "<think>", "</think>", "[think]", "[/think]", "<thinking>", "</thinking>",
	"[system_prompt]", "[/system_prompt]", "[available_tools]", "[/available_tools]", "[tool_calls]", "[/tool_calls]", "[tool_results]", "[/tool_results]", "[tool_content]",
	"<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>",
	"<eoh>", "<eoa>", "[gmask]", "<sop>", "<eop>", "<reserved_10", "<extra_id_", "<special_", "[|", "|]", "<seed:", "]~!b[", "]~b]", "[e~[",
	"<beginning_of_sentence>", "<end_of_sentence>",
	"<persona_data", "</persona_data", "<note_data", "</note_data", "{{", "}}", "{%", "%}",
}

// harmless are tokens that code and texts hold, too: taken out of a prompt, left in a
// reply.
var harmless = []string{"{{", "}}", "{%", "%}", "[|", "|]", "<pad>", "<unk>", "<tools>", "</tools>", "<special_", "<seed:"}

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
		switch before := last(kept); {
		case r == '\u200d' && i+1 < len(rs) && pictograph(before) && pictograph(rs[i+1]) && rs[i+1] != emoji:
			kept = append(kept, r)
		case r == emoji && !coloured(before): // runs of them can carry bits
		case !hidden(r):
			kept = append(kept, r)
		}
	}
	return string(kept)
}

// emoji is the selector that shows a sign in its coloured form.
const emoji = '\ufe0f'

// coloured says whether a sign has a coloured form: signs and the keys of a telephone.
func coloured(r rune) bool {
	switch {
	case r == emoji || unicode.IsLetter(r) || unicode.IsSpace(r):
		return false
	case r >= '0' && r <= '9' || r == '#' || r == '*' || r == '©' || r == '®':
		return true
	}
	return r >= 0x203c
}

func last(rs []rune) rune {
	if len(rs) == 0 {
		return 0
	}
	return rs[len(rs)-1]
}

func hidden(r rune) bool {
	switch {
	case r >= ' ' && r < 0x7f || r == '\n' || r == '\t':
		return false
	case r == emoji:
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
	return r >= 0x1f000 && r <= 0x1faff || r >= 0x2600 && r <= 0x27bf || r == emoji || r == '\u2640' || r == '\u2642'
}

// breakTokens removes every token, also those that a removal brings together:
// as soon as what is kept ends with a token, it is taken off again. One pass.
func breakTokens(s string) string {
	if !strings.ContainsAny(s, "<[{|}%>]＜［｛｜｝＞］") {
		return s
	}
	kept := make([]rune, 0, len(s))
	for _, r := range s {
		kept = append(kept, r)
		end := narrow(r)
		if end >= utf8.RuneSelf {
			continue
		}
		for _, t := range endingIn[end] {
			if from := len(kept) - len(t); from >= 0 && same(kept[from:], t) {
				kept = kept[:from]
				break
			}
		}
	}
	return string(kept)
}

func same(text, token []rune) bool {
	for i, r := range text {
		if narrow(r) != token[i] {
			return false
		}
	}
	return true
}

// narrow is a rune as tokens are written: lower case, and not wide.
func narrow(r rune) rune {
	if r >= 0xff01 && r <= 0xff5e { // ！ to ～
		r -= 0xfee0
	}
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

// endingIn are the tokens by their last rune.
var endingIn = func() (m [utf8.RuneSelf][][]rune) {
	for _, t := range tokens {
		rs := []rune(t)
		end := rs[len(rs)-1]
		m[end] = append(m[end], rs)
	}
	return m
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
