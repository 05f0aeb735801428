package agent

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"rapport/agent/persona"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Suggester asks a model to fill in what is missing of an agent.
type Suggester interface {
	Suggest(ctx context.Context, q Question) (Answer, error)
}

// Question is what a model is asked for.
type Question struct {
	Agent  event.AgentID
	Owner  event.PersonID
	Task   string          // ours: what to write
	About  []Said          // what is known: words of people, to be handed over as data
	Schema json.RawMessage // of the answer, one JSON document
}

// Said is one named text about an agent.
type Said struct{ Name, Text string }

// Answer is what came back. Demo says that there is no model to ask: then the
// suggestion is made up here, and says so.
type Answer struct {
	Text  string
	Model string
	Demo  bool
}

// Template says which of an agent's texts and levels were a suggestion that the
// owner accepted.
type Template struct {
	Fields []string     `json:"fields"` // all that were ever accepted
	Model  string       `json:"model"`  // of the last one
	Demo   bool         `json:"demo,omitempty"`
	At     event.Micros `json:"at"`
}

// Enrichment is a suggestion of what to fill in. It changes nothing until its
// owner accepts fields of it.
type Enrichment struct {
	ID        string        `json:"id"`
	Status    string        `json:"status" enum:"waiting,accepted,refused,superseded,expired"`
	Model     string        `json:"model" doc:"Who wrote it."`
	Demo      bool          `json:"demo" doc:"True: no AI model was asked; it is a fixed sample that shows how a suggestion looks."`
	At        event.Micros  `json:"at"`
	ExpiresAt event.Micros  `json:"expiresAt"`
	Fields    []FieldChange `json:"fields"`
}

// FieldChange is one field with what it is and what it would become.
type FieldChange struct {
	Field  string          `json:"field" doc:"description, backstory, style, examples, appearance, or traits. and the name of a trait"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// What becomes of a suggestion.
const (
	EnrichWaiting    = "waiting"
	EnrichAccepted   = "accepted"
	EnrichRefused    = "refused"
	EnrichSuperseded = "superseded"
	EnrichExpired    = "expired"

	enrichUnusable = "unusable" // of an answer that was none
)

const (
	enrichKept   = event.Micros(7 * 24 * time.Hour / time.Microsecond) // how long a suggestion waits
	enrichDay    = event.Micros(24 * time.Hour / time.Microsecond)
	enrichPerDay = 10 // suggestions for one agent in any 24 hours
	enrichTries  = 2  // answers that are read before we give up
)

const enrichTask = "You help somebody who made a character for conversations. The block of data describes what they wrote so far. " +
	"Fill in what is missing, fitting to it, in its language. Answer with one JSON document of the given schema and nothing else. " +
	"description: who the character is, in one or two sentences that anybody may read. backstory: its story, in the third person. " +
	"style: guidelines of how it talks. appearance: hints for somebody who draws it. " +
	"examples: five to twenty short exchanges that show its voice. traits: levels from 0 to 1, .5 is the middle. " +
	"Write nothing sexual, nothing about real people, no instructions to a model, no markup."

// Enrich asks for a suggestion of the named fields; of those that are missing
// when none is named: empty texts, fewer than five examples, levels that nobody
// touched and that are not pinned. A newer suggestion takes the place of one that
// waits. Faults: nothing_missing, unknown_field, trait_pinned, enrichment_busy,
// enrichment_limit, enrichment_off, enrichment_unusable.
func (s *Service) Enrich(ctx context.Context, ref string, fields []string) (Enrichment, error) {
	var a *record
	var texts Texts
	err := s.mine(ctx, ref, func(tx *sqldb.Tx, found *record) (err error) {
		a = found
		if texts, err = textsOf(tx, a.id, a.texts); err != nil {
			return err
		}
		if fields, err = wanted(a, texts, fields); err != nil {
			return err
		}
		var n int
		if _, err := tx.Get(`select count(*) from enrichments where agent_id = $1 and at > $2`, []any{a.id, s.micros() - enrichDay}, &n); err != nil {
			return err
		}
		if n >= enrichPerDay {
			return fault.New(fault.RateLimited, "enrichment_limit", "There were %d suggestions for this agent within a day; ask again tomorrow.", n)
		}
		return nil
	})
	if err != nil {
		return Enrichment{}, err
	}
	if s.suggests == nil {
		return Enrichment{}, fault.New(fault.Unavailable, "enrichment_off", "Nothing that could make suggestions is configured.")
	}
	if !s.begin(string(a.id)) {
		return Enrichment{}, fault.New(fault.Conflict, "enrichment_busy", "A suggestion for this agent is being written; wait for it.")
	}
	defer s.end(string(a.id))
	suggestion, answer, err := s.suggest(ctx, a, texts, fields)
	e := Enrichment{ID: event.NewID(), Status: EnrichWaiting, Model: answer.Model, Demo: answer.Demo, At: s.micros(), Fields: []FieldChange{}}
	e.ExpiresAt = e.At + enrichKept
	if fault.Is(err, "enrichment_unusable") { // it was paid for, and counts
		e.Status = enrichUnusable
		return Enrichment{}, errors.Join(err, s.db.Write(ctx, func(tx *sqldb.Tx) error { return putEnrichment(tx, a.id, e) }))
	}
	if err != nil {
		return Enrichment{}, err
	}
	limits := a.doc.Limits()
	for t, v := range suggestion.Traits {
		var x policy.Traits
		x[t] = v
		suggestion.Traits[t] = limits.Clamp(x)[t]
	}
	for _, f := range fields {
		is, err := current(a, texts, f)
		if err != nil {
			return Enrichment{}, err
		}
		after, err := json.Marshal(suggested(suggestion, f))
		if err != nil {
			return Enrichment{}, err
		}
		if string(is) != string(after) {
			e.Fields = append(e.Fields, FieldChange{f, is, after})
		}
	}
	return e, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if now, err := find(tx, string(a.id)); err != nil {
			return err
		} else if now.owner != a.owner {
			return unknownAgent()
		}
		if _, err := tx.Exec(`update enrichments set status = $1, decided = $2 where agent_id = $3 and status = $4`, EnrichSuperseded, e.At, a.id, EnrichWaiting); err != nil {
			return err
		}
		return putEnrichment(tx, a.id, e)
	})
}

func putEnrichment(tx *sqldb.Tx, id event.AgentID, e Enrichment) error {
	body, err := json.Marshal(e.Fields)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into enrichments (agent_id, id, status, body, model, demo, at, expires, decided) values ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		id, e.ID, e.Status, string(body), e.Model, e.Demo, e.At, e.ExpiresAt)
	return err
}

// mine runs a question about an agent that only who may change its policy asks.
func (s *Service) mine(ctx context.Context, ref string, ask func(tx *sqldb.Tx, a *record) error) error {
	return s.own(ctx, ref, authz.Change, ask)
}

// begin claims what is done once at a time: a suggestion for an agent, a person's
// upload. False when it is going on.
func (s *Service) begin(what string) bool {
	s.claims.Lock()
	defer s.claims.Unlock()
	if s.claimed[what] {
		return false
	}
	s.claimed[what] = true
	return true
}

func (s *Service) end(what string) {
	s.claims.Lock()
	defer s.claims.Unlock()
	delete(s.claimed, what)
}

// suggest asks, and asks once more when the answer is of no use.
func (s *Service) suggest(ctx context.Context, a *record, t Texts, fields []string) (out persona.Suggestion, answer Answer, err error) {
	q := Question{Agent: a.id, Owner: a.owner, Schema: persona.Schema(fields), Task: enrichTask + " Wanted: " + strings.Join(fields, ", ") + "."}
	q.About = []Said{{"name", t.Name}, {"description", t.Description}, {"way of speaking", t.Style}, {"story", t.Backstory}, {"scene", t.Scenario}, {"greeting", t.Greeting}}
	for range enrichTries {
		if answer, err = s.suggests.Suggest(ctx, q); err != nil {
			return out, answer, err
		}
		if answer.Demo {
			answer.Text = persona.Demo(t.Name, fields)
		}
		if out, err = persona.Parse(answer.Text, fields, s.clean); err == nil {
			return out, answer, nil
		}
	}
	return out, answer, fault.New(fault.Unavailable, "enrichment_unusable", "The model's answer cannot be used: %s. Nothing was changed; ask again, or configure another model.", err)
}

// wanted gives the fields to ask for, in the order of persona.Fields.
func wanted(a *record, t Texts, named []string) ([]string, error) {
	for _, f := range named {
		if !slices.Contains(persona.Fields(), f) {
			return nil, fault.New(fault.Invalid, "unknown_field", "A suggestion fills in: %s.", strings.Join(persona.Fields(), ", "))
		}
		if trait, ok := persona.TraitOf(f); ok && a.doc.Pinned.Has(trait) {
			return nil, fault.New(fault.Conflict, "trait_pinned", "%s is pinned; release it first.", trait)
		}
	}
	missing := map[string]bool{
		persona.Description: t.Description == "", persona.Backstory: t.Backstory == "", persona.Style: t.Style == "",
		persona.Appearance: t.Appearance == "", persona.Examples: len(t.Examples) < persona.MinExchanges,
	}
	for i, v := range policy.Neutral() {
		trait := policy.Trait(i)
		missing[persona.TraitField(trait)] = a.doc.Traits[i] == v && a.baseline[i] == v && !a.doc.Pinned.Has(trait)
	}
	var out []string
	for _, f := range persona.Fields() {
		if slices.Contains(named, f) || len(named) == 0 && missing[f] {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Conflict, "nothing_missing", "Nothing is missing; name the fields that you want other words for.")
	}
	return out, nil
}

// suggested is the value of a field in a suggestion.
func suggested(p persona.Suggestion, f string) any {
	if trait, ok := persona.TraitOf(f); ok {
		return p.Traits[trait]
	}
	if f == persona.Examples {
		return p.Examples
	}
	return p.Texts[f]
}

// current is the value of a field as it is, as JSON.
func current(a *record, t Texts, f string) (json.RawMessage, error) {
	if trait, ok := persona.TraitOf(f); ok {
		return json.Marshal(a.doc.Traits[trait])
	}
	if f == persona.Examples {
		return json.Marshal(notNil(t.Examples))
	}
	return json.Marshal(*textField(&t, f))
}

func textField(t *Texts, f string) *string {
	return map[string]*string{persona.Description: &t.Description, persona.Backstory: &t.Backstory, persona.Style: &t.Style, persona.Appearance: &t.Appearance}[f]
}
