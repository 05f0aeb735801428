package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"rapport/internal/sqldb"
)

// What compares, as a rule that a test can hold: lists are in the order of id, name
// or time; nothing speaks of ranks; and no answer, metric, export or event holds a
// learned or rated number for more than one agent or person, unless every row belongs
// to who asks or it is an aggregate of at least five.

// contest are words that nothing is called here.
var contest = []string{"rank", "ranks", "ranked", "ranking", "rankings", "leaderboard", "leaderboards", "top", "best", "worst", "winner", "winners", "loser", "losers", "podium", "upvote", "upvotes", "downvote", "downvotes",
	"popular", "popularity", "trending", "percentile", "quantile", "contest", "highscore", "stars", "karma", "league", "compare", "comparison", "rivals"}

// orders are what a list may be asked to be in order of.
var orders = []string{"id", "name", "created", "time", "newest", "oldest"}

// wordsOf splits a name like agentId or last_seen_at, or a sentence, into small words.
func wordsOf(name string) []string {
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte(' ')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(out.String(), func(r rune) bool { return !unicode.IsLetter(r) })
}

func contests(name string) bool {
	return slices.ContainsFunc(wordsOf(name), func(w string) bool { return slices.Contains(contest, w) })
}

// whose says that a property tells which agent or person a row is about.
var whose = regexp.MustCompile(`(?i)^(agent|person|owner|rater|reviewer|member|user|people)(_?id)?s?$`)

// neutral says that a number is a time, a place in a list or a number of a thing.
var neutral = regexp.MustCompile(`(?i)(^at$|_?at$|^sequence$|^seq$|^version$|^revision$|^cursor$|^parent$|^created$|^entered$|^finished$|until$|^time$|^expires|^took$|^day$|Micros$|_date$|^n$|^texts$|^acts$|_version$)`)

// found is what compares, in words.
type found []string

func (f *found) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// api looks through an OpenAPI or AsyncAPI document.
type api struct {
	root map[string]any
	f    found
}

func (a *api) resolve(schema map[string]any) map[string]any {
	for range 8 {
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		node := any(a.root)
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := node.(map[string]any)
			node = m[part]
		}
		schema, _ = node.(map[string]any)
	}
	return schema
}

func types(schema map[string]any) (out []string) {
	switch t := schema["type"].(type) {
	case string:
		out = []string{t}
	case []any:
		for _, x := range t {
			out = append(out, fmt.Sprint(x))
		}
	}
	return out
}

// look walks a schema. many says that it is of more than one row.
func (a *api) look(where, name string, schema map[string]any, many bool, depth int) {
	schema = a.resolve(schema)
	if schema == nil || depth > 12 {
		return
	}
	if contests(name) {
		a.f.add("%s: %q is a word of contests", where, name)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		a.look(where+"[]", "", items, true, depth+1)
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok {
		if a.number(more, 0) && whose.MatchString(strings.TrimPrefix(name, "by")) {
			a.f.add("%s: %q gives a number by agent or person", where, name)
		}
		a.look(where+"{}", "", more, true, depth+1)
	}
	properties, _ := schema["properties"].(map[string]any)
	names := slices.Sorted(maps.Keys(properties))
	if many && slices.ContainsFunc(names, func(n string) bool { return a.tells(n, properties) }) {
		var numbers []string
		for _, n := range names {
			if p, _ := properties[n].(map[string]any); !neutral.MatchString(n) && a.number(p, 0) {
				numbers = append(numbers, n)
			}
		}
		if len(numbers) > 0 {
			a.f.add("%s: rows of several agents or people with %s", where, strings.Join(numbers, ", "))
		}
	}
	for _, n := range names {
		if p, ok := properties[n].(map[string]any); ok {
			a.look(where+"."+n, n, p, many, depth+1)
		}
	}
}

// tells says whether a property tells whose a row is: it is called so, or it is the
// id or handle of something with a name.
func (a *api) tells(name string, all map[string]any) bool {
	return whose.MatchString(name) || name == "handle" || name == "slug" || name == "id" && (all["name"] != nil || all["slug"] != nil || all["handle"] != nil)
}

// number says that a value holds a number that is no time or place.
func (a *api) number(schema map[string]any, depth int) bool {
	schema = a.resolve(schema)
	if schema == nil || depth > 6 {
		return false
	}
	t := types(schema)
	if slices.Contains(t, "number") || slices.Contains(t, "integer") {
		return true
	}
	if items, ok := schema["items"].(map[string]any); ok && a.number(items, depth+1) {
		return true
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok && a.number(more, depth+1) {
		return true
	}
	properties, _ := schema["properties"].(map[string]any)
	for n, p := range properties {
		if p, ok := p.(map[string]any); ok && !neutral.MatchString(n) && a.number(p, depth+1) {
			return true
		}
	}
	return false
}

// comparing looks through every operation: its path, what can be asked, what it answers.
func comparing(root map[string]any) found {
	a := &api{root: root}
	paths, _ := root["paths"].(map[string]any)
	for path, ops := range paths {
		for method, op := range ops.(map[string]any) {
			op, _ := op.(map[string]any)
			where := strings.ToUpper(method) + " " + path
			if contests(path) {
				a.f.add("%s: the path is of a contest", where)
			}
			if text := fmt.Sprint(op["summary"]); contests(text) {
				a.f.add("%s: %q speaks of a contest", where, text)
			}
			parameters, _ := op["parameters"].([]any)
			for _, p := range parameters {
				p, _ := p.(map[string]any)
				a.asked(where, p)
			}
			responses, _ := op["responses"].(map[string]any)
			for status, answer := range responses {
				answer, _ := answer.(map[string]any)
				content, _ := answer["content"].(map[string]any)
				for _, media := range content {
					media, _ := media.(map[string]any)
					if schema, ok := media["schema"].(map[string]any); ok && strings.HasPrefix(status, "2") {
						a.look(where, "", schema, false, 0)
					}
				}
			}
		}
	}
	slices.Sort(a.f)
	return slices.Compact(a.f)
}

var ordering = regexp.MustCompile(`(?i)^(sort|order|orderby|order_by|sortby|sort_by|by)$`)

// asked looks at a parameter.
func (a *api) asked(where string, p map[string]any) {
	name := fmt.Sprint(p["name"])
	if p["in"] == "header" {
		return
	}
	if contests(name) || regexp.MustCompile(`(?i)(min|max|above|below).*(score|rating|level|points)`).MatchString(name) {
		a.f.add("%s: the parameter %q chooses by what was rated", where, name)
	}
	if !ordering.MatchString(name) {
		return
	}
	schema, _ := p["schema"].(map[string]any)
	enum, _ := schema["enum"].([]any)
	if len(enum) == 0 {
		a.f.add("%s: the parameter %q says nothing of what it takes", where, name)
	}
	for _, x := range enum {
		if !slices.Contains(orders, fmt.Sprint(x)) {
			a.f.add("%s: the order %v is none of %v", where, x, orders)
		}
	}
}

var series = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? `)
var label = regexp.MustCompile(`([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"`)

// metricsComparing looks through Prometheus' text form.
func metricsComparing(text string) (f found) {
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := series.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		if contests(m[1]) {
			f.add("metric %s is of a contest", m[1])
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			switch {
			case whose.MatchString(l[1]) || slices.Contains([]string{"handle", "slug", "name", "room", "session", "token"}, l[1]):
				f.add("metric %s has the label %q: a number for each", m[1], l[1])
			case someID.MatchString(l[2]):
				f.add("metric %s has an id in the label %q", m[1], l[1])
			}
		}
	}
	slices.Sort(f)
	return slices.Compact(f)
}

// ratings are columns that hold a learned or rated number, or a sum of them.
var ratings = regexp.MustCompile(`(?i)(score|reward|engagement|warmth|strength|agreement|reputation|amount|balance|points|positive|negative|_sum|_avg|_mean|theta|personality_traits|tone_weights)`)

// columnsComparing looks at an exported table.
func columnsComparing(table string, columns []string) (f found) {
	of := slices.ContainsFunc(columns, func(c string) bool { return whose.MatchString(c) })
	for _, c := range columns {
		switch {
		case contests(c):
			f.add("export %s.%s is a word of contests", table, c)
		case of && ratings.MatchString(c):
			f.add("export %s.%s is a rated or learned number for every agent or person", table, c)
		}
	}
	return f
}

// allowed says of what the walk finds why it compares nobody.
var allowed = map[string]string{
	"event rl.population.updated.archetypes[]: rows of several agents or people with agents, centre, id, owners, share":                                       "kinds of owners, each of at least twenty agents of ten owners",
	"event session.ended.people[]: rows of several agents or people with latencyMilli, medianChars, others, sentiment, spoken, stood, turns, with, withMilli": "what pseudonyms did in one talk, for signals that are shown of five people or nobody",
	"GET /v1/admin/erasures[]: rows of several agents or people with rows":                                                                                    "how many rows were erased of people who are no more",
	"GET /v1/admin/reviewers.items[]: rows of several agents or people with today":                                                                            "for the reviewer themselves; absent from the operator's list, as TestListsTellNobodysNumbers sees",
	"GET /v1/admin/reviews.items[]: rows of several agents or people with seconds":                                                                            "single reviews that were set aside, for a person to look at: what they were set aside for",
	"GET /v1/agents.items[]: rows of several agents or people with profile, state":                                                                            "the caller's own agents",
	"GET /v1/feedback.items[]: rows of several agents or people with direction, effect, score":                                                                "the caller's own, or single pieces on the caller's own agent",
	"GET /v1/feedback.waiting[]: rows of several agents or people with direction, effect, score":                                                              "the caller's own",
	"GET /v1/me/spending.agents[]: rows of several agents or people with cost, costLimit, tokenLimit, tokens":                                                 "the caller's own agents",
	"GET /v1/natives.items[]: rows of several agents or people with position, profile, state":                                                                 "the platform's, in an editor's order; levels for their editor only, as TestListsTellNobodysNumbers sees",
	"PUT /v1/natives/order.items[]: rows of several agents or people with position, profile, state":                                                           "the same, to their editor",
	"GET /v1/points.entries[]: rows of several agents or people with amount":                                                                                  "the caller's own ledger",
	"export feedback.feedback_events.score is a rated or learned number for every agent or person":                                                            "each piece of feedback as it was given, by id: an operator's audited act, see docs/privacy.md",
}

// TestListsTellNobodysNumbers looks at lists as they come: in the order of an id, a
// name or a time, and without the numbers that are for somebody else.
func TestListsTellNobodysNumbers(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	owner := m.who["owner"]
	for _, name := range []string{"Zoe", "Abe", "Kim"} {
		owner.make(name, map[string]float64{"humor": .5 + float64(len(name))/100})
	}
	for _, kind := range []string{"mentor", "featured"} {
		m.admin.must("POST", "/v1/natives", map[string]any{"name": "Native " + kind, "kind": kind}, nil)
	}
	for range 3 {
		owner.must("POST", "/v1/feedback", map[string]any{"kind": "comment", "messageId": m.ids["answer"], "comment": "Fine"}, nil)
	}
	m.settle()
	looked := 0
	for _, row := range matrixRows {
		path, get := strings.CutPrefix(row.pattern, "GET ")
		if row.path != "" {
			path = row.path
		}
		if !get || strings.HasSuffix(path, "/stream") || strings.HasPrefix(path, "/v1/me/export") {
			continue
		}
		for _, who := range []string{"owner", "admin", "stranger"} {
			a := m.who[who].raw("GET", m.fill(path), nil)
			var v any
			if a.status != 200 || json.Unmarshal(a.body, &v) != nil {
				continue
			}
			looked += inOrder(t, row.pattern+" as "+who, "", v)
		}
	}
	if looked < 3 {
		t.Errorf("only %d lists were long enough to have an order", looked)
	}
	for who, path := range map[string]string{"stranger": "/v1/natives", "participant": "/v1/natives", "admin": "/v1/admin/reviewers"} {
		for _, not := range []string{`"humor"`, `"today"`, `"profile"`} {
			if a := m.who[who].raw("GET", path, nil); a.status != 200 || strings.Contains(string(a.body), not) {
				t.Errorf("%s reads %s in %s: %d %s", who, not, path, a.status, a.body)
			}
		}
	}
}

// editors are lists in an order that somebody gave them, or that their vocabulary has.
var editors = map[string]string{"GET /v1/natives": "an editor's order", "GET /v1/mapping-rules": "about traits; an agent there is what one might say", "GET /v1/admin/mapping-rules/{version}": "the same", "GET /v1/rooms.rooms[].members": "the time they came in", "GET /v1/rooms/{room}.members": "the same"}

// inOrder says how many lists of three or more it saw, and complains of those in the
// order of no id, name or time.
func inOrder(t *testing.T, where, at string, v any) (seen int) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			seen += inOrder(t, where, at+"."+name, v[name])
		}
	case []any:
		var rows []map[string]any
		for _, x := range v {
			seen += inOrder(t, where, at+"[]", x)
			if row, ok := x.(map[string]any); ok {
				rows = append(rows, row)
			}
		}
		route, _, _ := strings.Cut(where, " as ")
		if len(rows) < 3 || editors[route] != "" || editors[route+at] != "" || !ofSomebody(rows[0]) {
			return seen
		}
		seen++
		for key := range rows[0] {
			if (key == "id" || key == "name" || strings.HasSuffix(key, "Id") || strings.HasSuffix(key, "Name") || neutral.MatchString(key) || key == "trait" || key == "item" || key == "group" || key == "person" || key == "context") && monotone(rows, key) {
				return seen
			}
		}
		t.Errorf("%s: the list %s is in the order of no id, name or time: %v", where, at, rows)
	}
	return seen
}

// ofSomebody says whether a row is about an agent or a person.
func ofSomebody(row map[string]any) bool {
	for name := range row {
		if (&api{}).tells(name, row) {
			return true
		}
	}
	return false
}

func monotone(rows []map[string]any, key string) bool {
	up, down := true, true
	for i := 1; i < len(rows); i++ {
		a, b := rows[i-1][key], rows[i][key]
		switch a := a.(type) {
		case string:
			b, _ := b.(string)
			up, down = up && a <= b, down && a >= b
		case float64:
			b, _ := b.(float64)
			up, down = up && a <= b, down && a >= b
		default:
			return false
		}
	}
	return up || down
}

// TestNothingCompares walks every route, answer, metric, export and event.
func TestNothingCompares(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	luna := r.person("Ada").make("Luna", nil)
	s := luna.say(question)
	luna.p.give("thumb", "up", "messageId", string(s.ID))
	r.settle()
	all := comparing(describe(t, r.App).root)

	raw, err := os.ReadFile(filepath.Join("..", "docs", "asyncapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var events map[string]any
	if err := json.Unmarshal(raw, &events); err != nil {
		t.Fatal(err)
	}
	all = append(all, eventsComparing(events)...)
	all = append(all, metricsComparing(string(r.admin.raw("GET", "/metrics", nil).body))...)
	for _, x := range r.exports() {
		columns, err := r.dbs[x.context].Columns(t.Context(), sqldb.Export{Table: x.Table, Without: x.Without})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, columnsComparing(x.name(), columns)...)
	}
	seen := map[string]bool{}
	for _, one := range all {
		seen[one] = true
		if allowed[one] == "" {
			t.Errorf("%s\n\tIf every row belongs to who asks, or it is an aggregate of at least five, say so in allowed (app/comparison_test.go).", one)
		}
	}
	for one := range allowed {
		if !seen[one] {
			t.Errorf("allowed speaks of what is not there: %s", one)
		}
	}
}

// eventsComparing looks through the payloads of an AsyncAPI document.
func eventsComparing(root map[string]any) found {
	a := &api{root: root}
	components, _ := root["components"].(map[string]any)
	messages, _ := components["messages"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	for name := range messages {
		if contests(name) {
			a.f.add("event %s is of a contest", name)
		}
		if payload, ok := schemas[name].(map[string]any); ok {
			a.look("event "+name, "", payload, false, 0)
		} else {
			a.f.add("event %s has no schema", name)
		}
	}
	slices.Sort(a.f)
	return slices.Compact(a.f)
}
