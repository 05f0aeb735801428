package learning

import (
	"fmt"
	"math"
	"strings"

	"rapport/policy"
)

// Standing says in words how far a trait is and what it waits for; empty when
// there is nothing to say.
func (t Trait) Standing() string {
	var parts []string
	if t.Word != "start" {
		parts = append(parts, t.Word)
	}
	switch t.Waits {
	case "":
	case "evidence":
		parts = append(parts, "needs more evidence")
	case "inaudible":
		parts = append(parts, "not heard in this model's replies, so not learned")
	case "held":
		parts = append(parts, "held after your change: learning waits for ten talks")
	default:
		parts = append(parts, t.Waits)
	}
	if t.Needs > 0 && t.Needs < manyRatings {
		ratings := "ratings"
		if t.Needs == 1 {
			ratings = "rating"
		}
		parts = append(parts, fmt.Sprintf("about %d more %s before it moves", t.Needs, ratings))
	}
	return strings.Join(parts, ", ")
}

// Effect says what a rating moved, or which way it leaned the belief, or why it was
// not used.
func (r Rating) Effect() string {
	if !r.Used {
		return "not used: " + strings.ReplaceAll(r.NotUsed, "_", " ")
	}
	if s := deltas(r.Moved, .0005, "%s %+.3f"); s != "" {
		return "moved " + s
	}
	for _, lean := range [...]struct {
		least float64
		words string
	}{{.15, "speaks clearly for "}, {.05, "speaks for "}, {.005, "speaks a little for "}} {
		if s := leanings(r.Leaned, lean.least); s != "" {
			return lean.words + s
		}
	}
	if r.Note != "" {
		return r.Note
	}
	return "counts; too little to see yet"
}

// leanings lists the traits whose belief changed by at least so much.
func leanings(leaned map[string]float64, least float64) string {
	var parts []string
	for t := range policy.NTraits {
		name := policy.Trait(t).String()
		switch d := leaned[name]; {
		case d >= least:
			parts = append(parts, "more "+name)
		case d <= -least:
			parts = append(parts, "less "+name)
		}
	}
	return strings.Join(parts, ", ")
}

func deltas(m map[string]float64, least float64, form string) string {
	var parts []string
	for t := range policy.NTraits {
		name := policy.Trait(t).String()
		if d := m[name]; math.Abs(d) >= least {
			parts = append(parts, fmt.Sprintf(form, name, d))
		}
	}
	return strings.Join(parts, ", ")
}

// Sentence says a comparison to the owner.
func (c Comparison) Sentence() string {
	switch c.Word {
	case BetterYes, BetterNo:
		return fmt.Sprintf("%s: %+.2f ratings a session (%+.2f to %+.2f), %d sessions as it is now against %d that were kept at your start",
			c.Word, *c.Better, c.Interval[0], c.Interval[1], c.N, c.Holdouts)
	}
	if c.Better == nil {
		return fmt.Sprintf("not enough data: %d rated sessions as it is now, %d of those kept at your start; one session in twenty is, once something was learned", c.N, c.Holdouts)
	}
	return fmt.Sprintf("not enough data: %+.2f ratings a session so far, but it may be %+.2f or %+.2f (%d sessions against %d kept at your start)",
		*c.Better, c.Interval[0], c.Interval[1], c.N, c.Holdouts)
}
