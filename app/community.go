package app

import (
	"context"

	"rapport/chat"
	"rapport/event"
	"rapport/feedback"
	"rapport/feedback/mentor"
)

// community is what people may have, and what reviews bring and points buy.
type community struct {
	Agents struct {
		Places  int `koanf:"places"`
		Replies int `koanf:"replies"`
	} `koanf:"agents"`
	Reviews struct {
		PerDay int `koanf:"per_day"`
	} `koanf:"reviews"`
	Points struct {
		PerDay  int64 `koanf:"per_day"`
		Slot    int64 `koanf:"slot"`
		Look    int64 `koanf:"look"`
		Replies int64 `koanf:"replies"`
		Evening int64 `koanf:"evening"`
	} `koanf:"points"`
}

func communitySettings() []Setting {
	return []Setting{
		{Key: "agents.places", Default: 10, Doc: "agents that a person may have before they buy more places with mentor points; operators are not counted; 0 for no limit"},
		{Key: "agents.replies", Default: 2000, Doc: "replies that a person gets in a day (UTC) from all agents together, twice as many for 24 hours when they bought that; 0 for no limit"},
		{Key: "reviews.per_day", Default: 10, Doc: "exchanges that a reviewer is given in a day (UTC)"},
		{Key: "points.per_day", Default: 10, Doc: "mentor points that a day brings at most"},
		{Key: "points.slot", Default: 100, Doc: "points for a place for one more agent"},
		{Key: "points.look", Default: 20, Doc: "points for a frame around an agent"},
		{Key: "points.replies", Default: 10, Doc: "points for twice the replies for 24 hours"},
		{Key: "points.evening", Default: 15, Doc: "points for a special room for an evening"},
	}
}

// values are the settings in force, by key.
func (c community) values() map[string]int64 {
	return map[string]int64{
		"agents.places": int64(c.Agents.Places), "agents.replies": int64(c.Agents.Replies), "reviews.per_day": int64(c.Reviews.PerDay), "points.per_day": c.Points.PerDay,
		"points.slot": c.Points.Slot, "points.look": c.Points.Look, "points.replies": c.Points.Replies, "points.evening": c.Points.Evening,
	}
}

// reviewRules are the numbers of reviewing.
func (c community) reviewRules() *feedback.ReviewRules {
	r := feedback.DefaultReviewRules()
	r.PerDay = c.Reviews.PerDay
	r.Prices.Cap, r.Prices.Slot, r.Prices.Look, r.Prices.Replies, r.Prices.Evening = c.Points.PerDay, c.Points.Slot, c.Points.Look, c.Points.Replies, c.Points.Evening
	return &r
}

// exchanges answers feedback's question to chat: what was said before an answer.
type exchanges struct{ chat *chat.Service }

func (a exchanges) Exchange(ctx context.Context, room event.RoomID, session event.SessionID, message event.MessageID, lines int) (feedback.Exchange, error) {
	x, err := a.chat.Exchange(ctx, room, session, message, lines)
	out := feedback.Exchange{Names: x.Names}
	for _, l := range x.Lines {
		out.Lines = append(out.Lines, mentor.Line{Author: l.Author, Text: l.Text})
	}
	return out, err
}
