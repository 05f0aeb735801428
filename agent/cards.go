package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"rapport/agent/card"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// maxImports is how many cards are read at the same time, one of each person.
const maxImports = 4

// CardNote is what an owner should know of the card that an agent was imported
// from: also what is kept and shown, but never used.
type CardNote struct {
	Container       string       `json:"container" enum:"json,png,charx"`
	Spec            int          `json:"spec" doc:"Version of the card's specification: 1, 2 or 3."`
	At              event.Micros `json:"at"`
	Creator         string       `json:"creator,omitempty"`
	Version         string       `json:"version,omitempty" doc:"The creator's version of the character."`
	Tags            []string     `json:"tags"`
	CreatorNotes    string       `json:"creatorNotes,omitempty" doc:"For you; no model sees it."`
	SystemPrompt    string       `json:"systemPrompt,omitempty" doc:"The card's own, kept and not used: it never replaces ours."`
	AfterHistory    string       `json:"postHistoryInstructions,omitempty" doc:"Kept and not used."`
	LorebookEntries int          `json:"lorebookEntries" doc:"Kept and not used."`
	Notices         []string     `json:"notices"`
	Findings        []string     `json:"findings" doc:"Places in the card where hidden characters or control tokens stand. They are kept in the card and taken out of what the agent uses."`
}

// Imported is a new agent with what there is to know of its card.
type Imported struct {
	Agent Agent    `json:"agent"`
	Card  CardNote `json:"card"`
}

// Import makes an agent of the principal's from a character card. It starts at
// the levels that Rapport wrote into the card, else where all agents start;
// nothing is guessed from the words. Faults: card_too_large, card_refused and
// those of Create.
func (s *Service) Import(ctx context.Context, file []byte, key string) (Imported, error) {
	if err := authz.From(ctx).Check(authz.Agent, authz.Create); err != nil {
		return Imported{}, err
	}
	c, err := card.Open(file)
	if err != nil {
		return Imported{}, err
	}
	texts, notices := s.read(c)
	if texts.Name == "" {
		return Imported{}, fault.New(fault.Invalid, "card_refused", "This card cannot be taken: its name is empty.")
	}
	c.Notices = append(c.Notices, notices...)
	levels, notices := startOf(c.Learned)
	c.Notices = append(c.Notices, notices...)
	hash := event.HashID(string(file))
	if c.Container == card.InJSON {
		file = nil
	}
	findings := c.Findings(func(text string) string { return s.clean(text, len(text)) })
	a, err := s.Create(ctx, Draft{Texts: texts, Traits: levels, Key: key, birth: birth{
		kind: "imported", asked: hash,
		also: func(tx *sqldb.Tx, a *record) error {
			if err := putCard(tx, a.id, c, file, findings, a.created); err != nil {
				return err
			}
			return putOrigin(tx, a.id, Origin{FromCard, c.Container, 0, a.created})
		},
	}})
	if err != nil {
		return Imported{}, err
	}
	out := Imported{Agent: a}
	out.Card, err = s.Card(ctx, string(a.ID))
	return out, err
}

// read gives what an agent takes from a card: cleaned, with the macros written
// out, cut to what an agent holds. The card itself is kept as it is.
func (s *Service) read(c card.Card) (t Texts, notices []string) {
	who := c.Name
	if c.Nickname != "" {
		who = c.Nickname
	}
	told := map[string]bool{}
	take := func(field, text string, most int, user string) string {
		text = card.Expand(text, who, user)
		if n := utf8.RuneCountInString(text); n > most && !told[field] {
			told[field] = true
			notices = append(notices, fmt.Sprintf("its %s has %d characters; the agent uses the first %d, the card keeps all", field, n, most))
		}
		return s.clean(text, most)
	}
	t.Name = strings.Join(strings.Fields(take("name", c.Name, maxName, "you")), " ")
	t.Backstory = take("description", c.Description, maxBackstory, "the person")
	t.Style = take("personality", c.Personality, maxStyle, "the person")
	t.Scenario = take("scenario", c.Scenario, maxScenario, "the person")
	t.Greeting = take("first message", c.Greeting, maxOpening, "you")
	for _, o := range c.Openings {
		if o = take("alternate greeting", o, maxOpening, "you"); o != "" && len(t.Openings) < maxOpenings {
			t.Openings = append(t.Openings, o)
		}
	}
	if n := len(c.Openings); n > maxOpenings {
		notices = append(notices, fmt.Sprintf("it has %d alternate greetings; the agent uses %d, the card keeps all", n, maxOpenings))
	}
	samples := card.Exchanges(c.Examples, c.Name)
	for _, x := range samples {
		e := Exchange{take("sample dialogue", x.Person, maxExample, "you"), take("sample dialogue", x.Character, maxExample, "you")}
		if e.Person != "" && e.Agent != "" && len(t.Examples) < maxExamples {
			t.Examples = append(t.Examples, e)
		}
	}
	if len(samples) > maxExamples {
		notices = append(notices, fmt.Sprintf("it has %d sample exchanges; the agent uses %d, the card keeps all", len(samples), maxExamples))
	}
	if c.Learned != nil {
		t.Description = take("face", c.Learned.Description, maxDescription, "you")
		t.Appearance = take("appearance", c.Learned.Appearance, maxAppearance, "you")
	}
	return t, notices
}

// startOf gives the start that a card names, inside the platform's limits; none
// when the card is not one of ours.
func startOf(l *card.Learned) (levels map[string]float64, notices []string) {
	if l == nil {
		return nil, nil
	}
	levels = map[string]float64{}
	limits := policy.Platform("")
	for name, v := range l.Traits {
		t, ok := policy.ParseTrait(name)
		if !ok || !(v >= 0 && v <= 1) {
			notices = append(notices, "it names a level that is none here; it was passed over")
			continue
		}
		var x policy.Traits
		x[t] = v
		levels[name] = limits.Clamp(x)[t]
	}
	return levels, slices.Compact(notices)
}

// edit is what a card must say so that it is the agent as it is by now: only what
// changed since it was read, so that all else stays as its author wrote it.
func edit(was, t Texts) (e card.Edit) {
	for _, f := range []struct {
		was, is string
		to      **string
	}{{was.Name, t.Name, &e.Name}, {was.Backstory, t.Backstory, &e.Description}, {was.Style, t.Style, &e.Personality},
		{was.Scenario, t.Scenario, &e.Scenario}, {was.Greeting, t.Greeting, &e.Greeting}} {
		if f.was != f.is {
			*f.to = &f.is
		}
	}
	if !slices.Equal(was.Openings, t.Openings) {
		e.Openings = &t.Openings
	}
	if !slices.Equal(was.Examples, t.Examples) {
		all := make([]card.Exchange, len(t.Examples))
		for i, x := range t.Examples {
			all[i] = card.Exchange{Person: x.Person, Character: x.Agent}
		}
		sample := card.Sample(all)
		e.Examples = &sample
	}
	return e
}

// shownVersions is how much of an agent's history goes with a card.
const shownVersions = 50

// Export gives an agent as a character card: the card it was imported from with
// everything in it that we do not know, what changed since, and what the agent
// learned under extensions.rapport (levels and versions, nothing about anybody
// who talked with it). format is json, png (into the picture it came in) or charx.
// Faults: agent_unknown, not_allowed, no_picture.
func (s *Service) Export(ctx context.Context, ref, format string) (file []byte, slug string, err error) {
	err = s.own(ctx, ref, authz.Read, func(tx *sqldb.Tx, a *record) error {
		texts, err := textsOf(tx, a.id, a.texts)
		if err != nil {
			return err
		}
		c, stored, was, err := cardOf(tx, a.id)
		if err != nil {
			return err
		}
		e := edit(was, texts)
		if e.Learned, err = learned(tx, a, texts); err != nil {
			return err
		}
		raw := c.Change(e)
		slug = a.slug
		switch {
		case format == card.InJSON:
			file = raw
		case format == card.InCHARX && c.Container == card.InCHARX:
			file, err = card.CHARX(stored, raw)
		case format == card.InCHARX:
			file, err = card.CHARX(nil, raw)
		case format == card.InPNG && c.Container == card.InPNG:
			file, err = card.PNG(stored, raw)
		case format == card.InPNG:
			err = fault.New(fault.Conflict, "no_picture", "This agent came without a picture; take the card as json, or put it into a picture with `rapport card export --png`.")
		default:
			err = fault.New(fault.Invalid, "invalid_format", "A card is written as json, png or charx.")
		}
		return err
	})
	return file, slug, err
}

// learned is what goes under extensions.rapport.
func learned(tx *sqldb.Tx, a *record, t Texts) (*card.Learned, error) {
	l := &card.Learned{Format: card.LearnedFormat, Description: t.Description, Appearance: t.Appearance,
		Traits: levelsByName(a.doc.Traits), Start: levelsByName(a.baseline), Version: a.version}
	all, err := versions(tx, a.id, a.version+1, shownVersions+1)
	for i, v := range all {
		if i == shownVersions {
			break
		}
		one := card.Version{Version: v.Version, At: v.At, By: v.By, Kind: v.Kind}
		if i+1 < len(all) {
			one.Moved = policy.Diff(all[i+1].doc, v.doc).TraitsDelta
		}
		l.Versions = append(l.Versions, one)
	}
	return l, err
}

// Card tells of the card that an agent was imported from. Faults: agent_unknown,
// not_allowed, card_none.
func (s *Service) Card(ctx context.Context, ref string) (n CardNote, err error) {
	err = s.own(ctx, ref, authz.Read, func(tx *sqldb.Tx, a *record) error {
		var raw, notices, findings string
		ok, err := tx.Get(`select container, spec, card, notices, findings, at from cards where agent_id = $1`, []any{a.id}, &n.Container, &n.Spec, &raw, &notices, &findings, &n.At)
		if err == nil && !ok {
			err = fault.New(fault.NotFound, "card_none", "This agent was not imported from a card.")
		}
		if err != nil {
			return err
		}
		c, err := card.Parse([]byte(raw))
		if err != nil {
			return fmt.Errorf("card of agent %s as stored: %w", a.id, err)
		}
		n.Creator, n.Version, n.Tags, n.CreatorNotes = c.Creator, c.Version, notNil(c.Tags), c.CreatorNotes
		n.SystemPrompt, n.AfterHistory, n.LorebookEntries = c.SystemPrompt, c.AfterHistory, c.LorebookEntries
		if err := json.Unmarshal([]byte(notices), &n.Notices); err != nil {
			return err
		}
		return json.Unmarshal([]byte(findings), &n.Findings)
	})
	return n, err
}

// cardOf gives the card of an agent, the file it came in and the texts that were
// read from it, which are the agent's first; a new card when there is none.
func cardOf(tx *sqldb.Tx, id event.AgentID) (c card.Card, file []byte, was Texts, err error) {
	var container, raw string
	ok, err := tx.Get(`select container, card, file from cards where agent_id = $1`, []any{id}, &container, &raw, &file)
	if err != nil || !ok {
		return card.New(), nil, was, err
	}
	if c, err = card.Parse([]byte(raw)); err != nil {
		return c, nil, was, fmt.Errorf("card of agent %s as stored: %w", id, err)
	}
	c.Container = container
	was, err = textsOf(tx, id, 1)
	return c, file, was, err
}

func putCard(tx *sqldb.Tx, id event.AgentID, c card.Card, file []byte, findings []string, at event.Micros) error {
	notices, err := json.Marshal(notNil(c.Notices))
	if err != nil {
		return err
	}
	found, err := json.Marshal(notNil(findings))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into cards (agent_id, container, spec, card, file, notices, findings, at) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id, c.Container, c.Spec, string(c.JSON), file, string(notices), string(found), at)
	return err
}

// cut is a text's first characters, without NUL.
func cut(text string, most int) string {
	text = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", ""))
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most])
	}
	return text
}
