package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rapport/agent"
	"rapport/event"
	"rapport/feedback"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/learning"
	"rapport/policy"
	"rapport/web"
)

// webRoutes adds the pages for people and answers their questions from the contexts,
// with the leave that the person who looks has there.
func (a *App) webRoutes() {
	r := reader{&a.parts, a.cfg.Clock}
	var reasons []web.Reason
	for _, x := range feedback.Reasons() {
		reasons = append(reasons, web.Reason{Name: x.Value, Good: x.Good})
	}
	web.Routes(a.API, web.Options{Questions: r, Note: a.ModelNote(), Label: a.Gateway.ModelLabel(), Reasons: reasons})
}

type reader struct {
	*parts
	now func() time.Time
}

func (r reader) Visitor(ctx context.Context) (web.Visitor, error) {
	p, err := r.Accounts.Get(ctx, authz.From(ctx).Person)
	return web.Visitor{ID: p.ID, Name: p.Name, Operator: p.Operator}, err
}

func (r reader) Agents(ctx context.Context, after event.AgentID, limit int) ([]web.Card, error) {
	list, err := r.parts.Agents.List(ctx, agent.SortName, after, limit)
	cards := make([]web.Card, len(list))
	for i, a := range list {
		cards[i] = cardOf(a)
	}
	return cards, err
}

// cardOf is an agent of the person who looks.
func cardOf(a agent.Agent) web.Card {
	return web.Card{ID: a.ID, Slug: a.Slug, Name: a.Name, Description: a.Description, Stopped: !a.State.Alive, Paused: !a.State.Learning, Look: a.Look, Asking: web.Asking(a.State.Asking)}
}

func (r reader) Face(ctx context.Context, ref string) (web.Face, error) {
	a, err := r.parts.Agents.Get(ctx, ref)
	if err != nil {
		return web.Face{}, err
	}
	return faceOf(a), nil
}

func faceOf(a agent.Agent) web.Face {
	f := web.Face{ID: a.ID, Slug: a.Slug, Name: a.Name, Description: a.Description, Look: a.Look}
	if a.State != nil { // its owner looks
		f.Yours, f.Greeting, f.Stopped = true, a.Profile.Greeting, !a.State.Alive
	}
	return f
}

// shownVersions is how far back the growth page goes.
const shownVersions = 200

func (r reader) Growth(ctx context.Context, ref string) (web.Growth, error) {
	a, err := r.parts.Agents.Get(ctx, ref)
	if err != nil {
		return web.Growth{}, err
	}
	if a.State == nil {
		return web.Growth{}, fault.New(fault.NotFound, "agent_unknown", "There is no such agent of yours.")
	}
	g := web.Growth{Face: faceOf(a), Version: a.State.Version, Learning: a.State.Learning, Asking: web.Asking(a.State.Asking), StoppedBy: a.State.StoppedBy}
	versions, err := r.parts.Agents.Versions(ctx, string(a.ID), 0, shownVersions)
	if err != nil {
		return g, err
	}
	waiting, err := r.parts.Agents.Proposals(ctx, string(a.ID))
	if err != nil {
		return g, err
	}
	for _, p := range waiting {
		g.Waiting = append(g.Waiting, web.Proposal{ID: p.ID, Reason: p.Reason, Moved: moves(p.Change)})
	}
	x, err := r.Learning.Explain(ctx, a.ID)
	if fault.Is(err, "agent_unknown") { // made a moment ago: learning has not heard of it
		x, err = &learning.Explanation{}, nil
	}
	if err != nil {
		return g, err
	}
	given, err := r.Feedback.List(ctx, authz.From(ctx), a.ID, "", false)
	if err != nil {
		return g, err
	}
	var doc policy.Document
	if err := json.Unmarshal(a.Policy, &doc); err != nil {
		return g, err
	}
	if known, err := r.Learning.Learning(ctx, a.ID, r.now().UnixMicro()); err == nil {
		g.Better = known.Holdout.Sentence()
	} else if !fault.Is(err, "agent_unknown") {
		return g, err
	}
	g.Frozen = x.Frozen
	g.Traits = traitsOf(doc, versions, x, a.Profile.BasePersonality)
	g.Ratings = ratingsOf(x, given, versions)
	g.Versions = versionsOf(versions, x)
	if g.Suggested, g.Card, err = r.grewFrom(ctx, a); err != nil {
		return g, err
	}
	notes, err := r.Feedback.Reviews(ctx, authz.From(ctx), a.ID, "")
	g.Notes = reviewsOf(notes)
	return g, err
}

func traitsOf(doc policy.Document, versions []agent.Version, x *learning.Explanation, start map[string]float64) []web.Trait {
	out := make([]web.Trait, policy.NTraits)
	for j := range out {
		t := policy.Trait(j)
		now := doc.Traits[j]
		out[j] = web.Trait{Name: t.String(), Level: now, Start: start[t.String()], Target: now, Word: "start", Pinned: doc.Pinned.Has(t)}
		if j < len(x.Traits) {
			b := x.Traits[j]
			out[j].Start, out[j].Target, out[j].Interval, out[j].Word, out[j].Standing = b.Start, b.Target, b.Interval, b.Word, b.Standing()
		}
		for _, v := range versions { // newest first, each with its change from the one before
			e := v.Evidence[t.String()]
			out[j].History = append(out[j].History, web.Past{Level: now, Ideal: e.Ideal, SD: e.SD, P: e.P})
			now -= v.Change.TraitsDelta[t.String()]
		}
		slices.Reverse(out[j].History)
	}
	return out
}

// ratingsOf lists what is known of each signal, and what was taken back with what
// became of its part, newest first.
func ratingsOf(x *learning.Explanation, given feedback.Page, versions []agent.Version) []web.Rating {
	items := map[string]feedback.Item{}
	for _, i := range given.Items {
		items[string(i.FeedbackID)] = i
	}
	used, out := map[string][]int64{}, map[string][]int64{}
	for _, v := range versions {
		for _, id := range v.Causes {
			if v.Kind == event.ChangeWithdrawn {
				out[id] = append(out[id], v.Version)
			} else {
				used[id] = append(used[id], v.Version)
			}
		}
	}
	var all []web.Rating
	known := map[string]bool{}
	for _, b := range x.Ratings {
		known[b.FeedbackID] = true
		one := web.Rating{ID: event.FeedbackID(b.FeedbackID), At: time.UnixMicro(b.At), By: b.By, What: strings.ReplaceAll(b.Channel, "_", " "), Effect: b.Effect(), UsedIn: used[b.FeedbackID], OutIn: out[b.FeedbackID]}
		if i, ok := items[b.FeedbackID]; ok {
			one.What = whatOf(i)
			if b.Did != "" {
				one.What = b.Did
			}
			one.Yours, one.Noticed = i.By == "you" && i.Status == feedback.Stored, i.Source == "implicit"
			if i.Status == feedback.Retracted && i.Effect != nil {
				one.Effect = i.Effect.Says
			}
		}
		all = append(all, one)
	}
	for _, i := range given.Items {
		if i.Status == feedback.Retracted && i.By == "you" && !known[string(i.FeedbackID)] && i.Effect != nil {
			id := string(i.FeedbackID)
			all = append(all, web.Rating{ID: i.FeedbackID, At: time.UnixMicro(i.CreatedAt), By: i.By, What: whatOf(i), Effect: i.Effect.Says, UsedIn: used[id], OutIn: out[id], Noticed: i.Source == "implicit"})
		}
	}
	slices.SortStableFunc(all, func(a, b web.Rating) int { return b.At.Compare(a.At) })
	return all
}

// whatOf says in plain words what somebody gave.
func whatOf(i feedback.Item) string {
	kind, value := strings.ReplaceAll(i.Kind, "_", " "), strings.ReplaceAll(i.Value, "_", " ")
	switch {
	case i.Source == "implicit":
		return cmp.Or(learning.Did(i.Signal), "what you did")
	case i.PartOf != "" && i.Direction != nil && i.Direction.Sign > 0:
		return "your correction asks for more " + i.Direction.Trait
	case i.PartOf != "" && i.Direction != nil:
		return "your correction asks for less " + i.Direction.Trait
	case i.Kind == event.ChannelSession:
		return "the talk was " + value
	case i.Kind == event.ChannelThumb:
		return "thumb " + value
	case i.Kind == event.ChannelMoreLess:
		return value + " like this"
	case i.Kind == event.ChannelTone:
		return "asked: " + value
	case i.Kind == event.ChannelCorrected && i.Direction.Sign > 0:
		return "your correction has more " + i.Direction.Trait
	case i.Kind == event.ChannelCorrected:
		return "your correction has less " + i.Direction.Trait
	case value != "":
		return kind + ": " + value
	}
	return kind
}

func versionsOf(versions []agent.Version, x *learning.Explanation) []web.Version {
	channels := map[string]string{}
	for _, b := range x.Ratings {
		channels[b.FeedbackID] = strings.ReplaceAll(b.Channel, "_", " ")
	}
	var out []web.Version
	for i, v := range versions { // newest first
		one := web.Version{Number: v.Version, InForce: i == 0, At: time.UnixMicro(v.At), By: map[string]string{policy.ByOwner: "you"}[v.By], Reason: v.Reason, Moved: moves(v.Change), Other: v.Change.Other}
		if one.By == "" {
			one.By = v.By
		}
		n := map[string]int{}
		for _, id := range v.Causes {
			if c := channels[id]; c != "" {
				n[c]++
			}
		}
		if len(one.Moved) > 0 { // what moved stands beside it
			one.Reason, _, _ = strings.Cut(one.Reason, ": ")
		}
		var parts []string
		for _, c := range slices.Sorted(maps.Keys(n)) {
			parts = append(parts, counted(n[c], c))
		}
		one.Because = strings.Join(parts, ", ")
		out = append(out, one)
	}
	return out
}

// counted says in plain words how many signals of a channel there were.
func counted(n int, channel string) string {
	says, ok := map[string][2]string{
		"session": {"rating of a talk", "ratings of talks"}, "thumb": {"thumb", "thumbs"}, "tone": {"tone button", "tone buttons"}, "reaction": {"emoji", "emoji"},
		"behaviour": {"thing noticed", "things noticed"}, "review": {"review", "reviews"}, "check in": {"check-in", "check-ins"}, "more less": {"“more” or “less”", "“more” or “less”"},
	}[channel]
	switch {
	case !ok:
		return fmt.Sprintf("%d %s", n, channel)
	case n == 1:
		return "1 " + says[0]
	}
	return fmt.Sprintf("%d %s", n, says[1])
}

// moves lists a change in the order of the vocabulary.
func moves(d policy.Delta) (out []web.Move) {
	for t := range policy.NTraits {
		name := policy.Trait(t).String()
		if by := d.TraitsDelta[name]; by != 0 {
			out = append(out, web.Move{Trait: name, By: by})
		}
	}
	return out
}
