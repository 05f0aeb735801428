package card

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// check refuses what is not the JSON of a card: too large, too deep, too many
// values, not UTF-8, not JSON, not an object.
func check(raw []byte) error {
	switch {
	case len(raw) > MaxJSON:
		return tooLarge("the card's text is over %d MB", MaxJSON>>20)
	case !utf8.Valid(raw):
		return refused("the card's text is not valid UTF-8")
	}
	depth, values, quoted := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted:
			if c == '\\' {
				i++
			}
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return refused("the card's JSON is more than %d levels deep", MaxDepth)
			}
			values++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			if values++; values > MaxValues {
				return refused("the card's JSON has more than %d values", MaxValues)
			}
		}
	}
	if !json.Valid(raw) {
		return refused("the card's text is not JSON, or is cut off")
	}
	if _, ok := members(raw); !ok {
		return refused("the card's JSON is not an object")
	}
	return nil
}

// member is one member of an object: its key, and where its value stands.
type member struct {
	key      string
	from, to int
}

// members lists an object's members in their order; false when valid raw is no
// object.
func members(raw []byte) ([]member, bool) {
	i := space(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return nil, false
	}
	var out []member
	for i = space(raw, i+1); raw[i] != '}'; i = space(raw, i) {
		if raw[i] == ',' {
			i = space(raw, i+1)
		}
		end := after(raw, i)
		var key string
		_ = json.Unmarshal(raw[i:end], &key)
		from := space(raw, space(raw, end)+1)
		i = after(raw, from)
		out = append(out, member{key, from, i})
	}
	return out, true
}

// object gives an object's values by key, the last one of a key that is there
// twice, as most readers take it; nothing when raw is no object.
func object(raw []byte) map[string][]byte {
	out := map[string][]byte{}
	all, _ := members(raw)
	for _, m := range all {
		out[m.key] = raw[m.from:m.to]
	}
	return out
}

// find gives one of them, nil when it is not there.
func find(raw []byte, key string) []byte { return object(raw)[key] }

// set gives the object with the value of a key, in the place of the old one, or
// at the end. Nothing else changes, to the byte.
func set(raw []byte, key string, value []byte) []byte {
	all, _ := members(raw)
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].key == key {
			return bytes.Join([][]byte{raw[:all[i].from], value, raw[all[i].to:]}, nil)
		}
	}
	end, comma := space(raw, 0)+1, ""
	if len(all) > 0 {
		end, comma = all[len(all)-1].to, ","
	}
	return bytes.Join([][]byte{raw[:end], []byte(comma), quote(key), []byte(":"), value, raw[end:]}, nil)
}

// space is the first place from i on that is not white space.
func space(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return i
}

// after is the place behind the value that begins at i of valid JSON.
func after(raw []byte, i int) int {
	depth := 0
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			for i < len(raw) && bytes.IndexByte([]byte(" \t\r\n,]}"), raw[i]) < 0 {
				i++
			}
			return i
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

// quote writes JSON as people read it: & and < stay what they are.
func quote(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // of strings, numbers, lists and maps of them
	return bytes.TrimRight(b.Bytes(), "\n")
}

// walk tells of every string in valid JSON, keys too, with where it stands: the
// keys and places that lead there.
func walk(raw []byte, at []string, tell func(at []string, text string)) {
	switch i := space(raw, 0); raw[i] {
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s)
		tell(at, s)
	case '{':
		all, _ := members(raw)
		for n, m := range all {
			tell(append(at, "(name of member "+strconv.Itoa(n+1)+")"), m.key)
			walk(raw[m.from:m.to], append(at, m.key), tell)
		}
	case '[':
		n := 0
		for i = space(raw, i+1); raw[i] != ']'; i = space(raw, i) {
			if raw[i] == ',' {
				i = space(raw, i+1)
			}
			end := after(raw, i)
			walk(raw[i:end], append(at, "["+strconv.Itoa(n)+"]"), tell)
			i, n = end, n+1
		}
	}
}
