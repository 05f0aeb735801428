package web

import (
	"context"
	"net/http"

	"rapport/event"
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
	Yours       bool

	Greeting string // of an agent of yours
	Stopped  bool
}

type talkView struct {
	Face
	Tones []policy.ToneButton
	Note  string
	Label string
}

// talk is the room of the visitor and an agent. What was said comes from the API
// and its stream; the page has the parts it is put together from.
func (s *site) talk(r *http.Request) (page, error) {
	f, err := s.Faces.Face(r.Context(), r.PathValue("agent"))
	if err != nil {
		return page{}, err
	}
	return page{Name: "talk", Title: f.Name, View: talkView{f, policy.ToneButtons(), s.Note, s.Label}}, nil
}
