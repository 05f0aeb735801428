package card

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"rapport/internal/fault"
)

// The limits of a card. What is over one is refused before more of it is read.
const (
	MaxFile     = 50 << 20  // bytes of a file, whatever it is
	MaxJSON     = 4 << 20   // bytes of the card's text, inflated
	MaxDepth    = 64        // levels of JSON
	MaxValues   = 200_000   // commas and openings in it
	MaxChunks   = 65_536    // chunks of a PNG
	MaxEntries  = 1_000     // files in a CHARX
	MaxInflated = 100 << 20 // bytes of all of them together, inflated
	MaxPath     = 255       // bytes of a file name in it
	MaxOpenings = 1_000     // alternate greetings
	maxFindings = 50        // places that Findings names
)

// The containers of a card.
const (
	InJSON  = "json"
	InPNG   = "png"
	InCHARX = "charx"
)

// Card is a card that was read.
type Card struct {
	Container string // json, png or charx
	Spec      int    // version of the specification: 1, 2 or 3
	JSON      []byte // its text as written
	Fields
	Learned *Learned // what Rapport wrote into it; nil when it did not
	Notices []string // what the reader should know, without the card's words
}

// Fields are the members of a card that have a meaning here.
type Fields struct {
	Name            string
	Nickname        string // version 3: stands for {{char}}
	Description     string
	Personality     string
	Scenario        string
	Greeting        string   // first_mes
	Openings        []string // alternate_greetings
	Examples        string   // mes_example
	CreatorNotes    string
	SystemPrompt    string
	AfterHistory    string // post_history_instructions
	Creator         string
	Version         string // character_version
	Tags            []string
	LorebookEntries int
}

// members of the text fields, in the order in which a new card has them.
func (f *Fields) texts() []struct {
	key string
	to  *string
} {
	return []struct {
		key string
		to  *string
	}{
		{"name", &f.Name}, {"description", &f.Description}, {"personality", &f.Personality}, {"scenario", &f.Scenario},
		{"first_mes", &f.Greeting}, {"mes_example", &f.Examples}, {"creator_notes", &f.CreatorNotes}, {"system_prompt", &f.SystemPrompt},
		{"post_history_instructions", &f.AfterHistory}, {"creator", &f.Creator}, {"character_version", &f.Version}, {"nickname", &f.Nickname},
	}
}

// Open reads a card from a file: JSON, PNG or CHARX, found by its first bytes.
// Faults: card_too_large, card_refused with what is wrong.
func Open(file []byte) (Card, error) {
	switch {
	case len(file) > MaxFile:
		return Card{}, tooLarge("the file is over %d MB", MaxFile>>20)
	case bytes.HasPrefix(file, pngMagic):
		return openPNG(file)
	case bytes.HasPrefix(file, []byte("PK")):
		return openCHARX(file)
	case bytes.HasPrefix(file, []byte("\xff\xd8\xff")), bytes.HasPrefix(file, []byte("RIFF")), bytes.HasPrefix(file, []byte("GIF8")):
		return Card{}, refused("cards in JPEG, WebP and GIF pictures are not read; convert it to PNG, JSON or CHARX")
	}
	return Parse(bytes.TrimPrefix(file, []byte("\xef\xbb\xbf")))
}

// Parse reads the JSON of a card.
func Parse(raw []byte) (Card, error) {
	c := Card{Container: InJSON, JSON: raw}
	if err := check(raw); err != nil {
		return Card{}, err
	}
	in, err := c.specify()
	if err != nil {
		return Card{}, err
	}
	has := object(in)
	for _, f := range c.texts() {
		if err := text(has, f.key, f.to); err != nil {
			return Card{}, err
		}
	}
	if c.Openings, err = texts(has, "alternate_greetings"); err != nil {
		return Card{}, err
	}
	if len(c.Openings) > MaxOpenings {
		return Card{}, refused("it has %d alternate greetings; at most %d are taken", len(c.Openings), MaxOpenings)
	}
	if c.Tags, err = texts(has, "tags"); err != nil {
		return Card{}, err
	}
	if strings.TrimFunc(c.Name, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) == "" {
		return Card{}, refused("its name is empty")
	}
	var entries []json.RawMessage
	if book := has["character_book"]; book != nil {
		_ = json.Unmarshal(orNull(find(book, "entries")), &entries)
	}
	c.LorebookEntries = len(entries)
	return c, c.extended(has["extensions"])
}

// specify finds which specification the card follows, and the object that holds
// the fields.
func (c *Card) specify() (in []byte, err error) {
	var spec, version string
	top := object(c.JSON)
	if err := text(top, "spec", &spec); err != nil {
		return nil, err
	}
	_ = json.Unmarshal(orNull(top["spec_version"]), &version)
	switch in = top["data"]; {
	case spec == "" && in == nil:
		if top["description"] == nil && top["personality"] == nil && top["first_mes"] == nil {
			return nil, refused("it is JSON, but none of a character")
		}
		c.Spec = 1
		return c.JSON, nil
	case in == nil || in[0] != '{':
		return nil, refused("its data are not an object")
	case spec == specNames[3]:
		c.Spec = 3
	case spec == specNames[2], spec == "":
		c.Spec = 2
	default:
		return nil, refused("its spec is not one we know; we read chara_card_v2 and chara_card_v3, and cards without spec")
	}
	if major, _, _ := strings.Cut(version, "."); version != "" && major != string(rune('0'+c.Spec)) {
		c.Notices = append(c.Notices, "its spec_version is not the one of its spec; it was read by the spec")
	}
	return in, nil
}

var specNames = map[int]string{2: "chara_card_v2", 3: "chara_card_v3"}

// extended reads the card's extensions.
func (c *Card) extended(ext []byte) error {
	if ext == nil || blank(ext) {
		return nil
	}
	if ext[0] != '{' {
		return refused("its extensions are not an object")
	}
	own := find(ext, Extension)
	if own == nil {
		return nil
	}
	var l Learned
	if err := json.Unmarshal(own, &l); err != nil || l.Format != LearnedFormat {
		c.Notices = append(c.Notices, "what it says under extensions.rapport cannot be read; it is kept and not used")
		return nil
	}
	c.Learned = &l
	return nil
}

// Findings names where in the card something stands that clean takes out: hidden
// characters, control tokens, template braces that are no macro of cards. clean
// is what texts go through before a model sees them. At most 50 places.
func (c Card) Findings(clean func(string) string) []string {
	var out []string
	same := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r", "")) }
	walk(c.JSON, nil, func(at []string, text string) {
		if plain := Expand(text, "x", "x"); len(out) < maxFindings && same(clean(plain)) != same(plain) {
			out = append(out, place(at))
		}
	})
	return slices.Compact(out)
}

// place writes where something stands. Keys are a card's own words: of each only
// the beginning is repeated, and of it what is plain.
func place(at []string) string {
	var b strings.Builder
	for i, key := range at {
		switch {
		case strings.HasPrefix(key, "(name"):
			b.WriteByte(' ')
		case i > 0 && !strings.HasPrefix(key, "["):
			b.WriteByte('.')
		}
		b.WriteString(strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, key[:min(len(key), 40)]))
	}
	return b.String()
}

// blank says that a value holds nothing: null, or an empty list, which some
// writers put for an empty object.
func blank(v []byte) bool {
	s := string(v)
	return s == "null" || len(s) > 1 && s[0] == '[' && strings.TrimSpace(s[1:len(s)-1]) == ""
}

func orNull(v []byte) []byte {
	if v == nil {
		return []byte("null")
	}
	return v
}

// text reads a member that is a string; absent and null are empty.
func text(in map[string][]byte, key string, to *string) error {
	v := in[key]
	if v == nil || string(v) == "null" {
		return nil
	}
	if v[0] != '"' {
		if key == "character_version" && json.Unmarshal(v, new(float64)) == nil { // seen as a number
			*to = string(v)
			return nil
		}
		return refused("its %s is not a text", key)
	}
	return json.Unmarshal(v, to)
}

func texts(in map[string][]byte, key string) (out []string, err error) {
	v := in[key]
	if v == nil {
		return nil, nil
	}
	if err := json.Unmarshal(v, &out); err != nil {
		return nil, refused("its %s are not a list of texts", key)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

func refused(why string, args ...any) *fault.Error {
	f := fault.New(fault.Invalid, "card_refused", why, args...)
	f.Message = "This card cannot be taken: " + f.Message + "."
	return f
}

func tooLarge(why string, args ...any) *fault.Error {
	f := fault.New(fault.TooLarge, "card_too_large", why, args...)
	f.Message = "This card cannot be taken: " + f.Message + "."
	return f
}
