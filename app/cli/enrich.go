package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"rapport/agent"
)

type enrichCmd struct {
	Agent  string   `arg:"" help:"Name or id of an agent of yours."`
	Fields []string `help:"What to ask for, as backstory,traits.humor; all that is missing when left out." placeholder:"FIELDS" xor:"do"`
	Show   bool     `help:"Show the newest suggestion again." xor:"do"`
	Accept []string `help:"Accept these fields of the suggestion; all stands for every one." placeholder:"FIELDS" xor:"do"`
	Refuse bool     `help:"Say no to the suggestion." xor:"do"`
}

func (enrichCmd) Help() string {
	return `A suggestion changes nothing. What you accept becomes one version, which undo takes back; a field that you changed in the meantime is not
written over. Without a model a fixed sample comes, which says that no AI model wrote it.`
}

func (c enrichCmd) Run(ctx context.Context, g *globals) error {
	path := "/v1/agents/" + url.PathEscape(c.Agent) + "/enrichment"
	return g.with(ctx, func(s *session) error {
		var e agent.Enrichment
		switch {
		case len(c.Accept) > 0:
			return c.accept(ctx, g, s, path)
		case c.Refuse:
			if err := s.Do(ctx, http.MethodPost, path+"/refuse", nil, &e); err != nil {
				return err
			}
		case c.Show:
			if err := s.Do(ctx, http.MethodGet, path, nil, &e); err != nil {
				return err
			}
		default:
			if err := s.Do(ctx, http.MethodPost, path, map[string]any{"fields": append([]string{}, c.Fields...)}, &e); err != nil {
				return err
			}
		}
		if g.JSON {
			return g.print(e)
		}
		g.sayEnrichment(e)
		if e.Status == agent.EnrichWaiting {
			g.say("accept what you like: rapport enrich %s --accept FIELDS", c.Agent)
		}
		return nil
	})
}

func (c enrichCmd) accept(ctx context.Context, g *globals, s *session, path string) error {
	var e agent.Enrichment
	if err := s.Do(ctx, http.MethodGet, path, nil, &e); err != nil {
		return err
	}
	fields := c.Accept
	if len(fields) == 1 && fields[0] == "all" {
		fields = nil
		for _, f := range e.Fields {
			fields = append(fields, f.Field)
		}
	}
	var a agent.Agent
	if err := s.Do(ctx, http.MethodPost, path+"/accept", map[string]any{"id": e.ID, "fields": fields}, &a); err != nil {
		return err
	}
	if g.JSON {
		return g.print(a)
	}
	g.say("accepted: %s; version %d, which undo takes back", strings.Join(fields, ", "), a.State.Version)
	return nil
}

func (g *globals) sayEnrichment(e agent.Enrichment) {
	by := "written by " + e.Model
	if e.Demo {
		by = "a fixed sample: no AI model wrote it"
	}
	g.say("a suggestion, %s (%s)", e.Status, by)
	for _, f := range e.Fields {
		g.say("%s\n  is       %s\n  becomes  %s", f.Field, plainly(f.Before), plainly(f.After))
	}
}

// plainly is a value as a person reads it.
func plainly(raw json.RawMessage) string {
	var text string
	var all []agent.Exchange
	switch {
	case json.Unmarshal(raw, &text) == nil && text == "", string(raw) == "[]":
		return "—"
	case text != "":
		return visible(strings.ReplaceAll(text, "\n", " "))
	case json.Unmarshal(raw, &all) == nil:
		var b strings.Builder
		for _, x := range all {
			b.WriteString("\n    “" + first(visible(x.Person), 70) + "” → “" + first(visible(x.Agent), 70) + "”")
		}
		return b.String()
	}
	return string(raw)
}

type adoptCmd struct {
	Native string `arg:"" optional:"" help:"Name or id of an agent of the platform; all of them are listed when left out."`
}

func (adoptCmd) Help() string {
	return `Agents of the platform talk with everybody and learn from nobody. A copy that you adopt is yours, begins as the platform's is now, and grows
with you. They are listed in the order that an editor gave them, which says nothing about how good or liked they are.`
}

func (c adoptCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		if c.Native != "" {
			var a agent.Agent
			if err := s.Do(ctx, http.MethodPost, "/v1/natives/"+url.PathEscape(c.Native)+"/adopt", nil, &a); err != nil {
				return err
			}
			if g.JSON {
				return g.print(a)
			}
			g.say("%s is yours: rapport chat %s", a.Name, a.Slug)
			return nil
		}
		var all struct{ Items []agent.Native }
		if err := s.Do(ctx, http.MethodGet, "/v1/natives", nil, &all); err != nil {
			return err
		}
		if g.JSON {
			return g.print(all.Items)
		}
		if len(all.Items) == 0 {
			g.say("the platform has none yet; an operator makes them with POST /v1/natives")
		}
		for _, n := range all.Items {
			g.say("%-20s  %-17s  %s", n.Slug, strings.ReplaceAll(n.Kind, "_", " "), first(n.Description, 80))
		}
		return nil
	})
}
