package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// walk collects what a page shows of a real run: by name, with ids and times that
// readers can tell apart.
type walk struct {
	*rig
	names  *strings.Replacer
	pairs  []string
	blocks map[string]string
}

// call names an id by what it is.
func (w *walk) call(name string, id any) {
	w.pairs = append(w.pairs, fmt.Sprint(id), name)
	w.names = strings.NewReplacer(w.pairs...)
}

var (
	someID   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	someTime = regexp.MustCompile(`\b17724420\d{8}\b`) // microseconds of the morning it happens
)

func (w *walk) show(block, text string) {
	text = w.names.Replace(text)
	text = someTime.ReplaceAllString(someID.ReplaceAllString(text, "…"), "1772442000000000")
	w.blocks[block] = strings.TrimRight(text, "\n") + "\n"
}

// exchange does a request and shows it with its answer.
func (w *walk) exchange(p *person, method, path string, body any) (request string, a answer) {
	request = method + " " + path + "\n"
	if body != nil {
		a = p.send(method, path, body)
		request += string(mustJSON(w.t, body)) + "\n"
	} else {
		a = p.raw(method, path, nil)
	}
	return request + fmt.Sprintf("\n%d\n%s", a.status, a.body), a
}

// TestFeedbackWalk lives through docs/walks/feedback.md and compares what the page
// shows.
func TestFeedbackWalk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, keyFile), []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &walk{rig: run(t, dir), blocks: map[string]string{}}
	ada := w.person("Ada")
	luna := ada.make("Luna", nil)
	w.call("ada", ada.ID)
	w.call("luna", luna.ID)
	first := luna.say(question)
	w.call("answer-1", first.ID)
	w.call("decision-1", first.DecisionID)
	w.call("session-1", first.SessionID)
	w.call("episode-1", first.Body.EpisodeID)

	prompt := func(s reply) string {
		var d struct {
			Cause    string
			Decision struct {
				X             []float64
				PolicyVersion int64
			}
			Asked []struct{ Trait, Line, Was string }
		}
		ada.must("GET", "/v1/decisions/"+string(s.DecisionID), nil, &d)
		text := fmt.Sprintf("GET /v1/decisions/%s\n\npolicyVersion  %d\ncause          %s\nepisode        %s\nx[brevity]     %.2f\n", s.DecisionID, d.Decision.PolicyVersion, d.Cause, s.Body.EpisodeID, d.Decision.X[6])
		for _, x := range d.Asked {
			text += fmt.Sprintf("\n- %s\n+ %s\n", strings.TrimSpace(x.Was), strings.TrimSpace(x.Line))
		}
		return text
	}
	w.show("before", prompt(first))

	text, a := w.exchange(ada, "POST", "/v1/feedback", map[string]any{"kind": "tone", "value": "shorter", "messageId": first.ID})
	var press, thumb receipt
	if err := json.Unmarshal(a.body, &press); err != nil {
		t.Fatal(err)
	}
	w.call("press", press.FeedbackID)
	w.show("press", text)

	second := luna.say(question)
	w.call("answer-2", second.ID)
	w.call("decision-2", second.DecisionID)
	w.call("episode-2", second.Body.EpisodeID)
	w.show("after", prompt(second))

	text, a = w.exchange(ada, "POST", "/v1/feedback", map[string]any{"kind": "thumb", "value": "up", "messageId": second.ID})
	if err := json.Unmarshal(a.body, &thumb); err != nil {
		t.Fatal(err)
	}
	w.call("thumb", thumb.FeedbackID)
	w.show("thumb", text)
	w.settle()

	for name, id := range map[string]string{"trace-press": string(press.FeedbackID), "trace-thumb": string(thumb.FeedbackID)} {
		steps, err := w.Trace(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		said := "rapport trace " + name[len("trace-"):] + "\n\n"
		for _, s := range steps {
			said += strings.TrimRight(fmt.Sprintf("%*s%s  %s", 2*s.Depth, "", s.Type, s.Note), " ") + "\n"
		}
		w.show(name, said)
	}

	e := luna.explanation()
	said := "GET /v1/agents/luna/explanation → ratings\n\n"
	for _, one := range e.Ratings {
		said += fmt.Sprintf("%-6s %-6s by %s: used %v, leans to %+.6f of brevity; %q\n", one.FeedbackID, one.Channel, one.By, one.Used, one.Leaned["brevity"], one.Note)
	}
	w.show("explanation", said)

	w.page("walks/feedback.md")
}

var fence = regexp.MustCompile("(?s)<!-- output: ([a-z-]+) -->\n```\n.*?```\n")

// page puts the blocks into the page, at the places that name them, and compares.
func (w *walk) page(name string) {
	w.t.Helper()
	have, err := os.ReadFile(filepath.Join("..", "docs", filepath.FromSlash(name)))
	if err != nil {
		w.t.Fatal(err)
	}
	shown := map[string]bool{}
	want := fence.ReplaceAllStringFunc(string(have), func(block string) string {
		what := fence.FindStringSubmatch(block)[1]
		text, ok := w.blocks[what]
		if !ok {
			w.t.Errorf("docs/%s shows %q, which is no output", name, what)
			return block
		}
		shown[what] = true
		return "<!-- output: " + what + " -->\n```\n" + text + "```\n"
	})
	for what := range w.blocks {
		if !shown[what] {
			w.t.Errorf("docs/%s does not show %q", name, what)
		}
	}
	samePage(w.t, name, want)
	for _, link := range regexp.MustCompile(`\]\((\.\./[^)#]+)`).FindAllStringSubmatch(want, -1) {
		if _, err := os.Stat(filepath.Join("..", "docs", "walks", filepath.FromSlash(link[1]))); err != nil {
			w.t.Errorf("docs/%s links to %s: %v", name, link[1], err)
		}
	}
}
