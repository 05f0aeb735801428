package textsignal

import "strings"

// The context tags, in the order in which they are given.
const (
	Humor     = "humor"
	Teaching  = "teaching"
	Support   = "support"
	Story     = "story"
	Planning  = "planning"
	Smalltalk = "smalltalk"
	Conflict  = "conflict"
	Other     = "other"
)

// Tags lists every tag that Measure can give, in its order.
func Tags() []string {
	return []string{Humor, Teaching, Support, Story, Planning, Smalltalk, Conflict, Other}
}

// cues are words, emoji, and phrases (with a space) that hint at a tag. English.
var cues = [...]struct{ words, phrases []string }{
	{strings.Fields(`haha hahaha hehe lol lmao rofl xd joke jokes joking funny hilarious pun puns comedy comedian silly prank meme 😂 🤣`),
		[]string{"just kidding", "knock knock", "made me laugh", "cracks me up"}},
	{strings.Fields(`explain learn lesson teach tutorial homework exercise definition formula grammar math physics chemistry exam study`),
		[]string{"how do i", "how does", "how can i", "what does", "what is the difference", "why does", "for example", "step by step", "help me understand"}},
	{strings.Fields(`sad lonely anxious anxiety depressed stressed worried scared overwhelmed grieving heartbroken cry crying hurt hurts exhausted
		hopeless panic 😢 😭 😞 💔`),
		[]string{"i feel", "feeling down", "bad day", "rough day", "be there for", "i'm here for you", "sorry to hear", "i miss"}},
	{strings.Fields(`story stories tale dragon wizard castle kingdom character characters plot chapter adventure fairytale legend novel`),
		[]string{"once upon a time", "tell me a story", "long ago", "what happens next"}},
	{strings.Fields(`plan plans planning schedule tomorrow tonight weekend appointment calendar deadline meeting todo agenda remind reminder itinerary
		trip budget`),
		[]string{"next week", "to do list", "let's meet", "what time", "this weekend"}},
	{strings.Fields(`hi hello hey hiya howdy goodnight gm gn weather bye cheers 👋`),
		[]string{"how are you", "how's it going", "what's up", "good morning", "good evening", "good night", "nice to meet you", "see you", "how was your day"}},
	{strings.Fields(`stupid idiot moron liar hate shut furious angry rude annoying ridiculous unacceptable 😡 🤬`),
		[]string{"shut up", "you're wrong", "you are wrong", "leave me alone", "stop it", "how dare you", "i disagree", "not true"}},
}

var cueTag = func() map[string]uint8 {
	m := map[string]uint8{}
	for i, c := range cues {
		for _, w := range c.words {
			m[w] |= 1 << i
		}
	}
	return m
}()

// tags gives every tag with a cue, in the order of Tags; Other without one.
func tags(lower string, t scanned) []string {
	var found uint8
	if t.english {
		for _, tok := range t.tokens {
			if tok.kind != stop {
				found |= cueTag[tok.text]
			}
		}
		for i, c := range cues {
			if found>>i&1 == 1 {
				continue
			}
			for _, p := range c.phrases {
				if containsPhrase(lower, p) {
					found |= 1 << i
					break
				}
			}
		}
	}
	if found == 0 {
		return []string{Other}
	}
	out := make([]string, 0, 3)
	for i, tag := range Tags()[:len(cues)] {
		if found>>i&1 == 1 {
			out = append(out, tag)
		}
	}
	return out
}

// containsPhrase finds p in s between word borders.
func containsPhrase(s, p string) bool {
	for off := 0; ; {
		i := strings.Index(s[off:], p)
		if i < 0 {
			return false
		}
		i += off
		if (i == 0 || !asciiLetter(s[i-1])) && (i+len(p) == len(s) || !asciiLetter(s[i+len(p)])) {
			return true
		}
		off = i + 1
	}
}

func asciiLetter(c byte) bool { return c >= 'a' && c <= 'z' }
