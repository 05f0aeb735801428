package event

import (
	"strconv"
	"strings"
)

// FeedbackCreated, ReplyGenerated and MessageCreated come far more often than all
// others. Their readers take the form that json.Marshal writes: fields in the order of the
// struct, no spaces, no escapes, and no tone button's direction; where anything differs, As asks encoding/json.
// FuzzHot holds them to its values.

type hot interface{ readHot(data []byte) bool }

func (p *FeedbackCreated) readHot(data []byte) bool {
	r := hotReader{rest: string(data)}
	hotText(&r, `"feedbackId":`, &p.FeedbackID)
	hotText(&r, `"agentId":`, &p.AgentID)
	hotText(&r, `"ownerId":`, &p.OwnerID)
	hotText(&r, `"raterId":`, &p.RaterID)
	hotText(&r, `"role":`, &p.Role)
	hotText(&r, `"source":`, &p.Source)
	hotText(&r, `"channel":`, &p.Channel)
	hotText(&r, `"signal":`, &p.Signal)
	hotText(&r, `"level":`, &p.Level)
	r.float(`"score":`, &p.Score)
	r.float(`"noise":`, &p.Noise)
	if r.field(`"measured":`) {
		p.Measured = &Measured{}
		r.object(func() {
			hotInt(&r, `"meter":`, &p.Measured.Meter)
			r.levels(`"levels":`, &p.Measured.Levels)
		})
	}
	hotText(&r, `"messageId":`, &p.MessageID)
	hotText(&r, `"decisionId":`, &p.DecisionID)
	hotText(&r, `"sessionId":`, &p.SessionID)
	hotText(&r, `"roomId":`, &p.RoomID)
	hotList(&r, `"shares":`, &p.Shares, func(s *Share) {
		r.object(func() {
			hotText(&r, `"episodeId":`, &s.EpisodeID)
			hotInt(&r, `"start":`, &s.Start)
			r.float(`"weight":`, &s.Weight)
		})
	})
	if r.field(`"sentiment":`) {
		p.Sentiment = new(float64)
		*p.Sentiment = r.number()
	}
	hotText(&r, `"context":`, &p.Context)
	hotList(&r, `"tags":`, &p.Tags, func(tag *string) { *tag = r.text() })
	hotText(&r, `"supersedes":`, &p.Supersedes)
	r.bool(`"protected":`, &p.Protected)
	r.bool(`"imported":`, &p.Imported)
	r.float(`"weight":`, &p.Weight)
	hotInt(&r, `"occurredAt":`, &p.OccurredAt)
	return r.done()
}

func (p *ReplyGenerated) readHot(data []byte) bool {
	r := hotReader{rest: string(data)}
	hotText(&r, `"decisionId":`, &p.DecisionID)
	hotText(&r, `"agentId":`, &p.AgentID)
	hotText(&r, `"ownerId":`, &p.OwnerID)
	hotText(&r, `"personId":`, &p.PersonID)
	hotText(&r, `"roomId":`, &p.RoomID)
	hotText(&r, `"messageId":`, &p.MessageID)
	hotText(&r, `"sessionId":`, &p.SessionID)
	hotText(&r, `"episodeId":`, &p.EpisodeID)
	hotInt(&r, `"episodeStart":`, &p.EpisodeStart)
	hotText(&r, `"action":`, &p.Action)
	hotList(&r, `"reasons":`, &p.Reasons, func(s *string) { *s = r.text() })
	if r.field(`"chance":`) {
		p.Chance = new(float64)
		*p.Chance = r.number()
	}
	hotText(&r, `"context":`, &p.Context)
	hotList(&r, `"tags":`, &p.Tags, func(tag *string) { *tag = r.text() })
	hotText(&r, `"begins":`, &p.Begins)
	if r.field(`"opening":`) {
		p.Opening = new(Opening)
		r.object(func() {
			hotText(&r, `"variant":`, &p.Opening.Variant)
			hotInt(&r, `"of":`, &p.Opening.Of)
			r.float(`"chance":`, &p.Opening.Chance)
		})
	}
	hotInt(&r, `"policyVersion":`, &p.PolicyVersion)
	hotInt(&r, `"revision":`, &p.Revision)
	hotList(&r, `"x":`, &p.X, func(v *float64) { *v = r.number() })
	hotList(&r, `"rendered":`, &p.Rendered, func(v *float64) { *v = r.number() })
	hotInt(&r, `"free":`, &p.Free)
	hotInt(&r, `"inaudible":`, &p.Inaudible)
	if r.field(`"logDensity":`) {
		p.LogDensity = new(float64)
		*p.LogDensity = r.number()
	}
	r.bool(`"commanded":`, &p.Commanded)
	r.float(`"holdoutShare":`, &p.HoldoutShare)
	r.bool(`"holdout":`, &p.Holdout)
	r.bool(`"protected":`, &p.Protected)
	r.bool(`"consent":`, &p.Consent)
	hotText(&r, `"compileHash":`, &p.CompileHash)
	hotInt(&r, `"rulesVersion":`, &p.RulesVersion)
	r.float(`"rulesShare":`, &p.RulesShare)
	hotText(&r, `"provider":`, &p.Provider)
	hotText(&r, `"model":`, &p.Model)
	hotList(&r, `"dropped":`, &p.Dropped, func(s *string) { *s = r.text() })
	hotInt(&r, `"promptTokens":`, &p.PromptTokens)
	hotInt(&r, `"replyTokens":`, &p.ReplyTokens)
	hotInt(&r, `"latencyMilli":`, &p.LatencyMilli)
	hotText(&r, `"finish":`, &p.Finish)
	hotText(&r, `"error":`, &p.Error)
	return r.done()
}

func (p *MessageCreated) readHot(data []byte) bool {
	r := hotReader{rest: string(data)}
	hotText(&r, `"roomId":`, &p.RoomID)
	hotText(&r, `"messageId":`, &p.MessageID)
	if r.field(`"author":`) {
		r.object(func() {
			hotText(&r, `"kind":`, &p.Author.Kind)
			hotText(&r, `"personId":`, &p.Author.PersonID)
			hotText(&r, `"agentId":`, &p.Author.AgentID)
		})
	}
	hotInt(&r, `"sequence":`, &p.Sequence)
	hotText(&r, `"replyTo":`, &p.ReplyTo)
	hotList(&r, `"addressed":`, &p.Addressed, func(id *AgentID) { *id = AgentID(r.text()) })
	hotList(&r, `"sessions":`, &p.Sessions, func(s *MessageSession) {
		r.object(func() {
			hotText(&r, `"agentId":`, &s.AgentID)
			hotText(&r, `"sessionId":`, &s.SessionID)
		})
	})
	hotText(&r, `"decisionId":`, &p.DecisionID)
	if r.field(`"features":`) {
		r.object(func() { p.Features.readHot(&r) })
	}
	if r.field(`"turn":`) {
		p.Turn = &Turn{}
		r.object(func() { p.Turn.readHot(&r) })
	}
	r.bool(`"direct":`, &p.Direct)
	hotInt(&r, `"people":`, &p.People)
	hotInt(&r, `"members":`, &p.Members)
	r.bool(`"consent":`, &p.Consent)
	r.bool(`"protected":`, &p.Protected)
	r.bool(`"imported":`, &p.Imported)
	hotInt(&r, `"occurredAt":`, &p.OccurredAt)
	return r.done()
}

func (f *Features) readHot(r *hotReader) {
	hotInt(r, `"detector":`, &f.Detector)
	hotInt(r, `"chars":`, &f.Chars)
	hotInt(r, `"words":`, &f.Words)
	hotInt(r, `"sentences":`, &f.Sentences)
	hotInt(r, `"questions":`, &f.Questions)
	r.float(`"sentiment":`, &f.Sentiment)
	r.float(`"sentimentVariance":`, &f.Variance)
	hotList(r, `"tags":`, &f.Tags, func(tag *string) { *tag = r.text() })
}

func (t *Turn) readHot(r *hotReader) {
	hotInt(r, `"detector":`, &t.Detector)
	hotText(r, `"to":`, &t.To)
	r.float(`"chance":`, &t.Chance)
	r.bool(`"named":`, &t.Named)
	hotText(r, `"about":`, &t.About)
	r.bool(`"next":`, &t.Next)
	r.bool(`"first":`, &t.First)
	r.float(`"shift":`, &t.Shift)
	r.float(`"trouble":`, &t.Trouble)
}

// hotReader takes fields off the front of an object, each with the comma behind
// it; bad once anything was in another form.
type hotReader struct {
	rest  string
	begun bool // the object's brace is taken
	bad   bool
}

// field says whether the next field has the name, and takes the name. Fields that
// are absent keep their zero values, as with encoding/json.
func (r *hotReader) field(name string) bool {
	sep := byte(',')
	if !r.begun {
		sep = '{'
	}
	if len(r.rest) <= len(name) || r.rest[0] != sep || r.rest[1:1+len(name)] != name {
		return false
	}
	r.rest, r.begun = r.rest[1+len(name):], true
	return true
}

func (r *hotReader) close() bool {
	if !r.begun {
		r.take('{')
	}
	return r.take('}')
}

func (r *hotReader) done() bool { return r.close() && !r.bad && r.rest == "" }

func (r *hotReader) take(c byte) bool {
	if r.rest == "" || r.rest[0] != c {
		r.bad = true
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// object reads an object inside of the object.
func (r *hotReader) object(fields func()) {
	r.begun = false
	fields()
	r.close()
	r.begun = true
}

func (r *hotReader) text() string {
	if !r.take('"') {
		return ""
	}
	end := 0
	for end < len(r.rest) && asIs[r.rest[end]] {
		end++
	}
	s := r.rest[:end]
	r.rest = r.rest[end:]
	r.take('"')
	return s
}

// literal takes a number as JSON writes it.
func (r *hotReader) literal() string {
	end := -1
	if r.rest != "" {
		end = number([]byte(r.rest[:min(len(r.rest), 32)]), 0)
	}
	if end < 0 {
		r.bad = true
		return "0"
	}
	s := r.rest[:end]
	r.rest = r.rest[end:]
	return s
}

func (r *hotReader) number() float64 {
	v, err := strconv.ParseFloat(r.literal(), 64)
	r.bad = r.bad || err != nil
	return v
}

func (r *hotReader) float(name string, to *float64) {
	if r.field(name) {
		*to = r.number()
	}
}

func (r *hotReader) levels(name string, to *map[string]float64) {
	if !r.field(name) || !r.take('{') {
		return
	}
	*to = map[string]float64{}
	r.items('}', func() {
		trait := r.text()
		r.take(':')
		(*to)[trait] = r.number()
	})
}

func (r *hotReader) bool(name string, to *bool) {
	if !r.field(name) {
		return
	}
	rest, yes := strings.CutPrefix(r.rest, "true")
	if !yes {
		var no bool
		rest, no = strings.CutPrefix(rest, "false")
		r.bad = r.bad || !no
	}
	r.rest, *to = rest, yes
}

func hotText[T ~string](r *hotReader, name string, to *T) {
	if r.field(name) {
		*to = T(r.text())
	}
}

func hotInt[T int | int64 | uint16](r *hotReader, name string, to *T) {
	if !r.field(name) {
		return
	}
	n, err := strconv.ParseInt(r.literal(), 10, 64)
	*to = T(n)
	r.bad = r.bad || err != nil || int64(*to) != n
}

// hotList reads an array; an empty one is not nil.
func hotList[T any](r *hotReader, name string, to *[]T, item func(*T)) {
	if !r.field(name) || !r.take('[') {
		return
	}
	*to = make([]T, 0, 1+strings.Count(r.rest[:max(0, strings.IndexByte(r.rest, ']'))], ","))
	r.items(']', func() {
		*to = append(*to, *new(T))
		item(&(*to)[len(*to)-1])
	})
}

// items takes what is listed up to end.
func (r *hotReader) items(end byte, item func()) {
	for first := true; !r.bad && (r.rest == "" || r.rest[0] != end); first = false {
		if !first {
			r.take(',')
		}
		item()
	}
	r.take(end)
}
