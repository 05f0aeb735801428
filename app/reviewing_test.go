package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rapport/agent"
	"rapport/chat"
	"rapport/event"
	"rapport/feedback"
	"rapport/gateway"
)

// told lets somebody talk with an agent once and end it.
func (c *companion) told(text string) {
	c.p.rig.t.Helper()
	at := c.tell(text)
	c.p.rig.ask("the agent answers", func() bool {
		var page roomPage
		c.p.must("GET", fmt.Sprintf("/v1/rooms/%s/messages?after=%d", c.room, at), nil, &page)
		return len(page.Messages) > 0 && page.Messages[0].DecisionID != ""
	})
	c.p.rig.settle()
	c.p.must("POST", "/v1/rooms/"+c.room+"/end", nil, nil)
	c.p.rig.settle()
}

const constructive = "It takes the worry seriously and asks one thing; a concrete first step would make it better still."

// reviewed lives through a reviewer's first days: asked, given three exchanges of bob's
// with ada's agent, of which one is reviewed with care, one put away and one in no time
// with an insult.
func (r *rig) reviewed(ada, bob, carl *person, luna *companion) (counted event.FeedbackID) {
	r.t.Helper()
	guest := luna.with(bob)
	ada.must("PUT", "/v1/me/review-consent", map[string]any{"agentId": luna.ID, "consent": true}, nil)
	bob.must("PUT", "/v1/me/review-consent", map[string]any{"consent": true}, nil)
	var consent feedback.ReviewConsent
	bob.must("GET", "/v1/me/review-consent", nil, &consent)
	r.admin.must("POST", "/v1/admin/reviewers", map[string]any{"personId": carl.ID}, nil)
	r.admin.must("GET", "/v1/admin/reviewers", nil, nil)
	carl.must("POST", "/v1/reviews/invitation", map[string]any{"accept": true}, nil)
	var me feedback.Reviewer
	carl.must("GET", "/v1/reviews/me", nil, &me)
	if !consent.Everywhere || me.State != "active" || me.Today.Left == 0 {
		r.t.Errorf("%+v %+v", consent, me)
	}
	next := func() (d feedback.Desk) {
		carl.must("GET", "/v1/reviews/next", nil, &d)
		return d
	}
	if d := next(); d.Code != "nothing_now" {
		r.t.Errorf("%+v", d)
	}
	guest.told("Luna, I worry about tomorrow")
	d := next()
	if len(d.Exchange) != 2 || d.Exchange[0].Who != "person A" || d.Exchange[0].Text != "[…], I worry about tomorrow" || d.Exchange[1].Who != "the agent" {
		r.t.Fatalf("%+v", d)
	}
	r.clock.advance(time.Minute)
	review := map[string]any{"marks": map[string]string{"inCharacter": "clearly", "helpful": "mostly", "kind": "clearly"}, "note": constructive}
	var given feedback.ReviewReceipt
	carl.must("POST", "/v1/reviews/"+d.AssignmentID, review, &given)
	r.settle()
	if given.State != "counted" {
		r.t.Errorf("%+v", given)
	}
	var got feedback.ReviewPage
	ada.must("GET", "/v1/reviews?agent="+string(luna.ID), nil, &got)
	if len(got.Items) != 1 || got.Items[0].Note != constructive {
		r.t.Errorf("%+v", got)
	}
	var page feedback.Page
	ada.must("GET", "/v1/feedback?agent="+string(luna.ID), nil, &page)
	seen := false
	for _, i := range page.Items {
		seen = seen || i.FeedbackID == given.ReviewID && i.By == "a reviewer" && i.Kind == event.ChannelReview
	}
	if !seen {
		r.t.Errorf("the owner does not see that a review counts: %+v", page.Items)
	}
	if told := ada.raw("GET", luna.path("/explanation"), nil); !strings.Contains(string(told.body), string(given.ReviewID)) {
		r.t.Errorf("learning has not taken the review: %s", told.body)
	}
	ada.must("PUT", "/v1/reviews/"+string(given.ReviewID)+"/helpful", map[string]bool{"helpful": true}, nil)

	guest.told("And what about the day after?")
	carl.must("POST", "/v1/reviews/"+next().AssignmentID+"/skip", nil, nil)

	guest.told("One more thing")
	review["note"] = "Only an idiot would answer somebody like that."
	var aside feedback.ReviewReceipt
	carl.must("POST", "/v1/reviews/"+next().AssignmentID, review, &aside)
	carl.must("POST", "/v1/reviews/"+string(aside.ReviewID)+"/appeal", map[string]string{"text": "I meant the weather."}, nil)
	var waiting struct{ Items []feedback.SetAside }
	r.admin.must("GET", "/v1/admin/reviews", nil, &waiting)
	if aside.State != "aside" || len(waiting.Items) != 1 || waiting.Items[0].Appeal == "" {
		r.t.Errorf("%+v %+v", aside, waiting)
	}
	r.admin.must("POST", "/v1/admin/reviews/"+string(aside.ReviewID)+"/verdict", map[string]string{"verdict": "refuse", "reason": "It puts people down."}, nil)
	carl.must("DELETE", "/v1/reviews/"+string(aside.ReviewID), nil, nil)
	carl.must("GET", "/v1/reviews", nil, nil)

	end := r.clock.Now().Add(7 * 24 * time.Hour).UnixMicro()
	var goal feedback.Goal
	r.admin.must("POST", "/v1/admin/goals", map[string]any{"title": "Together, 500 helpful notes this week", "counts": "helpful_notes", "target": 500, "endsAt": end, "effect": "archetype", "name": "storyteller"}, &goal)
	var goals struct{ Items []feedback.Goal }
	bob.must("GET", "/v1/goals", nil, &goals)
	if len(goals.Items) != 1 || goals.Items[0].Together != nil {
		r.t.Errorf("one person's part can be seen: %+v", goals)
	}
	r.admin.must("DELETE", "/v1/admin/goals/"+goal.GoalID, nil, nil)
	ada.must("GET", "/v1/me/places", nil, nil)
	ada.must("GET", "/v1/me/replies", nil, nil)
	ada.must("GET", "/v1/me/spending", nil, nil)
	return given.ReviewID
}

// TestPointsBuy: what points buy has its effect, and not before.
func TestPointsBuy(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir(), func(c *Config) {
		c.Points.Slot, c.Points.Look, c.Points.Replies, c.Points.Evening = 1, 1, 1, 1
		c.Agents.Places, c.Agents.Replies = 1, 2
	})
	ada, bob, carl := r.person("Ada"), r.person("Bob"), r.person("Carl")
	luna := ada.make("Luna", nil)
	mine := carl.make("Mine", nil)
	_, err := r.dbs["gateway"].Dump(t.Context(), "boosts")
	if err != nil {
		t.Fatal(err)
	}
	refused := func(a answer, status int, code string) {
		t.Helper()
		if a.status != status || a.problem().Code != code {
			t.Errorf("%d %s, want %d %s", a.status, a.body, status, code)
		}
	}
	spend := func(item map[string]any) answer { return carl.send("POST", "/v1/points/spend", item) }
	refused(spend(map[string]any{"item": "slot"}), 409, "not_enough_points")
	refused(spend(map[string]any{"item": "slots"}), 422, "invalid_request")

	// Bob gets three answers: the third only when the day has passed.
	r.reviewedSlowly(ada, bob, carl, luna)
	var points feedback.Points
	carl.must("GET", "/v1/points", nil, &points)
	if points.Points != 4 {
		t.Fatalf("%+v", points)
	}
	refused(carl.send("POST", "/v1/agents", map[string]any{"name": "Second"}), 409, "no_place_left")
	bought := func(item map[string]any) (b feedback.Bought) {
		t.Helper()
		carl.must("POST", "/v1/points/spend", item, &b)
		r.settle()
		return b
	}
	bought(map[string]any{"item": "slot"})
	carl.must("POST", "/v1/agents", map[string]any{"name": "Second"}, nil)
	var places agent.Places
	carl.must("GET", "/v1/me/places", nil, &places)
	if places != (agent.Places{Agents: 2, Places: 2}) {
		t.Errorf("%+v", places)
	}
	bought(map[string]any{"item": "look", "agentId": mine.ID, "look": "ember"})
	var face agent.Agent
	bob.must("GET", mine.path(""), nil, &face)
	if face.Look != "ember" {
		t.Errorf("%+v", face)
	}
	ask := func() int {
		return carl.send("POST", "/v1/chat/completions", map[string]any{"model": "agent/" + mine.Slug, "messages": []any{map[string]string{"role": "user", "content": "hello"}}}).status
	}
	if a, b, c := ask(), ask(), ask(); a != 200 || b != 200 || c != 429 {
		t.Errorf("%d %d %d", a, b, c)
	}
	bought(map[string]any{"item": "replies"})
	if a, b, c := ask(), ask(), ask(); a != 200 || b != 200 || c != 429 {
		t.Errorf("twice as many: %d %d %d", a, b, c)
	}
	var replies gateway.Replies
	carl.must("GET", "/v1/me/replies", nil, &replies)
	if replies.Limit != 4 || replies.Today != 4 || replies.Doubled == 0 {
		t.Errorf("%+v", replies)
	}
	pass := bought(map[string]any{"item": "evening"})
	var room chat.Room
	carl.must("POST", "/v1/rooms", map[string]any{"title": "Fire", "evening": map[string]string{"pass": pass.SpendID, "theme": "Ghosts"}}, &room)
	refused(ada.send("POST", "/v1/rooms", map[string]any{"evening": map[string]string{"pass": pass.SpendID, "theme": "Ghosts"}}), 404, "pass_unknown")
	carl.must("POST", "/v1/rooms/"+string(room.ID)+"/messages", map[string]string{"text": "Once upon a time"}, nil)
	r.clock.advance(chat.EveningLength)
	refused(carl.send("POST", "/v1/rooms/"+string(room.ID)+"/messages", map[string]string{"text": "and"}), 403, "room_over")
	carl.must("GET", "/v1/points", nil, &points)
	if points.Points != 0 || len(points.Entries) != 6 {
		t.Errorf("%+v", points)
	}

	// Nobody else sees a row or a sum, and the log tells no amounts.
	for _, who := range []*person{ada, bob} {
		var theirs feedback.Points
		who.must("GET", "/v1/points", nil, &theirs)
		if theirs.Points != 0 || len(theirs.Entries) != 0 {
			t.Errorf("%+v", theirs)
		}
	}
	var rebuilt []Rebuilt
	r.admin.must("POST", "/v1/admin/rebuild", map[string]bool{"check": true}, &rebuilt)
	tables := map[string]bool{}
	for _, b := range rebuilt {
		tables[b.Context+"."+b.Table] = true
		if !b.Equal {
			t.Errorf("%s.%s differs from a replay", b.Context, b.Table)
		}
	}
	for _, table := range []string{"agent.places", "agent.looks", "gateway.boosts", "chat.passes", "feedback.reputations"} {
		if !tables[table] {
			t.Errorf("%s is not rebuilt", table)
		}
	}
}

// reviewedSlowly is one review that counts and helps, of a talk of bob's.
func (r *rig) reviewedSlowly(ada, bob, carl *person, luna *companion) {
	r.t.Helper()
	for _, p := range []*person{ada, bob} {
		p.must("PUT", "/v1/me/review-consent", map[string]any{"consent": true}, nil)
	}
	r.admin.must("POST", "/v1/admin/reviewers", map[string]any{"personId": carl.ID}, nil)
	carl.must("POST", "/v1/reviews/invitation", map[string]any{"accept": true}, nil)
	luna.with(bob).told("I worry about tomorrow")
	var d feedback.Desk
	carl.must("GET", "/v1/reviews/next", nil, &d)
	r.clock.advance(time.Minute)
	var given feedback.ReviewReceipt
	carl.must("POST", "/v1/reviews/"+d.AssignmentID, map[string]any{"marks": map[string]string{"inCharacter": "clearly", "helpful": "mostly", "kind": "clearly"}, "note": constructive}, &given)
	ada.must("PUT", "/v1/reviews/"+string(given.ReviewID)+"/helpful", map[string]bool{"helpful": true}, nil)
}

// TestNoWordsOfReviews: notes, appeals and reasons are nowhere but in their tables.
func TestNoWordsOfReviews(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, bob, carl := r.person("Ada"), r.person("Bob"), r.person("Carl")
	r.reviewed(ada, bob, carl, ada.make("Luna", nil))
	r.settle()
	a := r.admin.raw("GET", "/v1/admin/export/events", nil)
	for _, words := range []string{"a concrete first step", "Only an idiot", "the weather", "puts people down"} {
		if a.status != 200 || strings.Contains(string(a.body), words) {
			t.Errorf("%d: the log says %q", a.status, words)
		}
	}
}
