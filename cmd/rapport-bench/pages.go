package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"rapport/app/client"
)

const (
	pagesAgents = 1000
	pagesEach   = 200 // requests of each page
	liveSaid    = 300
)

// pages measures how long the server takes for each page when the person who looks
// has a thousand agents, and what a browser has to load for the talk.
func pages(ctx context.Context) (metrics, error) {
	c, clean, err := freshServer(ctx)
	if err != nil {
		return nil, err
	}
	defer clean()
	for i := range pagesAgents {
		if err := c.Do(ctx, http.MethodPost, "/v1/agents", map[string]string{"name": fmt.Sprintf("Agent %03d", i), "description": "One of many."}, nil); err != nil {
			return nil, err
		}
	}
	if err := c.Settle(ctx, nil); err != nil {
		return nil, err
	}
	var room struct{ ID string }
	if err := c.Do(ctx, http.MethodPost, "/v1/rooms", map[string]string{"title": "One of several"}, &room); err != nil {
		return nil, err
	}
	m := metrics{"agents": pagesAgents}
	var all []float64
	for name, path := range map[string]string{"home": "/", "talk": "/talk/agent-500", "room": "/room/" + room.ID, "growth": "/growth/agent-500", "login": "/login",
		"reviews": "/reviews", "points": "/points", "goals": "/goals", "mine": "/mine", "operator": "/operator"} {
		var took []float64
		for range pagesEach {
			start := time.Now()
			if _, err := fetch(ctx, c.Client, path); err != nil {
				return nil, err
			}
			took = append(took, since(start)*1e3)
		}
		m[name+"_p99_ms"] = quantile(took, .99)
		all = append(all, took...)
	}
	m["p50_ms"], m["p99_ms"] = quantile(all, .5), quantile(all, .99)
	weight, files, err := weigh(ctx, c.Client, "/talk/agent-500")
	m["chat_kb"], m["chat_files"] = float64(weight)/1024, files
	return m, err
}

// freshServer is a server in a process of its own on a new directory.
func freshServer(ctx context.Context) (*child, func(), error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, nil, err
	}
	c, err := startChild(ctx, dir)
	if err != nil {
		clean()
		return nil, nil, err
	}
	return c, func() { c.kill(); clean() }, nil
}

func fetch(ctx context.Context, c *client.Client, path string) (string, error) {
	resp, err := c.Send(ctx, http.MethodGet, path, "text/html", nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d", path, resp.StatusCode)
	}
	return string(body), err
}

var (
	loaded   = regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`)
	imported = regexp.MustCompile(`from '\./([^']+)'`)
)

// weigh adds up a page and everything that it loads, uncompressed.
func weigh(ctx context.Context, c *client.Client, path string) (bytes, files int, err error) {
	body, err := fetch(ctx, c, path)
	if err != nil {
		return 0, 0, err
	}
	bytes = len(body)
	var load []string
	for _, m := range loaded.FindAllStringSubmatch(body, -1) {
		load = append(load, m[1])
	}
	seen := map[string]bool{}
	for ; len(load) > 0; load = load[1:] {
		if seen[load[0]] {
			continue
		}
		seen[load[0]] = true
		if body, err = fetch(ctx, c, load[0]); err != nil {
			return 0, 0, err
		}
		bytes += len(body)
		for _, m := range imported.FindAllStringSubmatch(body, -1) {
			load = append(load, load[0][:strings.LastIndex(load[0], "/")+1]+m[1])
		}
	}
	return bytes, len(seen) + 1, nil
}

// live measures from the moment a message is sent, in one connection, until it is
// in the stream of another.
func live(ctx context.Context) (metrics, error) {
	c, clean, err := freshServer(ctx)
	if err != nil {
		return nil, err
	}
	defer clean()
	t := &owner{Client: c.Client}
	if err := t.meet(ctx); err != nil {
		return nil, err
	}
	// Nobody answers: only the way of the person's own words is measured.
	if err := t.Do(ctx, http.MethodPost, "/v1/agents/"+t.agent+"/kill", nil, nil); err != nil {
		return nil, err
	}
	stream, err := t.Send(ctx, http.MethodGet, "/v1/rooms/"+t.room+"/stream?after=0", "", nil)
	if err != nil {
		return nil, err
	}
	defer stream.Body.Close()
	seen := make(chan arrival, liveSaid)
	go func() {
		defer close(seen)
		lines := bufio.NewScanner(stream.Body)
		for lines.Scan() {
			var m struct{ Text string }
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(data), &m) == nil && m.Text != "" {
				seen <- arrival{m.Text, time.Now()}
			}
		}
	}()
	var took []float64
	for i := range liveSaid {
		text := fmt.Sprintf("message %d", i)
		start := time.Now()
		if err := t.Do(ctx, http.MethodPost, "/v1/rooms/"+t.room+"/messages", map[string]string{"text": text}, nil); err != nil {
			return nil, err
		}
		a, ok := <-seen
		if !ok || a.text != text {
			return nil, fmt.Errorf("the stream gave %q after %q", a.text, text)
		}
		took = append(took, a.at.Sub(start).Seconds()*1e3)
	}
	return metrics{"messages": liveSaid, "p50_ms": quantile(took, .5), "p99_ms": quantile(took, .99)}, nil
}

type arrival struct {
	text string
	at   time.Time
}
