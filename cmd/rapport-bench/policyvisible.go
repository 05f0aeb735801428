package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"rapport/app"
	"rapport/app/client"
	"rapport/event"
	"rapport/gateway"
	"rapport/internal/sqldb"
)

// Both stay below the limit of opinions per minute and agent.
const visiblePresses, visibleThumbs = 50, 55

// thumbToPolicy measures what an owner waits for: from the press of a tone button
// to the first byte after which the next reply compiles with it, and from a thumb
// to the gateway holding the new revision of the exploration mixture.
func thumbToPolicy(ctx context.Context) (metrics, error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer clean()
	cfg, err := app.LoadConfig(map[string]any{"data": dir, "listen": "127.0.0.1:0", "provider.offline": true, "log.level": "error", "agents.places": 0, "agents.replies": 0})
	if err != nil {
		return nil, err
	}
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if err := a.Start(ctx); err != nil {
		return nil, err
	}
	t := &owner{Client: &client.Client{Base: a.URL(), Token: a.LocalToken()}}
	if err := t.meet(ctx); err != nil {
		return nil, err
	}
	gatewayDB, err := sqldb.Open(ctx, sqldb.Options{Path: filepath.Join(dir, "gateway.db"), Name: "gateway"})
	if err != nil {
		return nil, err
	}
	defer gatewayDB.Close()

	var presses, thumbs []float64
	buttons := []string{"shorter", "longer", "more_formal", "more_casual"}
	for i := range visiblePresses {
		said, err := t.talk(ctx)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		if err := t.give(ctx, "tone", buttons[i%len(buttons)], said); err != nil {
			return nil, err
		}
		pressed := time.Since(start)
		if said, err = t.talk(ctx); err != nil {
			return nil, err
		}
		if d, err := t.decision(ctx, said.decision); err != nil {
			return nil, err
		} else if d.Cause != gateway.CauseToneButton {
			return nil, fmt.Errorf("the reply after a tone button was made by %q", d.Cause)
		}
		presses = append(presses, float64(pressed.Microseconds())/1e3)
	}
	if err := t.meet(ctx); err != nil {
		return nil, err
	}
	for i := range visibleThumbs {
		said, err := t.talk(ctx)
		if err != nil {
			return nil, err
		}
		if err := t.Settle(ctx, nil); err != nil {
			return nil, err
		}
		before, err := t.revision(ctx, gatewayDB)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		if err := t.give(ctx, "thumb", []string{"up", "down"}[i%2], said); err != nil {
			return nil, err
		}
		for now := before; now == before; {
			if now, err = t.revision(ctx, gatewayDB); err != nil {
				return nil, err
			}
			if since(start) > 10 {
				return nil, fmt.Errorf("no new revision within 10 s")
			}
		}
		thumbs = append(thumbs, since(start)*1e3)
	}
	all := append(append([]float64{}, presses...), thumbs...)
	return metrics{"p50_ms": quantile(all, .5), "p99_ms": quantile(all, .99), "tone_p99_ms": quantile(presses, .99), "thumb_p50_ms": quantile(thumbs, .5), "thumb_p99_ms": quantile(thumbs, .99)}, nil
}

// revision is the newest revision the gateway draws variations from.
func (t *owner) revision(ctx context.Context, db *sqldb.DB) (n int64, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select revision from agents where agent_id = $1`, []any{t.agent}, &n)
		return err
	})
	return n, err
}

// owner talks with an agent of theirs.
type owner struct {
	*client.Client
	agent string
	room  string
	to    string // what they begin with, to be heard by the agent among many
}

type said struct {
	message  event.MessageID
	decision event.DecisionID
}

// meet makes another agent to talk with.
func (t *owner) meet(ctx context.Context) error {
	var a client.Agent
	if err := t.Do(ctx, http.MethodPost, "/v1/agents", map[string]string{"name": "bench " + event.NewID()[24:]}, &a); err != nil {
		return err
	}
	if err := t.Settle(ctx, nil); err != nil {
		return err
	}
	var room struct {
		ID string `json:"id"`
	}
	err := t.Do(ctx, http.MethodPost, "/v1/agents/"+a.ID+"/talk", nil, &room)
	t.agent, t.room = a.ID, room.ID
	return err
}

// talk says something and waits for the answer.
func (t *owner) talk(ctx context.Context) (said, error) {
	var mine struct {
		Sequence int64 `json:"sequence"`
	}
	if err := t.Do(ctx, http.MethodPost, "/v1/rooms/"+t.room+"/messages", map[string]string{"text": t.to + "How do tides work?"}, &mine); err != nil {
		return said{}, err
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var page struct {
			Messages []struct {
				ID         event.MessageID
				DecisionID event.DecisionID
			} `json:"messages"`
		}
		if err := t.Do(ctx, http.MethodGet, fmt.Sprintf("/v1/rooms/%s/messages?after=%d", t.room, mine.Sequence), nil, &page); err != nil {
			return said{}, err
		}
		for _, m := range page.Messages {
			if m.DecisionID != "" {
				return said{m.ID, m.DecisionID}, nil
			}
		}
	}
	return said{}, fmt.Errorf("no answer within 10 s")
}

func (t *owner) give(ctx context.Context, kind, value string, about said) error {
	return t.Do(ctx, http.MethodPost, "/v1/feedback", map[string]string{"kind": kind, "value": value, "messageId": string(about.message)}, nil)
}

func (t *owner) decision(ctx context.Context, id event.DecisionID) (d gateway.Decided, err error) {
	err = t.Do(ctx, http.MethodGet, "/v1/decisions/"+string(id), nil, &d)
	return d, err
}
