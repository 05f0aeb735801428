package app

import (
	"context"
	"slices"
	"strings"

	"rapport/chat"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/web"
)

// Groups answers which rooms of several the person who looks is in.
func (r reader) Groups(ctx context.Context) (out []web.Group, err error) {
	rooms, err := r.Chat.Groups(ctx, shownRooms)
	for _, one := range rooms {
		out = append(out, groupOf(one, authz.From(ctx).Person))
	}
	slices.SortFunc(out, func(a, b web.Group) int { return strings.Compare(a.Name+string(a.ID), b.Name+string(b.ID)) })
	return out, err
}

// Group answers who is in a room of several.
func (r reader) Group(ctx context.Context, id event.RoomID) (web.Group, error) {
	me := authz.From(ctx).Person
	room, err := r.Chat.Room(ctx, id)
	if err == nil && (room.Direct || room.Consent == nil) { // an operator is shown rooms that they are not in
		err = fault.New(fault.NotFound, "room_unknown", "There is no such room among yours.")
	}
	if err != nil {
		return web.Group{}, err
	}
	g := groupOf(room, me)
	list, err := r.parts.Agents.Called(ctx, shownRooms)
	for _, a := range list {
		if !slices.ContainsFunc(room.Members, func(m chat.RoomMember) bool { return m.AgentID == a.ID }) {
			g.Others = append(g.Others, web.Card{ID: a.ID, Slug: a.Slug, Name: a.Name})
		}
	}
	return g, err
}

func groupOf(room chat.Room, me event.PersonID) web.Group {
	with := others(room, me)
	g := web.Group{ID: room.ID, Name: room.Title, With: with, Me: me, Consent: room.Consent != nil && *room.Consent}
	if g.Name == "" {
		g.Name, g.With = with, ""
	}
	if e := room.Evening; e != nil {
		g.Evening = &web.Evening{Theme: e.Theme, Ends: e.EndsAt, Over: e.Over}
	}
	for _, m := range room.Members {
		one := web.Present{ID: string(m.PersonID) + string(m.AgentID), Name: m.Name, Agent: m.AgentID != "", Yours: m.Yours, Me: m.PersonID == me, MayGo: m.MayRemove}
		if one.Name == "" {
			one.Name = "somebody"
		}
		g.Members = append(g.Members, one)
	}
	return g
}

// others says who else is in a room; at most four by name.
func others(room chat.Room, me event.PersonID) string {
	const named = 4
	var names []string
	for _, m := range room.Members {
		if m.PersonID != me && m.Name != "" {
			names = append(names, m.Name)
		}
	}
	switch {
	case len(names) == 0:
		return "a room with nobody else"
	case len(names) > named:
		return strings.Join(names[:named], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
