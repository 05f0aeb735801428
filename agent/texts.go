package agent

import (
	"strings"
	"unicode/utf8"

	"rapport/internal/fault"
	"rapport/internal/visible"
)

// The most characters of each text, and the most of each list.
const (
	maxName        = 80
	maxDescription = 500
	maxBackstory   = 8000
	maxStyle       = 2000
	maxScenario    = 2000
	maxOpening     = 4000 // of the greeting too
	maxAppearance  = 500
	maxExample     = 2000
	maxExamples    = 20
	maxOpenings    = 20
)

// tidy trims the texts and refuses those that are too long or hold what no text
// holds. Fault invalid_texts.
func (t Texts) tidy() (Texts, error) {
	if t.Name = strings.TrimSpace(t.Name); visible.Empty(t.Name) {
		return t, badText("name", "is empty")
	}
	if !visible.Name(t.Name) {
		return t, badText("name", "has line breaks, or characters that cannot be seen")
	}
	if len(t.Examples) > maxExamples {
		return t, badText("examples", "are more than 20")
	}
	if len(t.Openings) > maxOpenings {
		return t, badText("openings", "are more than 20")
	}
	check := func(field, s string, most int) error {
		switch {
		case !utf8.ValidString(s):
			return badText(field, "is not UTF-8")
		case strings.ContainsRune(s, 0):
			return badText(field, "holds the character NUL")
		case utf8.RuneCountInString(s) > most:
			return badText(field, "is too long")
		}
		return nil
	}
	for _, f := range []struct {
		field, s string
		most     int
	}{{"name", t.Name, maxName}, {"description", t.Description, maxDescription}, {"backstory", t.Backstory, maxBackstory}, {"style", t.Style, maxStyle},
		{"scenario", t.Scenario, maxScenario}, {"greeting", t.Greeting, maxOpening}, {"appearance", t.Appearance, maxAppearance}} {
		if err := check(f.field, f.s, f.most); err != nil {
			return t, err
		}
	}
	for _, o := range t.Openings {
		if err := check("openings", o, maxOpening); err != nil {
			return t, err
		}
	}
	for _, e := range t.Examples {
		if err := check("examples", e.Person, maxExample); err != nil {
			return t, err
		}
		if err := check("examples", e.Agent, maxExample); err != nil {
			return t, err
		}
	}
	return t, nil
}

func badText(field, why string) error {
	return fault.New(fault.Invalid, "invalid_texts", "The agent's %s %s; shorten or correct it.", field, why)
}
