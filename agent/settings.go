package agent

import (
	"context"
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // owners' time zones, also where the machine has none

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

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
	Quiet         *event.Quiet
}

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
		if a.native() && a.doc.Exploration.Strategy != policy.StrategyOff {
			return nil, nativeRests()
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
		if was := a.doc.ActionPolicy.CommentProbability; c.ActionPolicy.CommentProbability != was { // a setting that does nothing would be a promise
			return bad(fmt.Sprintf("there are no posts to comment on; leave commentProbability at %g", was))
		}
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
	if c.Quiet != nil {
		if _, err := time.LoadLocation(c.Quiet.Zone); err != nil || c.Quiet.Zone == "" || c.Quiet.Zone == "Local" {
			return bad("quiet hours need a time zone, as Europe/Berlin or UTC")
		}
		if c.Quiet.From < 0 || c.Quiet.From > 23 || c.Quiet.To < 0 || c.Quiet.To > 23 {
			return bad("quiet hours go from 0 to 23")
		}
		a.quiet = *c.Quiet
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
