package asking

import (
	"fmt"

	"rapport/event"
)

func sentence(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func none(code, why string, args ...any) Decision {
	return Decision{Ask: None, Code: code, Why: sentence(why, args...)}
}

// span is a length of time in one unit.
func span(t event.Micros) string {
	for _, u := range []struct {
		of   event.Micros
		name string
	}{{day, "day"}, {hour, "hour"}, {minute, "minute"}} {
		n := t / u.of
		switch {
		case u.of == day && n == 1:
			return "24 hours"
		case n > 1:
			return fmt.Sprintf("%d %ss", n, u.name)
		case n == 1:
			return "1 " + u.name
		}
	}
	return "less than a minute"
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

func nth(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}

func (k Known) turn() string {
	if k.Every <= 0 {
		return "no schedule is set"
	}
	return fmt.Sprintf("it is not the turn of the schedule (every %s talk)", nth(k.Every))
}

// Because is the sentence of a reason to ask, by its code.
func Because(code string) string {
	return map[string]string{
		"meaningful": "You talked for a while, and were not asked about this agent lately.",
		"scheduled":  "It was the turn of the schedule.",
		"quiet":      "You gave no feedback on this agent for a while, and you talk with it.",
		"every":      "It was the turn of this answer.",
		"new_tone":   "The agent tried something new here.",
		"unsure":     "It is not clear how you like it so far.",
	}[code]
}
