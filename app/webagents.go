package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"rapport/agent"
	"rapport/internal/fault"
	"rapport/web"
)

// Natives answers which agents are the platform's, in its editor's order.
func (r reader) Natives(ctx context.Context) (out []web.Native, err error) {
	all, err := r.parts.Agents.ListNatives(ctx, "")
	for _, n := range all {
		out = append(out, web.Native{ID: n.ID, Slug: n.Slug, Name: n.Name, Description: n.Description, Kind: n.Kind})
	}
	return out, err
}

// Archetypes answers which kinds of owners a new agent can be made for.
func (r reader) Archetypes(ctx context.Context) (out []web.Archetype, err error) {
	all, err := r.Learning.Archetypes(ctx)
	for _, a := range all {
		out = append(out, web.Archetype{ID: a.ID, Description: a.Description})
	}
	return out, err
}

// grewFrom gives what is suggested for an agent of the person who looks, and what there
// is to know of the card it came from.
func (r reader) grewFrom(ctx context.Context, a agent.Agent) (*web.Suggestion, []string, error) {
	var suggested *web.Suggestion
	e, err := r.parts.Agents.Enrichment(ctx, string(a.ID))
	switch {
	case fault.Is(err, "enrichment_none"):
	case err != nil:
		return nil, nil, err
	case e.Status == agent.EnrichWaiting && len(e.Fields) > 0:
		suggested = &web.Suggestion{ID: e.ID, Model: e.Model, Demo: e.Demo}
		for _, f := range e.Fields {
			suggested.Fields = append(suggested.Fields, web.Filled{Name: f.Field, Before: inText(f.Before), After: inText(f.After)})
		}
	}
	if a.Origin == nil || a.Origin.Kind != agent.FromCard {
		return suggested, nil, nil
	}
	c, err := r.parts.Agents.Card(ctx, string(a.ID))
	return suggested, aboutCard(c), err
}

// inText is a field's value as people read it: a text, a number or a talk.
func inText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var talk []agent.Exchange
	if json.Unmarshal(value, &talk) == nil {
		lines := make([]string, len(talk))
		for i, x := range talk {
			lines[i] = fmt.Sprintf("– %s\n%s", x.Person, x.Agent)
		}
		return strings.Join(lines, "\n")
	}
	return string(value)
}

// aboutCard says in sentences what a card held.
func aboutCard(c agent.CardNote) (out []string) {
	for _, x := range []struct{ says, text string }{{"Made by ", c.Creator}, {"Its creator's version is ", c.Version}, {"Tags: ", strings.Join(c.Tags, ", ")}, {"Its creator notes, which no model sees: ", c.CreatorNotes},
		{"Its own orders, kept and not used: ", c.SystemPrompt}, {"Its orders after the talk, kept and not used: ", c.AfterHistory}} {
		if x.text != "" {
			out = append(out, x.says+x.text)
		}
	}
	if c.LorebookEntries > 0 {
		out = append(out, fmt.Sprintf("Its book of %d entries is kept and not used.", c.LorebookEntries))
	}
	return append(append(out, c.Notices...), c.Findings...)
}
