package cli

import (
	"net/http"
	"testing"
	"time"

	"rapport/event"
	"rapport/learning"
	"rapport/policy"
)

// All that people on the stage let be known reaches the learner, however quick they
// are: a rating at once after the answer, a guest's reaction, a rating by somebody
// who just spoke for the first time.
func TestTheStageIsHeard(t *testing.T) {
	t.Parallel()
	ctx, g := t.Context(), &globals{}
	s, end, err := g.stage(ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var people [3]event.PersonID // the owner, and two guests
	for i, name := range [...]string{"owner", "guest-1", "guest-2"} {
		people[i], err = s.AddPerson(ctx, name)
		try(err)
	}
	agent, err := s.AddAgentAt(ctx, people[0], "Luna", policy.Neutral())
	try(err)
	try(s.Settle(ctx))
	try(s.Host(ctx, agent, people[1:]))
	try(s.Settle(ctx))
	for range 2 {
		r, err := s.Talk(ctx, people[0], agent, "Hello!")
		try(err)
		try(s.Rate(ctx, people[0], r.Session, "good"))
		try(s.Thumb(ctx, people[0], r.Message, true))
		try(s.End(ctx, people[0], agent))
		r, err = s.Talk(ctx, people[1], agent, "Hello!")
		try(err)
		try(s.Thumb(ctx, people[2], r.Message, true))
		try(s.Rate(ctx, people[1], r.Session, "good"))
		try(s.Rate(ctx, people[0], r.Session, "loved"))
		try(s.End(ctx, people[1], agent))
		try(s.Settle(ctx))
		s.Advance(24 * time.Hour)
		try(s.Night(ctx))
		try(s.Settle(ctx))
	}
	var x learning.Explanation
	try(s.as(people[0]).Do(ctx, http.MethodGet, "/v1/agents/"+string(agent)+"/explanation", nil, &x))
	heard := map[string]int{}
	for _, r := range x.Ratings { // the newest twenty
		if r.Used || r.NotUsed == "share_used_up" {
			heard[r.By+" "+r.Channel]++
		} else {
			t.Errorf("%s %s: %s", r.By, r.Channel, r.NotUsed)
		}
	}
	for _, what := range []string{"you session", "you thumb", "you behaviour", "a guest session", "a guest reaction"} {
		if heard[what] == 0 {
			t.Errorf("not heard: %s, only %v", what, heard)
		}
	}
}
