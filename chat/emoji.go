package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"rapport/internal/fault"
)

// shortcodes are the names that platforms send for the commonest emoji.
var shortcodes = map[string]string{
	"+1": "👍", "thumbsup": "👍", "like": "👍", "-1": "👎", "thumbsdown": "👎", "dislike": "👎", "heart": "❤", "love": "❤",
	"joy": "😂", "laugh": "😂", "laughing": "😂", "smile": "😊", "tada": "🎉", "hooray": "🎉", "fire": "🔥", "clap": "👏", "eyes": "👀",
	"rocket": "🚀", "confused": "😕", "thinking": "🤔", "cry": "😢", "sad": "😢", "rage": "😡", "angry": "😡", "100": "💯", "pray": "🙏",
}

// checkEmoji gives the emoji to store: the one given, or what its shortcode
// (":joy:" or "joy") stands for. Anything that could be words is refused, since
// reactions travel in events. Fault emoji_invalid.
func checkEmoji(s string) (string, error) {
	if e, ok := shortcodes[strings.Trim(s, ":")]; ok {
		return e, nil
	}
	symbols := 0
	for i, r := range s {
		switch {
		case unicode.Is(unicode.So, r), unicode.Is(unicode.Sk, r):
			symbols++
		case r == 0xFE0F, r == 0x200D, r == 0x203C, r == 0x2049: // variation, joiner, ‼, ⁉
			if r == 0x203C || r == 0x2049 {
				symbols++
			}
		case r == 0x20E3: // keycap
			symbols++
		case (r >= '0' && r <= '9' || r == '#' || r == '*') && i == 0:
		case r >= 0xE0020 && r <= 0xE007F: // tags of a flag
		default:
			symbols = -64
		}
	}
	if symbols < 1 || utf8.RuneCountInString(s) > 10 || !utf8.ValidString(s) {
		return "", fault.New(fault.Invalid, "emoji_invalid", "A reaction is one emoji, or the shortcode of a common one.")
	}
	return s, nil
}
