package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rapport/app/client"
	"rapport/app/door"
	"rapport/event"
)

const (
	ingestConnections = 32
	ingestSeconds     = 5
	ingestAgents      = 50
	ingestMessages    = 1000 // to give marks on, the same number of each agent
)

// ingest sends feedback one a request over 32 connections for a few seconds,
// kills the server while requests are under way, starts it again and sends
// everything that was acknowledged once more: what is not a duplicate then was
// lost.
func ingest(ctx context.Context) (metrics, error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer clean()
	srv, err := startChild(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { srv.kill() }()
	if err := prepareIngest(ctx, srv); err != nil {
		return nil, err
	}
	var sent, acked atomic.Int64
	var mu sync.Mutex
	kept := map[int64]bool{}
	deadline := time.Now().Add(ingestSeconds * time.Second)
	var group sync.WaitGroup
	var atDeadline atomic.Int64
	start := time.Now()
	for range ingestConnections {
		group.Go(func() {
			var mine []int64
			for {
				n := sent.Add(1)
				status, err := giveOne(ctx, srv, n)
				if err != nil || status == door.Refused {
					break // the server is gone
				}
				mine = append(mine, n)
				if acked.Add(1); time.Now().Before(deadline) {
					atDeadline.Add(1)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for _, n := range mine {
				kept[n] = true
			}
		})
	}
	time.Sleep(time.Until(deadline))
	seconds := since(start)
	time.Sleep(200 * time.Millisecond)
	srv.kill() // while requests are under way
	group.Wait()

	if srv, err = startChild(ctx, dir); err != nil {
		return nil, err
	}
	lost, err := countLost(ctx, srv, kept)
	if err != nil {
		return nil, err
	}
	return metrics{
		"events_per_second": float64(atDeadline.Load()) / seconds,
		"lost":              lost, "acknowledged": len(kept), "connections": ingestConnections,
	}, nil
}

// prepareIngest makes agents with messages to mark.
func prepareIngest(ctx context.Context, srv *child) error {
	var items []door.Item
	for i := range ingestAgents {
		var a client.Agent
		if err := srv.Do(ctx, http.MethodPost, "/v1/agents", map[string]any{"name": fmt.Sprint("bench ", i)}, &a); err != nil {
			return err
		}
		room := fmt.Sprint("r", i)
		items = append(items, benchItem(room, door.RoomCreated, door.Data{Room: room, Agents: []event.AgentID{event.AgentID(a.ID)}}))
		for m := i; m < ingestMessages; m += ingestAgents {
			id := fmt.Sprint("m", m)
			items = append(items, benchItem(id, door.MessageIngest, door.Data{Room: room, Message: id, Who: &door.Who{Agent: event.AgentID(a.ID)}, Text: "A sentence. And a question?"}))
		}
	}
	if err := srv.Settle(ctx, nil); err != nil { // every agent is known everywhere
		return err
	}
	for chunk := range slices.Chunk(items, 500) {
		if err := sendBatch(ctx, srv, chunk); err != nil {
			return err
		}
	}
	return srv.Settle(ctx, nil)
}

func sendBatch(ctx context.Context, srv *child, items []door.Item) error {
	body, err := json.Marshal(items)
	if err != nil {
		return err
	}
	resp, err := srv.Send(ctx, http.MethodPost, "/v1/events", "application/cloudevents-batch+json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// giveOne sends the n-th mark and says what became of it.
func giveOne(ctx context.Context, srv *child, n int64) (string, error) {
	mark := int(n%3) - 1
	body, err := json.Marshal(benchItem(fmt.Sprint("f", n), door.FeedbackGiven, door.Data{
		Message: fmt.Sprint("m", n%ingestMessages), Who: &door.Who{Person: fmt.Sprint("rater ", n/ingestMessages)}, Mark: &mark}))
	if err != nil {
		return "", err
	}
	resp, err := srv.Send(ctx, http.MethodPost, "/v1/events", "application/cloudevents+json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var results []door.Result
	if err := json.Unmarshal(data, &results); err != nil || len(results) != 1 {
		return "", fmt.Errorf("answer %q: %v", data, err)
	}
	return results[0].Status, nil
}

func countLost(ctx context.Context, srv *child, kept map[int64]bool) (int, error) {
	var group sync.WaitGroup
	var lost atomic.Int64
	work := make(chan int64)
	errs := make(chan error, ingestConnections)
	for range ingestConnections {
		group.Go(func() {
			for n := range work {
				status, err := giveOne(ctx, srv, n)
				if err != nil {
					errs <- err
					for range work { // let the sender end
					}
					return
				}
				if status != door.Duplicate {
					lost.Add(1)
				}
			}
		})
	}
	for n := range kept {
		work <- n
	}
	close(work)
	group.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return int(lost.Load()), nil
	}
}

func benchItem(id, typ string, d door.Data) door.Item {
	data, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return door.Item{SpecVersion: "1.0", ID: id, Source: "bench", Type: typ, Data: data}
}
