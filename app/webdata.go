package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport/chat"
	"rapport/event"
	"rapport/feedback"
	"rapport/gateway"
	"rapport/internal/authz"
	"rapport/web"
)

// shownRooms is how many of somebody's rooms a page lists.
const shownRooms = 200

// Holding answers what is held of the person who looks.
func (r reader) Holding(ctx context.Context, cursor string) (h web.Holding, err error) {
	p := authz.From(ctx)
	me, err := r.Accounts.Get(ctx, p.Person)
	if err != nil {
		return h, err
	}
	h.Handle, h.Since, h.Parts = me.Handle, time.UnixMicro(me.CreatedAt), r.heldParts()
	rooms, err := r.Chat.Rooms(ctx, "", shownRooms)
	if err != nil {
		return h, err
	}
	h.Rooms = roomsOf(rooms, p.Person)
	if h.Readable, h.Words, err = r.wordsOf(ctx, rooms); err != nil {
		return h, err
	}
	emoji, err := r.Feedback.Meanings(ctx, p)
	if err != nil {
		return h, err
	}
	for _, m := range emoji.Meanings {
		h.Emoji = append(h.Emoji, web.Meaning{Emoji: m.Emoji, Level: *m.Meaning})
	}
	page, err := r.Feedback.List(ctx, p, "", cursor, true)
	if err != nil {
		return h, err
	}
	h.More = page.Next
	if h.Given, err = r.givenOf(ctx, append(page.Waiting, page.Items...)); err != nil {
		return h, err
	}
	if h.Spent, err = r.spentOf(ctx); err != nil {
		return h, err
	}
	tokens, err := r.Accounts.Tokens(ctx, p)
	for _, t := range tokens {
		scopes := make([]string, len(t.Scopes))
		for i, s := range t.Scopes {
			scopes[i] = string(s)
		}
		h.Tokens = append(h.Tokens, web.Token{ID: t.ID, Name: t.Name, Scopes: strings.Join(scopes, ", "), Since: time.UnixMicro(t.CreatedAt)})
	}
	return h, err
}

// spentOf says what the visitor's agents used today, where that is counted.
func (r reader) spentOf(ctx context.Context) (out []string, err error) {
	s, err := r.Gateway.SpendingOf(ctx)
	if err != nil || !s.Counted {
		return nil, err
	}
	out = append(out, "All together: "+usedWords(s.Spent))
	for _, a := range s.Agents {
		if a.Tokens > 0 || a.TokenLimit > 0 || a.CostLimit > 0 {
			out = append(out, a.Slug+": "+usedWords(a.Spent))
		}
	}
	return out, nil
}

// usedWords says what was used of what may be.
func usedWords(s gateway.Spent) string {
	words := ofLimit(grouped(s.Tokens), s.TokenLimit > 0, grouped(s.TokenLimit)) + " tokens"
	if s.Cost > 0 || s.CostLimit > 0 {
		money := func(x float64) string { return strconv.FormatFloat(x, 'f', 4, 64) }
		words += ", cost " + ofLimit(money(s.Cost), s.CostLimit > 0, money(s.CostLimit))
	}
	return words
}

// grouped writes a number with a comma between thousands.
func grouped(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return grouped(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

func ofLimit(used string, limited bool, most string) string {
	if !limited {
		return used
	}
	return used + " of " + most
}

// heldParts says what each part of the service holds, in the words of the export.
func (r reader) heldParts() (out []web.Part) {
	names := map[string]string{"account": "Your account", "agent": "Your agents", "chat": "Your talks", "feedback": "Feedback and reviews", "gateway": "Replies", "learning": "Closeness"}
	for _, x := range r.mine() {
		if n := len(out); n == 0 || out[n-1].Name != names[x.context] {
			out = append(out, web.Part{Name: names[x.context]})
		}
		last := &out[len(out)-1]
		last.Says = append(last.Says, x.Says)
	}
	return out
}

// roomsOf names rooms by their title, or by who else is there.
func roomsOf(rooms []chat.Room, me event.PersonID) (out []web.Room) {
	for _, one := range rooms {
		name := cmp.Or(one.Title, others(one, me))
		out = append(out, web.Room{ID: one.ID, Name: name, Consent: one.Consent != nil && *one.Consent})
	}
	slices.SortFunc(out, func(a, b web.Room) int { return strings.Compare(a.Name+string(a.ID), b.Name+string(b.ID)) })
	return out
}

// wordsOf gives the word on reviewers: in general, and on every agent that the person
// talks with or has said something on.
func (r reader) wordsOf(ctx context.Context, rooms []chat.Room) (everywhere bool, out []web.Word, err error) {
	c, err := r.Feedback.ReviewConsentOf(ctx, authz.From(ctx))
	if err != nil {
		return false, nil, err
	}
	said := map[event.AgentID]bool{}
	for _, room := range rooms {
		for _, m := range room.Members {
			if m.AgentID != "" {
				said[m.AgentID] = c.Everywhere
			}
		}
	}
	for _, w := range c.Agents {
		said[w.AgentID] = w.Consent
	}
	names, err := r.nameAgents(ctx, said)
	for id, consent := range said {
		if names[id] != "" {
			out = append(out, web.Word{ID: id, Name: names[id], Consent: consent})
		}
	}
	slices.SortFunc(out, func(a, b web.Word) int {
		return strings.Compare(a.Name+string(a.ID), b.Name+string(b.ID))
	})
	return c.Everywhere, out, err
}

func (r reader) nameAgents(ctx context.Context, of map[event.AgentID]bool) (map[event.AgentID]string, error) {
	var ids []event.AgentID
	for id := range of {
		if id != "" {
			ids = append(ids, id)
		}
	}
	return r.parts.Agents.AgentNames(ctx, ids)
}

func (r reader) givenOf(ctx context.Context, items []feedback.Item) (out []web.Given, err error) {
	about := map[event.AgentID]bool{}
	for _, i := range items {
		about[i.AgentID] = true
	}
	names, err := r.nameAgents(ctx, about)
	for _, i := range items {
		g := web.Given{ID: i.FeedbackID, At: time.UnixMicro(i.CreatedAt), Agent: names[i.AgentID], What: whatOf(i), Text: i.Comment, Status: i.Status, Part: i.PartOf != "", Noticed: i.Source == "implicit"}
		if i.Correction != "" {
			g.Text = i.Correction
		}
		out = append(out, g)
	}
	return out, err
}
