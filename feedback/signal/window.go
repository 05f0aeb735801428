package signal

import (
	"cmp"
	"slices"
)

// Kind is what happened.
type Kind uint8

// The kinds of what happens in a room.
const (
	Spoke   Kind = iota + 1 // a person or an agent said something
	Reacted                 // a person put an emoji on a message
	Left                    // a person left the room
	Invited                 // a person brought an agent into the room
	Removed                 // an agent was taken out of the room
	Ended                   // an agent's session ended
)

// Seen is one thing that happened in a room: ids and measures, never a text. Who
// does not matter to a kind stays empty.
type Seen struct {
	ID       string // of the event or message; what comes twice under one id counts once
	Kind     Kind
	Sequence int64  // its place in the room
	At       int64  // microseconds
	Person   string // who did it; empty: an agent
	Agent    string // the agent that spoke, was invited or removed, or whose session ended
	On       string // the message that it answers or reacts to

	To       string  // agent that a person's message speaks to, as chat found
	Sure     float64 // the chance of that, 0…1; 1 when an answer or a mention names it
	Named    bool    // names To by a mention
	Question bool
	Mood     float64 // sentiment, -1…1
	MoodVar  float64 // its variance, 1: unknown
	Shift    float64 // chance of another topic, 0…1
	Trouble  float64 // 0…1
	Emoji    string

	Consent   bool // the person allows signals
	Protected bool // somebody in the room is protected
}

// Found is a signal.
type Found struct {
	Detector string
	Person   string
	Agent    string
	Message  string  // of the agent, or of the person where no message of the agent is named
	Score    float64 // in the range of the detector
	Noise    float64 // variance of what is not meant by the score, on its scale
}

// SureEnough is the chance of an addressee below which a signal goes to nobody.
const SureEnough = .9

// Read derives the signals of a window of one room's happenings, given what is
// known of people's pauses and of emoji. The same happenings give the same signals in any
// order, however often each comes. People who did not consent, and whatever happened
// while somebody protected was there, give none.
//
// To whom a signal goes: the agent whose message is answered; else the one that chat
// says it speaks to, when that is sure enough, by that agent's latest message; else nobody.
func Read(window []Seen, pauses map[string]Pauses, emoji Emoji) []Found {
	v := viewOf(ordered(window))
	var out []Found
	for i, s := range v.w {
		if s.Protected || s.Person != "" && !s.Consent {
			continue
		}
		switch s.Kind {
		case Spoke:
			if s.Person != "" {
				out = append(out, v.answered(i, pauses)...)
			}
		case Reacted:
			out = append(out, v.reacted(s, emoji)...)
		case Left:
			out = append(out, v.left(i)...)
		case Invited:
			out = append(out, v.invited(i)...)
		case Ended:
			out = append(out, v.ended(i, pauses)...)
		}
	}
	slices.SortFunc(out, func(a, b Found) int {
		return cmp.Or(cmp.Compare(a.Detector, b.Detector), cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Person, b.Person), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Score, b.Score))
	})
	return slices.CompactFunc(out, func(a, b Found) bool {
		return a.Detector == b.Detector && a.Agent == b.Agent && a.Person == b.Person && a.Message == b.Message
	})
}

// ordered gives each happening once, by its place in the room; those of one id that
// differ count as the least of them.
func ordered(window []Seen) []Seen {
	w := slices.Clone(window)
	slices.SortFunc(w, func(a, b Seen) int {
		if c := cmp.Compare(a.ID, b.ID); c != 0 {
			return c
		}
		return byPlace(a, b)
	})
	w = slices.CompactFunc(w, func(a, b Seen) bool { return a.ID == b.ID })
	slices.SortFunc(w, byPlace)
	return w
}

// byPlace is a total order: by place in the room, then by everything else.
func byPlace(a, b Seen) int {
	if c := cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)); c != 0 || a == b {
		return c
	}
	return cmp.Or(cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Person, b.Person), cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.On, b.On), cmp.Compare(a.To, b.To), cmp.Compare(a.Sure, b.Sure),
		cmp.Compare(b2i(a.Named), b2i(b.Named)), cmp.Compare(b2i(a.Question), b2i(b.Question)), cmp.Compare(a.Mood, b.Mood), cmp.Compare(a.MoodVar, b.MoodVar),
		cmp.Compare(a.Shift, b.Shift), cmp.Compare(a.Trouble, b.Trouble), cmp.Compare(a.Emoji, b.Emoji),
		cmp.Compare(b2i(a.Consent), b2i(b.Consent)), cmp.Compare(b2i(b.Protected), b2i(a.Protected)))
}

// view is a window in order, with the place of the agent's message that each
// person's message is about, -1 for none.
type view struct {
	w     []Seen
	about []int
	place map[string]int // of an id
}

func viewOf(w []Seen) *view {
	v := &view{w: w, about: make([]int, len(w)), place: make(map[string]int, len(w))}
	latest := map[string]int{} // message of each agent
	for i, s := range w {
		v.about[i] = -1
		if s.Kind == Spoke && s.Person == "" {
			latest[s.Agent] = i
		}
		if s.Kind == Spoke && s.Person != "" {
			j, there := v.place[s.On]
			switch {
			case s.On != "":
				if there && w[j].Kind == Spoke && w[j].Person == "" { // else it answers a person, or something unseen: unclear
					v.about[i] = j
				}
			case s.To != "" && s.Sure >= SureEnough:
				if j, there := latest[s.To]; there {
					v.about[i] = j
				}
			}
		}
		v.place[s.ID] = i
	}
	return v
}

// with says whether the message at i speaks to the agent.
func (v *view) with(i int, agent string) bool {
	m := v.about[i]
	return m >= 0 && v.w[m].Agent == agent || v.w[i].To == agent && v.w[i].Sure >= SureEnough
}

// first says whether no earlier message of the person is about the message at m.
func (v *view) first(i, m int) bool {
	for j := m + 1; j < i; j++ {
		if v.about[j] == m && v.w[j].Person == v.w[i].Person {
			return false
		}
	}
	return true
}

// answered reads a person's message: tag, and what the first answer to a message of
// an agent tells.
func (v *view) answered(i int, pauses map[string]Pauses) []Found {
	w, s, m := v.w, v.w[i], v.about[i]
	var out []Found
	if s.Named && s.To != "" && (m < 0 || m != i-1) {
		out = append(out, found(Tag, s.Person, s.To, s.ID, 1))
	}
	if m < 0 || w[m].Protected || !v.first(i, m) {
		return out
	}
	say := func(detector string, score float64) {
		out = append(out, found(detector, s.Person, w[m].Agent, w[m].ID, score))
	}
	if s.MoodVar < 1 {
		f := found(Sentiment, s.Person, w[m].Agent, w[m].ID, s.Mood)
		f.Noise = s.MoodVar
		out = append(out, f)
	}
	changes := s.Shift >= shiftAt
	if changes {
		say(TopicChange, -1)
	}
	if s.Question && !changes {
		say(FollowUp, 1)
	}
	say(Trouble, round(1-2*min(1, max(0, s.Trouble))))
	if slow, known := pauses[s.Person].Slow((s.At - w[m].At) / 1000); known && slow {
		say(Slow, -1)
	}
	return out
}

func (v *view) reacted(s Seen, emoji Emoji) []Found {
	score, ok := emoji.Score(s.Emoji)
	if !ok {
		return nil
	}
	if j, there := v.place[s.On]; there && v.w[j].Kind == Spoke && v.w[j].Person == "" && !v.w[j].Protected {
		return []Found{found(Reaction, s.Person, v.w[j].Agent, s.On, score)}
	}
	return nil
}

// left: the thing before in the room was a message of an agent that the person had
// spoken with.
func (v *view) left(i int) []Found {
	w := v.w
	for j := i - 1; j >= 0; j-- {
		if w[j].Kind != Spoke {
			continue
		}
		if w[j].Person != "" || w[j].Protected || !v.spokeWith(j, w[i].Person, w[j].Agent) {
			return nil
		}
		return []Found{found(LeftAfter, w[i].Person, w[j].Agent, w[j].ID, LeftAfterScore)}
	}
	return nil
}

// spokeWith says whether a message of the person before place end speaks to the agent.
func (v *view) spokeWith(end int, person, agent string) bool {
	for i, s := range v.w[:end] {
		if s.Kind == Spoke && s.Person == person && s.Consent && !s.Protected && v.with(i, agent) {
			return true
		}
	}
	return false
}

// invited: the agent had been in the room before and was taken out.
func (v *view) invited(i int) []Found {
	w := v.w
	for j := i - 1; j >= 0; j-- {
		if w[j].Agent == w[i].Agent && w[j].Kind == Removed {
			return []Found{found(InvitedAgain, w[i].Person, w[i].Agent, w[i].ID, 1)}
		}
	}
	return nil
}

// Numbers of the end of a session.
const (
	stayedFor     = 180_000_000 // µs from a person's first to last message
	ignoredTurns  = 2           // messages to others after an answer of the agent
	abandonedMost = 2           // messages of the agent after a person's last
)

// ended reads one agent's session at its end: stayed, ignored, abandoned, and how
// much of the room took part.
func (v *view) ended(i int, pauses map[string]Pauses) []Found {
	w, agent, start := v.w, v.w[i].Agent, 0
	for j := i - 1; j >= 0; j-- {
		if w[j].Kind == Ended && w[j].Agent == agent {
			start = j + 1
			break
		}
	}
	people := map[string][]int{} // places of a person's messages in the session
	for j := start; j < i; j++ {
		if w[j].Kind == Spoke && w[j].Person != "" && w[j].Consent && !w[j].Protected {
			people[w[j].Person] = append(people[w[j].Person], j)
		}
	}
	var out []Found
	took := 0.0
	for person, said := range people {
		var with, answer []int // messages about the agent; the agent's answers to this person
		for _, j := range said {
			if v.with(j, agent) {
				with = append(with, j)
			}
		}
		if len(with) == 0 {
			continue
		}
		took++
		for j := start; j < i; j++ {
			if w[j].Kind == Spoke && w[j].Person == "" && w[j].Agent == agent && !w[j].Protected {
				if to, there := v.place[w[j].On]; there && w[to].Kind == Spoke && w[to].Person == person && w[to].Consent && !w[to].Protected {
					answer = append(answer, j)
				}
			}
		}
		last := with[len(with)-1]
		if w[last].At-w[with[0]].At >= stayedFor && !leaves(w[last:i], person) {
			out = append(out, found(Stayed, person, agent, w[last].ID, 1))
		}
		if len(answer) == 0 {
			continue
		}
		m := answer[len(answer)-1]
		after, speaks := 0, 0 // what the person says after the last answer; what the agent says after the person
		for _, j := range said {
			after += b2i(j > m)
		}
		for j := said[len(said)-1]; j < i; j++ {
			speaks += b2i(w[j].Kind == Spoke && w[j].Person == "" && w[j].Agent == agent)
		}
		switch {
		case last > m:
		case after >= ignoredTurns:
			out = append(out, found(Ignored, person, agent, w[m].ID, -1))
		case after == 0 && speaks <= abandonedMost && pauses[person].N >= PausesNeeded && (w[i].At-w[m].At)/1000 >= pauses[person].Quantile(.95):
			out = append(out, found(Abandoned, person, agent, w[m].ID, -1))
		}
	}
	if len(people) >= engagedPeople && took > 0 {
		out = append(out, found(EngagedRoom, "", agent, w[i].ID, round(took/float64(len(people)))))
	}
	return out
}

// engagedPeople is the least number of people of whom a share is told.
const engagedPeople = 3

// leaves says whether a person left in a part of the window.
func leaves(w []Seen, person string) bool {
	return slices.ContainsFunc(w, func(s Seen) bool { return s.Kind == Left && s.Person == person })
}

func b2i(v bool) int {
	if v {
		return 1
	}
	return 0
}

// found is a signal with the noise of its registration.
func found(detector, person, agent, message string, score float64) Found {
	d, err := Lookup(detector)
	if err != nil {
		panic(err) // a constant of this package
	}
	return Found{detector, person, agent, message, score, d.Noise}
}
