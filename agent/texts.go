package agent

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"rapport/internal/fault"
)

// tidy trims the texts and refuses those that are too long or hold what no text
// holds. Fault invalid_texts.
func (t Texts) tidy() (Texts, error) {
	if t.Name = strings.TrimSpace(t.Name); t.Name == "" {
		return t, badText("name", "is empty")
	}
	if strings.ContainsFunc(t.Name, unicode.IsControl) {
		return t, badText("name", "has line breaks or control characters")
	}
	if len(t.Examples) > 20 {
		return t, badText("examples", "are more than 20")
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
	}{{"name", t.Name, 80}, {"description", t.Description, 500}, {"backstory", t.Backstory, 8000}, {"style", t.Style, 2000}, {"greeting", t.Greeting, 1000}} {
		if err := check(f.field, f.s, f.most); err != nil {
			return t, err
		}
	}
	for _, e := range t.Examples {
		if err := check("examples", e.Person, 2000); err != nil {
			return t, err
		}
		if err := check("examples", e.Agent, 2000); err != nil {
			return t, err
		}
	}
	return t, nil
}

func badText(field, why string) error {
	return fault.New(fault.Invalid, "invalid_texts", "The agent's %s %s; shorten or correct it.", field, why)
}
