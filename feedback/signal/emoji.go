package signal

// Emoji says what an emoji means: a platform's or owner's own meanings before those
// that are plain everywhere.
type Emoji struct {
	Owner, Platform map[string]float64 // emoji or its short name (":+1:" without the colons) → -1…1; 0: says nothing
}

// Score is the meaning of an emoji in -1…1. False when nobody gave it one, or 0. The
// variation selector and skin tones don't matter. A meaning outside -1…1 is none.
func (e Emoji) Score(emoji string) (float64, bool) {
	plain := plainEmoji(emoji)
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

// Platforms holds the meanings of short names where reactions come as names.
var Platforms = map[string]map[string]float64{
	"slack":    {"+1": 1, "thumbsup": 1, "heart": 1, "100": 1, "clap": 1, "tada": 1, "heart_eyes": 1, "blush": 1, "pray": 1, "fire": 1, "-1": -1, "thumbsdown": -1, "angry": -1, "rage": -1, "face_with_rolling_eyes": -1, "hankey": -1},
	"teams":    {"like": 1, "heart": 1, "angry": -1}, // laugh, surprised and sad say nothing of the agent
	"telegram": {"🤝": 1, "🏆": 1, "🖕": -1, "🤬": -1},
	"discord":  {},
}

// ReactionScore is the sign of an emoji without a platform's or owner's meanings:
// +1 or −1. Ambiguous and unknown ones (laughing, crying, a skull …) weigh nothing: false.
func ReactionScore(emoji string) (float64, bool) { return Emoji{}.Score(emoji) }

func plainEmoji(emoji string) string {
	plain := make([]rune, 0, 4)
	for _, r := range emoji {
		if r == 0xFE0F || r >= 0x1F3FB && r <= 0x1F3FF {
			continue
		}
		plain = append(plain, r)
	}
	return string(plain)
}
