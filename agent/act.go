package agent

import (
	"context"
	"math"
	"slices"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Ref names the agent that an act is about.
type Ref struct {
	Agent   string // id or slug
	Version int64  // the version the caller saw: fault version_conflict when another is in force; 0 for any
	Key     string // Idempotency-Key, may be empty
}

// act runs one act of a principal on an agent, if they may: do changes a and
// gives the deed, or none when everything is so already. The act is one
// transaction; two at once happen one after the other, and the second fails with
// version_conflict when it named the version it saw.
func (s *Service) act(ctx context.Context, ref Ref, op string, asked any, kind authz.Kind, verb authz.Verb,
	do func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error)) (Agent, error) {
	p := authz.From(ctx)
	at := s.micros()
	var out Agent
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		a, err := find(tx, ref.Agent)
		if err != nil {
			return err
		}
		relations := a.relation(p)
		if err := p.Check(kind, verb, relations...); err != nil {
			return err
		}
		body := struct {
			Agent event.AgentID
			Asked any
		}{a.id, asked}
		_, err = httpapi.Idempotent(tx, p, ref.Key, "agent."+op, body, at, func() (done bool, err error) {
			if ref.Version != 0 && ref.Version != a.version {
				return false, fault.New(fault.Conflict, "version_conflict", "Version %d is in force by now; look at it and repeat what you want.", a.version)
			}
			before := *a
			d, err := do(tx, a, at)
			if err != nil || d == nil {
				return false, err
			}
			d.at, d.actor = at, string(p.Person)
			if d.by == "" {
				if d.by = policy.ByOwner; !slices.Contains(relations, authz.Owner) {
					d.by = policy.ByPlatform
				}
			}
			return true, commit(tx, &before, a, *d)
		})
		if err != nil || a.retired {
			return err
		}
		if a, err = load(tx, string(a.id)); err != nil {
			return err
		}
		out, err = s.view(tx, a, len(a.relation(p)) > 0)
		return err
	})
	return out, err
}

// SetTexts changes what people wrote about the agent. The slug stays, so that
// links do. Faults of every act: agent_unknown, not_allowed, version_conflict;
// here also invalid_texts.
func (s *Service) SetTexts(ctx context.Context, ref Ref, change func(*Texts)) (Agent, error) {
	return s.act(ctx, ref, "texts", nil, authz.Agent, authz.Change, func(tx *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		before, err := textsOf(tx, a.id, a.texts)
		if err != nil {
			return nil, err
		}
		after := before
		after.Examples, after.Openings = slices.Clone(before.Examples), slices.Clone(before.Openings)
		change(&after)
		if after, err = after.tidy(); err != nil || equalTexts(before, after) {
			return nil, err
		}
		return &deed{kind: event.ChangeSettings, reason: "texts", texts: &after}, nil
	})
}

func equalTexts(a, b Texts) bool {
	return a.Name == b.Name && a.Description == b.Description && a.Backstory == b.Backstory && a.Style == b.Style && a.Scenario == b.Scenario &&
		a.Greeting == b.Greeting && slices.Equal(a.Openings, b.Openings) && a.Appearance == b.Appearance && slices.Equal(a.Examples, b.Examples)
}

// SetTraits sets the levels that are given, also pinned ones, and the baseline
// with them. Faults: unknown_trait, policy_refused.
func (s *Service) SetTraits(ctx context.Context, ref Ref, levels map[string]float64) (Agent, error) {
	return s.act(ctx, ref, "traits", levels, authz.Policy, authz.Change, func(_ *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		d := &deed{kind: event.ChangeEdited}
		before := a.doc
		for name, v := range levels {
			t, ok := policy.ParseTrait(name)
			if !ok {
				return nil, unknownTrait(name)
			}
			if !(v >= 0 && v <= 1) {
				return nil, fault.New(fault.Invalid, "policy_refused", "The level of %s is outside [0,1]; send a number inside.", t)
			}
			a.doc.Traits[t] = round(v)
		}
		d.traits = moved(before, a.doc)
		return d.orNothing(before, a, func() { a.rebase(d.traits) })
	})
}

// SetPins makes these the pinned traits: learning never moves them.
func (s *Service) SetPins(ctx context.Context, ref Ref, names []string) (Agent, error) {
	return s.act(ctx, ref, "pins", names, authz.Policy, authz.Change, func(_ *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		before, mask := a.doc, policy.Mask(0)
		for _, name := range names {
			t, ok := policy.ParseTrait(name)
			if !ok {
				return nil, unknownTrait(name)
			}
			mask |= policy.MaskOf(t)
		}
		a.doc.Pinned = mask
		d := &deed{kind: event.ChangePinned, traits: mask ^ before.Pinned}
		return d.orNothing(before, a, nil)
	})
}

// SetBounds makes these the bounds, by trait, and moves levels and baseline that
// are now outside to the nearest one inside. Faults: unknown_trait,
// policy_refused.
func (s *Service) SetBounds(ctx context.Context, ref Ref, bounds map[string]policy.Range) (Agent, error) {
	return s.act(ctx, ref, "bounds", bounds, authz.Policy, authz.Change, func(_ *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		before := a.doc
		a.doc.Bounds = policy.Bounds{}
		for name, r := range bounds {
			t, ok := policy.ParseTrait(name)
			if !ok {
				return nil, unknownTrait(name)
			}
			a.doc.Bounds[t] = policy.Range{Lo: round(r.Lo), Hi: round(r.Hi)}
		}
		a.doc.Traits = a.doc.Limits().Clamp(a.doc.Traits)
		d := &deed{kind: event.ChangeBounds, traits: moved(before, a.doc)}
		return d.orNothing(before, a, func() { a.baseline = a.doc.Limits().Clamp(a.baseline) })
	})
}

// The trust that raising autonomy asks for.
const (
	trustAge      = event.Micros(14 * 24 * time.Hour / time.Microsecond)
	trustSessions = 20
)

// Pause stops learning; feedback is kept and not used.
func (s *Service) Pause(ctx context.Context, ref Ref) (Agent, error) {
	return s.learning(ctx, ref, event.ChangePaused, false)
}

// Resume lets learning go on.
func (s *Service) Resume(ctx context.Context, ref Ref) (Agent, error) {
	return s.learning(ctx, ref, event.ChangeResumed, true)
}

func (s *Service) learning(ctx context.Context, ref Ref, kind string, on bool) (Agent, error) {
	return s.act(ctx, ref, kind, nil, authz.Policy, authz.Change, func(_ *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		if a.learning == on {
			return nil, nil
		}
		if on && a.native() {
			return nil, nativeRests()
		}
		a.learning = on
		return &deed{kind: kind}, nil
	})
}

// Kill is the agent's kill switch: it neither speaks nor learns. An owner and an
// operator have one each, and each lifts only their own.
func (s *Service) Kill(ctx context.Context, ref Ref) (Agent, error) {
	p := authz.From(ctx)
	return s.act(ctx, ref, event.ChangeKilled, nil, authz.Agent, authz.Change, func(_ *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		mine := a.stopOf(p)
		if a.stops&mine != 0 {
			return nil, nil
		}
		a.stops |= mine
		return &deed{kind: event.ChangeKilled}, nil
	})
}

// Revive lifts the principal's kill switch. Fault stopped_by_others when only
// another one is on.
func (s *Service) Revive(ctx context.Context, ref Ref) (Agent, error) {
	p := authz.From(ctx)
	return s.act(ctx, ref, event.ChangeRevived, nil, authz.Agent, authz.Change, func(_ *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		mine := a.stopOf(p)
		switch {
		case a.stops == 0:
			return nil, nil
		case a.stops&mine == 0:
			return nil, fault.New(fault.Conflict, "stopped_by_others", "Somebody else stopped this agent; only they can let it go on.")
		}
		a.stops &^= mine
		return &deed{kind: event.ChangeRevived}, nil
	})
}

func (a *record) stopOf(p authz.Principal) stops {
	if len(a.relation(p)) > 0 {
		return stopOwner
	}
	return stopOperator
}

// Rollback makes the policy of an earlier version the newest version: all of it,
// pins, bounds and settings too, so that the difference between the two is
// empty. Texts stay. The baseline follows the levels that move. Faults:
// version_unknown, already_in_force, not_trusted, policy_refused.
func (s *Service) Rollback(ctx context.Context, ref Ref, to int64) (Agent, error) {
	return s.act(ctx, ref, "rollback", to, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error) {
		return a.rollback(tx, to, false, at)
	})
}

// Undo takes the newest version back, policy and texts: a rollback to its parent.
// Undoing twice gives what was undone. Fault nothing_to_undo for a first version.
func (s *Service) Undo(ctx context.Context, ref Ref) (Agent, error) {
	return s.act(ctx, ref, "undo", nil, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error) {
		if a.version == 1 {
			return nil, fault.New(fault.Conflict, "nothing_to_undo", "This is the agent's first version; there is nothing before it.")
		}
		return a.rollback(tx, a.doc.Parent, true, at)
	})
}

func (a *record) rollback(tx *sqldb.Tx, to int64, withTexts bool, at event.Micros) (*deed, error) {
	if to == a.version {
		return nil, fault.New(fault.Conflict, "already_in_force", "Version %d is in force; name an earlier one.", to)
	}
	old, err := versionOf(tx, a.id, to)
	if err != nil {
		return nil, err
	}
	before := a.doc
	a.doc = old.doc
	a.doc.Exploration.Revision = before.Exploration.Revision
	if a.doc.AutonomyLevel > before.AutonomyLevel {
		if err := trusted(tx, a, at); err != nil {
			return nil, err
		}
	}
	d := &deed{kind: event.ChangeRollback, version: true, traits: moved(before, a.doc)}
	a.rebase(d.traits)
	if withTexts && old.texts != a.texts {
		texts, err := textsOf(tx, a.id, old.texts)
		if err != nil {
			return nil, err
		}
		d.texts = &texts
	}
	from := a.version
	d.extra = func(a *record) []event.Payload {
		return []event.Payload{event.AgentRolledBack{AgentID: a.id, From: from, To: to, New: a.version}}
	}
	return d, nil
}

// Transfer gives the agent to another person. Its levels become the baseline;
// what waits for the old owner is void. Faults: person_unknown.
func (s *Service) Transfer(ctx context.Context, ref Ref, to event.PersonID) (Agent, error) {
	return s.act(ctx, ref, "transfer", to, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error) {
		if to == a.owner {
			return nil, nil
		}
		if a.native() {
			return nil, fault.New(fault.Conflict, "native_stays", "This agent is the platform's; adopt a copy of it instead.")
		}
		if since, erased, err := person(tx, to); err != nil {
			return nil, err
		} else if since < 0 || erased {
			return nil, fault.New(fault.Invalid, "person_unknown", "There is no such person to give the agent to.")
		}
		if full, err := s.full(tx, to); err != nil || full {
			if err == nil {
				err = fault.New(fault.Conflict, "no_place_left", "They have no place for another agent now.")
			}
			return nil, err
		}
		if _, err := tx.Exec(`update enrichments set status = $1, decided = $2 where agent_id = $3 and status = $4`, EnrichSuperseded, at, a.id, EnrichWaiting); err != nil {
			return nil, err
		}
		from := a.owner
		a.owner, a.baseline = to, a.doc.Traits
		// A version, because what was proposed for the old owner must not be applied.
		a.quiet = event.Quiet{} // the one before lived by another clock
		return &deed{kind: event.ChangeSettings, reason: "transferred", version: true, extra: func(a *record) []event.Payload {
			return []event.Payload{event.AgentTransferred{AgentID: a.id, From: from, To: to}}
		}}, nil
	})
}

// Retire ends an agent: its texts are deleted, its versions and audit (numbers
// and ids) stay, nobody finds it any more.
func (s *Service) Retire(ctx context.Context, ref Ref) error {
	_, err := s.act(ctx, ref, "retire", nil, authz.Agent, authz.Erase, func(tx *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		return a.retire(tx)
	})
	return err
}

func (a *record) retire(tx *sqldb.Tx) (*deed, error) {
	a.retired, a.name, a.slug = true, "", string(a.id)
	for _, table := range []string{"texts", "levels", "proposals", "cards", "enrichments", "origins", "natives"} {
		if _, err := tx.Exec(`delete from `+table+` where agent_id = $1`, a.id); err != nil {
			return nil, err
		}
	}
	return &deed{kind: "retired", extra: func(a *record) []event.Payload {
		return []event.Payload{event.AgentRetired{AgentID: a.id}}
	}}, nil
}

// moved is the set of traits whose levels differ.
func moved(a, b policy.Document) (m policy.Mask) {
	for name := range policy.Diff(a, b).TraitsDelta {
		if t, ok := policy.ParseTrait(name); ok {
			m |= policy.MaskOf(t)
		}
	}
	return m
}

// rebase makes the levels of some traits the owner's start.
func (a *record) rebase(m policy.Mask) {
	for _, t := range m.Traits() {
		a.baseline[t] = a.doc.Traits[t]
	}
}

// round gives a level at the resolution it is published with.
func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }
