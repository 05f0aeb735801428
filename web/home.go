package web

import (
	"context"
	"net/http"

	"rapport/event"
)

// Agents lists the visitor's agents by name, after one of them, at most limit.
type Agents interface {
	Agents(ctx context.Context, after event.AgentID, limit int) ([]Card, error)
}

// Card is an agent of the visitor in a list: no number, so that nothing compares.
type Card struct {
	ID          event.AgentID
	Slug        string
	Name        string
	Description string
	Stopped     bool
	Paused      bool
	Look        string // the frame it wears, if any
	Asking      Asking
}

// Beginnings are where a new agent can come from besides its owner's words.
type Beginnings interface {
	// Natives lists the platform's agents in the order of an editor.
	Natives(ctx context.Context) ([]Native, error)
	// Archetypes lists the kinds of owners that emerged, by id.
	Archetypes(ctx context.Context) ([]Archetype, error)
}

// Native is an agent of the platform, for everybody to talk with and to copy.
type Native struct {
	ID          event.AgentID
	Slug        string
	Name        string
	Description string
	Kind        string
}

// Archetype is where an agent may start that is made for such owners.
type Archetype struct {
	ID          int
	Description string
}

// perPage is how many agents a page lists.
const perPage = 30

type homeView struct {
	Cards []Card
	First bool          // page
	Next  event.AgentID // the last one here, when there are more
	Note  string

	Groups     []Group
	Natives    []Native
	Archetypes []Archetype
}

// home lists the visitor's agents and makes new ones.
func (s *site) home(r *http.Request) (page, error) {
	after := event.AgentID(r.URL.Query().Get("after"))
	cards, err := s.Agents(r.Context(), after, perPage+1)
	if err != nil {
		return page{}, err
	}
	v := homeView{Cards: cards, First: after == "", Note: s.Note}
	if len(cards) > perPage {
		v.Cards, v.Next = cards[:perPage], cards[perPage-1].ID
	}
	if v.Groups, err = s.Groups(r.Context()); err != nil {
		return page{}, err
	}
	if v.Natives, err = s.Natives(r.Context()); err != nil {
		return page{}, err
	}
	v.Archetypes, err = s.Archetypes(r.Context())
	return page{Name: "home", Title: "Your agents", View: v}, err
}
