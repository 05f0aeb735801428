package agent

import (
	"slices"

	"rapport/event"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/policy"
)

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
		Asking: &event.Asking{Intensity: a.asking.Intensity, Every: a.asking.Every}, Quiet: a.hush(),
	}
}

// hush are the quiet hours, nil where none were set.
func (a *record) hush() *event.Quiet {
	if a.quiet.Zone == "" {
		return nil
	}
	q := a.quiet
	return &q
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
