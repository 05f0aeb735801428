// Package plainjson reads and writes JSON of the usual form without reflection, for
// the few documents that come with every request. Whatever is unusual the Reader
// refuses, and its user asks encoding/json instead: the values are the same, only
// sooner.
//
// Owns: Reader, AppendText.
//
// Invariants: what is read is what encoding/json reads, as long as the user takes
// a name again only as encoding/json would, and null as it does; what encoding/json
// refuses is refused here. What is written are encoding/json's bytes.
//
// Start reading at Reader.
package plainjson

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Reader takes values off the front of a document, one after another. After the
// first thing that it refuses it gives zero values, and Done says false.
type Reader struct {
	data []byte
	at   int
	deep int
	bad  bool
}

// maxDeep is how deep values may lie in each other; what is deeper is refused.
const maxDeep = 64

// New makes a Reader of a document, which must not change while it is read.
func New(data []byte) Reader { return Reader{data: data} }

// Refuse says that the document is not what its user can take.
func (r *Reader) Refuse() { r.bad = true }

// Done says whether all of the document was read and nothing refused.
func (r *Reader) Done() bool { return !r.bad && r.next() == 0 && r.at == len(r.data) }

// next is the byte that the next value or sign begins with, 0 at the end.
func (r *Reader) next() byte {
	for r.at < len(r.data) {
		switch c := r.data[r.at]; c {
		case ' ', '\n', '\t', '\r':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// take takes the next sign.
func (r *Reader) take(c byte) bool {
	if r.bad || r.next() != c {
		r.bad = true
		return false
	}
	r.at++
	return true
}

// among takes what stands between two signs, with commas between its parts.
func (r *Reader) among(open, end byte, part func()) {
	if !r.take(open) {
		return
	}
	if r.deep++; r.deep > maxDeep {
		r.bad = true
	}
	for first := true; !r.bad; first = false {
		if r.next() == end && first {
			break
		}
		part()
		if r.next() != ',' {
			break
		}
		r.at++
	}
	r.deep--
	r.take(end)
}

// Object reads an object: field is called with each name and must read its value.
// Names that encoding/json may take for others, those with capital letters or
// escapes, are refused.
func (r *Reader) Object(field func(name []byte)) {
	r.among('{', '}', func() {
		name := r.name()
		if r.take(':') {
			field(name)
		}
	})
}

func (r *Reader) name() []byte {
	if !r.take('"') {
		return nil
	}
	begin := r.at
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; {
		case 'a' <= c && c <= 'z' || c == '_' || '0' <= c && c <= '9':
		case c == '"':
			r.at++
			return r.data[begin : r.at-1]
		default:
			r.bad = true
			return nil
		}
	}
	r.bad = true
	return nil
}

// Array reads an array: item must read one value.
func (r *Reader) Array(item func()) { r.among('[', ']', item) }

// Null says whether the next value is null, and takes it.
func (r *Reader) Null() bool { return r.next() == 'n' && r.word("null") }

// Bool reads true or false.
func (r *Reader) Bool() bool {
	if r.next() == 't' {
		return r.word("true")
	}
	r.word("false")
	return false
}

func (r *Reader) word(w string) bool {
	if r.bad || len(r.data)-r.at < len(w) || string(r.data[r.at:r.at+len(w)]) != w {
		r.bad = true
		return false
	}
	r.at += len(w)
	return true
}

// Int reads a whole number of at most 18 digits.
func (r *Reader) Int() int {
	raw := r.Raw()
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || len(raw) > 18 {
		r.bad = true
		return 0
	}
	return int(n)
}

// Text reads a text. When it is like, that is given, without a copy of it.
func (r *Reader) Text(like string) string {
	raw := r.Raw()
	if len(raw) < 2 || raw[0] != '"' {
		r.bad = true
		return ""
	}
	in := raw[1 : len(raw)-1]
	switch {
	case bytes.IndexByte(in, '\\') >= 0:
		return r.unescape(raw)
	case string(in) == like:
		return like
	case !utf8.Valid(in):
		r.bad = true
		return ""
	}
	return string(in)
}

// unescape gives what a text with escapes says; encoding/json those with numbers.
func (r *Reader) unescape(raw []byte) string {
	s := make([]byte, 0, len(raw))
	in := raw[1 : len(raw)-1]
	for i := 0; i < len(in); i++ {
		c := in[i]
		if c == '\\' {
			i++
			switch c = in[i]; c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'u':
				var s string
				r.bad = r.bad || json.Unmarshal(raw, &s) != nil
				return s
			}
		}
		s = append(s, c)
	}
	r.bad = r.bad || !utf8.Valid(s)
	return string(s)
}

// Raw takes any value and gives it as it stands in the document.
func (r *Reader) Raw() []byte {
	c := r.next()
	begin := r.at
	switch c {
	case '"':
		r.text()
	case '{':
		r.among('{', '}', func() {
			r.next()
			if r.text(); r.take(':') {
				r.Raw()
			}
		})
	case '[':
		r.Array(func() { r.Raw() })
	case 't':
		r.word("true")
	case 'f':
		r.word("false")
	case 'n':
		r.word("null")
	default:
		r.number()
	}
	if r.bad {
		return nil
	}
	return r.data[begin:r.at]
}

// text takes a text, escapes and all.
func (r *Reader) text() {
	if !r.take('"') {
		return
	}
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; {
		case c == '"':
			r.at++
			return
		case c < ' ':
			r.bad = true
			return
		case c == '\\':
			if r.at++; !r.escape() {
				r.bad = true
				return
			}
		}
	}
	r.bad = true
}

// escape looks at what follows a backslash, and takes all of it but the last byte.
func (r *Reader) escape() bool {
	if r.at >= len(r.data) {
		return false
	}
	switch r.data[r.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if r.at++; r.at >= len(r.data) {
				return false
			}
			if c := r.data[r.at] | 0x20; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
				return false
			}
		}
		return true
	}
	return false
}

// number takes a number as JSON writes it.
func (r *Reader) number() {
	digits := func() (n int) {
		for ; r.at < len(r.data) && '0' <= r.data[r.at] && r.data[r.at] <= '9'; r.at++ {
			n++
		}
		return n
	}
	is := func(c byte) bool { return r.at < len(r.data) && r.data[r.at] == c }
	if is('-') {
		r.at++
	}
	if is('0') {
		r.at++
	} else if digits() == 0 {
		r.bad = true
	}
	if is('.') {
		if r.at++; digits() == 0 {
			r.bad = true
		}
	}
	if is('e') || is('E') {
		if r.at++; is('+') || is('-') {
			r.at++
		}
		if digits() == 0 {
			r.bad = true
		}
	}
}

// AppendText appends a text as json.Marshal writes it; with signs of HTML as they
// are when html is false, as an Encoder told not to escape them does.
func AppendText(b []byte, s string, html bool) []byte {
	begin := len(b)
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf && !(html && (c == '<' || c == '>' || c == '&')) {
			continue
		}
		if c >= utf8.RuneSelf {
			// Broken UTF-8 is replaced, and U+2028 and U+2029 are escaped.
			if r, size := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError && r != '\u2028' && r != '\u2029' {
				i += size - 1
				continue
			}
			return appendSlowly(b[:begin], s, html)
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		default:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

// appendSlowly is AppendText by encoding/json.
func appendSlowly(b []byte, s string, html bool) []byte {
	w := bytes.NewBuffer(b)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(html)
	_ = enc.Encode(s) // a text can be encoded
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}
