package policy

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The codes of a violation.
const (
	CodeSchema    = "schema"         // a field's form: missing, too long, outside its range or vocabulary
	CodeNaN       = "nan"            // not a finite number
	CodeBounds    = "bounds"         // a level outside the document's bounds or the platform's
	CodeForbidden = "forbidden"      // a forbidden combination of levels
	CodeEmpty     = "empty_bounds"   // bounds that leave no level, or lie outside [0,1]
	CodeVersion   = "version_parent" // the version is not after its parent
)

// Violation is one reason why a document cannot be published.
type Violation struct {
	Code  string `json:"code"`
	Field string `json:"field"` // as traits.humor
	Note  string `json:"note"`
}

// Invalid is the error of Validate: every violation, in the order of the
// document's fields.
type Invalid []Violation

func (e Invalid) Error() string {
	parts := make([]string, len(e))
	for i, v := range e {
		parts[i] = v.Code + " " + v.Field + ": " + v.Note
	}
	return "policy refused: " + strings.Join(parts, "; ")
}

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (2020-12) of the document.
func Schema() []byte { return slices.Clone(schema) }

// maxID is the longest id, in bytes; maxFacts the longest list of facts.
const (
	maxID    = 64
	maxFacts = 64
)

// Validate gives nil for a document that can be published, or an Invalid that
// lists every violation. It checks what Schema says, and what a schema cannot
// say: bounds, forbidden combinations, versions.
func Validate(d Document) error {
	var bad Invalid
	add := func(code, field, note string, args ...any) {
		bad = append(bad, Violation{code, field, fmt.Sprintf(note, args...)})
	}
	number := func(field string, v, lo, hi float64) bool {
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			add(CodeNaN, field, "not a finite number")
		case v < lo || v > hi:
			add(CodeSchema, field, "%v is outside [%v,%v]", v, lo, hi)
		default:
			return true
		}
		return false
	}
	text := func(field, v string, least, most int) {
		if len(v) < least || len(v) > most {
			add(CodeSchema, field, "%d bytes, want %d to %d", len(v), least, most)
		}
	}
	oneOf := func(field, v string, values ...string) {
		if !slices.Contains(values, v) {
			add(CodeSchema, field, "%q is not one of %s", v, strings.Join(values, ", "))
		}
	}

	text("agentId", d.AgentID, 1, maxID)
	if d.Version < 1 {
		add(CodeSchema, "version", "%d is below 1", d.Version)
	}
	if d.Parent < 0 || d.Parent >= d.Version {
		add(CodeVersion, "parent", "%d does not come before version %d", d.Parent, d.Version)
	}
	text("reason", d.Reason, 0, 200)

	limits, sound := d.Limits(), true
	for i, v := range d.Traits {
		field := "traits." + Trait(i).String()
		if !number(field, v, 0, 1) {
			sound = false
			continue
		}
		if r := limits.Of(Trait(i)); !r.Has(v) {
			add(CodeBounds, field, "%v is outside [%v,%v]", v, r.Lo, r.Hi)
		}
	}
	if sound {
		for _, c := range Forbidden() {
			if c.Holds(d.Traits) {
				add(CodeForbidden, "traits", "the levels together are %s", c.Name)
			}
		}
	}
	for _, tone := range sortedKeys(d.ToneWeights) {
		if !slices.Contains(Tones(), tone) {
			add(CodeSchema, "toneWeights."+tone, "unknown tone")
			continue
		}
		number("toneWeights."+tone, d.ToneWeights[tone], 0, 1)
	}
	for _, a := range d.ActionPolicy.fields() {
		number("actionPolicy."+a.name, a.v, 0, 1)
	}
	if n := d.ActionPolicy.MaxAutonomousActionsPerDay; n < 0 || n > 100 {
		add(CodeSchema, "actionPolicy.maxAutonomousActionsPerDay", "%d is outside [0,100]", n)
	}
	number("exploration.epsilon", d.Exploration.Epsilon, 0, 1)
	oneOf("exploration.strategy", d.Exploration.Strategy, StrategyMixture, StrategyEpsilon, StrategyOff)
	if d.Exploration.Revision < 0 {
		add(CodeSchema, "exploration.revision", "%d is below 0", d.Exploration.Revision)
	}
	for _, l := range []struct {
		field string
		facts []string
	}{{"memory.leanInto", d.Memory.LeanInto}, {"memory.avoidWith", d.Memory.AvoidWith}} {
		if len(l.facts) > maxFacts {
			add(CodeSchema, l.field, "%d facts, at most %d", len(l.facts), maxFacts)
		}
		for _, f := range l.facts {
			text(l.field, f, 1, maxID)
		}
	}
	text("runtime.preferredProvider", d.Runtime.PreferredProvider, 0, maxID)
	text("runtime.preferredModel", d.Runtime.PreferredModel, 0, 200)
	text("runtime.archetype", d.Runtime.Archetype, 0, maxID)
	if d.Pinned&^AllTraits != 0 {
		add(CodeSchema, "pinned", "a trait that does not exist")
	}
	for i := range NTraits {
		r := d.Bounds.Of(Trait(i))
		if !(r.Lo >= 0 && r.Lo <= r.Hi && r.Hi <= 1) {
			add(CodeEmpty, "bounds."+Trait(i).String(), "[%v,%v] is not an interval inside [0,1]", r.Lo, r.Hi)
		}
	}
	for t := range d.Bounds {
		if t >= NTraits {
			add(CodeSchema, "bounds", "a trait that does not exist")
		}
	}
	if d.AutonomyLevel < 0 || d.AutonomyLevel > 3 {
		add(CodeSchema, "autonomyLevel", "%d is outside [0,3]", d.AutonomyLevel)
	}
	oneOf("lastUpdatedBy", d.LastUpdatedBy, ByOwner, ByLearning, ByPlatform)
	if d.LastUpdatedAt < 0 {
		add(CodeSchema, "lastUpdatedAt", "%d is before 1970", d.LastUpdatedAt)
	}
	for _, name := range sortedKeys(d.Evidence) {
		field := "evidence." + name
		if _, ok := ParseTrait(name); !ok {
			add(CodeSchema, field, "unknown trait")
			continue
		}
		if d.Evidence[name].N < 0 {
			add(CodeSchema, field+".n", "%d is below 0", d.Evidence[name].N)
		}
		number(field+".sd", d.Evidence[name].SD, 0, math.MaxFloat64)
		number(field+".p", d.Evidence[name].P, 0, 1)
		number(field+".ideal", d.Evidence[name].Ideal, 0, 1)
	}
	if bad == nil {
		return nil
	}
	return bad
}

type named struct {
	name string
	v    float64
}

// fields lists the probabilities of the action policy by their JSON names.
func (a ActionPolicy) fields() []named {
	return []named{
		{"replyFrequency.dmWithOwner", a.ReplyFrequency.DMWithOwner},
		{"replyFrequency.dmWithOthers", a.ReplyFrequency.DMWithOthers},
		{"replyFrequency.groupSmall", a.ReplyFrequency.GroupSmall},
		{"replyFrequency.groupLarge", a.ReplyFrequency.GroupLarge},
		{"postProbability", a.PostProbability},
		{"commentProbability", a.CommentProbability},
		{"inviteProbability", a.InviteProbability},
		{"startThreadProbability", a.StartThreadProbability},
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
