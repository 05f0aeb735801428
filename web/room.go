package web

import (
	"context"
	"net/http"
	"time"

	"rapport/event"
)

// Rooms shows rooms of several people and agents.
type Rooms interface {
	// Groups lists the visitor's by name.
	Groups(ctx context.Context) ([]Group, error)
	// Group gives one of them; not_found to anybody who is not in it.
	Group(ctx context.Context, id event.RoomID) (Group, error)
}

// Group is a room of several people and agents, as somebody in it sees it.
type Group struct {
	ID      event.RoomID
	Name    string // its title, or who else is there
	With    string // who else is there, where it has a title
	Me      event.PersonID
	Consent bool // signals from what the visitor does there may be used
	Members []Present
	Others  []Card // the visitor's agents that are not there; of one room only
	Evening *Evening
}

// Present is somebody in a room.
type Present struct {
	ID           string
	Name         string
	Agent, Yours bool
	Me, MayGo    bool // the visitor; somebody whom the visitor may take out
}

// Evening is a room with a theme and an end.
type Evening struct {
	Theme string
	Ends  time.Time
	Over  bool
}

// Over says whether nothing can be said there any more.
func (g Group) Over() bool { return g.Evening != nil && g.Evening.Over }

// Agents are those in the room.
func (g Group) Agents() (out []Present) {
	for _, m := range g.Members {
		if m.Agent {
			out = append(out, m)
		}
	}
	return out
}

type roomView struct {
	Group
	Said  said
	Note  string
	Label string
}

// room is a talk of several.
func (s *site) room(r *http.Request) (page, error) {
	g, err := s.Group(r.Context(), event.RoomID(r.PathValue("room")))
	if err != nil {
		return page{}, err
	}
	owner := false
	for _, m := range g.Members {
		owner = owner || m.Yours
	}
	return page{Name: "room", Title: g.Name, View: roomView{g, s.said(owner, true), s.Note, s.Label}}, nil
}

// join lets somebody in who has a link; its secret is the module's business.
func (s *site) join(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, http.StatusOK, page{Name: "join", Title: "An invitation"})
}
