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
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Ref names the agent that an act is about.
type Ref struct {
	Agent   string // id or slug
	Version int64  // the version the caller saw: fault version_conflict when another is in force; 0 for any
	Key     string // Idempotency-Key, may be empty
}

// deed is one change of an agent: who did what because of what.
type deed struct {
	id       string // of its row of audit, the cause of what follows
	kind     string // one of event's Change constants, or created, transferred, retired …
	by       string // owner, learning, platform
	actor    string // a person's id, or learning
	at       event.Micros
	cause    string
	causes   []string // feedback ids
	verdicts []event.Verdict
	reason   string      // of the version; kind when empty
	traits   policy.Mask // that the owner touched
	actions  []string    // the action weights that the owner changed
	texts    *Texts      // new ones
	version  bool        // it is a version even when the document stays equal
	extra    func(*record) []event.Payload
	parent   *event.Event // what it follows from
}

// emit puts what a deed says to others in the outbox. Ids are derived where an
// event led here, so that handling it twice says it once.
func (d deed) emit(tx *sqldb.Tx, payloads ...event.Payload) error {
	for _, p := range payloads {
		id := event.NewID()
		if d.parent != nil {
			id = event.DerivedID("agent", 1, d.parent.ID, p.EventType(), p.Key(), 0)
		}
		e := event.New("agent", id, d.at, p)
		if d.parent != nil {
			e = e.CausedBy(*d.parent)
		}
		if err := relay.Emit(tx, e); err != nil {
			return err
		}
	}
	return nil
}

// insert writes a new agent.
func insert(tx *sqldb.Tx, a *record, texts Texts, d deed) error {
	d.id = event.NewID()
	a.acts = 1
	if err := put(tx, a, true); err != nil {
		return err
	}
	if err := putTexts(tx, a, texts, d.at); err != nil {
		return err
	}
	if err := putVersion(tx, a, d); err != nil {
		return err
	}
	if err := putLevels(tx, nil, a, d); err != nil {
		return err
	}
	if err := putAudit(tx, nil, a, d); err != nil {
		return err
	}
	return d.emit(tx, event.AgentCreated{AgentState: a.state(talks{at: a.created})})
}

// commit writes the change from before to after, which differ or d says so: a
// version when the policy or the texts changed, one row of audit, one
// agent.updated. Versions are numbered here and nowhere else. Fault
// policy_refused when what came out cannot be published.
func commit(tx *sqldb.Tx, before, after *record, d deed) error {
	if d.id == "" {
		d.id = event.NewID()
	}
	if d.cause == "" {
		d.cause = d.id
	}
	d.at = max(d.at, before.updated)
	after.updated = d.at
	after.acts = before.acts + 1
	if d.texts != nil {
		after.texts++
		after.name = d.texts.Name
		if err := putTexts(tx, after, *d.texts, d.at); err != nil {
			return err
		}
	}
	newVersion := d.version || after.texts != before.texts || !policy.Diff(before.doc, after.doc).Empty()
	if newVersion {
		after.version = before.version + 1
		if d.by != policy.ByLearning {
			after.ownerVersion = after.version
		}
		if d.reason == "" {
			d.reason = d.kind
		}
		after.doc.Version, after.doc.Parent, after.doc.Reason = after.version, before.version, d.reason
		after.doc.LastUpdatedBy, after.doc.LastUpdatedAt = d.by, d.at
		if err := after.seal(); err != nil {
			return err
		}
		if err := putVersion(tx, after, d); err != nil {
			return err
		}
		if err := putLevels(tx, before, after, d); err != nil {
			return err
		}
	}
	if err := put(tx, after, false); err != nil {
		return err
	}
	if err := putAudit(tx, before, after, d); err != nil {
		return err
	}
	if d.extra != nil {
		if err := d.emit(tx, d.extra(after)...); err != nil {
			return err
		}
	}
	if after.retired {
		return nil
	}
	if d.by == policy.ByOwner {
		d.actions = keys(policy.Diff(before.doc, after.doc).ActionPolicyDelta)
	}
	if err := announce(tx, after, d); err != nil {
		return err
	}
	if newVersion && d.by != policy.ByLearning {
		return overtake(tx, after, d)
	}
	return nil
}

// announce emits the agent.updated of a deed.
func announce(tx *sqldb.Tx, a *record, d deed) error {
	t, err := talksOf(tx, a.id)
	if err != nil {
		return err
	}
	c := event.Change{Kind: d.kind, By: d.by, Cause: d.cause, Actions: d.actions}
	for _, t := range d.traits.Traits() {
		c.Traits = append(c.Traits, t.String())
	}
	return d.emit(tx, event.AgentUpdated{AgentState: a.state(t), Change: c})
}

// state is the agent as others hear of it.
func (a *record) state(t talks) event.AgentState {
	m := a.mood(t, t.at)
	return event.AgentState{
		AgentID: a.id, OwnerID: a.owner, Version: a.version, Policy: a.raw, Baseline: slices.Clone(a.baseline[:]),
		Learning: a.learning, Alive: a.stops == 0, Pace: a.pace,
		Mood:   event.Mood{Valence: m.Valence, Arousal: m.Arousal, At: t.at, BaselineValence: m.BaselineValence, BaselineArousal: m.BaselineArousal, Off: m.Off},
		Asking: &event.Asking{Intensity: a.asking.Intensity, Every: a.asking.Every},
	}
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
				if d.by = policy.ByOwner; len(relations) == 0 {
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
		after.Examples = slices.Clone(before.Examples)
		change(&after)
		if after, err = after.tidy(); err != nil || equalTexts(before, after) {
			return nil, err
		}
		return &deed{kind: event.ChangeSettings, reason: "texts", texts: &after}, nil
	})
}

func equalTexts(a, b Texts) bool {
	return a.Name == b.Name && a.Description == b.Description && a.Backstory == b.Backstory && a.Style == b.Style &&
		a.Greeting == b.Greeting && slices.Equal(a.Examples, b.Examples)
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

// Settings is everything else an owner may set; what is nil stays.
type Settings struct {
	Pace          *string
	Approval      *Approval
	MoodOff       *bool
	MoodValence   *float64 // the baselines, each in [-1,1]
	MoodArousal   *float64
	Epsilon       *float64
	Strategy      *string
	HoldoutOff    *bool
	ActionPolicy  *policy.ActionPolicy
	Runtime       *policy.Runtime
	AutonomyLevel *int
	Asking        *string // off, gentle, normal, eager
	AskEvery      *int    // [0,1000]
}

// The trust that raising autonomy asks for.
const (
	trustAge      = event.Micros(14 * 24 * time.Hour / time.Microsecond)
	trustSessions = 20
)

// SetSettings changes what is given. Autonomy is raised only for a trusted agent:
// its owner's account is at least 14 days old and it has held 20 sessions; it is
// lowered freely. Faults: invalid_settings, unknown_trait, not_trusted,
// policy_refused.
func (s *Service) SetSettings(ctx context.Context, ref Ref, c Settings) (Agent, error) {
	return s.act(ctx, ref, "settings", c, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, at event.Micros) (*deed, error) {
		before := *a
		if err := c.apply(a); err != nil {
			return nil, err
		}
		if a.doc.AutonomyLevel > before.doc.AutonomyLevel {
			if err := trusted(tx, a, at); err != nil {
				return nil, err
			}
		}
		// A support agent has narrower limits; its levels go inside.
		a.doc.Traits = a.doc.Limits().Clamp(a.doc.Traits)
		was, is, err := differ(&before, a)
		if err != nil || was == is {
			return nil, err
		}
		d := &deed{kind: event.ChangeSettings, traits: moved(before.doc, a.doc)}
		a.rebase(d.traits)
		return d, nil
	})
}

func (c Settings) apply(a *record) error {
	bad := func(what string) error {
		return fault.New(fault.Invalid, "invalid_settings", "The settings are refused: %s.", what)
	}
	if c.Pace != nil {
		if !slices.Contains([]string{PaceCareful, PaceNormal, PaceFast}, *c.Pace) {
			return bad("pace is careful, normal or fast")
		}
		a.pace = *c.Pace
	}
	if c.Approval != nil {
		if !slices.Contains([]string{ApprovalOff, ApprovalSome, ApprovalAll}, c.Approval.Mode) || !(c.Approval.Above >= 0 && c.Approval.Above <= 1) {
			return bad("approval is off, some or all, with a size from 0 to 1")
		}
		for _, name := range c.Approval.Traits {
			if _, ok := policy.ParseTrait(name); !ok {
				return unknownTrait(name)
			}
		}
		a.approval = *c.Approval
		a.approval.Traits = slices.Compact(slices.Sorted(slices.Values(c.Approval.Traits)))
	}
	for _, m := range []struct {
		from *float64
		to   *float64
	}{{c.MoodValence, &a.moodValence}, {c.MoodArousal, &a.moodArousal}} {
		if m.from != nil {
			if !(*m.from >= -1 && *m.from <= 1) {
				return bad("a mood lies between -1 and 1")
			}
			*m.to = *m.from
		}
	}
	if c.MoodOff != nil {
		a.moodOff = *c.MoodOff
	}
	if c.Epsilon != nil {
		a.doc.Exploration.Epsilon = *c.Epsilon
	}
	if c.Strategy != nil {
		a.doc.Exploration.Strategy = *c.Strategy
	}
	if c.HoldoutOff != nil {
		a.doc.Exploration.HoldoutOff = *c.HoldoutOff
	}
	if c.ActionPolicy != nil {
		a.doc.ActionPolicy = *c.ActionPolicy
	}
	if c.Runtime != nil {
		a.doc.Runtime = *c.Runtime
	}
	if c.AutonomyLevel != nil {
		a.doc.AutonomyLevel = *c.AutonomyLevel
	}
	if c.Asking != nil {
		if !slices.Contains([]string{AskOff, AskGentle, AskNormal, AskEager}, *c.Asking) {
			return bad("asking is off, gentle, normal or eager")
		}
		a.asking.Intensity = *c.Asking
	}
	if c.AskEvery != nil {
		if *c.AskEvery < 0 || *c.AskEvery > maxAskEvery {
			return bad("asking after every so many talks goes from 0, never, to 1000")
		}
		a.asking.Every = *c.AskEvery
	}
	return nil
}

// trusted says why an agent may not do more unasked than it does.
func trusted(tx *sqldb.Tx, a *record, at event.Micros) error {
	since, _, err := person(tx, a.owner)
	if err != nil {
		return err
	}
	t, err := talksOf(tx, a.id)
	if err != nil {
		return err
	}
	if since < 0 || at-since < trustAge || t.sessions < trustSessions {
		return fault.New(fault.Forbidden, "not_trusted",
			"Autonomy can be raised when your account is 14 days old and the agent has held 20 sessions; it has held %d.", t.sessions)
	}
	return nil
}

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
	return s.act(ctx, ref, "transfer", to, authz.Policy, authz.Change, func(tx *sqldb.Tx, a *record, _ event.Micros) (*deed, error) {
		if to == a.owner {
			return nil, nil
		}
		if since, erased, err := person(tx, to); err != nil {
			return nil, err
		} else if since < 0 || erased {
			return nil, fault.New(fault.Invalid, "person_unknown", "There is no such person to give the agent to.")
		}
		from := a.owner
		a.owner, a.baseline = to, a.doc.Traits
		// A version, because what was proposed for the old owner must not be applied.
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
	for _, table := range []string{"texts", "levels", "proposals"} {
		if _, err := tx.Exec(`delete from `+table+` where agent_id = $1`, a.id); err != nil {
			return nil, err
		}
	}
	return &deed{kind: "retired", extra: func(a *record) []event.Payload {
		return []event.Payload{event.AgentRetired{AgentID: a.id}}
	}}, nil
}

// orNothing is the deed, or none when the document stays as it was; also runs
// when it does not.
func (d *deed) orNothing(before policy.Document, a *record, also func()) (*deed, error) {
	if policy.Diff(before, a.doc).Empty() {
		return nil, nil
	}
	if also != nil {
		also()
	}
	return d, nil
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
