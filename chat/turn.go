package chat

import (
	"math"
	"slices"

	"rapport/chat/textsignal"
	"rapport/event"
)

// turnDetector is the version of what finds turns.
const turnDetector = 1

// turn finds what a person's message is in its talk with an agent; nil without
// anything to tell. Certain are: the agent whose message it replies to; the only
// one that it calls by name; the one that the person is alone with. Otherwise the
// talk is asked, and below textsignal.ActAt no message is named that it would be
// about.
//
// About is the message replied to, else the agent's latest. What was said longer
// than hearingReach lines ago is known only as something replied to.
func (a *act) turn(r *room, h *hearing, d draft, to stored, known bool) (*event.Turn, error) {
	t := &event.Turn{Detector: turnDetector}
	lines := h.last()
	about := -1
	named := r.named(d)
	switch {
	case d.replyTo != "" && (!known || to.author.Kind != event.KindAgent):
		return nil, nil // it answers a person, or what nobody saw
	case d.replyTo != "":
		t.To, t.Chance, t.Named, t.About = to.author.AgentID, 1, slices.Contains(named, to.author.AgentID), d.replyTo
		about = slices.IndexFunc(lines, func(x heard) bool { return x.id == d.replyTo })
	case len(named) > 1:
		return nil, nil // several at once
	case len(named) == 1:
		t.To, t.Chance, t.Named = named[0], 1, true
	case r.alone():
		for _, m := range r.members {
			if m.Kind == event.KindAgent {
				t.To, t.Chance = m.AgentID, 1
			}
		}
	default:
		x := h.talk.Answers(textsignal.Line{Author: d.author.ID(), Name: a.s.calledBy(d.author), At: a.at, Read: d.read})
		if m := r.find(x.Author); m == nil || m.Kind != event.KindAgent {
			return nil, nil
		}
		t.To, t.Chance = event.AgentID(x.Author), math.Round(1000*min(1, x.AuthorP))/1000
		if i := len(lines) - x.Back; x.Back > 0 && i >= 0 {
			about = i
		}
	}
	if t.Chance < textsignal.ActAt {
		return t, nil
	}
	for i := len(lines) - 1; i >= 0 && about < 0 && t.About == ""; i-- {
		if lines[i].author.AgentID == t.To {
			about = i
		}
	}
	switch {
	case about >= 0:
		t.About, t.Next = lines[about].id, about == len(lines)-1
	case t.About == "":
		return t, nil // the agent has not spoken
	}
	return t, a.compare(t, lines, about, d, to)
}

// compare says what a message makes of the one that it is about.
func (a *act) compare(t *event.Turn, lines []heard, about int, d draft, to stored) error {
	var before textsignal.Past
	t.First = true
	if about >= 0 {
		before = lines[about].past
		for _, x := range lines[about+1:] {
			t.First = t.First && !(x.author == d.author && x.about == t.About)
		}
	} else {
		before = textsignal.Read(to.text).Past
		if err := a.settle(); err != nil {
			return err
		}
		earlier, err := a.tx.Get(`select 1 from messages where about = $1 and author_id = $2 and message_id <> $3`, []any{t.About, d.author.ID(), d.id}, new(int))
		if err != nil {
			return err
		}
		t.First = !earlier
	}
	if !t.First {
		return nil
	}
	var talk []textsignal.Past // the two of them, the newest first
	var own textsignal.Past
	for i, mine := len(lines)-1, false; i >= 0 && (len(talk) < textsignal.ShiftReads || !mine); i-- {
		x := &lines[i]
		if x.author != d.author && x.author.AgentID != t.To {
			continue
		}
		if len(talk) < textsignal.ShiftReads {
			talk = append(talk, x.past)
		}
		if x.author == d.author && !mine && i < about {
			own, mine = x.past, true
		}
	}
	slices.Reverse(talk)
	t.Shift = math.Round(1000*d.read.Shift(talk)) / 1000
	t.Trouble = d.read.Trouble(own, before)
	return nil
}
