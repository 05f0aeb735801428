package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/app/client"
	"rapport/event"
	"rapport/feedback"
	"rapport/feedback/asking"
	"rapport/internal/eventlog"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

func testConfig(t testing.TB, dir string) Config {
	t.Helper()
	cfg, err := LoadConfig(map[string]any{"data": dir, "listen": "127.0.0.1:0", "provider.offline": true})
	if err != nil {
		t.Fatal(err)
	}
	if sqldbtest.OnPostgres() {
		cfg.Postgres = sqldbtest.DSNOf(t, dir)
	}
	return cfg
}

// onFiles leaves a test out that is about the files of databases.
func onFiles(t testing.TB) {
	t.Helper()
	if sqldbtest.OnPostgres() {
		t.Skip("it is about databases that are files")
	}
}

// openApp opens a directory without running anything.
func openApp(t testing.TB, dir string) *App {
	t.Helper()
	a, err := Open(context.Background(), testConfig(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// tick is a clock that stands still but for a microsecond a look, until it is
// moved.
type tick struct {
	mu  sync.Mutex
	now time.Time
}

func newTick() *tick { return &tick{now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func (c *tick) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond)
	return c.now
}

func (c *tick) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is the whole product, running, with its operator.
type rig struct {
	*App
	t       testing.TB
	clock   *tick
	witness *witness
	admin   *person
}

// run starts the product on a directory.
func run(t testing.TB, dir string, change ...func(*Config)) *rig {
	t.Helper()
	cfg := testConfig(t, dir)
	clock := newTick()
	cfg.Clock = clock.Now
	for _, f := range change {
		f(&cfg)
	}
	a, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if err := a.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	r := &rig{App: a, t: t, clock: clock, witness: &witness{t: t, doc: describe(t, a), seen: map[string]bool{}}}
	r.admin = r.as("", a.LocalToken())
	return r
}

func (r *rig) settle() {
	r.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	defer stop()
	if err := r.admin.Settle(ctx, nil); err != nil {
		lag, _ := r.Lag(context.Background())
		r.t.Fatalf("what was said has not taken effect: %v, behind %v", err, lag.Groups)
	}
}

// ask waits until f is content; for what happens soon, by another goroutine.
func (r *rig) ask(what string, f func() bool) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("it never came about that %s", what)
		}
	}
}

// person is somebody with a token.
type person struct {
	*client.Client
	rig *rig
	ID  event.PersonID
}

// as is somebody with a token, empty for none.
func (r *rig) as(id event.PersonID, token string) *person {
	return &person{&client.Client{Base: r.URL(), Token: token, HTTP: &http.Client{Transport: r.witness}}, r, id}
}

// person makes somebody who may use everything but the operator's routes.
func (r *rig) person(name string) *person {
	r.t.Helper()
	var made struct {
		ID event.PersonID `json:"id"`
	}
	r.admin.must("POST", "/v1/people", map[string]string{"handle": strings.ToLower(name), "name": name}, &made)
	return r.as(made.ID, r.token(made.ID, "chat", "feedback", "agents"))
}

func (r *rig) token(of event.PersonID, scopes ...string) string {
	r.t.Helper()
	var token struct {
		Token string `json:"token"`
	}
	r.admin.must("POST", "/v1/tokens", map[string]any{"person": of, "name": strings.Join(scopes, " "), "scopes": scopes}, &token)
	return token.Token
}

// platform makes a token that brings in what happened on another platform.
func (r *rig) platform(source string) *person {
	r.t.Helper()
	var token struct {
		Token string `json:"token"`
	}
	r.admin.must("POST", "/v1/tokens", map[string]any{"name": source, "scopes": []string{"ingest"}, "source": source}, &token)
	return r.as("", token.Token)
}

// must does a request that is not refused.
func (p *person) must(method, path string, body, out any) {
	p.rig.t.Helper()
	if err := p.Do(context.Background(), method, path, body, out); err != nil {
		p.rig.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// answer is a raw answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) problem() (p httpapi.Problem) {
	_ = json.Unmarshal(a.body, &p)
	return p
}

// raw sends bytes as they are. Header pairs come last.
func (p *person) raw(method, path string, body []byte, header ...string) answer {
	p.rig.t.Helper()
	req, err := http.NewRequest(method, p.Base+path, bytes.NewReader(body))
	if err != nil {
		p.rig.t.Fatal(err)
	}
	if p.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := p.HTTP.Do(req)
	if err != nil {
		p.rig.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.rig.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, data}
}

// send is raw with a JSON value.
func (p *person) send(method, path string, v any, header ...string) answer {
	p.rig.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		p.rig.t.Fatal(err)
	}
	return p.raw(method, path, data, header...)
}

// companion is an agent with the room in which somebody talks with it.
type companion struct {
	p    *person
	ID   event.AgentID `json:"id"`
	Slug string        `json:"slug"`
	room string
}

// make makes an agent of the person's, without exploration, and its room.
func (p *person) make(name string, traits map[string]float64) *companion {
	p.rig.t.Helper()
	c := &companion{p: p}
	p.must("POST", "/v1/agents", map[string]any{"name": name, "traits": traits}, c)
	p.must("PUT", "/v1/agents/"+string(c.ID)+"/settings", map[string]any{"exploration": map[string]any{"strategy": "off"}}, nil)
	p.rig.settle()
	return c.with(p)
}

// with gives the room of another person with the agent.
func (c *companion) with(p *person) *companion {
	c.p.rig.t.Helper()
	d := *c
	var room struct {
		ID string `json:"id"`
	}
	p.must("POST", "/v1/agents/"+string(c.ID)+"/talk", nil, &room)
	d.p, d.room = p, room.ID
	return &d
}

func (c *companion) path(rest string) string { return "/v1/agents/" + string(c.ID) + rest }

// reply is what an agent answered.
type reply struct {
	ID         event.MessageID
	DecisionID event.DecisionID
	SessionID  event.SessionID
	Text       string
	Cause      string // to the owner
	Body       event.ReplyGenerated
}

func (s reply) x(t policy.Trait) float64 { return s.Body.X[t] }

type roomPage struct {
	Messages []struct {
		ID         event.MessageID
		Sequence   int64
		DecisionID event.DecisionID
		Text       string
		Author     struct{ AgentID event.AgentID }
	} `json:"messages"`
}

// tell says something without waiting for an answer.
func (c *companion) tell(text string) (sequence int64) {
	c.p.rig.t.Helper()
	var mine struct {
		Sequence int64 `json:"sequence"`
	}
	c.p.must("POST", "/v1/rooms/"+c.room+"/messages", map[string]string{"text": text}, &mine)
	return mine.Sequence
}

// say says something and gives the answer with its decision.
func (c *companion) say(text string) (s reply) {
	c.p.rig.t.Helper()
	at := c.tell(text)
	c.p.rig.ask("the agent answers", func() bool {
		var page roomPage
		c.p.must("GET", fmt.Sprintf("/v1/rooms/%s/messages?after=%d", c.room, at), nil, &page)
		for _, m := range page.Messages {
			if m.DecisionID != "" {
				s.ID, s.DecisionID, s.Text = m.ID, m.DecisionID, m.Text
				return true
			}
		}
		return false
	})
	var d struct {
		SessionID event.SessionID
		Action    string
		Cause     string
		Decision  event.ReplyGenerated
	}
	c.p.rig.ask("the decision is done", func() bool {
		c.p.must("GET", "/v1/decisions/"+string(s.DecisionID), nil, &d)
		return d.Action != ""
	})
	c.p.rig.settle()
	s.SessionID, s.Cause, s.Body = d.SessionID, d.Cause, d.Decision
	return s
}

// receipt is what giving feedback answers.
type receipt struct {
	FeedbackID event.FeedbackID `json:"feedbackId"`
	Status     string           `json:"status"`
	Role       string           `json:"role"`
	Supersedes event.FeedbackID `json:"supersedes"`
}

func (p *person) give(kind, value, about, id string) (r receipt) {
	p.rig.t.Helper()
	p.must("POST", "/v1/feedback", map[string]string{"kind": kind, "value": value, about: id}, &r)
	return r
}

// longTalk talks for some minutes, ends it and gives what the owner is asked then.
func (c *companion) longTalk() (asked feedback.Prompt) {
	c.p.rig.t.Helper()
	for range 7 {
		c.say(question)
		c.p.rig.clock.advance(40 * time.Second)
	}
	var done struct{ Ended []event.SessionID }
	c.p.must("POST", "/v1/rooms/"+c.room+"/end", nil, &done)
	c.p.rig.settle()
	c.p.must("GET", "/v1/prompts?agent="+string(c.ID)+"&session="+string(done.Ended[0]), nil, &asked)
	if asked.Ask != asking.AfterSession || asked.SessionID != done.Ended[0] {
		c.p.rig.t.Errorf("after a long talk: %+v", asked)
	}
	return asked
}

// every takes all records of a scan.
func every(eventlog.Record) bool { return true }

func problemCode(err error) string {
	if p, ok := errors.AsType[*httpapi.Problem](err); ok {
		return p.Code
	}
	return ""
}
