package web

import (
	"context"
	"net/http"
	"time"
)

// Ledgers tells the visitor their mentor points and what these buy, with entries from
// a cursor on.
type Ledgers interface {
	Ledger(ctx context.Context, cursor string) (Ledger, error)
}

// Ledger is what somebody has, for themselves alone.
type Ledger struct {
	Points  int64
	Today   int64
	Cap     int64 // of a day
	Frozen  bool
	Wares   []Ware
	Looks   []Look
	Agents  []Card // who can wear one, by name
	Entries []Entry
	More    string
	Places  string // how many agents they have and may have
	Replies string // how many replies they got today and may get
}

// Ware is something that points buy.
type Ware struct {
	Item    string
	Says    string
	Costs   int64
	Missing int64 // points until it can be had
}

// Look is a frame around an agent.
type Look struct {
	Name    string
	Costs   int64
	Missing int64
}

// Entry is a row of the ledger.
type Entry struct {
	ID     string
	At     time.Time
	Amount int64
	What   string
	Pass   bool // ID is the pass for a special room
}

type pointsView struct {
	Ledger
	First bool
}

// points shows what somebody has and lets them spend it.
func (s *site) points(r *http.Request) (page, error) {
	cursor := r.URL.Query().Get("after")
	l, err := s.Ledger(r.Context(), cursor)
	return page{Name: "points", Title: "Your points", View: pointsView{l, cursor == ""}}, err
}

// Commons lists the goals that belong to everyone.
type Commons interface {
	Goals(ctx context.Context) ([]Goal, error)
}

// Goal is one of everybody together, with nobody's part.
type Goal struct {
	ID       string
	Title    string
	Counts   string // what, in words
	Target   int64
	Together int64 // at least; below Few nothing is shown
	Few      bool
	Brings   string
	Starts   time.Time
	Ends     time.Time
	Reached  time.Time // zero until it is
	State    string    // soon, going, over, reached
}

// goals shows what everybody is doing together.
func (s *site) goals(r *http.Request) (page, error) {
	all, err := s.Goals(r.Context())
	return page{Name: "goals", Title: "Together", View: all}, err
}
