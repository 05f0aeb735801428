package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"rapport/app"
	"rapport/app/client"
	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/safety"
	"rapport/policy"
)

// What one account does.
const (
	influenceEvents   = 1000
	influenceSessions = 100 // of a guest: two answers, four reactions to each, a rating and a comment
	influenceRatings  = 24  // of the owner, where there is one who rates
	influenceTrait    = policy.Humor
)

// influence lets one account do all it can to push a trait of somebody else's agent,
// 1,000 events through HTTP or the door, the learner and the agent, in virtual
// time: each talk a day apart, so that neither the weekly bound nor the age of accounts holds
// it back, and with the exact levels of every answer in view, which no guest has. It reacts
// and rates as somebody would who only wants more humour; ten new accounts react to the
// same answers in one room. What was moved is the agent's levels minus those after the
// accounts were erased: what the agent would be without them.
//
// The cap follows from the bounds of influence (design page on soundness, 18): guests together count .3 × the owner's information
// and 2 ratings at most, one of them a third of that, and an owner moves a trait by
// at most .02 with each rating. So cap = .02 × (.3 × the owner's ratings + 2) / 3.
// max_trait_move is the most that one account moved, with the cap there. A second
// account of the owner is one like any other. Ten together have the guests' whole part,
// of which they get less from when they look like one.
func influence(ctx context.Context) (metrics, error) {
	out := metrics{"events": influenceEvents}
	most, at := -1., 0.
	for _, c := range []struct {
		name            string
		accounts, rated int
		reviewer        bool
	}{
		{name: "guest"},
		{name: "guest_owner_rates", rated: influenceRatings},
		{name: "owners_second_account", rated: influenceRatings},
		{name: "reviewer", reviewer: true},
		{name: "ten_new_accounts", accounts: 10, rated: influenceRatings},
	} {
		fmt.Fprintf(os.Stderr, "influence: %s\n", c.name)
		p, err := newPressure(ctx, max(1, c.accounts), c.accounts > 1)
		if err != nil {
			return nil, err
		}
		switch {
		case c.reviewer:
			err = p.review(ctx)
		case c.accounts > 1:
			err = p.gather(ctx, c.rated)
		default:
			err = p.visit(ctx, c.rated)
		}
		var moved float64
		if err == nil {
			moved, err = p.undo(ctx, c.reviewer)
		}
		p.close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		limit := safety.StepBound * (.3*float64(c.rated) + 2) / 3
		if c.accounts > 1 {
			out[c.name+"_move"], out[c.name+"_cap"], out[c.name+"_given"] = moved, 3*limit, p.given
			continue
		}
		out[c.name+"_move"], out[c.name+"_cap"], out[c.name+"_given"] = moved, limit, p.given
		if moved > most || moved == most && limit < at {
			most, at = moved, limit
		}
	}
	out["max_trait_move"], out["cap"] = most, at
	return out, nil
}

// pressure is an agent, its owner, and those who push.
type pressure struct {
	app     *app.App
	dir     string
	clean   func()
	mu      sync.Mutex
	now     time.Time
	owner   *owner
	pushers []*owner
	people  []string
	young   bool // the pushers' accounts are of today
	given   int
}

func (p *pressure) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(time.Microsecond)
	return p.now
}

func (p *pressure) later(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

func (p *pressure) close() {
	if p.app != nil {
		p.app.Close()
	}
	p.clean()
}

func newPressure(ctx context.Context, accounts int, young bool) (p *pressure, err error) {
	p = &pressure{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), young: young}
	if p.dir, p.clean, err = scratchDir(); err != nil {
		return nil, err
	}
	cfg, err := app.LoadConfig(map[string]any{"data": p.dir, "listen": "127.0.0.1:0", "provider.offline": true, "log.level": "error", "learning.jobs": "0s"})
	if err != nil {
		return p, err
	}
	cfg.Clock = p.clock
	if p.app, err = app.Open(ctx, cfg); err != nil {
		return p, err
	}
	if err := p.app.Start(ctx); err != nil {
		return p, err
	}
	p.owner = &owner{Client: &client.Client{Base: p.app.URL(), Token: p.app.LocalToken()}}
	if err := p.owner.meet(ctx); err != nil {
		return p, err
	}
	for i := range accounts {
		guest, person, err := p.person(ctx, fmt.Sprintf("guest-%d", i))
		if err != nil {
			return p, err
		}
		p.pushers, p.people = append(p.pushers, guest), append(p.people, person)
	}
	if !young {
		p.later(30 * 24 * time.Hour)
	}
	return p, nil
}

// person makes somebody with a room to talk with the agent in.
func (p *pressure) person(ctx context.Context, name string) (*owner, string, error) {
	var made struct{ ID string }
	if err := p.owner.Do(ctx, http.MethodPost, "/v1/people", map[string]string{"handle": name, "name": name}, &made); err != nil {
		return nil, "", err
	}
	var token struct{ Token string }
	if err := p.owner.Do(ctx, http.MethodPost, "/v1/tokens", map[string]any{"person": made.ID, "name": name, "scopes": []string{"chat", "feedback"}}, &token); err != nil {
		return nil, "", err
	}
	g := &owner{Client: &client.Client{Base: p.app.URL(), Token: token.Token}, agent: p.owner.agent}
	var room struct{ ID string }
	if err := g.Do(ctx, http.MethodPost, "/v1/agents/"+g.agent+"/talk", nil, &room); err != nil {
		return nil, "", err
	}
	g.room = room.ID
	return g, made.ID, g.Do(ctx, http.MethodPut, "/v1/rooms/"+g.room+"/consent", map[string]bool{"consent": true}, nil)
}

// visit lets a guest talk, react and rate, one talk after the other, while the owner
// talks and rates now and then.
func (p *pressure) visit(ctx context.Context, rated int) error {
	for i := range influenceSessions {
		if err := p.rate(ctx, i, rated); err != nil {
			return err
		}
		p.later(24 * time.Hour)
		g := p.pushers[0]
		var last said
		var session event.SessionID
		liked := false
		for range 2 {
			s, err := g.talk(ctx)
			if err != nil {
				return err
			}
			if liked, session, err = p.more(ctx, s); err != nil {
				return err
			}
			emoji := blame
			if liked {
				emoji = praise
			}
			for _, e := range emoji {
				if err := g.Do(ctx, http.MethodPut, "/v1/rooms/"+g.room+"/messages/"+string(s.message)+"/reactions/"+e, nil, nil); err != nil {
					return err
				}
				p.given++
			}
			last = s
		}
		value := map[bool]string{true: "up", false: "down"}[liked]
		for _, body := range []map[string]string{{"kind": "session", "sessionId": string(session), "value": value}, {"kind": "comment", "messageId": string(last.message), "comment": "more jokes"}} {
			if err := g.Do(ctx, http.MethodPost, "/v1/feedback", body, nil); err != nil {
				return err
			}
			p.given++
		}
		if err := g.Do(ctx, http.MethodPost, "/v1/rooms/"+g.room+"/end", nil, nil); err != nil {
			return err
		}
		if err := p.owner.Settle(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

var praise, blame = []string{"👍", "❤", "🎉", "🔥"}, []string{"👎", "😡", "🙄", "💩"}

// more says whether an answer had more of the trait than the agent is set to.
func (p *pressure) more(ctx context.Context, s said) (more bool, session event.SessionID, err error) {
	x, session, err := p.behind(ctx, s)
	if err != nil {
		return false, session, err
	}
	level, err := p.levels(ctx)
	return x[influenceTrait] >= level[influenceTrait], session, err
}

// gather lets all pushers react to each of 100 answers in one room, at once.
func (p *pressure) gather(ctx context.Context, rated int) error {
	room, err := p.assemble(ctx)
	if err != nil {
		return err
	}
	for i := range influenceSessions {
		if err := p.rate(ctx, i, rated); err != nil {
			return err
		}
		p.later(3 * time.Hour)
		s, err := p.pushers[i%len(p.pushers)].talk(ctx)
		if err != nil {
			return err
		}
		liked, _, err := p.more(ctx, s)
		if err != nil {
			return err
		}
		emoji := blame[0]
		if liked {
			emoji = praise[0]
		}
		for _, g := range p.pushers {
			if err := g.Do(ctx, http.MethodPut, "/v1/rooms/"+room+"/messages/"+string(s.message)+"/reactions/"+emoji, nil, nil); err != nil {
				return err
			}
			p.given++
		}
		if err := p.pushers[0].Do(ctx, http.MethodPost, "/v1/rooms/"+room+"/end", nil, nil); err != nil {
			return err
		}
		if err := p.owner.Settle(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// assemble brings all pushers and the agent into one room.
func (p *pressure) assemble(ctx context.Context) (string, error) {
	var room struct{ ID string }
	if err := p.owner.Do(ctx, http.MethodPost, "/v1/rooms", map[string]string{"title": "all"}, &room); err != nil {
		return "", err
	}
	members := []map[string]string{{"agentId": p.owner.agent}}
	for _, id := range p.people {
		members = append(members, map[string]string{"personId": id})
	}
	for _, m := range members {
		if err := p.owner.Do(ctx, http.MethodPost, "/v1/rooms/"+room.ID+"/members", m, nil); err != nil {
			return "", err
		}
	}
	var a struct{ Slug string }
	if err := p.owner.Do(ctx, http.MethodGet, "/v1/agents/"+p.owner.agent, nil, &a); err != nil {
		return "", err
	}
	for _, g := range p.pushers {
		g.room, g.to = room.ID, "@"+a.Slug+" "
		if err := g.Do(ctx, http.MethodPut, "/v1/rooms/"+room.ID+"/consent", map[string]bool{"consent": true}, nil); err != nil {
			return "", err
		}
	}
	return room.ID, nil
}

// rate is, in so many of the talks, one of the owner, who is pleased with it.
func (p *pressure) rate(ctx context.Context, i, rated int) error {
	if (i+1)*rated/influenceSessions == i*rated/influenceSessions {
		return nil
	}
	s, err := p.owner.talk(ctx)
	if err != nil {
		return err
	}
	_, session, err := p.behind(ctx, s)
	if err != nil {
		return err
	}
	if err := p.owner.Do(ctx, http.MethodPost, "/v1/feedback", map[string]string{"kind": "session", "sessionId": string(session), "value": "good"}, nil); err != nil {
		return err
	}
	return p.owner.Do(ctx, http.MethodPost, "/v1/rooms/"+p.owner.room+"/end", nil, nil)
}

// behind is what an answer was made of, and in which session.
func (p *pressure) behind(ctx context.Context, s said) (x []float64, session event.SessionID, err error) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		d, err := p.owner.decision(ctx, s.decision)
		if err != nil {
			return nil, "", err
		}
		if d.Body != nil && len(d.Body.Rendered) == policy.NTraits {
			return d.Body.Rendered, d.SessionID, nil
		}
	}
	return nil, "", fmt.Errorf("no decision within 10 s")
}

// review brings 1,000 messages of the agent from another platform, short and long,
// and one reviewer's mark on each: short ones are praised.
func (p *pressure) review(ctx context.Context) error {
	var token struct{ Token string }
	if err := p.owner.Do(ctx, http.MethodPost, "/v1/tokens", map[string]any{"name": "forum", "scopes": []string{"ingest"}, "source": "forum"}, &token); err != nil {
		return err
	}
	forum := &client.Client{Base: p.app.URL(), Token: token.Token}
	short, long := "Yes.", ""
	for range 30 {
		long += "And then there is this to be said of it. "
	}
	for from := 0; from < influenceEvents; from += 100 {
		var talk, marks []map[string]any
		for i := from; i < from+100; i++ {
			text, mark := short, 1
			if i%2 == 1 {
				text, mark = long, -1
			}
			message := fmt.Sprint("m", i)
			add := func(list *[]map[string]any, id, typ string, data map[string]any) {
				*list = append(*list, map[string]any{"specversion": "1.0", "id": id, "type": typ, "data": data})
			}
			add(&talk, message, "message.ingested", map[string]any{"room": "r", "message": message, "who": map[string]string{"agent": p.owner.agent}, "text": text})
			add(&marks, "mark"+message, "feedback.given", map[string]any{"message": message, "who": map[string]string{"person": "reviewer"}, "mark": mark})
			p.given++
		}
		for _, batch := range [][]map[string]any{talk, marks} {
			body, err := json.Marshal(batch)
			if err != nil {
				return err
			}
			resp, err := forum.Send(ctx, http.MethodPost, "/v1/events", "application/cloudevents-batch+json", bytes.NewReader(body))
			if err != nil {
				return err
			}
			resp.Body.Close()
		}
		p.later(24 * time.Hour)
		if err := p.owner.Settle(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// undo erases who pushed, and gives by how much the trait that differs most differs
// from what it was with them.
func (p *pressure) undo(ctx context.Context, reviewer bool) (float64, error) {
	if err := p.owner.Settle(ctx, nil); err != nil {
		return 0, err
	}
	with, err := p.levels(ctx)
	if err != nil {
		return 0, err
	}
	people := p.people
	if reviewer {
		if people, err = p.reviewers(ctx); err != nil {
			return 0, err
		}
	}
	for _, id := range people {
		if err := p.owner.Do(ctx, http.MethodDelete, "/v1/people/"+id, nil, nil); err != nil {
			return 0, err
		}
	}
	if err := p.owner.Settle(ctx, nil); err != nil {
		return 0, err
	}
	without, err := p.levels(ctx)
	most := 0.
	for j := range with {
		most = max(most, math.Abs(with[j]-without[j]))
	}
	return most, err
}

// reviewers are the pseudonyms of those who marked.
func (p *pressure) reviewers(ctx context.Context) (people []string, err error) {
	db, err := sqldb.Open(ctx, sqldb.Options{Path: filepath.Join(p.dir, "feedback.db"), Name: "feedback"})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var one string
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select rater_id from feedback_events where role = $1 limit 1`, []any{event.RoleReviewer}, &one)
		return err
	})
	return []string{one}, err
}

// levels are the agent's published ones.
func (p *pressure) levels(ctx context.Context) (policy.Traits, error) {
	var a struct {
		Policy struct{ Traits policy.Traits }
	}
	err := p.owner.Do(ctx, http.MethodGet, "/v1/agents/"+p.owner.agent, nil, &a)
	return a.Policy.Traits, err
}
