package web

import (
	"context"
	"net/http"
	"time"

	"rapport/event"
)

// Operators lists what waits for an operator; forbidden to anybody else.
type Operators interface {
	Aside(ctx context.Context) ([]Aside, error)
}

// Aside is a review that was set aside until a person has looked.
type Aside struct {
	ID       event.FeedbackID
	Reviewer event.PersonID
	At       time.Time
	Marks    [3]string // character, help, kindness
	Note     string
	Seconds  float64 // that it took
	Because  []string
	Appeal   string
	Refused  bool // it was refused before, and appealed
}

type operatorView struct {
	Aside []Aside
	Rules []Rules
}

// operator is where a person looks before anything is decided about a review, and decides about
// mapping rules.
func (s *site) operator(r *http.Request) (page, error) {
	var v operatorView
	var err error
	if v.Aside, err = s.Aside(r.Context()); err != nil {
		return page{}, err
	}
	v.Rules, err = s.MappingRules(r.Context())
	return page{Name: "operator", Title: "Operating", View: v}, err
}
