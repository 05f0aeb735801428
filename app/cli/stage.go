package cli

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"time"

	"rapport/app"
	"rapport/app/client"
	"rapport/event"
	"rapport/policy"
	"rapport/simulate"
	"rapport/simulate/gym"
	"rapport/simulate/league"
)

// product is the whole product as a learner: a server on an empty directory of its
// own, with the virtual clock, for each population.
func (g *globals) product(raters, sessions int) league.Entrant {
	return league.Staged("product", "the whole product, through its doors", func(ctx context.Context, starts []policy.Traits) (gym.Learner, func() error, error) {
		s, close, err := g.stage(ctx, sessions)
		if err != nil {
			return nil, nil, err
		}
		t, err := simulate.NewThrough(ctx, s, starts, raters)
		if err != nil {
			close()
			return nil, nil, err
		}
		return t, func() error {
			close()
			return t.Err()
		}, nil
	})
}

// stage starts the product, so many virtual days ago and a few more.
func (g *globals) stage(ctx context.Context, days int) (_ *stage, close func(), err error) {
	cfg, err := g.config()
	if err != nil {
		return nil, nil, err
	}
	if cfg.Data, err = os.MkdirTemp("", "rapport-simulate-"); err != nil {
		return nil, nil, err
	}
	clock := &virtualClock{now: time.Now().Add(-time.Duration(days) * 26 * time.Hour)}
	cfg.Clock, cfg.Provider.Offline, cfg.Listen = clock.Now, true, "127.0.0.1:0"
	cfg.Learning.Jobs = 0 // the nights here are the clock's, not ours
	cfg.Agents.Places, cfg.Agents.Replies = 0, 0
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	close = func() {
		a.Close()
		os.RemoveAll(cfg.Data)
	}
	if err := a.Start(ctx); err != nil {
		close()
		return nil, nil, err
	}
	p := &pipeline{admin: &client.Client{Base: a.URL(), Token: a.LocalToken()}, clock: clock, people: map[event.PersonID]*client.Client{}, rooms: map[string]string{}}
	night := func(ctx context.Context) error {
		_, err := a.Learning.RunDue(ctx, clock.Now().UnixMicro(), 24*time.Hour)
		return err
	}
	return &stage{p, night, map[event.AgentID]event.PersonID{}, map[event.AgentID]string{}, map[event.MessageID]event.AgentID{}}, close, nil
}

// stage lets the yardstick world's people use the HTTP API.
type stage struct {
	*pipeline
	night  func(context.Context) error
	owners map[event.AgentID]event.PersonID
	slugs  map[event.AgentID]string
	about  map[event.MessageID]event.AgentID // who said it
}

var _ simulate.Stage = (*stage)(nil)

func (s *stage) AddAgentAt(ctx context.Context, owner event.PersonID, name string, levels policy.Traits) (event.AgentID, error) {
	var a client.Agent
	err := s.as(owner).Do(ctx, http.MethodPost, "/v1/agents", map[string]any{"name": name, "traits": levels}, &a)
	id := event.AgentID(a.ID)
	s.owners[id], s.slugs[id] = owner, a.Slug
	return id, err
}

// Host makes a group in which everybody allows that signals are taken from what
// they do: without, the product hears neither their reactions nor how engaged they
// are.
func (s *stage) Host(ctx context.Context, agent event.AgentID, people []event.PersonID) error {
	var room struct {
		ID string `json:"id"`
	}
	err := retryMissing(ctx, func() error {
		return s.as(people[0]).Do(ctx, http.MethodPost, "/v1/rooms", map[string]any{"title": "guests", "agents": []event.AgentID{agent}, "people": people[1:]}, &room)
	})
	for _, person := range people {
		s.rooms[string(person)+string(agent)] = room.ID
		if err == nil {
			err = s.as(person).Do(ctx, http.MethodPut, "/v1/rooms/"+room.ID+"/consent", map[string]bool{"consent": true}, nil)
		}
	}
	return err
}

func (s *stage) Night(ctx context.Context) error { return s.night(ctx) }

// Talk speaks to the agent by name, because a group has others, and reads the
// answer's levels as the owner, because they are shown to nobody else.
func (s *stage) Talk(ctx context.Context, person event.PersonID, agent event.AgentID, text string) (simulate.Reply, error) {
	if person != s.owners[agent] {
		text = "@" + s.slugs[agent] + " " + text
	}
	r, err := s.talk(ctx, person, s.owners[agent], agent, text)
	s.about[r.Message] = agent
	return r, err
}

// Rate tries again while it is not known yet that the person takes part.
func (s *stage) Rate(ctx context.Context, person event.PersonID, session event.SessionID, level string) error {
	return retryMissing(ctx, func() error { return s.pipeline.Rate(ctx, person, session, level) })
}

// Thumb of somebody who is not the owner is a reaction to the message.
func (s *stage) Thumb(ctx context.Context, person event.PersonID, message event.MessageID, up bool) error {
	agent := s.about[message]
	if person == s.owners[agent] {
		return s.pipeline.Thumb(ctx, person, message, up)
	}
	room, err := s.room(ctx, person, agent)
	if err != nil {
		return err
	}
	emoji := map[bool]string{true: "👍", false: "👎"}[up]
	return s.as(person).Do(ctx, http.MethodPut, "/v1/rooms/"+room+"/messages/"+string(message)+"/reactions/"+url.PathEscape(emoji), nil, nil)
}

func (s *stage) Policy(ctx context.Context, agent event.AgentID) (policy.Traits, error) {
	var a struct {
		Policy struct {
			Traits policy.Traits `json:"traits"`
		} `json:"policy"`
	}
	err := s.as(s.owners[agent]).Do(ctx, http.MethodGet, "/v1/agents/"+string(agent), nil, &a)
	return a.Policy.Traits, err
}
