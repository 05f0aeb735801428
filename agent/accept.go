package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"rapport/agent/persona"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Enrichment gives the newest suggestion for an agent. Fault enrichment_none.
func (s *Service) Enrichment(ctx context.Context, ref string) (e Enrichment, err error) {
	err = s.own(ctx, ref, authz.Read, func(tx *sqldb.Tx, a *record) error {
		e, err = enrichmentOf(tx, a.id, s.micros())
		return err
	})
	return e, err
}

// AcceptEnrichment writes the named fields of the suggestion that waits, which
// ends it: one version with the reason enriched, which undo takes back. A level
// that is accepted is the owner's start from then on. id is the suggestion that
// the owner saw, empty for whichever waits. Faults: enrichment_none,
// enrichment_decided, enrichment_stale, unknown_field, policy_refused.
func (s *Service) AcceptEnrichment(ctx context.Context, ref Ref, id string, fields []string) (Agent, error) {
	return s.act(ctx, ref, "enrich", []any{id, fields}, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error) {
		e, err := decideEnrichment(tx, a.id, id, EnrichAccepted, at)
		if err != nil {
			return nil, err
		}
		texts, err := textsOf(tx, a.id, a.texts)
		if err != nil {
			return nil, err
		}
		before := a.doc
		if len(fields) == 0 {
			return nil, fault.New(fault.Invalid, "unknown_field", "Name the fields that you accept.")
		}
		for _, f := range fields {
			i := slices.IndexFunc(e.Fields, func(c FieldChange) bool { return c.Field == f })
			if i < 0 {
				return nil, fault.New(fault.Invalid, "unknown_field", "The suggestion has no such field; look at it again.")
			}
			if is, err := current(a, texts, f); err != nil {
				return nil, err
			} else if !bytes.Equal(is, e.Fields[i].Before) {
				return nil, fault.New(fault.Conflict, "enrichment_stale", "The %s changed since this was suggested; ask for a new suggestion.", f)
			}
			if err := write(a, &texts, e.Fields[i]); err != nil {
				return nil, err
			}
		}
		note := Template{Fields: slices.Clone(fields), Model: e.Model, Demo: e.Demo, At: at}
		if texts.Template != nil {
			note.Fields = append(note.Fields, texts.Template.Fields...)
		}
		slices.Sort(note.Fields)
		note.Fields = slices.Compact(note.Fields)
		texts.Template = &note
		if texts, err = texts.tidy(); err != nil {
			return nil, err
		}
		d := &deed{kind: event.ChangeSettings, reason: "enriched", texts: &texts, cause: e.ID, traits: moved(before, a.doc)}
		if d.traits != 0 {
			d.kind = event.ChangeEdited
			a.rebase(d.traits)
		}
		return d, nil
	})
}

// RefuseEnrichment says no to the suggestion that waits. Faults:
// enrichment_none, enrichment_decided.
func (s *Service) RefuseEnrichment(ctx context.Context, ref Ref, id string) (e Enrichment, err error) {
	if _, err = s.act(ctx, ref, "enrich.refuse", id, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error) {
		_, err := decideEnrichment(tx, a.id, id, EnrichRefused, at)
		return nil, err
	}); err != nil {
		return e, err
	}
	return s.Enrichment(ctx, ref.Agent)
}

// write puts the suggested value of a field where it belongs.
func write(a *record, t *Texts, c FieldChange) error {
	if trait, ok := persona.TraitOf(c.Field); ok {
		var v float64
		if err := json.Unmarshal(c.After, &v); err != nil {
			return err
		}
		if a.doc.Pinned.Has(trait) {
			return fault.New(fault.Conflict, "trait_pinned", "%s is pinned; release it first.", trait)
		}
		a.doc.Traits[trait] = round(v)
		return nil
	}
	if c.Field == persona.Examples {
		t.Examples = nil
		return json.Unmarshal(c.After, &t.Examples)
	}
	return json.Unmarshal(c.After, textField(t, c.Field))
}

// decideEnrichment ends a suggestion's wait.
func decideEnrichment(tx *sqldb.Tx, id event.AgentID, seen, status string, at event.Micros) (e Enrichment, err error) {
	if e, err = enrichmentOf(tx, id, at); err != nil {
		return e, err
	}
	if seen != "" && seen != e.ID {
		return e, fault.New(fault.Conflict, "enrichment_stale", "There is a newer suggestion; look at it first.")
	}
	if e.Status != EnrichWaiting {
		return e, fault.New(fault.Conflict, "enrichment_decided", "This suggestion is %s already; ask for a new one.", e.Status)
	}
	_, err = tx.Exec(`update enrichments set status = $1, decided = $2 where agent_id = $3 and id = $4`, status, at, id, e.ID)
	return e, err
}

func enrichmentOf(tx *sqldb.Tx, id event.AgentID, now event.Micros) (e Enrichment, err error) {
	var body string
	ok, err := tx.Get(`select id, status, body, model, demo, at, expires from enrichments where agent_id = $1 and status <> $2 order by at desc, id desc limit 1`, []any{id, enrichUnusable},
		&e.ID, &e.Status, &body, &e.Model, &e.Demo, &e.At, &e.ExpiresAt)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "enrichment_none", "There is no suggestion for this agent; ask for one.")
	}
	if err != nil {
		return e, err
	}
	if e.Status == EnrichWaiting && now >= e.ExpiresAt {
		e.Status = EnrichExpired
	}
	return e, json.Unmarshal([]byte(body), &e.Fields)
}
