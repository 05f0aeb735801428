// Package outside lets a learner that is another program play in the simulated
// world, by lines of JSON on its standard input and output.
//
// Owns: the line protocol (lines.go), Talk (one conversation), Start and Split
// (programs as learners).
//
// Invariants: strict in what it takes; the first line that is wrong ends the play
// with an error that has its number. What the learner is told is what every other
// learner is told.
//
// Start reading at docs/simulate.md, then lines.go, then Talk.
package outside

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"rapport/policy"
	"rapport/simulate/gym"
)

// ErrProtocol is the error of a learner that says what it must not; the text says
// in which of its lines, and what.
var ErrProtocol = errors.New("the outside learner broke the protocol")

// Talk is a conversation with an outside learner.
type Talk struct {
	in   *bufio.Scanner
	out  *bufio.Writer
	line int // of the learner's
	err  error
}

// maxLine is the longest line a learner may say.
const maxLine = 1 << 20

// NewTalk begins a conversation: the learner's lines come from in, ours go to out.
func NewTalk(in io.Reader, out io.Writer) *Talk {
	t := &Talk{in: bufio.NewScanner(in), out: bufio.NewWriterSize(out, 1<<16)}
	t.in.Buffer(make([]byte, 4096), maxLine)
	return t
}

// Err is the first thing that went wrong, nil as long as nothing did. After it the
// learner is no longer asked and the starts are played.
func (t *Talk) Err() error { return t.err }

// Hello tells of a new population and gives the learner that plays for it.
func (t *Talk) Hello(h Hello) gym.Learner {
	h.Protocol, h.Traits = Protocol, nil
	for j := range policy.NTraits {
		h.Traits = append(h.Traits, policy.Trait(j).String())
	}
	t.say(line{Hello: &h})
	l := &learner{talk: t, policies: make([]policy.Traits, len(h.Starts)), heard: make([]int, len(h.Starts))}
	copy(l.policies, h.Starts)
	return l
}

// End tells the result, the last line. What it may hold is any JSON object.
func (t *Talk) End(result any) error {
	t.say(line{Result: result})
	t.flush()
	return t.err
}

func (t *Talk) say(l line) {
	if t.err != nil {
		return
	}
	b, err := json.Marshal(l)
	if err == nil {
		_, err = t.out.Write(append(b, '\n'))
	}
	t.fail(err)
}

func (t *Talk) flush() {
	if t.err == nil {
		t.fail(t.out.Flush())
	}
}

func (t *Talk) fail(err error) {
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("%w: it no longer listens (%v)", ErrProtocol, err)
	}
}

// ask waits for the answer to what was just said.
func (t *Talk) ask() (a answer) {
	if t.flush(); t.err != nil {
		return a
	}
	t.line++
	if !t.in.Scan() {
		err := t.in.Err()
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			t.err = fmt.Errorf("%w: line %d is longer than %d bytes", ErrProtocol, t.line, maxLine)
		case err != nil:
			t.err = fmt.Errorf("%w: line %d could not be read (%v)", ErrProtocol, t.line, err)
		default:
			t.err = fmt.Errorf(`%w: its output ended where line %d, an answer {"x":[…]}, was due`, ErrProtocol, t.line)
		}
		return a
	}
	if err := a.read(t.in.Bytes()); err != nil {
		t.err = fmt.Errorf("%w: line %d: %v", ErrProtocol, t.line, err)
	}
	return a
}

// learner asks the other side.
type learner struct {
	talk     *Talk
	policies []policy.Traits
	heard    []int // sessions told of, by agent
}

var _ gym.Learner = (*learner)(nil)

func (l *learner) Act(agent int, s gym.Session) policy.Traits {
	l.talk.say(line{Act: &Act{Agent: agent, Session: s.Number, Place: places[s.Place]}})
	a := l.talk.ask()
	if l.talk.err != nil {
		return l.policies[agent]
	}
	l.policies[agent] = a.policy
	return a.x
}

func (l *learner) Learn(agent int, x policy.Traits, signals []gym.Signal) {
	tell := Learn{Agent: agent, Session: l.heard[agent], X: x, Signals: make([]Signal, 0, len(signals))}
	l.heard[agent]++
	for _, s := range signals {
		tell.Signals = append(tell.Signals, signalOf(s))
	}
	l.talk.say(line{Learn: &tell})
}

func (l *learner) Policy(agent int) policy.Traits { return l.policies[agent] }

// answer is what a learner says.
type answer struct{ x, policy policy.Traits }

func (a *answer) read(text []byte) error {
	var in struct {
		X      []*float64 `json:"x"`
		Policy []*float64 `json:"policy"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf(`%s is not an answer {"x":[…]}: %s`, shown(text), strings.TrimPrefix(err.Error(), "json: "))
	}
	if d.More() {
		return fmt.Errorf("%s has something after the answer", shown(text))
	}
	if in.X == nil {
		return fmt.Errorf(`%s has no "x"`, shown(text))
	}
	if err := levels("x", in.X, &a.x); err != nil {
		return err
	}
	if a.policy = a.x; in.Policy != nil {
		return levels("policy", in.Policy, &a.policy)
	}
	return nil
}

func levels(name string, in []*float64, out *policy.Traits) error {
	if len(in) != policy.NTraits {
		return fmt.Errorf("%q has %d levels, want %d, one a trait", name, len(in), policy.NTraits)
	}
	for j, v := range in {
		if v == nil {
			return fmt.Errorf("%q has null for %s, want a number in [0,1]", name, policy.Trait(j))
		}
		if !(*v >= 0 && *v <= 1) {
			return fmt.Errorf("%q has %v for %s, outside [0,1]", name, *v, policy.Trait(j))
		}
		out[j] = *v
	}
	return nil
}

// shown is the beginning of a line, quoted.
func shown(text []byte) string {
	const most = 60
	if r := []rune(string(text)); len(r) > most {
		text = []byte(string(r[:most]) + "…")
	}
	return fmt.Sprintf("%q", text)
}
