package web

import (
	"context"
	"net/http"
	"time"

	"rapport/event"
)

// Mentors tells the visitor their own part in reviewing, with what they wrote from a
// cursor on, the empty one for the newest.
type Mentors interface {
	Mentor(ctx context.Context, cursor string) (Mentor, error)
}

// Mentor is somebody's part in reviewing. The exchange that lies before them is no
// part of it: asking for it may give them one, which a page does not do.
type Mentor struct {
	State   string // none, invited, active, left, excluded
	Reason  string // of an exclusion
	Left    int    // exchanges that today has
	Regard  string // unknown, fully, partly, little
	Written []Review
	More    string
}

// Regarded says in plain words what the marks count with learning.
func (m Mentor) Regarded() string {
	return map[string]string{
		"fully":  "Your marks count fully with learning.",
		"partly": "Your marks count in part with learning: your taste differs a little from the owners'. That is no fault.",
		"little": "Your marks count little with learning: your taste differs from the owners'. That is no fault, and your notes help all the same.",
	}[m.Regard]
}

// Review is one review: to its author without the agent, to the owner without the
// author.
type Review struct {
	ID        event.FeedbackID
	At        time.Time
	Marks     [3]string // character, help, kindness
	Note      string
	State     string // counted, aside, refused, withdrawn
	Findings  []string
	Explained string
	Reason    string
	Appealed  bool
	Helpful   bool
}

// Appealable says whether its author can add words for who looks at it.
func (r Review) Appealable() bool {
	return (r.State == "aside" || r.State == "refused") && !r.Appealed
}

// Standing says the state in plain words.
func (r Review) Standing() string {
	return map[string]string{"counted": "counts", "aside": "set aside until a person has looked", "refused": "does not count", "withdrawn": "taken back"}[r.State]
}

type reviewsView struct {
	Mentor
	First bool
}

// reviews is the desk of a reviewer.
func (s *site) reviews(r *http.Request) (page, error) {
	cursor := r.URL.Query().Get("after")
	m, err := s.Mentor(r.Context(), cursor)
	return page{Name: "reviews", Title: "Reviewing", View: reviewsView{m, cursor == ""}}, err
}
