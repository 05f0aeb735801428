package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rapport/app/client"
	"rapport/internal/sqldb"
)

// target is where completions are asked for.
type target struct {
	name     string
	url      string // up to and with /v1
	headers  map[string]string
	models   []string // asked in turn; the model's own name when empty
	answered *atomic.Int64
	pid      int // of the process that serves it; 0 for this one
}

// The two ways to ask.
const (
	once     = false
	streamed = true
)

// caller asks one thing at a time on connections of its own.
type caller struct {
	http http.Client
	n    int
}

func newCaller() *caller {
	return &caller{http: http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 2}, Timeout: 30 * time.Second}}
}

// ask makes one call and reads the answer to its end.
func (c *caller) ask(ctx context.Context, t target, stream bool) error {
	model := mockModel
	if len(t.models) > 0 {
		model = t.models[c.n%len(t.models)]
	}
	c.n++
	body := `{"model":"` + model + `","messages":[{"role":"user","content":"How do tides work?"}]}`
	if stream {
		body = `{"stream":true,"stream_options":{"include_usage":true},` + body[1:]
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range t.headers {
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: status %d: %.300s", t.name, resp.StatusCode, raw)
	case stream && !bytes.HasSuffix(bytes.TrimSpace(raw), []byte("[DONE]")), !stream && !bytes.Contains(raw, []byte(`"content"`)):
		return fmt.Errorf("%s: no whole answer: %.300s", t.name, raw)
	}
	if t.answered != nil {
		t.answered.Add(1)
	}
	return nil
}

// byTurns asks the targets one after another, n times each after warm that are not
// counted, and gives the milliseconds of each.
func byTurns(ctx context.Context, n, warm int, stream bool, targets ...target) ([][]float64, error) {
	c := newCaller()
	took := make([][]float64, len(targets))
	for i := range n + warm {
		for j, t := range targets {
			begun := time.Now()
			if err := c.ask(ctx, t, stream); err != nil {
				return nil, err
			}
			if i >= warm {
				took[j] = append(took[j], float64(time.Since(begun).Microseconds())/1e3)
			}
		}
	}
	return took, nil
}

// window lets callers ask for a while, and gives the answers a second and in all.
func window(ctx context.Context, length time.Duration, callers int, t target) (rate float64, n int64, err error) {
	var group sync.WaitGroup
	var count atomic.Int64
	errs := make(chan error, callers)
	begun := time.Now()
	for i := range callers {
		group.Go(func() {
			c := newCaller()
			defer c.http.CloseIdleConnections()
			for c.n = i; time.Since(begun) < length; {
				if err := c.ask(ctx, t, once); err != nil {
					errs <- err
					return
				}
				count.Add(1)
			}
		})
	}
	group.Wait()
	rate = float64(count.Load()) / since(begun)
	select {
	case err = <-errs:
	default:
	}
	return rate, count.Load(), err
}

// measured is our server before a model, with agents to ask.
type measured struct {
	target
	server *child
	clean  func()
	sink   *sink
}

// startGateway starts a server in a process of its own, with traces exported and
// settings beyond the usual ones.
func startGateway(ctx context.Context, m *mock, agents int, settings ...string) (*measured, error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	g := &measured{clean: clean, sink: newSink()}
	settings = append([]string{"provider.offline=false", "provider.vendor=compatible", "provider.base_url=" + m.URL, "provider.key=x", "provider.model=" + mockModel}, settings...)
	if g.server, err = startChildWith(ctx, dir, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + g.sink.URL}, settings...); err != nil {
		g.stop()
		return nil, err
	}
	g.target = target{name: "rapport", url: g.server.Base + "/v1", headers: map[string]string{"Authorization": "Bearer " + g.server.Token}, answered: new(atomic.Int64), pid: g.server.cmd.Process.Pid}
	for i := range agents {
		var a client.Agent
		if err := g.server.Do(ctx, http.MethodPost, "/v1/agents", map[string]string{"name": fmt.Sprint("Bench ", i)}, &a); err != nil {
			g.stop()
			return nil, err
		}
		g.models = append(g.models, "agent/"+a.Slug)
	}
	return g, g.server.Settle(ctx, nil)
}

func (g *measured) stop() {
	if g.server != nil {
		g.server.kill()
	}
	g.sink.Close()
	g.clean()
}

// dropped counts the answers that have no decision in the database with their
// outcome. It waits for the server to settle.
func (g *measured) dropped(ctx context.Context) (int64, error) {
	if err := g.server.Settle(ctx, nil); err != nil {
		return 0, err
	}
	db, err := sqldb.Open(ctx, sqldb.Options{Path: filepath.Join(g.server.dir, "gateway.db"), Name: "gateway"})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var stored int64
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) { // outcomes are committed beside the answers
		err := db.Read(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Get(`select count(*) from decisions where state = 'done' and action = 'reply'`, nil, &stored)
			return err
		})
		if err != nil || stored >= g.answered.Load() || time.Now().After(end) {
			return g.answered.Load() - stored, err
		}
	}
}

// cpuOf is the processor time that a process used up to now.
func cpuOf(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is short")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2) // USER_HZ is 100
}

// costly does something and gives the processor time that processes used meanwhile.
func costly(do func() error, pids ...int) ([]time.Duration, error) {
	took := make([]time.Duration, len(pids))
	for i, pid := range pids {
		t, err := cpuOf(pid)
		if err != nil {
			return nil, err
		}
		took[i] = -t
	}
	if err := do(); err != nil {
		return nil, err
	}
	for i, pid := range pids {
		t, err := cpuOf(pid)
		if err != nil {
			return nil, err
		}
		took[i] += t
	}
	return took, nil
}
