package simulate

import (
	"context"
	"fmt"
	"math"
	"time"

	"rapport/event"
	"rapport/policy"
	"rapport/simulate/gym"
)

// Stage is a pipeline that the yardstick world (package gym) can be played through.
type Stage interface {
	Pipeline
	// AddAgentAt makes an agent that starts at these levels.
	AddAgentAt(ctx context.Context, owner event.PersonID, name string, levels policy.Traits) (event.AgentID, error)
	// Host lets people meet an agent in a group: from then on they talk with it
	// there, and signals may be taken from what they do.
	Host(ctx context.Context, agent event.AgentID, people []event.PersonID) error
	// Night lets happen what the product does at night.
	Night(ctx context.Context) error
	// Policy reads an agent's published levels.
	Policy(ctx context.Context, agent event.AgentID) (policy.Traits, error)
}

// Through plays the yardstick world through the whole product. It learns nothing
// itself: what people let be known becomes ratings, thumbs, reviews and tone
// buttons that they give, and the levels of a session are those that the product
// spoke with. A session with the owner is a direct talk; any other is one of the
// raters speaking to the agent in a group of all of them, where a reviewer says
// something first. Who is engaged talks longer, and what the product makes of that
// is its own affair. Reviews of what owner and agent say alone are left out: nobody
// else sees it. A day and a night pass between two sessions.
//
// It is a gym.Learner; after an error, see Err, nothing more happens in the
// product and the starts are played.
type Through struct {
	ctx    context.Context
	stage  Stage
	people []event.PersonID // the raters
	agents []staged
	day    int
	err    error
}

// staged is one agent on the stage.
type staged struct {
	id       event.AgentID
	owner    event.PersonID
	start    policy.Traits
	sessions []told
	open     bool // the newest session has not ended
}

// told is a session that people may still say something about.
type told struct {
	speaker event.PersonID
	replies []Reply
}

var _ gym.Learner = (*Through)(nil)

// NewThrough brings people and agents onto the stage.
func NewThrough(ctx context.Context, stage Stage, starts []policy.Traits, raters int) (*Through, error) {
	t := &Through{ctx: ctx, stage: stage}
	for i, start := range starts {
		owner, err := stage.AddPerson(ctx, fmt.Sprintf("owner-%02d", i+1))
		if err != nil {
			return nil, err
		}
		name := names[i%len(names)]
		if i >= len(names) {
			name = fmt.Sprintf("%s %d", name, i/len(names)+1)
		}
		id, err := stage.AddAgentAt(ctx, owner, name, start)
		if err != nil {
			return nil, err
		}
		t.agents = append(t.agents, staged{id: id, owner: owner, start: start})
	}
	for i := range raters {
		person, err := stage.AddPerson(ctx, fmt.Sprintf("guest-%02d", i+1))
		if err != nil {
			return nil, err
		}
		t.people = append(t.people, person)
	}
	if err := stage.Settle(ctx); err != nil {
		return nil, err
	}
	for i := range t.agents {
		if err := stage.Host(ctx, t.agents[i].id, t.people); err != nil {
			return nil, err
		}
	}
	return t, stage.Settle(ctx)
}

// Err is the first thing that went wrong.
func (t *Through) Err() error { return t.err }

func (t *Through) try(what string, err error) bool {
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("%s: %w", what, err)
	}
	return t.err == nil
}

// Act lets a session begin: somebody says something, and the answer has the levels.
func (t *Through) Act(agent int, s gym.Session) policy.Traits {
	a := &t.agents[agent]
	if t.err != nil {
		return a.start
	}
	t.end(a)
	if s.Number != t.day {
		t.day = s.Number
		if !t.dawn() {
			return a.start
		}
	}
	speaker := a.owner
	if s.Place != gym.WithOwner {
		speaker = t.people[(7*s.Number+agent)%len(t.people)]
	}
	a.sessions = append(a.sessions, told{speaker: speaker})
	a.open = true
	r, ok := t.talk(a, s.Number, speaker)
	if !ok {
		return a.start
	}
	return r.Rendered
}

// dawn ends a day and the night after it.
func (t *Through) dawn() bool {
	if !t.try("a day ends", t.stage.Settle(t.ctx)) {
		return false
	}
	t.stage.Advance(24 * time.Hour)
	return t.try("a night", t.stage.Night(t.ctx)) && t.try("a night ends", t.stage.Settle(t.ctx))
}

func (t *Through) talk(a *staged, session int, speaker event.PersonID) (Reply, bool) {
	s := &a.sessions[session]
	r, err := t.stage.Talk(t.ctx, speaker, a.id, lines[(session+len(s.replies))%len(lines)])
	if !t.try("a talk", err) {
		return r, false
	}
	t.stage.Advance(time.Minute)
	s.replies = append(s.replies, r)
	return r, true
}

func (t *Through) end(a *staged) {
	if a.open && t.err == nil {
		t.try("the end of a talk", t.stage.End(t.ctx, a.sessions[len(a.sessions)-1].speaker, a.id))
		a.open = false
	}
}

// Learn lets people say what they let be known.
func (t *Through) Learn(agent int, _ policy.Traits, signals []gym.Signal) {
	if t.err != nil || len(signals) == 0 {
		return
	}
	a := &t.agents[agent]
	number := signals[0].Session
	s := &a.sessions[number]
	live := a.open && number == len(a.sessions)-1
	thumbs := 0
	for _, sig := range signals {
		person := a.owner
		if sig.Rater != gym.Owner {
			person = t.people[sig.Rater]
		}
		thumb := sig.Source == gym.OwnerThumb || sig.Source == gym.GuestThumb
		if thumb {
			thumbs++
		}
		switch { // an answer of its own for each thumb, and for a reviewer, where there still can be one
		case sig.Source == gym.Implicit:
			for live && len(s.replies) < turns(sig.Value) && t.err == nil {
				t.talk(a, number, s.speaker)
			}
			continue
		case sig.Source == gym.Review && (!live || s.speaker == a.owner):
			continue
		case sig.Source == gym.Review:
			t.talk(a, number, person)
		case thumb && live && thumbs > len(s.replies):
			t.talk(a, number, s.speaker)
		}
		last := s.replies[len(s.replies)-1]
		switch {
		case t.err != nil:
			return
		case thumb:
			t.try("a thumb", t.stage.Thumb(t.ctx, person, last.Message, sig.Value > 0))
		case sig.Source == gym.OwnerRating, sig.Source == gym.Review:
			t.try("a rating", t.stage.Rate(t.ctx, person, last.Session, levelOf(sig.Value)))
		case sig.Source == gym.TonePress:
			t.try("a tone button", t.stage.Tone(t.ctx, person, last.Message, sig.Trait, int(sig.Toward)))
		}
	}
	if live {
		t.end(a)
	}
}

// turns is how long somebody talks who is engaged by e: .5 two turns, .66 three,
// .83 four.
func turns(e float64) int { return min(max(int(math.Round(6*e-1)), 1), 6) }

// levelOf is the word nearest to a rating's value.
func levelOf(value float64) string {
	switch {
	case value >= .75:
		return "loved"
	case value >= .125:
		return "good"
	case value >= -.625:
		return "meh"
	}
	return "not_great"
}

// Policy reads what is published once everything said has taken effect.
func (t *Through) Policy(agent int) policy.Traits {
	a := &t.agents[agent]
	if t.err != nil || !t.try("waiting for what was said", t.stage.Settle(t.ctx)) {
		return a.start
	}
	p, err := t.stage.Policy(t.ctx, a.id)
	if !t.try("reading a policy", err) {
		return a.start
	}
	return p
}
