package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"rapport/app"
	"rapport/app/client"
	"rapport/event"
	"rapport/internal/fault"
	"rapport/learning"
	"rapport/policy"
	"rapport/simulate"
)

type demoCmd struct {
	Seed     uint64 `help:"Another seed makes other people." default:"7"`
	Sessions int    `help:"Days of sessions to live through." default:"30"`
	Agents   int    `help:"Agents, each with an owner." default:"5"`
	People   int    `help:"People, owners included." default:"20"`
	Once     bool   `help:"Stop when the world has been lived, instead of serving it."`
	Open     bool   `help:"Show the page of your agent in the browser." default:"true" negatable:""`
}

func (demoCmd) Help() string {
	return `Simulated people with hidden tastes talk with agents, press buttons and rate, a day of virtual time in a fraction of a second.
Everything they do goes through the same API a person uses; replies come from the offline demo, which is not an AI model. Then the
clock is the real one again and the server stays up.`
}

// Grown is what became of one agent of the demo.
type Grown struct {
	Agent   string             `json:"agent"`
	First   float64            `json:"firstSatisfaction"`  // of the owner, hidden from the system
	Last    float64            `json:"recentSatisfaction"` // mean of the last five sessions
	Version int64              `json:"version"`
	Moved   map[string]float64 `json:"moved"` // trait → level now − level at the start
	Reason  string             `json:"newestReason"`
	Because map[string]int     `json:"newestCauses"` // by channel, the signals behind the newest change
}

func (c demoCmd) Run(ctx context.Context, g *globals) error {
	cfg, err := g.config()
	if err != nil {
		return err
	}
	if _, ok := app.Running(cfg.Data); ok {
		return fault.New(fault.Conflict, "data_dir_in_use", "A server runs on %s; the demo needs a directory of its own (--data).", cfg.Data)
	}
	// A day's round may take a little more than a day of virtual time.
	clock := &virtualClock{now: time.Now().Add(-time.Duration(c.Sessions) * 26 * time.Hour)}
	cfg.Clock, cfg.Provider.Offline = clock.Now, true
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Start(ctx); err != nil {
		return err
	}
	g.say("listening on %s", a.URL())
	fmt.Fprintln(g.err, a.ModelNote())
	pipe := &pipeline{admin: &client.Client{Base: a.URL(), Token: a.LocalToken()}, clock: clock, people: map[event.PersonID]*client.Client{}, rooms: map[string]string{}}
	start := time.Now()
	world, err := simulate.New(ctx, pipe, simulate.Options{Seed: c.Seed, Agents: c.Agents, People: c.People, Sessions: c.Sessions,
		Progress: func(done, total int) { g.bar("days", int64(done), int64(total)) }})
	if err != nil {
		return err
	}
	if err := world.Live(ctx); err != nil {
		return err
	}
	clock.real()
	if err := c.tell(ctx, g, pipe, world, time.Since(start)); err != nil || c.Once {
		return err
	}
	mine := world.Companions[0] // the first person is you
	link, err := mintLink(ctx, pipe.admin, "", "/growth/"+string(mine.Agent))
	if err != nil {
		return err
	}
	fmt.Fprintf(g.err, "see how %s grew, logged in once within 15 minutes: %s\n", mine.Name, link)
	if c.Open {
		g.openPage(link)
	}
	return a.Wait(ctx)
}

func (c demoCmd) tell(ctx context.Context, g *globals, pipe *pipeline, w *simulate.World, took time.Duration) error {
	var grown []Grown
	for _, comp := range w.Companions {
		one, err := pipe.grown(ctx, comp)
		if err != nil {
			return err
		}
		grown = append(grown, one)
	}
	if g.JSON {
		return g.print(map[string]any{"agents": grown, "counts": w.Counts, "seconds": took.Seconds()})
	}
	n := w.Counts
	g.say("%d sessions, %d messages, %d ratings, %d thumbs, %d tone buttons in %.1f s", n.Sessions, n.Messages, n.Ratings, n.Thumbs, n.Presses, took.Seconds())
	for _, one := range grown {
		g.say("%-8s version %-3d owner's hidden satisfaction %.2f → %.2f  %s", one.Agent, one.Version, one.First, one.Last, moves(one.Moved))
		if one.Reason != "" {
			g.say("%8s newest change: %s, because of %s", "", one.Reason, causes(one.Because))
		}
	}
	g.say("ask more:  rapport explain %s --data %s", strings.ToLower(grown[0].Agent), g.dataFlag())
	return nil
}

func (g *globals) dataFlag() string {
	cfg, err := g.config()
	if err != nil {
		return "rapport-data"
	}
	return cfg.Data
}

func causes(m map[string]int) string {
	var parts []string
	for _, channel := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%d %s", m[channel], channel))
	}
	if len(parts) == 0 {
		return "what came before"
	}
	return strings.Join(parts, ", ")
}

func moves(m map[string]float64) string {
	var parts []string
	for t := range policy.NTraits {
		name := policy.Trait(t).String()
		if d := m[name]; math.Abs(d) >= .005 {
			parts = append(parts, fmt.Sprintf("%s %+.2f", name, d))
		}
	}
	if len(parts) == 0 {
		return "no trait moved yet"
	}
	return strings.Join(parts, ", ")
}

// virtualClock runs ahead as it is told, then is the real one.
type virtualClock struct {
	mu     sync.Mutex
	now    time.Time
	isReal bool
}

func (c *virtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isReal {
		return time.Now()
	}
	c.now = c.now.Add(time.Microsecond) // no two stamps are equal
	return c.now
}

func (c *virtualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *virtualClock) real() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isReal = true
}

// pipeline lets simulated people use the HTTP API.
type pipeline struct {
	admin *client.Client
	clock *virtualClock

	mu     sync.Mutex
	people map[event.PersonID]*client.Client
	rooms  map[string]string // of person and agent
}

var _ simulate.Pipeline = (*pipeline)(nil)

// AddPerson makes the first person you, the one at this machine: so the first
// agent is yours.
func (p *pipeline) AddPerson(ctx context.Context, name string) (event.PersonID, error) {
	if len(p.people) == 0 {
		var me struct {
			ID event.PersonID `json:"id"`
		}
		err := p.admin.Do(ctx, http.MethodGet, "/v1/me", nil, &me)
		p.people[me.ID] = p.admin
		return me.ID, err
	}
	var person struct {
		ID event.PersonID `json:"id"`
	}
	handle := strings.ToLower(strings.ReplaceAll(name, " ", "-"))
	if err := p.admin.Do(ctx, http.MethodPost, "/v1/people", map[string]string{"handle": handle, "name": name}, &person); err != nil {
		return "", err
	}
	var token struct {
		Token string `json:"token"`
	}
	err := p.admin.Do(ctx, http.MethodPost, "/v1/tokens", map[string]any{"person": person.ID, "name": "demo", "scopes": []string{"chat", "feedback", "agents"}}, &token)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.people[person.ID] = &client.Client{Base: p.admin.Base, Token: token.Token}
	return person.ID, err
}

func (p *pipeline) as(person event.PersonID) *client.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.people[person]
}

func (p *pipeline) AddAgent(ctx context.Context, owner event.PersonID, name string) (event.AgentID, error) {
	var a client.Agent
	err := p.as(owner).Do(ctx, http.MethodPost, "/v1/agents", map[string]any{"name": name}, &a)
	return event.AgentID(a.ID), err
}

func (p *pipeline) room(ctx context.Context, person event.PersonID, agent event.AgentID) (string, error) {
	key := string(person) + string(agent)
	p.mu.Lock()
	id := p.rooms[key]
	p.mu.Unlock()
	if id != "" {
		return id, nil
	}
	var room struct {
		ID string `json:"id"`
	}
	err := retryMissing(ctx, func() error {
		return p.as(person).Do(ctx, http.MethodPost, "/v1/agents/"+string(agent)+"/talk", nil, &room)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rooms[key] = room.ID
	return room.ID, err
}

func (p *pipeline) Talk(ctx context.Context, person event.PersonID, agent event.AgentID, text string) (simulate.Reply, error) {
	return p.talk(ctx, person, person, agent, text)
}

// talk lets a person speak and somebody, maybe another, read the decision behind
// the answer.
func (p *pipeline) talk(ctx context.Context, person, reader event.PersonID, agent event.AgentID, text string) (simulate.Reply, error) {
	room, err := p.room(ctx, person, agent)
	if err != nil {
		return simulate.Reply{}, err
	}
	c := p.as(person)
	var mine struct {
		Sequence int64 `json:"sequence"`
	}
	if err := c.Do(ctx, http.MethodPost, "/v1/rooms/"+room+"/messages", map[string]string{"text": text}, &mine); err != nil {
		return simulate.Reply{}, err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		var page struct {
			Messages []struct {
				ID         event.MessageID
				DecisionID event.DecisionID
			} `json:"messages"`
		}
		if err := c.Do(ctx, http.MethodGet, fmt.Sprintf("/v1/rooms/%s/messages?after=%d", room, mine.Sequence), nil, &page); err != nil {
			return simulate.Reply{}, err
		}
		for _, m := range page.Messages {
			if m.DecisionID != "" {
				return p.decided(ctx, p.as(reader), simulate.Reply{Message: m.ID}, m.DecisionID)
			}
		}
	}
	return simulate.Reply{}, fault.New(fault.Unavailable, "no_reply", "The agent did not answer within 30 seconds.")
}

func (p *pipeline) decided(ctx context.Context, c *client.Client, r simulate.Reply, id event.DecisionID) (simulate.Reply, error) {
	var d struct {
		SessionID event.SessionID `json:"sessionId"`
		Decision  struct {        // for owners only
			Rendered []float64 `json:"rendered"`
		} `json:"decision"`
	}
	err := retryMissing(ctx, func() error {
		return c.Do(ctx, http.MethodGet, "/v1/decisions/"+url.PathEscape(string(id)), nil, &d)
	})
	r.Session = d.SessionID
	copy(r.Rendered[:], d.Decision.Rendered)
	return r, err
}

func (p *pipeline) give(ctx context.Context, person event.PersonID, body map[string]string) error {
	return p.as(person).Do(ctx, http.MethodPost, "/v1/feedback", body, nil)
}

func (p *pipeline) Rate(ctx context.Context, person event.PersonID, session event.SessionID, level string) error {
	return p.give(ctx, person, map[string]string{"kind": "session", "sessionId": string(session), "value": level})
}

func (p *pipeline) Thumb(ctx context.Context, person event.PersonID, message event.MessageID, up bool) error {
	return p.give(ctx, person, map[string]string{"kind": "thumb", "messageId": string(message), "value": map[bool]string{true: "up", false: "down"}[up]})
}

func (p *pipeline) Tone(ctx context.Context, person event.PersonID, message event.MessageID, t policy.Trait, sign int) error {
	for _, b := range policy.ToneButtons() {
		if b.Trait == t && b.Sign == sign {
			return p.give(ctx, person, map[string]string{"kind": "tone", "messageId": string(message), "value": b.Name})
		}
	}
	return nil // no button asks for that
}

func (p *pipeline) End(ctx context.Context, person event.PersonID, agent event.AgentID) error {
	room, err := p.room(ctx, person, agent)
	if err != nil {
		return err
	}
	return p.as(person).Do(ctx, http.MethodPost, "/v1/rooms/"+room+"/end", nil, nil)
}

func (p *pipeline) Settle(ctx context.Context) error { return p.admin.Settle(ctx, nil) }

func (p *pipeline) Advance(d time.Duration) { p.clock.advance(d) }

// because counts the signals behind the newest change, by channel.
func because(x learning.Explanation) map[string]int {
	n := map[string]int{}
	for _, c := range x.Changes {
		var p event.PolicyProposed
		if c.Outcome != "applied" || json.Unmarshal(c.Proposed, &p) != nil {
			continue
		}
		for _, r := range x.Ratings {
			if slices.Contains(p.Causes, r.FeedbackID) {
				n[r.Channel]++
			}
		}
		break
	}
	return n
}

// grown asks, as the owner, what became of an agent.
func (p *pipeline) grown(ctx context.Context, c *simulate.Companion) (Grown, error) {
	var a struct {
		Profile struct {
			BasePersonality map[string]float64 `json:"basePersonality"`
		} `json:"profile"`
		Policy struct {
			Version int64              `json:"version"`
			Reason  string             `json:"reason"`
			Traits  map[string]float64 `json:"traits"`
		} `json:"policy"`
	}
	err := p.as(c.Owner).Do(ctx, http.MethodGet, "/v1/agents/"+string(c.Agent), nil, &a)
	g := Grown{Agent: c.Name, First: c.First, Last: c.Last, Version: a.Policy.Version, Reason: a.Policy.Reason, Moved: map[string]float64{}}
	if err != nil {
		return g, err
	}
	var x learning.Explanation
	if err := p.as(c.Owner).Do(ctx, http.MethodGet, "/v1/agents/"+string(c.Agent)+"/explanation", nil, &x); err != nil {
		return g, err
	}
	g.Because = because(x)
	for name, level := range a.Policy.Traits {
		g.Moved[name] = math.Round((level-a.Profile.BasePersonality[name])*1e4) / 1e4
	}
	return g, err
}
