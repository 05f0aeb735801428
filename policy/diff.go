package policy

import (
	"math"
	"reflect"
)

// Delta is what changed from one document to the next: the platform's
// agentPolicyUpdate. Only fields that differ by more than 1e-6 (the resolution
// of a published level) are in it.
type Delta struct {
	TraitsDelta       map[string]float64 `json:"traitsDelta"`       // after minus before, by trait
	ActionPolicyDelta map[string]float64 `json:"actionPolicyDelta"` // after minus before, as replyFrequency.groupSmall
	Other             []string           `json:"other"`             // names of the other fields that differ, in document order
}

// Empty says whether nothing changed.
func (d Delta) Empty() bool {
	return len(d.TraitsDelta) == 0 && len(d.ActionPolicyDelta) == 0 && len(d.Other) == 0
}

// Diff gives what changed from a to b. Version, parent, reason, evidence, who and
// when are not part of what a policy says and never show; tone weights follow
// from the traits and do not show either.
func Diff(a, b Document) Delta {
	d := Delta{TraitsDelta: map[string]float64{}, ActionPolicyDelta: map[string]float64{}, Other: []string{}}
	note := func(into map[string]float64, name string, before, after float64) {
		if v := math.Round((after-before)*1e6) / 1e6; v != 0 {
			into[name] = v
		}
	}
	for i := range a.Traits {
		note(d.TraitsDelta, Trait(i).String(), a.Traits[i], b.Traits[i])
	}
	after := b.ActionPolicy.fields()
	for i, before := range a.ActionPolicy.fields() {
		note(d.ActionPolicyDelta, before.name, before.v, after[i].v)
	}
	note(d.ActionPolicyDelta, "maxAutonomousActionsPerDay",
		float64(a.ActionPolicy.MaxAutonomousActionsPerDay), float64(b.ActionPolicy.MaxAutonomousActionsPerDay))
	a.Exploration.Revision, b.Exploration.Revision = 0, 0
	for _, o := range []struct {
		name   string
		differ bool
	}{
		{"agentId", a.AgentID != b.AgentID},
		{"exploration", a.Exploration != b.Exploration},
		{"memory", !sameFacts(a.Memory.LeanInto, b.Memory.LeanInto) || !sameFacts(a.Memory.AvoidWith, b.Memory.AvoidWith)},
		{"runtime", a.Runtime != b.Runtime},
		{"pinned", a.Pinned != b.Pinned},
		{"bounds", !reflect.DeepEqual(a.Bounds.Within(nil), b.Bounds.Within(nil))},
		{"autonomyLevel", a.AutonomyLevel != b.AutonomyLevel},
	} {
		if o.differ {
			d.Other = append(d.Other, o.name)
		}
	}
	return d
}

func sameFacts(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
