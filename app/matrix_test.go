package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
)

// relations are how somebody can stand to the things that the rows of the matrix
// name: a message and a piece of feedback that the author made, in a room that the
// author, the owner of its agent and another participant are in. An agent has no
// token of its own, so nobody asks as an agent.
var relations = []string{"author", "owner", "participant", "reviewer", "admin", "stranger", "ingester", "anonymous"}

// matrix is the world that every route is asked in, once by each relation.
type matrix struct {
	*rig
	who  map[string]*person
	ids  map[string]string
	make map[string]func() // makes anew what a request used up
	n    int
}

// member makes somebody who is logged in.
func (m *matrix) member(operator bool) *person {
	m.n++
	var made struct{ ID event.PersonID }
	m.admin.must("POST", "/v1/people", map[string]any{"handle": fmt.Sprint("someone-", m.n), "name": fmt.Sprint("Someone ", m.n), "operator": operator}, &made)
	var link struct{ Link string }
	m.admin.must("POST", "/v1/admin/links", map[string]any{"person": made.ID}, &link)
	p := m.as(made.ID, "")
	var session struct{ Token string }
	p.must("POST", "/v1/login", map[string]string{"link": link.Link}, &session)
	p.Token = session.Token
	return p
}

func newMatrix(t *testing.T) *matrix {
	m := &matrix{rig: run(t, t.TempDir()), who: map[string]*person{}, ids: map[string]string{"unknown": event.NewID()}, make: map[string]func(){}}
	for _, name := range relations {
		switch name {
		case "anonymous":
			m.who[name] = m.as("", "")
		case "ingester":
			m.who[name] = m.platform("forum")
		default:
			m.who[name] = m.member(name == "admin")
		}
		m.ids[name] = string(m.who[name].ID)
	}
	m.admin.must("POST", "/v1/admin/reviewers", map[string]any{"personId": m.ids["reviewer"]}, nil)
	m.who["reviewer"].must("POST", "/v1/reviews/invitation", map[string]any{"accept": true}, nil)

	m.make = map[string]func(){"agent": m.newAgent, "room": m.newRoom, "message": m.newMessage, "feedback": m.newFeedback, "token": m.newToken}
	m.newAgent()
	m.newToken()
	m.ids["other"] = string(m.member(false).ID)
	var native struct{ ID string }
	m.admin.must("POST", "/v1/natives", map[string]any{"name": "Native", "kind": "mentor"}, &native)
	m.ids["native"] = native.ID
	talk := m.who["owner"].make("Asks", nil).longTalk()
	m.ids["prompt"] = string(talk.PromptID)
	var erased struct{ Receipt string }
	m.admin.must("DELETE", "/v1/people/"+string(m.member(false).ID), nil, &erased)
	m.ids["receipt"] = erased.Receipt
	m.finished(erased.Receipt)
	m.settle()
	return m
}

// newAgent makes an agent of the owner's, with a version to go back to, and a room
// for it.
func (m *matrix) newAgent() {
	m.n++
	a := m.who["owner"].make(fmt.Sprint("Luna", m.n), map[string]float64{"humor": .7})
	m.ids["agent"], m.ids["slug"] = string(a.ID), a.Slug
	m.who["owner"].must("PUT", a.path("/traits"), map[string]any{"traits": map[string]float64{"humor": .6}}, nil)
	m.newRoom()
}

// newRoom makes a room of the author's with the owner, the participant and the
// agent, in which the author said something, was answered, and said what they think.
func (m *matrix) newRoom() {
	author := m.who["author"]
	var room struct{ ID string }
	author.must("POST", "/v1/rooms", map[string]any{"title": "Kitchen"}, &room)
	m.ids["room"] = room.ID
	in := "/v1/rooms/" + room.ID
	for _, who := range []string{"owner", "participant"} {
		author.must("POST", in+"/members", map[string]any{"personId": m.ids[who]}, nil)
	}
	m.who["owner"].must("POST", in+"/members", map[string]any{"agentId": m.ids["agent"]}, nil)
	var said struct{ Sequence int64 }
	author.must("POST", in+"/messages", map[string]any{"text": "@" + m.ids["slug"] + " " + question}, &said)
	m.ask("the agent answers", func() bool {
		var page roomPage
		author.must("GET", fmt.Sprintf("%s/messages?after=%d", in, said.Sequence), nil, &page)
		for _, x := range page.Messages {
			if x.DecisionID != "" {
				m.ids["answer"], m.ids["decision"] = string(x.ID), string(x.DecisionID)
				return true
			}
		}
		return false
	})
	m.settle()
	m.newMessage()
	m.newFeedback()
}

func (m *matrix) newMessage() {
	var said struct{ ID string }
	m.who["author"].must("POST", "/v1/rooms/"+m.ids["room"]+"/messages", map[string]any{"text": "I would rather not say"}, &said)
	m.ids["message"] = said.ID
	m.settle()
}

func (m *matrix) newFeedback() {
	var f receipt
	m.who["author"].must("POST", "/v1/feedback", map[string]any{"kind": "comment", "messageId": m.ids["answer"], "comment": "As I like it"}, &f)
	m.ids["feedback"] = string(f.FeedbackID)
	m.settle()
}

func (m *matrix) newToken() {
	var made struct{ ID string }
	m.who["author"].must("POST", "/v1/tokens", map[string]any{"name": "bot", "scopes": []string{"chat"}}, &made)
	m.ids["token"] = made.ID
}

// fill puts ids into a text.
func (m *matrix) fill(text string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(m.ids)) {
		pairs = append(pairs, "{"+name+"}", m.ids[name])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// try asks a row's route as somebody.
func (m *matrix) try(row matrixRow, as *person) int {
	m.t.Helper()
	method, path, _ := strings.Cut(row.pattern, " ")
	if row.path != "" {
		path = row.path
	}
	path = m.fill(path)
	if strings.HasSuffix(path, "/stream") {
		return m.stream(as, path)
	}
	var body []byte
	if row.body != "" {
		body = []byte(m.fill(row.body))
	} else if method != "GET" && method != "DELETE" {
		body = []byte("{}")
	}
	media := "application/json"
	if row.media != "" {
		media = row.media
	}
	return as.raw(method, path, body, "Content-Type", media).status
}

// stream looks at how a stream begins.
func (m *matrix) stream(as *person, path string) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	req, err := http.NewRequestWithContext(ctx, "GET", as.Base+path, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	if as.Token != "" {
		req.Header.Set("Authorization", "Bearer "+as.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestAuthorisationMatrix asks every route of the description as every relation and
// holds the statuses to testdata/matrix.txt, and to what must hold whatever is
// decided: without a login nothing but what is public; a stranger who knows every id
// gets nothing of others; an operator reads nobody's words or tastes.
func TestAuthorisationMatrix(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	rows := map[string]matrixRow{}
	for _, row := range matrixRows {
		rows[row.pattern] = row
	}
	ops := m.API.Routes()
	for route := range ops {
		if _, ok := rows[route]; !ok {
			t.Errorf("%s has no row in matrixRows (app/matrixrows_test.go): add one with a body that its rightful caller gets a 2xx for, name what it uses up, and look at testdata/matrix.txt after -update", route)
		}
	}
	for route := range rows {
		if _, ok := ops[route]; !ok {
			t.Errorf("matrixRows speaks of %s, which is no route", route)
		}
	}
	if t.Failed() {
		return
	}
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "route\t%s\n", strings.Join(relations, "\t"))
	routes := slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		_, x, _ := strings.Cut(a, " ")
		_, y, _ := strings.Cut(b, " ")
		return strings.Compare(x+" "+a, y+" "+b)
	})
	for _, route := range routes {
		m.line(w, rows[route])
	}
	w.Flush()
	golden(t, "testdata/matrix.txt", out.Bytes())
}

func (m *matrix) line(w *tabwriter.Writer, row matrixRow) {
	m.t.Helper()
	op := m.API.Routes()[row.pattern]
	fmt.Fprint(w, row.pattern)
	for _, relation := range relations {
		as := m.who[relation]
		if row.throwaway && relation != "anonymous" && relation != "ingester" {
			as = m.member(relation == "admin")
		}
		status := m.try(row, as)
		fmt.Fprintf(w, "\t%d", status)
		good := status < 300
		switch {
		case (status == 422 || status >= 500) && row.refused == "":
			m.t.Errorf("%s as %s: %d; the row's body must be one that is not refused for its form", row.pattern, relation, status)
		case relation == "anonymous" && good != op.Public && status != 401 && status != 404:
			m.t.Errorf("%s without a login: %d", row.pattern, status)
		case relation == "stranger" && good && !op.Public && row.open == "":
			m.t.Errorf("%s as a stranger: %d; an id is not a right. If anybody may, say in the row why", row.pattern, status)
		case relation == "admin" && good && op.Scope != "admin" && !op.Public && row.open == "" && row.operators == "":
			m.t.Errorf("%s as an operator: %d; people's words and tastes are theirs. If operators must, say in the row why", row.pattern, status)
		case relation == "ingester" && good && !op.Public && row.ingests == "":
			m.t.Errorf("%s as an ingester: %d; it brings in what happened, and reads nothing. If it must, say in the row why", row.pattern, status)
		}
		if good && !strings.HasPrefix(row.pattern, "GET ") {
			for _, what := range row.uses {
				m.make[what]()
			}
		}
	}
	fmt.Fprintln(w)
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, name string, have []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(have)); d != "" {
		t.Errorf("%s changed (-file +now); go test ./app -update rewrites it:\n%s", name, d)
	}
}

// TestWhatStreamsSay: everybody in a room hears what is said there and nothing else:
// no feedback, whoever gave it, nothing of an agent's levels, and nobody hears
// anything once they are out. Those are all the events a person can subscribe to.
func TestWhatStreamsSay(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	type heard struct {
		names map[string]bool
		text  string
	}
	listen := func(p *person) func() heard {
		ctx, stop := context.WithCancel(context.Background())
		resp, err := p.Send(ctx, "GET", "/v1/rooms/"+m.ids["room"]+"/stream?after=0", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan heard, 1)
		go func() {
			h := heard{names: map[string]bool{}}
			lines := bufio.NewScanner(resp.Body)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				h.text += lines.Text() + "\n"
				if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
					h.names[name] = true
				}
				if strings.Contains(h.text, "the last word") {
					break
				}
			}
			done <- h
		}()
		return func() heard {
			defer stop()
			return <-done
		}
	}
	owner, author, participant := m.who["owner"], m.who["author"], m.who["participant"]
	hears := map[string]func() heard{"owner": listen(owner), "participant": listen(participant)}
	in := "/v1/rooms/" + m.ids["room"]
	owner.give("thumb", "down", "messageId", m.ids["answer"])
	owner.give("tone", "kinder", "messageId", m.ids["answer"])
	owner.must("POST", "/v1/feedback", map[string]any{"kind": "comment", "messageId": m.ids["answer"], "comment": "secretcomment"}, nil)
	owner.must("POST", "/v1/feedback", map[string]any{"kind": "correction", "messageId": m.ids["answer"], "correction": "secretcorrection"}, nil)
	owner.must("PUT", "/v1/agents/"+m.ids["agent"]+"/traits", map[string]any{"traits": map[string]float64{"humor": .8}}, nil)
	author.must("PUT", in+"/messages/"+m.ids["answer"]+"/reactions/%F0%9F%91%8D", nil, nil)
	author.must("PUT", in+"/consent", map[string]any{"consent": false}, nil)
	m.settle()
	author.must("POST", in+"/messages", map[string]any{"text": "the last word"}, nil)
	for who, wait := range hears {
		h := wait()
		for name := range h.names {
			if !slices.Contains([]string{"message", "room", "typing", "delta", "trouble"}, name) {
				t.Errorf("%s hears an event %q: say here what it tells and to whom", who, name)
			}
		}
		for _, not := range []string{"secret", "thumb", "kinder", "feedback", "score", "humor", "consent", "protected", "sentiment", "rendered", "handle"} {
			if strings.Contains(h.text, not) {
				t.Errorf("%s hears of %q:\n%s", who, not, h.text)
			}
		}
		if !h.names["message"] {
			t.Errorf("%s heard nothing", who)
		}
	}
	participant.must("DELETE", in+"/members/"+m.ids["participant"], nil, nil)
	if status := m.stream(participant, in+"/stream"); status != 404 {
		t.Errorf("who left follows the room: %d", status)
	}
}
