// Package asking decides when a person is asked what they think of an agent of
// theirs: after a talk, under an answer, or how it is doing lately. A pure function
// of what is known and a clock from outside.
//
// Owns: the kinds of prompt, the intensities, the numbers (Rules) and the decision
// with its reason. Start reading at Decide.
//
// Tact, in short: nobody is asked about somebody else's agent; protected people are
// never asked; there is a budget per agent and one per person; every third prompt in a
// row that is passed by doubles the distance, an answer resets it. What is not answered
// is never a low rating: nothing here makes feedback.
package asking

import (
	"time"

	"rapport/event"
)

// Kind is what somebody is asked.
type Kind string

// The kinds. None is asked nothing.
const (
	None         Kind = "none"
	AfterSession Kind = "after_session" // how was it today: loved, good, meh, not great
	Inline       Kind = "inline"        // the thumbs under one answer are emphasised
	CheckIn      Kind = "check_in"      // how is it doing lately: better, same, worse, not sure
)

// Intensity is how much an agent's owner wants to be asked about it.
type Intensity string

// The intensities. Normal holds until the owner says otherwise.
const (
	Off    Intensity = "off"
	Gentle Intensity = "gentle"
	Normal Intensity = "normal"
	Eager  Intensity = "eager"
)

// Intensities lists them from the least to the most.
func Intensities() []Intensity { return []Intensity{Off, Gentle, Normal, Eager} }

// Parse reads an intensity; the empty word is Normal. False for any other.
func Parse(word string) (Intensity, bool) {
	if word == "" {
		return Normal, true
	}
	for _, i := range Intensities() {
		if string(i) == word {
			return i, true
		}
	}
	return "", false
}

const (
	minute = event.Micros(time.Minute / time.Microsecond)
	hour   = 60 * minute
	day    = 24 * hour
	week   = 7 * day
)

// Pace is what an intensity means.
type Pace struct {
	PerWeek int // prompts about one agent in any seven days
	Inline  int // every how many of the agent's messages the thumbs are emphasised; 0 never
}

// Rules are the numbers; times in microseconds.
type Rules struct {
	Paces  map[Intensity]Pace // off 0, 0 · gentle 1, 10 · normal 2, 5 · eager 4, 3
	Budget int                // of people who did not say: 6

	Rest event.Micros // between two prompts about an agent, or feedback on it and a prompt: 24 h

	// After a session.
	Long    event.Micros // it lasted more than this: 3 min
	Spoke   int          // and the agent spoke more often than this: 5
	Engaged float64      // and the person was engaged at least this much: .5, or it is the turn of the schedule
	Today   event.Micros // and it ended no longer ago than this: 12 h; also how long the prompt stays open

	// Check-in.
	Quiet  event.Micros // no feedback for this long: 7 days; also how long the prompt stays open
	Close  float64      // the relationship is at least this: .3
	High   float64      // engaged at least this much in the last talk (.7), or it was long, or the person began it
	Lately event.Micros // which was no longer ago than this: 30 days

	// Inline.
	NewTone float64 // a trait was rendered this far from the policy: .08
	Unsure  float64 // the person's mood was nearer to nothing than this: .2

	Skips     int // in a row double the distance of an agent's prompts, twice as many the person's: 3
	Doublings int // at most: 3, so eight times
}

// Defaults are the numbers of the comments above.
func Defaults() Rules {
	return Rules{
		Paces: map[Intensity]Pace{Off: {}, Gentle: {1, 10}, Normal: {2, 5}, Eager: {4, 3}}, Budget: Budget,
		Rest: day, Long: 3 * minute, Spoke: 5, Engaged: .5, Today: 12 * hour,
		Quiet: 7 * day, Close: .3, High: .7, Lately: 30 * day,
		NewTone: .08, Unsure: .2, Skips: 3, Doublings: 3,
	}
}

// Budget is how many prompts a person gets in any seven days across all their agents,
// until they say otherwise; MaxBudget is the most they can say.
const (
	Budget    = 6
	MaxBudget = 28
)

// Every is after which talks the schedule asks even when they were not engaged, until
// the owner says otherwise: every tenth. MaxEvery is the most; 0 is never.
const (
	Every    = 10
	MaxEvery = 1000
)

// Memory is how long past prompts matter: the longest week there is.
func (r Rules) Memory() event.Micros { return week << r.Doublings }

// States of a prompt.
const (
	Asked    = "asked"    // the server decided to
	Shown    = "shown"    // somebody saw it
	Skipped  = "skipped"  // put away
	Answered = "answered" // feedback on what it asked about
	Expired  = "expired"  // not answered in its time; what was seen counts as passed by
)

// Prompt is one that was asked. Those after a session and check-ins count against the
// budgets from when they are asked, whether they were shown or not; inline ones have
// a pace of their own and count against none.
type Prompt struct {
	Kind      Kind
	Agent     event.AgentID
	Session   event.SessionID // of AfterSession
	At        event.Micros    // when it was asked
	ExpiresAt event.Micros
	State     string // asked, shown, skipped or answered; see StateAt
}

// StateAt is the state with the time taken into account: an unanswered prompt expires.
func (p Prompt) StateAt(now event.Micros) string {
	if (p.State == Asked || p.State == Shown) && now > p.ExpiresAt {
		return Expired
	}
	return p.State
}

// passedBy says that the person saw it and did not answer.
func (p Prompt) passedBy(now event.Micros) bool {
	return p.State == Skipped || p.State == Shown && (p.Kind == Inline || now > p.ExpiresAt)
}

// Session is a talk that ended.
type Session struct {
	ID        event.SessionID
	EndedAt   event.Micros
	Duration  event.Micros
	Spoke     int     // messages of the agent
	Engaged   float64 // of the person, [0,1]; 0 when they do not allow that it is measured
	Began     bool    // the person began it
	Number    int     // which of the person's talks with the agent, from 1
	Protected bool    // somebody in it was
}

// Message is an answer of the agent that is on the screen.
type Message struct {
	Since     int      // which one it is since the thumbs were last emphasised or pressed, from 1
	NewTone   float64  // the farthest that a trait was rendered from the policy
	Sentiment *float64 // of the person in their last talk, −1…1; nil when that is not known
	Passed    int      // emphasised thumbs in a row that were passed by
	Protected bool
}

// Known is what is known of a person and an agent.
type Known struct {
	Owns      bool // the agent is theirs
	Protected bool // they are protected now
	Listening bool // the agent lives and learns: an answer would be used
	Intensity Intensity
	Every     int // the schedule: every how many talks; 0 never
	Budget    int // the person's, a week
	Agent     event.AgentID
	History   []Prompt     // the person's, about all agents, of Rules.Memory and in any order; inline ones don't matter
	Given     event.Micros // when they last gave feedback on this agent themselves; 0 never
	Since     event.Micros // their first talk with it
	Close     float64      // the relationship, [0,1)
	Session   *Session     // the last that ended; nil for none
	Message   *Message
}

// Decision is what to do and why.
type Decision struct {
	Ask   Kind         `json:"ask" enum:"none,after_session,inline,check_in"`
	Code  string       `json:"code" doc:"The reason for programs."`
	Why   string       `json:"reason" doc:"The same in a sentence."`
	Until event.Micros `json:"until,omitempty" doc:"When time alone could change a none; absent when it cannot."`
}

// Moment is where the person is.
type Moment uint8

// The moments, each with what may be asked at it.
const (
	AtEnd     Moment = iota // a talk has just ended: AfterSession
	AtMessage               // an answer is on the screen: Inline
	AtVisit                 // they come by: AfterSession about the last talk, else CheckIn
)

// Decide says what to ask at a moment. The same arguments give the same decision.
//
// It holds, at whatever times it is called and with clocks that go back too: when
// every prompt it asked for is in the history of the next call, no seven days hold
// more prompts (not counting inline ones) than the person's budget, nor more about one
// agent than its intensity's. More intensity or more budget never turn an ask into a
// none, more prompts passed by never a none into an ask.
func Decide(r Rules, m Moment, k Known, now event.Micros) Decision {
	switch m {
	case AtMessage:
		return DecideInline(r, k)
	case AtEnd:
		return DecideAfterSession(r, k, now)
	}
	d := DecideAfterSession(r, k, now)
	if d.Ask != None {
		return d
	}
	return DecideCheckIn(r, k, now)
}

// DecideAfterSession asks how the last talk was: it lasted more than 3 minutes, the
// agent spoke more than 5 times, neither asked nor given for this agent in 24 hours,
// and it was meaningful (engaged ≥ .5) or the schedule's turn; within both budgets.
func DecideAfterSession(r Rules, k Known, now event.Micros) Decision {
	if d, never := r.Never(k); never {
		return d
	}
	s := k.Session
	switch {
	case s == nil:
		return none("no_session", "There was no talk yet that could be rated.")
	case s.Protected:
		return none("protected", "Nobody is asked about a talk that somebody protected took part in.")
	case now-s.EndedAt > r.Today:
		return none("session_past", "The last talk ended more than %s ago: too late to ask how it was today.", span(r.Today))
	case s.Duration <= r.Long:
		return none("session_short", "The last talk lasted %s; one is asked about when it lasts more than %s.", span(max(0, s.Duration)), span(r.Long))
	case s.Spoke <= r.Spoke:
		return none("few_answers", "The agent spoke %s in the last talk; one is asked about from %d on.", times(s.Spoke), r.Spoke+1)
	}
	for _, p := range k.History {
		if p.Kind == AfterSession && p.Agent == k.Agent && p.Session == s.ID {
			return none("asked_already", "You were asked about the last talk already.")
		}
	}
	scheduled := k.Every > 0 && s.Number%k.Every == 0
	if s.Engaged < r.Engaged && !scheduled {
		return none("not_meaningful", "The last talk was a quick one, and %s.", k.turn())
	}
	if d, held := r.held(k, now, r.Rest); held {
		return d
	}
	if s.Engaged >= r.Engaged {
		return Decision{Ask: AfterSession, Code: "meaningful", Why: Because("meaningful")}
	}
	return Decision{Ask: AfterSession, Code: "scheduled", Why: sentence("This was talk %d, and every %s is asked about.", s.Number, nth(k.Every))}
}

// DecideCheckIn asks how the agent is doing lately: no feedback on it for 7 days (and
// the first talk that long ago), relationship ≥ .3, and in the last talk, of the last 30
// days, the person was engaged (≥ .7), stayed for more than 3 minutes, or began it;
// within both budgets.
func DecideCheckIn(r Rules, k Known, now event.Micros) Decision {
	if d, never := r.Never(k); never {
		return d
	}
	s := k.Session
	switch {
	case s == nil:
		return none("no_session", "There was no talk yet.")
	case s.Protected:
		return none("protected", "Nobody is asked about a talk that somebody protected took part in.")
	case now-s.EndedAt > r.Lately:
		return none("long_ago", "The last talk was more than %s ago.", span(r.Lately))
	case k.Close < r.Close:
		return none("not_close", "You do not know each other well enough yet to say how it is doing lately.")
	case s.Engaged < r.High && s.Duration <= r.Long && !s.Began:
		return none("uneventful", "The last talk was a quick one that you did not begin.")
	}
	if since := max(k.Given, k.Since); now-since < r.Quiet {
		return Decision{Ask: None, Code: "given_lately", Why: sentence("You gave feedback on this agent, or met it, in the last %s.", span(r.Quiet)), Until: since + r.Quiet}
	}
	if d, held := r.held(k, now, r.Quiet); held {
		return d
	}
	return Decision{Ask: CheckIn, Code: "quiet", Why: sentence("You gave no feedback on this agent for %s, and you talk with it.", span(r.Quiet))}
}

// DecideInline emphasises the thumbs under an answer: every 10th, 5th or 3rd message
// of the agent (gentle, normal, eager) since they were emphasised or pressed; from half
// of that on when the agent tried a new tone (≥ .08) or the person's sentiment is
// uncertain (|s| < .2). Every third in a row that is passed by doubles the distance.
func DecideInline(r Rules, k Known) Decision {
	if d, never := r.Never(k); never {
		return d
	}
	m := k.Message
	switch {
	case m == nil:
		return none("no_message", "There is no answer on the screen.")
	case m.Protected:
		return none("protected", "Nobody is asked about a talk that somebody protected takes part in.")
	}
	every := r.Paces[k.Intensity].Inline << r.doublings(m.Passed)
	switch {
	case every <= 0:
		return none("off", "Thumbs are not emphasised at this intensity.")
	case m.Since >= every:
		return Decision{Ask: Inline, Code: "every", Why: sentence("Every %s answer has its thumbs emphasised.", nth(every))}
	case 2*m.Since >= every && m.NewTone >= r.NewTone-1e-9:
		return Decision{Ask: Inline, Code: "new_tone", Why: Because("new_tone")}
	case 2*m.Since >= every && m.Sentiment != nil && abs(*m.Sentiment) < r.Unsure:
		return Decision{Ask: Inline, Code: "unsure", Why: Because("unsure")}
	}
	return none("not_its_turn", "Every %s answer has its thumbs emphasised; this is number %d.", nth(every), m.Since)
}

// Never says what keeps prompts away that no passing of time changes; false for
// nothing.
func (r Rules) Never(k Known) (Decision, bool) {
	switch {
	case !k.Owns:
		return none("not_yours", "Nobody is asked about somebody else's agent."), true
	case k.Protected:
		return none("protected", "Protected people are not asked."), true
	case !k.Listening:
		return none("not_listening", "The agent is stopped or its learning paused, so an answer would not be used."), true
	case r.Paces[k.Intensity].PerWeek <= 0:
		return none("off", "You set asking about this agent to off."), true
	case k.Budget <= 0:
		return none("no_budget", "You set your budget to no prompts at all."), true
	}
	return Decision{}, false
}

// held is what holds a prompt back for some time: rest since the last prompt about the
// agent or feedback on it, the agent's pace, the person's budget. The one that holds
// longest speaks.
func (r Rules) held(k Known, now, rest event.Micros) (Decision, bool) {
	n, tired := r.Doubled(k, now)
	var last event.Micros
	var about, all []event.Micros
	for _, p := range k.History {
		if p.Kind == Inline {
			continue
		}
		all = append(all, p.At)
		if p.Agent == k.Agent {
			about = append(about, p.At)
			last = max(last, p.At)
		}
	}
	out := Decision{Ask: None, Until: now}
	hold := func(until event.Micros, code, why string, args ...any) {
		if until > out.Until {
			out = Decision{Ask: None, Code: code, Why: sentence(why, args...), Until: until}
		}
	}
	slower := ""
	if n > 0 {
		slower = "; the distance is longer because the last ones were passed by"
	}
	if k.Given > 0 {
		hold(k.Given+r.Rest, "given_lately", "You gave feedback on this agent in the last %s.", span(r.Rest))
	}
	if len(about) > 0 {
		hold(last+(r.Rest<<n), "asked_lately", "You were asked about this agent in the last %s%s.", span(r.Rest<<n), slower)
		for _, p := range k.History {
			if p.Kind == CheckIn && p.Agent == k.Agent && rest > r.Rest {
				hold(p.At+(rest<<n), "asked_lately", "You were asked how it is doing in the last %s%s.", span(rest<<n), slower)
			}
		}
	}
	pace := r.Paces[k.Intensity].PerWeek
	hold(full(about, pace, week<<n), "agent_budget", "You were asked about this agent %s in the last %s, as often as you want%s.", times(pace), span(week<<n), slower)
	slower = ""
	if tired > 0 {
		slower = ", which is stretched because the last ones were passed by"
	}
	hold(full(all, k.Budget, week<<tired), "person_budget", "You were asked %s in the last %s across all your agents: your budget%s.", times(k.Budget), span(week<<tired), slower)
	return out, out.Until > now
}

// Doubled is how often distances are doubled: of prompts about the agent once for
// every three in a row about it that were passed by since the last answer, of the
// person's whole budget once for every six about any of their agents; at most three
// times. (Six, since with several agents three in a row are chance: of people who
// answer three prompts in ten, every third run.)
func (r Rules) Doubled(k Known, now event.Micros) (agent, person int) {
	about := make([]Prompt, 0, len(k.History))
	for _, p := range k.History {
		if p.Agent == k.Agent {
			about = append(about, p)
		}
	}
	return r.doublings(Passed(about, now)), r.doublings(Passed(k.History, now) / 2)
}

func (r Rules) doublings(passed int) int { return max(0, min(r.Doublings, passed/r.Skips)) }

// Passed is how many prompts, not counting inline ones, were passed by since one was
// answered. Those that nobody saw count neither way.
func Passed(history []Prompt, now event.Micros) int {
	var answered event.Micros
	for _, p := range history {
		if p.Kind != Inline && p.State == Answered {
			answered = max(answered, p.At)
		}
	}
	n := 0
	for _, p := range history {
		if p.Kind != Inline && p.At > answered && p.passedBy(now) {
			n++
		}
	}
	return n
}

// full says until when fewer than limit of the times lie in a window: until the
// limit-th newest is that old. 0 when there are not as many.
func full(at []event.Micros, limit int, window event.Micros) event.Micros {
	if limit <= 0 || len(at) < limit {
		return 0
	}
	newest := make([]event.Micros, 0, limit) // in order, newest first
	for _, t := range at {
		i := len(newest)
		for i > 0 && newest[i-1] < t {
			i--
		}
		if i == limit {
			continue
		}
		if len(newest) < limit {
			newest = append(newest, 0)
		}
		copy(newest[i+1:], newest[i:])
		newest[i] = t
	}
	return newest[limit-1] + window
}

// Open is how long a prompt of a kind stays open.
func (r Rules) Open(k Kind) event.Micros {
	if k == CheckIn {
		return r.Quiet
	}
	return r.Today
}

func abs(v float64) float64 { return max(v, -v) }
