package web

import (
	"context"
	"net/http"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/policy"
)

// Faces shows an agent as the visitor may see it, by id or short name.
type Faces interface {
	Face(ctx context.Context, ref string) (Face, error)
}

// Face is an agent's public side.
type Face struct {
	ID          event.AgentID
	Slug        string
	Name        string
	Description string
	Look        string // the frame it wears, if any
	Yours       bool

	Greeting string // of an agent of yours
	Stopped  bool
}

// Reason is one word for why an answer was good or bad.
type Reason struct {
	Name string
	Good bool
}

// usual are the bad reasons that are shown at once; the others fold away.
var usual = map[string]bool{"too_long": true, "too_short": true, "unkind": true, "too_vague": true, "wrong": true, "off_topic": true, "unclear": true}

// Usual says whether a reason is in sight.
func (r Reason) Usual() bool { return r.Good || usual[r.Name] }

// Tone is a trait with the words for more and for less of it.
type Tone struct{ Trait, More, Less string }

// tonePairs are the tone buttons by trait.
func tonePairs() []Tone {
	var all [policy.NTraits]Tone
	for _, b := range policy.ToneButtons() {
		t := &all[b.Trait]
		t.Trait = b.Trait.String()
		if b.Sign > 0 {
			t.More = b.Name
		} else {
			t.Less = b.Name
		}
	}
	return all[:]
}

// Mood is an emoji to react with, in a word.
type Mood struct{ Emoji, Says string }

var everyMood = []Mood{{"👍", "like"}, {"❤️", "love"}, {"😂", "funny"}, {"😮", "surprising"}, {"🤔", "puzzling"}, {"😢", "sad"}, {"👎", "dislike"}}

// said is what messages are put together from: with what owners press under the
// answers of their agents, and what everybody can put under what others say.
type said struct {
	Owner   bool
	Tones   []Tone
	Reasons []Reason
	Moods   []Mood
}

func (s *site) said(owner, moods bool) said {
	out := said{Owner: owner, Tones: tonePairs(), Reasons: s.Reasons}
	if moods {
		out.Moods = everyMood
	}
	return out
}

type talkView struct {
	Face
	Me    event.PersonID
	Said  said
	Note  string
	Label string
}

// talk is the room of the visitor and an agent. What was said comes from the API
// and its stream; the page has the parts it is put together from.
func (s *site) talk(r *http.Request) (page, error) {
	f, err := s.Face(r.Context(), r.PathValue("agent"))
	if err != nil {
		return page{}, err
	}
	return page{Name: "talk", Title: f.Name, View: talkView{f, authz.From(r.Context()).Person, s.said(f.Yours, !f.Yours), s.Note, s.Label}}, nil
}
