package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rapport/event"
	"rapport/feedback"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/web"
)

// Mentor answers a person's own part in reviewing.
func (r reader) Mentor(ctx context.Context, cursor string) (m web.Mentor, err error) {
	p := authz.From(ctx)
	me, err := r.Feedback.Mentoring(ctx, p)
	if err != nil {
		return m, err
	}
	m = web.Mentor{State: me.State, Reason: me.Reason, Regard: me.Regard}
	if me.Today != nil {
		m.Left = me.Today.Left
	}
	page, err := r.Feedback.Reviews(ctx, p, "", cursor)
	m.Written, m.More = reviewsOf(page), page.Next
	return m, err
}

func reviewsOf(page feedback.ReviewPage) (out []web.Review) {
	for _, x := range page.Items {
		out = append(out, web.Review{ID: x.ReviewID, At: time.UnixMicro(x.At), Marks: [3]string{x.Marks.InCharacter, x.Marks.Helpful, x.Marks.Kind}, Note: x.Note, State: x.State,
			Findings: x.Findings, Explained: x.Explained, Reason: x.Reason, Appealed: x.Appealed, Helpful: x.Helpful})
	}
	return out
}

// Ledger answers what a person has and what they can have for it.
func (r reader) Ledger(ctx context.Context, cursor string) (l web.Ledger, err error) {
	p := authz.From(ctx)
	own, err := r.Feedback.PointsOf(ctx, p, cursor)
	if err != nil {
		return l, err
	}
	l = web.Ledger{Points: own.Points, Today: own.Today, Cap: own.Cap, Frozen: own.Frozen, More: own.Next}
	for _, w := range own.Items {
		l.Wares = append(l.Wares, web.Ware{Item: w.Item, Says: w.Says, Costs: w.Costs, Missing: max(0, w.Costs-own.Points)})
	}
	for _, x := range own.Looks {
		l.Looks = append(l.Looks, web.Look{Name: x.Look, Costs: x.Costs, Missing: max(0, x.Costs-own.Points)})
	}
	list, err := r.parts.Agents.Called(ctx, shownRooms)
	if err != nil {
		return l, err
	}
	wears := map[event.AgentID]string{}
	for _, a := range list {
		l.Agents = append(l.Agents, web.Card{ID: a.ID, Slug: a.Slug, Name: a.Name})
		wears[a.ID] = a.Name
	}
	for _, e := range own.Entries {
		l.Entries = append(l.Entries, web.Entry{ID: e.EntryID, At: time.UnixMicro(e.At), Amount: e.Amount, What: entryWords(e, wears[e.AgentID]), Pass: e.Item == event.ItemEvening})
	}
	places, err := r.parts.Agents.PlacesOf(ctx)
	if err != nil {
		return l, err
	}
	l.Places = outOf(places.Agents, places.Places, "agents")
	replies, err := r.Gateway.RepliesOf(ctx)
	l.Replies = outOf(replies.Today, replies.Limit, "replies today")
	return l, err
}

// outOf says how many of how many; most 0 is as many as one likes.
func outOf(n, most int, what string) string {
	if most == 0 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d of %d %s", n, most, what)
}

// entryWords says a row of the ledger.
func entryWords(e feedback.PointEntry, wearer string) string {
	switch e.Kind {
	case "review":
		return "for a review"
	case "helpful":
		return "for a note that helped"
	case "taken_back":
		return "of a review that you took back"
	}
	if e.Item == event.ItemLook {
		if wearer == "" {
			wearer = "an agent"
		}
		return fmt.Sprintf("%s's frame, %s", wearer, e.Look)
	}
	return mentor.Says(e.Item)
}

// Goals answers what everybody does together.
func (r reader) Goals(ctx context.Context) (out []web.Goal, err error) {
	all, err := r.Feedback.Goals(ctx, authz.From(ctx))
	now := r.now()
	for _, g := range all {
		one := web.Goal{ID: g.GoalID, Title: g.Title, Counts: strings.ReplaceAll(g.Counts, "_", " "), Target: g.Target, Few: g.Together == nil, Starts: time.UnixMicro(g.StartsAt), Ends: time.UnixMicro(g.EndsAt), State: "going"}
		one.Brings = "the look " + g.Name + ", free for everyone"
		if g.Effect != "look" {
			one.Brings = "a new archetype for all: " + g.Name
		}
		if g.Together != nil {
			one.Together = *g.Together
		}
		switch {
		case g.ReachedAt > 0:
			one.State, one.Reached = "reached", time.UnixMicro(g.ReachedAt)
		case now.Before(one.Starts):
			one.State = "soon"
		case !now.Before(one.Ends):
			one.State = "over"
		}
		out = append(out, one)
	}
	return out, err
}

// Aside answers what waits for an operator to look.
func (r reader) Aside(ctx context.Context) (out []web.Aside, err error) {
	all, err := r.Feedback.ReviewsAside(ctx, authz.From(ctx))
	for _, x := range all {
		out = append(out, web.Aside{ID: x.ReviewID, Reviewer: x.ReviewerID, At: time.UnixMicro(x.At), Marks: [3]string{x.Marks.InCharacter, x.Marks.Helpful, x.Marks.Kind}, Note: x.Note,
			Seconds: x.Seconds, Because: x.Because, Appeal: x.Appeal, Refused: x.State == "refused"})
	}
	return out, err
}
