package guard

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits are what a reply must keep to.
type Limits struct {
	MaxWords int      // 0: no cap
	Banned   []string // phrases that are taken out, ASCII case does not matter
	Canary   string   // a secret of the prompt: a reply that holds it ends there
	Name     string   // the speaker's: taken off a reply that begins with it and a colon
	Stop     []string // a reply ends before any of them, letter by letter
	Others   []string // who else speaks: a reply ends before a line that begins with one of them and a colon
}

// What an Enforcer did.
const (
	CutLength = "length"        // the reply was longer than the cap
	CutCanary = "canary_leak"   // the reply gave away the prompt
	CutBanned = "banned_phrase" // a phrase was taken out
	CutTokens = "control_token" // a control token was taken out
	CutImage  = "image"         // a picture from elsewhere became a link
	CutName   = "own_name"      // the speaker's name was taken off
	CutStop   = "stop_sequence" // the caller's end of a reply came
	CutOthers = "other_speaker" // the reply went on with what somebody else would say
)

// Enforcer lets a reply out piece by piece. The text let out is the same however
// the reply was cut into pieces. It is used by one goroutine.
//
// Length: up to 60 % of the cap words leave as they come; after that only whole
// sentences that end within the cap do, so a cut reply ends at a sentence. A
// sentence that alone runs over the cap is cut at a word, with an ellipsis.
type Enforcer struct {
	limits  Limits
	first   []needle  // are looked for before the fixed ones
	last    []needle  // and after them
	starts  [256]bool // a needle begins with this byte
	longest int
	name    string          // with the colon, while the reply may begin with it
	pending string          // not yet searched to its end
	held    strings.Builder // searched, waits for the end of its sentence
	words   int             // words begun, held ones included
	inWord  bool
	stop    bool // the last rune ended a sentence, perhaps
	mid     bool // let out text ends inside a sentence
	done    bool
	did     []string
	out     strings.Builder
}

type needle struct{ text, why string }

// image begins a picture in Markdown. Whoever shows it asks the picture's server for
// it, and with the address tells it what the talk holds: it becomes a link, which is
// followed by people only.
const image = "!["

// fixed are the needles of every reply, by their first byte, which is a sign: no
// letter of two cases.
var fixed = func() (f struct {
	by      [256][]needle
	starts  [256]bool
	longest int
}) {
	add := func(n needle) {
		f.by[n.text[0]] = append(f.by[n.text[0]], n)
		f.starts[n.text[0]], f.longest = true, max(f.longest, len(n.text))
	}
	for _, t := range tokens {
		if !slices.Contains(harmless, t) {
			add(needle{t, CutTokens})
		}
	}
	add(needle{image, CutImage})
	return f
}()

// NewEnforcer makes an enforcer for one reply.
func NewEnforcer(l Limits) *Enforcer {
	e := &Enforcer{limits: l, starts: fixed.starts, longest: fixed.longest}
	add := func(to *[]needle, text, why string) {
		*to = append(*to, needle{text, why})
		e.longest = max(e.longest, len(text))
		c := text[0]
		if e.starts[c] = true; 'a' <= c && c <= 'z' {
			e.starts[c-'a'+'A'] = true
		}
	}
	if l.Canary != "" {
		add(&e.first, strings.ToLower(l.Canary), CutCanary)
	}
	for _, p := range l.Banned {
		if p != "" {
			add(&e.first, strings.ToLower(p), CutBanned)
		}
	}
	for _, s := range l.Stop {
		if s != "" {
			add(&e.last, s, CutStop)
		}
	}
	for _, o := range l.Others {
		if o != "" {
			add(&e.last, "\n"+strings.ToLower(o)+":", CutOthers)
		}
	}
	if l.Name != "" {
		e.name = l.Name + ":"
	}
	return e
}

// Push takes a piece and gives what may leave now, often less or more than the
// piece. After Done it gives nothing.
func (e *Enforcer) Push(piece string) string {
	if e.done {
		return ""
	}
	e.pending += piece
	e.out.Grow(len(e.pending))
	e.scan(false)
	return e.take()
}

// Finish says that the reply is complete and gives the rest.
func (e *Enforcer) Finish() string {
	if !e.done {
		e.scan(true)
		if !e.done {
			e.out.WriteString(e.held.String())
			e.held.Reset()
			e.done = true
		}
	}
	return e.take()
}

// Done says that nothing more will leave: the reply was cut or is finished.
func (e *Enforcer) Done() bool { return e.done }

// Did lists what was done to the reply, each once, in the order of happening.
func (e *Enforcer) Did() []string { return e.did }

// Enforce applies limits to a whole reply.
func Enforce(text string, l Limits) (string, []string) {
	e := NewEnforcer(l)
	out := e.Push(text) + e.Finish()
	return out, e.Did()
}

func (e *Enforcer) take() string {
	s := e.out.String()
	e.out.Reset()
	return s
}

func (e *Enforcer) note(why string) {
	for _, d := range e.did {
		if d == why {
			return
		}
	}
	e.did = append(e.did, why)
}

// scan lets through what is certain: everything but a tail that might be the
// beginning of a needle or of a rune.
func (e *Enforcer) scan(last bool) {
	s := e.pending
	if e.name != "" {
		rest := strings.TrimLeftFunc(s, unicode.IsSpace)
		switch n := len(e.name); {
		case len(rest) >= n && strings.EqualFold(rest[:n], e.name):
			e.note(CutName)
			s = strings.TrimLeftFunc(rest[n:], unicode.IsSpace)
			if s == "" && !last { // spaces may follow
				e.pending = rest
				return
			}
		case len(rest) < n && !last && strings.EqualFold(rest, e.name[:len(rest)]):
			return
		}
		e.name = ""
	}
	i := 0
	for i < len(s) && !e.done {
		if !last && len(s)-i < e.longest && e.undecided(s[i:]) {
			break
		}
		if n := e.match(s[i:]); n != nil {
			e.note(n.why)
			i += len(n.text)
			if n.why == CutCanary {
				e.held.Reset()
				e.done = true
			}
			if n.why == CutImage {
				i-- // the bracket stays
			}
			if n.why == CutOthers || n.why == CutStop {
				e.release()
				e.done = true
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if r == utf8.RuneError && size == 1 || r != '\u200d' && hidden(r) {
			continue
		}
		e.rune(r)
	}
	e.pending = strings.Clone(s[i:])
	if e.done {
		e.pending = ""
	}
}

// undecided says that s may be the beginning of a needle, or of a rune.
func (e *Enforcer) undecided(s string) bool {
	if !e.starts[s[0]] {
		return s[0] >= utf8.RuneSelf && !utf8.FullRuneInString(s)
	}
	for _, list := range e.needles(s[0]) {
		for i := range list {
			if n := list[i].text; len(s) < len(n) && strings.EqualFold(s, n[:len(s)]) {
				return true
			}
		}
	}
	return !utf8.FullRuneInString(s)
}

// needles are those that may begin with a byte, the first that fits counts.
func (e *Enforcer) needles(c byte) [3][]needle {
	return [3][]needle{e.first, fixed.by[c], e.last}
}

func (e *Enforcer) match(s string) *needle {
	if !e.starts[s[0]] {
		return nil
	}
	for _, list := range e.needles(s[0]) {
		for i := range list {
			n := &list[i]
			if len(s) >= len(n.text) && strings.EqualFold(s[:len(n.text)], n.text) && (n.why != CutStop || s[:len(n.text)] == n.text) {
				return n
			}
		}
	}
	return nil
}

func (e *Enforcer) rune(r rune) {
	space := unicode.IsSpace(r)
	if space {
		e.inWord = false
		if e.stop || r == '\n' {
			e.release()
		}
		e.stop = false
	} else {
		if !e.inWord {
			e.words++
			e.inWord = true
			if e.limits.MaxWords > 0 && e.words > e.limits.MaxWords {
				e.cut()
				return
			}
		}
		switch r {
		case '.', '!', '?', '…', '。', '！', '？':
			e.stop = true
		case '"', '\'', ')', ']', '”', '’', '»', '*', '_':
		default:
			e.stop = false
		}
	}
	if e.limits.MaxWords > 0 && e.words*10 > e.limits.MaxWords*6 {
		e.held.WriteRune(r)
		return
	}
	e.out.WriteRune(r)
	if !space {
		e.mid = !e.stop
	}
}

// release lets a finished sentence out.
func (e *Enforcer) release() {
	if e.held.Len() > 0 {
		e.out.WriteString(e.held.String())
		e.held.Reset()
		e.mid = false
	}
}

// cut ends the reply at the cap.
func (e *Enforcer) cut() {
	e.note(CutLength)
	if e.mid { // the sentence that was on its way is longer than the rest of the cap
		e.out.WriteString(strings.TrimRightFunc(e.held.String(), unicode.IsSpace) + "…")
	}
	e.held.Reset()
	e.done = true
}
