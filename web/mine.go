package web

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"time"

	"rapport/event"
)

// Holdings tells the visitor what is held of them, with their feedback from a cursor
// on, the empty one for the newest.
type Holdings interface {
	Holding(ctx context.Context, cursor string) (Holding, error)
}

// Holding is what is held of somebody, and what they allowed.
type Holding struct {
	Handle   string
	Since    time.Time
	Parts    []Part
	Rooms    []Room    // by name
	Readable bool      // reviewers may read where no word on an agent says otherwise
	Words    []Word    // on agents, by name
	Emoji    []Meaning // by emoji
	Given    []Given
	More     string // cursor of older feedback, when there is some
	Tokens   []Token
	Spent    []string // what the visitor's agents used today, the sum first; none where it is not counted
}

// Part is what one part of the service holds, in sentences.
type Part struct {
	Name string
	Says []string
}

// Room is one where the visitor is.
type Room struct {
	ID      event.RoomID
	Name    string
	Consent bool // signals from what they do there may be used
}

// Word is whether reviewers may read what the visitor says with an agent.
type Word struct {
	ID      event.AgentID
	Name    string
	Consent bool
}

// Meaning is what an emoji under messages of the visitor's agents means to them, from
// −1, displeased, to 1, pleased.
type Meaning struct {
	Emoji string
	Level float64
}

// meanings are those that can be chosen.
var meanings = []struct {
	Level float64
	Says  string
}{{1, "very pleased"}, {.5, "pleased"}, {0, "nothing at all"}, {-.5, "displeased"}, {-1, "very displeased"}}

// Says is the meaning in words.
func (m Meaning) Says() string {
	nearest := meanings[0]
	for _, x := range meanings {
		if math.Abs(x.Level-m.Level) < math.Abs(nearest.Level-m.Level) {
			nearest = x
		}
	}
	return nearest.Says
}

// Forgets is what takes the meaning back.
func (m Meaning) Forgets() (string, error) {
	body, err := json.Marshal(map[string]any{"emoji": m.Emoji, "meaning": nil})
	return string(body), err
}

// Given is one piece of the visitor's feedback.
type Given struct {
	ID     event.FeedbackID
	At     time.Time
	Agent  string // its name
	What   string
	Text   string // a comment or correction
	Status string // stored, superseded, retracted, waiting, lost
	Part   bool   // of a correction, with which it goes

	Noticed bool // what they did, not what they said
}

// Said is the feedback that the visitor gave.
func (h Holding) Said() []Given { return given(h.Given, false) }

// Noticed are the signals that they did not have to give.
func (h Holding) Noticed() []Given { return given(h.Given, true) }

func given(all []Given, noticed bool) (out []Given) {
	for _, g := range all {
		if g.Noticed == noticed {
			out = append(out, g)
		}
	}
	return out
}

// Standing says a status in plain words; nothing where it counts.
func (g Given) Standing() string {
	return map[string]string{"superseded": "replaced by a newer one", "retracted": "taken back", "waiting": "waits for what it is about", "lost": "what it is about never came"}[g.Status]
}

// Token lets a program act for the visitor.
type Token struct {
	ID     string
	Name   string
	Scopes string
	Since  time.Time
}

type mineView struct {
	Holding
	First bool
}

// mine shows somebody what is held of them, and lets them take it away, allow it,
// take it back and end it.
func (s *site) mine(r *http.Request) (page, error) {
	cursor := r.URL.Query().Get("after")
	h, err := s.Holding(r.Context(), cursor)
	return page{Name: "mine", Title: "My data", View: mineView{h, cursor == ""}}, err
}
