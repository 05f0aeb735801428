package signal

import "strings"

// Emoji says what an emoji means: a platform's or owner's own meanings before those
// that are plain everywhere.
type Emoji struct {
	Owner, Platform map[string]float64 // emoji → -1…1; 0: says nothing
}

// Score is the meaning of an emoji in -1…1. False when nobody gave it one, or 0. The
// variation selector and skin tones don't matter. A meaning outside -1…1 is none.
func (e Emoji) Score(emoji string) (float64, bool) {
	plain := PlainEmoji(emoji)
	for _, own := range []map[string]float64{e.Owner, e.Platform} {
		if s, ok := own[plain]; ok {
			return s, s != 0 && s >= -1 && s <= 1
		}
	}
	s, ok := signs[plain]
	return s, ok
}

var signs = map[string]float64{
	"👍": 1, "❤": 1, "💯": 1, "👏": 1, "🎉": 1, "🥰": 1, "😍": 1, "😊": 1, "🙏": 1, "🔥": 1,
	"👎": -1, "😠": -1, "😡": -1, "🤮": -1, "🙄": -1, "💩": -1,
}

// Platforms holds what emoji mean on one platform only, by the name that the
// platform's token begins with.
var Platforms = map[string]map[string]float64{
	"slack":    {"🙌": 1, "➕": 1, "➖": -1},
	"telegram": {"🤝": 1, "🏆": 1, "🖕": -1, "🤬": -1},
	"discord":  {"⬆": 1, "⬇": -1, "🔼": 1, "🔽": -1},
}

// PlatformOf finds the meanings of a platform by the name of a source, as
// "slack" or "slack-acme"; none for a platform that is not known.
func PlatformOf(source string) map[string]float64 {
	name := strings.ToLower(source)
	if i := strings.IndexAny(name, "-_:/. "); i >= 0 {
		name = name[:i]
	}
	return Platforms[name]
}

// PlainEmoji is an emoji without what does not change its meaning.
func PlainEmoji(emoji string) string {
	plain := make([]rune, 0, 4)
	for _, r := range emoji {
		if r == 0xFE0F || r >= 0x1F3FB && r <= 0x1F3FF {
			continue
		}
		plain = append(plain, r)
	}
	return string(plain)
}
