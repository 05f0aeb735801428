package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"rapport/app/client"
	"rapport/app/door"
	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// Imported is what an import did.
type Imported struct {
	Counts          Counts         `json:"counts"`   // found in the files
	Fates           map[string]int `json:"fates"`    // of the items sent
	Refusals        map[string]int `json:"refusals"` // by reason
	Agents          []string       `json:"agents,omitempty"`
	Bad             []Bad          `json:"bad,omitempty"`
	Seconds         float64        `json:"seconds"`
	LabelsPerSecond float64        `json:"labelsPerSecond,omitempty"`
}

const batchSize = 1000

// Import reads the files and sends what they hold: all talk first, then,
// when it has arrived everywhere, the marks on it.
func Import(ctx context.Context, c *client.Client, files []string, bar func(what string, done, total int64)) (*Imported, error) {
	start := time.Now()
	done := &Imported{Fates: map[string]int{}, Refusals: map[string]int{}}
	var talk, marks []door.Item
	for _, path := range files {
		r, err := Read(path, func(name string) (event.AgentID, error) { return ensureAgent(ctx, c, name) })
		if _, ours := errors.AsType[*httpapi.Problem](err); err != nil && !ours {
			return nil, fault.New(fault.Invalid, "unreadable_file", "%v.", err)
		} else if err != nil {
			return nil, err
		}
		done.Agents, done.Bad = append(done.Agents, r.Agents...), append(done.Bad, r.Bad...)
		done.Counts.Conversations += r.Counts.Conversations
		done.Counts.Messages += r.Counts.Messages
		done.Counts.Labels += r.Counts.Labels
		done.Counts.Other += r.Counts.Other
		done.Counts.Bad += r.Counts.Bad
		talk, marks = append(talk, r.Talk...), append(marks, r.Marks...)
	}
	total, sent := int64(len(talk)+len(marks)), int64(0)
	for _, items := range [][]door.Item{talk, marks} {
		if err := sendItems(ctx, c, items, done, func(n int) {
			sent += int64(n)
			bar("import", sent, total)
		}); err != nil {
			return nil, err
		}
		if err := c.Settle(ctx, nil); err != nil {
			return nil, err
		}
	}
	done.Seconds = time.Since(start).Seconds()
	if done.Counts.Labels > 0 {
		done.LabelsPerSecond = float64(done.Counts.Labels) / done.Seconds
	}
	return done, nil
}

// sendItems sends batches in order, encoding the next while one is on its way.
func sendItems(ctx context.Context, c *client.Client, items []door.Item, done *Imported, progress func(n int)) error {
	type batch struct {
		body []byte
		n    int
	}
	ready := make(chan batch, 2)
	var encoding sync.WaitGroup
	encoding.Go(func() {
		defer close(ready)
		for len(items) > 0 {
			n := min(batchSize, len(items))
			body, err := json.Marshal(items[:n])
			if err != nil {
				panic(err) // items always encode
			}
			select {
			case ready <- batch{body, n}:
			case <-ctx.Done():
				return
			}
			items = items[n:]
		}
	})
	defer encoding.Wait()
	for b := range ready {
		var results []door.Result
		if err := postBatch(ctx, c, b.body, &results); err != nil {
			go func() { // let the encoder end
				for range ready {
				}
			}()
			return err
		}
		for _, r := range results {
			done.Fates[r.Status]++
			if r.Status == door.Refused {
				done.Refusals[r.Reason]++
			}
		}
		progress(b.n)
	}
	return ctx.Err()
}

func postBatch(ctx context.Context, c *client.Client, body []byte, out *[]door.Result) error {
	resp, err := c.Send(ctx, http.MethodPost, "/v1/events", "application/cloudevents-batch+json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(out)
}

// ensureAgent gives the caller's agent of that name, making it when absent.
func ensureAgent(ctx context.Context, c *client.Client, name string) (event.AgentID, error) {
	a, err := c.Agent(ctx, name)
	if err == nil {
		return event.AgentID(a.ID), nil
	}
	if !client.NotFound(err) {
		return "", err
	}
	if err := c.Do(ctx, http.MethodPost, "/v1/agents", map[string]any{"name": name}, &a); err != nil {
		return "", err
	}
	return event.AgentID(a.ID), nil
}
