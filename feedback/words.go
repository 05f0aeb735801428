package feedback

import (
	"strings"
	"unicode/utf8"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/policy"
)

// Opinion is one explicit piece of feedback as its giver words it. Who gives it
// and in which role is never part of it.
//
//	session     value loved, good, meh, not_great, or up, down   on sessionId
//	thumb       value up, down                                   on messageId or decisionId
//	more_less   value more, less                                 on messageId or decisionId
//	tone        value one of policy.ToneButtons                  on messageId or decisionId
//	reason      value a word of reasons                        on messageId, decisionId or sessionId
//	check_in    value better, same, worse, not_sure              on agentId
//	comment     comment                                          on any of them
//	correction  correction: what it should have said             on messageId or decisionId
type Opinion struct {
	Kind       string           `json:"kind" enum:"session,thumb,more_less,tone,reason,check_in,comment,correction" doc:"What is given."`
	Value      string           `json:"value,omitempty" maxLength:"32" doc:"A word of the kind's vocabulary: session loved, good, meh, not_great, up, down; thumb up, down; more_less more, less; tone a button; reason why it was good or bad; check_in better, same, worse, not_sure."`
	AgentID    event.AgentID    `json:"agentId,omitempty" maxLength:"64"`
	MessageID  event.MessageID  `json:"messageId,omitempty" maxLength:"64"`
	DecisionID event.DecisionID `json:"decisionId,omitempty" maxLength:"64"`
	SessionID  event.SessionID  `json:"sessionId,omitempty" maxLength:"64"`
	Comment    string           `json:"comment,omitempty" maxLength:"4000" doc:"Read by you and the agent's owner only."`
	Correction string           `json:"correction,omitempty" maxLength:"4000" doc:"What the agent should have said. It is measured against what was said; the text itself is read by you alone."`
}

// Kinds that are not channels of an event: words without a number.
const (
	kindComment    = "comment"
	kindCorrection = "correction"
)

const maxText = 4000 // bytes·4 at most: characters

// word is what one value of a kind means.
type word struct {
	value  string
	score  float64
	silent bool // says nothing: not_sure
}

var vocabulary = map[string][]word{
	event.ChannelSession:  {{value: "loved", score: 1}, {value: "good", score: .5}, {value: "meh", score: -.25}, {value: "not_great", score: -1}, {value: "up", score: 1}, {value: "down", score: -1}},
	event.ChannelThumb:    {{value: "up", score: 1}, {value: "down", score: -1}},
	event.ChannelMoreLess: {{value: "more", score: .5}, {value: "less", score: -.5}},
	event.ChannelCheckIn:  {{value: "better", score: 1}, {value: "same", score: 0}, {value: "worse", score: -1}, {value: "not_sure", silent: true}},
}

// kinds lists what an Opinion can be, in the order they are shown.
var kinds = []string{event.ChannelSession, event.ChannelThumb, event.ChannelMoreLess, event.ChannelTone, event.ChannelReason, event.ChannelCheckIn, kindComment, kindCorrection}

// isLevel says whether a word is one of the four levels of a session.
func isLevel(value string) bool {
	return value == "loved" || value == "good" || value == "meh" || value == "not_great"
}

// draft is a signal before it is known what it is about: an opinion, a mark or a
// detector's find. It is also how a signal waits, as JSON.
type draft struct {
	ID         event.FeedbackID `json:"id"`
	Rater      event.PersonID   `json:"rater"`
	Channel    string           `json:"channel"`
	Signal     string           `json:"signal,omitempty"` // set: implicit
	Value      string           `json:"value,omitempty"`
	Score      *float64         `json:"score,omitempty"`
	Noise      float64          `json:"noise,omitempty"` // of a detector's find: see signal.Found
	Trait      string           `json:"trait,omitempty"`
	Sign       int              `json:"sign,omitempty"` // of Trait; without one, more or less of what the decision leant to
	Agent      event.AgentID    `json:"agent,omitempty"`
	Message    event.MessageID  `json:"message,omitempty"`
	Decision   event.DecisionID `json:"decision,omitempty"`
	Session    event.SessionID  `json:"session,omitempty"`
	Sentiment  *float64         `json:"sentiment,omitempty"`
	Comment    string           `json:"comment,omitempty"`
	Correction string           `json:"correction,omitempty"`
	Created    event.Micros     `json:"created"`
	Occurred   event.Micros     `json:"occurred,omitempty"`
	Brought    bool             `json:"brought,omitempty"`  // through the door: a reviewer's mark
	Pressed    bool             `json:"pressed,omitempty"`  // through the door: a button under a message; whose it is decides what it is
	Voucher    event.PersonID   `json:"voucher,omitempty"`  // of one who pressed: who says that they were there
	Origin     string           `json:"origin,omitempty"`   // bucket of where it came from, see origin
	Admitted   bool             `json:"admitted,omitempty"` // its rate was counted
}

func (d draft) implicit() bool { return d.Signal != "" }

// read checks an opinion's words and makes a draft of them. Fault invalid with
// the allowed words.
func (o Opinion) read() (draft, error) {
	d := draft{Channel: o.Kind, Value: o.Value, Agent: o.AgentID, Message: o.MessageID, Decision: o.DecisionID, Session: o.SessionID,
		Comment: o.Comment, Correction: o.Correction}
	switch o.Kind {
	case event.ChannelTone:
		b, ok := policy.ParseTone(o.Value)
		if !ok {
			var names []string
			for _, b := range policy.ToneButtons() {
				names = append(names, b.Name)
			}
			return d, unknownValue(o.Kind, names)
		}
		d.Trait, d.Sign = b.Trait.String(), b.Sign
	case event.ChannelReason:
		if err := d.readReason(); err != nil {
			return d, err
		}
	case kindComment, kindCorrection:
		if o.Value != "" {
			return d, fault.New(fault.Invalid, "value_not_allowed", "A %s has no value; leave it out.", o.Kind)
		}
		if o.Kind == kindComment && strings.TrimSpace(o.Comment) == "" || o.Kind == kindCorrection && strings.TrimSpace(o.Correction) == "" {
			return d, fault.New(fault.Invalid, "text_missing", "Write the %s in the field of that name.", o.Kind)
		}
	default:
		words, ok := vocabulary[o.Kind]
		if !ok {
			return d, fault.New(fault.Invalid, "unknown_kind", "kind must be one of %s.", strings.Join(kinds, ", "))
		}
		var names []string
		found := false
		for _, w := range words {
			if w.value == o.Value {
				found = true
				if !w.silent {
					d.Score = &w.score
				}
			}
			names = append(names, w.value)
		}
		if !found {
			return d, unknownValue(o.Kind, names)
		}
		switch o.Value {
		case "more":
			d.Sign = 1
		case "less":
			d.Sign = -1
		}
	}
	if err := o.checkAim(); err != nil {
		return d, err
	}
	if o.Correction != "" && o.MessageID == "" && o.DecisionID == "" {
		return d, fault.New(fault.Invalid, "aim_missing", "A correction needs messageId or decisionId.")
	}
	if err := checkTexts(o.Comment, o.Correction); err != nil {
		return d, err
	}
	for _, s := range []string{string(o.AgentID), string(o.MessageID), string(o.DecisionID), string(o.SessionID)} {
		if !clean(s) {
			return d, errText
		}
	}
	return d, nil
}

var errText = fault.New(fault.Invalid, "bad_text", "Texts must be UTF-8 without the character NUL; remove it.")

func clean(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

func checkTexts(texts ...string) error {
	for _, text := range texts {
		if utf8.RuneCountInString(text) > maxText {
			return fault.New(fault.Invalid, "text_too_long", "comment and correction may have %d characters at most.", maxText)
		}
		if !clean(text) {
			return errText
		}
	}
	return nil
}

// checkAim sees that exactly one thing is named, of the sort the kind is about;
// the agent may be named beside it.
func (o Opinion) checkAim() error {
	n := 0
	for _, id := range []string{string(o.MessageID), string(o.DecisionID), string(o.SessionID)} {
		if id != "" {
			n++
		}
		if len(id) > 64 {
			return fault.New(fault.Invalid, "id_too_long", "Ids have 64 bytes at most.")
		}
	}
	if len(o.AgentID) > 64 {
		return fault.New(fault.Invalid, "id_too_long", "Ids have 64 bytes at most.")
	}
	if n > 1 {
		return fault.New(fault.Invalid, "aim_ambiguous", "Name one of messageId, decisionId and sessionId, not several.")
	}
	onMessage := o.MessageID != "" || o.DecisionID != ""
	var need string
	switch {
	case o.Kind == event.ChannelSession && o.SessionID == "":
		need = "sessionId"
	case o.Kind == event.ChannelCheckIn && (o.AgentID == "" || n > 0):
		need = "agentId alone"
	case o.Kind == kindComment && n == 0 && o.AgentID == "":
		need = "messageId, decisionId, sessionId or agentId"
	case o.Kind == event.ChannelReason && n == 1:
		return nil
	case o.Kind == event.ChannelReason:
		need = "messageId, decisionId or sessionId"
	case o.Kind != event.ChannelSession && o.Kind != event.ChannelCheckIn && o.Kind != kindComment && !onMessage:
		need = "messageId or decisionId"
	default:
		return nil
	}
	return fault.New(fault.Invalid, "aim_missing", "Feedback of kind %s needs %s.", o.Kind, need)
}

func unknownValue(kind string, names []string) error {
	return fault.New(fault.Invalid, "unknown_value", "value of a %s must be one of %s.", kind, strings.Join(names, ", "))
}
