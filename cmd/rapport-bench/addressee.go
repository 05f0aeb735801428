package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"rapport/chat/textsignal"
)

// ircDay is a day of a real room, with the links that people drew from lines to
// what these answer.
type ircDay struct {
	lines []textsignal.Line
	said  []bool        // false: the server speaks, or nothing is said
	links map[int][]int // line → lines it answers; itself: starts something
}

var ircLine = regexp.MustCompile(`^\[(\d\d):(\d\d)\] +<([^>]+)> ?(.+)$`)

func readIRC() ([]ircDay, error) {
	files, err := filepath.Glob(filepath.Join(dataDir(), "irc", "dev", "*.raw.txt"))
	if err != nil || len(files) == 0 {
		return nil, errNoData
	}
	var days []ircDay
	for _, name := range files {
		day := ircDay{links: map[int][]int{}}
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		at := int64(0)
		for s := bufio.NewScanner(f); s.Scan(); {
			m := ircLine.FindStringSubmatch(s.Text())
			if m == nil {
				day.lines, day.said = append(day.lines, textsignal.Line{At: at}), append(day.said, false)
				continue
			}
			hour, _ := strconv.ParseInt(m[1], 10, 64)
			minute, _ := strconv.ParseInt(m[2], 10, 64)
			now := (hour*60 + minute) * 60e6
			for now < at-12*3600e6 { // past midnight
				now += 24 * 3600e6
			}
			at = max(at, now)
			day.lines = append(day.lines, textsignal.Line{Author: m[3], Name: m[3], At: at, Text: m[4]})
			day.said = append(day.said, true)
		}
		links, err := os.ReadFile(strings.Replace(name, ".raw.", ".annotation.", 1))
		if err != nil {
			return nil, err
		}
		for l := range strings.Lines(string(links)) {
			var a, b int
			if _, err := fmt.Sscan(l, &a, &b); err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
			}
			day.links[max(a, b)] = append(day.links[max(a, b)], min(a, b))
		}
		days = append(days, day)
	}
	return days, nil
}

// ircCase is a line whose answer people marked.
type ircCase struct {
	day      int
	self     string
	choices  []textsignal.Choice
	right    []bool
	people   map[string]bool // who was answered; none when it starts something or goes on
	previous bool            // the line before is right
	rule     bool            // addressed nick's last, own last, a question starts a thread
}

// replay goes through the days, knowing only what was said before.
func replay(days []ircDay) []ircCase {
	var out []ircCase
	for d, day := range days {
		var talk textsignal.Talk
		var at []int // line numbers of what talk heard
		for i, l := range day.lines {
			if !day.said[i] {
				continue
			}
			if links := day.links[i]; len(links) > 0 {
				c := ircCase{day: d, self: l.Author, choices: talk.Choices(l), people: map[string]bool{}}
				is := map[int]bool{}
				for _, k := range links {
					is[k] = true
					if k != i && day.lines[k].Author != l.Author {
						c.people[day.lines[k].Author] = true
					}
				}
				for _, x := range c.choices {
					c.right = append(c.right, x.Back == 0 && is[i] || x.Back > 0 && is[at[len(at)-x.Back]])
				}
				c.previous = len(at) > 0 && is[at[len(at)-1]]
				c.rule = is[byRule(day, at, i)]
				out = append(out, c)
			}
			talk.Hear(l)
			at = append(at, i)
		}
	}
	return out
}

// byRule is the baseline: the last line of the person whose nick begins the line, else the
// author's own last, but a question without a nick starts something.
func byRule(day ircDay, at []int, i int) int {
	l := day.lines[i]
	nick := strings.ToLower(strings.Trim(strings.SplitN(l.Text, " ", 2)[0], ":,"))
	own := i
	for k := len(at) - 1; k >= 0; k-- {
		if a := day.lines[at[k]].Author; strings.ToLower(a) == nick && a != l.Author {
			return at[k]
		} else if own == i && a == l.Author {
			own = at[k]
		}
	}
	if strings.Contains(l.Text, "?") {
		return i
	}
	return own
}

// addressee asks what each line answers. Weights are fitted on half of the days
// and judged on the others, both ways.
func addressee(ctx context.Context) (metrics, error) {
	days, err := readIRC()
	if err != nil {
		return nil, err
	}
	cases := replay(days)
	type tally struct{ n, right, previous, rule, reachable float64 }
	var all tally
	byDay := make([]tally, len(days))
	answers := make([]textsignal.Answer, len(cases))
	for half := range 2 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w := fitAnswers(cases, func(c ircCase) bool { return c.day%2 != half })
		for i, c := range cases {
			if c.day%2 == half {
				answers[i] = textsignal.Weigh(c.choices, w, c.self)
			}
		}
	}
	shipped := 0.0
	for i, c := range cases {
		any := false
		for k, x := range c.choices {
			any = any || c.right[k]
			if x.Back == answers[i].Back {
				byDay[c.day].right += indicator(c.right[k])
			}
			if x.Back == textsignal.Weigh(c.choices, &textsignal.AnswerWeights, c.self).Back {
				shipped += indicator(c.right[k])
			}
		}
		t := &byDay[c.day]
		t.n, t.previous, t.rule, t.reachable = t.n+1, t.previous+indicator(c.previous), t.rule+indicator(c.rule), t.reachable+indicator(any)
	}
	var perDay []float64
	for _, t := range byDay {
		all = tally{all.n + t.n, all.right + t.right, all.previous + t.previous, all.rule + t.rule, all.reachable + t.reachable}
		perDay = append(perDay, t.right/t.n)
	}
	_, ci := meanInterval(perDay)
	m := metrics{"accuracy": all.right / all.n, "accuracy_ci95": ci, "messages": all.n, "previous_line": all.previous / all.n, "rule": all.rule / all.n,
		"reachable": all.reachable / all.n, "accuracy_shipped_in_sample": shipped / all.n, "shipped_weights_differ": 0.0}
	m["acted_share"], m["wrong_share"], m["wrong_share_ci95"], m["reached_share"], m["wrong_share_stated"] = actedOn(cases, answers, textsignal.ActAt)
	for _, at := range []float64{0, .5, .7, .8, .9, .95} {
		acted, wrong, half, reached, _ := actedOn(cases, answers, at)
		m[fmt.Sprintf("at_%.2f", at)] = fmt.Sprintf("acted %.3f, wrong of these %.3f ±%.3f, of answers to somebody %.3f reach them", acted, wrong, half, reached)
	}
	for k, w := range fitAnswers(cases, func(ircCase) bool { return true }) {
		m["shipped_weights_differ"] = max(m["shipped_weights_differ"].(float64), math.Abs(w-textsignal.AnswerWeights[k]))
		fmt.Fprintf(os.Stderr, "%.3f, ", w)
	}
	fmt.Fprintln(os.Stderr)
	return m, nil
}

func fitAnswers(cases []ircCase, use func(ircCase) bool) *[textsignal.NAnswerFeatures]float64 {
	var xs [][][]float64
	var right [][]bool
	for _, c := range cases {
		if !use(c) {
			continue
		}
		x := make([][]float64, len(c.choices))
		for k := range c.choices {
			x[k] = c.choices[k].Features[:]
		}
		xs, right = append(xs, x), append(right, c.right)
	}
	return (*[textsignal.NAnswerFeatures]float64)(fitChoices(xs, right, 1, 250))
}

// actedOn says what a threshold on the chance of the addressee costs: of all
// messages the share whose signal goes to somebody; of these the share that goes
// to the wrong one (to another, or though nobody was spoken to); of the answers to
// somebody the share that reaches them; and the wrong share that the chances state.
func actedOn(cases []ircCase, answers []textsignal.Answer, at float64) (acted, wrong, half, reached, expected float64) {
	spoken, said := 0.0, 0.0
	for i, c := range cases {
		spoken += indicator(len(c.people) > 0)
		if a := answers[i]; a.Author != "" && a.AuthorP >= at {
			acted++
			said += 1 - a.AuthorP
			wrong += indicator(!c.people[a.Author])
			reached += indicator(c.people[a.Author])
		}
	}
	wrong /= acted
	return acted / float64(len(cases)), wrong, 1.96 * math.Sqrt(wrong*(1-wrong)/acted), reached / spoken, said / acted
}
