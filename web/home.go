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

// perPage is how many agents a page lists.
const perPage = 60

type homeView struct {
	Cards []Card
	First bool          // page
	Next  event.AgentID // the last one here, when there are more
	Note  string
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
	return page{Name: "home", Title: "Your agents", View: v}, nil
}
